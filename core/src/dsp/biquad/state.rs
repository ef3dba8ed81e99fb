//! One section at work.

use super::Coefficients;

/// State of one section for one channel, f64: that of the transposed direct form II.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    pub(crate) s1: f64,
    pub(crate) s2: f64,
}

impl State {
    /// One sample. Real-time safe.
    ///
    /// The transposed direct form `y = b0 x + s1`, `s1' = b1 x - a1 y + s2`, `s2' = b2 x - a2 y` with `y` put in: from one
    /// sample to the next there is one multiplication and one addition to wait for, in place of one and three. That wait
    /// is what a section costs.
    #[inline(always)]
    pub fn step(&mut self, c: &Coefficients, x: f64) -> f64 {
        let [c1, c2] = c.input_part();
        let y = c.b0 * x + self.s1;
        let next = (c1 * x + self.s2) - c.a1 * self.s1;
        self.s2 = c2 * x - c.a2 * self.s1;
        self.s1 = next;
        y
    }

    /// For the end of a block: clears what can no longer be heard but would go on as denormals, which are slow on
    /// many CPUs, and what is not finite and would never recover. 1e-100 is lost in the rounding of any f32 sample,
    /// so the place of the block's end does not show.
    #[inline]
    pub fn settle(&mut self) {
        for s in [&mut self.s1, &mut self.s2] {
            if !(s.abs() > 1e-100 && s.is_finite()) {
                *s = 0.0;
            }
        }
    }
}

/// One section on one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Biquad {
    /// May be changed at any time; the state stays, so small changes do not click.
    pub coefficients: Coefficients,
    state: State,
}

impl Biquad {
    /// A section at rest.
    pub fn new(coefficients: Coefficients) -> Self {
        Self { coefficients, state: State::default() }
    }

    /// One sample. Real-time safe.
    #[inline(always)]
    pub fn step(&mut self, x: f64) -> f64 {
        self.state.step(&self.coefficients, x)
    }

    /// Filters a block in place. Real-time safe.
    pub fn process(&mut self, samples: &mut [f32]) {
        let (c, mut state) = (self.coefficients, self.state);
        for sample in samples {
            *sample = state.step(&c, f64::from(*sample)) as f32;
        }
        state.settle();
        self.state = state;
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.state = State::default();
    }
}
