//! AIFF and AIFF-C.
//!
//! Sources: Apple "Audio Interchange File Format 1.3" (1989), "AIFF-C draft" (1991); the compression types that QuickTime
//! added (`sowt`, `in24`, `fl32`, ...) are those of Apple's "QuickTime File Format", sound sample descriptions.

use super::Decoder;
use super::adpcm::ImaQt;
use super::blocks::{BlockCodec, BlockReader, Extent};
use super::caf::layout_of_tag;
use super::input::{Input, be};
use super::pcm::{Coding, Pcm};
use super::stream::StreamDecoder;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::{Codec, Container, Damage, Duration, ReadOptions, SampleFormat, StreamInfo};

const MAX_CHUNKS: usize = 100_000;

/// The COMM chunk.
struct Common {
    channels: usize,
    frames: u64,
    bits: usize,
    rate_hz: u32,
    /// `NONE` for AIFF.
    compression: [u8; 4],
}

impl Common {
    fn parse(chunk: &[u8], offset: u64) -> Result<Self> {
        let bad = |detail: String| Error::malformed("AIFF COMM chunk", offset, detail);
        let Some(rate) = chunk.get(8..18) else {
            return Err(bad(format!("{} bytes, at least 18 needed", chunk.len())));
        };
        let rate = extended(rate);
        let channels = be(chunk, 0, 2) as usize;
        if channels == 0 || !(0.5..=4e9).contains(&rate) {
            return Err(bad(format!("{channels} channels, {rate} Hz")));
        }
        Ok(Self {
            channels,
            frames: be(chunk, 2, 4),
            bits: be(chunk, 6, 2) as usize,
            rate_hz: rate.round() as u32,
            compression: chunk.get(18..22).and_then(|c| c.try_into().ok()).unwrap_or(*b"NONE"),
        })
    }

    /// PCM and its significant bits, or none when the data is something else.
    fn pcm(&self) -> Option<(Pcm, usize)> {
        let width = self.bits.div_ceil(8);
        let (coding, width, big_endian, bits) = match &self.compression {
            b"NONE" | b"twos" | b"lpcm" => (Coding::Signed, width, true, self.bits),
            b"sowt" => (Coding::Signed, width, false, self.bits),
            b"raw " => (Coding::Unsigned, width, true, self.bits),
            b"in24" => (Coding::Signed, 3, true, 24),
            b"42ni" => (Coding::Signed, 3, false, 24),
            b"in32" => (Coding::Signed, 4, true, 32),
            b"23ni" => (Coding::Signed, 4, false, 32),
            b"fl32" | b"FL32" => (Coding::Float, 4, true, 32),
            b"fl64" | b"FL64" => (Coding::Float, 8, true, 64),
            b"alaw" | b"ALAW" => (Coding::ALaw, 1, true, 16),
            b"ulaw" | b"ULAW" => (Coding::MuLaw, 1, true, 16),
            _ => return None,
        };
        (1..=8).contains(&width).then_some((Pcm { coding, width, channels: self.channels, big_endian }, bits))
    }
}

/// Opens an AIFF or AIFF-C file; `input` stands at its first byte.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let Some(head) = input.array::<12>()? else {
        return Err(Error::malformed("AIFF header", input.absolute(0), "shorter than 12 bytes"));
    };
    let container = if &head[8..12] == b"AIFC" { Container::Aifc } else { Container::Aiff };
    let (mut common, mut sound, mut layout) = (None, None, None);
    for _ in 0..MAX_CHUNKS {
        let Some(head) = input.array::<8>()? else { break };
        let (size, body) = (be(&head, 4, 4), input.position());
        match &head[..4] {
            b"COMM" if common.is_none() => {
                let chunk = input.bytes(size, 512)?;
                common = Some(Common::parse(&chunk, input.absolute(body))?);
            }
            b"SSND" if sound.is_none() => {
                let offset = input.array::<8>()?.map_or(0, |h| be(&h, 0, 4));
                let start = body.saturating_add(8).saturating_add(offset).min(input.len());
                sound = Some((start, size.saturating_sub(8).saturating_sub(offset)));
            }
            b"CHAN" => {
                let chunk = input.bytes(size, 12)?;
                layout = Some((be(&chunk, 0, 4) as u32, be(&chunk, 4, 4) as u32));
            }
            _ => {}
        }
        let next = body.saturating_add(size).saturating_add(size & 1);
        if next >= input.len() {
            break;
        }
        input.seek(next)?;
    }
    let missing = |what: &str| Error::malformed("AIFF", input.absolute(input.len()), format!("no {what} chunk"));
    let common = common.ok_or_else(|| missing("COMM"))?;
    // The specification allows leaving SSND out when there are no frames.
    let (start, stated) = match sound {
        Some(s) => s,
        None if common.frames == 0 => (input.len(), 0),
        None => return Err(missing("SSND")),
    };
    let there = input.len() - start;
    let mut found = Damage::default();
    // A size of 0 in a file that claims frames is a recorder's that was cut off.
    let open_ended = stated == 0 && common.frames > 0 || stated >= 0xFFFF_FFF0;
    if stated > there && !open_ended {
        found.truncated = true;
        found.note(None, Some(input.absolute(start)), format!("SSND chunk of {stated} bytes, {there} are there"));
    }
    let bytes = if open_ended { there } else { stated.min(there) };
    let layout = layout
        .and_then(|(tag, bitmap)| layout_of_tag(tag, bitmap, common.channels))
        .unwrap_or_else(|| ChannelLayout::from_count(common.channels));
    build(input, &common, container, layout, (start, bytes), found, options)
}

fn build(
    input: Input,
    common: &Common,
    container: Container,
    layout: ChannelLayout,
    (start, bytes): (u64, u64),
    found: Damage,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    let mut info = StreamInfo {
        container,
        codec: Codec::AdpcmIma,
        spec: Spec::new(common.rate_hz, layout),
        sample_format: SampleFormat::Int(16),
        duration: None,
        bit_rate_kbps: None,
        delay_frames: 0,
        padding_frames: 0,
    };
    let mut extent = Extent { start, bytes, stated_frames: None };
    if let Some((pcm, bits)) = common.pcm() {
        (info.codec, info.sample_format) = pcm.describe(bits);
        // Chunks padded to a whole sector say their true length in COMM.
        extent.stated_frames = Some(common.frames).filter(|n| *n > 0);
        return finish(input, pcm, info, extent, found, options);
    }
    if &common.compression == b"ima4" {
        let codec = ImaQt::new(common.channels);
        // Writers disagree whether COMM counts packets of 64 frames or frames.
        let blocks = bytes / codec.block_bytes() as u64;
        let last_block = blocks.saturating_sub(1) * 64 + 1..=blocks * 64;
        extent.stated_frames = if common.frames > 0 && common.frames < blocks && common.frames * 64 <= blocks * 64 {
            Some(common.frames * 64)
        } else {
            Some(common.frames).filter(|n| last_block.contains(n))
        };
        return finish(input, codec, info, extent, found, options);
    }
    let compression = String::from_utf8_lossy(&common.compression).into_owned();
    if matches!(&common.compression, b"NONE" | b"twos" | b"sowt" | b"raw " | b"lpcm") {
        return Err(Error::unsupported("PCM width", format!("{} bits", common.bits)));
    }
    let (media, len) = input.into_media()?;
    match super::compressed::open(media, len, options) {
        Err(Error::NotAudio { .. }) => Err(Error::unsupported("AIFF-C compression", compression)),
        other => other,
    }
}

fn finish<C: BlockCodec + 'static>(
    input: Input,
    codec: C,
    mut info: StreamInfo,
    extent: Extent,
    found: Damage,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    info.duration = Some(Duration { frames: extent.frames(&codec), exact: true });
    let bits_per_frame = codec.block_bytes() as f64 * 8.0 / codec.block_frames() as f64;
    info.bit_rate_kbps = Some(f64::from(info.spec.rate_hz) * bits_per_frame / 1000.0);
    let reader = BlockReader::new(input, codec, info, extent, found)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

/// IEEE 754 80-bit extended precision, big-endian, to f64. NaN and infinities as such.
fn extended(bytes: &[u8]) -> f64 {
    let (head, mantissa) = (be(bytes, 0, 2), be(bytes, 2, 8));
    let sign = if head & 0x8000 != 0 { -1.0 } else { 1.0 };
    match (head & 0x7FFF) as i32 {
        0x7FFF if mantissa << 1 == 0 => sign * f64::INFINITY,
        0x7FFF => f64::NAN,
        exponent => sign * mantissa as f64 * 2.0_f64.powi((exponent - 16_383 - 63).clamp(-1000, 900)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::IntBuffer;

    /// 44100 = 0xAC44: exponent 15, mantissa left-justified.
    const RATE_44100: [u8; 10] = [0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0];

    fn file(kind: &[u8; 4], channels: u16, frames: u32, bits: u16, compression: &[u8], data: &[u8]) -> Vec<u8> {
        let mut comm = channels.to_be_bytes().to_vec();
        comm.extend(frames.to_be_bytes());
        comm.extend(bits.to_be_bytes());
        comm.extend(RATE_44100);
        comm.extend(compression);
        let ssnd = [&[0; 8], data].concat();
        let mut f = [b"FORM", &[0; 4], &kind[..]].concat();
        for (id, body) in [(b"SSND", ssnd), (b"COMM", comm)] {
            f.extend(id);
            f.extend((body.len() as u32).to_be_bytes());
            f.extend(&body);
            f.extend(&[0][..body.len() % 2]);
        }
        f
    }

    fn decode(f: Vec<u8>) -> Result<(StreamInfo, Vec<Vec<i32>>)> {
        let len = f.len() as u64;
        let mut d = open(Input::new(Box::new(Cursor::new(f)), len, 0)?, &ReadOptions::default())?;
        let mut block = IntBuffer::new(d.info().spec, 0);
        d.read_int(&mut block, 1000)?;
        Ok((d.info().clone(), block.channels().map(<[i32]>::to_vec).collect()))
    }

    #[test]
    fn rates_are_80_bit_floats() {
        assert_eq!(extended(&RATE_44100), 44_100.0);
        assert_eq!(extended(&[0x3F, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1.0);
        assert!(extended(&[0x7F, 0xFF, 0xC0, 0, 0, 0, 0, 0, 0, 0]).is_nan());
        assert_eq!(extended(&[0xFF, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]), f64::NEG_INFINITY);
    }

    #[test]
    fn byte_orders_and_widths() {
        let (info, s) = decode(file(b"AIFF", 1, 2, 16, b"", &[0, 1, 0xFF, 0xFE])).unwrap();
        assert_eq!((info.spec.rate_hz, info.container), (44_100, Container::Aiff));
        assert_eq!(s, [[1 << 16, -2 << 16]]);
        let (_, s) = decode(file(b"AIFC", 1, 2, 16, b"sowt\0\0", &[1, 0, 0xFE, 0xFF])).unwrap();
        assert_eq!(s, [[1 << 16, -2 << 16]]);
        let (info, s) = decode(file(b"AIFF", 2, 1, 12, b"", &[0x12, 0x30, 0xFF, 0xF0])).unwrap();
        assert_eq!((info.sample_format, s), (SampleFormat::Int(12), vec![vec![0x1230 << 16], vec![-16 << 16]]));
        let (_, s) = decode(file(b"AIFC", 1, 2, 8, b"raw \0\0", &[0, 0x81])).unwrap();
        assert_eq!(s, [[i32::MIN, 1 << 24]]);
    }

    #[test]
    fn frames_of_comm_count_when_fewer() {
        let (info, s) = decode(file(b"AIFF", 1, 1, 8, b"", &[1, 2, 3])).unwrap();
        assert_eq!((info.duration, s), (Some(Duration { frames: 1, exact: true }), vec![vec![1 << 24]]));
        let (info, _) = decode(file(b"AIFF", 1, u32::MAX, 8, b"", &[1, 2, 3])).unwrap();
        assert_eq!(info.duration, Some(Duration { frames: 3, exact: true }));
    }

    #[test]
    fn refusals_name_the_cause() {
        let unknown = decode(file(b"AIFC", 1, 1, 16, b"QDM2\0\0", &[0; 40]));
        assert!(matches!(unknown, Err(Error::Unsupported { value, .. }) if value == "QDM2"));
        assert!(matches!(decode(file(b"AIFF", 0, 1, 16, b"", &[0; 4])), Err(Error::Malformed { .. })));
        assert!(matches!(decode(file(b"AIFF", 1, 1, 99, b"", &[0; 4])), Err(Error::Unsupported { .. })));
    }
}
