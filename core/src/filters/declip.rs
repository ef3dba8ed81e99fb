//! Restores the peaks that an overdriven input cut off.
//!
//! The clip level is found in the sound: hard clipping makes runs of equal samples with a corner at each end, which no
//! band-limited peak has. Samples at that level are then estimated by an autoregressive model of the surroundings, in turns
//! with the model itself (Janssen, Veldhuis, Vries 1986), under the condition that they lie beyond the level: those which
//! the model puts below it are set to it and the others are solved again.

use std::ops::Range;

use super::ar::Ar;
use super::params::{FilterParams, filter_params};
use super::windows::Windows;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Finds samples that were clipped and puts back peaks that fit the sound. They go beyond the clip level, so lower the
    /// level afterwards. All other samples stay bit for bit.
    pub struct DeclipParams for "declip" in Restoration, realtime true {
        /// Finds the clip level itself, for each channel and side; false takes `level_dbfs`.
        detect: bool = true;
        /// Level from which samples count as clipped when it is not detected. For recordings that were coded with losses
        /// after clipping, whose flat tops are no longer flat.
        level_dbfs: f64 = -0.5, -60.0 to 0.0 "dBFS";
        /// Most that a restored peak may rise above the clip level.
        headroom_db: f64 = 12.0, 0.0 to 40.0 "dB";
    }
}

/// Width of a flat top, relative to its level.
const FLAT: f32 = 1e-3;

/// See [`DeclipParams`]. Latency is about 35 ms. NaN and infinity are taken as silence.
pub struct Declip {
    params: DeclipParams,
    windows: Windows,
    repair: Option<Repair>,
    level: f32,
    headroom: f64,
}

/// Room for one window.
struct Repair {
    ar: Ar,
    x: Vec<f64>,
    /// Clipped samples of the window and their sides' levels: positive or negative.
    places: Vec<usize>,
    levels: Vec<f64>,
    /// Those that are not held at their level.
    free: Vec<usize>,
}

impl Declip {
    /// A repair of `params`.
    pub fn new(params: &DeclipParams) -> Self {
        let mut filter =
            Self { params: params.clone(), windows: Windows::new(0, 0, 1, 0), repair: None, level: 1.0, headroom: 1.0 };
        filter.update();
        filter
    }

    fn update(&mut self) {
        self.level = 10f64.powf(self.params.level_dbfs / 20.0) as f32;
        self.headroom = 10f64.powf(self.params.headroom_db / 20.0);
    }
}

impl Filter for Declip {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        let order = ((rate_hz / 500.0) as usize).clamp(16, 96);
        let hop = 1 << (0.0116 * rate_hz).log2().round().max(7.0) as u32;
        self.windows = Windows::new(spec.channels(), hop, hop, 2 * hop);
        self.repair = Some(Repair {
            ar: Ar::new(order, 4 * hop, 2 * hop),
            x: vec![0.0; 4 * hop],
            places: Vec::with_capacity(4 * hop),
            levels: Vec::with_capacity(4 * hop),
            free: Vec::with_capacity(4 * hop),
        });
        Ok(Prepared { spec, max_frames, latency_frames: self.windows.latency_frames(), tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (Some(repair), middle) = (&mut self.repair, self.windows.middle()) else { return };
        let fixed = (!self.params.detect).then_some(self.level);
        let headroom = self.headroom;
        self.windows.process(block, |_, line| repair.run(line, middle.clone(), fixed, headroom));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.windows.reset();
    }
}

impl Repair {
    /// Repairs the middle of a window.
    fn run(&mut self, line: &mut [f32], middle: Range<usize>, fixed: Option<f32>, headroom: f64) {
        // What lies before the middle was repaired already. Some of what follows is repaired too, for the model's sake.
        let zone = middle.start..(middle.end + middle.len() / 2).min(line.len() - self.ar.order() - 1);
        self.places.clear();
        self.levels.clear();
        for side in [1.0f32, -1.0] {
            let top = line[middle.start..].iter().map(|x| side * x).fold(0.0f32, f32::max);
            let level = fixed.unwrap_or(top * (1.0 - FLAT));
            // Nothing is clipped at -40 dBFS.
            if level > 0.01 && top >= level {
                self.mark(line, zone.clone(), side, level, fixed.is_none());
            }
        }
        if !self.places.iter().any(|n| middle.contains(n)) {
            return;
        }
        self.sort();
        for (x, y) in self.x.iter_mut().zip(&*line) {
            *x = f64::from(*y);
        }
        for _ in 0..3 {
            if !self.ar.fit(&self.x) {
                return;
            }
            self.estimate(headroom);
        }
        for place in self.places.iter().filter(|n| middle.contains(n)) {
            line[*place] = self.x[*place] as f32;
        }
    }

    /// Adds the clipped samples of one side to `places`.
    fn mark(&mut self, line: &[f32], zone: Range<usize>, side: f32, level: f32, by_shape: bool) {
        let mut at = zone.start;
        while at < zone.end {
            if side * line[at] < level {
                at += 1;
                continue;
            }
            let (from, mut to) = (at, at + 1);
            while to < zone.end && side * line[to] >= level {
                to += 1;
            }
            at = to + 1;
            if by_shape && !is_clipped(line, from..to, side * level) {
                continue;
            }
            self.places.extend(from..to);
            // The sample itself is the bound: it may lie above a level that was given.
            self.levels.extend(line[from..to].iter().map(|x| f64::from(*x)));
        }
    }

    /// Both sides in order of time. Insertion sort: two runs that are sorted already, few samples, no allocation.
    fn sort(&mut self) {
        for i in 1..self.places.len() {
            let mut k = i;
            while k > 0 && self.places[k - 1] > self.places[k] {
                self.places.swap(k - 1, k);
                self.levels.swap(k - 1, k);
                k -= 1;
            }
        }
    }

    /// One estimate of the clipped samples by the present model.
    fn estimate(&mut self, headroom: f64) {
        self.free.clear();
        self.free.extend(&self.places);
        for _ in 0..3 {
            // A part at a time when there are more than the model takes.
            for part in self.free.chunks(self.ar.most()) {
                self.ar.fill(&mut self.x, part);
            }
            let before = self.free.len();
            self.free.clear();
            for (place, level) in self.places.iter().zip(&self.levels) {
                let x = &mut self.x[*place];
                if *x * level.signum() <= level.abs() {
                    *x = *level;
                } else {
                    self.free.push(*place);
                }
            }
            if self.free.len() == before {
                break;
            }
        }
        for (place, level) in self.places.iter().zip(&self.levels) {
            let most = level.abs() * headroom;
            self.x[*place] = self.x[*place].clamp(-most, most);
        }
    }
}

/// Whether a run of samples at a level is a flat top with corners.
///
/// A smooth peak is a parabola where it is highest. One that stays within a share `w` of its height for `n` samples has a
/// curvature of at most `8 w / (n - 1)^2` of the height, so the two samples beside them lie below by no more than
/// `16 w (1 / (n - 1) + 1 / (n - 1)^2)` together. Clipping cuts steeper slopes; twice that tells the two apart.
fn is_clipped(line: &[f32], run: Range<usize>, level: f32) -> bool {
    let count = run.len();
    let (Some(before), Some(after)) = (run.start.checked_sub(1), line.get(run.end)) else { return false };
    if count < 2 {
        return false;
    }
    let fall = (2.0 * level - line[before] - after).abs();
    let inverse = 1.0 / (count - 1) as f32;
    fall > 32.0 * FLAT * level.abs() * inverse * (1.0 + inverse)
}

#[cfg(test)]
mod tests {
    use crate::filters::declick::tests::{music, ratio_db, run};

    #[test]
    fn clipped_music_gets_its_peaks_back() {
        let clean = music();
        for (level, least_db) in [(0.25f32, 10.0), (0.15, 6.0)] {
            let x: Vec<f32> = clean.iter().map(|v| v.clamp(-level, level)).collect();
            let count = clean.iter().filter(|v| v.abs() > level).count();
            assert!(count > 500, "{count}");
            for text in
                ["declip".to_owned(), format!("declip:detect=false,level_dbfs={}", 20.0 * (level * 0.9999).log10())]
            {
                let y = run(&text, &x);
                let (before, after) = (ratio_db(&clean, &x), ratio_db(&clean, &y));
                // Stated bounds, for light and heavy clipping.
                assert!(after > before + least_db, "{text}: {before:.1} {after:.1}");
                // What was not clipped stays; what was goes up only.
                assert!(x.iter().zip(&y).all(|(a, b)| a.abs() >= 0.998 * level || a.to_bits() == b.to_bits()));
                assert!(x.iter().zip(&y).all(|(a, b)| b.abs() >= a.abs() - 1e-6));
            }
        }
    }

    #[test]
    fn what_is_not_clipped_passes_bit_for_bit() {
        let x = music();
        assert!(x.iter().zip(&run("declip", &x)).all(|(a, b)| a.to_bits() == b.to_bits()));
        // Low tones have long smooth tops.
        for hz in [20.0f64, 50.0, 441.0, 5_000.0] {
            let sine: Vec<f32> = (0..44_100)
                .map(|n| (0.9 * (std::f64::consts::TAU * hz * f64::from(n) / 44_100.0).sin()) as f32)
                .collect();
            assert!(sine.iter().zip(&run("declip", &sine)).all(|(a, b)| a.to_bits() == b.to_bits()), "{hz}");
        }
    }
}
