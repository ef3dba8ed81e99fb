//! Comparison with librosa 0.11 on signals made of formulas: `tests/conformance/features.py` makes them too and writes its values.

use serde_json::Value;

use super::features::{
    CqtParams, FeatureExtractor, FeatureParams, Framer, MelBank, MelParams, Series, Stft, cepstrum::delta,
};
use super::fingerprint::{FingerprintParams, Fingerprinter, numbers_of};
use super::report::AnalysisParams;
use super::rhythm::{TempoParams, beats, onsets, tempo};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::engine::{AnalyseOptions, Engine};
use crate::formats::Source;
use crate::processing::Control;

const RATE_HZ: u32 = 22_050;

fn noise(count: usize, mut seed: u32) -> Vec<f64> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed >> 8) / f64::from(1 << 23) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn signal() -> Vec<f32> {
    let tau = std::f64::consts::TAU;
    let sample = |(i, noise): (usize, f64)| {
        let t = i as f64 / f64::from(RATE_HZ);
        let phase = tau * (220.0 * t + 40.0 * t * t);
        let tone = 0.3 * phase.sin() + 0.15 * (2.0 * phase).sin() + 0.1 * (3.0 * phase).sin();
        let click = 0.4 * (-(t % 0.25) * 80.0).exp() * (tau * 4000.0 * t).sin();
        if t >= 0.9 { 0.0 } else { (tone + click + 0.01 * noise) as f32 }
    };
    noise(22_050, 1).into_iter().enumerate().map(sample).collect()
}

fn envelope() -> Vec<f32> {
    let mut x: Vec<f64> = noise(516, 7).iter().map(|n| 0.2 * n.abs()).collect();
    let step = 43.066_406_25 * 60.0 / 132.0;
    (0..26).for_each(|i| x[(8.0 + f64::from(i) * step) as usize] += if i % 2 == 0 { 1.0 } else { 0.6 });
    x.into_iter().map(|v| v as f32).collect()
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/conformance/features.json")).unwrap()
}

fn rows(reference: &Value, name: &str) -> Vec<Vec<f64>> {
    serde_json::from_value(reference["arrays"][name].clone()).unwrap()
}

/// Bits in which a fingerprint differs from the reference.
fn differing_bits(got: &str, reference: &Value) -> u32 {
    let (got, expected) = (numbers_of(got), numbers_of(reference.as_str().unwrap()));
    assert_eq!(got.len(), expected.len());
    got.iter().zip(&expected).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Largest difference by the largest value of the reference.
fn compare(reference: &Value, name: &str, got: &[Vec<f32>], bound: f64) {
    let expected = rows(reference, name);
    assert_eq!((expected.len(), expected[0].len()), (got.len(), got[0].len()), "{name}");
    let pairs = || expected.iter().flatten().zip(got.iter().flatten());
    let largest = pairs().fold(0.0f64, |a, (e, _)| a.max(e.abs()));
    let worst = pairs().fold(0.0f64, |a, (e, g)| a.max((e - f64::from(*g)).abs())) / largest;
    assert!(worst <= bound, "{name}: {worst:.2e}");
}

fn series() -> Series {
    let spec = Spec::new(RATE_HZ, ChannelLayout::MONO);
    let cqt = Some(CqtParams::default());
    let params = FeatureParams { cqt, chroma_cqt: true, hpss: true, ..FeatureParams::default() };
    let mut extractor = FeatureExtractor::new(spec, &params, true).unwrap();
    extractor.push(&Buffer::from_channels(spec, &[signal()])).unwrap();
    extractor.finish().unwrap().series.unwrap()
}

#[test]
fn features_are_librosas() {
    let (reference, got) = (reference(), series());
    // Both sides compute in f32; 1e-4 is the bound that the project sets itself for every feature.
    let scalars = got.scalars.map(|s| vec![s.clone()]);
    for (name, values) in scalars.entries() {
        if !reference["arrays"][name].is_null() {
            compare(&reference, name, values, 1e-4);
        }
    }
    compare(&reference, "onset_strength", std::slice::from_ref(&got.onset_strength), 1e-4);
    compare(&reference, "mel", &got.mel.iter().step_by(8).cloned().collect::<Vec<_>>(), 1e-4);
    compare(&reference, "mfcc", &got.mfcc, 1e-4);
    let deltas = |order| got.mfcc[..5].iter().map(|s| delta(s, order)).collect::<Vec<_>>();
    compare(&reference, "mfcc_delta", &deltas(1), 1e-4);
    compare(&reference, "mfcc_delta2", &deltas(2), 1e-4);
    compare(&reference, "chroma", &got.chroma, 1e-4);
    compare(&reference, "contrast_db", &got.contrast_db, 1e-4);
    compare(&reference, "cqt", &got.cqt.iter().step_by(4).cloned().collect::<Vec<_>>(), 1e-4);
    compare(&reference, "chroma_cqt", &got.chroma_cqt, 1e-4);
    compare(&reference, "harmonic_energy", std::slice::from_ref(&got.harmonic_energy), 1e-4);
    compare(&reference, "percussive_energy", std::slice::from_ref(&got.percussive_energy), 1e-4);
}

#[test]
fn pitch_is_librosas() {
    let (expected, got) = (rows(&reference(), "yin_hz"), series());
    // The tone ends at 0.9 s (frame 38): frames that reach into the silence may find another trough.
    for (t, (e, g)) in expected[0].iter().zip(&got.yin_hz).take(36).enumerate() {
        assert!((f64::from(*g) / e - 1.0).abs() < 0.01, "frame {t}: {g} {e}"); // 1 %: the project's bound for pitch
    }
}

#[test]
fn other_mel_bands_are_librosas() {
    let params = MelParams { n_mels: 40, htk: true, norm: false, ..MelParams::default() };
    let bank = MelBank::new(&params, f64::from(RATE_HZ), 512).unwrap();
    let (mut stft, mut framer) = (Stft::new(512, 400).unwrap(), Framer::new(512, 160, true));
    let mut got = vec![Vec::new(); 10];
    let mut each = |frame: &super::features::Frame<'_>| {
        let mut bands = vec![0.0; 40];
        bank.apply(stft.transform(frame.samples).1, &mut bands);
        if frame.index.is_multiple_of(4) {
            got.iter_mut().zip(bands.iter().step_by(4)).for_each(|(s, b)| s.push(*b));
        }
    };
    framer.push(&signal(), &mut each);
    framer.finish(&mut each);
    compare(&reference(), "mel_htk", &got, 1e-4);
}

#[test]
fn rhythm_is_librosas() {
    let (reference, strength) = (reference(), envelope());
    let rate_hz = 43.066_406_25;
    let tempo = tempo(&strength, rate_hz, &TempoParams::default()).unwrap().unwrap();
    let expected_bpm = reference["tempo_bpm"].as_f64().unwrap();
    // librosa's lags are whole frames; the parabola moves by half a frame of 20 at most.
    assert!((tempo.bpm / expected_bpm - 1.0).abs() < 0.026, "{tempo:?} {expected_bpm}");
    let list = |name: &str| serde_json::from_value::<Vec<u64>>(reference[name].clone()).unwrap();
    assert_eq!(beats(&strength, rate_hz, 132.0), list("beats"));
    assert_eq!(onsets(&strength, rate_hz), list("onsets"));
}

#[test]
fn fingerprint_is_chromaprints() {
    let spec = Spec::new(RATE_HZ, ChannelLayout::MONO);
    // The signal six times over, in 16 bits, as fpcalc got it.
    let samples = signal().repeat(6).iter().map(|x| (x * 32_768.0).round_ties_even() / 32_768.0).collect();
    let mut printer = Fingerprinter::new(spec, &FingerprintParams::default()).unwrap();
    printer.push(&Buffer::from_channels(spec, &[samples])).unwrap();
    // Roundings differ: a value now and then falls on the other side of the edge of a step. There are 864 bits.
    let bits = differing_bits(&printer.finish().text, &reference()["fingerprint"]);
    assert!(bits <= 3, "{bits}");
}

#[test]
fn fingerprints_of_recordings_are_fpcalcs() {
    let engine = Engine::new().unwrap();
    let params = AnalysisParams { fingerprint: Some(FingerprintParams::default()), ..AnalysisParams::default() };
    let options = AnalyseOptions { analysis: params, ..AnalyseOptions::default() };
    for name in ["music.mp3", "speech.flac"] {
        let path = format!("{}/../examples/media/{name}", env!("CARGO_MANIFEST_DIR"));
        let analysis = engine.analyse(Source::from(path.as_str()), &options, &Control::default()).unwrap();
        // Of more than 4000 bits. MP3 decoders differ in the last bits.
        let bits = differing_bits(&analysis.fingerprint.unwrap().text, &reference()["recordings"][name]);
        assert!(bits <= 8, "{name}: {bits}");
    }
}
