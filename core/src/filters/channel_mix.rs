//! Conversion between channel layouts.
//!
//! Coefficients after ITU-R BS.775-4, Annex 4 (downward conversion): the centre and the surrounds go to left and right
//! with 0.7071. A channel whose position the target has is passed as it is.

use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Channel, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_choice! {
    /// What becomes of the low-frequency channel when the target has none.
    pub enum LfePolicy {
        Drop = "drop": "It is left out, as BS.775 has it: the main channels carry the whole sound.",
        Mix = "mix": "It is mixed to left and right with 0.7071.",
    }
}

filter_params! {
    /// Changes the channel layout: mono, stereo, surround, or any matrix.
    pub struct ChannelMixParams for "channel_mix" in Space, realtime true {
        /// Layout of the output.
        to: ChannelLayout = ChannelLayout::STEREO;
        /// What becomes of the low-frequency channel.
        lfe: LfePolicy = LfePolicy::Drop;
        /// Lowers all coefficients together so that no output can exceed full scale when no input does.
        normalise: bool = true;
        /// Own coefficients: one row per output channel, one column per input channel; empty for the standard ones.
        matrix: Vec<Vec<f64>> = Vec::new();
    }
}

const MINUS_3_DB: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// See [`ChannelMixParams`]. No latency.
#[derive(Debug)]
pub struct ChannelMix {
    params: ChannelMixParams,
    /// Rows of (input channel, coefficient), zeros left out.
    rows: Vec<Vec<(usize, f32)>>,
    input: Buffer,
    output: Spec,
}

impl ChannelMix {
    /// A mix of `params`.
    pub fn new(params: &ChannelMixParams) -> Self {
        let unset = Spec::new(48_000, params.to);
        Self { params: params.clone(), rows: Vec::new(), input: Buffer::new(unset, 0), output: unset }
    }
}

/// Where a channel goes when the target lacks it: alternatives in order, each a set of (position, coefficient).
fn substitutes(channel: Channel) -> Vec<Vec<(Channel, f64)>> {
    use Channel as C;
    let m = MINUS_3_DB;
    match channel {
        C::FrontLeft | C::FrontRight => vec![vec![(C::FrontCenter, m)]],
        C::FrontCenter => vec![vec![(C::FrontLeft, m), (C::FrontRight, m)]],
        C::BackLeft => vec![
            vec![(C::SideLeft, 1.0)],
            vec![(C::BackCenter, m)],
            vec![(C::FrontLeft, m)],
            vec![(C::FrontCenter, 0.5)],
        ],
        C::BackRight => {
            vec![
                vec![(C::SideRight, 1.0)],
                vec![(C::BackCenter, m)],
                vec![(C::FrontRight, m)],
                vec![(C::FrontCenter, 0.5)],
            ]
        }
        C::SideLeft => vec![
            vec![(C::BackLeft, 1.0)],
            vec![(C::BackCenter, m)],
            vec![(C::FrontLeft, m)],
            vec![(C::FrontCenter, 0.5)],
        ],
        C::SideRight => {
            vec![
                vec![(C::BackRight, 1.0)],
                vec![(C::BackCenter, m)],
                vec![(C::FrontRight, m)],
                vec![(C::FrontCenter, 0.5)],
            ]
        }
        C::BackCenter => vec![
            vec![(C::BackLeft, m), (C::BackRight, m)],
            vec![(C::SideLeft, m), (C::SideRight, m)],
            vec![(C::FrontLeft, 0.5), (C::FrontRight, 0.5)],
            vec![(C::FrontCenter, 0.5)],
        ],
        C::FrontLeftOfCenter => {
            vec![vec![(C::FrontLeft, m), (C::FrontCenter, m)], vec![(C::FrontLeft, 1.0)], vec![(C::FrontCenter, m)]]
        }
        C::FrontRightOfCenter => {
            vec![vec![(C::FrontRight, m), (C::FrontCenter, m)], vec![(C::FrontRight, 1.0)], vec![(C::FrontCenter, m)]]
        }
        C::TopFrontLeft => vec![vec![(C::FrontLeft, m)], vec![(C::FrontCenter, 0.5)]],
        C::TopFrontRight => vec![vec![(C::FrontRight, m)], vec![(C::FrontCenter, 0.5)]],
        C::TopCenter | C::TopFrontCenter => {
            vec![vec![(C::FrontCenter, m)], vec![(C::FrontLeft, 0.5), (C::FrontRight, 0.5)]]
        }
        C::TopBackLeft => vec![
            vec![(C::BackLeft, m)],
            vec![(C::SideLeft, m)],
            vec![(C::FrontLeft, 0.5)],
            vec![(C::FrontCenter, 0.35)],
        ],
        C::TopBackRight => {
            vec![
                vec![(C::BackRight, m)],
                vec![(C::SideRight, m)],
                vec![(C::FrontRight, 0.5)],
                vec![(C::FrontCenter, 0.35)],
            ]
        }
        C::TopBackCenter => {
            vec![
                vec![(C::BackCenter, m)],
                vec![(C::FrontLeft, 0.35), (C::FrontRight, 0.35)],
                vec![(C::FrontCenter, 0.35)],
            ]
        }
        C::Lfe => vec![vec![(C::FrontLeft, m), (C::FrontRight, m)], vec![(C::FrontCenter, 1.0)]],
    }
}

/// The standard coefficients from one layout to another, `[output][input]`, not normalised.
///
/// # Errors
/// [`Error::Unsupported`] between discrete channels of different number.
pub fn standard_matrix(from: ChannelLayout, to: ChannelLayout, lfe: LfePolicy) -> Result<Vec<Vec<f64>>> {
    let (inputs, outputs) = (from.channels(), to.channels());
    let mut matrix = vec![vec![0.0; inputs]; outputs];
    if from == to || (inputs == outputs && (from.mask() == 0 || to.mask() == 0)) {
        for (n, row) in matrix.iter_mut().enumerate() {
            row[n] = 1.0;
        }
        return Ok(matrix);
    }
    // One channel is alike in all: it is the centre wherever it comes from, and a mono target sums all.
    if inputs == 1 && to.index_of(Channel::FrontLeft).is_some() && to.index_of(Channel::FrontRight).is_some() {
        for channel in [Channel::FrontLeft, Channel::FrontRight] {
            if let Some(row) = to.index_of(channel) {
                matrix[row][0] = 1.0;
            }
        }
        return Ok(matrix);
    }
    if from.mask() == 0 && outputs == 1 {
        matrix[0].fill(1.0 / inputs as f64);
        return Ok(matrix);
    }
    if from.mask() == 0 || to.mask() == 0 {
        return Err(Error::Unsupported {
            what: "channel conversion",
            value: format!("{} to {}", from.name(), to.name()),
            hint: Some("channels without positions need a matrix".into()),
        });
    }
    for (input, channel) in from.positions().enumerate() {
        if let Some(output) = to.index_of(channel) {
            matrix[output][input] += 1.0;
            continue;
        }
        if channel == Channel::Lfe && lfe == LfePolicy::Drop {
            continue;
        }
        let way = substitutes(channel).into_iter().find(|w| w.iter().all(|(c, _)| to.index_of(*c).is_some()));
        for (target, coefficient) in way.into_iter().flatten() {
            if let Some(output) = to.index_of(target) {
                matrix[output][input] += coefficient;
            }
        }
    }
    Ok(matrix)
}

impl Filter for ChannelMix {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        let matrix = if p.matrix.is_empty() { standard_matrix(spec.layout, p.to, p.lfe)? } else { p.matrix.clone() };
        let (inputs, outputs) = (spec.channels(), p.to.channels());
        let fits = matrix.len() == outputs && matrix.iter().all(|row| row.len() == inputs);
        if !fits || matrix.iter().flatten().any(|c| !c.is_finite() || c.abs() > 100.0) {
            return Err(Error::InvalidValue {
                name: "channel_mix.matrix".into(),
                value: format!("{} rows", matrix.len()),
                allowed: format!("{outputs} rows of {inputs} numbers from -100 to 100"),
            });
        }
        let top = matrix.iter().map(|row| row.iter().map(|c| c.abs()).sum::<f64>()).fold(1.0, f64::max);
        let scale = if p.normalise { 1.0 / top } else { 1.0 };
        self.rows = matrix
            .iter()
            .map(|row| {
                row.iter().enumerate().filter(|(_, c)| **c != 0.0).map(|(n, c)| (n, (c * scale) as f32)).collect()
            })
            .collect();
        self.input = Buffer::new(spec, max_frames);
        self.output = Spec::new(spec.rate_hz, p.to);
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.rows.is_empty() {
            return;
        }
        let frames = block.frames();
        self.input.copy_from(block, 0, frames);
        block.set_spec(self.output);
        block.set_frames(frames);
        for (row, out) in self.rows.iter().zip(block.channels_mut()) {
            out.fill(0.0);
            for (index, coefficient) in row {
                for (y, x) in out.iter_mut().zip(self.input.channel(*index)) {
                    *y += coefficient * x;
                }
            }
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(params: &ChannelMixParams, from: ChannelLayout, x: &[f32]) -> Vec<f32> {
        let spec = Spec::new(48_000, from);
        let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::discrete(8)), 1);
        block.set_spec(spec);
        block.set_frames(1);
        block.channels_mut().zip(x).for_each(|(c, x)| c[0] = *x);
        let mut f = ChannelMix::new(params);
        f.prepare(spec, 1).unwrap();
        f.process(&mut block);
        assert_eq!(block.spec().layout, params.to);
        block.channels().map(|c| c[0]).collect()
    }

    fn to(to: ChannelLayout, normalise: bool) -> ChannelMixParams {
        ChannelMixParams { to, normalise, ..Default::default() }
    }

    #[test]
    fn five_to_two_follows_bs_775() {
        // L R C LFE Ls Rs
        let x = [0.1, 0.2, 0.4, 0.8, 0.3, 0.5];
        let y = mix(&to(ChannelLayout::STEREO, false), ChannelLayout::SURROUND_5_1, &x);
        let m = MINUS_3_DB as f32;
        assert!((y[0] - (0.1 + m * 0.4 + m * 0.3)).abs() < 1e-6);
        assert!((y[1] - (0.2 + m * 0.4 + m * 0.5)).abs() < 1e-6);
        let full = mix(&to(ChannelLayout::STEREO, true), ChannelLayout::SURROUND_5_1, &[1.0; 6]);
        assert!(full.iter().all(|v| (*v - 1.0).abs() < 1e-6), "{full:?}");
        let with_lfe = ChannelMixParams { lfe: LfePolicy::Mix, ..to(ChannelLayout::STEREO, false) };
        let z = mix(&with_lfe, ChannelLayout::SURROUND_5_1, &x);
        assert!((z[0] - y[0] - m * 0.8).abs() < 1e-6);
    }

    #[test]
    fn mono_and_stereo_convert_without_change_of_level() {
        assert_eq!(mix(&to(ChannelLayout::STEREO, true), ChannelLayout::MONO, &[0.5]), [0.5, 0.5]);
        let mono = mix(&to(ChannelLayout::MONO, true), ChannelLayout::STEREO, &[0.5, 0.5]);
        assert!((mono[0] - 0.5).abs() < 1e-6);
        let wide = mix(&to(ChannelLayout::SURROUND_5_1, true), ChannelLayout::STEREO, &[0.5, 0.25]);
        assert_eq!(wide, [0.5, 0.25, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn every_pair_of_usual_layouts_keeps_every_channel_but_the_lfe() {
        for inputs in 1..=8 {
            for outputs in 1..=8 {
                let (from, target) = (ChannelLayout::from_count(inputs), ChannelLayout::from_count(outputs));
                let matrix = standard_matrix(from, target, LfePolicy::Mix).unwrap();
                for input in 0..inputs {
                    assert!(matrix.iter().any(|row| row[input] > 0.0), "{} to {}: {input}", from.name(), target.name());
                }
            }
        }
    }

    #[test]
    fn a_matrix_of_the_wrong_shape_is_refused() {
        let params = ChannelMixParams { matrix: vec![vec![1.0, 0.0]], ..to(ChannelLayout::STEREO, true) };
        let e = ChannelMix::new(&params).prepare(Spec::new(48_000, ChannelLayout::STEREO), 8).unwrap_err();
        assert!(e.to_string().contains("2 rows of 2 numbers"), "{e}");
        let swap = ChannelMixParams { matrix: vec![vec![0.0, 1.0], vec![1.0, 0.0]], ..to(ChannelLayout::STEREO, true) };
        assert_eq!(mix(&swap, ChannelLayout::STEREO, &[0.25, 0.5]), [0.5, 0.25]);
    }
}
