//! Repeats a file.

use super::crossfade::{CrossfadeCurve, crossfade};
use super::params::filter_params;
use super::tape::Tape;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Plays the file several times in a row, with a cross-fade from each end to the next beginning. For files.
    pub struct LoopParams for "loop" in Time, realtime false {
        /// How often it is played in all.
        count: u32 = 1, 1 to 10000 "";
        /// Overlap of two rounds, at most half of the file.
        crossfade_ms: f64 = 0.0, 0.0 to 60000.0 "ms";
        /// Course of the cross-fade.
        curve: CrossfadeCurve = CrossfadeCurve::EqualPower;
    }
}

/// See [`LoopParams`]. Of `n` frames and an overlap of `x` come `count * n - (count - 1) * x`. Keeps the whole recording,
/// beyond 16 MiB in a temporary file, and gives it out at the end.
#[derive(Debug)]
pub struct Loop {
    params: LoopParams,
    spec: Option<Spec>,
    max_frames: usize,
    overlap: u64,
    tape: Tape,
    /// Frames of output so far.
    given: u64,
    /// End of the previous round.
    ending: Buffer,
    error: Option<Error>,
}

impl Loop {
    /// A loop of `params`.
    pub fn new(params: &LoopParams) -> Self {
        Self {
            params: params.clone(),
            spec: None,
            max_frames: 0,
            overlap: 0,
            tape: Tape::new(1),
            given: 0,
            ending: Buffer::new(Spec::new(48_000, crate::audio::ChannelLayout::MONO), 0),
            error: None,
        }
    }

    /// Reads the next stretch that lies within one round and on one side of the end of its cross-fade.
    fn next(&mut self, block: &mut Buffer) -> Result<()> {
        let frames = self.tape.frames();
        let overlap = self.overlap.min(frames / 2);
        let (period, rounds) = (frames - overlap, u64::from(self.params.count));
        if frames == 0 || self.given >= rounds * period + overlap {
            block.set_frames(0);
            return Ok(());
        }
        let round = (self.given / period).min(rounds - 1);
        let at = self.given - round * period;
        let fading = round > 0 && at < overlap;
        let until = match (fading, round + 1 == rounds) {
            (true, _) => overlap,
            (_, true) => frames,
            _ => period,
        };
        let count = (until - at).min(self.max_frames as u64) as usize;
        self.tape.read(at, count, block)?;
        if fading {
            self.tape.read(period + at, count, &mut self.ending)?;
            for (to, from) in block.channels_mut().zip(self.ending.channels()) {
                crossfade(self.params.curve, from, to, at as usize, overlap as usize);
            }
        }
        self.given += count as u64;
        Ok(())
    }
}

impl Filter for Loop {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.overlap = (self.params.crossfade_ms * f64::from(spec.rate_hz) / 1000.0).round() as u64;
        self.tape = Tape::new(spec.channels());
        self.ending = Buffer::new(spec, max_frames);
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.spec.is_some() && self.params.count > 1 {
            self.error = self.error.take().or(self.tape.push(block).err());
            block.set_frames(0);
        }
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        block.set_spec(spec);
        if let Err(error) = self.next(block) {
            self.error.get_or_insert(error);
            block.set_frames(0);
        }
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.tape.clear();
        (self.given, self.error) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{counting, through};

    #[test]
    fn repeats_exactly_without_a_crossfade() {
        let x = counting(1_000);
        for block in [1, 7, 64, 5_000] {
            assert!(through("loop:count=3", 1_000, &[x.clone(), x.clone()], block)[1] == x.repeat(3), "{block}");
        }
        assert!(through("loop", 1_000, std::slice::from_ref(&x), 64)[0] == x);
        assert!(through("loop:count=5", 1_000, &[vec![]], 64)[0].is_empty());
        assert_eq!(through("loop:count=3,crossfade_ms=9", 1_000, &[vec![0.5]], 64)[0], [0.5; 3]);
    }

    #[test]
    fn the_crossfade_overlaps_end_and_beginning() {
        // A ramp fades from 1 to 0 along a straight line; what lies outside the overlap is untouched.
        let x = counting(1_000);
        for (overlap, used) in [(100usize, 100usize), (900, 500)] {
            for block in [1, 33, 3_000] {
                let text = format!("loop:count=3,crossfade_ms={overlap},curve=equal_gain");
                let y = through(&text, 1_000, std::slice::from_ref(&x), block).remove(0);
                let period = 1_000 - used;
                assert_eq!(y.len(), 3 * 1_000 - 2 * used);
                for (n, y) in y.iter().enumerate() {
                    let round = (n / period).min(2);
                    let at = n - round * period;
                    let want = if round > 0 && at < used {
                        let t = (at as f32 + 0.5) / used as f32;
                        x[at] * t + x[period + at] * (1.0 - t)
                    } else {
                        x[at]
                    };
                    assert!((y - want).abs() < 1e-7, "{overlap} {block} {n}: {y} {want}"); // f32 rounding near 0.015
                }
            }
        }
    }
}
