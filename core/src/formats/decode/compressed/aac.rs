//! AAC: plain LC in mono and stereo by symphonia (fast), everything else by syom: spectral band replication, parametric
//! stereo, more than two channels, LD.
//!
//! Which of the two it has to be cannot be told from headers: SBR and PS may be signalled in the frames only. So the
//! first packets are decoded for trial ([`plan`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;

use super::aac_config::AacConfig;
use super::bytes::Bits;
use super::codec::{CodecConfig, Output, PacketCodec};
use super::symphonia_codec;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;
use crate::formats::info::{Codec, SampleFormat};

/// How a stream is decoded, found by trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AacPlan {
    /// Symphonia instead of syom.
    simple: bool,
    rate_hz: u32,
    layout: ChannelLayout,
    /// Frames per packet.
    frames: u64,
    codec: Codec,
    /// Mono that comes out as two equal channels.
    fold: bool,
    /// Packets may hold what has to be taken out, see [`Defuser`].
    defuse: bool,
}

impl AacPlan {
    const PLAIN: Self = Self {
        simple: true,
        rate_hz: 0,
        layout: ChannelLayout::MONO,
        frames: 1024,
        codec: Codec::AacLc,
        fold: false,
        defuse: false,
    };

    /// Rate of the decoded audio in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }
}

/// How many packets a trial needs: parametric stereo may start after the first SBR header, some frames in.
pub(super) const TRIAL_PACKETS: usize = 24;

/// What a trial with syom showed.
#[derive(Default)]
struct Trial {
    /// Packets that could be decoded.
    good: usize,
    rate_hz: u32,
    labels: Vec<syom::Channel>,
    frames: u64,
    /// Two channels that were equal throughout.
    twins: bool,
    /// A reserved extension payload was met; see [`Defuser`].
    extension: bool,
    error: String,
}

impl Trial {
    fn run(asc: &[u8], packets: &[Vec<u8>]) -> Self {
        let mut t = Self { twins: true, ..Self::default() };
        let mut decoder = None;
        for au in packets.iter().filter(|p| !p.is_empty()) {
            match trial(&mut decoder, asc, au) {
                Ok((rate_hz, labels, frames, twins)) => {
                    t.good += 1;
                    t.twins &= twins;
                    if (rate_hz, labels.len()) > (t.rate_hz, t.labels.len()) {
                        (t.rate_hz, t.labels, t.frames) = (rate_hz, labels, frames);
                    }
                }
                Err((error, extension)) => {
                    decoder = None;
                    t.extension |= extension;
                    t.error = error;
                }
            }
        }
        t
    }
}

/// Number of packets that symphonia decodes.
fn simple_trial(rate_hz: u32, channels: u32, packets: &[Vec<u8>]) -> usize {
    let run = || {
        let mut decoder = open_simple(rate_hz, channels as usize).ok()?;
        let mut out = Packet::Float(Buffer::new(Spec::new(rate_hz, ChannelLayout::STEREO), 0));
        Some(
            packets
                .iter()
                .filter(|p| !p.is_empty() && symphonia_codec::decode(&mut *decoder, p, &mut out).is_ok())
                .count(),
        )
    };
    catch_unwind(AssertUnwindSafe(run)).ok().flatten().unwrap_or(0)
}

/// Symphonia's decoder. Rate and channel count are all that LC needs; it refuses configs that say more.
fn open_simple(rate_hz: u32, channels: usize) -> Result<Box<dyn AudioDecoder>> {
    let layout = if channels == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO };
    symphonia_codec::open(CODEC_ID_AAC, &[], rate_hz, Some(layout))
}

/// Decodes `packets` for trial. May change the AudioSpecificConfig to what the decoders understand.
///
/// # Errors
/// [`Error::Unsupported`] when no packet can be decoded.
pub(super) fn plan(asc: &mut Vec<u8>, packets: &[Vec<u8>]) -> Result<AacPlan> {
    let mut config =
        AacConfig::parse(asc).ok_or_else(|| Error::malformed("AAC config", None, format!("{asc:02X?}")))?;
    let count = packets.iter().filter(|p| !p.is_empty()).count();
    if count == 0 {
        return Err(Error::unsupported("codec", format!("{} without packets", config.name())));
    }
    if config.object_type == 3
        && let Some(byte) = asc.first().copied()
    {
        // Some encoders write SSR where they mean LC. Real SSR has gain control data, which LC decoders refuse.
        let mut lc = asc.clone();
        lc[0] = byte & 7 | 2 << 3;
        if Trial::run(&lc, packets).good == count {
            *asc = lc;
            config.object_type = 2;
        }
    }
    config.normalise_program(asc);
    let full = Trial::run(asc, packets);
    let channels = config.channels();
    let plain = config.object_type == 2 && config.frame_samples == 1024 && matches!(channels, 1 | 2);
    let single = config.program.is_none_or(|p| p.elements == 1);
    let core_only = full.good == 0 || full.frames <= config.frame_samples && full.labels.len() == channels as usize;
    let simple_good = if plain && single && core_only { simple_trial(config.rate_hz, channels, packets) } else { 0 };
    if simple_good > 0 && simple_good >= full.good {
        let layout = ChannelLayout::from_count(channels as usize);
        let rate_hz = config.rate_hz;
        return Ok(AacPlan { simple: true, rate_hz, layout, frames: 1024, codec: Codec::AacLc, ..AacPlan::PLAIN });
    }
    if full.good == 0 {
        return Err(Error::unsupported("codec", format!("{}: {}", config.name(), full.error)));
    }
    let mut labels = full.labels;
    // Mono HE-AAC comes out as two equal channels, in case parametric stereo follows.
    let fold = channels == 1 && labels.len() == 2 && full.twins && !config.ps;
    if fold {
        labels.truncate(1);
    }
    let doubled = full.frames > config.frame_samples || config.sbr_rate_hz.is_some();
    let codec = match (config.object_type, doubled) {
        (2, true) if config.ps || channels == 1 && labels.len() == 2 => Codec::HeAacV2,
        (2, true) => Codec::HeAac,
        (2, false) => Codec::AacLc,
        _ => Codec::Aac,
    };
    Ok(AacPlan {
        simple: false,
        rate_hz: full.rate_hz,
        layout: layout_of(&labels),
        frames: full.frames,
        codec,
        fold,
        defuse: full.extension,
    })
}

/// Rate, channels, frames, and whether two channels are equal; or the error, and whether it is a reserved extension.
type TrialFrame = Result<(u32, Vec<syom::Channel>, u64, bool), (String, bool)>;

fn trial(decoder: &mut Option<syom::Decoder>, asc: &[u8], au: &[u8]) -> TrialFrame {
    let error = |e: syom::AacError| {
        let extension = matches!(e, syom::AacError::Unsupported(syom::UnsupportedFeature::Extension(_)));
        (e.to_string(), extension)
    };
    catch_unwind(AssertUnwindSafe(|| {
        let d = match decoder {
            Some(d) => d,
            None => decoder.insert(syom::Decoder::from_asc(asc, options()).map_err(error)?),
        };
        let mut seen = None;
        d.decode_au(au, |f| {
            let mut labels: Vec<_> = f.meta.labels().collect();
            labels.resize(f.planar.len(), syom::Channel::Other);
            let twins = f.planar.len() == 2 && f.planar[0] == f.planar[1];
            seen = Some((f.sample_rate, labels, f.samples as u64, twins));
            Ok(())
        })
        .map_err(error)?;
        seen.ok_or_else(|| ("no frame".to_owned(), false))
    }))
    .unwrap_or_else(|_| Err(("decoder failure".into(), false)))
}

/// Takes reserved extension payloads out of fill elements.
struct Defuser {
    asc: Vec<u8>,
    scout: syom::Decoder,
}

impl Defuser {
    fn new(asc: &[u8]) -> Option<Self> {
        Some(Self { asc: asc.to_vec(), scout: syom::Decoder::from_asc(asc, options()).ok()? })
    }

    /// Decodes with a decoder that has no memory: nothing when it works, else whether an extension is the reason.
    fn try_packet(&mut self, au: &[u8]) -> Result<(), bool> {
        self.scout.reset();
        self.scout.set_asc(&self.asc).map_err(|_| false)?;
        let result = self.scout.decode_au(au, |_| Ok(()));
        result.map_err(|e| matches!(e, syom::AacError::Unsupported(syom::UnsupportedFeature::Extension(_))))
    }

    /// Replaces a reserved extension payload in a fill element (ISO/IEC 14496-3 4.5.2.7), which the decoder refuses
    /// instead of skipping, by plain fill. Where the element is cannot be known without decoding what comes before, so the
    /// places that look like one are tried.
    fn clean(&mut self, au: &[u8]) -> Option<Vec<u8>> {
        /// Bounds the work on one packet.
        const MAX_TRIES: usize = 24;
        if self.try_packet(au) != Err(true) {
            return None;
        }
        let total = au.len() * 8;
        let mut candidates: Vec<(bool, usize)> = Vec::new();
        for at in 0..total.saturating_sub(12) {
            let mut b = Bits::new(au);
            b.skip(at);
            if b.get(3) != 6 {
                continue;
            }
            let count = match b.get(4) {
                15 => 14 + b.get(8),
                n => n,
            };
            let kind_at = b.position();
            let end = kind_at + 8 * count as usize;
            if count == 0 || end + 3 > total || matches!(b.get(4), 0 | 1 | 2 | 11..=14) {
                continue;
            }
            let mut after = Bits::new(au);
            after.skip(end);
            // Most often the fill is the last element: the end mark follows, then the padding of the last byte.
            candidates.push((after.get(3) == 7 && total - end - 3 < 8, kind_at));
        }
        candidates.sort_by_key(|(last, _)| !last);
        candidates.into_iter().take(MAX_TRIES).find_map(|(_, kind_at)| {
            let mut patched = au.to_vec();
            for bit in kind_at..kind_at + 4 {
                patched[bit / 8] &= !(0x80 >> (bit % 8));
            }
            self.try_packet(&patched).is_ok().then_some(patched)
        })
    }
}

fn options() -> syom::DecodeOptions {
    syom::DecodeOptions::unbounded()
}

/// Bit of a channel in a WAVE mask; 0 when it has none.
fn mask_bit(c: syom::Channel) -> u32 {
    match c {
        syom::Channel::FrontLeft => 0x1,
        syom::Channel::FrontRight => 0x2,
        syom::Channel::FrontCenter => 0x4,
        syom::Channel::Lfe => 0x8,
        syom::Channel::BackLeft => 0x10,
        syom::Channel::BackRight => 0x20,
        syom::Channel::BackCenter => 0x100,
        syom::Channel::SideLeft => 0x200,
        syom::Channel::SideRight => 0x400,
        _ => 0,
    }
}

fn layout_of(labels: &[syom::Channel]) -> ChannelLayout {
    match labels.len() {
        n @ (1 | 2) => ChannelLayout::from_count(n),
        n => {
            let mask = labels.iter().fold(0, |m, c| m | mask_bit(*c));
            if mask.count_ones() as usize == n {
                ChannelLayout::from_mask(mask, n)
            } else {
                ChannelLayout::from_count(n)
            }
        }
    }
}

/// The decoder for `config`, whose `extra` is the AudioSpecificConfig and `aac` the plan.
pub(super) fn build(config: &CodecConfig) -> Result<Box<dyn PacketCodec>> {
    let plan = config.aac.ok_or_else(|| Error::internal("AAC without a plan"))?;
    let defuser = if plan.defuse && !plan.simple { Defuser::new(&config.extra) } else { None };
    let mut codec = AacCodec { asc: config.extra.clone(), plan, engine: Engine::None, defuser };
    codec.make_engine().map_err(|e| Error::malformed("AAC config", None, e))?;
    Ok(Box::new(codec))
}

enum Engine {
    None,
    Simple(Box<dyn AudioDecoder>),
    Full(Box<syom::Decoder>),
}

struct AacCodec {
    asc: Vec<u8>,
    plan: AacPlan,
    engine: Engine,
    defuser: Option<Defuser>,
}

impl AacCodec {
    fn make_engine(&mut self) -> Result<(), String> {
        self.engine = if self.plan.simple {
            let d = open_simple(self.plan.rate_hz, self.plan.layout.channels());
            Engine::Simple(d.map_err(|e| e.to_string())?)
        } else {
            Engine::Full(Box::new(syom::Decoder::from_asc(&self.asc, options()).map_err(|e| e.to_string())?))
        };
        Ok(())
    }

    fn decode_full(&mut self, data: &[u8], out: &mut Buffer) -> Result<(), String> {
        let Engine::Full(decoder) = &mut self.engine else { return Err("no decoder".into()) };
        let plan = self.plan;
        let spec = Spec::new(plan.rate_hz, plan.layout);
        let mut frames = 0;
        let result = decoder.decode_au(data, |f| {
            frames = f.samples;
            let labels: Vec<_> = f.meta.labels().collect();
            let layout = if f.planar.len() == plan.layout.channels() || plan.fold {
                plan.layout
            } else {
                ChannelLayout::from_count(f.planar.len())
            };
            out.reserve(Spec::new(spec.rate_hz, layout), f.samples);
            out.set_frames(f.samples);
            let order = if plan.fold { vec![0] } else { wave_order(&labels, f.planar.len()) };
            for (plane, from) in out.channels_mut().zip(order) {
                plane.copy_from_slice(&f.planar[from][..f.samples]);
            }
            Ok(())
        });
        result.map_err(|e| e.to_string())?;
        if frames > 0 && frames as u64 * 2 == plan.frames {
            // A frame without SBR data in an SBR stream: double its rate, so that time stays right.
            double_rate(out);
        } else if frames as u64 != plan.frames {
            return Err(format!("frame of {frames} samples among such of {}", plan.frames));
        }
        Ok(())
    }
}

/// For each output channel the index of the plane that holds it.
fn wave_order(labels: &[syom::Channel], planes: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..planes).collect();
    if labels.len() == planes && planes > 2 && labels.iter().all(|c| mask_bit(*c) != 0) {
        order.sort_by_key(|i| mask_bit(labels[*i]));
    }
    order
}

/// Twice as many frames by linear interpolation.
fn double_rate(b: &mut Buffer) {
    let n = b.frames();
    b.grow(2 * n);
    b.set_frames(2 * n);
    for plane in b.channels_mut() {
        for i in (0..n).rev() {
            let next = if i + 1 < n { plane[2 * i + 2] } else { plane[i] };
            let this = plane[i];
            plane[2 * i] = this;
            plane[2 * i + 1] = 0.5 * (this + next);
        }
    }
}

impl PacketCodec for AacCodec {
    fn decode(&mut self, data: &[u8], out: &mut Packet) -> Result<(), String> {
        if data.is_empty() {
            return Err("empty packet".into());
        }
        if let Engine::Simple(d) = &mut self.engine {
            return symphonia_codec::decode(&mut **d, data, out);
        }
        let Packet::Float(planes) = out else { return Err("AAC decodes to floats".into()) };
        let patched = self.defuser.as_mut().and_then(|d| d.clean(data));
        let result = self.decode_full(patched.as_deref().unwrap_or(data), planes);
        if result.is_err() {
            // An error ends the life of a syom decoder.
            self.make_engine()?;
        }
        result
    }

    fn reset(&mut self) {
        match &mut self.engine {
            Engine::Simple(d) => d.reset(),
            // The same config was accepted before.
            _ => drop(self.make_engine()),
        }
    }

    fn count_frames(&self, _: &[u8], _: &mut u64) -> Option<u64> {
        Some(self.plan.frames)
    }

    fn preroll_frames(&self) -> u64 {
        // LC: one frame for the overlap. SBR: headers and time-differential envelopes come every half second or so.
        self.plan.frames * if self.plan.simple { 2 } else { 32 }
    }

    fn settling_packets(&self) -> u64 {
        if self.plan.simple { 0 } else { 16 }
    }

    fn output(&self) -> Output {
        Output {
            codec: self.plan.codec,
            spec: Spec::new(self.plan.rate_hz, self.plan.layout),
            sample_format: SampleFormat::Lossy,
        }
    }
}
