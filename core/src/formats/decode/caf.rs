//! Core Audio Format.
//!
//! Source: Apple "Core Audio Format Specification 1.0". Linear PCM, A-law, mu-law and IMA4 are read here; other codecs go to
//! [`super::compressed`].

use super::Decoder;
use super::adpcm::ImaQt;
use super::blocks::{BlockCodec, BlockReader, Extent};
use super::input::{Input, be};
use super::pcm::{Coding, Pcm};
use super::stream::StreamDecoder;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::{Codec, Container, Damage, Duration, ReadOptions, SampleFormat, StreamInfo};

const MAX_CHUNKS: usize = 100_000;
const FLAG_FLOAT: u32 = 1;
const FLAG_LITTLE_ENDIAN: u32 = 2;

struct Description {
    rate_hz: f64,
    format: [u8; 4],
    flags: u32,
    bytes_per_packet: u64,
    channels: usize,
    bits: usize,
}

/// Opens a CAF file; `input` stands at its first byte.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    input.seek(8)?;
    let (mut desc, mut data, mut layout, mut packets) = (None, None, None, None);
    for _ in 0..MAX_CHUNKS {
        let Some(head) = input.array::<12>()? else { break };
        let (size, body) = (be(&head, 4, 8) as i64, input.position());
        match &head[..4] {
            b"desc" if desc.is_none() => {
                let chunk = input.bytes(32, 32)?;
                if chunk.len() == 32 {
                    desc = Some(Description {
                        rate_hz: f64::from_bits(be(&chunk, 0, 8)),
                        format: [chunk[8], chunk[9], chunk[10], chunk[11]],
                        flags: be(&chunk, 12, 4) as u32,
                        bytes_per_packet: be(&chunk, 16, 4),
                        channels: be(&chunk, 24, 4) as usize,
                        bits: be(&chunk, 28, 4) as usize,
                    });
                }
            }
            // The edit count comes first.
            b"data" if data.is_none() => data = Some((body + 4, if size < 0 { None } else { Some(size as u64) })),
            b"chan" => {
                let chunk = input.bytes(12, 12)?;
                layout = Some((be(&chunk, 0, 4) as u32, be(&chunk, 4, 4) as u32));
            }
            b"pakt" => {
                let chunk = input.bytes(24, 24)?;
                // valid frames, priming frames, remainder frames
                packets = Some((be(&chunk, 8, 8), be(&chunk, 16, 4), be(&chunk, 20, 4)));
            }
            _ => {}
        }
        if size < 0 {
            break; // only the data chunk may have no size, and it is the last then
        }
        let next = body.saturating_add(size as u64);
        if next >= input.len() {
            break;
        }
        input.seek(next)?;
    }
    let missing = |what: &str| Error::malformed("CAF", input.absolute(input.len()), format!("no {what} chunk"));
    let desc = desc.ok_or_else(|| missing("desc"))?;
    let (start, stated) = data.ok_or_else(|| missing("data"))?;
    if !(1.0..=4e9).contains(&desc.rate_hz) || desc.channels == 0 || desc.channels > usize::from(u16::MAX) {
        let detail = format!("{} Hz, {} channels", desc.rate_hz, desc.channels);
        return Err(Error::malformed("CAF desc chunk", None, detail));
    }
    let start = start.min(input.len());
    let there = input.len() - start;
    let stated = stated.map(|n| n.saturating_sub(4));
    let mut found = Damage::default();
    if let Some(n) = stated.filter(|n| *n > there) {
        found.truncated = true;
        found.note(None, Some(input.absolute(start)), format!("data chunk of {n} bytes, {there} are there"));
    }
    let extent = Extent { start, bytes: stated.map_or(there, |n| n.min(there)), stated_frames: None };
    let layout = layout
        .and_then(|(tag, bitmap)| layout_of_tag(tag, bitmap, desc.channels))
        .unwrap_or_else(|| ChannelLayout::from_count(desc.channels));
    build(input, &desc, layout, extent, packets, found, options)
}

fn build(
    input: Input,
    desc: &Description,
    layout: ChannelLayout,
    mut extent: Extent,
    packets: Option<(u64, u64, u64)>,
    found: Damage,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    let spec = Spec::new(desc.rate_hz.round() as u32, layout);
    let mut info = StreamInfo {
        container: Container::Caf,
        codec: Codec::AdpcmIma,
        spec,
        sample_format: SampleFormat::Int(16),
        duration: None,
        bit_rate_kbps: None,
        delay_frames: 0,
        padding_frames: 0,
    };
    let channels = desc.channels;
    let big_endian = desc.flags & FLAG_LITTLE_ENDIAN == 0;
    let pcm = |coding, width| Pcm { coding, width, channels, big_endian };
    let codec = match &desc.format {
        b"lpcm" => {
            let per_channel = usize::try_from(desc.bytes_per_packet).unwrap_or(0) / channels;
            let needed = desc.bits.div_ceil(8);
            let width = if (needed.max(1)..=8).contains(&per_channel) { per_channel } else { needed };
            let float = desc.flags & FLAG_FLOAT != 0;
            let allowed: &[usize] = if float { &[2, 4, 8] } else { &[1, 2, 3, 4, 5, 6, 7, 8] };
            if desc.bits == 0 || !allowed.contains(&width) {
                let value = format!("{} bits, {} bytes per packet", desc.bits, desc.bytes_per_packet);
                return Err(Error::unsupported("PCM width", value));
            }
            pcm(if float { Coding::Float } else { Coding::Signed }, width)
        }
        b"alaw" => pcm(Coding::ALaw, 1),
        b"ulaw" => pcm(Coding::MuLaw, 1),
        b"ima4" => {
            if let Some((valid, priming, remainder)) = packets.filter(|p| p.0 > 0) {
                info.delay_frames = priming.min(64);
                extent.stated_frames = Some(valid.saturating_add(priming));
                let _ = remainder; // follows from the number of packets
            }
            return finish(input, ImaQt::new(channels), info, extent, found, options);
        }
        other => {
            let name = String::from_utf8_lossy(other).into_owned();
            let (media, bytes) = input.into_media()?;
            return match super::compressed::open(media, bytes, options) {
                Err(Error::NotAudio { .. }) => Err(Error::unsupported("CAF codec", name)),
                result => result,
            };
        }
    };
    (info.codec, info.sample_format) = codec.describe(desc.bits);
    finish(input, codec, info, extent, found, options)
}

fn finish<C: BlockCodec + 'static>(
    input: Input,
    codec: C,
    mut info: StreamInfo,
    extent: Extent,
    found: Damage,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    let frames = extent.frames(&codec).saturating_sub(info.delay_frames);
    info.duration = Some(Duration { frames, exact: true });
    let bits_per_frame = codec.block_bytes() as f64 * 8.0 / codec.block_frames() as f64;
    info.bit_rate_kbps = Some(f64::from(info.spec.rate_hz) * bits_per_frame / 1000.0);
    let reader = BlockReader::new(input, codec, info, extent, found)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

/// Layout of a CoreAudio channel layout tag (`CoreAudioBaseTypes.h`), where its order is that of WAVE. `None` for the
/// others.
pub(crate) fn layout_of_tag(tag: u32, bitmap: u32, channels: usize) -> Option<ChannelLayout> {
    let mask = match (tag >> 16, tag) {
        (_, 0x1_0000) => bitmap & 0x3_FFFF, // UseChannelBitmap: the bits of WAVE
        (100, _) => 0x4,                    // Mono
        (101..=103 | 106, _) => 0x3,        // Stereo, headphones, matrix stereo, binaural
        (108, _) => 0x33,                   // Quadraphonic
        (113, _) => 0x7,                    // MPEG 3.0 A: L R C
        (115, _) => 0x107,                  // MPEG 4.0 A: L R C Cs
        (117, _) => 0x37,                   // MPEG 5.0 A: L R C Ls Rs
        (121, _) => 0x3F,                   // MPEG 5.1 A: L R C LFE Ls Rs
        (125, _) => 0x13F,                  // MPEG 6.1 A: L R C LFE Ls Rs Cs
        (128, _) => 0x63F,                  // MPEG 7.1 C: L R C LFE Ls Rs Rls Rrs
        (133, _) => 0xB,                    // DVD 4: L R LFE
        _ => return None,
    };
    (mask.count_ones() as usize == channels).then(|| ChannelLayout::from_mask(mask, channels))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::IntBuffer;

    fn file(rate: f64, format: &[u8; 4], flags: u32, numbers: [u32; 4], size: i64, data: &[u8]) -> Vec<u8> {
        let mut f = b"caff\0\x01\0\0desc".to_vec();
        f.extend(32_i64.to_be_bytes());
        f.extend(rate.to_be_bytes());
        f.extend(format);
        f.extend(flags.to_be_bytes());
        for n in numbers {
            f.extend(n.to_be_bytes());
        }
        f.extend(b"free");
        f.extend(3_i64.to_be_bytes());
        f.extend([1, 2, 3]);
        f.extend(b"data");
        f.extend(size.to_be_bytes());
        f.extend([0; 4]);
        f.extend(data);
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
    fn byte_orders_and_open_ended_data() {
        for size in [8, -1] {
            let (info, s) = decode(file(96_000.0, b"lpcm", 0, [2, 1, 1, 16], size, &[0, 1, 0, 2])).unwrap();
            assert_eq!((info.spec.rate_hz, s), (96_000, vec![vec![1 << 16, 2 << 16]]));
        }
        let (info, s) = decode(file(8000.0, b"lpcm", 2, [6, 1, 2, 20], 10, &[0, 0, 1, 0, 0, 2])).unwrap();
        assert_eq!((info.sample_format, s), (SampleFormat::Int(20), vec![vec![1 << 24], vec![2 << 24]]));
    }

    #[test]
    fn impossible_descriptions_are_typed_errors() {
        let bad = |rate, format, numbers| decode(file(rate, format, 0, numbers, -1, &[0; 64]));
        assert!(matches!(bad(f64::NAN, b"lpcm", [2, 1, 1, 16]), Err(Error::Malformed { .. })));
        assert!(matches!(bad(8000.0, b"lpcm", [2, 1, 0, 16]), Err(Error::Malformed { .. })));
        assert!(matches!(bad(8000.0, b"lpcm", [0, 0, 1, 0]), Err(Error::Unsupported { .. })));
        assert!(matches!(bad(8000.0, b"xyz9", [0, 0, 1, 0]), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn layout_tags_must_fit_the_channels() {
        assert_eq!(layout_of_tag(121 << 16 | 6, 0, 6), Some(ChannelLayout::SURROUND_5_1));
        assert_eq!(layout_of_tag(121 << 16 | 6, 0, 5), None);
        assert_eq!(layout_of_tag(0x1_0000, 3, 2), Some(ChannelLayout::STEREO));
    }
}
