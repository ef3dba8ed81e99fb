//! Filters on the middle and the sides of stereo.

use super::branch::Branch;
use super::params::filter_params;
use super::{Filter, FilterSpec, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Runs filters on the sum and on the difference of left and right; the faster side waits for the slower.
    pub struct MidSideParams for "mid_side" in Routing, realtime true {
        /// Filters for the middle, `(left + right) / 2`.
        mid: Vec<FilterSpec> = Vec::new();
        /// Filters for the sides, `(left - right) / 2`.
        side: Vec<FilterSpec> = Vec::new();
    }
}

/// See [`MidSideParams`]. Needs two channels. Without filters the output is the input but for f32 rounding. Latency and
/// tail are those of the side where they are longest.
pub struct MidSide {
    mid: Branch,
    side: Branch,
    prepared: bool,
}

impl MidSide {
    /// Filters of `params`.
    pub fn new(params: &MidSideParams) -> Self {
        Self { mid: Branch::new(&params.mid), side: Branch::new(&params.side), prepared: false }
    }
}

impl Filter for MidSide {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        if spec.channels() != 2 {
            return Err(Error::Unsupported {
                what: "layout for the filter mid_side",
                value: spec.layout.name(),
                hint: Some("put channel_mix:to=stereo before it".into()),
            });
        }
        let mono = Spec::new(spec.rate_hz, ChannelLayout::MONO);
        self.mid.prepare("mid_side.mid", mono, max_frames, 0)?;
        self.side.prepare("mid_side.side", mono, max_frames, 0)?;
        let latency_frames = self.mid.latency_frames.max(self.side.latency_frames);
        let tail_frames = self.mid.tail_frames.max(self.side.tail_frames);
        self.mid.align_to(latency_frames);
        self.side.align_to(latency_frames);
        self.prepared = true;
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let frames = block.frames();
        let (true, Some((left, right))) = (self.prepared, block.stereo_mut()) else { return };
        for branch in [&mut self.mid, &mut self.side] {
            branch.clear();
            branch.block.set_frames(frames);
        }
        let (mid, side) = (self.mid.block.channel_mut(0), self.side.block.channel_mut(0));
        for ((l, r), (m, s)) in left.iter().zip(&*right).zip(mid.iter_mut().zip(side)) {
            (*m, *s) = (0.5 * (*l + *r), 0.5 * (*l - *r));
        }
        self.mid.process(None);
        self.side.process(None);
        let (mid, side) = (self.mid.block.channel(0), self.side.block.channel(0));
        for ((l, r), (m, s)) in left.iter_mut().zip(right).zip(mid.iter().zip(side)) {
            (*l, *r) = (m + s, m - s);
        }
    }

    fn take_error(&mut self) -> Option<Error> {
        self.mid.take_error().or_else(|| self.side.take_error())
    }

    fn reset(&mut self) {
        self.mid.reset();
        self.side.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::super::branch::tests::{noise, run, stereo};

    #[test]
    fn the_input_comes_back_and_each_side_has_its_filters() {
        let input = noise(stereo(), 3_000);
        let (out, _) = run("mid_side", &input);
        for (y, x) in out.channels().zip(input.channels()) {
            assert!(y.iter().zip(x).all(|(y, x)| (y - x).abs() < 1e-7)); // f32 rounding of 0.5
        }
        let (out, prepared) =
            run(r#"{"type":"mid_side","mid":[{"type":"limiter"}],"side":[{"type":"gain","gain_db":-120}]}"#, &input);
        let (l, r) = (input.channel(0), input.channel(1));
        assert!(prepared.latency_frames > 0);
        for (n, y) in out.channel(1)[prepared.latency_frames..].iter().enumerate() {
            assert!((y - 0.5 * (l[n] + r[n])).abs() < 1.1e-6); // -120 dB of the side
        }
    }
}
