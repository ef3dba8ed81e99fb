//! The table as a table, and recommendations of planted recordings.

use super::rules::MOST_REDUCTION_MUSIC_DB;
use super::*;
use crate::analysis::quality::{QualityAnalyser, QualityParams, Severity, VerdictName};
use crate::audio::{Buffer, Spec};

const RATE_HZ: u32 = 16_000;

/// A small generator of numbers from -1 to 1.
fn noise(seed: &mut u32) -> f64 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    f64::from(*seed >> 8) / f64::from(1_u32 << 23) - 1.0
}

/// Twelve seconds like speech: tones with harmonics that come and go, a quiet floor of noise.
fn voice() -> Vec<f64> {
    let mut seed = 7;
    let one = |i: u32, seed: &mut u32| {
        let t = f64::from(i) / f64::from(RATE_HZ);
        let envelope = (t * 3.1).sin().max(0.0).powi(2) * (0.6 + 0.4 * (t * 0.7).sin());
        let voice: f64 = (1..20)
            .map(|k| (std::f64::consts::TAU * 131.0 * f64::from(k) * t + f64::from(k * k)).sin() / f64::from(k))
            .sum();
        0.12 * envelope * voice + 0.000_1 * noise(seed)
    };
    (0..12 * RATE_HZ).map(|i| one(i, &mut seed)).collect()
}

fn report(channels: &[Vec<f64>]) -> QualityReport {
    let spec = Spec::new(RATE_HZ, ChannelLayout::from_count(channels.len()));
    let channels: Vec<Vec<f32>> = channels
        .iter()
        .map(|c| c.iter().map(|x| (x.clamp(-1.0, 1.0) * 32767.0).round() as f32 / 32768.0).collect())
        .collect();
    let mut analyser = QualityAnalyser::new(spec, QualityParams::default()).unwrap();
    analyser.push(&Buffer::from_channels(spec, &channels)).unwrap();
    analyser.finish().unwrap()
}

fn recommended(channels: &[Vec<f64>], content: Option<ContentHint>) -> Recommendation {
    recommend(&report(channels), content, &PresetStore::built_in().unwrap()).unwrap()
}

fn names(recommendation: &Recommendation) -> Vec<&'static str> {
    recommendation.filters.iter().filter(|f| !f.in_preset).map(|f| f.filter.name()).collect()
}

fn voice_with(change: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    voice().into_iter().enumerate().map(|(i, x)| change(i, x)).collect()
}

#[test]
fn every_row_of_the_table_is_sound() {
    for rule in &FILTERS {
        for (hz, snr_db, music) in [("50", Some(-3.0), true), ("60", Some(25.0), false), ("50", None, false)] {
            let text =
                rule.filter.replace("{hum_hz}", hz).replace("{reduction_db}", &reduction_db(snr_db, music).to_string());
            let filter = FilterSpec::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            filter.validate().unwrap();
        }
        assert!(!rule.because.is_empty() && !rule.source.is_empty(), "{}", rule.filter);
        for other in rule.covered_by {
            assert!(crate::filters::registry::find(other).is_ok(), "{other}");
        }
    }
    for rule in &OUTPUTS {
        assert!(
            FormatSettings::from_name(rule.format).is_some() && !rule.because.is_empty() && !rule.source.is_empty()
        );
    }
    let last = &OUTPUTS[OUTPUTS.len() - 1];
    assert!(
        last.music.is_none() && last.mono.is_none() && last.bandwidth_hz == f64::INFINITY,
        "the last row holds for everything"
    );
    // Nothing that is found is left without a word: a filter, another layout, an advice, or the preset's own level.
    let handled = |name: VerdictName| {
        let by = |when: When| matches!(when, When::Verdict(n, _) | When::Often(n, _) if n == name);
        FILTERS.iter().any(|r| by(r.when))
            || TO_MONO.iter().any(|(w, ..)| by(*w))
            || ADVICE.iter().any(|(n, _)| *n == name)
    };
    let all = [
        "non_finite",
        "silent",
        "clipping",
        "dc_offset",
        "hum",
        "noise",
        "clicks",
        "discontinuities",
        "drop_outs",
        "starts_cut",
        "ends_cut",
        "narrow_band",
        "lossy_origin",
        "upsampled",
        "fake_bit_depth",
        "phase_inverted",
        "mono_incompatible",
        "false_stereo",
        "channel_imbalance",
        "silent_channel",
        "low_dynamic_range",
    ];
    for name in all {
        let name: VerdictName = serde_json::from_value(name.into()).unwrap();
        assert!(handled(name), "{name:?}");
    }
    assert!(PresetStore::built_in().unwrap().get(FALLBACK).unwrap().recipe.level.is_some());
}

#[test]
fn noise_is_taken_away_as_far_as_the_sound_bears() {
    for (snr_db, music, expected) in [
        (Some(20.0), false, 10.0),
        (Some(15.4), false, 15.0),
        (Some(0.0), false, 18.0),
        (Some(29.0), false, 6.0),
        (None, false, 15.0),
    ] {
        assert_eq!(reduction_db(snr_db, music), expected, "{snr_db:?}");
    }
    assert_eq!(reduction_db(Some(0.0), true), MOST_REDUCTION_MUSIC_DB);
}

#[test]
fn clean_speech_gets_a_preset_and_no_repair() {
    let got = recommended(&[voice()], Some(ContentHint::Speech));
    assert_eq!(names(&got), Vec::<&str>::new(), "{:?}", got.filters);
    assert_eq!(got.content, Some(ContentHint::Speech));
    let store = PresetStore::built_in().unwrap();
    let preset = store.recipe(&got.preset.preset, &serde_json::json!({})).unwrap();
    assert_eq!((&got.recipe.filters, &got.recipe.level), (&preset.filters, &preset.level));
    assert!(got.preset.reasons.iter().any(|reason| reason.fact == Fact::Speech));
    assert_eq!(got.level.unwrap().name, "integrated_lufs");
    assert_eq!(got.output.format.name(), "opus");
    got.recipe.validate().unwrap();
}

#[test]
fn planted_faults_get_what_mends_them() {
    let tau = std::f64::consts::TAU;
    let t = |i: usize| i as f64 / f64::from(RATE_HZ);
    let clipped = voice_with(|_, x| (x * 8.0).clamp(-0.9, 0.9));
    let hum = voice_with(|i, x| x + 0.02 * (tau * 60.0 * t(i)).sin() + 0.01 * (tau * 180.0 * t(i)).sin());
    let seed = std::cell::Cell::new(3);
    let noisy = voice_with(|_, x| {
        let mut s = seed.get();
        let y = x + 0.02 * noise(&mut s);
        seed.set(s);
        y
    });
    let offset = voice_with(|_, x| x + 0.03);
    let late: Vec<f64> = std::iter::repeat_n(0.0, 5 * RATE_HZ as usize).chain(voice()).collect();
    let both: Vec<f64> = late.iter().copied().chain(std::iter::repeat_n(0.0, 4 * RATE_HZ as usize)).collect();
    let music = Some(ContentHint::Music);
    for (name, channel, expected) in [
        ("clipping", clipped, "declip"),
        ("hum", hum, "dehum:mains=60"),
        ("offset", offset, "dc_blocker"),
        ("late", late, "trim_silence:threshold_dbfs=-60,padding_ms=300,end=false"),
        ("both ends", both, "trim_silence:threshold_dbfs=-60,padding_ms=300"),
    ] {
        // Presets of music do not mend anything themselves.
        let got = recommended(std::slice::from_ref(&channel), music);
        let rule =
            got.filters.iter().find(|f| f.text == expected).unwrap_or_else(|| panic!("{name}: {:?}", got.filters));
        assert!(rule.evidence.value >= rule.evidence.threshold, "{name}: {:?}", rule.evidence);
        assert!(rule.in_preset || got.recipe.filters.contains(&rule.filter), "{name}");
        got.recipe.validate().unwrap();
        let speech = recommended(&[channel], Some(ContentHint::Speech));
        speech.recipe.validate().unwrap();
        let kinds: Vec<_> = speech.recipe.filters.iter().map(FilterSpec::name).collect();
        let mut once = kinds.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), kinds.len(), "{name}: nothing is done twice: {kinds:?}");
    }
    // The preset lowers noise by 12 dB; more is put in its place, less is not.
    let got = recommended(&[noisy], Some(ContentHint::Speech));
    let denoise: Vec<_> = got.recipe.filters.iter().filter(|f| f.name() == "denoise_spectral").collect();
    let [FilterSpec::DenoiseSpectral(params)] = denoise[..] else { panic!("{denoise:?}") };
    assert!(params.reduction_db >= 12.0 && got.filters.iter().any(|f| f.evidence.name == "noise"), "{:?}", got.filters);
}

#[test]
fn channels_that_say_the_same_become_one() {
    let got = recommended(&[voice(), voice()], None);
    let layout = got.layout.unwrap();
    assert_eq!((layout.layout, got.recipe.layout), (ChannelLayout::MONO, Some(ChannelLayout::MONO)));
    assert_eq!(layout.evidence.name, "false_stereo");
    let got = recommended(&[voice(), voice_with(|_, x| -0.98 * x)], None);
    assert!(names(&got).first() == Some(&"phase_invert"), "{:?}", got.filters);
    assert!(recommended(&[voice()], None).layout.is_none());
}

#[test]
fn what_cannot_be_mended_is_told() {
    let holes = voice_with(|i, x| if (41_000..41_400).contains(&i) { 0.0 } else { x });
    let report = report(&[holes]);
    let got = recommend(&report, None, &PresetStore::built_in().unwrap()).unwrap();
    for verdict in report.verdicts.iter().filter(|v| v.severity > Severity::Info && v.name == VerdictName::DropOuts) {
        let advice = got.advice.iter().find(|a| a.evidence.name == "drop_outs").unwrap();
        assert_eq!((advice.evidence.value, &advice.explanation), (verdict.value, &verdict.explanation));
    }
    let silence = recommended(&[vec![0.0; 32_000]], None);
    assert!(silence.advice.iter().any(|a| a.evidence.name == "silent") && silence.level.is_none());
}

#[test]
fn music_is_kept_lossless_first_and_narrow_speech_small() {
    let stereo = || [voice(), voice_with(|i, x| x * (i as f64 * 0.01).sin())];
    let got = recommended(&stereo(), Some(ContentHint::Music));
    assert_eq!((got.output.format.name(), got.preset.preset.as_str()), ("flac", "music_master"));
    let mp3 = got.recipe.format_defaults.iter().find(|f| f.name() == "mp3").unwrap();
    assert_eq!(mp3, &FormatSettings::Mp3(LossySettings { bit_rate: Some(BitRate::Kbps(256)) }));
    let narrow = recommended(&[voice()], Some(ContentHint::Speech));
    let FormatSettings::Opus(opus) = &narrow.output.format else { panic!("{:?}", narrow.output) };
    // The harmonics end at 2.5 kHz: a narrow band.
    assert_eq!(opus.bit_rate, Some(BitRate::Kbps(24)), "{:?}", narrow.output);
}
