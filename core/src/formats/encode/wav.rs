//! RIFF WAVE writer; becomes RF64 when the sizes pass 32 bits.
//!
//! Sources: Microsoft "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE), EBU Tech 3306 / ITU-R BS.2088
//! (RF64: a `JUNK` chunk of the size of `ds64` is reserved in front and takes its place when needed).

use super::PcmSample;
use super::out::Out;
use super::pcm::PcmContainer;
use crate::audio::{ChannelLayout, Spec};
use crate::error::Result;
use crate::formats::tags::{Loss, Metadata, write};

/// Content of `ds64`: RIFF size, data size, sample count (64 bits each), length of an empty table.
const DS64_BYTES: u32 = 28;

/// See the module.
pub(crate) struct Wav {
    /// Largest file that stays RIFF. 4 GiB but for tests.
    limit: u64,
    /// Position of the size field of `data`.
    data_size_at: u64,
    /// Position of the sample count in `fact`, for floats.
    fact_at: Option<u64>,
    /// Chunks that stand behind the samples.
    tail: Vec<u8>,
}

impl Wav {
    pub fn new() -> Self {
        Self::with_limit(u64::from(u32::MAX))
    }

    /// With another border between RIFF and RF64.
    pub fn with_limit(limit: u64) -> Self {
        Self { limit, data_size_at: 0, fact_at: None, tail: Vec::new() }
    }
}

/// Body of the `fmt ` chunk: WAVEFORMATEX for what old readers know (at most 2 channels in their usual places, 16 bits or
/// float), else WAVEFORMATEXTENSIBLE.
pub(crate) fn fmt_body(spec: Spec, sample: PcmSample) -> Vec<u8> {
    let (channels, bits) = (spec.channels() as u16, u16::from(sample.bits()));
    let float = sample == PcmSample::F32;
    let usual = spec.layout == ChannelLayout::from_count(spec.channels());
    let extensible = channels > 2 || !usual || (bits > 16 && !float);
    let tag: u16 = if float { 3 } else { 1 };
    let block = channels * bits / 8;
    let mut b = Vec::with_capacity(40);
    b.extend_from_slice(&if extensible { 0xFFFE } else { tag }.to_le_bytes());
    b.extend_from_slice(&channels.to_le_bytes());
    b.extend_from_slice(&spec.rate_hz.to_le_bytes());
    b.extend_from_slice(&spec.rate_hz.wrapping_mul(u32::from(block)).to_le_bytes());
    b.extend_from_slice(&block.to_le_bytes());
    b.extend_from_slice(&bits.to_le_bytes());
    if extensible {
        b.extend_from_slice(&22_u16.to_le_bytes());
        b.extend_from_slice(&bits.to_le_bytes()); // all bits are valid
        b.extend_from_slice(&spec.layout.mask().to_le_bytes());
        b.extend_from_slice(&tag.to_le_bytes());
        // The rest of KSDATAFORMAT_SUBTYPE_PCM / _IEEE_FLOAT.
        b.extend_from_slice(&[0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    } else if float {
        b.extend_from_slice(&0_u16.to_le_bytes());
    }
    b
}

fn push_chunk(to: &mut Vec<u8>, id: [u8; 4], body: &[u8]) {
    to.extend_from_slice(&id);
    to.extend_from_slice(&(body.len() as u32).to_le_bytes());
    to.extend_from_slice(body);
    if body.len() % 2 == 1 {
        to.push(0);
    }
}

impl PcmContainer for Wav {
    fn start(&mut self, out: &mut Out, spec: Spec, sample: PcmSample, metadata: &Metadata) -> Result<Vec<Loss>> {
        let tags = write::riff_chunks_at(metadata, Some(spec.rate_hz));
        let mut head = b"RIFF\0\0\0\0WAVE".to_vec();
        push_chunk(&mut head, *b"JUNK", &[0; DS64_BYTES as usize]);
        for (id, body) in &tags.chunks {
            // EBU Tech 3285: `bext` stands before the samples. The rest may grow large and stands behind.
            let to = if id == b"bext" { &mut head } else { &mut self.tail };
            push_chunk(to, *id, body);
        }
        push_chunk(&mut head, *b"fmt ", &fmt_body(spec, sample));
        if sample == PcmSample::F32 {
            self.fact_at = Some(head.len() as u64 + 8);
            push_chunk(&mut head, *b"fact", &[0; 4]);
        }
        self.data_size_at = head.len() as u64 + 4;
        head.extend_from_slice(b"data\0\0\0\0");
        out.write(&head)?;
        Ok(tags.losses)
    }

    fn big_endian(&self) -> bool {
        false
    }

    fn finish(&mut self, out: &mut Out, frames: u64, data_bytes: u64) -> Result<()> {
        if data_bytes % 2 == 1 {
            out.write(&[0])?;
        }
        out.write(&self.tail)?;
        let riff_size = out.position() - 8;
        let clamp = |v: u64| u32::try_from(v).unwrap_or(u32::MAX).to_le_bytes();
        if riff_size.max(data_bytes) < self.limit {
            out.patch(4, &clamp(riff_size))?;
            out.patch(self.data_size_at, &clamp(data_bytes))?;
        } else {
            let mut ds64 = b"ds64".to_vec();
            ds64.extend_from_slice(&DS64_BYTES.to_le_bytes());
            for v in [riff_size, data_bytes, frames] {
                ds64.extend_from_slice(&v.to_le_bytes());
            }
            ds64.extend_from_slice(&0_u32.to_le_bytes());
            out.patch(0, b"RF64\xFF\xFF\xFF\xFF")?;
            out.patch(12, &ds64)?;
            out.patch(self.data_size_at, &[0xFF; 4])?;
        }
        if let Some(at) = self.fact_at {
            out.patch(at, &clamp(frames))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pcm::PcmEncoder;
    use super::super::testing::{SharedSink, feed, float_signal, spec};
    use super::super::{Encoder, PcmSettings};
    use super::*;

    fn encode(limit: u64, sample: PcmSample, channels: usize, frames: usize) -> Vec<u8> {
        let signal = float_signal(spec(44_100, channels), frames);
        let sink = SharedSink::default();
        let settings = PcmSettings { sample: Some(sample), ..Default::default() };
        let mut e = PcmEncoder::new(
            Wav::with_limit(limit),
            signal.spec(),
            &settings,
            Box::new(sink.clone()),
            &Metadata::default(),
        )
        .unwrap();
        feed(&mut e, &signal, 100);
        e.finish().unwrap();
        sink.bytes()
    }

    #[test]
    fn sixteen_bit_stereo_is_a_plain_riff() {
        let b = encode(u64::from(u32::MAX), PcmSample::S16, 2, 10);
        assert_eq!(&b[..4], b"RIFF");
        assert_eq!(u32::from_le_bytes(b[4..8].try_into().unwrap()) as usize, b.len() - 8);
        assert_eq!(&b[12..16], b"JUNK");
        assert_eq!(&b[48..52], b"fmt ");
        assert_eq!(b[56..58], [1, 0], "plain PCM tag");
        assert_eq!(&b[72..76], b"data");
        assert_eq!(u32::from_le_bytes(b[76..80].try_into().unwrap()), 40);
    }

    #[test]
    fn past_the_limit_the_reserved_chunk_becomes_ds64() {
        let plain = encode(u64::from(u32::MAX), PcmSample::S24, 3, 1001);
        let rf64 = encode(9000, PcmSample::S24, 3, 1001);
        assert_eq!(plain.len(), rf64.len());
        assert_eq!(&rf64[..8], b"RF64\xFF\xFF\xFF\xFF");
        assert_eq!(&rf64[12..16], b"ds64");
        let u64_at = |at: usize| u64::from_le_bytes(rf64[at..at + 8].try_into().unwrap());
        assert_eq!(u64_at(20), rf64.len() as u64 - 8);
        assert_eq!(u64_at(28), 9009);
        assert_eq!(u64_at(36), 1001);
        // 9009 bytes of samples: odd, so a pad byte follows.
        assert_eq!(rf64.len(), 12 + 36 + 48 + 8 + 9010);
        assert_eq!(plain[48..92], rf64[48..92]);
    }

    #[test]
    fn more_than_two_channels_or_16_bits_is_extensible_with_mask() {
        let body = fmt_body(spec(48_000, 6), PcmSample::S16);
        assert_eq!((body.len(), &body[..2], &body[20..24]), (40, &[0xFE, 0xFF][..], &[0x3F, 0, 0, 0][..]));
        assert_eq!(fmt_body(spec(48_000, 2), PcmSample::S24).len(), 40);
        assert_eq!(fmt_body(spec(48_000, 2), PcmSample::F32).len(), 18);
        assert_eq!(fmt_body(spec(48_000, 2), PcmSample::S16).len(), 16);
    }
}
