//! AAC: plain LC in mono and stereo by symphonia (fast), everything else by syom: spectral band replication, parametric
//! stereo, more than two channels, LD.
//!
//! Which of the two it has to be cannot be told from headers: SBR and PS may be signalled in the frames only. So the
//! first packets are decoded for trial ([`plan`]).

use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::aac_config::AacConfig;
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
}

impl AacPlan {
    /// Rate of the decoded audio in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }
}

/// How many packets a trial needs: parametric stereo may start after the first SBR header, some frames in.
pub(super) const TRIAL_PACKETS: usize = 24;

/// Decodes `packets` for trial.
///
/// # Errors
/// [`Error::Unsupported`] when no packet can be decoded.
pub(super) fn plan(asc: &[u8], packets: &[Vec<u8>]) -> Result<AacPlan> {
    let config = AacConfig::parse(asc).ok_or_else(|| Error::malformed("AAC config", None, format!("{asc:02X?}")))?;
    let mut best: Option<(u32, Vec<syom::Channel>, u64)> = None;
    let mut last_error = None;
    let mut decoder = None;
    for au in packets.iter().filter(|p| !p.is_empty()) {
        match trial(&mut decoder, asc, au) {
            Ok((rate, labels, frames)) => {
                let better = best.as_ref().is_none_or(|(r, l, _)| rate > *r || rate == *r && labels.len() > l.len());
                if better {
                    best = Some((rate, labels, frames));
                }
            }
            Err(e) => {
                decoder = None;
                last_error = Some(e);
            }
        }
    }
    let simple_config = config.object_type == 2 && config.frame_samples == 1024 && matches!(config.channel_config, 1 | 2);
    let Some((rate_hz, labels, frames)) = best else {
        if simple_config && packets.iter().any(|p| !p.is_empty()) {
            // Damaged at the start, perhaps good later.
            let layout = ChannelLayout::from_count(config.channel_config as usize);
            return Ok(AacPlan { simple: true, rate_hz: config.rate_hz, layout, frames: 1024, codec: Codec::AacLc });
        }
        let value = match last_error {
            Some(e) => format!("{}: {e}", config.name()),
            None => format!("{} without packets", config.name()),
        };
        return Err(Error::unsupported("codec", value));
    };
    let doubled = frames > config.frame_samples || config.sbr_rate_hz.is_some();
    let codec = match (config.object_type, doubled) {
        (2, true) if config.ps || config.channel_config == 1 && labels.len() == 2 => Codec::HeAacV2,
        (2, true) => Codec::HeAac,
        (2, false) => Codec::AacLc,
        _ => Codec::Aac,
    };
    let simple = simple_config && codec == Codec::AacLc && labels.len() == config.channel_config as usize;
    let layout = layout_of(&labels);
    Ok(AacPlan { simple, rate_hz, layout, frames, codec })
}

fn trial(decoder: &mut Option<syom::Decoder>, asc: &[u8], au: &[u8]) -> Result<(u32, Vec<syom::Channel>, u64), String> {
    catch_unwind(AssertUnwindSafe(|| {
        let d = match decoder {
            Some(d) => d,
            None => decoder.insert(syom::Decoder::from_asc(asc, options()).map_err(|e| e.to_string())?),
        };
        let mut seen = None;
        d.decode_au(au, |f| {
            let mut labels: Vec<_> = f.meta.labels().collect();
            labels.resize(f.planar.len(), syom::Channel::Other);
            seen = Some((f.sample_rate, labels, f.samples as u64));
            Ok(())
        })
        .map_err(|e| e.to_string())?;
        seen.ok_or_else(|| "no frame".to_owned())
    }))
    .unwrap_or_else(|_| Err("decoder failure".into()))
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
            if mask.count_ones() as usize == n { ChannelLayout::from_mask(mask, n) } else { ChannelLayout::from_count(n) }
        }
    }
}

/// The decoder for `config`, whose `extra` is the AudioSpecificConfig and `aac` the plan.
pub(super) fn build(config: &CodecConfig) -> Result<Box<dyn PacketCodec>> {
    let plan = config.aac.ok_or_else(|| Error::internal("AAC without a plan"))?;
    let mut codec = AacCodec { asc: config.extra.clone(), plan, engine: Engine::None };
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
}

impl AacCodec {
    fn make_engine(&mut self) -> Result<(), String> {
        self.engine = if self.plan.simple {
            // Without extra data: the rate and channel count of the plan are all that LC needs.
            let layout = if self.plan.layout.channels() == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO };
            let d = symphonia_codec::open(CODEC_ID_AAC, &[], self.plan.rate_hz, Some(layout));
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
            let layout = if f.planar.len() == plan.layout.channels() {
                plan.layout
            } else {
                ChannelLayout::from_count(f.planar.len())
            };
            out.reserve(Spec::new(spec.rate_hz, layout), f.samples);
            out.set_frames(f.samples);
            let order = wave_order(&labels, f.planar.len());
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
        let result = self.decode_full(data, planes);
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
