//! What the encoders' tests share: a sink whose bytes stay readable, signals, and blocks of any size.

use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Encoded, Encoder, FormatSettings, create, negotiate};
use crate::audio::{Buffer, ChannelLayout, IntBuffer, Spec};
use crate::formats::SampleFormat;
use crate::formats::tags::Metadata;

/// A sink in memory that can be read after the encoder took its clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedSink(Arc<Mutex<Cursor<Vec<u8>>>>);

impl SharedSink {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_ref().clone()
    }
}
impl Write for SharedSink {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
impl Seek for SharedSink {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seek(pos)
    }
}

/// Integers of `bits` bits, left-justified: a sine with harmonics and some noise, different in each channel.
pub(crate) fn int_signal(spec: Spec, bits: u8, frames: usize) -> IntBuffer {
    let channels: Vec<Vec<i32>> = (0..spec.channels())
        .map(|c| {
            let mut noise = 12_345_u32 + c as u32;
            (0..frames)
                .map(|i| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let t = i as f64 * (0.01 + 0.003 * c as f64);
                    let v = 0.5 * t.sin() + 0.2 * (2.7 * t).sin() + 0.05 * (f64::from(noise) / 4_294_967_296.0 - 0.5);
                    let q = (v * ((1_u64 << (bits - 1)) as f64)).round() as i64;
                    (q as i32) << (32 - u32::from(bits))
                })
                .collect()
        })
        .collect();
    IntBuffer::from_channels(spec, &channels)
}

/// The same as floats.
pub(crate) fn float_signal(spec: Spec, frames: usize) -> Buffer {
    let ints = int_signal(spec, 24, frames);
    let mut floats = Buffer::new(spec, frames);
    floats.copy_from_int(&ints);
    floats
}

pub(crate) fn spec(rate_hz: u32, channels: usize) -> Spec {
    Spec::new(rate_hz, ChannelLayout::from_count(channels))
}

/// Encodes `block` in blocks of `size` frames; gives the file and the result.
pub(crate) fn encode(settings: &FormatSettings, block: &Buffer, size: usize) -> (Vec<u8>, Encoded) {
    encode_with(settings, block, size, &Metadata::default())
}

/// As [`encode`], with metadata.
pub(crate) fn encode_with(
    settings: &FormatSettings,
    block: &Buffer,
    size: usize,
    metadata: &Metadata,
) -> (Vec<u8>, Encoded) {
    let negotiated = negotiate(settings, block.spec(), SampleFormat::Float(32)).unwrap();
    assert_eq!(negotiated.spec, block.spec());
    let sink = SharedSink::default();
    let mut encoder = create(&negotiated, Box::new(sink.clone()), metadata, Some(block.frames() as u64)).unwrap();
    feed(encoder.as_mut(), block, size);
    let encoded = encoder.finish().unwrap();
    assert_eq!(encoded.bytes, sink.bytes().len() as u64);
    (sink.bytes(), encoded)
}

pub(crate) fn feed(encoder: &mut dyn Encoder, block: &Buffer, size: usize) {
    let mut part = Buffer::new(block.spec(), size);
    let mut at = 0;
    while at < block.frames() {
        let n = size.min(block.frames() - at);
        part.copy_from(block, at, n);
        encoder.write(&part).unwrap();
        at += n;
    }
}

/// Encodes integers exactly.
pub(crate) fn encode_int(settings: &FormatSettings, block: &IntBuffer, bits: u8) -> (Vec<u8>, Encoded) {
    let negotiated = negotiate(settings, block.spec(), SampleFormat::Int(bits)).unwrap();
    let sink = SharedSink::default();
    let mut encoder = create(&negotiated, Box::new(sink.clone()), &Metadata::default(), None).unwrap();
    encoder.write_int(block).unwrap();
    let encoded = encoder.finish().unwrap();
    (sink.bytes(), encoded)
}
