//! Ring modulator.

use super::cells::{CELL_FRAMES, Cells};
use super::lfo::{Lfo, LfoShape};
use super::params::{FilterParams, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Multiplies the sound by a sine: each partial becomes two, one above and one below. Robots and bells.
    pub struct RingModParams for "ring_mod" in Effects, realtime true {
        /// Frequency of the sine.
        freq_hz: f64 = 440.0, 0.1 to 20000.0 "Hz";
        /// Share of the modulated sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// See [`RingModParams`]: `y = x (1 - mix + mix sin)`. No latency. Partials above half the rate fold back, as the
/// product of two sampled signals does.
#[derive(Debug)]
pub struct RingMod {
    params: RingModParams,
    carrier: Lfo,
    cells: Cells,
    rate_hz: f64,
}

impl RingMod {
    /// A ring modulator of `params`.
    pub fn new(params: &RingModParams) -> Self {
        Self { params: params.clone(), carrier: Lfo::default(), cells: Cells::default(), rate_hz: 48_000.0 }
    }
}

impl Filter for RingMod {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        check_below_nyquist("ring_mod.freq_hz", self.params.freq_hz, self.rate_hz)?;
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let wet = (self.params.mix_percent / 100.0) as f32;
        let mut sine = [0.0f32; CELL_FRAMES];
        let carrier = &mut self.carrier;
        self.cells.for_each(block.frames(), |piece, _| {
            let sine = &mut sine[..piece.len()];
            carrier.fill(LfoShape::Sine, 0.0, sine);
            carrier.advance(piece.len());
            for samples in block.channels_mut() {
                for (x, s) in samples[piece.clone()].iter_mut().zip(sine.iter()) {
                    *x *= 1.0 - wet + wet * s;
                }
            }
        });
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            let top_hz = 0.49 * self.rate_hz;
            self.carrier.set_frequency(self.params.freq_hz.min(top_hz), self.rate_hz);
        }
        set
    }

    fn reset(&mut self) {
        self.carrier.reset();
        self.cells.reset();
        self.carrier.set_frequency(self.params.freq_hz.min(0.49 * self.rate_hz), self.rate_hz);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn a_sine_becomes_sum_and_difference() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut f = RingMod::new(&RingModParams { freq_hz: 300.0, mix_percent: 100.0 });
        f.prepare(spec, 48_000).unwrap();
        let sine = |hz: f64, n: usize| (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin();
        let mut block = Buffer::from_channels(spec, &[(0..48_000).map(|n| sine(1_000.0, n) as f32).collect()]);
        f.process(&mut block);
        // One second holds whole periods of 700 and 1300 Hz, so the correlation gives their amplitudes.
        for hz in [700.0, 1_300.0] {
            let cosine = |n: usize| (std::f64::consts::TAU * hz * n as f64 / 48_000.0).cos();
            let a: f64 =
                block.channel(0).iter().enumerate().map(|(n, y)| f64::from(*y) * cosine(n)).sum::<f64>() / 24_000.0;
            assert!((a.abs() - 0.5).abs() < 1e-6, "{hz}: {a}");
        }
    }
}
