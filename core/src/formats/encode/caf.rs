//! Apple Core Audio Format writer, linear PCM.
//!
//! Source: Apple, "Core Audio Format Specification 1.0". Little-endian samples, 64-bit sizes.

use super::PcmSample;
use super::out::Out;
use super::pcm::PcmContainer;
use crate::audio::Spec;
use crate::error::Result;
use crate::formats::tags::{Loss, Metadata, write};

/// See the module.
#[derive(Default)]
pub(crate) struct Caf {
    data_size_at: u64,
    info: Vec<u8>,
}

fn push_chunk(to: &mut Vec<u8>, id: &[u8; 4], body: &[u8]) {
    to.extend_from_slice(id);
    to.extend_from_slice(&(body.len() as u64).to_be_bytes());
    to.extend_from_slice(body);
}

impl PcmContainer for Caf {
    fn start(&mut self, out: &mut Out, spec: Spec, sample: PcmSample, metadata: &Metadata) -> Result<Vec<Loss>> {
        let tags = write::caf_info(metadata);
        self.info = tags.bytes;
        let (channels, bits) = (spec.channels() as u32, u32::from(sample.bits()));
        let mut head = b"caff\0\x01\0\0".to_vec();
        let mut desc = f64::from(spec.rate_hz).to_be_bytes().to_vec();
        desc.extend_from_slice(b"lpcm");
        // kCAFLinearPCMFormatFlagIsFloat = 1, ...IsLittleEndian = 2
        let flags = 2 + u32::from(sample == PcmSample::F32);
        for v in [flags, channels * bits / 8, 1, channels, bits] {
            desc.extend_from_slice(&v.to_be_bytes());
        }
        push_chunk(&mut head, b"desc", &desc);
        if spec.layout.mask() != 0 && channels > 2 {
            // kAudioChannelLayoutTag_UseChannelBitmap; the bitmap has the bits of WAVE.
            let mut chan = (1_u32 << 16).to_be_bytes().to_vec();
            chan.extend_from_slice(&spec.layout.mask().to_be_bytes());
            chan.extend_from_slice(&0_u32.to_be_bytes());
            push_chunk(&mut head, b"chan", &chan);
        }
        self.data_size_at = head.len() as u64 + 4;
        // -1: until the end, should the writer be interrupted. Then the edit count.
        head.extend_from_slice(b"data\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0");
        out.write(&head)?;
        Ok(tags.losses)
    }

    fn big_endian(&self) -> bool {
        false
    }

    fn finish(&mut self, out: &mut Out, _frames: u64, data_bytes: u64) -> Result<()> {
        if !self.info.is_empty() {
            let mut chunk = Vec::new();
            push_chunk(&mut chunk, b"info", &self.info);
            out.write(&chunk)?;
        }
        out.patch(self.data_size_at, &(data_bytes + 4).to_be_bytes())
    }
}
