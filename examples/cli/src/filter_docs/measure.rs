//! What a filter does, measured from outside.

use std::f64::consts::PI;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{FileChain, FilterSpec};

pub const RATE_HZ: u32 = 48_000;

/// Rate and channels of the output of a filter for `input`, its latency compensated; none when it does not take the stream.
pub fn run(spec: &FilterSpec, input: &Buffer) -> Option<(u32, Vec<Vec<f32>>)> {
    let mut chain = FileChain::new(std::slice::from_ref(spec)).ok()?;
    let out_spec = chain.prepare(input.spec(), 1_024).ok()?;
    let mut out = vec![Vec::new(); out_spec.channels()];
    let mut take = |b: &Buffer| {
        out.iter_mut().zip(b.channels()).for_each(|(o, c)| o.extend_from_slice(c));
        Ok(())
    };
    let mut block = Buffer::new(input.spec(), 1_024);
    for at in (0..input.frames()).step_by(1_024) {
        block.copy_from(input, at, 1_024.min(input.frames() - at));
        chain.process(&mut block, &mut take).ok()?;
    }
    chain.finish(&mut take).ok()?;
    Some((out_spec.rate_hz, out))
}

/// As [`run`] for sound on the left, and `right` times as much on the right; mono where the filter does not take stereo.
fn run_sides(spec: &FilterSpec, left: &[f32], right: f32) -> Option<(u32, Vec<Vec<f32>>)> {
    let planes = [left.to_vec(), left.iter().map(|x| right * x).collect()];
    let stereo = Buffer::from_channels(Spec::new(RATE_HZ, ChannelLayout::STEREO), &planes);
    let mono = Buffer::from_channels(Spec::new(RATE_HZ, ChannelLayout::MONO), &planes[..1]);
    run(spec, &stereo).or_else(|| run(spec, &mono))
}

/// Output for sound on the left alone.
pub fn run_left(spec: &FilterSpec, left: &[f32]) -> Option<Vec<Vec<f32>>> {
    run_sides(spec, left, 0.0).map(|(_, out)| out)
}

/// Rate and first channel of the output for the same sound on both sides.
pub fn run_both(spec: &FilterSpec, sound: &[f32]) -> Option<(u32, Vec<f32>)> {
    run_sides(spec, sound, 1.0).map(|(rate_hz, mut out)| (rate_hz, out.swap_remove(0)))
}

/// Noise, always the same.
pub fn noise(frames: usize, level: f32) -> Vec<f32> {
    let mut state = 12_345u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        level * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
    };
    (0..frames).map(|_| next()).collect()
}

/// True when the filter is linear and does not change with time: twice and later in gives twice and later out.
pub fn is_linear(spec: &FilterSpec) -> bool {
    const LATER: usize = 777;
    let x = noise(6_000, 0.2);
    let mut later = vec![0.0; LATER];
    later.extend(x.iter().map(|x| 2.0 * x));
    let (Some(once), Some(twice)) = (run_left(spec, &x), run_left(spec, &later)) else { return false };
    once.iter().zip(&twice).all(|(once, twice)| {
        twice.len() == once.len() + LATER && once.iter().zip(&twice[LATER..]).all(|(a, b)| (2.0 * a - b).abs() < 1e-4)
    })
}

/// Gain in dB and phase in degrees at `freq_hz` of an impulse response that begins `early` frames before the impulse.
pub fn response(impulse: &[f32], early: usize, freq_hz: f64) -> (f64, f64) {
    let (sin, cos) = (2.0 * PI * freq_hz / f64::from(RATE_HZ)).sin_cos();
    let (re, im) =
        impulse.iter().rev().fold((0.0, 0.0), |(re, im), h| (f64::from(*h) + re * cos + im * sin, im * cos - re * sin));
    let (sin, cos) = (2.0 * PI * freq_hz * early as f64 / f64::from(RATE_HZ)).sin_cos();
    let (re, im) = (re * cos - im * sin, im * cos + re * sin);
    (20.0 * re.hypot(im).max(1e-9).log10(), im.atan2(re).to_degrees())
}

/// A sine whose peaks are at `level_dbfs`.
pub fn sine(freq_hz: f64, level_dbfs: f64, frames: usize) -> Vec<f32> {
    let peak = 10f64.powf(level_dbfs / 20.0);
    (0..frames).map(|n| (peak * (2.0 * PI * freq_hz * n as f64 / f64::from(RATE_HZ)).sin()) as f32).collect()
}

/// RMS level in dB, a full-scale sine reading 0.
pub fn level_db(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|x| f64::from(*x).powi(2)).sum();
    10.0 * (2.0 * sum / samples.len().max(1) as f64).max(1e-12).log10()
}

/// Level in dB of a band around `freq_hz` of the end of a signal, through a Hann window of 1024 frames; a full-scale sine
/// reads 0.
pub fn band_db(samples: &[f32], freq_hz: f64) -> f64 {
    narrow_band_db(samples, freq_hz, 1_024)
}

/// As [`band_db`], through a window of `frames` frames.
pub fn narrow_band_db(samples: &[f32], freq_hz: f64, frames: usize) -> f64 {
    let part = &samples[samples.len().saturating_sub(frames)..];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, x) in part.iter().enumerate() {
        let window = 0.5 - 0.5 * (2.0 * PI * n as f64 / frames as f64).cos();
        let (sin, cos) = (2.0 * PI * freq_hz * n as f64 / f64::from(RATE_HZ)).sin_cos();
        re += f64::from(*x) * window * cos;
        im += f64::from(*x) * window * sin;
    }
    // The window's mean is a half, and a sine has half its amplitude at each frequency sign.
    20.0 * (re.hypot(im) * 4.0 / frames as f64).max(1e-9).log10()
}
