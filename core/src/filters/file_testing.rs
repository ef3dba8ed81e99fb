//! What tests of filters for files share.

use super::{FileChain, FilterSpec};
use crate::audio::{Buffer, ChannelLayout, Spec};

/// All output of one filter, in its short form, for `planes` at `rate_hz` in blocks of `block`.
pub fn through(text: &str, rate_hz: u32, planes: &[Vec<f32>], block: usize) -> Vec<Vec<f32>> {
    through_spec(&text.parse().unwrap(), rate_hz, planes, block)
}

/// As [`through`], of a filter that needs more than text.
pub fn through_spec(filter: &FilterSpec, rate_hz: u32, planes: &[Vec<f32>], block: usize) -> Vec<Vec<f32>> {
    let spec = Spec::new(rate_hz, ChannelLayout::from_count(planes.len()));
    let mut chain = FileChain::new(std::slice::from_ref(filter)).unwrap();
    let out_spec = chain.prepare(spec, block).unwrap();
    let mut out = vec![Vec::new(); out_spec.channels()];
    let mut take = |b: &Buffer| {
        assert_eq!(b.spec(), out_spec);
        out.iter_mut().zip(b.channels()).for_each(|(o, c)| o.extend_from_slice(c));
        Ok(())
    };
    let whole = Buffer::from_channels(spec, planes);
    let mut part = Buffer::new(spec, block);
    let mut at = 0;
    while at < whole.frames() {
        let count = block.min(whole.frames() - at);
        part.copy_from(&whole, at, count);
        chain.process(&mut part, &mut take).unwrap();
        at += count;
    }
    chain.finish(&mut take).unwrap();
    out
}

/// Samples that differ from each other.
pub fn counting(frames: usize) -> Vec<f32> {
    (1..=frames).map(|n| n as f32 / 65_536.0).collect()
}

/// A sine of amplitude 0.5.
pub fn sine(frequency_hz: f64, rate_hz: u32, frames: usize) -> Vec<f32> {
    let step = 2.0 * std::f64::consts::PI * frequency_hz / f64::from(rate_hz);
    (0..frames).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
}
