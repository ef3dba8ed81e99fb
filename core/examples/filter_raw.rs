//! Runs filters over raw samples and tells how long it took: for measurements beside other tools.
//!
//! `filter_raw RATE_HZ CHANNELS IN.f32 OUT.f32 FILTER...`, both files interleaved 32-bit floats, little endian; `-` as
//! output keeps nothing.

use std::time::{Duration, Instant};

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{FileChain, FilterSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rate, channels, input, output, specs @ ..] = args.as_slice() else {
        return Err("usage: filter_raw RATE_HZ CHANNELS IN.f32 OUT.f32 FILTER...".into());
    };
    let specs: Vec<FilterSpec> = specs.iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
    let spec = Spec::new(rate.parse()?, ChannelLayout::from_count(channels.parse()?));
    let samples: Vec<f32> =
        std::fs::read(input)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let block_frames = 4_096;
    let mut chain = FileChain::new(&specs)?;
    chain.prepare(spec, block_frames)?;
    let mut block = Buffer::new(spec, block_frames);
    let (mut bytes, mut flat) = (Vec::new(), Vec::new());
    let mut keep = |b: &Buffer| {
        b.interleave_into(&mut flat);
        bytes.extend(flat.iter().flat_map(|x| x.to_le_bytes()));
        Ok(())
    };
    let mut skip = |_: &Buffer| Ok(());
    let out: &mut dyn FnMut(&Buffer) -> pure_sound::Result<()> = if output == "-" { &mut skip } else { &mut keep };
    let mut spent = Duration::ZERO;
    for piece in samples.chunks(block_frames * spec.channels()) {
        block.deinterleave_from(piece);
        let start = Instant::now();
        chain.process(&mut block, out)?;
        spent += start.elapsed();
    }
    let start = Instant::now();
    chain.finish(out)?;
    spent += start.elapsed();
    let seconds = samples.len() as f64 / spec.channels() as f64 / f64::from(spec.rate_hz);
    eprintln!("{:.3} s for {seconds:.1} s of audio", spent.as_secs_f64());
    if output != "-" {
        std::fs::write(output, bytes)?;
    }
    Ok(())
}
