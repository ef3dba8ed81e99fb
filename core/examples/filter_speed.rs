//! Time of filter chains on a recording in memory, for `tests/performance/filters.py`.
//!
//!     filter_speed FILE RATE_HZ CHANNELS ROUNDS BLOCK_FRAMES NAME=FILTER[|FILTER...] ...
//!
//! FILE holds interleaved 32-bit floats in the byte order of the machine. Each round copies the recording block by block
//! into a chain and out again. Prints one line of JSON for each chain:
//!
//! - `round_s`: time of the fastest round;
//! - `mean_us`, `worst_us`: mean and worst time of one block. Each block has the time of its fastest round: the work of a
//!   block is the same in every round, interruptions by the system are not.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, rate_hz, channels, rounds, block_frames, cases @ ..] = args.as_slice() else {
        return Err("filter_speed FILE RATE_HZ CHANNELS ROUNDS BLOCK_FRAMES NAME=FILTER[|FILTER...] ...".into());
    };
    let channels: usize = channels.parse()?;
    let (rounds, block_frames): (usize, usize) = (rounds.parse()?, block_frames.parse()?);
    let spec = Spec::new(rate_hz.parse()?, ChannelLayout::from_count(channels));
    let samples: Vec<f32> =
        std::fs::read(file)?.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect();
    let planes: Vec<Vec<f32>> =
        (0..channels).map(|c| samples.iter().skip(c).step_by(channels).copied().collect()).collect();
    let input = Buffer::from_channels(spec, &planes);
    let frames = input.frames();
    let mut output = planes;

    for case in cases {
        let (name, text) = case.split_once('=').ok_or("NAME=FILTER")?;
        let filters =
            text.split('|').filter(|t| !t.is_empty()).map(FilterSpec::parse).collect::<Result<Vec<_>, _>>()?;
        let mut chain = Chain::new(&filters)?;
        let prepared = chain.prepare(spec, block_frames)?;
        let out_channels = prepared.spec.channels().min(channels);
        let mut block = chain.new_block()?;
        let mut block_s = vec![f64::INFINITY; frames.div_ceil(block_frames)];
        let mut best_s = f64::INFINITY;
        for _ in 0..rounds {
            chain.reset();
            let start = Instant::now();
            for (index, best_block_s) in block_s.iter_mut().enumerate() {
                let at = index * block_frames;
                let count = block_frames.min(frames - at);
                let begin = Instant::now();
                block.copy_from(&input, at, count);
                chain.process(&mut block);
                for (to, from) in output.iter_mut().zip(block.channels()).take(out_channels) {
                    let count = count.min(from.len());
                    to[at..at + count].copy_from_slice(&from[..count]);
                }
                *best_block_s = best_block_s.min(begin.elapsed().as_secs_f64());
            }
            best_s = best_s.min(start.elapsed().as_secs_f64());
            black_box(&output);
        }
        let mean_us = 1e6 * block_s.iter().sum::<f64>() / block_s.len() as f64;
        let worst_us = 1e6 * block_s.iter().fold(0.0, |a: f64, b| a.max(*b));
        println!(
            "{}",
            serde_json::json!({ "case": name, "round_s": best_s, "mean_us": mean_us, "worst_us": worst_us })
        );
    }
    Ok(())
}
