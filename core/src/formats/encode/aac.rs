//! AAC-LC: in M4A with an edit list and `iTunSMPB`, or as a stream with ADTS headers.
//!
//! The encoder is `syom`. An access unit refers to no other, only its transform overlaps the one before: the stream is
//! encoded in pieces whose pre-roll settles overlap, block switching and the rate control. Source: ISO/IEC 14496-3.

use std::sync::Arc;

use rayon::ThreadPool;
use syom::{EncodeOptions, Encoder as Codec};

use super::mp4::{Mp4Writer, SampleEntry, Track};
use super::ordered::Ordered;
use super::out::Out;
use super::pcm::check_spec;
use super::pieces::{Cutter, Piece};
use super::{BitRate, Dither, Encoded, Encoder, LossySettings, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata};

/// Frames of an access unit.
const FRAME: usize = 1024;
/// Frames before the first that counts: the first unit's overlap.
const DELAY: u64 = 1024;
/// Access units of pre-roll.
const PREROLL: usize = 8;
/// Access units of a piece, over all channels: 24 s of mono at 44.1 kHz.
const PIECE_CHANNEL_UNITS: usize = 1024;

/// Where access units go.
trait AacContainer: Send {
    fn unit(&mut self, bytes: &[u8]) -> Result<()>;
    fn finish(&mut self, frames: u64) -> Result<u64>;
    fn losses(&mut self) -> Vec<Loss>;
}

impl AacContainer for Mp4Writer {
    fn unit(&mut self, bytes: &[u8]) -> Result<()> {
        Self::unit(self, bytes)
    }
    fn finish(&mut self, frames: u64) -> Result<u64> {
        Self::finish(self, frames)
    }
    fn losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

/// ADTS frames (ISO/IEC 14496-3 section 1.A.2.2).
struct Adts {
    out: Out,
    /// Header but for the length.
    header: [u8; 7],
    losses: Vec<Loss>,
}

impl AacContainer for Adts {
    fn unit(&mut self, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() + 7;
        if length >= 1 << 13 {
            return Err(Error::internal(format!("AAC unit of {length} bytes does not fit ADTS")));
        }
        let mut h = self.header;
        h[3] |= (length >> 11) as u8;
        h[4] = (length >> 3) as u8;
        h[5] |= ((length & 7) << 5) as u8;
        self.out.write(&h)?;
        self.out.write(bytes)
    }
    fn finish(&mut self, _frames: u64) -> Result<u64> {
        self.out.finish()
    }
    fn losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}

/// See the module.
pub(crate) struct AacEncoder {
    spec: Spec,
    options: EncodeOptions,
    container: Box<dyn AacContainer>,
    cutter: Cutter,
    jobs: Ordered<Vec<Vec<u8>>>,
    clipped: u64,
    result: Option<u64>,
}

fn options(settings: &LossySettings) -> EncodeOptions {
    let raw = EncodeOptions::raw();
    match settings.bit_rate {
        Some(BitRate::Kbps(kbps)) => raw.with_bitrate_bps(kbps * 1000),
        // Level 5 is the codec's own masking target; 0 to 10 steps of 6 dB.
        Some(BitRate::Quality(q)) => raw.with_quality((q * 10.0).round().clamp(0.0, 10.0) as u8),
        None => raw,
    }
}

fn codec(spec: Spec, options: &EncodeOptions) -> Result<Codec> {
    Codec::new(spec.rate_hz, spec.channels(), options).map_err(failed)
}

fn failed(e: syom::AacError) -> Error {
    Error::internal(format!("AAC encoder: {e}"))
}

/// AAC in M4A. `settings` must be complete, as `negotiate` makes them.
pub(crate) fn m4a(
    spec: Spec,
    settings: &LossySettings,
    sink: Box<dyn Sink>,
    metadata: &Metadata,
    frames_hint: Option<u64>,
    pool: Option<Arc<ThreadPool>>,
) -> Result<AacEncoder> {
    let options = options(settings);
    let entry = SampleEntry::Aac(codec(spec, &options)?.asc().to_vec());
    let track = Track { spec, entry, unit_frames: FRAME as u32, delay: DELAY, roll: true, short_last: false };
    let container = Mp4Writer::new(track, sink, metadata, frames_hint)?;
    Ok(AacEncoder::new(spec, options, Box::new(container), pool))
}

/// AAC with ADTS headers. `settings` must be complete, as `negotiate` makes them.
pub(crate) fn adts(
    spec: Spec,
    settings: &LossySettings,
    sink: Box<dyn Sink>,
    metadata: &Metadata,
    pool: Option<Arc<ThreadPool>>,
) -> Result<AacEncoder> {
    let options = options(settings);
    // The configuration's 16 bits: object type 5, rate index 4, channels 4.
    let asc = codec(spec, &options)?.asc().to_vec();
    let [a, b] = [asc.first().copied().unwrap_or(0), asc.get(1).copied().unwrap_or(0)];
    let (rate, channels) = ((a & 7) << 1 | b >> 7, b >> 3 & 0xF);
    // Sync, MPEG-4, no checksum; LC; buffer fullness "variable".
    let header = [0xFF, 0xF1, 1 << 6 | rate << 2 | channels >> 2, (channels & 3) << 6, 0, 0x1F, 0xFC];
    let lost = |field: &str| Loss { field: field.to_owned(), reason: "ADTS holds no metadata".to_owned() };
    let fields = metadata.fields.iter().map(|f| lost(&f.key));
    let pictures = metadata.pictures.iter().map(|_| lost("picture"));
    let chapters = metadata.chapters.iter().map(|_| lost("chapter"));
    let native = metadata.native.iter().map(|n| lost(&n.kind));
    let losses = fields.chain(pictures).chain(chapters).chain(native).collect();
    Ok(AacEncoder::new(spec, options, Box::new(Adts { out: Out::new(sink)?, header, losses }), pool))
}

/// Encodes the units of `piece`; those of the pre-roll are thrown away. The last piece has one unit more than samples: it
/// drains the overlap.
fn encode_piece(spec: Spec, options: &EncodeOptions, piece: &Piece) -> Result<Vec<Vec<u8>>> {
    let mut codec = codec(spec, options)?;
    let mut units = Vec::with_capacity(piece.count);
    let mut skip = piece.preroll;
    let mut take = |frame: syom::EncodedFrame<'_>| {
        if skip > 0 {
            skip -= 1;
        } else {
            units.push(frame.au.to_vec());
        }
        Ok(())
    };
    let planes: Vec<&[f32]> = piece.samples.iter().map(Vec::as_slice).collect();
    // One unit at a time: the codec copies what it is given.
    let length = planes.first().map_or(0, |p| p.len());
    for start in (0..length).step_by(FRAME) {
        let block: Vec<&[f32]> = planes.iter().map(|p| &p[start..(start + FRAME).min(length)]).collect();
        codec.feed(&block, &mut take).map_err(failed)?;
    }
    if units.len() != piece.count {
        return Err(Error::internal(format!("AAC encoder gave {} units of {}", units.len(), piece.count)));
    }
    Ok(units)
}

impl AacEncoder {
    fn new(
        spec: Spec,
        options: EncodeOptions,
        container: Box<dyn AacContainer>,
        pool: Option<Arc<ThreadPool>>,
    ) -> Self {
        let per_piece = (PIECE_CHANNEL_UNITS / spec.channels().max(1)).max(2 * PREROLL);
        Self {
            spec,
            options,
            container,
            cutter: Cutter::new(spec, FRAME, PREROLL, per_piece),
            jobs: Ordered::new(pool),
            clipped: 0,
            result: None,
        }
    }

    fn submit(&mut self, mut piece: Piece) -> Result<()> {
        // The codec refuses what is not a number or beyond full scale.
        for s in piece.samples.iter_mut().flatten() {
            *s = if s.is_nan() { 0.0 } else { s.clamp(-1.0, 1.0) };
        }
        let (spec, options) = (self.spec, self.options.clone());
        self.jobs.submit(move || encode_piece(spec, &options, &piece));
        while let Some(units) = self.jobs.next_if_crowded() {
            self.emit(&units?)?;
        }
        Ok(())
    }

    fn emit(&mut self, units: &[Vec<u8>]) -> Result<()> {
        units.iter().try_for_each(|u| self.container.unit(u))
    }

    /// Access units of a whole stream of `total` frames: one more than needed to hold them, for the overlap.
    fn units(total: u64) -> u64 {
        total.div_ceil(FRAME as u64) + 1
    }
}

impl Encoder for AacEncoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        self.clipped += block.channels().flatten().filter(|s| s.abs() > 1.0).count() as u64;
        self.cutter.push(block);
        while let Some(piece) = self.cutter.next() {
            self.submit(piece)?;
        }
        Ok(())
    }

    fn write_int(&mut self, _block: &IntBuffer) -> Result<()> {
        Err(Error::unsupported("integer samples for", "AAC"))
    }

    fn finish(&mut self) -> Result<Encoded> {
        let total = self.cutter.total();
        let units = Self::units(total);
        if self.result.is_none() {
            let piece = self.cutter.finish(units);
            self.submit(piece)?;
            while let Some(units) = self.jobs.next() {
                self.emit(&units?)?;
            }
            self.result = Some(self.container.finish(total)?);
        }
        Ok(Encoded {
            frames: total,
            bytes: self.result.unwrap_or_default(),
            delay_frames: DELAY,
            padding_frames: units * FRAME as u64 - DELAY - total,
            clipped_samples: self.clipped,
            dither: Dither::None,
            losses: self.container.losses(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::FormatSettings;
    use super::super::testing::{encode, encode_with, float_signal, spec};
    use super::*;
    use crate::formats::tags::Field;

    #[test]
    fn gapless_information_adds_up_in_every_place() {
        let (bytes, e) =
            encode(&FormatSettings::M4a(LossySettings::default()), &float_signal(spec(44_100, 1), 5000), 700);
        let at = |needle: &[u8]| bytes.windows(needle.len()).position(|w| w == needle).unwrap();
        // 5000 frames: 5 units and one for the overlap.
        assert_eq!((e.delay_frames, e.padding_frames), (1024, 6 * 1024 - 1024 - 5000));
        assert!(at(b" 00000000 00000400 00000078 0000000000001388") > 0, "iTunSMPB");
        let elst = at(b"elst") + 12;
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((number(elst), number(elst + 8)), (5000, 1024));
        let mdhd = at(b"mdhd") + 4 + 4 + 16 + 4;
        assert_eq!(number(mdhd), 6 * 1024);
        assert!(at(b"moov") < at(b"mdat"), "with a length in advance the tables stand in front");
    }

    #[test]
    fn adts_says_that_it_lost_the_tags() {
        let field = |k: &str| Field { key: k.into(), values: vec!["x".into()] };
        let metadata = Metadata { fields: vec![field("title"), field("artist")], ..Default::default() };
        let signal = float_signal(spec(48_000, 2), 3000);
        let (bytes, e) = encode_with(&FormatSettings::Adts(LossySettings::default()), &signal, 999, &metadata);
        assert_eq!(e.losses.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), ["title", "artist"]);
        // Every header's length leads to the next header.
        let mut at = 0;
        while at < bytes.len() {
            assert_eq!(bytes[at..at + 2], [0xFF, 0xF1]);
            let b = |i: usize| usize::from(bytes[at + i]);
            at += (b(3) & 3) << 11 | b(4) << 3 | b(5) >> 5;
        }
        assert_eq!(at, bytes.len());
    }
}
