//! What holds for every filter, checked for every filter of the registry.
//!
//! The effort is bounded by a rule: filters with a latency of 256 frames or more (they work on windows, or on whole
//! networks) and filters for files only are `heavy` and get fewer combinations of rates, channels and blocks.

mod blocks;
mod exceptions;
mod linear;
mod parameters;
mod signals;
mod timing;

use super::curve::Curve;
use super::examples::example;
use super::params::ParamKind;
use super::*;
use crate::audio::ChannelLayout;

/// The filter, doing something.
fn active(name: &str) -> FilterSpec {
    FilterSpec::parse(example(name)).unwrap()
}

fn heavy(info: &FilterInfo, prepared: &Prepared) -> bool {
    !info.realtime || prepared.latency_frames >= 256
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut seed = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..count)
        .map(|n| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Bursts and pauses, so that dynamics have something to do.
            let level = if (n / 3_000) % 3 == 2 { 0.003 } else { 0.6 };
            level * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

fn signal(spec: Spec, frames: usize) -> Buffer {
    let planes: Vec<_> = (0..spec.channels()).map(|c| noise(frames, c as u32 + 1)).collect();
    Buffer::from_channels(spec, &planes)
}

/// Room for whatever the filter makes.
fn room(spec: Spec, prepared: &Prepared, block: usize) -> Buffer {
    let widest = spec.channels().max(prepared.spec.channels());
    Buffer::new(Spec::new(spec.rate_hz, ChannelLayout::discrete(widest)), block.max(prepared.max_frames))
}

/// All output of a filter for `input` in blocks whose lengths `split` gives, `finish` included.
fn run(
    filter: &mut dyn Filter,
    prepared: &Prepared,
    input: &Buffer,
    mut split: impl FnMut() -> usize,
) -> Vec<Vec<f32>> {
    let mut work = room(input.spec(), prepared, input.frames().max(1));
    let mut out = vec![Vec::new(); prepared.spec.channels()];
    let mut take = |b: &Buffer| out.iter_mut().zip(b.channels()).for_each(|(o, c)| o.extend_from_slice(c));
    let mut at = 0;
    while at < input.frames() {
        let count = split().clamp(1, input.frames() - at);
        work.copy_from(input, at, count);
        filter.process(&mut work);
        assert!(work.frames() <= prepared.max_frames);
        take(&work);
        at += count;
    }
    loop {
        work.set_spec(input.spec());
        filter.finish(&mut work);
        if work.is_empty() {
            return out;
        }
        take(&work);
    }
}

fn same_bits(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits()))
}

fn stereo() -> Spec {
    Spec::new(44_100, ChannelLayout::STEREO)
}
