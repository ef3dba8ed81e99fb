//! Keeps a stretch of a file.

use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Keeps the stretch between two times and drops the rest. For files.
    pub struct TrimParams for "trim" in Time, realtime false {
        /// Time of the first frame that is kept.
        start_s: f64 = 0.0, 0.0 to 1000000.0 "s";
        /// Time of the first frame that is dropped again; 0 is the end of the file.
        end_s: f64 = 0.0, 0.0 to 1000000.0 "s";
        /// Length of what is kept, instead of `end_s`; 0 is no limit.
        duration_s: f64 = 0.0, 0.0 to 1000000.0 "s";
    }
}

/// See [`TrimParams`]. Times are rounded to the nearest frame. No latency: it compensates itself.
#[derive(Debug)]
pub struct Trim {
    params: TrimParams,
    start: u64,
    end: u64,
    received: u64,
}

impl Trim {
    /// A trim of `params`.
    pub fn new(params: &TrimParams) -> Self {
        Self { params: params.clone(), start: 0, end: u64::MAX, received: 0 }
    }
}

impl Filter for Trim {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let TrimParams { start_s, end_s, duration_s } = self.params;
        if end_s > 0.0 && duration_s > 0.0 {
            return Err(Error::Conflict { what: "trim.end_s and trim.duration_s are both given".into() });
        }
        if end_s > 0.0 && end_s <= start_s {
            return Err(Error::Conflict { what: format!("trim.end_s {end_s} is not after trim.start_s {start_s}") });
        }
        let frames = |seconds: f64| (seconds * f64::from(spec.rate_hz)).round() as u64;
        self.start = frames(start_s);
        self.end = match (end_s > 0.0, duration_s > 0.0) {
            (true, _) => frames(end_s),
            (_, true) => frames(start_s + duration_s),
            _ => u64::MAX,
        };
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let frames = block.frames();
        let within = |position: u64| position.saturating_sub(self.received).min(frames as u64) as usize;
        let (first, last) = (within(self.start), within(self.end));
        block.set_frames(last);
        block.drop_front(first);
        self.received += frames as u64;
    }

    fn reset(&mut self) {
        self.received = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{counting, through};
    use crate::filters::FileChain;

    #[test]
    fn keeps_exactly_the_stretch_for_any_block() {
        let x = counting(1_000);
        for block in [1, 7, 64, 1_000] {
            for (text, want) in [
                ("trim", 0..1_000),
                ("trim:start_s=0.2", 200..1_000),
                ("trim:end_s=0.3", 0..300),
                ("trim:start_s=0.2504,end_s=0.3", 250..300),
                ("trim:start_s=0.9,duration_s=0.05", 900..950),
                ("trim:start_s=0.9,duration_s=5", 900..1_000),
                ("trim:start_s=2", 0..0),
            ] {
                let y = through(text, 1_000, &[x.clone(), x.clone()], block);
                assert!(y.iter().all(|y| *y == x[want.clone()]), "{text} {block}");
            }
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let spec = crate::audio::Spec::new(8_000, crate::audio::ChannelLayout::MONO);
        for text in ["trim:start_s=2,end_s=2", "trim:start_s=2,end_s=1", "trim:end_s=2,duration_s=2"] {
            assert!(FileChain::new(&[text.parse().unwrap()]).unwrap().prepare(spec, 64).is_err(), "{text}");
        }
    }
}
