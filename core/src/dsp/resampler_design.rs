//! The low-pass of the resampler: how steep, how long, and its coefficients.

use std::f64::consts::PI;

use crate::dsp::kernels::{PhaseBlock, bessel_i0};

/// How steep and how clean the low-pass is. Frequencies are fractions of the lower Nyquist frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Flat to 0.80, -3 dB at 0.89, aliases below -100 dB: for previews and analysis.
    Fast,
    /// Flat to 0.91, -3 dB at 0.95, aliases below -130 dB: beyond what 20 bits hold. The default.
    #[default]
    Good,
    /// Flat to 0.955, -3 dB at 0.974, aliases below -138 dB, where 32-bit float itself ends. Twice the work.
    Best,
}

impl Quality {
    /// (attenuation in dB, end of the pass band as a fraction of the lower Nyquist frequency)
    fn design(self) -> (f64, f64) {
        match self {
            Self::Fast => (105.0, 0.80),
            Self::Good => (137.0, 0.9135),
            Self::Best => (150.0, 0.955),
        }
    }
}

/// Coefficients to store at most; beyond, rows are interpolated.
const MAX_TABLE: usize = 1 << 20;

/// Additional attenuation of the stages that halve the rate: the ripples of all stages add up, and theirs shall not count.
const STAGE_EXTRA_DB: f64 = 14.0;

/// Rows per input frame of the interpolated table, for a filter as wide as the input's band. Cubics leave an error of
/// (3/128) pi^4 / rows^4: -161 dB.
const CUBIC_ROWS: usize = 128;

/// A low-pass to be designed. Frequencies are fractions of the Nyquist frequency of the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct LowPass {
    pub attenuation_db: f64,
    pub pass: f64,
    pub stop: f64,
}

impl LowPass {
    /// That of a conversion by `ratio` in one stage.
    pub fn of(quality: Quality, ratio: f64) -> Self {
        let (attenuation_db, pass) = quality.design();
        let stop = ratio.min(1.0);
        Self { attenuation_db, pass: pass * stop, stop }
    }

    /// That of a stage which halves the rate before `self` is applied: what the halving folds must not reach below the
    /// final stop band.
    pub fn halving(&self) -> Self {
        Self { attenuation_db: self.attenuation_db + STAGE_EXTRA_DB, stop: 1.0 - self.stop, ..*self }
    }

    /// The same at half the rate.
    pub fn after_halving(&self) -> Self {
        Self { pass: 2.0 * self.pass, stop: 2.0 * self.stop, ..*self }
    }

    /// Product of taps and transition band, in cycles per frame: Kaiser's formula.
    pub fn product(&self) -> f64 {
        (self.attenuation_db - 7.95) / 14.36
    }

    /// Taps in multiples of 16.
    pub fn taps(&self) -> usize {
        let wanted = self.product() / ((self.stop - self.pass) / 2.0);
        (wanted / 16.0).ceil() as usize * 16
    }
}

#[derive(Debug, Clone)]
pub(super) enum Table {
    /// Equal rates: nothing to do.
    Copy,
    /// All coefficients of one period.
    Period(PhaseBlock),
    /// Four rows (cubic coefficients) per interval between two tabulated fractions of a frame.
    Cubic { intervals: usize, rows: Vec<f32>, position: Position },
}

/// Where the next output lies: `phase / phases` behind the frame `start` of the history, going `step / phases` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub start: usize,
    pub phase: u64,
    pub phases: u64,
    pub step: u64,
}

impl Position {
    pub fn advance(&mut self) {
        let next = self.phase + self.step;
        self.start += (next / self.phases) as usize;
        self.phase = next % self.phases;
    }

    /// `start` of the output `count` further on.
    pub fn after(&self, count: usize) -> usize {
        let phase = u128::from(self.phase) + u128::from(self.step) * count as u128;
        usize::try_from(phase / u128::from(self.phases)).unwrap_or(usize::MAX).saturating_add(self.start)
    }
}

/// Number of taps per row and the coefficients.
pub(super) fn design(phases: usize, step: usize, low_pass: &LowPass) -> (usize, Table) {
    let scale = (phases as f64 / step as f64).min(1.0);
    let taps = low_pass.taps();
    // What the rounding up gives, the pass band gets.
    let cutoff = low_pass.stop - low_pass.product() / taps as f64;
    let beta = 0.1102 * (low_pass.attenuation_db - 8.7);
    if phases.saturating_mul(taps) <= MAX_TABLE {
        let prototype = Prototype::new(taps, phases, cutoff, beta);
        let block = PhaseBlock::new(phases, step, taps, |phase, put| {
            for k in 0..taps {
                put(k, prototype.at(k, phase as isize) as f32);
            }
        });
        return (taps, Table::Period(block));
    }
    let intervals = ((CUBIC_ROWS as f64 * scale).ceil() as usize).max(8);
    let prototype = Prototype::new(taps, intervals, cutoff, beta);
    let mut rows = vec![0.0f32; intervals * 4 * taps];
    for (interval, block) in rows.chunks_exact_mut(4 * taps).enumerate() {
        for k in 0..taps {
            // Lagrange's cubic through the values at -1, 0, 1, 2.
            let [a, b, c, d] = [-1, 0, 1, 2].map(|at| prototype.at(k, interval as isize + at));
            block[k] = b as f32;
            block[taps + k] = (c - a / 3.0 - b / 2.0 - d / 6.0) as f32;
            block[2 * taps + k] = ((a + c) / 2.0 - b) as f32;
            block[3 * taps + k] = ((d - a) / 6.0 + (b - c) / 2.0) as f32;
        }
    }
    let position = Position { start: 0, phase: 0, phases: phases as u64, step: step as u64 };
    (taps, Table::Cubic { intervals, rows, position })
}

/// The impulse response at all multiples of a fraction of an input frame. It is symmetric: one half is kept.
struct Prototype {
    per_frame: usize,
    /// Taps before the one that lies at or just before the output.
    lead: isize,
    half: Vec<f64>,
}

impl Prototype {
    /// `cutoff` is a fraction of the input's Nyquist frequency.
    fn new(taps: usize, per_frame: usize, cutoff: f64, beta: f64) -> Self {
        let count = taps / 2 * per_frame;
        let value = |m: usize| {
            let x = m as f64 / count as f64;
            let angle = PI * cutoff * m as f64 / per_frame as f64;
            let sinc = if m == 0 { 1.0 } else { angle.sin() / angle };
            sinc * bessel_i0(beta * (1.0 - x * x).sqrt())
        };
        let mut half: Vec<f64> = (0..count).map(value).collect();
        // Gain 1 at DC, on average over the phases; one by one they differ by less than the ripple.
        let sum = 2.0 * half.iter().sum::<f64>() - half[0];
        half.iter_mut().for_each(|v| *v *= per_frame as f64 / sum);
        Self { per_frame, lead: taps as isize / 2 - 1, half }
    }

    /// Coefficient of tap `k` for an output that lies `fraction / per_frame` behind the tap `lead`.
    fn at(&self, k: usize, fraction: isize) -> f64 {
        let m = (k as isize - self.lead) * self.per_frame as isize - fraction;
        self.half.get(m.unsigned_abs()).copied().unwrap_or(0.0)
    }
}
