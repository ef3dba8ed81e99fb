//! Vorbis in Ogg through `vorbis_rs` (libvorbis with aoTuV and Lancer): feature `vorbis`, which brings C.
//!
//! The library writes its own pages and trims the end to the frame. It runs on a thread of its own: its state may not move
//! between threads.

use std::io::Write;
use std::num::{NonZeroU8, NonZeroU32};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use vorbis_rs::{VorbisBitrateManagementStrategy as Strategy, VorbisEncoderBuilder};

use super::negotiate::vorbis_order;
use super::out::Out;
use super::pcm::check_spec;
use super::{BitRate, Dither, Encoded, Encoder, LossySettings, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata, write};

/// Serial number of the only stream, as in the Opus writer.
const SERIAL: i32 = 0x444E_5350;
/// Blocks waiting for the thread.
const QUEUE: usize = 4;

/// [`Out`] as the library wants it.
struct Writer(Out);

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self.0.write(buf) {
            Ok(()) => Ok(buf.len()),
            Err(Error::Io { source, .. }) => Err(source),
            Err(e) => Err(std::io::Error::other(e)),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// See the module.
pub(crate) struct VorbisEncoder {
    spec: Spec,
    blocks: Option<Sender<Vec<Vec<f32>>>>,
    thread: Option<JoinHandle<Result<u64>>>,
    frames: u64,
    bytes: u64,
    losses: Vec<Loss>,
}

fn failed(e: vorbis_rs::VorbisError) -> Error {
    match e {
        vorbis_rs::VorbisError::Io(source) => Error::io("write", None, source),
        e => Error::internal(format!("Vorbis encoder: {e}")),
    }
}

/// Fields of a Vorbis comment block (without its vendor: the library names its own).
fn fields(block: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| block.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    let mut fields = Vec::new();
    let Some(mut at) = number(0).map(|n| n + 8) else { return fields };
    while let Some(n) = number(at) {
        let Some(text) = block.get(at + 4..at + 4 + n) else { break };
        if let Some((key, value)) = String::from_utf8_lossy(text).split_once('=') {
            fields.push((key.to_owned(), value.to_owned()));
        }
        at += 4 + n;
    }
    fields
}

impl VorbisEncoder {
    /// Starts the encoder's thread. `settings` must be complete, as `negotiate` makes them.
    pub fn new(spec: Spec, settings: &LossySettings, sink: Box<dyn Sink>, metadata: &Metadata) -> Result<Self> {
        let bad = |what: &str| Error::internal(format!("Vorbis encoder for {what}"));
        let rate = NonZeroU32::new(spec.rate_hz).ok_or_else(|| bad("0 Hz"))?;
        let channels =
            u8::try_from(spec.channels()).ok().and_then(NonZeroU8::new).ok_or_else(|| bad("too many channels"))?;
        let strategy = match settings.bit_rate {
            Some(BitRate::Quality(q)) => Strategy::QualityVbr { target_quality: q * 1.1 - 0.1 },
            Some(BitRate::Kbps(kbps)) => Strategy::Vbr {
                target_bitrate: NonZeroU32::new(kbps.saturating_mul(1000)).ok_or_else(|| bad("0 kbit/s"))?,
            },
            None => Strategy::default(),
        };
        let comment = write::vorbis_comment_with_pictures(metadata, super::VENDOR);
        let tags = fields(&comment.bytes);
        let out = Out::new(sink)?;
        let (blocks, receiver) = bounded::<Vec<Vec<f32>>>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("vorbis".into())
            .spawn(move || {
                let mut encoder = VorbisEncoderBuilder::new_with_serial(rate, channels, Writer(out), SERIAL)
                    .bitrate_management_strategy(strategy)
                    .comment_tags(tags)
                    .and_then(|b| b.build())
                    .map_err(failed)?;
                for block in receiver {
                    encoder.encode_audio_block(&block).map_err(failed)?;
                }
                encoder.finish().map_err(failed)?.0.finish()
            })
            .map_err(|e| Error::io("start a thread", None, e))?;
        Ok(Self { spec, blocks: Some(blocks), thread: Some(thread), frames: 0, bytes: 0, losses: comment.losses })
    }

    /// What the thread ended with.
    fn join(&mut self) -> Result<u64> {
        self.blocks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::internal("the Vorbis encoder's thread panicked")),
            None => Ok(self.bytes),
        }
    }
}

impl Encoder for VorbisEncoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        // The library's own limit on one call is the size of an i32; small pieces also bound its memory.
        for start in (0..block.frames()).step_by(4096) {
            let end = (start + 4096).min(block.frames());
            let piece: Vec<Vec<f32>> = vorbis_order(self.spec.channels())
                .iter()
                .map(|c| block.channel(*c)[start..end].iter().map(|s| if s.is_finite() { *s } else { 0.0 }).collect())
                .collect();
            if self.blocks.as_ref().is_none_or(|b| b.send(piece).is_err()) {
                return self.join().and(Err(Error::Unavailable { what: "the Vorbis encoder's thread".into() }));
            }
        }
        self.frames += block.frames() as u64;
        Ok(())
    }

    fn write_int(&mut self, _block: &IntBuffer) -> Result<()> {
        Err(Error::unsupported("integer samples for", "Vorbis"))
    }

    fn finish(&mut self) -> Result<Encoded> {
        self.bytes = self.join()?;
        Ok(Encoded {
            frames: self.frames,
            bytes: self.bytes,
            delay_frames: 0,
            padding_frames: 0,
            clipped_samples: 0,
            dither: Dither::None,
            losses: std::mem::take(&mut self.losses),
        })
    }
}
