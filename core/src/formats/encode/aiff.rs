//! AIFF writer (integers) and AIFF-C writer (`fl32`).
//!
//! Source: Apple, "Audio Interchange File Format: AIFF" 1.3 (1989) and "AIFF-C" draft (1991). Sizes are 32 bits: past
//! 4 GiB the format cannot go.

use super::PcmSample;
use super::out::Out;
use super::pcm::PcmContainer;
use crate::audio::Spec;
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata, write};

/// See the module.
#[derive(Default)]
pub(crate) struct Aiff {
    comm_frames_at: u64,
    ssnd_size_at: u64,
    tail: Vec<u8>,
}

/// 80-bit IEEE 754 extended precision of a whole number.
pub(crate) fn extended(value: u32) -> [u8; 10] {
    let mut b = [0; 10];
    if value > 0 {
        let shift = value.leading_zeros();
        let exponent = 16_383 + 31 - shift;
        b[..2].copy_from_slice(&(exponent as u16).to_be_bytes());
        b[2..6].copy_from_slice(&(value << shift).to_be_bytes());
    }
    b
}

fn push_chunk(to: &mut Vec<u8>, id: &[u8; 4], body: &[u8]) {
    to.extend_from_slice(id);
    to.extend_from_slice(&(body.len() as u32).to_be_bytes());
    to.extend_from_slice(body);
    if body.len() % 2 == 1 {
        to.push(0);
    }
}

impl PcmContainer for Aiff {
    fn start(&mut self, out: &mut Out, spec: Spec, sample: PcmSample, metadata: &Metadata) -> Result<Vec<Loss>> {
        let tags = write::aiff_chunks(metadata);
        for (id, body) in &tags.chunks {
            push_chunk(&mut self.tail, id, body);
        }
        let float = sample == PcmSample::F32;
        let mut head = b"FORM\0\0\0\0".to_vec();
        head.extend_from_slice(if float { b"AIFC" } else { b"AIFF" });
        if float {
            push_chunk(&mut head, b"FVER", &0xA280_5140_u32.to_be_bytes());
        }
        self.comm_frames_at = head.len() as u64 + 10;
        let mut comm = (spec.channels() as u16).to_be_bytes().to_vec();
        comm.extend_from_slice(&[0; 4]);
        comm.extend_from_slice(&u16::from(sample.bits()).to_be_bytes());
        comm.extend_from_slice(&extended(spec.rate_hz));
        if float {
            comm.extend_from_slice(b"fl32\x0C32-bit float\0");
        }
        push_chunk(&mut head, b"COMM", &comm);
        self.ssnd_size_at = head.len() as u64 + 4;
        head.extend_from_slice(b"SSND\0\0\0\0");
        head.extend_from_slice(&[0; 8]); // offset and block size: none
        out.write(&head)?;
        Ok(tags.losses)
    }

    fn big_endian(&self) -> bool {
        true
    }

    fn finish(&mut self, out: &mut Out, frames: u64, data_bytes: u64) -> Result<()> {
        if data_bytes % 2 == 1 {
            out.write(&[0])?;
        }
        out.write(&self.tail)?;
        let form = out.position() - 8;
        let (Ok(form32), Ok(frames32)) = (u32::try_from(form), u32::try_from(frames)) else {
            return Err(Error::LimitExceeded {
                limit: "AIFF file bytes",
                value: form as f64,
                max: f64::from(u32::MAX),
            });
        };
        out.patch(4, &form32.to_be_bytes())?;
        out.patch(self.comm_frames_at, &frames32.to_be_bytes())?;
        out.patch(self.ssnd_size_at, &((data_bytes + 8) as u32).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_precision_of_usual_rates() {
        assert_eq!(extended(44_100), [0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0]);
        assert_eq!(extended(1), [0x3F, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(extended(192_000)[..4], [0x40, 0x10, 0xBB, 0x80]);
    }
}
