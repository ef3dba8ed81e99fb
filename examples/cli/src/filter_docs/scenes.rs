//! Pictures of filters for which a sound of their own says more than those that all have: a click, a hum, a room.

use std::f64::consts::TAU;

use pure_sound::filters::FilterSpec;

use super::measure::{self, RATE_HZ};
use super::picture::{Picture, frequencies, response, spectrum};
use super::svg::{self, Axis, Line};

/// None for filters that have no picture of their own.
pub fn scene(name: &str, spec: &FilterSpec) -> Option<Picture> {
    match name {
        "declick" => zoom(spec, &clicks(), (500.0, 520.0), "20 ms of a chord with two clicks, before and after."),
        "decrackle" => zoom(spec, &crackle(), (500.0, 520.0), "20 ms of a chord with crackle, before and after."),
        "declip" => zoom(spec, &clipped(), (500.0, 512.0), "12 ms of a clipped chord before and after."),
        "deplosive" => zoom(spec, &plosive(), (900.0, 1_300.0), "A voice with the pop of a P, before and after."),
        "dehum" => hum(spec),
        "denoise_spectral" | "denoise_rnn" | "denoise_profile" => {
            levels(spec, &bursts(0.01), "Level of 20 ms of a voice in noise, before and after.")
        }
        "dereverb" => {
            let room = FilterSpec::parse("reverb:mix_percent=50").ok()?;
            let (_, sound) = measure::run_both(&room, &bursts(0.0))?;
            levels(spec, &sound, "Level of 20 ms of a voice in a room, before and after.")
        }
        "chorus" | "flanger" => moving(spec, &Axis::linear("Hz", 0.0, 1_000.0, 100.0)),
        "phaser" => moving(spec, &Axis::frequency()),
        "convolution" => response(spec),
        "tremolo" => {
            let tone = measure::sine(1_000.0, -6.0, RATE_HZ as usize);
            let (rate_hz, after) = measure::run_both(spec, &tone)?;
            let svg = svg::waves(&[("before", RATE_HZ, &tone), ("after", rate_hz, &after)]);
            Some(Picture { svg, caption: "A sine of 1 kHz before and after." })
        }
        "vibrato" => pitch(spec),
        "exciter" => spectrum(spec, "Spectrum of a sine of 5 kHz before and after.", 5_015.625, -6.0, -120.0),
        "dither" => {
            spectrum(spec, "Spectrum of a sine of 1 kHz at -120 dBFS before and after.", 1_031.25, -120.0, -180.0)
        }
        _ => None,
    }
}

fn seconds(n: usize) -> f64 {
    n as f64 / f64::from(RATE_HZ)
}

/// 2 s of three notes with two partials each, in a little noise.
fn chord() -> Vec<f32> {
    let mut x = measure::noise(2 * RATE_HZ as usize, 0.003);
    for (n, x) in x.iter_mut().enumerate() {
        let tone = |hz: f64| (TAU * hz * seconds(n)).sin() + 0.4 * (TAU * 2.0 * hz * seconds(n) + 1.0).sin();
        *x += (0.12 * (tone(221.3) + tone(277.9) + tone(331.1))) as f32;
    }
    x
}

fn clicks() -> Vec<f32> {
    let (mut x, bang) = (chord(), measure::noise(30, 0.7));
    for at in [0.1, 0.505, 0.514, 1.2] {
        let at = (at * f64::from(RATE_HZ)) as usize;
        x[at..at + 30].iter_mut().zip(&bang).for_each(|(x, b)| *x += b);
    }
    x
}

fn crackle() -> Vec<f32> {
    let mut x = chord();
    let places = measure::noise(1_200, 0.5);
    for (k, place) in places.iter().enumerate() {
        let at = k * 80 + ((place + 0.5) * 76.0) as usize;
        x[at..at + 2].iter_mut().for_each(|x| *x += 0.25 * if k % 2 == 0 { 1.0 } else { -1.0 });
    }
    x
}

fn clipped() -> Vec<f32> {
    chord().iter().map(|x| x.clamp(-0.25, 0.25)).collect()
}

/// Bursts of a harmonic voice in each second but the first, in noise.
fn bursts(noise: f32) -> Vec<f32> {
    let mut x = measure::noise(5 * RATE_HZ as usize, noise);
    for (n, x) in x.iter_mut().enumerate() {
        let t = seconds(n);
        let within = t.fract() - 0.2;
        if t > 1.0 && (0.0..0.5).contains(&within) {
            let swell = (TAU * within).sin().powi(2).sqrt();
            let hz = 140.0 + 30.0 * within;
            let voice: f64 = (1..=20).map(|k| (TAU * hz * f64::from(k) * t).sin() / f64::from(k)).sum();
            *x += (0.25 * swell * voice) as f32;
        }
    }
    x
}

fn plosive() -> Vec<f32> {
    let mut x = bursts(0.001);
    for (n, x) in x.iter_mut().enumerate() {
        let since = seconds(n) - 0.95;
        if (0.0..0.25).contains(&since) {
            *x += (0.7 * (TAU * 28.0 * since).sin() * (-since / 0.05).exp() * (since / 0.01).min(1.0)) as f32;
        }
    }
    x
}

/// Both sounds over each other, from and to in ms.
fn zoom(spec: &FilterSpec, before: &[f32], span_ms: (f64, f64), caption: &'static str) -> Option<Picture> {
    let (_, after) = measure::run_both(spec, before)?;
    let frame = |ms: f64| (ms * f64::from(RATE_HZ) / 1000.0) as usize;
    let every = ((frame(span_ms.1) - frame(span_ms.0)) / 1_200).max(1);
    let line = |samples: &[f32], label: &str, grey| {
        let places = (frame(span_ms.0)..frame(span_ms.1)).step_by(every);
        let points = places.filter_map(|n| samples.get(n).map(|x| (seconds(n) * 1000.0 - span_ms.0, f64::from(*x))));
        Line { label: label.to_owned(), points: points.collect(), grey }
    };
    let lines = [line(before, "before", true), line(&after, "after", false)];
    let top = lines.iter().flat_map(|l| &l.points).fold(0.1f64, |m, p| m.max(p.1.abs())) * 1.1;
    let length = span_ms.1 - span_ms.0;
    let x = Axis::linear("ms", 0.0, length, if length > 100.0 { 50.0 } else { 2.0 });
    let y = Axis::linear("", -top, top, 0.2);
    Some(Picture { svg: svg::lines(&x, &y, &lines), caption })
}

/// The spectrum of hum and noise, up to 500 Hz, once the hum was found.
fn hum(spec: &FilterSpec) -> Option<Picture> {
    let mut before = measure::noise(8 * RATE_HZ as usize, 0.02);
    for (n, x) in before.iter_mut().enumerate() {
        let tone = |k: i32| (TAU * 50.1 * f64::from(k) * seconds(n) + f64::from(k * k)).sin() / f64::from(k);
        *x += 0.03 * (1..=9).map(tone).sum::<f64>() as f32;
    }
    let (_, after) = measure::run_both(spec, &before)?;
    let line = |samples: &[f32], label: &str, grey| {
        let points = (10..=500).map(|hz| (f64::from(hz), measure::narrow_band_db(samples, f64::from(hz), 24_000)));
        Line { label: label.to_owned(), points: points.collect(), grey }
    };
    let lines = [line(&before, "before", true), line(&after, "after", false)];
    let y = Axis::decibels("dBFS", lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)));
    let svg = svg::lines(&Axis::linear("Hz", 0.0, 500.0, 50.0), &y, &lines);
    Some(Picture { svg, caption: "Spectrum of noise with a hum of 50.1 Hz before and after." })
}

/// Levels of both sounds over the time, without the first second.
fn levels(spec: &FilterSpec, before: &[f32], caption: &'static str) -> Option<Picture> {
    const STEP: usize = RATE_HZ as usize / 50;
    let (_, after) = measure::run_both(spec, before)?;
    let line = |samples: &[f32], label: &str, grey| {
        let parts = samples.chunks_exact(STEP).enumerate();
        let points = parts.map(|(n, part)| (seconds(n * STEP), measure::level_db(part).max(-100.0)));
        Line { label: label.to_owned(), points: points.filter(|p| p.0 >= 1.0).collect(), grey }
    };
    let lines = [line(before, "before", true), line(&after, "after", false)];
    let y = Axis::decibels("dBFS", lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)));
    Some(Picture { svg: svg::lines(&Axis::linear("s", 1.0, 5.0, 0.5), &y, &lines), caption })
}

/// Responses to impulses at two moments.
fn moving(spec: &FilterSpec, x: &Axis) -> Option<Picture> {
    let mut lines = Vec::new();
    for at_s in [0.3, 1.0] {
        let mut left = vec![0.0; 2 * RATE_HZ as usize];
        let at = (at_s * f64::from(RATE_HZ)) as usize;
        left[at] = 1.0;
        let out = measure::run_left(spec, &left)?;
        let part = out.first()?.get(at..at + 16_384)?;
        let places: Vec<f64> = if x.log { frequencies().collect() } else { (0..1_000).map(f64::from).collect() };
        let points = places.into_iter().map(|hz| (hz, measure::response(part, 0, hz).0)).collect();
        lines.push(Line { label: format!("after {at_s} s"), points, grey: false });
    }
    let y = Axis::decibels("dB", lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)));
    let caption = "Frequency response at 48 kHz at two moments.";
    Some(Picture { svg: svg::lines(x, &y, &lines), caption })
}

/// The pitch of a sine over the time, from one rise through zero to the next.
fn pitch(spec: &FilterSpec) -> Option<Picture> {
    let tone = measure::sine(1_000.0, -6.0, RATE_HZ as usize);
    let (_, after) = measure::run_both(spec, &tone)?;
    let rises: Vec<f64> = (1..after.len())
        .filter(|n| after[n - 1] < 0.0 && after[*n] >= 0.0)
        .map(|n| n as f64 - f64::from(after[n] / (after[n] - after[n - 1])))
        .collect();
    // Without the beginning, where the delay of the filter fills.
    let points: Vec<_> = rises
        .windows(9)
        .filter(|w| w[0] > 4_800.0)
        .map(|w| (w[4] / f64::from(RATE_HZ), 8.0 * f64::from(RATE_HZ) / (w[8] - w[0])))
        .collect();
    let far = points.iter().fold(5.0f64, |m, p| m.max((p.1 - 1000.0).abs()));
    let y = Axis::linear("Hz", 1000.0 - 1.1 * far, 1000.0 + 1.1 * far, if far > 40.0 { 20.0 } else { 5.0 });
    let line = Line { label: String::new(), points, grey: false };
    let svg = svg::lines(&Axis::linear("s", 0.0, 1.0, 0.1), &y, &[line]);
    Some(Picture { svg, caption: "Frequency of a sine of 1 kHz afterwards, over the time." })
}
