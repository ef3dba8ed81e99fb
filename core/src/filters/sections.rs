//! Filters that are a cascade of second-order sections: everything about them but the design.

use std::ops::Range;

use super::params::FilterParams;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients, SectionList};
use crate::error::{Error, Result};

/// One filter of a cascade.
trait Part: Send {
    /// The sections at a rate in Hz, always the same number for a rate.
    fn design(&self, rate_hz: f64) -> Result<Vec<Coefficients>>;

    /// Number of parameters that it counts.
    fn parameters(&self) -> usize;

    /// Sets a parameter and writes the new sections to `sections`. False when there is none that can change.
    fn set(&mut self, _index: usize, _value: f64, _rate_hz: f64, _sections: &mut [Coefficients]) -> bool {
        false
    }

    /// Whether the sections can be designed with another value.
    fn check(&self, _index: usize, _value: f64, _rate_hz: f64) -> Result<()> {
        Ok(())
    }
}

/// Sections that stay.
struct Fixed<F>(F);

impl<F: Fn(f64) -> Result<Vec<Coefficients>> + Send> Part for Fixed<F> {
    fn design(&self, rate_hz: f64) -> Result<Vec<Coefficients>> {
        (self.0)(rate_hz)
    }

    fn parameters(&self) -> usize {
        0
    }
}

/// Sections that follow parameters.
struct Live<P> {
    params: P,
    design: fn(&P, f64) -> Result<SectionList>,
}

/// Highest frequency of a design, as a share of the rate: closer to the Nyquist frequency a bilinear transform has no
/// meaning left.
pub(super) const TOP: f64 = 0.49;

impl<P: FilterParams + Clone + Send> Part for Live<P> {
    fn design(&self, rate_hz: f64) -> Result<Vec<Coefficients>> {
        Ok((self.design)(&self.params, rate_hz)?.to_vec())
    }

    fn parameters(&self) -> usize {
        P::COUNT
    }

    fn set(&mut self, index: usize, value: f64, rate_hz: f64, sections: &mut [Coefficients]) -> bool {
        // An error would allocate its text. With its number in range and frequencies under the top no design fails.
        let held = P::unit(index) == "Hz" && rate_hz > 0.0 && value > TOP * rate_hz;
        let value = if held { TOP * rate_hz } else { value };
        if !self.params.set_number(index, value) {
            return false;
        }
        if sections.is_empty() {
            return true; // not prepared, or nothing to do at this rate
        }
        match (self.design)(&self.params, rate_hz) {
            Ok(list) => sections.iter_mut().zip(list.iter()).for_each(|(to, from)| *to = *from),
            Err(_) => debug_assert!(false, "{}: a live value was refused", P::NAME),
        }
        true
    }

    fn check(&self, index: usize, value: f64, rate_hz: f64) -> Result<()> {
        let mut params = self.params.clone();
        params.set_number(index, value);
        (self.design)(&params, rate_hz).map(|_| ())
    }
}

/// A part and what belongs to it.
struct Slot {
    part: Box<dyn Part>,
    /// Of the parameters of the whole.
    first_parameter: usize,
    /// Of the sections of the cascade, after `prepare`.
    sections: Range<usize>,
}

/// A cascade with the same sections on every channel. No latency. The tail is the sum of the times in which each section
/// by itself decays by 100 dB, with the parameters as they are in `prepare`.
///
/// Several such filters in a row make one cascade, calculated in f64 from end to end. After NaN or infinity at the input
/// the output is finite again from the next block on; state that has decayed is set to zero, before it becomes denormal
/// and slow. A parameter that changes takes new coefficients; the state stays.
pub struct Sections {
    slots: Vec<Slot>,
    cascade: Cascade,
    rate_hz: f64,
}

impl Sections {
    /// A filter with the sections of `design`, which is asked in `prepare`.
    pub fn new(design: impl Fn(f64) -> Result<Vec<Coefficients>> + Send + 'static) -> Self {
        Self::of(Box::new(Fixed(design)))
    }

    /// A filter whose parameters can change while it runs. `design` must give as many sections for any value of the real
    /// numbers, at one rate ([`Coefficients::IDENTITY`] where there is nothing to do), and may fail only for frequencies
    /// above 0.49 of the rate.
    pub fn live<P: FilterParams + Clone + Send + 'static>(
        params: &P,
        design: fn(&P, f64) -> Result<SectionList>,
    ) -> Self {
        Self::of(Box::new(Live { params: params.clone(), design }))
    }

    fn of(part: Box<dyn Part>) -> Self {
        let slots = vec![Slot { part, first_parameter: 0, sections: 0..0 }];
        Self { slots, cascade: Cascade::new(Vec::new(), 0), rate_hz: 0.0 }
    }

    /// Lets another filter follow within the same cascade. Its parameters follow as well. Takes effect in `prepare`.
    pub fn append(&mut self, other: Self) {
        let first = self.parameter_count();
        self.slots
            .extend(other.slots.into_iter().map(|slot| Slot { first_parameter: first + slot.first_parameter, ..slot }));
    }

    /// Number of parameters of all filters in the cascade.
    pub(super) fn parameter_count(&self) -> usize {
        self.slots.iter().map(|s| s.part.parameters()).sum()
    }

    /// The designed sections, after `prepare`.
    pub fn sections(&self) -> &[Coefficients] {
        self.cascade.sections()
    }
}

/// Largest magnitude; NaN counts as infinite.
pub(super) fn peak(samples: &[f32]) -> f32 {
    // Eight lanes, so that the compiler can use vector registers; the maximum does not depend on the order.
    let mut lanes = [0.0f32; 8];
    let chunks = samples.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let a = if x.is_nan() { f32::INFINITY } else { x.abs() };
            *lane = if a > *lane { a } else { *lane };
        }
    }
    let top = lanes.into_iter().fold(0.0, f32::max);
    rest.iter().fold(top, |m, x| if x.is_nan() { f32::INFINITY } else { m.max(x.abs()) })
}

/// Checks that a frequency lies under the Nyquist frequency of `rate_hz`, and names it if not.
pub(super) fn check_below_nyquist(name: &str, freq_hz: f64, rate_hz: f64) -> Result<()> {
    Error::check_range(name, freq_hz, 0.0, TOP * rate_hz, "Hz")
}

impl Filter for Sections {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let mut sections = Vec::new();
        for slot in &mut self.slots {
            let first = sections.len();
            sections.extend(slot.part.design(self.rate_hz)?);
            slot.sections = first..sections.len();
        }
        let tail_frames = sections.iter().map(Coefficients::decay_frames).sum();
        self.cascade = Cascade::new(sections, spec.channels());
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.cascade.process(block);
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let Some(slot) = self.slots.iter_mut().rev().find(|s| s.first_parameter <= index) else { return false };
        let sections = self.cascade.sections_mut().get_mut(slot.sections.clone()).unwrap_or_default();
        slot.part.set(index - slot.first_parameter, value, self.rate_hz, sections)
    }

    fn check_parameter(&self, index: usize, value: f64) -> Result<()> {
        match self.slots.iter().rev().find(|s| s.first_parameter <= index) {
            Some(slot) if self.rate_hz > 0.0 => slot.part.check(index - slot.first_parameter, value, self.rate_hz),
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.cascade.reset();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// Gain of a mono filter for a sine, in dB, measured by correlation after it has settled.
    pub fn measured_gain_db(filter: &mut dyn Filter, freq_hz: f64, rate_hz: u32) -> f64 {
        let spec = Spec::new(rate_hz, ChannelLayout::MONO);
        filter.prepare(spec, 1 << 16).unwrap();
        let frames = 1 << 16;
        // A whole number of periods in the second half, so that the correlation is exact.
        let periods = (freq_hz * (frames / 2) as f64 / f64::from(rate_hz)).round().max(1.0);
        let step = 2.0 * std::f64::consts::PI * periods / (frames / 2) as f64;
        let mut block =
            Buffer::from_channels(spec, &[(0..frames).map(|n| (0.1 * (step * n as f64).sin()) as f32).collect()]);
        filter.process(&mut block);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, y) in block.channel(0).iter().enumerate().skip(frames / 2) {
            re += f64::from(*y) * (step * n as f64).cos();
            im += f64::from(*y) * (step * n as f64).sin();
        }
        20.0 * ((re * re + im * im).sqrt() / (0.1 * frames as f64 / 4.0)).log10()
    }

    #[test]
    fn peak_is_the_maximum_and_sees_nan() {
        for n in 0..40 {
            let mut x: Vec<f32> = (0..n).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
            assert_eq!(peak(&x), x.iter().fold(0.0f32, |m, v| m.max(v.abs())));
            if n > 0 {
                x[n / 2] = f32::NAN;
                assert_eq!(peak(&x), f32::INFINITY);
            }
        }
    }

    #[test]
    fn silence_ends_in_exact_silence() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = Sections::new(|rate| Ok(vec![Coefficients::highpass(rate, 80.0, 0.707)?]));
        f.prepare(spec, 48_000).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![1.0; 1000]]);
        f.process(&mut block);
        let mut quiet = Buffer::from_channels(spec, &[vec![0.0; 48_000]]);
        f.process(&mut quiet);
        // The slowest pole decays by 1/e in 2.8 ms, thus to the least f32 (1e-45) in 0.3 s.
        assert!(quiet.channel(0)[24_000..].iter().all(|y| *y == 0.0));
    }

    #[test]
    fn filters_in_a_row_multiply_their_gains() {
        let mut f = Sections::new(|rate| Ok(vec![Coefficients::peak(rate, 3_000.0, 1.0, 6.0)?]));
        f.append(Sections::new(|rate| Ok(vec![Coefficients::peak(rate, 3_000.0, 2.0, -2.0)?])));
        assert!((measured_gain_db(&mut f, 3_000.0, 48_000) - 4.0).abs() < 0.002);
        assert_eq!(f.sections().len(), 2);
    }
}
