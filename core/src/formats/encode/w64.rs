//! Sony Wave64 writer: RIFF with 128-bit identifiers and 64-bit sizes that count the chunk's header too.
//!
//! Source: Sony Pictures Digital Networks, "Sony Pictures Digital Wave 64 file format specification", 2006.

use super::PcmSample;
use super::out::Out;
use super::pcm::PcmContainer;
use super::wav::fmt_body;
use crate::audio::Spec;
use crate::error::Result;
use crate::formats::tags::{Loss, Metadata, write};

const RIFF: [u8; 16] = *b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\x00\x00";
/// What follows the four letters of all other identifiers.
const GUID_TAIL: [u8; 12] = *b"\xF3\xAC\xD3\x11\x8C\xD1\x00\xC0\x4F\x8E\xDB\x8A";

/// See the module.
#[derive(Default)]
pub(crate) struct W64 {
    data_size_at: u64,
    tail: Vec<u8>,
}

fn push_chunk(to: &mut Vec<u8>, id: &[u8; 4], body: &[u8]) {
    to.extend_from_slice(id);
    to.extend_from_slice(&GUID_TAIL);
    to.extend_from_slice(&(body.len() as u64 + 24).to_le_bytes());
    to.extend_from_slice(body);
    to.resize(to.len().next_multiple_of(8), 0);
}

impl PcmContainer for W64 {
    fn start(&mut self, out: &mut Out, spec: Spec, sample: PcmSample, metadata: &Metadata) -> Result<Vec<Loss>> {
        let tags = write::riff_chunks_at(metadata, Some(spec.rate_hz));
        // A RIFF LIST has its own identifier here, which readers hardly know; the chunks keep their RIFF form and letters.
        for (id, body) in &tags.chunks {
            push_chunk(&mut self.tail, id, body);
        }
        let mut head = RIFF.to_vec();
        head.extend_from_slice(&[0; 8]);
        head.extend_from_slice(b"wave");
        head.extend_from_slice(&GUID_TAIL);
        push_chunk(&mut head, b"fmt ", &fmt_body(spec, sample));
        head.extend_from_slice(b"data");
        head.extend_from_slice(&GUID_TAIL);
        self.data_size_at = head.len() as u64;
        head.extend_from_slice(&[0; 8]);
        out.write(&head)?;
        Ok(tags.losses)
    }

    fn big_endian(&self) -> bool {
        false
    }

    fn finish(&mut self, out: &mut Out, _frames: u64, data_bytes: u64) -> Result<()> {
        let pad = data_bytes.next_multiple_of(8) - data_bytes;
        out.write(&[0; 8][..pad as usize])?;
        out.write(&self.tail)?;
        out.patch(self.data_size_at, &(data_bytes + 24).to_le_bytes())?;
        let size = out.position();
        out.patch(16, &size.to_le_bytes())
    }
}
