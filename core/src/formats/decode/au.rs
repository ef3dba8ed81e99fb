//! Sun/NeXT audio: `.au`, `.snd`.
//!
//! Source: the manual page audio(5) of SunOS / `<multimedia/audio_filehdr.h>`. Both byte orders occur.

use super::Decoder;
use super::blocks::{BlockCodec, BlockReader, Extent};
use super::input::{Input, be, le};
use super::pcm::{Coding, Pcm};
use super::stream::StreamDecoder;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::{Container, Damage, Duration, ReadOptions, StreamInfo};

/// Opens an AU file; `input` stands at its first byte.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let Some(head) = input.array::<24>()? else {
        return Err(Error::malformed("AU header", input.absolute(0), "shorter than 24 bytes"));
    };
    let big_endian = head.starts_with(b".snd");
    let int = |at| if big_endian { be(&head, at, 4) } else { le(&head, at, 4) };
    let (start, size, encoding, rate, channels) = (int(4), int(8), int(12), int(16), int(20));
    let (coding, width) = match encoding {
        1 => (Coding::MuLaw, 1),
        2..=5 => (Coding::Signed, encoding as usize - 1),
        6 => (Coding::Float, 4),
        7 => (Coding::Float, 8),
        27 => (Coding::ALaw, 1),
        other => return Err(Error::unsupported("AU encoding", format!("number {other}"))),
    };
    if rate == 0 || channels == 0 || channels > u64::from(u16::MAX) || start < 24 || start > input.len() {
        let detail = format!("{rate} Hz, {channels} channels, data at byte {start}");
        return Err(Error::malformed("AU header", input.absolute(0), detail));
    }
    let channels = channels as usize;
    let there = input.len() - start;
    let mut found = Damage::default();
    if size > there && size != 0xFFFF_FFFF {
        found.truncated = true;
        found.note(None, Some(input.absolute(8)), format!("{size} bytes of audio stated, {there} are there"));
    }
    let pcm = Pcm { coding, width, channels, big_endian };
    let extent = Extent { start, bytes: if size == 0 { there } else { size.min(there) }, stated_frames: None };
    let (codec, sample_format) = pcm.describe(width * 8);
    let info = StreamInfo {
        container: Container::Au,
        codec,
        spec: Spec::new(rate as u32, ChannelLayout::from_count(channels)),
        sample_format,
        duration: Some(Duration { frames: extent.frames(&pcm), exact: true }),
        bit_rate_kbps: Some(rate as f64 * pcm.block_bytes() as f64 * 8.0 / 1000.0),
        delay_frames: 0,
        padding_frames: 0,
    };
    let reader = BlockReader::new(input, pcm, info, extent, found)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::{Buffer, IntBuffer};
    use crate::formats::{Codec, SampleFormat};

    fn file(big: bool, size: u32, encoding: u32, channels: u32, data: &[u8]) -> Vec<u8> {
        let mut f = if big { b".snd".to_vec() } else { b"dns.".to_vec() };
        for v in [28, size, encoding, 8000, channels] {
            f.extend(if big { u32::to_be_bytes(v) } else { v.to_le_bytes() });
        }
        f.extend([0; 4]);
        f.extend(data);
        f
    }

    fn decoder(f: Vec<u8>) -> Result<Box<dyn Decoder>> {
        let len = f.len() as u64;
        open(Input::new(Box::new(Cursor::new(f)), len, 0)?, &ReadOptions::default())
    }

    #[test]
    fn both_byte_orders_and_unknown_size() {
        for (big, data) in [(true, [1, 2, 3, 4]), (false, [2, 1, 4, 3])] {
            for size in [4, 0, u32::MAX] {
                let mut d = decoder(file(big, size, 3, 2, &data)).unwrap();
                assert_eq!(d.info().sample_format, SampleFormat::Int(16));
                let mut block = IntBuffer::new(d.info().spec, 0);
                assert_eq!(d.read_int(&mut block, 10).unwrap(), 1);
                assert_eq!((block.channel(0)[0], block.channel(1)[0]), (0x0102 << 16, 0x0304 << 16));
            }
        }
    }

    #[test]
    fn doubles_and_refusals() {
        let mut d = decoder(file(true, 8, 7, 1, &0.25_f64.to_be_bytes())).unwrap();
        assert_eq!((d.info().codec, d.info().sample_format), (Codec::PcmFloat, SampleFormat::Float(64)));
        let mut block = Buffer::new(d.info().spec, 0);
        d.read(&mut block, 10).unwrap();
        assert_eq!(block.channel(0), [0.25]);
        assert!(matches!(decoder(file(true, 8, 23, 1, &[0; 8])), Err(Error::Unsupported { .. })));
        assert!(matches!(decoder(file(true, 8, 3, 0, &[0; 8])), Err(Error::Malformed { .. })));
        assert!(matches!(decoder(file(true, 8, 3, 70_000, &[0; 8])), Err(Error::Malformed { .. })));
        assert!(decoder(file(true, 80, 3, 1, &[0; 8])).unwrap().damage().truncated);
    }
}
