//! Adds silence before and after.

use super::fifo::FrameFifo;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Adds silence before and after, or up to a length. For files.
    pub struct PadParams for "pad" in Time, realtime false {
        /// Silence before the first frame.
        start_s: f64 = 0.0, 0.0 to 86400.0 "s";
        /// Silence after the last frame.
        end_s: f64 = 0.0, 0.0 to 86400.0 "s";
        /// Least length of the result, silence included: what is missing is added at the end. What is longer stays.
        to_length_s: f64 = 0.0, 0.0 to 86400.0 "s";
    }
}

/// See [`PadParams`]. Lengths are rounded to the nearest frame. No latency: it compensates itself. What arrives while the
/// silence before it is given out waits, beyond 2 MiB in a temporary file.
#[derive(Debug)]
pub struct Pad {
    params: PadParams,
    spec: Option<Spec>,
    /// Most frames of one block of output.
    room: u64,
    start: u64,
    end: u64,
    least: u64,
    waiting: FrameFifo,
    /// Frames of output so far, and frames that all input and the silence around it come to.
    given: u64,
    total: u64,
    error: Option<Error>,
}

impl Pad {
    /// A pad of `params`.
    pub fn new(params: &PadParams) -> Self {
        Self {
            params: params.clone(),
            spec: None,
            room: 0,
            start: 0,
            end: 0,
            least: 0,
            waiting: FrameFifo::new(1),
            given: 0,
            total: 0,
            error: None,
        }
    }

    /// Leaves what is due next in `block`.
    fn emit(&mut self, block: &mut Buffer, silence_until: u64) {
        let result = if self.given < self.start || self.waiting.frames() == 0 {
            let until = if self.given < self.start { self.start } else { silence_until };
            let count = until.saturating_sub(self.given).min(self.room);
            block.set_frames(count as usize);
            block.channels_mut().for_each(|c| c.fill(0.0));
            Ok(())
        } else {
            self.waiting.pop(self.room.min(self.waiting.frames()), Some(block))
        };
        self.given += block.frames() as u64;
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

impl Filter for Pad {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let frames = |seconds: f64| (seconds * f64::from(spec.rate_hz)).round() as u64;
        (self.start, self.end) = (frames(self.params.start_s), frames(self.params.end_s));
        self.least = frames(self.params.to_length_s);
        // Twice the input, so that the silence at the start is caught up with.
        (self.spec, self.room) = (Some(spec), 2 * max_frames as u64);
        self.waiting = FrameFifo::new(spec.channels());
        self.reset();
        Ok(Prepared { spec, max_frames: 2 * max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.spec.is_none() {
            return;
        }
        self.total += block.frames() as u64;
        if self.given >= self.start && self.waiting.frames() == 0 {
            self.given += block.frames() as u64;
            return;
        }
        if let Err(error) = self.waiting.push(block) {
            self.error.get_or_insert(error);
        }
        self.emit(block, 0);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        block.set_spec(spec);
        self.emit(block, (self.start + self.total + self.end).max(self.least));
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.waiting.clear();
        (self.given, self.total, self.error) = (0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{counting, through};

    #[test]
    fn adds_exactly_the_silence_for_any_block() {
        let x = counting(1_000);
        for block in [1, 7, 64, 1_000] {
            for (text, before, after) in [
                ("pad", 0, 0),
                ("pad:start_s=0.2", 200, 0),
                ("pad:start_s=3.5,end_s=0.1", 3_500, 100),
                ("pad:to_length_s=1.3", 0, 300),
                ("pad:to_length_s=0.3", 0, 0),
                ("pad:start_s=0.1,end_s=0.1,to_length_s=1.25", 100, 150),
            ] {
                for channel in through(text, 1_000, &[x.clone(), x.clone()], block) {
                    let want = [vec![0.0; before], x.clone(), vec![0.0; after]].concat();
                    assert!(channel == want, "{text} {block}");
                }
            }
        }
        assert_eq!(through("pad:start_s=0.1", 1_000, &[vec![]], 64)[0], vec![0.0; 100]);
    }
}
