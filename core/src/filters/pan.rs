//! Panning.
//!
//! The gains of a source between two loudspeakers after the usual laws (D. Griesinger, "Stereo and Surround Panning in
//! Practice", AES 112, 2002, compares them); stereo is panned as the Web Audio API has it (W3C, *Web Audio API* 1.1,
//! `StereoPannerNode`): the far side moves over to the near side, so that nothing is lost.

use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_choice! {
    /// Gain of each loudspeaker over the position.
    pub enum PanLaw {
        ConstantPower = "constant_power": "-3 dB in the centre: the same power everywhere, for rooms.",
        Compromise = "compromise": "-4.5 dB in the centre: between the two others.",
        Linear = "linear": "-6 dB in the centre: the same sum everywhere, for mono and headphones.",
    }
}

filter_params! {
    /// Places a mono source between left and right, or moves a stereo one.
    pub struct PanParams for "pan" in Space, realtime true {
        /// -100 is left, 100 right.
        position_percent: f64 = 0.0, -100.0 to 100.0 "%";
        /// Gain of each loudspeaker over the position. In the centre stereo is untouched by any.
        law: PanLaw = PanLaw::ConstantPower;
    }
}

impl PanLaw {
    /// Gains of the near and far end for a source at `x`, 0 (first) to 1 (second).
    fn gains(self, x: f64) -> [f64; 2] {
        // Both ends exact: the sine of pi is not 0.
        if x <= 0.0 || x >= 1.0 {
            return if x <= 0.0 { [1.0, 0.0] } else { [0.0, 1.0] };
        }
        let (sin, cos) = (x * std::f64::consts::FRAC_PI_2).sin_cos();
        match self {
            Self::ConstantPower => [cos, sin],
            Self::Linear => [1.0 - x, x],
            Self::Compromise => [(cos * (1.0 - x)).sqrt(), (sin * x).sqrt()],
        }
    }
}

/// See [`PanParams`]. Takes mono or stereo, gives stereo. No latency.
#[derive(Debug)]
pub struct Pan {
    params: PanParams,
    output: Spec,
    /// From the left (or only) and the right input to left and right.
    left: [f32; 2],
    right: [f32; 2],
    mono: bool,
}

impl Pan {
    /// A pan of `params`.
    pub fn new(params: &PanParams) -> Self {
        let output = Spec::new(48_000, ChannelLayout::STEREO);
        let mut pan = Self { params: params.clone(), output, left: [0.0; 2], right: [0.0; 2], mono: false };
        pan.update();
        pan
    }

    fn update(&mut self) {
        let (position, law) = (self.params.position_percent / 100.0, self.params.law);
        let to = |g: [f64; 2]| g.map(|g| g as f32);
        (self.left, self.right) = if self.mono {
            (to(law.gains(0.5 * (position + 1.0))), [0.0; 2])
        } else if position <= 0.0 {
            // The right input goes from right (1) to left (0).
            ([1.0, 0.0], to(law.gains(position + 1.0)))
        } else {
            (to(law.gains(position)), [0.0, 1.0])
        };
    }
}

impl Filter for Pan {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        if spec.channels() > 2 {
            return Err(Error::Unsupported {
                what: "layout for the filter pan",
                value: spec.layout.name(),
                hint: Some("it takes mono and stereo; put channel_mix:to=stereo before it".into()),
            });
        }
        self.output = Spec::new(spec.rate_hz, ChannelLayout::STEREO);
        self.mono = spec.channels() == 1;
        self.update();
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let frames = block.frames();
        if self.mono {
            // The first channel stays where it is in the storage.
            block.set_spec(self.output);
            block.set_frames(frames);
        }
        let (a, b) = (self.left, self.right);
        let Some((left, right)) = block.stereo_mut() else { return };
        if self.mono {
            for (l, r) in left.iter_mut().zip(right) {
                (*l, *r) = (a[0] * *l, a[1] * *l);
            }
        } else {
            for (l, r) in left.iter_mut().zip(right) {
                (*l, *r) = (a[0] * *l + b[0] * *r, a[1] * *l + b[1] * *r);
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

    fn run(params: &PanParams, x: &[f32]) -> [f64; 2] {
        let spec = Spec::new(48_000, ChannelLayout::from_count(x.len()));
        let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::STEREO), 2);
        block.set_spec(spec);
        block.set_frames(2);
        block.channels_mut().zip(x).for_each(|(c, x)| c.fill(*x));
        let mut f = Pan::new(params);
        f.prepare(spec, 2).unwrap();
        f.process(&mut block);
        assert_eq!(block.spec().layout, ChannelLayout::STEREO);
        [f64::from(block.channel(0)[1]), f64::from(block.channel(1)[1])]
    }

    fn at(position_percent: f64, law: PanLaw) -> PanParams {
        PanParams { position_percent, law }
    }

    #[test]
    fn a_mono_source_follows_the_law() {
        for (law, centre_db) in
            [(PanLaw::ConstantPower, -3.0103), (PanLaw::Compromise, -4.5154), (PanLaw::Linear, -6.0206)]
        {
            assert_eq!(run(&at(-100.0, law), &[0.5]), [0.5, 0.0]);
            assert_eq!(run(&at(100.0, law), &[0.5]), [0.0, 0.5]);
            let [l, r] = run(&at(0.0, law), &[1.0]);
            assert!((20.0 * l.log10() - centre_db).abs() < 1e-3 && (l - r).abs() < 1e-7, "{law:?}: {l} {r}");
        }
        for percent in [-70.0, 20.0, 90.0] {
            let [l, r] = run(&at(percent, PanLaw::ConstantPower), &[1.0]);
            assert!((l * l + r * r - 1.0).abs() < 1e-6);
            let [l, r] = run(&at(percent, PanLaw::Linear), &[1.0]);
            assert!((l + r - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn stereo_moves_over_without_loss_and_the_centre_is_exact() {
        for law in [PanLaw::ConstantPower, PanLaw::Linear, PanLaw::Compromise] {
            let [l, r] = run(&at(0.0, law), &[0.3, -0.7]);
            assert_eq!([l, r], [f64::from(0.3f32), f64::from(-0.7f32)]);
            let [l, r] = run(&at(-100.0, law), &[0.5, 0.25]);
            assert_eq!([l, r], [0.75, 0.0]);
        }
        // Web Audio API, StereoPannerNode, pan = 0.5: gains of the left input cos(pi/4) and sin(pi/4).
        let [l, r] = run(&at(50.0, PanLaw::ConstantPower), &[0.5, 0.25]);
        let m = 0.5f64.sqrt();
        assert!((l - 0.5 * m).abs() < 1e-6 && (r - (0.25 + 0.5 * m)).abs() < 1e-6);
    }

    #[test]
    fn surround_is_refused() {
        assert!(Pan::new(&PanParams::default()).prepare(Spec::new(48_000, ChannelLayout::SURROUND_5_1), 1).is_err());
    }
}
