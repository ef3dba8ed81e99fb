//! MP3 with gapless information: ID3v2, Info/Xing frame with LAME's delay and padding, layer III frames.
//!
//! The encoder is `rusty_mp3`, driven frame by frame. The stream is encoded in pieces that do not know of each other: each
//! starts with pre-roll, which settles filter bank, overlap and block switching, and with an empty bit reservoir, so that
//! a piece's frames never reach back into the piece before. That costs at most 511 bytes of reservoir per piece.
//!
//! Samples beyond full scale are not clipped: MP3 codes them, up to 18 dB over.
//!
//! Sources: ISO/IEC 11172-3 and 13818-3; "Mp3 Info Tag revision 1" (LAME) for the Info frame.

use std::sync::Arc;

use rayon::ThreadPool;
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

/// Codec frames of pre-roll: the filter bank remembers one, block switching two.
const PREROLL: usize = 8;
/// Codec frames of a piece: 13 s at 44.1 kHz.
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
}

/// Encodes the frames of `piece`; those of the pre-roll are thrown away.
fn encode_piece(params: &Params, piece: &Piece) -> Result<Vec<Vec<u8>>> {
    let mut codec = Mp3Encode::new();
    let spf = params.header.version.samples_per_frame();
    let reservoir = params.reservoir();
    let mut frames = Vec::with_capacity(piece.count);
    for i in 0..piece.preroll + piece.count {
        if reservoir && i == piece.preroll {
            // Assembles and drops the pre-roll: the filters' memory stays, the reservoir begins empty.
            drop(codec.finish_reservoir());
        }
        let channels: Vec<&[f32]> = piece.samples.iter().map(|c| &c[i * spf..(i + 1) * spf]).collect();
        if reservoir {
            codec.encode_frame_reservoir(&params.header, &channels, RESERVOIR_GAIN);
        } else {
            let frame = codec
                .encode_frame(&params.header, &channels, params.vbr_kbps)
                .map_err(|e| Error::internal(format!("MP3 encoder: {e}")))?;
            if i >= piece.preroll {
                frames.push(frame);
            }
        }
    }
    if reservoir {
        let size = params.header.frame_size().max(1);
        frames = codec.finish_reservoir().chunks(size).map(<[u8]>::to_vec).collect();
    }
    if frames.len() != piece.count {
        return Err(Error::internal(format!("MP3 encoder gave {} frames of {}", frames.len(), piece.count)));
    }
    Ok(frames)
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
    jobs: Ordered<Vec<Vec<u8>>>,
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
            cutter: Cutter::new(spec, spf, PREROLL, PIECE_FRAMES),
            jobs: Ordered::new(pool),
            result: None,
            losses: id3.losses,
        })
    }

    fn submit(&mut self, piece: Piece) -> Result<()> {
        let params = Arc::clone(&self.params);
        self.jobs.submit(move || encode_piece(&params, &piece));
        while let Some(frames) = self.jobs.next_if_crowded() {
            self.emit(&frames?)?;
        }
        Ok(())
    }

    fn emit(&mut self, frames: &[Vec<u8>]) -> Result<()> {
        for frame in frames {
            self.stats.add_frame(frame);
            self.out.write(frame)?;
        }
        Ok(())
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
            while let Some(frames) = self.jobs.next() {
                self.emit(&frames?)?;
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
