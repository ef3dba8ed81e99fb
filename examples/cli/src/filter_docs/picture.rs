//! The picture of a filter: its response when it is linear, its curve when it is of dynamics, before and after otherwise.

use pure_sound::filters::{Category, FilterInfo, FilterSpec};

use super::measure::{self, RATE_HZ};
use super::scenes;
use super::svg::{self, Axis, Line};

/// A picture and what it shows.
pub struct Picture {
    pub svg: String,
    pub caption: &'static str,
}

/// None for filters whose example cannot run, such as those that need a file.
pub fn picture(info: &FilterInfo, spec: &FilterSpec) -> Option<Picture> {
    if let Some(picture) = scenes::scene(info.name, spec) {
        return Some(picture);
    }
    let linear = measure::is_linear(spec);
    match info.category {
        Category::Effects if linear => impulse(spec),
        Category::Effects => spectrum(spec, "Spectrum of a sine of 1 kHz before and after.", 1_031.25, -6.0, -120.0),
        Category::Dynamics => curve(spec),
        Category::Time | Category::Restoration => waves(spec),
        _ if linear => response(spec),
        _ => waves(spec),
    }
}

pub fn frequencies() -> impl Iterator<Item = f64> {
    (0..800).map(|n| 20.0 * 1_000f64.powf(f64::from(n) / 799.0))
}

pub fn response(spec: &FilterSpec) -> Option<Picture> {
    // With the latency compensated, half of a linear-phase response comes before the impulse.
    const LEAD: usize = 1 << 13;
    let mut left = vec![0.0; LEAD + (1 << 16)];
    left[LEAD] = 1.0;
    let out = measure::run_left(spec, &left)?;
    let names = if out.len() > 1 { ["left to left", "left to right"] } else { ["", ""] };
    let (mut lines, mut phases) = (Vec::new(), Vec::new());
    for (impulse, name) in out.iter().zip(names) {
        let Some(end) = impulse.iter().rposition(|h| h.abs() > 1e-9) else { continue };
        let start = impulse.iter().position(|h| h.abs() > 1e-9).unwrap_or(0).min(LEAD);
        let part = &impulse[start..=end];
        let all: Vec<_> = frequencies().map(|hz| (hz, measure::response(part, LEAD - start, hz))).collect();
        let label = name.to_owned();
        lines.push(Line { label, points: all.iter().map(|(hz, r)| (*hz, r.0)).collect(), grey: false });
        phases = all.iter().map(|(hz, r)| (*hz, r.1)).collect();
    }
    if let [line] = lines.as_mut_slice() {
        line.label.clear();
        let flat = line.points.iter().all(|p| p.1.abs() < 0.01);
        if flat && phases.iter().any(|p| p.1.abs() > 10.0) {
            // All frequencies pass: what happens is in the phase.
            for n in 1..phases.len() {
                phases[n].1 -= 360.0 * ((phases[n].1 - phases[n - 1].1) / 360.0).round();
            }
            let last = phases.iter().fold(0.0f64, |m, p| m.min(p.1));
            let y = Axis::linear("degrees", (last / 180.0).floor() * 180.0, 0.0, 180.0);
            line.points = phases;
            let svg = svg::lines(&Axis::frequency(), &y, &lines);
            return Some(Picture { svg, caption: "Phase at 48 kHz; the gain is 0 dB at all frequencies." });
        }
    }
    let y = Axis::decibels("dB", lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)));
    Some(Picture { svg: svg::lines(&Axis::frequency(), &y, &lines), caption: "Frequency response at 48 kHz." })
}

fn curve(spec: &FilterSpec) -> Option<Picture> {
    let mut lines = vec![Line { label: String::new(), points: vec![(-80.0, -80.0), (0.0, 0.0)], grey: true }];
    for (freq_hz, label) in [(1_000.0, "1 kHz"), (7_000.0, "7 kHz")] {
        let mut points = Vec::new();
        for level_dbfs in (-80..=0).step_by(2).map(f64::from) {
            let (_, out) = measure::run_both(spec, &measure::sine(freq_hz, level_dbfs, RATE_HZ as usize))?;
            let end = &out[out.len() * 3 / 4..];
            points.push((level_dbfs, measure::level_db(end)));
        }
        lines.push(Line { label: label.to_owned(), points, grey: false });
    }
    let differ = lines[1].points.iter().zip(&lines[2].points).any(|(a, b)| (a.1 - b.1).abs() > 0.5);
    if !differ {
        lines.truncate(2);
        lines[1].label.clear();
    }
    let x = Axis::linear("input, dBFS", -80.0, 0.0, 10.0);
    let all = lines.iter().flat_map(|l| l.points.iter().map(|p| p.1.max(-100.0)));
    let y = Axis::linear("output, dBFS", all.clone().fold(-80.0, f64::min), all.fold(0.0, f64::max), 10.0);
    let caption = "Level of a steady sine before and after, settled for a second.";
    Some(Picture { svg: svg::lines(&x, &y, &lines), caption })
}

fn impulse(spec: &FilterSpec) -> Option<Picture> {
    let mut left = vec![0.0; RATE_HZ as usize];
    left[100] = 1.0;
    let out = measure::run_left(spec, &left)?;
    // The impulse alone would hide what follows it.
    let mut wet = out[0].clone();
    let top = wet.iter().enumerate().filter(|(n, _)| *n != 100).fold(1e-3f32, |m, (_, x)| m.max(x.abs()));
    wet.iter_mut().for_each(|x| *x = x.clamp(-top, top));
    Some(Picture {
        svg: svg::waves(&[("impulse response", RATE_HZ, &wet)]),
        caption: "Impulse response, left to left.",
    })
}

/// Of a sine of `freq_hz`, which is best one of the window, away from the rate's divisors: a multiple of 48000 / 1024.
pub fn spectrum(
    spec: &FilterSpec,
    caption: &'static str,
    freq_hz: f64,
    level_dbfs: f64,
    floor_dbfs: f64,
) -> Option<Picture> {
    let tone = measure::sine(freq_hz, level_dbfs, RATE_HZ as usize);
    let (_, out) = measure::run_both(spec, &tone)?;
    let line = |samples: &[f32], label: &str, grey| {
        let points = (0..512).map(|n| f64::from(n) * 20_000.0 / 511.0);
        let points = points.map(|hz| (hz / 1000.0, measure::band_db(samples, hz).max(floor_dbfs))).collect();
        Line { label: label.to_owned(), points, grey }
    };
    let lines = [line(&tone, "before", true), line(&out, "after", false)];
    let x = Axis::linear("kHz", 0.0, 20.0, 2.0);
    let y = Axis::linear("dBFS", floor_dbfs, level_dbfs + 12.0, 20.0);
    Some(Picture { svg: svg::lines(&x, &y, &lines), caption })
}

/// Bursts of a harmonic sound, the second softer, in a little noise and hum, with clicks: something for each to do.
fn programme() -> Vec<f32> {
    let rate = RATE_HZ as usize;
    let mut x = measure::noise(rate * 2, 0.02);
    for (n, x) in x.iter_mut().enumerate() {
        let t = n as f64 / f64::from(RATE_HZ);
        let level = if (0.3..0.9).contains(&t) {
            0.5
        } else if (1.2..1.7).contains(&t) {
            0.2
        } else {
            0.0
        };
        let swell = (std::f64::consts::PI * 3.0 * t).sin().powi(2);
        let voice: f64 =
            (1..=6).map(|k| (2.0 * std::f64::consts::PI * 150.0 * f64::from(k) * t).sin() / f64::from(k)).sum();
        let hum = 0.03 * (2.0 * std::f64::consts::PI * 50.0 * t).sin();
        if !(0.12..1.88).contains(&t) {
            *x = 0.0; // for filters that look for silence at the ends
            continue;
        }
        *x += (level * swell * voice * 0.6 + hum) as f32;
        if n % 19_200 == 9_000 {
            *x += 0.7;
        }
        *x = x.clamp(-0.5, 0.5);
    }
    x
}

fn waves(spec: &FilterSpec) -> Option<Picture> {
    let before = programme();
    let (rate_hz, after) = measure::run_both(spec, &before)?;
    let svg = svg::waves(&[("before", RATE_HZ, &before), ("after", rate_hz, &after)]);
    Some(Picture { svg, caption: "A sound before and after: two bursts with noise, hum, clicks and clipping." })
}
