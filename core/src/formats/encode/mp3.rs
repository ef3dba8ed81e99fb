//! MP3 with gapless information: ID3v2, Info/Xing frame with LAME's delay and padding, layer III frames.
//!
//! The coder is `rusty_mp3`, driven frame by frame. The stream is coded in pieces that do not know of each other, so that
//! memory stays bounded and pieces run in parallel. Each starts with the two codec frames before it as pre-roll, whose
//! output is dropped. That is exact, not an approximation: what the coder remembers of its input is the filter bank's last
//! 512 samples, the overlap of the last granule (576 samples, which depend on 512 more) and whether the last frame had an
//! attack; two frames are at least 1152 samples. So spectra and block types are those of a coder that ran through, and
//! overlapping windows match across seams. Only the bit reservoir starts empty with each piece, and its notion of a usual
//! frame anew: a piece's frames never reach back into the piece before. That costs at most 511 bytes per piece.
//!
//! Samples beyond full scale are not clipped: MP3 codes them, up to 18 dB over. NaN becomes silence.
//!
//! The crate reads its experiment switches (`MP3_STEREO`, `MP3_SHAPE` and others) from the environment once per process;
//! the ones that change the stream's structure (`MP3_RESERVOIR`...) belong to a layer that is not used here.
//!
//! Sources: ISO/IEC 11172-3 and 13818-3; "Mp3 Info Tag revision 1" (LAME) for the Info frame.

use std::sync::Arc;

use rayon::ThreadPool;
use rusty_mp3::MAX_INPUT_AMPLITUDE;
use rusty_mp3::encode::Mp3Encode;
use rusty_mp3::encode::lametag::{self, DECODER_DELAY, ENCODER_DELAY, TagInfo, TagStats};
use rusty_mp3::header::{FrameHeader, MpegVersion};

use super::ordered::Ordered;
use super::out::Out;
use super::pcm::check_spec;
use super::pieces::{Cutter, Piece};
use super::{BitRate, Dither, Encoded, Encoder, LossySettings, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata, write};

/// Codec frames of pre-roll: see the module.
const PREROLL: usize = 2;
/// Codec frames of a piece: 13.4 s at 44.1 kHz.
const PIECE_FRAMES: usize = 512;
/// Above this rate the crate's reservoir gives damaged frames (its own finding), and hardly helps.
const MAX_RESERVOIR_KBPS: u32 = 256;
/// How strongly demanding frames may draw on the reservoir: the crate's measured optimum.
const RESERVOIR_GAIN: f32 = 0.2;

/// How a stream is coded.
#[derive(Debug, Clone)]
struct Params {
    header: FrameHeader,
    /// Target of the variable rate in kbit/s.
    vbr_kbps: Option<f32>,
}

impl Params {
    fn reservoir(&self) -> bool {
        // MPEG-2's back pointer has 8 bits, which the crate's assembly does not know.
        self.vbr_kbps.is_none()
            && self.header.version == MpegVersion::V1
            && self.header.bitrate_kbps <= MAX_RESERVOIR_KBPS
    }

    /// Header of the codec frame with this index in the stream. At a constant rate whose frames are not a whole number of
    /// bytes, some are a byte longer, so that the rate is exact (ISO/IEC 11172-3, 2.4.2.3, `padding_bit`).
    fn header(&self, index: u64) -> FrameHeader {
        let mut header = self.header.clone();
        if self.vbr_kbps.is_none() {
            let rate = u64::from(header.sample_rate.max(1));
            let bytes_per_s = u64::from(header.bitrate_kbps) * 125;
            let rest = header.version.samples_per_frame() as u64 * bytes_per_s % rate;
            // The padding's pattern repeats after `rate` frames: reduced first, so that nothing overflows.
            let index = index % rate;
            header.padding = (index + 1) * rest / rate > index * rest / rate;
        }
        header
    }
}

/// Codec frames of one piece.
struct Coded {
    bytes: Vec<u8>,
    /// Length of each frame in bytes.
    sizes: Vec<usize>,
}

/// Encodes the frames of `piece`; those of the pre-roll are thrown away.
fn encode_piece(params: &Params, mut piece: Piece) -> Result<Coded> {
    for sample in piece.samples.iter_mut().flatten() {
        *sample = admit(*sample);
    }
    let mut codec = Mp3Encode::new();
    let spf = params.header.version.samples_per_frame();
    let reservoir = params.reservoir();
    let mut coded = Coded { bytes: Vec::new(), sizes: Vec::with_capacity(piece.count) };
    for i in 0..piece.preroll + piece.count {
        if reservoir && i == piece.preroll {
            // Assembles and drops the pre-roll: the filters' memory stays, the reservoir begins empty.
            drop(codec.finish_reservoir());
        }
        let header = params.header((piece.first + i as u64).saturating_sub(piece.preroll as u64));
        // Plain slices on the stack: one or two channels.
        let last = piece.samples.len().saturating_sub(1);
        let both = [frame_of(&piece.samples, 0, i, spf)?, frame_of(&piece.samples, last, i, spf)?];
        let channels = &both[..=last.min(1)];
        if reservoir {
            codec.encode_frame_reservoir(&header, channels, RESERVOIR_GAIN);
            if i >= piece.preroll {
                coded.sizes.push(header.frame_size());
            }
        } else {
            let frame = codec
                .encode_frame(&header, channels, params.vbr_kbps)
                .map_err(|e| Error::internal(format!("MP3 encoder: {e}")))?;
            if i >= piece.preroll {
                coded.sizes.push(frame.len());
                coded.bytes.extend_from_slice(&frame);
            }
        }
    }
    if reservoir {
        coded.bytes = codec.finish_reservoir();
    }
    let expected: usize = coded.sizes.iter().sum();
    if coded.bytes.len() != expected {
        return Err(Error::internal(format!("MP3 encoder gave {} bytes of {expected}", coded.bytes.len())));
    }
    Ok(coded)
}

fn frame_of(samples: &[Vec<f32>], channel: usize, index: usize, spf: usize) -> Result<&[f32]> {
    samples
        .get(channel)
        .and_then(|c| c.get(index * spf..(index + 1) * spf))
        .ok_or_else(|| Error::internal("a piece of MP3 lacks samples"))
}

/// What the coder is proven to cope with (it panics or garbles far beyond).
fn admit(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-MAX_INPUT_AMPLITUDE, MAX_INPUT_AMPLITUDE) }
}

/// See the module.
pub(crate) struct Mp3Encoder {
    spec: Spec,
    params: Arc<Params>,
    out: Out,
    tag_at: u64,
    tag_header: FrameHeader,
    stats: TagStats,
    cutter: Cutter,
    jobs: Ordered<Coded>,
    result: Option<(u64, u64, u64)>,
    losses: Vec<Loss>,
}

impl Mp3Encoder {
    /// Writes the ID3v2 tag and room for the Info frame. `settings` must be complete, as `negotiate` makes them.
    pub fn new(
        spec: Spec,
        settings: &LossySettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Self> {
        Self::with_pieces(spec, settings, sink, metadata, pool, PIECE_FRAMES)
    }

    fn with_pieces(
        spec: Spec,
        settings: &LossySettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        pool: Option<Arc<ThreadPool>>,
        piece_frames: usize,
    ) -> Result<Self> {
        let (kbps, vbr_kbps) = match settings.bit_rate {
            Some(BitRate::Kbps(kbps)) => (kbps, None),
            // LAME's V9 to V0.
            Some(BitRate::Quality(q)) => (128, Some(rusty_mp3::vbr_quality_index(9.0 * (1.0 - q)))),
            None => (0, None),
        };
        // Mono needs half of what the ladder, which is for stereo, says.
        let vbr_kbps = vbr_kbps.map(|k| if spec.channels() == 1 { (k / 2.0).max(32.0) } else { k });
        let header = rusty_mp3::encoder_header(spec.rate_hz, spec.channels() as u16, kbps)
            .map_err(|_| Error::internal(format!("MP3 encoder for {} Hz", spec.rate_hz)))?;
        let tag_header = lametag::tag_header(&header);
        let stats = TagStats::new(tag_header.frame_size());
        let id3 = write::id3v2(metadata);
        let mut out = Out::new(sink)?;
        out.write(&id3.bytes)?;
        let tag_at = out.position();
        out.write(&vec![0; tag_header.frame_size()])?;
        let spf = header.version.samples_per_frame();
        Ok(Self {
            spec,
            params: Arc::new(Params { header, vbr_kbps }),
            out,
            tag_at,
            tag_header,
            stats,
            cutter: Cutter::new(spec, spf, PREROLL, piece_frames),
            jobs: Ordered::new(pool),
            result: None,
            losses: id3.losses,
        })
    }

    fn submit(&mut self, piece: Piece) -> Result<()> {
        let params = Arc::clone(&self.params);
        self.jobs.submit(move || encode_piece(&params, piece));
        while let Some(coded) = self.jobs.next_if_crowded() {
            self.emit(&coded?)?;
        }
        Ok(())
    }

    fn emit(&mut self, coded: &Coded) -> Result<()> {
        let mut rest = coded.bytes.as_slice();
        for size in &coded.sizes {
            let (frame, after) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
            self.stats.add_frame(frame);
            rest = after;
        }
        self.out.write(&coded.bytes)
    }
}

impl Encoder for Mp3Encoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        self.cutter.push(block);
        while let Some(piece) = self.cutter.next() {
            self.submit(piece)?;
        }
        Ok(())
    }

    fn write_int(&mut self, _block: &IntBuffer) -> Result<()> {
        Err(Error::unsupported("integer samples for", "MP3"))
    }

    fn finish(&mut self) -> Result<Encoded> {
        let total = self.cutter.total();
        if self.result.is_none() {
            let spf = self.params.header.version.samples_per_frame();
            // Very short MPEG-2 streams get more silence in front: else a decoder's start and end trims collide.
            let extra = if total < spf as u64 { lametag::extra_priming(total, spf) } else { 0 };
            if extra > 0 {
                self.cutter.prepend_silence(extra);
            }
            let delay = ENCODER_DELAY + extra;
            let piece = self.cutter.finish(lametag::frames_for(total, delay, spf));
            self.submit(piece)?;
            while let Some(coded) = self.jobs.next() {
                self.emit(&coded?)?;
            }
            let padding = lametag::padding_for(total, delay, spf);
            let info = TagInfo { vbr: self.params.vbr_kbps.is_some(), delay, padding: padding as usize };
            let tag = lametag::tag_frame(&self.tag_header, &self.stats, &info);
            self.out.patch(self.tag_at, &tag)?;
            // Decoders drop their own delay at the start too, and then find that much less at the end.
            let decoder = DECODER_DELAY as u64;
            self.result = Some((self.out.finish()?, delay as u64 + decoder, padding.saturating_sub(decoder)));
        }
        let (bytes, delay_frames, padding_frames) = self.result.unwrap_or_default();
        Ok(Encoded {
            frames: total,
            bytes,
            delay_frames,
            padding_frames,
            clipped_samples: 0,
            dither: Dither::None,
            losses: std::mem::take(&mut self.losses),
        })
    }
}

#[cfg(test)]
mod tests {
    use rusty_mp3::decode::sideinfo;
    use rusty_mp3::frame::{BlockType, SideInfo};

    use super::super::testing::{SharedSink, feed, spec};
    use super::*;

    /// Chords, noise and a click now and then (so that blocks switch), different in each channel.
    fn signal(rate_hz: u32, channels: usize, frames: usize) -> Buffer {
        let planes: Vec<Vec<f32>> = (0..channels)
            .map(|c| {
                let mut noise = 1 + c as u32;
                (0..frames)
                    .map(|i| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let t = i as f64 / f64::from(rate_hz);
                        let tone = (2765.0 * t).sin() * 0.06 + (9000.0 * (1.0 + 0.1 * c as f64) * t).sin() * 0.02;
                        let burst = if (i / 700) % 13 == c { 0.4 } else { 0.0005 };
                        (tone * (2.0 * t).cos() + burst * (f64::from(noise) / 2_147_483_648.0 - 1.0)) as f32
                    })
                    .collect()
            })
            .collect();
        Buffer::from_channels(spec(rate_hz, channels), &planes)
    }

    fn encode(rate: BitRate, block: &Buffer, size: usize, piece_frames: usize, threads: usize) -> (Vec<u8>, Encoded) {
        let pool =
            (threads > 0).then(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()));
        let sink = SharedSink::default();
        let settings = LossySettings { bit_rate: Some(rate) };
        let to = Box::new(sink.clone());
        let mut encoder =
            Mp3Encoder::with_pieces(block.spec(), &settings, to, &Metadata::default(), pool, piece_frames).unwrap();
        feed(&mut encoder, block, size);
        let encoded = encoder.finish().unwrap();
        assert_eq!(encoded.bytes, sink.bytes().len() as u64);
        (sink.bytes(), encoded)
    }

    /// Header and bytes of every frame.
    fn frames(mut bytes: &[u8]) -> Vec<(FrameHeader, &[u8])> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let header = FrameHeader::parse(bytes[..4].try_into().unwrap()).unwrap();
            let (frame, rest) = bytes.split_at(header.frame_size());
            all.push((header, frame));
            bytes = rest;
        }
        all
    }

    fn side_infos(bytes: &[u8]) -> Vec<SideInfo> {
        frames(bytes)[1..].iter().map(|(h, f)| sideinfo::parse(h, &f[4..4 + h.side_info_len()]).unwrap()).collect()
    }

    fn decode(bytes: &[u8], channels: usize) -> Vec<f32> {
        let mut decoder = rusty_mp3::Mp3Decoder::new();
        decoder.push(bytes);
        decoder.flush();
        let mut samples = Vec::new();
        while let Ok(audio) = decoder.next_frame() {
            assert_eq!(usize::from(audio.channels), channels);
            samples.extend_from_slice(&audio.samples);
        }
        samples
    }

    #[test]
    fn without_a_reservoir_pieces_change_not_one_byte() {
        // Two frames of pre-roll carry all that the coder remembers: see the module. Any piece length must show it.
        for (rate_hz, channels, rate) in [
            (44_100, 2, BitRate::Kbps(320)),
            (44_100, 1, BitRate::Quality(0.5)),
            (48_000, 2, BitRate::Quality(0.2)),
            (22_050, 2, BitRate::Kbps(64)),
            (8000, 1, BitRate::Kbps(24)),
        ] {
            let block = signal(rate_hz, channels, 60_000);
            let whole = encode(rate, &block, 4096, 1000, 0).0;
            for piece_frames in [2, 7, 16] {
                let cut = encode(rate, &block, 4096, piece_frames, 0).0;
                assert!(whole == cut, "{rate_hz} Hz, {rate:?}, pieces of {piece_frames}");
            }
        }
    }

    #[test]
    fn with_a_reservoir_pieces_keep_the_block_types_and_begin_self_contained() {
        for (rate_hz, channels, kbps) in [(44_100, 2, 128), (44_100, 1, 64), (48_000, 2, 256), (32_000, 1, 48)] {
            let block = signal(rate_hz, channels, 100_000);
            let whole = encode(BitRate::Kbps(kbps), &block, 4096, 1000, 0).0;
            let cut = encode(BitRate::Kbps(kbps), &block, 4096, 9, 0).0;
            assert_eq!(whole.len(), cut.len());
            let (a, b) = (side_infos(&whole), side_infos(&cut));
            assert_eq!(a.len(), b.len());
            let mut short = 0;
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                if i % 9 == 0 {
                    assert_eq!(b.main_data_begin, 0, "frame {i} reaches back into another piece");
                }
                for (a, b) in a.granules.iter().flatten().zip(b.granules.iter().flatten()) {
                    assert_eq!(a.block_type, b.block_type, "frame {i}");
                    short += usize::from(a.block_type == BlockType::Short);
                }
            }
            assert!(short > 5, "the signal must switch blocks");
            assert!(a.iter().any(|s| s.main_data_begin > 0), "the reservoir must be in use");
        }
    }

    #[test]
    fn seams_are_as_accurate_as_without_them() {
        let block = signal(44_100, 1, 200_000);
        let rate = BitRate::Kbps(128);
        let (cut, encoded) = encode(rate, &block, 4096, 20, 0);
        // The decoder here plays the Info frame as silence too, and trims nothing.
        let delay = encoded.delay_frames as usize + 1152;
        let snr_db = |decoded: &[f32], range: std::ops::Range<usize>| {
            let (mut signal, mut error) = (0.0_f64, 1e-12_f64);
            for i in range {
                let (x, y) = (f64::from(block.channel(0)[i]), f64::from(decoded[i + delay]));
                signal += x * x;
                error += (x - y) * (x - y);
            }
            10.0 * (signal / error).log10()
        };
        let (whole, cut) = (decode(&encode(rate, &block, 4096, 1000, 0).0, 1), decode(&cut, 1));
        for seam in 1..8 {
            let at = seam * 20 * 1152 - ENCODER_DELAY;
            let near = at - 1152..at + 1152;
            let (without, with) = (snr_db(&whole, near.clone()), snr_db(&cut, near));
            // Aliasing that does not cancel would be as loud as the signal (about 0 dB); here are tones of 47 dB and bursts
            // of noise of 13 dB. 0.1 dB was measured; the empty reservoir may cost a demanding frame some tenths.
            assert!(without > 12.0 && with > without - 1.0, "seam {seam}: {with:.1} dB instead of {without:.1} dB");
        }
    }

    #[test]
    fn neither_blocks_nor_threads_change_a_byte() {
        let block = signal(44_100, 2, 61_234);
        for rate in [BitRate::Kbps(128), BitRate::Quality(0.7)] {
            let expected = encode(rate, &block, 61_234, 8, 0).0;
            for size in [1, 577, 1152, 9999] {
                assert!(encode(rate, &block, size, 8, 0).0 == expected, "blocks of {size}");
            }
            for threads in [1, 2, 5] {
                assert!(encode(rate, &block, 1000, 8, threads).0 == expected, "{threads} threads");
            }
        }
    }

    #[test]
    fn padding_bits_make_the_rate_exact() {
        for (rate_hz, kbps) in [(44_100, 128), (22_050, 56), (11_025, 24), (48_000, 128), (44_100, 320)] {
            let header = rusty_mp3::encoder_header(rate_hz, 2, kbps).unwrap();
            let params = Params { header, vbr_kbps: None };
            let frames = u64::from(rate_hz);
            let bytes: u64 = (0..frames).map(|i| params.header(i).frame_size() as u64).sum();
            // As many frames as samples per second last as many seconds as a frame has samples.
            assert_eq!(bytes, params.header.version.samples_per_frame() as u64 * u64::from(kbps) * 125);
            assert_eq!(params.header(u64::MAX / 2).frame_size().abs_diff(params.header(0).frame_size()) / 2, 0);
        }
    }

    #[test]
    fn lengths_add_up_at_every_rate_and_every_frame_parses() {
        for rate_hz in [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            let spf = if rate_hz >= 32_000 { 1152_u64 } else { 576 };
            for n in [0, 1, 94, 575, 576, 1151, 1152, 1153, 5000, 4 * 1152 - 529, 8 * 576] {
                let (bytes, encoded) = encode(BitRate::Kbps(64), &signal(rate_hz, 1, n), 999, 4, 0);
                let count = frames(&bytes).len() as u64 - 1;
                assert_eq!(encoded.frames, n as u64);
                let sum = encoded.delay_frames + encoded.frames + encoded.padding_frames;
                assert_eq!(sum, count * spf, "{rate_hz} Hz, {n} frames");
            }
        }
    }

    #[test]
    fn hostile_samples_give_a_valid_stream() {
        let mut block = signal(44_100, 2, 20_000);
        for (i, s) in block.channel_mut(1).iter_mut().enumerate() {
            match i % 7 {
                0 => *s = f32::NAN,
                1 => *s = f32::INFINITY,
                2 => *s = -1e30,
                _ => {}
            }
        }
        for rate in [BitRate::Kbps(32), BitRate::Kbps(320), BitRate::Quality(1.0)] {
            let (bytes, _) = encode(rate, &block, 4096, 5, 0);
            assert_eq!(frames(&bytes).len(), 1 + (20_000 + 528 + 529_usize).div_ceil(1152));
            assert!(decode(&bytes, 2).iter().all(|s| s.is_finite()));
        }
    }
}
