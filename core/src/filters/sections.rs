//! Filters that are a cascade of second-order sections: everything about them but the design.

use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::error::{Error, Result};

/// Designs the sections for a rate in Hz.
type Design = Box<dyn Fn(f64) -> Result<Vec<Coefficients>> + Send>;

/// A cascade with the same sections on every channel. No latency.
///
/// Several such filters in a row make one cascade, calculated in f64 from end to end. After NaN or infinity at the input
/// the output is finite again from the next block on; state that has decayed is set to zero, before it becomes denormal
/// and slow.
pub struct Sections {
    designs: Vec<Design>,
    cascade: Cascade,
}

impl Sections {
    /// A filter with the sections of `design`, which is asked in `prepare`.
    pub fn new(design: impl Fn(f64) -> Result<Vec<Coefficients>> + Send + 'static) -> Self {
        Self { designs: vec![Box::new(design)], cascade: Cascade::new(Vec::new(), 0) }
    }

    /// Lets another filter follow within the same cascade. Takes effect in `prepare`.
    pub fn append(&mut self, mut other: Self) {
        self.designs.append(&mut other.designs);
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
    // 0.49: closer to the Nyquist frequency a bilinear design has no meaning left.
    Error::check_range(name, freq_hz, 0.0, 0.49 * rate_hz, "Hz")
}

impl Filter for Sections {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let mut sections = Vec::new();
        for design in &self.designs {
            sections.extend(design(f64::from(spec.rate_hz))?);
        }
        self.cascade = Cascade::new(sections, spec.channels());
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.cascade.process(block);
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
