//! Exciter: new harmonics for the upper range.

use super::delay::Delay;
use super::params::{FilterParams, filter_params};
use super::saturation::SaturationCurve;
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::oversample::Oversampler;
use crate::error::Result;

filter_params! {
    /// Makes dull sound brighter with harmonics of what lies above a frequency, where an equaliser would only raise noise.
    pub struct ExciterParams for "exciter" in Effects, realtime true {
        /// Only what lies above is driven, and only harmonics above are added.
        cutoff_hz: f64 = 3000.0, 500.0 to 16000.0 "Hz";
        /// Gain before the curve: more makes more harmonics.
        drive_db: f64 = 18.0, 0.0 to 48.0 "dB";
        /// Level at which the harmonics are added.
        amount_db: f64 = -18.0, -60.0 to 0.0 "dB";
    }
}

/// See [`ExciterParams`]: `y = x + amount highpass(curve(drive highpass(x)) / drive - highpass(x))` with an uneven curve, four
/// times oversampled; only what the curve adds is added. Latency is that of the oversampling.
pub struct Exciter {
    params: ExciterParams,
    before: Cascade,
    after: Cascade,
    oversamplers: Vec<Oversampler>,
    delays: Vec<Delay>,
    /// The driven upper range.
    work: Buffer,
    rate_hz: f64,
}

/// Most frames worked on at once.
const PIECE_FRAMES: usize = 256;

impl Exciter {
    /// An exciter of `params`.
    pub fn new(params: &ExciterParams) -> Self {
        Self {
            params: params.clone(),
            before: Cascade::new(Vec::new(), 0),
            after: Cascade::new(Vec::new(), 0),
            oversamplers: Vec::new(),
            delays: Vec::new(),
            work: Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0),
            rate_hz: 48_000.0,
        }
    }
}

impl Filter for Exciter {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        check_below_nyquist("exciter.cutoff_hz", self.params.cutoff_hz, self.rate_hz)?;
        let highpass = Coefficients::butterworth_highpass(self.rate_hz, self.params.cutoff_hz, 4)?;
        self.before = Cascade::new(highpass.clone(), spec.channels());
        self.after = Cascade::new(highpass, spec.channels());
        self.oversamplers = (0..spec.channels()).map(|_| Oversampler::new(4)).collect::<Result<_>>()?;
        let latency_frames = self.oversamplers.first().map_or(0, Oversampler::latency_frames);
        self.delays = vec![Delay::new(latency_frames); spec.channels()];
        self.work = Buffer::new(spec, PIECE_FRAMES);
        // The high-passes have rung out after a few periods of 500 Hz.
        let tail_frames = 2 * latency_frames + spec.rate_hz as usize / 20;
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.delays.len() != block.channel_count() {
            return;
        }
        let drive = 10f64.powf(self.params.drive_db / 20.0) as f32;
        let amount = 10f64.powf(self.params.amount_db / 20.0) as f32;
        let mut start = 0;
        while start < block.frames() {
            let count = PIECE_FRAMES.min(block.frames() - start);
            self.work.copy_from(block, start, count);
            self.before.process(&mut self.work);
            for (samples, oversampler) in self.work.channels_mut().zip(&mut self.oversamplers) {
                oversampler.process(samples, |high| SaturationCurve::Tube.added(high, drive));
            }
            self.after.process(&mut self.work);
            for (index, delay) in self.delays.iter_mut().enumerate() {
                let samples = &mut block.channel_mut(index)[start..start + count];
                delay.process(samples);
                for (x, h) in samples.iter_mut().zip(self.work.channel(index)) {
                    *x += amount * h;
                }
            }
            start += count;
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // The cut-off would need another design.
        index != 0 && self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        self.before.reset();
        self.after.reset();
        self.oversamplers.iter_mut().for_each(Oversampler::reset);
        self.delays.iter_mut().for_each(Delay::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmonics_come_above_the_cutoff_and_low_tones_stay_as_they_are() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let run = |hz: f64| {
            let mut f = Exciter::new(&ExciterParams { amount_db: 0.0, drive_db: 24.0, ..ExciterParams::default() });
            f.prepare(spec, 96_000).unwrap();
            let x =
                (0..96_000).map(|n| (0.25 * (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin()) as f32).collect();
            let mut block = Buffer::from_channels(spec, &[x]);
            f.process(&mut block);
            block
        };
        let amplitude = |block: &Buffer, hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, y) in block.channel(0).iter().enumerate().skip(48_000) {
                let (s, c) = (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin_cos();
                re += f64::from(*y) * c;
                im += f64::from(*y) * s;
            }
            (re * re + im * im).sqrt() / 24_000.0
        };
        let high = run(4_000.0);
        assert!(amplitude(&high, 8_000.0) > 1e-3, "second harmonic {}", amplitude(&high, 8_000.0));
        assert!(amplitude(&high, 12_000.0) > 1e-3, "third harmonic {}", amplitude(&high, 12_000.0));
        let low = run(200.0);
        // An order-4 high-pass at 3 kHz takes 94 dB from 200 Hz, so that nothing is driven.
        assert!((amplitude(&low, 200.0) - 0.25).abs() < 1e-4);
        assert!(amplitude(&low, 400.0) < 1e-6);
    }
}
