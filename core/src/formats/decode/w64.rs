//! Sony Wave64: WAVE with GUIDs for chunk names and 64-bit sizes.
//!
//! Source: Sonic Foundry / VCS Aktiengesellschaft, "Sony Wave64". Sizes include the 24 bytes of the chunk header; chunks are
//! aligned to 8 bytes.

use super::Decoder;
use super::input::{Input, le};
use super::wave_format::{self, WaveData, WaveFormat};
use crate::error::{Error, Result};
use crate::formats::{Container, Damage, ReadOptions};

/// GUID of the file.
pub(crate) const RIFF_GUID: [u8; 16] = *b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\x00\x00";
/// Tail of the other GUIDs; their first four bytes are the RIFF name.
const GUID_TAIL: [u8; 12] = *b"\xF3\xAC\xD3\x11\x8C\xD1\x00\xC0\x4F\x8E\xDB\x8A";
const MAX_CHUNKS: usize = 100_000;

/// Opens a Wave64 file; `input` stands at its first byte.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    input.seek(40)?;
    let (mut format, mut data, mut fact_frames, mut found) = (None, None, None, Damage::default());
    for _ in 0..MAX_CHUNKS {
        let Some(head) = input.array::<24>()? else { break };
        let body = input.position();
        let size = le(&head, 16, 8);
        let known = head[4..16] == GUID_TAIL;
        match &head[..4] {
            b"fmt " if known && format.is_none() => {
                let chunk = input.bytes(size.saturating_sub(24), 1 << 16)?;
                format = Some(WaveFormat::parse(&chunk, false, input.absolute(body))?);
            }
            b"fact" if known => {
                let chunk = input.bytes(size.saturating_sub(24), 8)?;
                fact_frames = Some(le(&chunk, 0, chunk.len().min(8)));
            }
            b"data" if known && data.is_none() => {
                let (there, stated) = (input.left(), size.saturating_sub(24));
                let open_ended = stated == 0 || size == u64::MAX;
                if stated > there && !open_ended {
                    found.truncated = true;
                    let what = format!("data chunk of {stated} bytes, {there} are there");
                    found.note(None, Some(input.absolute(body)), what);
                }
                data = Some((body, if open_ended { there } else { stated.min(there) }));
            }
            _ => {}
        }
        let next = (body - 24).saturating_add(size.max(24)).saturating_add(7) & !7;
        if (format.is_some() && data.is_some()) || next >= input.len() {
            break;
        }
        input.seek(next)?;
    }
    match (format, data) {
        (Some(format), Some((start, bytes))) => {
            let data = WaveData { container: Container::W64, start, bytes, fact_frames, found };
            wave_format::open(input, &format, data, options)
        }
        (format, _) => {
            let missing = if format.is_none() { "no fmt chunk" } else { "no data chunk" };
            Err(Error::malformed("Wave64", input.absolute(input.position()), missing))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::IntBuffer;

    fn chunk(id: &[u8; 4], size: u64, body: &[u8]) -> Vec<u8> {
        let mut c = [&id[..], &GUID_TAIL, &size.to_le_bytes(), body].concat();
        c.resize(c.len().next_multiple_of(8), 0);
        c
    }

    fn file(data_size: u64) -> Vec<u8> {
        let fmt = b"\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0";
        let mut f = [&RIFF_GUID[..], &[0; 8], b"wave", &GUID_TAIL].concat();
        f.extend(chunk(b"junk", 24 + 3, &[1, 2, 3]));
        f.extend(chunk(b"fmt ", 24 + 16, fmt));
        f.extend(chunk(b"data", data_size, &[0x81; 8]));
        f
    }

    #[test]
    fn chunks_are_aligned_and_sizes_checked() {
        for (size, frames, truncated) in [(24 + 5, 5, false), (0, 8, false), (u64::MAX, 8, false), (1000, 8, true)] {
            let f = file(size);
            let len = f.len() as u64;
            let input = Input::new(Box::new(Cursor::new(f)), len, 0).unwrap();
            let mut d = open(input, &ReadOptions::default()).unwrap();
            let mut block = IntBuffer::new(d.info().spec, 0);
            assert_eq!(d.read_int(&mut block, 100).unwrap(), frames, "{size}");
            assert_eq!((block.channel(0)[0], d.damage().truncated), (1 << 24, truncated));
        }
    }

    #[test]
    fn a_header_alone_is_an_error() {
        let input = Input::new(Box::new(Cursor::new(RIFF_GUID.to_vec())), 16, 0).unwrap();
        assert!(matches!(open(input, &ReadOptions::default()), Err(Error::Malformed { .. })));
    }
}
