//! Downmix of surround after ITU-R BS.775-4.
//!
//! Annex 4, Table 2: `Lo = L + 0.7071 C + 0.7071 Ls`, `Ro = R + 0.7071 C + 0.7071 Rs`, without LFE; mono is the sum of both
//! halves. Other layouts by the same rule, see [`super::channel_mix::standard_matrix`]. Centre, surrounds and LFE can be
//! trimmed, as the metadata of broadcast streams do.

use super::channel_mix::{LfePolicy, standard_matrix};
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Channel, ChannelLayout, Spec};
use crate::error::Result;

filter_choice! {
    /// Layout of the result.
    pub enum DownmixTarget {
        Stereo = "stereo": "Left and right (Lo/Ro).",
        Mono = "mono": "One channel.",
    }
}

filter_params! {
    /// Mixes surround down to stereo or mono with the coefficients of ITU-R BS.775, trimmed on request.
    pub struct DownmixParams for "downmix" in Space, realtime true {
        /// Layout of the result.
        to: DownmixTarget = DownmixTarget::Stereo;
        /// Centre against the standard's -3.01 dB: 1.5 gives -1.5 dB, -3 gives -6 dB.
        centre_trim_db: f64 = 0.0, -60.0 to 6.0 "dB";
        /// Surrounds against the standard's -3.01 dB.
        surround_trim_db: f64 = 0.0, -60.0 to 6.0 "dB";
        /// Level of the LFE in each channel; -60 leaves it out, as the standard does.
        lfe_db: f64 = -60.0, -60.0 to 10.0 "dB";
        /// Lowers all coefficients together so that no output can exceed full scale when no input does.
        normalise: bool = true;
    }
}

/// See [`DownmixParams`]. Mono and stereo inputs pass to stereo as they are. No latency.
#[derive(Debug)]
pub struct Downmix {
    params: DownmixParams,
    /// Standard coefficients and what each input is, `[output][input]`.
    standard: Vec<Vec<f64>>,
    roles: Vec<Role>,
    /// In use.
    matrix: Vec<Vec<f32>>,
    input: Buffer,
    output: Spec,
}

/// Which trim applies to a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Front,
    Centre,
    Surround,
    Lfe,
}

impl Role {
    fn of(channel: Channel) -> Self {
        use Channel as C;
        match channel {
            C::FrontLeft | C::FrontRight | C::FrontLeftOfCenter | C::FrontRightOfCenter => Self::Front,
            C::FrontCenter | C::TopFrontCenter | C::TopCenter => Self::Centre,
            C::Lfe => Self::Lfe,
            _ => Self::Surround,
        }
    }
}

impl Downmix {
    /// A downmix of `params`.
    pub fn new(params: &DownmixParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::STEREO);
        Self {
            params: params.clone(),
            standard: Vec::new(),
            roles: Vec::new(),
            matrix: Vec::new(),
            input: Buffer::new(unset, 0),
            output: unset,
        }
    }

    /// Coefficients from the standard ones and the trims. Does not allocate.
    fn update(&mut self) {
        let p = &self.params;
        let factor = |db: f64| if db <= -60.0 { 0.0 } else { 10f64.powf(db / 20.0) };
        let (centre, surround) = (factor(p.centre_trim_db), factor(p.surround_trim_db));
        let lfe = factor(p.lfe_db);
        let value = |standard: f64, role: Role| match role {
            Role::Front => standard,
            Role::Centre => centre * standard,
            Role::Surround => surround * standard,
            Role::Lfe => lfe,
        };
        let row_sum = |row: &[f64]| row.iter().zip(&self.roles).map(|(c, role)| value(*c, *role).abs()).sum::<f64>();
        let top = self.standard.iter().map(|row| row_sum(row)).fold(1.0, f64::max);
        let scale = if p.normalise { 1.0 / top } else { 1.0 };
        for (to, from) in self.matrix.iter_mut().zip(&self.standard) {
            for ((t, c), role) in to.iter_mut().zip(from).zip(&self.roles) {
                *t = (value(*c, *role) * scale) as f32;
            }
        }
    }
}

impl Filter for Downmix {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let layout = match self.params.to {
            DownmixTarget::Stereo => ChannelLayout::STEREO,
            DownmixTarget::Mono => ChannelLayout::MONO,
        };
        self.output = Spec::new(spec.rate_hz, layout);
        self.standard = standard_matrix(spec.layout, layout, LfePolicy::Drop)?;
        self.roles = spec.layout.positions().map(Role::of).collect();
        // A single channel has the position of the centre but is all there is.
        if spec.channels() == 1 || self.roles.is_empty() {
            self.roles = vec![Role::Front; spec.channels()];
        }
        self.matrix = self.standard.iter().map(|row| vec![0.0; row.len()]).collect();
        self.input = Buffer::new(spec, max_frames);
        self.update();
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.matrix.is_empty() {
            return;
        }
        let frames = block.frames();
        self.input.copy_from(block, 0, frames);
        block.set_spec(self.output);
        block.set_frames(frames);
        for (row, out) in self.matrix.iter().zip(block.channels_mut()) {
            out.fill(0.0);
            for (coefficient, samples) in row.iter().zip(self.input.channels()).filter(|(c, _)| **c != 0.0) {
                for (y, x) in out.iter_mut().zip(samples) {
                    *y += coefficient * x;
                }
            }
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L R C LFE Ls Rs.
    const X: [f32; 6] = [0.1, 0.2, 0.4, 0.8, 0.3, 0.5];

    fn run(params: &DownmixParams, layout: ChannelLayout, x: &[f32]) -> Vec<f64> {
        let spec = Spec::new(48_000, layout);
        let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::discrete(8)), 1);
        block.set_spec(spec);
        block.set_frames(1);
        block.channels_mut().zip(x).for_each(|(c, x)| c[0] = *x);
        let mut f = Downmix::new(params);
        let prepared = f.prepare(spec, 1).unwrap();
        f.process(&mut block);
        assert_eq!(block.spec(), prepared.spec);
        block.channels().map(|c| f64::from(c[0])).collect()
    }

    fn close(got: &[f64], want: &[f64]) -> bool {
        got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6) // f32 coefficients
    }

    #[test]
    fn coefficients_are_those_of_bs_775_times_the_trims() {
        let m = 0.5f64.sqrt();
        let plain = DownmixParams { normalise: false, ..Default::default() };
        let y = run(&plain, ChannelLayout::SURROUND_5_1, &X);
        assert!(close(&y, &[0.1 + 0.7 * m, 0.2 + 0.9 * m]), "{y:?}");
        let trimmed =
            DownmixParams { centre_trim_db: 6.0, surround_trim_db: -60.0, lfe_db: -20.0, normalise: false, ..plain };
        let y = run(&trimmed, ChannelLayout::SURROUND_5_1, &X);
        let c = m * 10f64.powf(0.3) * 0.4;
        assert!(close(&y, &[0.1 + c + 0.08, 0.2 + c + 0.08]), "{y:?}");
    }

    #[test]
    fn normalised_it_cannot_exceed_full_scale() {
        for to in [DownmixTarget::Stereo, DownmixTarget::Mono] {
            for count in 1..=8 {
                let params = DownmixParams { to, centre_trim_db: 3.0, lfe_db: 0.0, ..Default::default() };
                let y = run(&params, ChannelLayout::from_count(count), &[1.0; 8][..count]);
                assert!(y.iter().all(|v| *v <= 1.0 + 1e-6), "{count}: {y:?}");
            }
        }
        assert!(close(&run(&DownmixParams::default(), ChannelLayout::MONO, &[0.5]), &[0.5, 0.5]));
        assert!(close(&run(&DownmixParams::default(), ChannelLayout::STEREO, &[0.5, 0.25]), &[0.5, 0.25]));
    }
}
