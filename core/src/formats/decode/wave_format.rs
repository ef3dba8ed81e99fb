//! The `fmt ` chunk of WAVE and Wave64: which codec, how many channels, which bits count.
//!
//! Sources: Microsoft "Multimedia Programming Interface and Data Specifications 1.0" (WAVE), "New Multimedia Data Types and
//! Data Techniques" (WAVEFORMATEX), "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE).

use super::Decoder;
use super::adpcm::{ImaWav, MsAdpcm};
use super::blocks::{BlockCodec, BlockReader, Extent};
use super::gsm::GsmMs;
use super::input::{Input, be, le};
use super::pcm::{Coding, Pcm};
use super::stream::StreamDecoder;
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::{Codec, Container, Damage, Duration, ReadOptions, SampleFormat, StreamInfo};

/// Sub-format GUID without its first two bytes, which are the format tag: KSDATAFORMAT_SUBTYPE_*.
const KS_GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// The same for ambisonic B-format: SUBTYPE_AMBISONIC_B_FORMAT_*.
const AMBISONIC_GUID_TAIL: [u8; 14] = [0, 0, 0x21, 0x07, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0];

const TAG_EXTENSIBLE: u16 = 0xFFFE;

/// A parsed `fmt ` chunk.
#[derive(Debug, Clone)]
pub(crate) struct WaveFormat {
    pub tag: u16,
    pub channels: usize,
    pub rate_hz: u32,
    bytes_per_second: u32,
    block_bytes: usize,
    bits: usize,
    /// Significant bits, from the extension.
    valid_bits: usize,
    mask: Option<u32>,
    /// What follows `cbSize`.
    extra: Vec<u8>,
    big_endian: bool,
}

impl WaveFormat {
    /// Parses the chunk's content; `offset` is for the message.
    pub fn parse(chunk: &[u8], big_endian: bool, offset: u64) -> Result<Self> {
        if chunk.len() < 14 {
            return Err(Error::malformed(
                "WAV fmt chunk",
                offset,
                format!("{} bytes, at least 14 needed", chunk.len()),
            ));
        }
        let int = |at, width| if big_endian { be(chunk, at, width) } else { le(chunk, at, width) };
        let extra_len = (int(16, 2) as usize).min(chunk.len().saturating_sub(18));
        let mut format = Self {
            tag: int(0, 2) as u16,
            channels: int(2, 2) as usize,
            rate_hz: int(4, 4) as u32,
            bytes_per_second: int(8, 4) as u32,
            block_bytes: int(12, 2) as usize,
            bits: int(14, 2) as usize,
            valid_bits: 0,
            mask: None,
            extra: chunk.get(18..18 + extra_len).unwrap_or_default().to_vec(),
            big_endian,
        };
        if format.tag == TAG_EXTENSIBLE {
            // Some writers count cbSize wrongly: what is there counts.
            let Some(guid) = chunk.get(24..40) else {
                return Err(Error::malformed("WAV fmt chunk", offset, "WAVE_FORMAT_EXTENSIBLE without its extension"));
            };
            if guid[2..] != KS_GUID_TAIL && guid[2..] != AMBISONIC_GUID_TAIL && !big_endian {
                let hex: String = guid.iter().map(|b| format!("{b:02x}")).collect();
                return Err(Error::unsupported("WAVE sub-format", hex));
            }
            // In RIFX the GUID's first field is a big-endian 32-bit integer.
            format.tag = if big_endian { be(guid, 2, 2) as u16 } else { le(guid, 0, 2) as u16 };
            format.valid_bits = int(18, 2) as usize;
            format.mask = Some(int(20, 4) as u32);
        }
        Ok(format)
    }

    fn layout(&self) -> ChannelLayout {
        match self.mask {
            None => ChannelLayout::from_count(self.channels),
            Some(mask) => {
                // Bits beyond the channels are to be ignored (Microsoft, "Multiple Channel Audio Data", dwChannelMask).
                let mut kept = mask & 0x3_FFFF;
                while kept.count_ones() as usize > self.channels {
                    kept &= !(1 << (31 - kept.leading_zeros()));
                }
                ChannelLayout::from_mask(kept, self.channels)
            }
        }
    }

    /// Sample layout of the tags that are PCM; `None` for the compressed ones.
    fn pcm(&self) -> Result<Option<(Pcm, usize)>> {
        let per_channel = self.block_bytes.checked_div(self.channels).unwrap_or(0);
        let exact = per_channel * self.channels == self.block_bytes;
        let needed = self.bits.div_ceil(8);
        // The block size says how wide the container is, unless it makes no sense.
        let width = if exact && (needed.max(1)..=8).contains(&per_channel) { per_channel } else { needed };
        let coding = match self.tag {
            1 if width == 1 => Coding::Unsigned,
            1 => Coding::Signed,
            3 => Coding::Float,
            6 => Coding::ALaw,
            7 => Coding::MuLaw,
            _ => return Ok(None),
        };
        let (width, bits) = match coding {
            Coding::ALaw | Coding::MuLaw => (1, 16),
            Coding::Float => (width, width * 8),
            _ => {
                let valid = if (1..=self.bits).contains(&self.valid_bits) { self.valid_bits } else { self.bits };
                (width, valid)
            }
        };
        let widths: &[usize] = if coding == Coding::Float { &[2, 4, 8] } else { &[1, 2, 3, 4, 5, 6, 7, 8] };
        if !widths.contains(&width) || (self.bits == 0 && coding != Coding::ALaw && coding != Coding::MuLaw) {
            return Err(Error::unsupported(
                "PCM width",
                format!("{} bits in blocks of {}", self.bits, self.block_bytes),
            ));
        }
        Ok(Some((Pcm { coding, width, channels: self.channels, big_endian: self.big_endian }, bits)))
    }
}

/// The data chunk, and what else the headers say.
pub(crate) struct WaveData {
    pub container: Container,
    pub start: u64,
    pub bytes: u64,
    /// Of the `fact` chunk, `ds64` or `fact` GUID chunk.
    pub fact_frames: Option<u64>,
    pub found: Damage,
}

/// Opens the data as the format says. Codecs that are not read here go to [`super::compressed`].
pub(crate) fn open(
    input: Input,
    format: &WaveFormat,
    data: WaveData,
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    if format.channels == 0 || format.rate_hz == 0 {
        let detail = format!("{} channels, {} Hz", format.channels, format.rate_hz);
        return Err(Error::malformed("WAV fmt chunk", None, detail));
    }
    if let Some((pcm, bits)) = format.pcm()? {
        let (codec, sample_format) = pcm.describe(bits);
        let rate = f64::from(format.rate_hz) * pcm.block_bytes() as f64 * 8.0 / 1000.0;
        return finish(input, pcm, format, data, (codec, sample_format, rate), options);
    }
    let rate = f64::from(format.bytes_per_second) * 8.0 / 1000.0;
    let int16 = SampleFormat::Int(16);
    let bad =
        || Error::malformed("WAV fmt chunk", None, format!("block of {} bytes for this codec", format.block_bytes));
    match format.tag {
        2 => {
            let codec = MsAdpcm::new(format.channels, format.block_bytes, &format.extra).ok_or_else(bad)?;
            finish(input, codec, format, data, (Codec::AdpcmMs, int16, rate), options)
        }
        0x11 if format.bits == 4 => {
            let codec = ImaWav::new(format.channels, format.block_bytes).ok_or_else(bad)?;
            finish(input, codec, format, data, (Codec::AdpcmIma, int16, rate), options)
        }
        0x31 if format.channels == 1 => {
            finish(input, GsmMs::default(), format, data, (Codec::Gsm, int16, rate), options)
        }
        _ => {
            let (media, bytes) = input.into_media()?;
            match super::compressed::open(media, bytes, options) {
                Err(Error::NotAudio { .. }) => {
                    Err(Error::unsupported("WAVE codec", format!("tag 0x{:04x}", format.tag)))
                }
                other => other,
            }
        }
    }
}

fn finish<C: BlockCodec + 'static>(
    input: Input,
    codec: C,
    format: &WaveFormat,
    data: WaveData,
    (kind, sample_format, bit_rate_kbps): (Codec, SampleFormat, f64),
    options: &ReadOptions,
) -> Result<Box<dyn Decoder>> {
    let mut extent = Extent { start: data.start, bytes: data.bytes, stated_frames: None };
    if matches!(kind, Codec::AdpcmMs | Codec::AdpcmIma) {
        // `fact` says where the last block ends. Elsewhere it is often wrong (samples instead of frames, stale), so it
        // counts only where it is plausible.
        let held = extent.frames(&codec);
        let block = codec.block_frames() as u64;
        extent.stated_frames = data.fact_frames.filter(|n| *n <= held && n + block > held);
    }
    let info = StreamInfo {
        container: data.container,
        codec: kind,
        spec: Spec::new(format.rate_hz, format.layout()),
        sample_format,
        duration: Some(Duration { frames: extent.frames(&codec), exact: true }),
        bit_rate_kbps: Some(bit_rate_kbps),
        delay_frames: 0,
        padding_frames: 0,
    };
    let reader = BlockReader::new(input, codec, info, extent, data.found)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensible(bits: u16, valid: u16, mask: u32, tag: u16, channels: u16) -> Vec<u8> {
        let block = channels * bits.div_ceil(8);
        let mut f = Vec::new();
        for v in [TAG_EXTENSIBLE, channels] {
            f.extend(v.to_le_bytes());
        }
        for v in [48_000, 48_000 * u32::from(block)] {
            f.extend(v.to_le_bytes());
        }
        for v in [block, bits, 22, valid] {
            f.extend(v.to_le_bytes());
        }
        f.extend(mask.to_le_bytes());
        f.extend(tag.to_le_bytes());
        f.extend(KS_GUID_TAIL);
        f
    }

    #[test]
    fn valid_bits_and_masks_of_the_extension() {
        let f = WaveFormat::parse(&extensible(24, 20, 0x3F, 1, 6), false, 0).unwrap();
        let (pcm, bits) = f.pcm().unwrap().unwrap();
        assert_eq!((pcm.width, bits, f.layout()), (3, 20, ChannelLayout::SURROUND_5_1));
        // One bit too many: the highest is dropped. One too few: positions are not known.
        let f = WaveFormat::parse(&extensible(32, 0, 0x43, 3, 2), false, 0).unwrap();
        assert_eq!((f.layout(), f.pcm().unwrap().unwrap().0.coding), (ChannelLayout::STEREO, Coding::Float));
        let f = WaveFormat::parse(&extensible(16, 16, 1, 1, 2), false, 0).unwrap();
        assert_eq!(f.layout(), ChannelLayout::discrete(2));
    }

    #[test]
    fn impossible_formats_are_typed_errors() {
        assert!(matches!(WaveFormat::parse(&[1, 0, 2], false, 12), Err(Error::Malformed { offset: Some(12), .. })));
        let cut = &extensible(16, 16, 3, 1, 2)[..30];
        assert!(matches!(WaveFormat::parse(cut, false, 0), Err(Error::Malformed { .. })));
        let mut other = extensible(16, 16, 3, 1, 2);
        other[30] = 9;
        assert!(matches!(WaveFormat::parse(&other, false, 0), Err(Error::Unsupported { .. })));
        let zero_bits = WaveFormat::parse(&extensible(0, 0, 3, 1, 2), false, 0).unwrap();
        assert!(matches!(zero_bits.pcm(), Err(Error::Unsupported { .. })));
    }
}
