//! What the PCM containers share: samples to bytes, and the encoder around a container's header.

use super::out::Out;
use super::{Encoded, Encoder, PcmSample, PcmSettings, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::dsp::dither::Quantizer;
use crate::error::{Error, Result};
use crate::formats::tags::{Loss, Metadata};

/// A PCM file format.
pub(crate) trait PcmContainer: Send {
    /// Writes all that stands before the samples.
    fn start(&mut self, out: &mut Out, spec: Spec, sample: PcmSample, metadata: &Metadata) -> Result<Vec<Loss>>;
    /// True for big-endian samples.
    fn big_endian(&self) -> bool;
    /// Writes all that stands behind the samples and corrects the header. `data_bytes` of samples were written.
    fn finish(&mut self, out: &mut Out, frames: u64, data_bytes: u64) -> Result<()>;
}

impl PcmSample {
    /// Bits of one sample.
    pub fn bits(self) -> u8 {
        match self {
            Self::S16 => 16,
            Self::S24 => 24,
            Self::S32 | Self::F32 => 32,
        }
    }
}

/// Encoder of any [`PcmContainer`].
pub(crate) struct PcmEncoder<C> {
    container: C,
    spec: Spec,
    sample: PcmSample,
    out: Out,
    quantizer: Quantizer,
    planes: Vec<Vec<i32>>,
    bytes: Vec<u8>,
    frames: u64,
    losses: Vec<Loss>,
    finished: bool,
}

impl<C: PcmContainer> PcmEncoder<C> {
    /// Writes the header of `container`.
    pub fn new(
        mut container: C,
        spec: Spec,
        settings: &PcmSettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
    ) -> Result<Self> {
        let sample = settings.sample.unwrap_or(PcmSample::S24);
        let mut out = Out::new(sink)?;
        let losses = container.start(&mut out, spec, sample, metadata)?;
        Ok(Self {
            container,
            spec,
            sample,
            out,
            quantizer: Quantizer::new(sample.bits(), settings.dither, spec.channels(), spec.rate_hz),
            planes: vec![Vec::new(); spec.channels()],
            bytes: Vec::new(),
            frames: 0,
            losses,
            finished: false,
        })
    }

    /// Writes `bytes` after making sure that the whole of them is samples of `frames` frames.
    fn emit(&mut self, frames: usize) -> Result<()> {
        self.frames += frames as u64;
        self.out.write(&self.bytes)
    }
}

impl<C: PcmContainer> Encoder for PcmEncoder<C> {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        let channels = self.spec.channels();
        if self.sample == PcmSample::F32 {
            self.bytes.resize(block.frames() * channels * 4, 0);
            let planes: Vec<&[f32]> = block.channels().collect();
            if self.container.big_endian() {
                interleave(&mut self.bytes, &planes, f32::to_be_bytes);
            } else {
                interleave(&mut self.bytes, &planes, f32::to_le_bytes);
            }
        } else {
            self.planes.iter_mut().for_each(Vec::clear);
            self.quantizer.quantize(block, &mut self.planes);
            pack_ints(&mut self.bytes, &self.planes, self.sample, self.container.big_endian(), 0);
        }
        self.emit(block.frames())
    }

    fn write_int(&mut self, block: &IntBuffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        check_bits(block, if self.sample == PcmSample::F32 { 24 } else { self.sample.bits() })?;
        let channels = self.spec.channels();
        if self.sample == PcmSample::F32 {
            let mut floats = Buffer::new(block.spec(), block.frames());
            floats.copy_from_int(block);
            return self.write(&floats);
        }
        let planes: Vec<&[i32]> = block.channels().collect();
        debug_assert_eq!(planes.len(), channels);
        pack_ints(
            &mut self.bytes,
            &planes,
            self.sample,
            self.container.big_endian(),
            32 - u32::from(self.sample.bits()),
        );
        self.emit(block.frames())
    }

    fn finish(&mut self) -> Result<Encoded> {
        if !self.finished {
            self.finished = true;
            let frame_bytes = u64::from(self.sample.bits()) / 8 * self.spec.channels() as u64;
            self.container.finish(&mut self.out, self.frames, self.frames * frame_bytes)?;
        }
        Ok(Encoded {
            frames: self.frames,
            bytes: self.out.finish()?,
            delay_frames: 0,
            padding_frames: 0,
            clipped_samples: self.quantizer.clipped(),
            dither: self.quantizer.applied(),
            losses: std::mem::take(&mut self.losses),
        })
    }
}

/// Refuses a block of another rate or layout than negotiated.
pub(crate) fn check_spec(want: Spec, got: Spec) -> Result<()> {
    if want == got {
        return Ok(());
    }
    Err(Error::internal(format!(
        "encoder of {} Hz {} was given {} Hz {}",
        want.rate_hz,
        want.layout.name(),
        got.rate_hz,
        got.layout.name()
    )))
}

/// Refuses left-justified integers with more than `bits` significant bits.
///
/// # Errors
/// [`Error::Unsupported`]: the caller must dither, that is, give floats.
pub(crate) fn check_bits(block: &IntBuffer, bits: u8) -> Result<()> {
    let mask = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
    if mask == 0 {
        return Ok(());
    }
    let used = block.channels().fold(0, |acc, c| c.iter().fold(acc, |acc, s| acc | *s as u32));
    if used & mask == 0 {
        return Ok(());
    }
    Err(Error::unsupported("integer samples", format!("more than {bits} bits without dither")))
}

/// Puts the bytes of all samples at their places in the interleaved `bytes`, which has their length. One tight loop each
/// for mono and stereo, so that the compiler vectorises them.
fn interleave<T: Copy, P: AsRef<[T]>, const N: usize>(bytes: &mut [u8], planes: &[P], to: impl Fn(T) -> [u8; N]) {
    let (samples, _) = bytes.as_chunks_mut::<N>();
    match planes {
        [mono] => {
            for (place, s) in samples.iter_mut().zip(mono.as_ref()) {
                *place = to(*s);
            }
        }
        [left, right] => {
            let (frames, _) = samples.as_chunks_mut::<2>();
            for ((frame, l), r) in frames.iter_mut().zip(left.as_ref()).zip(right.as_ref()) {
                *frame = [to(*l), to(*r)];
            }
        }
        _ => {
            for (c, plane) in planes.iter().enumerate() {
                for (place, s) in samples.iter_mut().skip(c).step_by(planes.len()).zip(plane.as_ref()) {
                    *place = to(*s);
                }
            }
        }
    }
}

/// Interleaves `planes` (shifted right by `shift`) into `bytes` as integers of the sample's width.
pub(crate) fn pack_ints<P: AsRef<[i32]>>(bytes: &mut Vec<u8>, planes: &[P], sample: PcmSample, big: bool, shift: u32) {
    let frames = planes.first().map_or(0, |p| p.as_ref().len());
    let width = usize::from(sample.bits() / 8);
    bytes.resize(frames * width * planes.len(), 0);
    match (sample, big) {
        (PcmSample::S16, false) => interleave(bytes, planes, |s: i32| ((s >> shift) as i16).to_le_bytes()),
        (PcmSample::S16, true) => interleave(bytes, planes, |s: i32| ((s >> shift) as i16).to_be_bytes()),
        (PcmSample::S24, false) => interleave(bytes, planes, |s: i32| {
            let b = (s >> shift).to_le_bytes();
            [b[0], b[1], b[2]]
        }),
        (PcmSample::S24, true) => interleave(bytes, planes, |s: i32| {
            let b = (s >> shift).to_be_bytes();
            [b[1], b[2], b[3]]
        }),
        (_, false) => interleave(bytes, planes, |s: i32| (s >> shift).to_le_bytes()),
        (_, true) => interleave(bytes, planes, |s: i32| (s >> shift).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_byte_order_packs_as_defined() {
        let planes = [vec![0x0102_0304, -2], vec![0x1122_3344, 5]];
        let mut bytes = Vec::new();
        pack_ints(&mut bytes, &planes, PcmSample::S24, true, 8);
        assert_eq!(bytes, [1, 2, 3, 0x11, 0x22, 0x33, 0xFF, 0xFF, 0xFF, 0, 0, 0]);
        pack_ints(&mut bytes, &planes, PcmSample::S16, false, 16);
        assert_eq!(bytes, [2, 1, 0x22, 0x11, 0xFF, 0xFF, 0, 0]);
        pack_ints(&mut bytes, &planes, PcmSample::S32, false, 0);
        assert_eq!(bytes[..8], [4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11]);
    }
}
