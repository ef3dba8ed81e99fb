//! What a block costs without the C interface: nanoseconds for 480 frames of stereo through four filters, the best of several
//! rounds. For `tests/performance/c/run`, which puts it beside the same blocks in C.

use std::time::Instant;

use pure_sound::audio::{ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec};

const BLOCK_FRAMES: usize = 480;
const BLOCKS: u32 = 2000;
const ROUNDS: usize = 25;

fn main() -> pure_sound::Result<()> {
    let filters = ["highpass:cutoff_hz=80", "peak_eq:frequency_hz=3000,gain_db=4", "compressor", "limiter"];
    let specs: Vec<FilterSpec> = filters.iter().map(|f| FilterSpec::parse(f)).collect::<pure_sound::Result<_>>()?;
    let mut chain = Chain::new(&specs)?;
    let spec = Spec::new(48_000, ChannelLayout::from_count(2));
    chain.prepare(spec, BLOCK_FRAMES)?;
    let mut block = chain.new_block()?;
    block.set_frames(BLOCK_FRAMES);
    let mut state = 1_u32;
    for channel in block.channels_mut() {
        for sample in channel {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = ((state >> 8) as f32 / 8_388_608.0 - 1.0) * 0.25;
        }
    }
    let mut best_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..BLOCKS {
            chain.process(&mut block);
        }
        best_ns = best_ns.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BLOCKS));
    }
    println!("{best_ns:.1}");
    Ok(())
}
