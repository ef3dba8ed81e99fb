//! Throw-away: `resample_wav IN.wav OUT.wav RATE` until the command line exists.
#![allow(missing_docs, clippy::unwrap_used)]
use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::dsp::resampler::{Quality, Resampler};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[1]).unwrap();
    let rate: u32 = args[3].parse().unwrap();
    let u32_at = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
    let (mut pos, mut fmt, mut data) = (12, (0, 0, 0, 0), &bytes[..0]);
    while pos + 8 <= bytes.len() {
        let size = u32_at(pos + 4) as usize;
        let body = pos + 8;
        match &bytes[pos..pos + 4] {
            b"fmt " => fmt = (u32_at(body) & 0xFFFF, u32_at(body) >> 16, u32_at(body + 4), u32_at(body + 12) >> 16),
            b"data" => data = &bytes[body..(body.saturating_add(size)).min(bytes.len())],
            _ => {}
        }
        pos = body.saturating_add(size + size % 2);
    }
    let (channels, in_rate, bits) = (fmt.1 as usize, fmt.2, fmt.3);
    let samples: Vec<f32> = match bits {
        32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        _ => data.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes(b.try_into().unwrap())) / 32768.0).collect(),
    };
    let t0 = std::time::Instant::now();
    let quality = match args.get(4).map(String::as_str) {
        Some("best") => Quality::Best,
        Some("fast") => Quality::Fast,
        _ => Quality::Good,
    };
    let mut resampler = Resampler::new(in_rate, rate, channels, quality).unwrap();
    let t1 = std::time::Instant::now();
    let spec = Spec::new(in_rate, ChannelLayout::from_count(channels));
    let block = 4096;
    let mut input = Buffer::new(spec, block);
    let mut output = Buffer::new(spec, resampler.max_output_frames(block));
    let mut out: Vec<f32> = Vec::new();
    let mut flat = Vec::new();
    let mut busy = std::time::Duration::ZERO;
    for part in samples.chunks(block * channels) {
        input.deinterleave_from(part);
        let t = std::time::Instant::now();
        resampler.process(&input, &mut output);
        busy += t.elapsed();
        output.interleave_into(&mut flat);
        out.extend_from_slice(&flat);
    }
    loop {
        resampler.finish(&mut output);
        if output.is_empty() {
            break;
        }
        output.interleave_into(&mut flat);
        out.extend_from_slice(&flat);
    }
    eprintln!("design {:?} process {busy:?}", t1 - t0);
    let mut w = Vec::with_capacity(out.len() * 4 + 44);
    w.extend_from_slice(b"RIFF");
    w.extend_from_slice(&(out.len() as u32 * 4 + 36).to_le_bytes());
    w.extend_from_slice(b"WAVEfmt \x10\0\0\0\x03\0");
    w.extend_from_slice(&(channels as u16).to_le_bytes());
    w.extend_from_slice(&rate.to_le_bytes());
    w.extend_from_slice(&(rate * channels as u32 * 4).to_le_bytes());
    w.extend_from_slice(&(channels as u16 * 4).to_le_bytes());
    w.extend_from_slice(&32u16.to_le_bytes());
    w.extend_from_slice(b"data");
    w.extend_from_slice(&(out.len() as u32 * 4).to_le_bytes());
    out.iter().for_each(|v| w.extend_from_slice(&v.to_le_bytes()));
    std::fs::write(&args[2], w).unwrap();
}
