//! WAVE: RIFF, RIFX, RF64 and BW64.
//!
//! Sources: Microsoft "Multimedia Programming Interface and Data Specifications 1.0"; EBU Tech 3306 (RF64); ITU-R BS.2088-1
//! (BW64). Sizes are trusted only as far as the input reaches: 0, 0xFFFFFFFF and beyond the end mean "to the end".

use super::Decoder;
use super::input::{Input, be, le};
use super::wave_format::{self, WaveData, WaveFormat};
use crate::error::{Error, Result};
use crate::formats::{Container, Damage, ReadOptions};

/// Chunks that are looked at before giving up; a file of empty chunks must not cost time for nothing.
const MAX_CHUNKS: usize = 100_000;
/// A fmt chunk is 16 to 40 bytes, with MPEG or ADPCM extensions some hundred.
const MAX_FMT_BYTES: u64 = 1 << 16;

#[derive(Default)]
struct Headers {
    format: Option<WaveFormat>,
    /// Start and stated size.
    data: Option<(u64, u64)>,
    ds64_data: Option<u64>,
    frames: Option<u64>,
}

/// Opens a WAVE file; `input` stands at its first byte.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let Some(head) = input.array::<12>()? else {
        return Err(Error::malformed("WAV header", input.absolute(0), "shorter than 12 bytes"));
    };
    let (container, big) = match &head[..4] {
        b"RIFX" => (Container::Rifx, true),
        b"RF64" => (Container::Rf64, false),
        b"BW64" => (Container::Bw64, false),
        _ => (Container::Wav, false),
    };
    let mut headers = Headers::default();
    let mut found = Damage::default();
    walk(&mut input, big, &mut headers, options)?;
    let Some(format) = headers.format else {
        return Err(Error::malformed("WAV", input.absolute(input.position()), "no fmt chunk"));
    };
    let Some((start, stated)) = headers.data else {
        return Err(Error::malformed("WAV", input.absolute(input.position()), "no data chunk"));
    };
    input.seek(start)?;
    if input.array::<4>()? == Some(*b"wvpk") {
        // The first versions of WavPack left the WAV header in front.
        return Err(Error::unsupported("WavPack version", "3 or older, behind a WAV header"));
    }
    let bytes = data_bytes(&mut input, start, stated, headers.ds64_data, big, &mut found)?;
    let data = WaveData { container, start, bytes, fact_frames: headers.frames, found };
    wave_format::open(input, &format, data, options)
}

/// Reads chunk headers until fmt and data are known.
fn walk(input: &mut Input, big: bool, headers: &mut Headers, options: &ReadOptions) -> Result<()> {
    let int = if big { be } else { le };
    for _ in 0..MAX_CHUNKS {
        let at = input.position();
        let Some(head) = input.array::<8>()? else { break };
        let size = int(&head, 4, 4);
        let body = input.position();
        match &head[..4] {
            b"fmt " if headers.format.is_none() => {
                let max = MAX_FMT_BYTES.min(options.limits.max_alloc_bytes());
                let chunk = input.bytes(size, max)?;
                headers.format = Some(WaveFormat::parse(&chunk, big, input.absolute(body))?);
            }
            b"data" if headers.data.is_none() => headers.data = Some((body, size)),
            b"ds64" => {
                let chunk = input.bytes(size, 28)?;
                if chunk.len() >= 24 {
                    headers.ds64_data = Some(le(&chunk, 8, 8));
                    headers.frames = headers.frames.or(Some(le(&chunk, 16, 8)).filter(|n| *n > 0));
                }
            }
            b"fact" => {
                let chunk = input.bytes(size, 4)?;
                if chunk.len() == 4 {
                    headers.frames = Some(int(&chunk, 0, 4)).filter(|n| *n != 0xFFFF_FFFF).or(headers.frames);
                }
            }
            _ => {}
        }
        if headers.format.is_some() && headers.data.is_some() {
            break;
        }
        let size = if &head[..4] == b"data" {
            headers.ds64_data.filter(|_| size == 0xFFFF_FFFF).unwrap_or(size)
        } else {
            size
        };
        let mut next = body.saturating_add(size).saturating_add(size & 1);
        if size & 1 == 1 && !starts_chunk(input, next)? && starts_chunk(input, next - 1)? {
            next -= 1; // written without the pad byte
        }
        if next <= at || next >= input.len() {
            break;
        }
        input.seek(next)?;
    }
    Ok(())
}

/// True when four letters and a size within the input stand at `pos`, or the input ends there.
fn starts_chunk(input: &mut Input, pos: u64) -> Result<bool> {
    if pos >= input.len() {
        return Ok(pos == input.len());
    }
    input.seek(pos)?;
    let Some(head) = input.array::<8>()? else { return Ok(false) };
    let letters = head[..4].iter().all(|b| b.is_ascii_alphanumeric() || b" -_".contains(b));
    Ok(letters && head[0] != b' ' && (le(&head, 4, 4) <= input.left() || be(&head, 4, 4) <= input.left()))
}

/// Bytes of the data chunk that are there.
fn data_bytes(
    input: &mut Input,
    start: u64,
    stated: u64,
    ds64: Option<u64>,
    big: bool,
    found: &mut Damage,
) -> Result<u64> {
    let there = input.len().saturating_sub(start);
    let size = match (stated, ds64) {
        (0xFFFF_FFFF, Some(n)) if n > 0 => n,
        (0xFFFF_FFFF, _) => return Ok(there), // streamed: the size was not known
        // Never filled in by a recorder that was cut off, unless another chunk follows.
        (0, _) => return Ok(if !big && starts_chunk(input, start)? { 0 } else { there }),
        (n, _) => n,
    };
    if size > there {
        found.truncated = true;
        let what = format!("data chunk of {size} bytes, {there} are there");
        found.note(None, Some(input.absolute(start)), what);
    }
    Ok(size.min(there))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::{Buffer, IntBuffer, Spec};
    use crate::formats::{Duration, SampleFormat};

    fn chunk(id: &[u8; 4], body: &[u8], pad: bool) -> Vec<u8> {
        let mut c = [&id[..], &(body.len() as u32).to_le_bytes(), body].concat();
        if pad && body.len() % 2 == 1 {
            c.push(0);
        }
        c
    }

    fn fmt(tag: u16, channels: u16, bits: u16) -> Vec<u8> {
        let block = channels * bits.div_ceil(8);
        let mut f = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        f.extend(8000_u32.to_le_bytes());
        f.extend((8000 * u32::from(block)).to_le_bytes());
        f.extend(block.to_le_bytes());
        f.extend(bits.to_le_bytes());
        f
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = chunks.concat();
        [&b"RIFF"[..], &(body.len() as u32 + 4).to_le_bytes(), b"WAVE", &body].concat()
    }

    fn decoder(bytes: Vec<u8>) -> Result<Box<dyn Decoder>> {
        let len = bytes.len() as u64;
        open(Input::new(Box::new(Cursor::new(bytes)), len, 0)?, &ReadOptions::default())
    }

    fn read_all(d: &mut dyn Decoder) -> Vec<Vec<i32>> {
        let spec: Spec = d.info().spec;
        let (mut all, mut block) = (IntBuffer::new(spec, 0), IntBuffer::new(spec, 0));
        while d.read_int(&mut block, 7).unwrap() > 0 {
            all.append(&block, 0, block.frames());
        }
        all.channels().map(<[i32]>::to_vec).collect()
    }

    #[test]
    fn odd_chunks_are_found_with_and_without_padding() {
        for pad in [true, false] {
            let f = file(&[
                chunk(b"JUNK", &[7; 5], pad),
                chunk(b"fmt ", &fmt(1, 2, 16), true),
                chunk(b"LIST", &[1; 3], pad),
                chunk(b"data", &[1, 0, 2, 0, 3, 0, 4, 0], true),
            ]);
            let mut d = decoder(f).unwrap();
            assert_eq!(read_all(&mut *d), [[1 << 16, 3 << 16], [2 << 16, 4 << 16]], "{pad}");
            assert!(d.damage().is_none());
        }
    }

    #[test]
    fn sizes_that_lie_read_to_the_end() {
        for (size, truncated) in [(0_u32, false), (u32::MAX, false), (1000, true)] {
            let mut f = file(&[chunk(b"fmt ", &fmt(1, 1, 8), true), chunk(b"data", &[129; 9], false)]);
            let at = f.len() - 13;
            f[at..at + 4].copy_from_slice(&size.to_le_bytes());
            let mut d = decoder(f).unwrap();
            assert_eq!(d.info().duration, Some(Duration { frames: 9, exact: true }), "{size}");
            assert_eq!(read_all(&mut *d), [[1 << 24; 9]]);
            assert_eq!(d.damage().truncated, truncated);
        }
        let mut d = decoder(file(&[
            chunk(b"fmt ", &fmt(1, 1, 8), true),
            chunk(b"data", &[], false),
            chunk(b"LIST", &[0; 8], false),
        ]))
        .unwrap();
        assert!(read_all(&mut *d).concat().is_empty());
    }

    #[test]
    fn rf64_takes_the_size_from_ds64() {
        let mut ds64 = [100_u64.to_le_bytes(), 4_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat();
        ds64.extend([0; 4]);
        let mut f = file(&[
            chunk(b"ds64", &ds64, true),
            chunk(b"fmt ", &fmt(1, 1, 16), true),
            chunk(b"data", &[1, 0, 2, 0], true),
            chunk(b"LIST", &[9; 4], true),
        ]);
        f[..4].copy_from_slice(b"RF64");
        let at = f.len() - 12 - 8;
        f[at..at + 4].copy_from_slice(&[0xFF; 4]);
        let mut d = decoder(f).unwrap();
        assert_eq!(d.info().container, Container::Rf64);
        assert_eq!(read_all(&mut *d), [[1 << 16, 2 << 16]]);
    }

    #[test]
    fn seeks_are_exact_and_floats_follow_the_integers() {
        let samples: Vec<u8> = (0..20_000_i16).flat_map(i16::to_le_bytes).collect();
        let f = file(&[chunk(b"fmt ", &fmt(1, 1, 16), true), chunk(b"data", &samples, true)]);
        let mut d = decoder(f).unwrap();
        let (mut ints, mut floats) = (IntBuffer::new(d.info().spec, 0), Buffer::new(d.info().spec, 0));
        for at in [0_u64, 1, 4095, 4096, 9000, 19_990, 3] {
            d.seek(at).unwrap();
            assert_eq!(d.read_int(&mut ints, 5).unwrap(), 5);
            assert_eq!(ints.channel(0)[0], (at as i32) << 16);
            // Changing between the two ways of reading goes on at the right frame.
            assert_eq!(d.read(&mut floats, 5).unwrap(), 5);
            assert_eq!(floats.channel(0)[0], (at + 5) as f32 / 32768.0);
            d.seek(at).unwrap();
            d.read(&mut floats, 3).unwrap();
            d.read_int(&mut ints, 2).unwrap();
            assert_eq!(ints.channel(0)[0], (at as i32 + 3) << 16);
        }
        d.seek(20_000).unwrap();
        assert_eq!(d.read_int(&mut ints, 5).unwrap(), 0);
        d.seek(19_999).unwrap();
        assert_eq!(d.read_int(&mut ints, 5).unwrap(), 1);
    }

    #[test]
    fn missing_chunks_and_widths_are_told() {
        assert!(matches!(decoder(file(&[chunk(b"fmt ", &fmt(1, 1, 16), true)])), Err(Error::Malformed { .. })));
        assert!(matches!(decoder(file(&[chunk(b"data", &[0; 4], true)])), Err(Error::Malformed { .. })));
        let no_channels = file(&[chunk(b"fmt ", &fmt(1, 0, 16), true), chunk(b"data", &[0; 4], true)]);
        assert!(matches!(decoder(no_channels), Err(Error::Malformed { .. })));
        let twelve = file(&[chunk(b"fmt ", &fmt(1, 1, 12), true), chunk(b"data", &[0x10, 0x00], true)]);
        let mut d = decoder(twelve).unwrap();
        assert_eq!(d.info().sample_format, SampleFormat::Int(12));
        assert_eq!(read_all(&mut *d), [[0x10 << 16]]);
    }
}
