//! FLAC writer: our own encoder, native container.
//!
//! Frames do not depend on each other, so pieces of several frames are encoded in parallel when a pool is given; the bytes
//! are the same for any number of threads. Source: RFC 9639.

mod frame;
mod lpc;
mod md5;
mod rice;

use std::sync::Arc;

use rayon::ThreadPool;

use self::frame::{Effort, FrameEncoder, StreamParams};
use self::md5::Md5;
use super::ints::IntInput;
use super::ordered::Ordered;
use super::out::Out;
use super::pcm::pack_ints;
use super::{Encoded, Encoder, FlacSettings, PcmSample, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::Result;
use crate::formats::tags::{Loss, Metadata, write};

/// Frames per job: long enough that handing over costs nothing, short enough that little memory is in flight.
const FRAMES_PER_JOB: usize = 16;
/// Room for later changes of the tags.
const PADDING_BYTES: u32 = 4096;
/// Seconds between seek points at the densest.
const SEEK_SECONDS: u64 = 10;
/// Seek points where the length is not known.
const SEEK_POINTS_UNKNOWN: u64 = 360;
const MAX_SEEK_POINTS: u64 = 2000;

const STREAMINFO_AT: u64 = 8;
const STREAMINFO_BYTES: usize = 34;

/// See the module.
pub(crate) struct FlacEncoder {
    spec: Spec,
    bits: u8,
    params: StreamParams,
    out: Out,
    input: IntInput,
    jobs: Ordered<Job>,
    next_frame: u64,
    /// First sample of the next frame that is written.
    seek_sample: u64,
    md5: Md5,
    md5_bytes: Vec<u8>,
    frame_sizes: Option<(u32, u32)>,
    seek: SeekTable,
    audio_at: u64,
    losses: Vec<Loss>,
    done: Option<[u8; 16]>,
}

/// Encoded frames of one piece.
struct Job {
    bytes: Vec<u8>,
    /// Length of each frame in bytes.
    sizes: Vec<u32>,
}

/// Seek points at even distances, thinned out as the stream grows beyond the room reserved for them.
struct SeekTable {
    at: u64,
    capacity: usize,
    /// First frame, byte offset from the first frame, number of samples.
    points: Vec<(u64, u64, u16)>,
    /// Least distance of two points in samples.
    distance: u64,
}

impl SeekTable {
    fn offer(&mut self, sample: u64, offset: u64, samples: u16) {
        if self.capacity == 0 {
            return;
        }
        if self.points.last().is_some_and(|(last, ..)| sample < last + self.distance) {
            return;
        }
        self.points.push((sample, offset, samples));
        if self.points.len() > self.capacity {
            self.distance *= 2;
            let mut keep = 0;
            let distance = self.distance;
            self.points.retain(|(s, ..)| {
                let wanted = *s >= keep;
                if wanted {
                    keep = s + distance;
                }
                wanted
            });
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut b = Vec::with_capacity(self.capacity * 18);
        for (sample, offset, n) in self.points.iter().take(self.capacity) {
            b.extend_from_slice(&sample.to_be_bytes());
            b.extend_from_slice(&offset.to_be_bytes());
            b.extend_from_slice(&n.to_be_bytes());
        }
        while b.len() < self.capacity * 18 {
            b.extend_from_slice(&u64::MAX.to_be_bytes()); // placeholder point
            b.extend_from_slice(&[0; 10]);
        }
        b
    }
}

impl FlacEncoder {
    /// Writes the metadata blocks. `settings` must be complete, as [`super::negotiate`] makes them.
    pub fn new(
        spec: Spec,
        settings: &FlacSettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Self> {
        let bits = settings.bits.unwrap_or(24);
        let effort = Effort::of_level(settings.level.unwrap_or(5));
        let params = StreamParams { rate_hz: spec.rate_hz, channels: spec.channels(), bits: u32::from(bits), effort };
        let mut out = Out::new(sink)?;
        let write::FlacBlocks { mut blocks, losses } = write::flac_blocks(metadata, &vendor(), spec.rate_hz);
        if usual_mask(spec) != spec.layout.mask()
            && spec.layout.mask() != 0
            && let Some((_, comment)) = blocks.iter_mut().find(|(kind, _)| *kind == 4)
        {
            add_channel_mask(comment, spec.layout.mask());
        }
        let distance = SEEK_SECONDS * u64::from(spec.rate_hz);
        let capacity =
            frames_hint.map_or(SEEK_POINTS_UNKNOWN, |n| n.div_ceil(distance.max(1)).min(MAX_SEEK_POINTS)) as usize;
        let mut head = b"fLaC".to_vec();
        head.extend_from_slice(&[0, 0, 0, STREAMINFO_BYTES as u8]);
        head.resize(head.len() + STREAMINFO_BYTES, 0);
        let seek_at = head.len() as u64 + 4;
        if capacity > 0 {
            push_block_header(&mut head, 3, capacity * 18);
            head.resize(head.len() + capacity * 18, 0xFF);
        }
        for (kind, body) in &blocks {
            push_block_header(&mut head, *kind, body.len());
            head.extend_from_slice(body);
        }
        push_block_header(&mut head, 0x80 | 1, PADDING_BYTES as usize);
        head.resize(head.len() + PADDING_BYTES as usize, 0);
        out.write(&head)?;
        let mut encoder = Self {
            spec,
            bits,
            params,
            audio_at: out.position(),
            out,
            input: IntInput::new(spec, bits, settings.dither),
            jobs: Ordered::new(pool),
            next_frame: 0,
            seek_sample: 0,
            md5: Md5::default(),
            md5_bytes: Vec::new(),
            frame_sizes: None,
            seek: SeekTable { at: seek_at, capacity, points: Vec::new(), distance: distance.max(1) },
            losses,
            done: None,
        };
        encoder.write_stream_info([0; 16])?;
        Ok(encoder)
    }

    fn write_stream_info(&mut self, digest: [u8; 16]) -> Result<()> {
        let block = self.params.effort.block as u16;
        let (smallest, largest) = self.frame_sizes.unwrap_or((0, 0));
        let mut b = Vec::with_capacity(STREAMINFO_BYTES);
        b.extend_from_slice(&block.to_be_bytes());
        b.extend_from_slice(&block.to_be_bytes());
        b.extend_from_slice(&smallest.to_be_bytes()[1..]);
        b.extend_from_slice(&largest.to_be_bytes()[1..]);
        // 20 bits rate, 3 channels - 1, 5 bits - 1, 36 length (0 = unknown beyond that).
        let length = if self.input.frames() >> 36 == 0 { self.input.frames() } else { 0 };
        let packed = u64::from(self.params.rate_hz) << 44
            | (self.params.channels as u64 - 1) << 41
            | (u64::from(self.bits) - 1) << 36
            | length;
        b.extend_from_slice(&packed.to_be_bytes());
        b.extend_from_slice(&digest);
        self.out.patch(STREAMINFO_AT, &b)
    }

    /// Hashes the input from `from` on and encodes what is complete.
    fn take(&mut self, from: usize, last: bool) -> Result<()> {
        let fresh = self.input.since(from);
        let sample = match self.bits {
            16 => PcmSample::S16,
            24 => PcmSample::S24,
            _ => PcmSample::S32,
        };
        pack_ints(&mut self.md5_bytes, &fresh, sample, false, 0);
        self.md5.update(&self.md5_bytes);
        let piece = self.params.effort.block * FRAMES_PER_JOB;
        while let Some(samples) = self.input.take(piece, last) {
            let (params, number) = (self.params, self.next_frame);
            self.next_frame += samples[0].len().div_ceil(self.params.effort.block) as u64;
            self.jobs.submit(move || Ok(encode_piece(params, number, &samples)));
            while let Some(job) = self.jobs.next_if_crowded() {
                self.emit(&job?)?;
            }
        }
        Ok(())
    }

    fn emit(&mut self, job: &Job) -> Result<()> {
        let mut offset = self.out.position() - self.audio_at;
        for size in &job.sizes {
            let (smallest, largest) = self.frame_sizes.unwrap_or((*size, *size));
            self.frame_sizes = Some((smallest.min(*size), largest.max(*size)));
            let sample = self.seek_sample;
            self.seek.offer(sample, offset, self.params.effort.block as u16);
            self.seek_sample += self.params.effort.block as u64;
            offset += u64::from(*size);
        }
        self.out.write(&job.bytes)
    }
}

/// Encodes consecutive frames.
fn encode_piece(params: StreamParams, number: u64, samples: &[Vec<i32>]) -> Job {
    let mut encoder = FrameEncoder::new(params);
    let length = samples.first().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(length * samples.len() * 2);
    let mut sizes = Vec::with_capacity(FRAMES_PER_JOB);
    for (i, start) in (0..length).step_by(params.effort.block).enumerate() {
        let end = (start + params.effort.block).min(length);
        let channels: Vec<&[i32]> = samples.iter().map(|c| &c[start..end]).collect();
        let before = bytes.len();
        bytes = encoder.encode(number + i as u64, &channels, bytes);
        sizes.push((bytes.len() - before) as u32);
    }
    Job { bytes, sizes }
}

fn vendor() -> String {
    super::VENDOR.to_owned()
}

fn push_block_header(to: &mut Vec<u8>, kind: u8, length: usize) {
    to.push(kind);
    to.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
}

/// The mask that a FLAC reader assumes for this number of channels (RFC 9639 table 22).
fn usual_mask(spec: Spec) -> u32 {
    crate::audio::ChannelLayout::from_count(spec.channels()).mask()
}

/// Adds WAVEFORMATEXTENSIBLE_CHANNEL_MASK (RFC 9639 section 8.6.2) to a comment block.
fn add_channel_mask(block: &mut Vec<u8>, mask: u32) {
    let Some(vendor) = block.get(..4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize) else { return };
    let at = 4 + vendor;
    let Some(count) = block.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])) else { return };
    block[at..at + 4].copy_from_slice(&(count + 1).to_le_bytes());
    let field = format!("WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x{mask:04X}");
    block.extend_from_slice(&(field.len() as u32).to_le_bytes());
    block.extend_from_slice(field.as_bytes());
}

impl Encoder for FlacEncoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        let from = self.input.write(block)?;
        self.take(from, false)
    }

    fn write_int(&mut self, block: &IntBuffer) -> Result<()> {
        let from = self.input.write_int(block)?;
        self.take(from, false)
    }

    fn finish(&mut self) -> Result<Encoded> {
        if self.done.is_none() {
            let from = self.input.held();
            self.take(from, true)?;
            while let Some(job) = self.jobs.next() {
                self.emit(&job?)?;
            }
            let digest = std::mem::take(&mut self.md5).finish();
            self.done = Some(digest);
            self.write_stream_info(digest)?;
            if self.seek.capacity > 0 {
                let table = self.seek.bytes();
                self.out.patch(self.seek.at, &table)?;
            }
        }
        Ok(Encoded {
            frames: self.input.frames(),
            bytes: self.out.finish()?,
            delay_frames: 0,
            padding_frames: 0,
            clipped_samples: self.input.clipped(),
            dither: self.input.dither(),
            losses: std::mem::take(&mut self.losses),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::FormatSettings;
    use super::super::testing::{encode_int, int_signal, spec};
    use super::*;

    #[test]
    fn an_independent_decoder_gives_back_the_samples() {
        for (bits, channels, frames) in [(16_u8, 2, 10_001), (24, 1, 4096), (16, 5, 17), (24, 2, 70_000)] {
            let signal = int_signal(spec(48_000, channels), bits, frames);
            let (bytes, e) = encode_int(&FormatSettings::Flac(FlacSettings::default()), &signal, bits);
            assert_eq!((e.frames, e.dither), (frames as u64, super::super::Dither::None));
            let mut reader = flac_codec::decode::FlacSampleReader::new(std::io::Cursor::new(bytes)).unwrap();
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            let mut want = Vec::new();
            signal.interleave_into(&mut want);
            want.iter_mut().for_each(|s| *s >>= 32 - u32::from(bits));
            assert!(got == want, "{bits} bits, {channels} channels, {frames} frames");
        }
    }

    #[test]
    fn seek_points_thin_out_to_the_room_there_is() {
        let mut table = SeekTable { at: 0, capacity: 5, points: Vec::new(), distance: 100 };
        for i in 0..1000 {
            table.offer(i * 50, i * 7, 50);
        }
        assert!((3..=5).contains(&table.points.len()));
        assert!(table.points.windows(2).all(|w| w[1].0 >= w[0].0 + table.distance));
        assert_eq!(table.bytes().len(), 5 * 18);
    }
}
