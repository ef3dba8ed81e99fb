//! Second-order sections: designs, response, processing.
//!
//! `H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2)`. Designs after R. Bristow-Johnson, *Audio EQ Cookbook*
//! (W3C Note, 2021); Butterworth cascades are sections of the same cookbook with the Q of each pole pair. All designs
//! are bilinear transforms with the frequency pre-warped, so the stated frequency is exact at any rate.
//!
//! Coefficients and state are f64: at 20 Hz and 192 kHz the poles lie within 1e-3 of the unit circle, where f32 state
//! would add noise near -90 dBFS.

use std::f64::consts::{LN_2, PI};

use crate::audio::Buffer;
use crate::dsp::kernels::{self, MAX_SECTIONS};
use crate::error::{Error, Result};

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

/// How wide a section acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Width {
    /// Quality factor: 0.7071 is a Butterworth section. Above 0.
    Q(f64),
    /// Bandwidth in octaves between the -3 dB points (between the midpoint gains for `peak`). Above 0.
    Octaves(f64),
    /// Slope of a shelf: 1 is the steepest without overshoot. Above 0.
    Slope(f64),
}

impl From<f64> for Width {
    /// A plain number is a Q.
    fn from(q: f64) -> Self {
        Self::Q(q)
    }
}

/// What every cookbook design starts from.
struct Design {
    cos_w0: f64,
    sin_w0: f64,
    alpha: f64,
    /// Square root of the linear gain at the centre or on the shelf.
    amplitude: f64,
}

impl Design {
    fn new(rate_hz: f64, freq_hz: f64, width: Width, gain_db: f64) -> Result<Self> {
        let w0 = angle(rate_hz, freq_hz)?;
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let amplitude = 10f64.powf(gain_db / 40.0);
        let (sin_w0, cos_w0) = w0.sin_cos();
        let alpha = match width {
            Width::Q(q) => {
                Error::check_range("q", q, 1e-4, 1e6, "")?;
                sin_w0 / (2.0 * q)
            }
            Width::Octaves(octaves) => {
                Error::check_range("bandwidth_octaves", octaves, 1e-4, 20.0, "octaves")?;
                sin_w0 * (LN_2 / 2.0 * octaves * w0 / sin_w0).sinh()
            }
            Width::Slope(slope) => {
                // Where the root below would be imaginary the shelf does not exist.
                let sum = amplitude + 1.0 / amplitude;
                let max = if sum > 2.0 { sum / (sum - 2.0) } else { f64::MAX };
                Error::check_range("slope", slope, 1e-4, max, "")?;
                sin_w0 / 2.0 * (sum * (1.0 / slope - 1.0) + 2.0).max(0.0).sqrt()
            }
        };
        Ok(Self { cos_w0, sin_w0, alpha, amplitude })
    }
}

/// Angular frequency in rad/sample of a frequency inside the band.
fn angle(rate_hz: f64, freq_hz: f64) -> Result<f64> {
    Error::check_range("rate_hz", rate_hz, 1.0, 1e9, "Hz")?;
    // The top is just under the Nyquist frequency, where the bilinear transform has no answer.
    Error::check_range("freq_hz", freq_hz, 1e-6 * rate_hz, 0.499_999 * rate_hz, "Hz")?;
    Ok(2.0 * PI * freq_hz / rate_hz)
}

impl Coefficients {
    /// Passes everything unchanged.
    pub const IDENTITY: Self = Self { b0: 1.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 };

    /// Divides by `a0`.
    pub fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b0: b[0] / a[0], b1: b[1] / a[0], b2: b[2] / a[0], a1: a[1] / a[0], a2: a[2] / a[0] }
    }

    /// 12 dB per octave low-pass.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: `freq_hz` not between 0 and half of `rate_hz`, `width` not positive. The same for all
    /// designs below.
    pub fn lowpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = 1.0 - d.cos_w0;
        Ok(Self::normalised([k / 2.0, k, k / 2.0], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// 12 dB per octave high-pass.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn highpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = 1.0 + d.cos_w0;
        Ok(Self::normalised([k / 2.0, -k, k / 2.0], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Band-pass with 0 dB at the centre.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn bandpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        Ok(Self::normalised([d.alpha, 0.0, -d.alpha], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Band-pass with constant skirt gain: the gain at the centre is Q.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn bandpass_skirt(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = d.sin_w0 / 2.0;
        Ok(Self::normalised([k, 0.0, -k], [1.0 + d.alpha, -2.0 * d.cos_w0, 1.0 - d.alpha]))
    }

    /// Notch: no gain at the centre.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn notch(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = -2.0 * d.cos_w0;
        Ok(Self::normalised([1.0, k, 1.0], [1.0 + d.alpha, k, 1.0 - d.alpha]))
    }

    /// All-pass: turns the phase by 180 degrees at `freq_hz`, 360 in all.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn allpass(rate_hz: f64, freq_hz: f64, width: impl Into<Width>) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), 0.0)?;
        let k = -2.0 * d.cos_w0;
        Ok(Self::normalised([1.0 - d.alpha, k, 1.0 + d.alpha], [1.0 + d.alpha, k, 1.0 - d.alpha]))
    }

    /// Bell of `gain_db` at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`], and `gain_db` beyond +/-240.
    pub fn peak(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (up, down, k) = (d.alpha * d.amplitude, d.alpha / d.amplitude, -2.0 * d.cos_w0);
        Ok(Self::normalised([1.0 + up, k, 1.0 - up], [1.0 + down, k, 1.0 - down]))
    }

    /// Shelf of `gain_db` below `freq_hz` (half of the dB at `freq_hz`).
    ///
    /// # Errors
    /// As [`Coefficients::peak`], and a slope that is too steep for the gain.
    pub fn low_shelf(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (a, c) = (d.amplitude, d.cos_w0);
        let s = 2.0 * a.sqrt() * d.alpha;
        Ok(Self::normalised(
            [a * (a + 1.0 - (a - 1.0) * c + s), 2.0 * a * (a - 1.0 - (a + 1.0) * c), a * (a + 1.0 - (a - 1.0) * c - s)],
            [a + 1.0 + (a - 1.0) * c + s, -2.0 * (a - 1.0 + (a + 1.0) * c), a + 1.0 + (a - 1.0) * c - s],
        ))
    }

    /// Shelf of `gain_db` above `freq_hz` (half of the dB at `freq_hz`).
    ///
    /// # Errors
    /// As [`Coefficients::low_shelf`].
    pub fn high_shelf(rate_hz: f64, freq_hz: f64, width: impl Into<Width>, gain_db: f64) -> Result<Self> {
        let d = Design::new(rate_hz, freq_hz, width.into(), gain_db)?;
        let (a, c) = (d.amplitude, d.cos_w0);
        let s = 2.0 * a.sqrt() * d.alpha;
        Ok(Self::normalised(
            [
                a * (a + 1.0 + (a - 1.0) * c + s),
                -2.0 * a * (a - 1.0 + (a + 1.0) * c),
                a * (a + 1.0 + (a - 1.0) * c - s),
            ],
            [a + 1.0 - (a - 1.0) * c + s, 2.0 * (a - 1.0 - (a + 1.0) * c), a + 1.0 - (a - 1.0) * c - s],
        ))
    }

    /// First-order (6 dB per octave) low-pass, -3 dB at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn lowpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([k, k, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order high-pass, -3 dB at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn highpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([1.0, -1.0, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order all-pass: turns the phase by 90 degrees at `freq_hz`.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`].
    pub fn allpass1(rate_hz: f64, freq_hz: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Ok(Self::normalised([k - 1.0, k + 1.0, 0.0], [1.0 + k, k - 1.0, 0.0]))
    }

    /// First-order shelf of `gain_db` below `freq_hz`, where it has half of the dB.
    ///
    /// # Errors
    /// As [`Coefficients::peak`].
    pub fn low_shelf1(rate_hz: f64, freq_hz: f64, gain_db: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let r = 10f64.powf(gain_db / 40.0); // H(s) = (s + r) / (s + 1/r)
        Ok(Self::normalised([1.0 + k * r, k * r - 1.0, 0.0], [1.0 + k / r, k / r - 1.0, 0.0]))
    }

    /// First-order shelf of `gain_db` above `freq_hz`, where it has half of the dB.
    ///
    /// # Errors
    /// As [`Coefficients::peak`].
    pub fn high_shelf1(rate_hz: f64, freq_hz: f64, gain_db: f64) -> Result<Self> {
        let k = (angle(rate_hz, freq_hz)? / 2.0).tan();
        Error::check_range("gain_db", gain_db, -240.0, 240.0, "dB")?;
        let r = 10f64.powf(gain_db / 40.0); // H(s) = (r s + 1) / (s / r + 1)
        Ok(Self::normalised([r + k, k - r, 0.0], [1.0 / r + k, k - 1.0 / r, 0.0]))
    }

    /// Sections of a Butterworth low-pass of `order` 1 to 12, -3 dB at `freq_hz`, the lowest Q first.
    ///
    /// # Errors
    /// As [`Coefficients::lowpass`], and `order` outside 1 to 12.
    pub fn butterworth_lowpass(rate_hz: f64, freq_hz: f64, order: usize) -> Result<Vec<Self>> {
        Ok(Self::butterworth_lowpass_list(rate_hz, freq_hz, order)?.to_vec())
    }

    /// As [`Coefficients::butterworth_lowpass`], without allocation.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_lowpass_list(rate_hz: f64, freq_hz: f64, order: usize) -> Result<SectionList> {
        butterworth(order, || Self::lowpass1(rate_hz, freq_hz), |q| Self::lowpass(rate_hz, freq_hz, q))
    }

    /// Sections of a Butterworth high-pass of `order` 1 to 12, -3 dB at `freq_hz`, the lowest Q first.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_highpass(rate_hz: f64, freq_hz: f64, order: usize) -> Result<Vec<Self>> {
        Ok(Self::butterworth_highpass_list(rate_hz, freq_hz, order)?.to_vec())
    }

    /// As [`Coefficients::butterworth_highpass`], without allocation.
    ///
    /// # Errors
    /// As [`Coefficients::butterworth_lowpass`].
    pub fn butterworth_highpass_list(rate_hz: f64, freq_hz: f64, order: usize) -> Result<SectionList> {
        butterworth(order, || Self::highpass1(rate_hz, freq_hz), |q| Self::highpass(rate_hz, freq_hz, q))
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

/// Up to [`SectionList::CAPACITY`] sections without allocation, for designs that change while a filter runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SectionList {
    sections: [Coefficients; Self::CAPACITY],
    count: usize,
}

impl SectionList {
    /// Most sections.
    pub const CAPACITY: usize = 32;

    /// Appends a section. Beyond the capacity it is left out; no design comes near.
    pub fn push(&mut self, section: Coefficients) {
        debug_assert!(self.count < Self::CAPACITY);
        if let Some(free) = self.sections.get_mut(self.count) {
            *free = section;
            self.count += 1;
        }
    }
}

impl Default for SectionList {
    fn default() -> Self {
        Self { sections: [Coefficients::IDENTITY; Self::CAPACITY], count: 0 }
    }
}

impl std::ops::Deref for SectionList {
    type Target = [Coefficients];
    fn deref(&self) -> &[Coefficients] {
        &self.sections[..self.count]
    }
}

impl Extend<Coefficients> for SectionList {
    fn extend<T: IntoIterator<Item = Coefficients>>(&mut self, sections: T) {
        sections.into_iter().for_each(|s| self.push(s));
    }
}

impl From<Coefficients> for SectionList {
    fn from(section: Coefficients) -> Self {
        let mut list = Self::default();
        list.push(section);
        list
    }
}

/// Gain of a cascade at `freq_hz` in dB.
pub fn cascade_gain_db(sections: &[Coefficients], freq_hz: f64, rate_hz: f64) -> f64 {
    sections.iter().map(|s| s.gain_db(freq_hz, rate_hz)).sum()
}

fn butterworth(
    order: usize,
    first: impl Fn() -> Result<Coefficients>,
    second: impl Fn(f64) -> Result<Coefficients>,
) -> Result<SectionList> {
    Error::check_range("order", order as f64, 1.0, 12.0, "")?;
    let mut sections = SectionList::default();
    if order % 2 == 1 {
        sections.push(first()?);
    }
    // Pole pairs lie at the angles pi (2k + 1) / (2 order) from the imaginary axis; the last is the least resonant.
    for k in (0..order / 2).rev() {
        let angle = PI * (2 * k + 1) as f64 / (2 * order) as f64;
        sections.push(second(1.0 / (2.0 * angle.sin()))?);
    }
    Ok(sections)
}

/// State of one section for one channel: transposed direct form II, f64.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    pub(crate) s1: f64,
    pub(crate) s2: f64,
}

impl State {
    /// One sample. Real-time safe.
    #[inline(always)]
    pub fn step(&mut self, c: &Coefficients, x: f64) -> f64 {
        let y = c.b0 * x + self.s1;
        self.s1 = c.b1 * x - c.a1 * y + self.s2;
        self.s2 = c.b2 * x - c.a2 * y;
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

/// Sections in series on any number of channels, f64 from end to end: one rounding to f32 at the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    sections: Vec<Coefficients>,
    /// `channels x sections`.
    states: Vec<State>,
}

impl Cascade {
    /// `sections` in series for `channels` channels, at rest. Allocates.
    pub fn new(sections: Vec<Coefficients>, channels: usize) -> Self {
        let states = vec![State::default(); sections.len() * channels];
        Self { sections, states }
    }

    /// The sections in order.
    pub fn sections(&self) -> &[Coefficients] {
        &self.sections
    }

    /// The sections, writable: state stays, so small changes do not click.
    pub fn sections_mut(&mut self) -> &mut [Coefficients] {
        &mut self.sections
    }

    /// Filters one channel in place. Real-time safe. Channels beyond those prepared are left alone.
    pub fn process_channel(&mut self, channel: usize, samples: &mut [f32]) {
        let count = self.sections.len();
        let Some(states) = self.states.get_mut(channel * count..(channel + 1) * count) else { return };
        // The usual lengths get loops that the compiler unrolls, so the state lives in registers.
        match count {
            0 => {}
            1 => run::<1>(&self.sections, states, samples),
            2 => run::<2>(&self.sections, states, samples),
            3 => run::<3>(&self.sections, states, samples),
            4 => run::<4>(&self.sections, states, samples),
            _ => {
                for sample in samples {
                    let mut x = f64::from(*sample);
                    for (state, c) in states.iter_mut().zip(&self.sections) {
                        x = state.step(c, x);
                    }
                    *sample = x as f32;
                }
            }
        }
        states.iter_mut().for_each(State::settle);
    }

    /// Filters all channels of a block in place, two at a time. The same bits as [`Cascade::process_channel`].
    /// Real-time safe.
    pub fn process(&mut self, block: &mut Buffer) {
        let count = self.sections.len();
        let mut channels = block.channels_mut();
        let mut index = 0;
        while let Some(left) = channels.next() {
            let states = self.states.get_mut(index * count..(index + 2) * count);
            if let (Some(states), true, true) = (states, count <= MAX_SECTIONS, channels.len() > 0) {
                if let Some(right) = channels.next() {
                    let (first, second) = states.split_at_mut(count);
                    kernels::cascade2(&self.sections, [first, second], left, right);
                    states.iter_mut().for_each(State::settle);
                    index += 2;
                }
            } else {
                self.process_channel(index, left);
                index += 1;
            }
        }
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.states.fill(State::default());
    }
}

fn run<const N: usize>(sections: &[Coefficients], states: &mut [State], samples: &mut [f32]) {
    let c: [Coefficients; N] = std::array::from_fn(|i| sections[i]);
    let mut s: [State; N] = std::array::from_fn(|i| states[i]);
    for sample in samples {
        let mut x = f64::from(*sample);
        for i in 0..N {
            x = s[i].step(&c[i], x);
        }
        *sample = x as f32;
    }
    states.copy_from_slice(&s);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn butterworth_is_3_db_down_at_its_frequency_for_every_order_and_rate() {
        for order in 1..=12 {
            for rate_hz in [8_000.0, 44_100.0, 48_000.0, 192_000.0] {
                for freq_hz in [20.0, 1_000.0, 0.45 * rate_hz] {
                    let low = Coefficients::butterworth_lowpass(rate_hz, freq_hz, order).unwrap();
                    let high = Coefficients::butterworth_highpass(rate_hz, freq_hz, order).unwrap();
                    for sections in [low, high] {
                        assert!(sections.iter().all(Coefficients::is_stable));
                        // |H| = 1/sqrt(2) exactly; f64 rounding near z = 1 (20 Hz at 192 kHz) costs 1e-6 dB.
                        let got_db = cascade_gain_db(&sections, freq_hz, rate_hz);
                        assert!((got_db + 3.010_299_957).abs() < 1e-4, "{order} {rate_hz} {freq_hz}: {got_db}");
                    }
                }
            }
        }
    }

    #[test]
    fn butterworth_magnitude_is_maximally_flat() {
        // |H|^2 = 1 / (1 + (tan(w/2) / tan(wc/2))^(2n)) after the bilinear transform.
        let (rate_hz, cut_hz) = (48_000.0, 1_000.0);
        for order in 1..=12usize {
            let sections = Coefficients::butterworth_lowpass(rate_hz, cut_hz, order).unwrap();
            for freq_hz in [10.0, 300.0, 900.0, 1_100.0, 2_000.0] {
                let ratio = (PI * freq_hz / rate_hz).tan() / (PI * cut_hz / rate_hz).tan();
                let want_db = -10.0 * (1.0 + ratio.powi(2 * order as i32)).log10();
                let got_db = cascade_gain_db(&sections, freq_hz, rate_hz);
                assert!((got_db - want_db).abs() < 1e-6, "{order} {freq_hz}: {got_db} {want_db}");
            }
        }
    }

    #[test]
    fn shelves_and_bells_have_the_stated_gains() {
        let rate_hz = 48_000.0;
        for gain_db in [-12.0, 3.0, 9.0] {
            let low = Coefficients::low_shelf(rate_hz, 200.0, Width::Slope(0.9), gain_db).unwrap();
            let high = Coefficients::high_shelf(rate_hz, 5_000.0, 0.707, gain_db).unwrap();
            let bell = Coefficients::peak(rate_hz, 1_000.0, Width::Octaves(1.0), gain_db).unwrap();
            let low1 = Coefficients::low_shelf1(rate_hz, 200.0, gain_db).unwrap();
            let high1 = Coefficients::high_shelf1(rate_hz, 5_000.0, gain_db).unwrap();
            for (c, freq_hz, want_db) in [
                (low, 0.0, gain_db),
                (low, 200.0, gain_db / 2.0),
                (low, 24_000.0, 0.0),
                (high, 0.0, 0.0),
                (high, 5_000.0, gain_db / 2.0),
                (high, 24_000.0, gain_db),
                (bell, 1_000.0, gain_db),
                (bell, 0.0, 0.0),
                (low1, 0.0, gain_db),
                (low1, 200.0, gain_db / 2.0),
                (low1, 24_000.0, 0.0),
                (high1, 0.0, 0.0),
                (high1, 5_000.0, gain_db / 2.0),
                (high1, 24_000.0, gain_db),
            ] {
                let got_db = c.gain_db(freq_hz, rate_hz);
                assert!((got_db - want_db).abs() < 1e-6, "{freq_hz} Hz: {got_db}, not {want_db}");
            }
        }
    }

    #[test]
    fn all_passes_pass_all() {
        for c in [
            Coefficients::allpass(48_000.0, 700.0, 2.0).unwrap(),
            Coefficients::allpass1(48_000.0, 700.0).unwrap(),
            Coefficients::IDENTITY,
        ] {
            for freq_hz in [1.0, 700.0, 9_000.0, 23_000.0] {
                assert!(c.gain_db(freq_hz, 48_000.0).abs() < 1e-9);
            }
        }
        let (re, im) = Coefficients::allpass1(48_000.0, 700.0).unwrap().response(700.0, 48_000.0);
        assert!(re.abs() < 1e-12 && (im + 1.0).abs() < 1e-12, "minus 90 degrees: {re} {im}");
    }

    #[test]
    fn what_cannot_be_designed_is_refused_by_name() {
        let name = |r: Result<Coefficients>| match r {
            Err(Error::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(Coefficients::lowpass(48_000.0, 24_000.0, 0.7)), "freq_hz");
        assert_eq!(name(Coefficients::lowpass(48_000.0, f64::NAN, 0.7)), "freq_hz");
        assert_eq!(name(Coefficients::lowpass(f64::INFINITY, 100.0, 0.7)), "rate_hz");
        assert_eq!(name(Coefficients::lowpass(48_000.0, 100.0, 0.0)), "q");
        assert_eq!(name(Coefficients::peak(48_000.0, 100.0, Width::Octaves(-1.0), 3.0)), "bandwidth_octaves");
        assert_eq!(name(Coefficients::low_shelf(48_000.0, 100.0, Width::Slope(9.0), 12.0)), "slope");
        assert_eq!(name(Coefficients::peak(48_000.0, 100.0, 1.0, f64::NAN)), "gain_db");
        assert!(Coefficients::butterworth_lowpass(48_000.0, 100.0, 13).is_err());
    }

    #[test]
    fn a_cascade_equals_its_sections_and_any_block_size_gives_the_same() {
        let noise: Vec<f32> =
            (0..1000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        for order in [1, 2, 5, 8, 12] {
            let sections = Coefficients::butterworth_highpass(48_000.0, 300.0, order).unwrap();
            let mut whole = noise.clone();
            let mut cascade = Cascade::new(sections.clone(), 2);
            cascade.process_channel(1, &mut whole);
            for block in [1, 7, 333] {
                let mut parts = noise.clone();
                cascade.reset();
                parts.chunks_mut(block).for_each(|p| cascade.process_channel(1, p));
                assert_eq!(whole, parts);
            }
            let mut singles: Vec<Biquad> = sections.iter().map(|c| Biquad::new(*c)).collect();
            for (x, y) in noise.iter().zip(&whole) {
                let want = singles.iter_mut().fold(f64::from(*x), |x, s| s.step(x));
                assert_eq!(want as f32, *y);
            }
            let spec = Spec::new(48_000, ChannelLayout::from_count(3));
            let mut block = Buffer::from_channels(spec, &vec![noise.clone(); 3]);
            Cascade::new(sections, 3).process(&mut block);
            assert!(block.channels().all(|c| c == whole.as_slice()), "pairs and singles agree");
        }
    }

    #[test]
    fn silence_ends_in_zero_and_nan_passes_by() {
        let sections = Coefficients::butterworth_highpass(48_000.0, 80.0, 4).unwrap();
        let mut cascade = Cascade::new(sections, 1);
        cascade.process_channel(0, &mut [1.0; 480]);
        // The slowest pole decays by e^-190 a second: 1e-100 is reached in 1.3 s of these 10.
        for _ in 0..1000 {
            cascade.process_channel(0, &mut [0.0; 480]);
        }
        assert!(cascade.states.iter().all(|s| *s == State::default()));
        cascade.process_channel(0, &mut [f32::NAN; 3]);
        let mut after = [0.5; 10];
        cascade.process_channel(0, &mut after);
        assert!(after.iter().all(|x| x.is_finite()));
    }
}
