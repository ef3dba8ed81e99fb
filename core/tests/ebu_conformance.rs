//! The loudness meter against EBU Tech 3341 v4 Table 1, EBU Tech 3342 v4 Table 1, ITU-R BS.2217, and against the
//! independent `ebur128` crate.
//!
//! Signals are synthesised from their definitions, tolerances are those of the tables. Not here, because they are
//! recordings that cannot be synthesised: Tech 3341 cases 7 and 8, Tech 3342 cases 5 and 6.

#![allow(clippy::unwrap_used)] // clippy sees only #[test] functions as tests, not their helpers

use std::f64::consts::PI;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::meter::{Loudness, LoudnessMeter, MeterOptions};

const RATES_HZ: [u32; 3] = [44_100, 48_000, 11_025];

/// A 1000 Hz sine in segments of (peak level in dBFS, seconds); `None` is silence. The phase runs on.
fn segments(rate_hz: u32, parts: &[(Option<f64>, f64)]) -> Vec<f32> {
    let mut out: Vec<f32> = Vec::new();
    for (level, seconds) in parts {
        let amplitude = level.map_or(0.0, |db| 10f64.powf(db / 20.0));
        for _ in 0..(seconds * f64::from(rate_hz)).round() as usize {
            let phase = 2.0 * PI * 1000.0 * out.len() as f64 / f64::from(rate_hz);
            out.push((amplitude * phase.sin()) as f32);
        }
    }
    out
}

fn meter(rate_hz: u32, channels: &[Vec<f32>]) -> LoudnessMeter {
    let spec = Spec::new(rate_hz, ChannelLayout::from_count(channels.len()));
    let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
    meter.push(&Buffer::from_channels(spec, channels));
    meter
}

fn stereo(rate_hz: u32, parts: &[(Option<f64>, f64)]) -> Loudness {
    let signal = segments(rate_hz, parts);
    meter(rate_hz, &[signal.clone(), signal]).summary()
}

fn near(name: &str, got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{name}: {got:.3}, not {want} +/- {tolerance}");
}

#[test]
fn tech_3341_cases_1_and_2_steady_tones() {
    for rate_hz in RATES_HZ.into_iter().chain([8_000, 192_000]) {
        for level in [-23.0, -33.0] {
            let got = stereo(rate_hz, &[(Some(level), 20.0)]);
            near("I", got.integrated_lufs, level, 0.1);
            near("max M", got.max_momentary_lufs, level, 0.1);
            near("max S", got.max_short_term_lufs, level, 0.1);
            near("LRA", got.range_lu, 0.0, 0.1);
        }
    }
}

#[test]
fn tech_3341_cases_3_to_5_gates() {
    for rate_hz in RATES_HZ {
        let gated = [(Some(-36.0), 10.0), (Some(-23.0), 60.0), (Some(-36.0), 10.0)];
        near("case 3", stereo(rate_hz, &gated).integrated_lufs, -23.0, 0.1);
        let twice =
            [(Some(-72.0), 10.0), (Some(-36.0), 10.0), (Some(-23.0), 60.0), (Some(-36.0), 10.0), (Some(-72.0), 10.0)];
        near("case 4", stereo(rate_hz, &twice).integrated_lufs, -23.0, 0.1);
        let varying = [(Some(-26.0), 20.0), (Some(-20.0), 20.1), (Some(-26.0), 20.0)];
        near("case 5", stereo(rate_hz, &varying).integrated_lufs, -23.0, 0.1);
    }
}

#[test]
fn tech_3341_case_6_surround_weights_and_the_lfe() {
    let tone = |db| segments(48_000, &[(Some(db), 20.0)]);
    // 5.0: L R C Ls Rs.
    let five = [-28.0, -28.0, -24.0, -30.0, -30.0].map(tone);
    near("5.0", meter(48_000, &five).summary().integrated_lufs, -23.0, 0.1);
    // 5.1 with a loud LFE, which must not count.
    let six = [-28.0, -28.0, -24.0, -6.0, -30.0, -30.0].map(tone);
    near("5.1", meter(48_000, &six).summary().integrated_lufs, -23.0, 0.1);
}

#[test]
fn tech_3341_case_9_short_term_is_constant() {
    let part = [(Some(-20.0), 1.34), (Some(-30.0), 1.66)];
    let signal = segments(48_000, &part.repeat(5));
    let spec = Spec::new(48_000, ChannelLayout::STEREO);
    let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
    for (index, block) in signal.chunks(480).enumerate() {
        meter.push(&Buffer::from_channels(spec, &[block.to_vec(), block.to_vec()]));
        if index >= 300 {
            near("S", meter.short_term_lufs(), -23.0, 0.1);
        }
    }
}

#[test]
fn tech_3341_cases_10_and_11_maximum_short_term() {
    for i in 0..20 {
        let lead = 0.15 * f64::from(i);
        let got = stereo(48_000, &[(None, lead), (Some(-23.0), 3.0), (None, 1.0)]);
        near("case 10", got.max_short_term_lufs, -23.0, 0.1);
        let level = -38.0 + f64::from(i);
        let got = stereo(44_100, &[(None, lead), (Some(level), 3.0), (None, 3.0 - lead)]);
        near("case 11", got.max_short_term_lufs, level, 0.1);
    }
}

#[test]
fn tech_3341_case_12_momentary_is_constant() {
    let part = [(Some(-20.0), 0.18), (Some(-30.0), 0.22)];
    let signal = segments(48_000, &part.repeat(25));
    let spec = Spec::new(48_000, ChannelLayout::STEREO);
    let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
    for (index, block) in signal.chunks(480).enumerate() {
        meter.push(&Buffer::from_channels(spec, &[block.to_vec(), block.to_vec()]));
        if index >= 100 {
            near("M", meter.momentary_lufs(), -23.0, 0.1);
        }
    }
}

#[test]
fn tech_3341_cases_13_and_14_maximum_momentary() {
    for i in 0..20 {
        let lead = 0.02 * f64::from(i);
        let got = stereo(48_000, &[(None, lead), (Some(-23.0), 0.4), (None, 1.0)]);
        near("case 13", got.max_momentary_lufs, -23.0, 0.1);
        let level = -38.0 + f64::from(i);
        let got = stereo(44_100, &[(None, lead), (Some(level), 0.4), (None, 0.4 - lead)]);
        near("case 14", got.max_momentary_lufs, level, 0.1);
    }
}

/// Tolerance of the true-peak cases: +0.2, -0.4 dB.
fn true_peak(name: &str, got: f64, want: f64) {
    assert!((-0.4..=0.2).contains(&(got - want)), "{name}: {got:.3} dBTP, not {want} +0.2 -0.4");
}

#[test]
fn tech_3341_cases_15_to_19_true_peak_of_sines() {
    for (case, divisor, degrees, amplitude, want) in [
        (15, 4.0, 0.0, 0.50, -6.0),
        (16, 4.0, 45.0, 0.50, -6.0),
        (17, 6.0, 60.0, 0.50, -6.0),
        (18, 8.0, 67.5, 0.50, -6.0),
        (19, 4.0, 45.0, 1.41, 3.0),
    ] {
        for rate_hz in [44_100, 48_000] {
            // Faded, because an abrupt beginning would have true peaks of its own.
            let signal: Vec<f32> = (0..rate_hz)
                .map(|n| {
                    let fade = f64::from(n.min(rate_hz - 1 - n)) / 1000.0;
                    let phase = 2.0 * PI * f64::from(n) / divisor + degrees * PI / 180.0;
                    (amplitude * fade.min(1.0) * phase.sin()) as f32
                })
                .collect();
            let got = meter(rate_hz, &[signal.clone(), signal]).summary();
            true_peak(&format!("case {case}"), got.true_peak_dbtp, want);
        }
    }
}

#[test]
fn tech_3341_cases_20_to_23_true_peak_between_samples() {
    // Made at four times the rate: a sine of fs/6 at 0.5, in it one period of fs/4 at 1.0, joined at zero crossings;
    // low-passed by the decimation to a quarter, which starts at offset 0 to 3.
    let mut fine: Vec<f64> = Vec::new();
    let long = |n: usize| 0.5 * (2.0 * PI * n as f64 / 24.0).sin();
    fine.extend((0..24 * 400).map(long));
    fine.extend((0..16).map(|n| (2.0 * PI * n as f64 / 16.0).sin()));
    fine.extend((0..24 * 400).map(long));
    for offset in 0..4 {
        let signal: Vec<f32> = (0..fine.len() / 4)
            .map(|n| {
                let at = 4 * n + offset;
                let fade = (n.min(fine.len() / 4 - 1 - n) as f64 / 500.0).min(1.0);
                (fade * fine.get(at).copied().unwrap_or(0.0)) as f32
            })
            .collect();
        let got = meter(48_000, &[signal.clone(), signal]).summary();
        true_peak(&format!("case {}", 20 + offset), got.true_peak_dbtp, 0.0);
    }
}

#[test]
fn tech_3342_cases_1_to_4_range() {
    for rate_hz in RATES_HZ {
        for (case, want, levels) in [
            (1, 10.0, &[-20.0, -30.0][..]),
            (2, 5.0, &[-20.0, -15.0]),
            (3, 20.0, &[-40.0, -20.0]),
            (4, 15.0, &[-50.0, -35.0, -20.0, -35.0, -50.0]),
        ] {
            let parts: Vec<_> = levels.iter().map(|l| (Some(*l), 20.0)).collect();
            near(&format!("case {case}"), stereo(rate_hz, &parts).range_lu, want, 1.0);
        }
    }
}

#[test]
fn bs_2217_absolute_gate() {
    // 1 kHz at -69.5 LKFS among stretches below the gate.
    let parts = [(Some(-69.5), 10.0), (Some(-70.5), 10.0), (Some(-69.5), 10.0)];
    near("gate", stereo(48_000, &parts).integrated_lufs, -69.5, 0.1);
}

/// Noise whose level moves, different in each channel.
fn programme(rate_hz: u32, channels: usize, seconds: usize) -> Vec<Vec<f32>> {
    (0..channels)
        .map(|channel| {
            let mut state = 0x9E37_79B9u32.wrapping_mul(channel as u32 + 1) | 1;
            let mut smooth = 0.0f32;
            (0..rate_hz as usize * seconds)
                .map(|n| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    smooth += 0.2 * (state as f32 / 2_147_483_648.0 - 1.0 - smooth);
                    let seconds = n as f32 / rate_hz as f32;
                    smooth * (0.02 + (seconds * 0.35 + channel as f32).sin().powi(2))
                })
                .collect()
        })
        .collect()
}

/// EBU Tech 3342 clause 2, as its MATLAB listing has it. The crate itself takes one value per second only.
fn range_lu(mut short_terms: Vec<f64>) -> f64 {
    short_terms.retain(|s| *s >= -70.0);
    let mean = short_terms.iter().map(|s| 10f64.powf(s / 10.0)).sum::<f64>() / short_terms.len() as f64;
    short_terms.retain(|s| *s >= 10.0 * mean.log10() - 20.0);
    short_terms.sort_by(f64::total_cmp);
    let at = |percent: f64| short_terms[((short_terms.len() - 1) as f64 * percent / 100.0).round() as usize];
    at(95.0) - at(10.0)
}

#[test]
fn agrees_with_the_ebur128_crate() {
    use ebur128::{EbuR128, Mode};
    for (rate_hz, channels) in [(44_100, 1), (48_000, 2), (32_000, 5), (96_000, 2), (8_000, 1)] {
        let signal = programme(rate_hz, channels, 20);
        let got = meter(rate_hz, &signal).summary();
        let mut other = EbuR128::new(channels as u32, rate_hz, Mode::all() & !Mode::HISTOGRAM).unwrap();
        if channels == 5 {
            use ebur128::Channel::{Center, Left, LeftSurround, Right, RightSurround};
            other.set_channel_map(&[Left, Right, Center, LeftSurround, RightSurround]).unwrap();
        }
        let mut short_terms = Vec::new();
        let hop = rate_hz as usize / 10;
        for start in (0..signal[0].len()).step_by(hop) {
            let planes: Vec<&[f32]> = signal.iter().map(|c| &c[start..start + hop]).collect();
            other.add_frames_planar_f32(&planes).unwrap();
            if start + hop >= 30 * hop {
                short_terms.push(other.loudness_shortterm().unwrap());
            }
        }
        let name = format!("{rate_hz} Hz, {channels} channels");
        // The same definition computed twice: rounding only.
        near(&name, got.integrated_lufs, other.loudness_global().unwrap(), 1e-3);
        near(&name, got.threshold_lufs, other.relative_threshold().unwrap(), 1e-3);
        near(&name, got.range_lu, range_lu(short_terms), 1e-3);
        let samples = (0..channels).map(|c| other.sample_peak(c as u32).unwrap()).fold(0.0, f64::max);
        near(&name, got.sample_peak_dbfs, 20.0 * samples.log10(), 1e-9);
        // Its interpolator has 12 taps per phase, ours 32: they differ near the Nyquist frequency.
        let peak = (0..channels).map(|c| other.true_peak(c as u32).unwrap()).fold(0.0, f64::max);
        near(&name, got.true_peak_dbtp, 20.0 * peak.log10(), 0.2);
    }
}

#[test]
fn any_block_size_gives_the_same_bits() {
    for (rate_hz, channels) in [(44_100, 2), (11_025, 1), (22_050, 3)] {
        let signal = programme(rate_hz, channels, 6);
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(channels));
        let whole = meter(rate_hz, &signal).summary();
        let all = Buffer::from_channels(spec, &signal);
        for block in [1, 97, 4096, 100_000] {
            let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
            let mut part = Buffer::new(spec, block);
            for start in (0..all.frames()).step_by(block) {
                part.set_frames(0);
                part.append(&all, start, block.min(all.frames() - start));
                meter.push(&part);
            }
            assert_eq!(meter.summary(), whole, "{rate_hz} Hz in blocks of {block}");
            meter.reset();
            meter.push(&all);
            assert_eq!(meter.summary(), whole, "after reset");
        }
    }
}

#[test]
fn silence_and_almost_nothing_have_clear_answers() {
    let silent = meter(48_000, &[vec![0.0; 100_000]]).summary();
    assert_eq!(silent.integrated_lufs, f64::NEG_INFINITY);
    assert_eq!(silent.true_peak_dbtp, f64::NEG_INFINITY);
    assert_eq!(silent.noise_floor_dbfs, f64::NEG_INFINITY);
    assert_eq!(silent.range_lu, 0.0);
    let empty = meter(48_000, &[Vec::new()]).summary();
    assert_eq!((empty.frames, empty.integrated_lufs, empty.rms_dbfs), (0, f64::NEG_INFINITY, f64::NEG_INFINITY));
    // 100 ms of tone: one short block.
    let short = stereo(48_000, &[(Some(-23.0), 0.1)]);
    near("short", short.integrated_lufs, -23.0, 0.2);
    let json = serde_json::to_value(silent).unwrap();
    assert!(json["integrated_lufs"].is_null() && json["frames"] == 100_000);
    let back: Loudness = serde_json::from_value(json).unwrap();
    assert_eq!(back, silent);
}

#[test]
fn level_and_noise_floor_follow_their_formulas() {
    let signal = segments(48_000, &[(Some(-6.0), 2.0), (Some(-66.0), 1.0), (Some(-6.0), 2.0)]);
    let got = meter(48_000, &[signal]).summary();
    // 4 s at -9.03 dBFS RMS among 5 s, and the quiet second at -69.03.
    near("RMS", got.rms_dbfs, -6.0 - 3.0103 + 10.0 * 0.8f64.log10(), 0.01);
    near("floor", got.noise_floor_dbfs, -66.0 - 3.0103, 0.01);
    near("peak", got.sample_peak_dbfs, -6.0, 0.01);
}

#[test]
fn dual_mono_is_3_lu_louder() {
    let spec = Spec::new(48_000, ChannelLayout::MONO);
    let signal = Buffer::from_channels(spec, &[segments(48_000, &[(Some(-23.0), 5.0)])]);
    let [single, dual] = [false, true].map(|dual_mono| {
        let mut meter = LoudnessMeter::new(spec, MeterOptions { dual_mono, ..MeterOptions::default() }).unwrap();
        meter.push(&signal);
        meter.integrated_lufs()
    });
    near("dual mono", dual - single, 3.0103, 1e-4);
    near("dual mono equals stereo", dual, -23.0, 0.1);
}

#[test]
fn no_spec_and_no_sample_makes_it_panic() {
    for (rate_hz, channels) in [(1, 1), (7, 2), (99, 1), (8_000, 40), (u32::MAX, 1), (384_000, 3)] {
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(channels));
        let mut meter = LoudnessMeter::new(spec, MeterOptions::default()).unwrap();
        let odd = [0.5, f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, -1.0].repeat(500);
        meter.push(&Buffer::from_channels(spec, &vec![odd; channels]));
        meter.push(&Buffer::from_channels(spec, &vec![vec![0.25; 20_000]; channels]));
        assert!(!meter.summary().integrated_lufs.is_nan());
    }
    let none = Spec::new(48_000, ChannelLayout::discrete(0));
    assert!(LoudnessMeter::new(none, MeterOptions::default()).is_err());
    assert!(LoudnessMeter::new(Spec::new(0, ChannelLayout::MONO), MeterOptions::default()).is_err());
}
