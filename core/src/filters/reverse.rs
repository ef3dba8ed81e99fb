//! Plays a file backwards.

use super::params::filter_params;
use super::tape::Tape;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Turns the time round: the last frame comes first. For files.
    pub struct ReverseParams for "reverse" in Time, realtime false {
        /// Off leaves the file as it is.
        enabled: bool = true;
    }
}

/// See [`ReverseParams`]. Keeps the whole recording, beyond 16 MiB in a temporary file, and gives it out at the end.
#[derive(Debug)]
pub struct Reverse {
    params: ReverseParams,
    spec: Option<Spec>,
    max_frames: usize,
    tape: Tape,
    /// Frames not yet given out.
    left: Option<u64>,
    error: Option<Error>,
}

impl Reverse {
    /// A reversal.
    pub fn new(params: &ReverseParams) -> Self {
        Self { params: params.clone(), spec: None, max_frames: 0, tape: Tape::new(1), left: None, error: None }
    }
}

impl Filter for Reverse {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.tape = Tape::new(spec.channels());
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.spec.is_some() && self.params.enabled {
            self.error = self.error.take().or(self.tape.push(block).err());
            block.set_frames(0);
        }
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        block.set_spec(spec);
        let left = self.left.unwrap_or_else(|| self.tape.frames());
        let count = left.min(self.max_frames as u64);
        self.left = Some(left - count);
        self.error = self.error.take().or(self.tape.read(left - count, count as usize, block).err());
        block.channels_mut().for_each(<[f32]>::reverse);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.tape.clear();
        (self.left, self.error) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{counting, through};

    #[test]
    fn the_last_frame_comes_first_and_twice_is_nothing() {
        let x = counting(1_000);
        let back: Vec<f32> = x.iter().rev().copied().collect();
        for block in [1, 7, 64, 1_000] {
            let y = through("reverse", 8_000, &[x.clone(), back.clone()], block);
            assert!(y[0] == back && y[1] == x, "{block}");
        }
        assert!(through("reverse:enabled=false", 8_000, std::slice::from_ref(&x), 64)[0] == x);
        assert!(through("reverse", 8_000, &[vec![]], 64)[0].is_empty());
    }

    #[test]
    fn a_recording_longer_than_the_memory_comes_back_whole() {
        let x = counting(5_000_000); // 20 MB, of which 16 MiB go to the file
        let y = through("reverse", 8_000, std::slice::from_ref(&x), 4_096);
        assert!(y[0].iter().rev().eq(&x));
    }
}
