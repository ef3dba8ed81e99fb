//! Balance between left and right.

use super::channel_list::check_stereo;
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_choice! {
    /// How the two gains move.
    pub enum BalanceLaw {
        Cut = "cut": "The other side is lowered, none is raised: safe from clipping; the centre is untouched.",
        ConstantPower = "constant_power": "One side rises by up to 3 dB as the other falls, so that the power of unrelated sides stays.",
    }
}

filter_params! {
    /// Balance of stereo: lowers one side. Each side keeps its own sound; `pan` moves sound across.
    pub struct BalanceParams for "balance" in Space, realtime true {
        /// -100 is left only, 100 right only.
        balance_percent: f64 = 0.0, -100.0 to 100.0 "%";
        /// How the two gains move.
        law: BalanceLaw = BalanceLaw::Cut;
    }
}

/// See [`BalanceParams`]. Needs two channels. No latency.
#[derive(Debug)]
pub struct Balance {
    params: BalanceParams,
    gains: [f32; 2],
}

impl Balance {
    /// A balance of `params`.
    pub fn new(params: &BalanceParams) -> Self {
        let mut balance = Self { params: params.clone(), gains: [1.0; 2] };
        balance.update();
        balance
    }

    fn update(&mut self) {
        let b = self.params.balance_percent / 100.0;
        self.gains = match self.params.law {
            BalanceLaw::Cut => [(1.0 - b.max(0.0)) as f32, (1.0 + b.min(0.0)) as f32],
            // Exactly 1 in the middle.
            BalanceLaw::ConstantPower if b == 0.0 => [1.0; 2],
            BalanceLaw::ConstantPower => {
                let (sin, cos) = ((b + 1.0) * std::f64::consts::FRAC_PI_4).sin_cos();
                [cos, sin].map(|g| (g.max(0.0) * std::f64::consts::SQRT_2) as f32)
            }
        };
    }
}

impl Filter for Balance {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter balance", spec)?;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        for (samples, gain) in block.channels_mut().zip(self.gains) {
            for x in samples {
                *x *= gain;
            }
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        self.update();
        set
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn gains_follow_the_law() {
        let gains = |balance_percent, law| Balance::new(&BalanceParams { balance_percent, law }).gains;
        assert_eq!(gains(0.0, BalanceLaw::Cut), [1.0, 1.0]);
        assert_eq!(gains(50.0, BalanceLaw::Cut), [0.5, 1.0]);
        assert_eq!(gains(-100.0, BalanceLaw::Cut), [1.0, 0.0]);
        assert_eq!(gains(0.0, BalanceLaw::ConstantPower), [1.0, 1.0]);
        for percent in [-100.0, -40.0, 10.0, 100.0] {
            let [l, r] = gains(percent, BalanceLaw::ConstantPower).map(f64::from);
            assert!((l * l + r * r - 2.0).abs() < 1e-6); // f32 gains
        }
        assert!(gains(100.0, BalanceLaw::ConstantPower)[0].abs() < 1e-7);
    }

    #[test]
    fn runs_on_stereo_only_and_moves_while_it_runs() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut f = Balance::new(&BalanceParams::default());
        f.prepare(spec, 1).unwrap();
        assert!(f.set_parameter(0, 75.0) && !f.set_parameter(1, 0.0));
        let mut block = Buffer::from_channels(spec, &[vec![0.5], vec![0.5]]);
        f.process(&mut block);
        assert_eq!([block.channel(0)[0], block.channel(1)[0]], [0.125, 0.5]);
        assert!(f.prepare(Spec::new(48_000, ChannelLayout::MONO), 1).is_err());
    }
}
