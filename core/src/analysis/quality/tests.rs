//! Faults planted in a synthetic recording, and the same recording without.

use super::*;
use crate::audio::ChannelLayout;

const RATE: u32 = 48_000;

/// Reproducible noise, -1 to 1.
fn noise(seed: u64, frames: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..frames).map(|_| next()).collect()
}

/// Something like speech, at 16 bits: harmonics of a gliding pitch in syllables, with pauses of soft noise (-66 dBFS RMS); fades in and out.
fn voice(seconds: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(RATE)) as usize;
    let hiss = noise(7, frames);
    let mut phase = 0.0;
    let mut x: Vec<f32> = (0..frames)
        .map(|n| {
            let t = n as f64 / f64::from(RATE);
            let pitch_hz = 140.0 + 30.0 * (t * 2.1).sin() + 8.0 * (t * 7.3).sin();
            phase += pitch_hz / f64::from(RATE);
            let syllable = (std::f64::consts::PI * (t * 3.0).fract()).sin().powi(2);
            let speaking = if (t % 2.0) < 4.0 / 3.0 { 1.0 } else { 0.0 };
            let tone: f64 = (1..20).map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k)).sum();
            let edge = (t.min(seconds - t) / 0.2).clamp(0.0, 1.0);
            ((0.12 * speaking * syllable * tone) * edge) as f32 + 0.000_87 * hiss[n] * edge as f32
        })
        .collect();
    for x in &mut x {
        *x = (*x * 32_768.0).round() / 32_768.0;
    }
    x
}

fn judge_params(channels: &[Vec<f32>], params: QualityParams, block: usize) -> QualityReport {
    let spec = Spec::new(RATE, ChannelLayout::from_count(channels.len()));
    let all = Buffer::from_channels(spec, channels);
    let mut analyser = QualityAnalyser::new(spec, params).unwrap();
    let mut part = Buffer::new(spec, block);
    let mut start = 0;
    while start < all.frames() {
        let count = block.min(all.frames() - start);
        part.copy_from(&all, start, count);
        analyser.push(&part).unwrap();
        start += count;
    }
    analyser.finish().unwrap()
}

fn judge(channels: &[Vec<f32>]) -> QualityReport {
    judge_params(channels, QualityParams::default(), 4_096)
}

/// The verdict, which must be the only one above info.
fn only(channels: &[Vec<f32>], name: VerdictName) -> Verdict {
    let report = judge(channels);
    let found: Vec<_> = report.verdicts.iter().filter(|v| v.severity > Severity::Info || v.name == name).collect();
    assert!(found.len() == 1 && found[0].name == name, "{name:?} alone expected: {:#?}", report.verdicts);
    found[0].clone()
}

fn mapped(f: impl FnMut(&f32) -> f32) -> Vec<f32> {
    voice(8.0).iter().map(f).collect()
}

#[test]
fn a_clean_recording_has_no_verdict() {
    let report = judge(&[voice(8.0)]);
    assert!(report.verdicts.iter().all(|v| v.severity == Severity::Info), "{:#?}", report.verdicts);
    assert_eq!(report.measurements.effective_bits, Some(16));
}

#[test]
fn any_split_into_blocks_gives_the_same_report() {
    let mut x = voice(5.0);
    x[100_000] += 0.4;
    let y: Vec<f32> = x.iter().map(|x| (x * 3.0).clamp(-0.5, 0.5)).collect();
    let whole = judge_params(&[x.clone(), y.clone()], QualityParams::default(), 240_000);
    for block in [1, 333, 1_024, 50_000] {
        assert_eq!(judge_params(&[x.clone(), y.clone()], QualityParams::default(), block), whole, "{block}");
    }
}

#[test]
fn clipping_is_found_at_full_scale_and_below() {
    for (gain, level) in [(10.0, 1.0), (20.0, 0.999), (10.0, 0.5)] {
        let x = mapped(|x| ((x * gain).clamp(-1.0, 1.0) * level * 32_767.0).round() / 32_768.0);
        let verdict = only(std::slice::from_ref(&x), VerdictName::Clipping);
        let first = (verdict.times[0].start_s * f64::from(RATE)).round() as usize;
        // Half a step of 16 bits.
        assert!((x[first].abs() - level).abs() < 1e-4, "{} at {first}", x[first]);
        assert_eq!(verdict.explanation.contains("turned down"), level < 0.9);
    }
}

#[test]
fn tones_and_square_waves_are_not_clipped() {
    let rate = f64::from(RATE);
    for hz in [20.0, 50.5, 997.0, 7_001.0] {
        let sine: Vec<f32> = (0..RATE * 5)
            .map(|n| ((std::f64::consts::TAU * hz * f64::from(n) / rate).sin() * 32_767.0).round() as f32 / 32_768.0)
            .collect();
        let square: Vec<f32> = sine.iter().map(|x| if *x < 0.0 { -0.5 } else { 0.5 }).collect();
        for x in [sine, square] {
            let report = judge(&[x]);
            let names: Vec<_> = report.verdicts.iter().map(|v| v.name).collect();
            assert!(!names.contains(&VerdictName::Clipping), "{hz}: {names:?}");
        }
    }
}

#[test]
fn an_offset_is_measured() {
    let verdict = only(&[mapped(|x| x + 0.02)], VerdictName::DcOffset);
    // The mean of the voice itself, measured 1e-5.
    assert!((verdict.value - 0.02).abs() < 1e-4, "{}", verdict.value);
}

#[test]
fn hum_is_found_with_its_base() {
    for base in [50.0, 60.0] {
        let mut n = 0.0;
        let x = mapped(|x| {
            n += 1.0;
            let hum = |k: f64| (std::f64::consts::TAU * base * k * n / f64::from(RATE)).sin() / k;
            x + 0.004 * (hum(1.0) + hum(2.0) + hum(3.0)) as f32
        });
        let report = judge(&[x]);
        assert_eq!(report.measurements.hum_hz, Some(base));
        // Of the first: 20 log10(0.004) - 3.01 = -51.0; of the three 10 log10(1 + 1/4 + 1/9) = 1.3 more. One that the voice passes may be
        // left out. The windows weigh to half a dB.
        let level = report.measurements.hum_dbfs.unwrap();
        assert!((-51.5..-49.1).contains(&level), "{level}");
        assert!(report.verdict(VerdictName::Hum).is_some());
    }
}

#[test]
fn noise_is_told_by_its_ratio() {
    // The louder half of the frames of the voice against noise of -32.8 dBFS RMS (0.04 / sqrt 3).
    let hiss = noise(3, voice(8.0).len());
    let mut at = 0;
    let x = mapped(|x| {
        at += 1;
        x + 0.04 * hiss[at - 1]
    });
    let verdict = only(std::slice::from_ref(&x), VerdictName::Noise);
    let floor = judge(&[x]).measurements.noise_floor_dbfs.unwrap();
    // Quietest tenth of frames of 2,048: half a dB below the mean.
    assert!((floor + 32.7).abs() < 1.0, "{floor}");
    assert!(verdict.value < 20.0);
}

/// Harmonics that never pause, each at a level that changes at its own pace, up to 6.4 kHz; 16 bits.
fn endless() -> Vec<f32> {
    let tone = |n: usize, k: u32| {
        let (t, k) = (n as f64 / f64::from(RATE), f64::from(k));
        let level = 1.0 + 0.9 * (std::f64::consts::TAU * (0.7 + 0.13 * k) * t + k).sin();
        level * (std::f64::consts::TAU * 220.0 * k * t).sin() / (k * k)
    };
    let sum = |n| (0.1 * (1..30).map(|k| tone(n, k)).sum::<f64>() * 32_768.0).round() / 32_768.0;
    (0..8 * RATE as usize).map(|n| sum(n) as f32).collect()
}

#[test]
fn noise_is_found_under_sound_that_never_pauses() {
    let x = endless();
    assert!(judge(std::slice::from_ref(&x)).verdict(VerdictName::Noise).is_none());
    // -32.8 dBFS RMS.
    let noisy: Vec<f32> = x.iter().zip(noise(11, x.len())).map(|(x, n)| x + 0.04 * n).collect();
    let report = judge(&[noisy]);
    let verdict = report.verdict(VerdictName::Noise).unwrap_or_else(|| panic!("{:?}", report.measurements));
    let square: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / x.len() as f64;
    let ratio_db = 10.0 * square.log10() + 32.8;
    // Against the louder half of the frames; bands from 250 Hz to 16 kHz, of 24 kHz, hold 1.8 dB less of the noise.
    assert!((verdict.value - ratio_db - 1.8).abs() < 2.0, "{} {ratio_db}", verdict.value);
}

#[test]
fn clicks_are_found_where_they_are() {
    let mut x = voice(8.0);
    let places = [60_000_u32, 130_007, 250_500];
    for place in places {
        x[place as usize] += 0.4;
    }
    let verdict = only(&[x], VerdictName::Clicks);
    assert_eq!(verdict.occurrences, 3);
    for (span, place) in verdict.times.iter().zip(places) {
        // The residual peaks within a few samples of the click.
        assert!((span.start_s * f64::from(RATE) - f64::from(place)).abs() < 8.0, "{span:?} {place}");
    }
}

#[test]
fn drop_outs_of_2_to_200_ms_are_found_and_pauses_are_not() {
    for ms in [2, 20, 200] {
        let mut x = voice(8.0);
        // In the middle of a syllable.
        let start = RATE as usize / 2 + 20;
        let frames = ms * RATE as usize / 1_000;
        x[start..start + frames].fill(0.0);
        let report = judge(&[x]);
        let verdict =
            report.verdict(VerdictName::DropOuts).unwrap_or_else(|| panic!("{ms} ms: {:#?}", report.verdicts));
        let span = verdict.times[0];
        // The wave may cross zero beside the gap.
        assert!((span.start_s - start as f64 / f64::from(RATE)).abs() < 2e-4, "{span:?}");
        assert!((span.end_s - span.start_s - ms as f64 / 1_000.0).abs() < 3e-4, "{span:?}");
    }
    let gated = mapped(|x| if x.abs() < 0.001 { 0.0 } else { *x });
    assert!(judge(&[gated]).verdict(VerdictName::DropOuts).is_none());
}

#[test]
fn the_channels_are_held_against_each_other() {
    let (x, other) = (voice(8.0), noise(5, voice(8.0).len()));
    let scaled = |gain: f32| -> Vec<f32> { x.iter().map(|x| x * gain).collect() };
    assert_eq!(only(&[x.clone(), x.clone()], VerdictName::FalseStereo).severity, Severity::Warning);
    assert_eq!(only(&[x.clone(), scaled(-1.0)], VerdictName::PhaseInverted).value, -1.0);
    let verdict = only(&[x.clone(), scaled(0.25)], VerdictName::ChannelImbalance);
    assert!((verdict.value - 12.04).abs() < 0.01, "{}", verdict.value);
    only(&[x.clone(), vec![0.0; x.len()]], VerdictName::SilentChannel);
    let wide: Vec<f32> = x.iter().zip(&other).map(|(x, o)| 0.7 * x + 0.0005 * o).collect();
    assert!(judge(&[x, wide]).verdicts.iter().all(|v| v.severity == Severity::Info));
}

#[test]
fn words_longer_than_the_samples_need_are_told() {
    let params = |bits| QualityParams { declared_bits: Some(bits), content: None };
    let named = |bits| judge_params(&[voice(3.0)], params(bits), 4_096).verdict(VerdictName::FakeBitDepth).is_some();
    assert!(named(24) && !named(16));
    let fine = mapped(|x| (x * 0.77 * 8_388_608.0).round() / 8_388_608.0);
    assert!(judge_params(&[fine], params(24), 4_096).verdict(VerdictName::FakeBitDepth).is_none());
}

#[test]
fn the_ends_are_looked_at() {
    let mut x = vec![0.0; RATE as usize * 2];
    x.extend(voice(4.0));
    x.extend(vec![0.0; RATE as usize * 12]);
    let report = judge(&[x]);
    // Windows of 10 ms, and the fade of the voice, whose last syllable ends 0.667 s before it.
    assert!((report.measurements.silence_at_start_s - 2.0).abs() < 0.1);
    let end = report.verdict(VerdictName::SilenceAtEnd).unwrap();
    assert!(end.severity == Severity::Warning && (end.value - 12.667).abs() < 0.05, "{end:?}");
    let cut = &voice(8.0)[RATE as usize / 6..RATE as usize * 4 + RATE as usize / 6];
    let report = judge(&[cut.to_vec()]);
    assert!(report.verdict(VerdictName::StartsCut).is_some() && report.verdict(VerdictName::EndsCut).is_some());
}

#[test]
fn dynamic_range_of_a_sine_is_that_of_its_definition() {
    let sine: Vec<f32> = (0..RATE * 9)
        .map(|n| 0.5 * (std::f64::consts::TAU * 997.0 * f64::from(n) / f64::from(RATE)).sin() as f32)
        .collect();
    let measured = judge(&[sine]).measurements;
    // Peak over RMS of a sine, the RMS scaled so that it is 0 dB.
    assert!(measured.dr_db.unwrap().abs() < 0.01);
    assert!((measured.crest_db.unwrap() - 3.01).abs() < 0.01);
}

#[test]
fn silence_and_what_is_no_number_are_told() {
    assert_eq!(only(&[vec![0.0; 100_000]], VerdictName::Silent).severity, Severity::Error);
    let mut x = voice(4.0);
    x[50_000] = f32::NAN;
    x[50_001] = f32::INFINITY;
    let report = judge(&[x]);
    assert_eq!(report.verdict(VerdictName::NonFinite).unwrap().value, 2.0);
    serde_json::from_str::<QualityReport>(&serde_json::to_string(&report).unwrap()).unwrap();
    let spec = Spec::new(RATE, ChannelLayout::MONO);
    let nothing = QualityAnalyser::new(spec, QualityParams::default()).unwrap();
    assert!(matches!(nothing.finish(), Err(Error::Empty)));
}

#[test]
fn a_room_is_told_by_its_decay() {
    let room = |rt60_s: f64| -> Vec<f32> {
        let frames = 15 * RATE as usize;
        let level = |n: usize| {
            let t = n as f64 / f64::from(RATE) % 0.8;
            10f64.powf(-3.0 * (t - 0.2).max(0.0) / rt60_s) + 10f64.powf(-3.5)
        };
        noise(3, frames).iter().enumerate().map(|(n, x)| (0.3 * level(n)) as f32 * x).collect()
    };
    let long = judge(&[room(1.2)]);
    let told = long.verdict(VerdictName::Reverberant).expect("a room of 1.2 s");
    assert!(told.severity == Severity::Warning && Some(told.value) == long.measurements.reverberation_s, "{told:?}");
    let short = judge(&[room(0.3)]);
    assert!(short.verdict(VerdictName::Reverberant).is_none() && short.measurements.reverberation_s.unwrap() < 0.4);
}
