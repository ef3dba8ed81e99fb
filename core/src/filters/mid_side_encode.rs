//! Left and right to mid and side, and back.

use super::channel_list::check_stereo;
use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_choice! {
    /// Which way.
    pub enum MidSideDirection {
        Encode = "encode": "Left and right to mid (first channel) and side (second).",
        Decode = "decode": "Mid and side to left and right.",
    }
}

filter_params! {
    /// Turns left and right into mid and side channels, or back; to run filters on both use `mid_side`.
    pub struct MidSideEncodeParams for "mid_side_encode" in Space, realtime true {
        /// Which way.
        direction: MidSideDirection = MidSideDirection::Encode;
    }
}

/// See [`MidSideEncodeParams`]. `M = (L + R) / 2`, `S = (L - R) / 2`; `L = M + S`, `R = M - S` (A. Blumlein, British patent
/// 394325): no clipping on the way there, and the way back gives the input up to one f32 rounding. Needs two channels. No
/// latency.
#[derive(Debug)]
pub struct MidSideEncode {
    params: MidSideEncodeParams,
}

impl MidSideEncode {
    /// A conversion of `params`.
    pub fn new(params: &MidSideEncodeParams) -> Self {
        Self { params: params.clone() }
    }
}

impl Filter for MidSideEncode {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stereo("layout for the filter mid_side_encode", spec)?;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let half = if self.params.direction == MidSideDirection::Encode { 0.5 } else { 1.0 };
        let Some((first, second)) = block.stereo_mut() else { return };
        for (a, b) in first.iter_mut().zip(second) {
            (*a, *b) = (half * (*a + *b), half * (*a - *b));
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn encodes_by_the_formula_and_decodes_to_the_input() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut block = Buffer::from_channels(spec, &[vec![0.75, 0.1], vec![0.25, -0.7]]);
        let mut encode = MidSideEncode::new(&MidSideEncodeParams::default());
        encode.prepare(spec, 2).unwrap();
        encode.process(&mut block);
        assert_eq!((block.channel(0)[0], block.channel(1)[0]), (0.5, 0.25));
        MidSideEncode::new(&MidSideEncodeParams { direction: MidSideDirection::Decode }).process(&mut block);
        assert_eq!((block.channel(0)[0], block.channel(1)[0]), (0.75, 0.25));
        // One rounding of a sum below 1.
        assert!((block.channel(0)[1] - 0.1).abs() < 6e-8 && (block.channel(1)[1] + 0.7).abs() < 6e-8);
    }
}
