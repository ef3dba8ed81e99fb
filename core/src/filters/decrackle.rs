//! Removes crackle: the many small clicks of worn records and bad contacts.
//!
//! The same model as `declick` (see the module `clicks`), set for short and weak clicks that come many at a time.

use super::clicks::{ClickRepair, Detection};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Finds many short weak clicks and replaces them by what the sound around them lets expect.
    pub struct DecrackleParams for "decrackle" in Restoration, realtime true {
        /// How far a click must stand out of the sound, in standard deviations of what is not predictable.
        threshold: f64 = 3.5, 1.5 to 20.0 "";
        /// Longest click that is repaired.
        longest_ms: f64 = 0.4, 0.05 to 2.0 "ms";
        /// Share of the repaired sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// See [`DecrackleParams`]. Latency is about 35 ms. NaN and infinity are taken as silence.
pub struct Decrackle {
    params: DecrackleParams,
    rate_hz: f64,
    repair: Option<ClickRepair>,
}

impl Decrackle {
    /// A repair of `params`.
    pub fn new(params: &DecrackleParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, repair: None }
    }

    fn detection(&self) -> Detection {
        Detection {
            threshold: self.params.threshold,
            longest: ((self.params.longest_ms * self.rate_hz / 1_000.0) as usize).max(2),
            gap: 1,
            margin: 0,
            passes: 4,
        }
    }
}

impl Filter for Decrackle {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let repair = ClickRepair::new(spec.channels(), self.rate_hz);
        let latency_frames = repair.latency_frames();
        self.repair = Some(repair);
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let how = self.detection();
        if let Some(repair) = &mut self.repair {
            repair.process(block, how, (self.params.mix_percent / 100.0) as f32);
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        if let Some(repair) = &mut self.repair {
            repair.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::filters::declick::tests::{music, random, ratio_db, run};

    #[test]
    fn crackle_gets_weaker() {
        let clean = music();
        let (mut x, mut seed) = (clean.clone(), 11u32);
        for n in (2_000..clean.len()).step_by(97) {
            x[n + (random(&mut seed) * 40.0) as usize] += 0.03 * random(&mut seed);
        }
        let (before, after) = (ratio_db(&clean, &x), ratio_db(&clean, &run("decrackle", &x)));
        // Stated bound: 6 dB better with 450 clicks a second.
        assert!(after > before + 6.0, "{before:.1} {after:.1}");
        let half = ratio_db(&clean, &run("decrackle:mix_percent=0", &x));
        assert!((half - before).abs() < 1e-6);
    }
}
