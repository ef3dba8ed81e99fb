//! Time of live chains block by block, in blocks of 64 frames of stereo at 44.1 kHz, for `tests/performance/live`.
//!
//! Prints one line for each chain: its name, how many times faster than real time it runs on one core, that of its longest
//! block, the longest block against the mean, and how many blocks took longer than they last (drop-outs). Each block has the
//! time of its fastest round: the work of a block is the same in every round, interruptions by the system are not.

use std::error::Error;
use std::time::Instant;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec, convolution};

const RATE_HZ: u32 = 44_100;
const BLOCK_FRAMES: usize = 64;
const ROUNDS: usize = 9;
const SECONDS: usize = 3;

/// A chain of a live host: voice into a stream.
const LIVE: [&str; 8] = [
    "highpass",
    "gate",
    "de_esser",
    "peak_eq:gain_db=-3",
    "compressor",
    "high_shelf:gain_db=2",
    "stereo:width_percent=120",
    "limiter",
];

fn noise(count: usize, seed: u32) -> Vec<f64> {
    let mut seed = seed;
    (0..count)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(seed >> 8) / 8_388_608.0 - 1.0
        })
        .collect()
}

/// A room of 4 s, of its own for each channel.
fn room() -> FilterSpec {
    let taps = |seed| {
        let falling = noise(4 * RATE_HZ as usize, seed).into_iter().zip(0..);
        falling.map(|(x, n)| x * (-f64::from(n) / 30_000.0).exp()).collect()
    };
    FilterSpec::Convolution(convolution::ConvolutionParams { taps: vec![taps(1), taps(2)], ..Default::default() })
}

fn main() -> Result<(), Box<dyn Error>> {
    let spec = Spec::new(RATE_HZ, ChannelLayout::STEREO);
    let frames = SECONDS * RATE_HZ as usize / BLOCK_FRAMES * BLOCK_FRAMES;
    let plane = |seed| noise(frames, seed).into_iter().map(|x| 0.3 * x as f32).collect();
    let input = Buffer::from_channels(spec, &[plane(3), plane(4)]);
    let live = LIVE.iter().map(|text| FilterSpec::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let chains = [("live_8_filters", live), ("convolution_4_s", vec![room()]), ("reverb", vec!["reverb".parse()?])];
    println!("{:16} {:>9} {:>14} {:>11} {:>9}", "chain", "realtime", "longest block", "worst/mean", "drop-outs");
    for (name, filters) in chains {
        let mut chain = Chain::new(&filters)?;
        chain.prepare(spec, BLOCK_FRAMES)?;
        let mut block = chain.new_block()?;
        let mut times_s = vec![f64::INFINITY; frames / BLOCK_FRAMES];
        for _ in 0..ROUNDS {
            chain.reset();
            for (index, best_s) in times_s.iter_mut().enumerate() {
                block.copy_from(&input, index * BLOCK_FRAMES, BLOCK_FRAMES);
                let begin = Instant::now();
                chain.process(&mut block);
                *best_s = best_s.min(begin.elapsed().as_secs_f64());
            }
            std::hint::black_box(&block);
        }
        let block_s = BLOCK_FRAMES as f64 / f64::from(RATE_HZ);
        let mean_s = times_s.iter().sum::<f64>() / times_s.len() as f64;
        let worst_s = times_s.iter().fold(0.0, |a: f64, b| a.max(*b));
        println!(
            "{name:16} {:9.0} {:14.0} {:11.2} {:9}",
            block_s / mean_s,
            block_s / worst_s,
            worst_s / mean_s,
            times_s.iter().filter(|t| **t > block_s).count()
        );
    }
    Ok(())
}
