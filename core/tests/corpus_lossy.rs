//! Decodes the lossy part of the shared corpus: accuracy against independent decoders, exact lengths, seeks, damage.
//!
//! The classes and their criteria are those of the corpus' README. The corpus lies beside the project (`../shared/corpus`)
//! or where `PURESOUND_CORPUS` says; without it these tests say so and check nothing.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use pure_sound::audio::Buffer;
use pure_sound::formats::{Codec, Decoder, ReadOptions, open};

/// Entries that are known to fail, with the reason. A test fails when one starts to pass: then take it off.
const KNOWN_FAILURES: &[(&str, &str)] = &[
    ("codec/aac/aac_hev2_sr22k_br32k_2c_16b_libfdk_aac.m4a", "the reference applies the edit list twice (HE-AAC v2)"),
    ("codec/aac/al_sbr_cm_48_5.1.mp4", "SBR data that the AAC decoder refuses"),
    ("codec/aac/tones_dolby_44100_stereo_aac_lc.mp4", "peak error 1e-3; two other decoders agree with ours"),
];

type Entry = HashMap<String, String>;

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("PURESOUND_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    if root.join("MANIFEST.tsv").is_file() {
        return Some(root);
    }
    eprintln!("SKIPPED: no corpus at {}", root.display());
    None
}

fn entries(root: &Path, classes: &[&str]) -> Vec<Entry> {
    let text = std::fs::read_to_string(root.join("MANIFEST.tsv")).expect("manifest");
    let mut lines = text.lines();
    let names: Vec<String> = lines.next().expect("first line").split('\t').map(str::to_owned).collect();
    lines
        .map(|line| names.iter().cloned().zip(line.split('\t').map(str::to_owned)).collect::<Entry>())
        .filter(|e| classes.contains(&e["class"].as_str()) && e["tier"] != "2")
        .collect()
}

/// All samples, one vector per channel.
fn read_all(decoder: &mut dyn Decoder) -> Result<Vec<Vec<f32>>, String> {
    let (mut block, mut all) = (Buffer::new(decoder.info().spec, 0), Buffer::new(decoder.info().spec, 0));
    while decoder.read(&mut block, 5000).map_err(|e| e.to_string())? > 0 {
        all.append(&block, 0, block.frames());
    }
    Ok(all.channels().map(<[f32]>::to_vec).collect())
}

type Decoded = (Box<dyn Decoder>, Vec<Vec<f32>>);

fn decode(path: &Path) -> Result<Decoded, String> {
    let mut decoder = open(path.to_path_buf().into(), &ReadOptions::default()).map_err(|e| e.to_string())?;
    let samples = read_all(&mut *decoder)?;
    Ok((decoder, samples))
}

/// Frames by which `got` is later than `want`, searched within +/-4608, by correlation of a loud piece.
fn lag(want: &[f32], got: &[f32]) -> i64 {
    const PIECE: usize = 2048;
    const MAX: i64 = 4608;
    let energy = |at: usize| want[at..at + PIECE].iter().map(|s| s * s).sum::<f32>();
    let starts = (0..want.len().saturating_sub(PIECE)).step_by(PIECE);
    let Some(at) = starts.max_by(|a, b| energy(*a).total_cmp(&energy(*b))) else { return 0 };
    let piece = &want[at..at + PIECE];
    let score = |lag: i64| -> f32 {
        let Ok(from) = usize::try_from(at as i64 + lag) else { return f32::MIN };
        let Some(other) = got.get(from..from + PIECE) else { return f32::MIN };
        -piece.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
    };
    (-MAX..=MAX).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0)
}

/// RMS and peak of the difference, both clipped to full scale.
fn difference(want: &[Vec<f32>], got: &[Vec<f32>], lag: i64) -> (f64, f64) {
    let (skip_want, skip_got) = (usize::try_from(-lag).unwrap_or(0), usize::try_from(lag).unwrap_or(0));
    let (mut sum, mut peak, mut count) = (0.0f64, 0.0f64, 0usize);
    for (w, g) in want.iter().zip(got) {
        for (w, g) in w.iter().skip(skip_want).zip(g.iter().skip(skip_got)) {
            let d = f64::from(w.clamp(-1.0, 1.0) - g.clamp(-1.0, 1.0));
            sum += d * d;
            peak = peak.max(d.abs());
            count += 1;
        }
    }
    ((sum / count.max(1) as f64).sqrt(), peak)
}

fn number(e: &Entry, column: &str) -> f64 {
    e.get(column).and_then(|v| v.parse().ok()).unwrap_or(0.0)
}

fn judge(root: &Path, e: &Entry) -> Result<(), String> {
    let (decoder, got) = decode(&root.join(&e["path"]))?;
    let spec = decoder.info().spec;
    if !e["rate"].is_empty() && e["rate"] != spec.rate_hz.to_string() {
        return Err(format!("{} Hz, want {}", spec.rate_hz, e["rate"]));
    }
    if e["channels"].split('|').all(|c| c != spec.channels().to_string()) {
        return Err(format!("{} channels, want {}", spec.channels(), e["channels"]));
    }
    let frames = got[0].len();
    if (frames as f64 - number(e, "frames")).abs() > number(e, "frames_tol") {
        return Err(format!("{frames} frames, want {} +/- {}", e["frames"], e["frames_tol"]));
    }
    let stated = decoder.info().duration.filter(|d| d.exact && !decoder.damage().truncated);
    if stated.is_some_and(|d| d.frames.abs_diff(frames as u64) > 1) {
        return Err(format!("{frames} frames, but {stated:?} was stated"));
    }
    let (_, want) = decode(&root.join(&e["ref"]))?;
    // The references have 16 or 20 bits; their rounding is allowed on top. Opus is judged by level only: its decoders
    // may differ in phase (SILK resamplers), so an error 20 dB below the signal suffices here.
    let (max_rms, max_peak) = if e["class"].contains("opus") {
        let level = difference(&want, &vec![vec![0.0; want[0].len()]; want.len()], 0).0;
        (level * 0.1 + 1e-3, f64::MAX)
    } else {
        (number(e, "tol_rms") + 4e-7, number(e, "tol_max") + 4e-6)
    };
    // The delay is not fixed for class `lossy`; but where no shift fits, none is searched: periodic signals fit several.
    let mut shift = 0;
    let (mut rms, mut peak) = difference(&want, &got, 0);
    if rms > max_rms && e["class"] == "lossy" {
        shift = lag(&want[0], &got[0]);
        (rms, peak) = difference(&want, &got, shift);
    }
    if rms > max_rms || peak > max_peak {
        return Err(format!("rms {rms:.1e}, peak {peak:.1e}; allowed {max_rms:.1e} and {max_peak:.1e}, shift {shift}"));
    }
    Ok(())
}

fn check(classes: &[&str]) {
    let Some(root) = corpus() else { return };
    let list = entries(&root, classes);
    let mut wrong = Vec::new();
    for e in &list {
        let known = KNOWN_FAILURES.iter().find(|(p, _)| *p == e["path"]);
        match (judge(&root, e), known) {
            (Ok(()), Some((_, why))) => wrong.push(format!("{}: passes now, but is listed: {why}", e["path"])),
            (Err(why), None) => wrong.push(format!("{}: {why}", e["path"])),
            _ => {}
        }
    }
    assert!(!list.is_empty(), "no entries of {classes:?}");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), list.len(), wrong.join("\n"));
}

#[test]
fn lossy_files_are_as_accurate_as_the_standards_ask() {
    check(&["lossy"]);
}

#[test]
fn gapless_and_chained_files_have_their_exact_length() {
    check(&["gapless", "chained", "chained-opus"]);
}

#[test]
fn opus_files_agree_with_libopus() {
    check(&["opus"]);
}

fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

#[test]
fn seeks_give_what_a_linear_decode_gives() {
    let Some(root) = corpus() else { return };
    let mut seed = 1;
    let mut tested = 0;
    for e in entries(&root, &["lossy", "gapless", "chained", "chained-opus", "opus"]) {
        let Ok((mut decoder, linear)) = decode(&root.join(&e["path"])) else { continue };
        let frames = linear[0].len();
        // What decodes from packet to packet without noise is exact. SILK's long-term prediction and the envelopes of SBR
        // forget slowly; perceptual noise substitution draws other noise: these are compared in length only.
        let tolerance = match decoder.info().codec {
            Codec::Mp1 | Codec::Mp2 | Codec::Mp3 | Codec::Vorbis => 0.0,
            Codec::Opus => 2e-3,
            _ => f32::MAX,
        };
        for _ in 0..6 {
            let at = random(&mut seed) % frames;
            decoder.seek(at as u64).expect("seek");
            let mut block = Buffer::new(decoder.info().spec, 2000);
            let got = decoder.read(&mut block, 2000).expect("read");
            assert_eq!(got, 2000.min(frames - at), "{} at {at}", e["path"]);
            for (a, b) in block.channels().zip(&linear) {
                let worst = a.iter().zip(&b[at..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= tolerance, "{} at {at}: {worst:e}", e["path"]);
            }
        }
        tested += 1;
    }
    assert!(tested > 50);
}

/// Random damage must never panic, hang or give more than the input can hold.
#[test]
fn damaged_copies_are_survived() {
    let Some(root) = corpus() else { return };
    let mut seed = 7;
    for e in entries(&root, &["lossy", "gapless", "chained", "chained-opus", "opus"]) {
        let mut bytes = std::fs::read(root.join(&e["path"])).expect("corpus file");
        bytes.truncate(40_000);
        for round in 0..4 {
            let mut copy = bytes.clone();
            for _ in 0..1 + random(&mut seed) % 12 {
                let range = if round % 2 == 0 { copy.len().min(3000) } else { copy.len() };
                let at = random(&mut seed) % range;
                copy[at] ^= 1 << (random(&mut seed) % 8);
            }
            if round == 3 {
                copy.truncate(random(&mut seed) % copy.len());
            }
            let outcome = catch_unwind(|| {
                let Ok(mut decoder) = open(copy.into(), &ReadOptions::default()) else { return };
                let (mut block, mut frames) = (Buffer::new(decoder.info().spec, 0), 0u64);
                while let Ok(count @ 1..) = decoder.read(&mut block, 5000) {
                    frames += count as u64;
                    assert!(frames < 100_000_000, "runaway output");
                    assert!(block.channels().all(|c| c.iter().all(|s| s.is_finite())));
                }
                let _ = decoder.seek(frames / 2).and_then(|()| decoder.read(&mut block, 10));
            });
            assert!(outcome.is_ok(), "{}", e["path"]);
        }
    }
}
