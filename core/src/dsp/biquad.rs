//! Second-order sections: designs, response, processing.
//!
//! `H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2)`. Designs after R. Bristow-Johnson, *Audio EQ Cookbook*
//! (W3C Note, 2021); Butterworth cascades are sections of the same cookbook with the Q of each pole pair. All designs
//! are bilinear transforms with the frequency pre-warped, so the stated frequency is exact at any rate.
//!
//! Coefficients and state are f64: at 20 Hz and 192 kHz the poles lie within 1e-3 of the unit circle, where f32 state
//! would add noise near -90 dBFS.

mod butterworth;
mod cascade;
mod cookbook;
mod first_order;
mod section_list;
mod state;

pub use self::cascade::Cascade;
pub use self::cookbook::Width;
pub use self::section_list::SectionList;
pub use self::state::{Biquad, State};

use std::f64::consts::PI;

/// Coefficients of one section, normalised to `a0 = 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// Feed-forward, this sample.
    pub b0: f64,
    /// Feed-forward, one sample ago.
    pub b1: f64,
    /// Feed-forward, two samples ago.
    pub b2: f64,
    /// Feedback, one sample ago (subtracted).
    pub a1: f64,
    /// Feedback, two samples ago (subtracted).
    pub a2: f64,
}

impl Coefficients {
    /// Passes everything unchanged.
    pub const IDENTITY: Self = Self { b0: 1.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 };

    /// Divides by `a0`.
    pub fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b0: b[0] / a[0], b1: b[1] / a[0], b2: b[2] / a[0], a1: a[1] / a[0], a2: a[2] / a[0] }
    }

    /// What the input adds to each state when the output is put into the transposed direct form; see [`State::step`].
    #[inline(always)]
    pub(crate) fn input_part(&self) -> [f64; 2] {
        [self.b1 - self.a1 * self.b0, self.b2 - self.a2 * self.b0]
    }

    /// Real and imaginary part of the response at `freq_hz`.
    pub fn response(&self, freq_hz: f64, rate_hz: f64) -> (f64, f64) {
        let (s1, c1) = (2.0 * PI * freq_hz / rate_hz).sin_cos();
        let (s2, c2) = (4.0 * PI * freq_hz / rate_hz).sin_cos();
        let (nr, ni) = (self.b0 + self.b1 * c1 + self.b2 * c2, -self.b1 * s1 - self.b2 * s2);
        let (dr, di) = (1.0 + self.a1 * c1 + self.a2 * c2, -self.a1 * s1 - self.a2 * s2);
        let d = dr * dr + di * di;
        ((nr * dr + ni * di) / d, (ni * dr - nr * di) / d)
    }

    /// Gain at `freq_hz` in dB; `-inf` at a zero.
    pub fn gain_db(&self, freq_hz: f64, rate_hz: f64) -> f64 {
        let (re, im) = self.response(freq_hz, rate_hz);
        10.0 * (re * re + im * im).log10()
    }

    /// Frames in which the impulse response decays by 100 dB, from the radius of the slower pole; 0 without poles, and for
    /// an unstable section, which has no such time.
    pub fn decay_frames(&self) -> usize {
        // Complex poles have the radius sqrt(a2); real ones are the roots of z^2 + a1 z + a2.
        let root = self.a1 * self.a1 - 4.0 * self.a2;
        let radius = if root < 0.0 { self.a2.sqrt() } else { 0.5 * (self.a1.abs() + root.sqrt()) };
        if radius > 0.0 && radius < 1.0 { (1e-5f64.ln() / radius.ln()).ceil() as usize + 2 } else { 2 }
    }

    /// True when both poles lie inside the unit circle and nothing is NaN.
    pub fn is_stable(&self) -> bool {
        let finite = [self.b0, self.b1, self.b2].iter().all(|c| c.is_finite());
        finite && self.a2.abs() < 1.0 && self.a1.abs() < 1.0 + self.a2
    }
}

/// Gain of a cascade at `freq_hz` in dB.
pub fn cascade_gain_db(sections: &[Coefficients], freq_hz: f64, rate_hz: f64) -> f64 {
    sections.iter().map(|s| s.gain_db(freq_hz, rate_hz)).sum()
}
