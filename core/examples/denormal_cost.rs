//! What each real-time filter costs for sound, for denormal numbers, and while sound decays into them: nanoseconds per
//! sample, the least of many runs. `tests/performance/denormals` runs it in release and judges.
#![allow(clippy::unwrap_used)] // a measuring program

use std::time::Instant;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec, examples, filters};

const FRAMES: usize = 480;
const BLOCKS: usize = 40;
const RUNS: usize = 9;

/// Least time for a sample over some runs of a second of the same kind of input after the chain has met `before`.
fn cost_ns(chain: &mut Chain, before: &Buffer, input: &Buffer) -> f64 {
    let mut block = chain.new_block().unwrap();
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        chain.reset();
        for _ in 0..4 {
            block.copy_from(before, 0, FRAMES);
            chain.process(&mut block);
        }
        let start = Instant::now();
        for _ in 0..BLOCKS {
            block.copy_from(input, 0, FRAMES);
            chain.process(&mut block);
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    least * 1e9 / (BLOCKS * FRAMES * 2) as f64
}

fn noise(level: f32) -> Buffer {
    let hash = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
    let plane = |seed: u32| (0..FRAMES as u32).map(|n| level * hash(n + seed)).collect();
    Buffer::from_channels(Spec::new(48_000, ChannelLayout::STEREO), &[plane(0), plane(999)])
}

fn main() {
    let (sound, tiny, silence) = (noise(0.5), noise(1e-39), noise(0.0));
    println!("filter sound_ns denormal_ns decay_ns ratio");
    for info in filters().iter().filter(|f| f.realtime) {
        let mut chain = Chain::new(&[FilterSpec::parse(examples::example(info.name)).unwrap()]).unwrap();
        if chain.prepare(sound.spec(), FRAMES).is_err() {
            continue;
        }
        let plain = cost_ns(&mut chain, &sound, &sound);
        let denormal = cost_ns(&mut chain, &tiny, &tiny);
        let decay = cost_ns(&mut chain, &sound, &silence);
        println!("{} {plain:.2} {denormal:.2} {decay:.2} {:.2}", info.name, denormal.max(decay) / plain);
    }
}
