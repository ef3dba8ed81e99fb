//! The input of the lossless codecs: floats or exact integers become right-justified integers, taken in pieces.

use super::Dither;
use super::pcm::{check_bits, check_spec};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::dsp::dither::Quantizer;
use crate::error::Result;

/// Integers of one depth waiting to be encoded.
pub(crate) struct IntInput {
    spec: Spec,
    bits: u8,
    quantizer: Quantizer,
    planes: Vec<Vec<i32>>,
    /// Frames at the start of `planes` that were taken. Removed at the next write, so that a huge block costs one move.
    taken: usize,
    frames: u64,
}

impl IntInput {
    pub fn new(spec: Spec, bits: u8, dither: Dither) -> Self {
        Self {
            spec,
            bits,
            quantizer: Quantizer::new(bits, dither, spec.channels(), spec.rate_hz),
            planes: vec![Vec::new(); spec.channels()],
            taken: 0,
            frames: 0,
        }
    }

    /// Frames that came in so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that are waiting.
    pub fn held(&self) -> usize {
        self.planes.first().map_or(0, Vec::len) - self.taken
    }

    /// Samples that were clipped.
    pub fn clipped(&self) -> u64 {
        self.quantizer.clipped()
    }

    /// Dither that was applied.
    pub fn dither(&self) -> Dither {
        self.quantizer.applied()
    }

    /// Removes what was taken; returns what is left.
    fn compact(&mut self) -> usize {
        if self.taken > 0 {
            for p in &mut self.planes {
                p.drain(..self.taken);
            }
            self.taken = 0;
        }
        self.held()
    }

    /// Appends floats; returns how many frames were waiting before.
    pub fn write(&mut self, block: &Buffer) -> Result<usize> {
        check_spec(self.spec, block.spec())?;
        let before = self.compact();
        self.quantizer.quantize(block, &mut self.planes);
        self.frames += block.frames() as u64;
        Ok(before)
    }

    /// Appends left-justified integers; returns how many frames were waiting before.
    pub fn write_int(&mut self, block: &IntBuffer) -> Result<usize> {
        check_spec(self.spec, block.spec())?;
        check_bits(block, self.bits)?;
        let before = self.compact();
        let shift = 32 - u32::from(self.bits);
        for (to, samples) in self.planes.iter_mut().zip(block.channels()) {
            to.extend(samples.iter().map(|s| s >> shift));
        }
        self.frames += block.frames() as u64;
        Ok(before)
    }

    /// What waits, from frame `from` on.
    pub fn since(&self, from: usize) -> Vec<&[i32]> {
        self.planes.iter().map(|p| &p[self.taken + from..]).collect()
    }

    /// Takes `frames` frames, or at the `last` what is left; `None` when there is less.
    pub fn take(&mut self, frames: usize, last: bool) -> Option<Vec<Vec<i32>>> {
        let have = self.held();
        if have == 0 || (have < frames && !last) {
            return None;
        }
        let n = frames.min(have);
        let at = self.taken;
        self.taken += n;
        Some(self.planes.iter().map(|p| p[at..at + n].to_vec()).collect())
    }
}
