//! Decodes the shared corpus and compares with what independent decoders gave.
//!
//! The classes and their criteria are those of the corpus' README. The corpus lies beside the project (`../shared/corpus`)
//! or where `PURESOUND_CORPUS` says; without it these tests say so and check nothing.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use pure_sound::audio::{Buffer, IntBuffer};
use pure_sound::formats::{Decoder, ReadOptions, SampleFormat, open, probe};

/// Entries that are known to fail, with the reason. The tests fail when one starts to pass: then take it off.
const KNOWN_FAILURES: &[(&str, &str)] = &[];

/// What decoded samples are compared in pieces of.
const BLOCK_FRAMES: usize = 5000;

/// One line of MANIFEST.tsv.
struct Entry(HashMap<String, String>);

impl Entry {
    fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.get(column).parse().ok()
    }
}

/// Why an entry fails.
type Verdict = Result<(), String>;

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("PURESOUND_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    if root.join("MANIFEST.tsv").is_file() {
        return Some(root);
    }
    eprintln!("SKIPPED: no corpus at {}", root.display());
    None
}

fn entries(root: &Path, class: &str) -> Vec<Entry> {
    let text = std::fs::read_to_string(root.join("MANIFEST.tsv")).expect("manifest");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("first line").split('\t').collect();
    let row =
        |line: &str| Entry(names.iter().map(|n| n.to_string()).zip(line.split('\t').map(str::to_owned)).collect());
    // Tier 2 are codecs that are not promised.
    lines.map(row).filter(|e| e.get("class") == class && e.get("tier") != "2").collect()
}

/// Judges every entry of a class and compares with the known failures.
fn check_class(class: &str, judge: fn(&Path, &Entry) -> Verdict) {
    let Some(root) = corpus() else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in entries(&root, class) {
        count += 1;
        let path = entry.get("path");
        let verdict = catch_unwind(AssertUnwindSafe(|| judge(&root, &entry))).unwrap_or_else(|_| Err("panic".into()));
        let known = KNOWN_FAILURES.iter().find(|(p, _)| *p == path);
        match (verdict, known) {
            (Ok(()), Some((_, reason))) => {
                wrong.push(format!("{path}: passes now, but is listed as failing: {reason}"))
            }
            (Err(why), None) => wrong.push(format!("{path}: {why}")),
            _ => {}
        }
    }
    assert!(count > 0, "no entries of class {class}");
    assert!(wrong.is_empty(), "{} of {count} of class {class}:\n{}", wrong.len(), wrong.join("\n"));
}

fn decoder(root: &Path, entry: &Entry) -> Result<Box<dyn Decoder>, String> {
    let decoder = open(root.join(entry.get("path")).into(), &ReadOptions::default()).map_err(|e| e.to_string())?;
    let spec = decoder.info().spec;
    if entry.number::<u32>("rate").is_some_and(|r| r != spec.rate_hz) {
        return Err(format!("rate {}, want {}", spec.rate_hz, entry.get("rate")));
    }
    let channels = spec.channels().to_string();
    if !entry.get("channels").is_empty() && entry.get("channels").split('|').all(|c| c != channels) {
        return Err(format!("{channels} channels, want {}", entry.get("channels")));
    }
    Ok(decoder)
}

/// Digest of all samples, interleaved, each as `bytes` says; and their number.
fn digest_ints(decoder: &mut dyn Decoder) -> Result<(String, u64), String> {
    let (mut block, mut flat) = (IntBuffer::new(decoder.info().spec, 0), Vec::new());
    let (mut context, mut frames) = (md5::Context::new(), 0);
    while decoder.read_int(&mut block, BLOCK_FRAMES).map_err(|e| e.to_string())? > 0 {
        block.interleave_into(&mut flat);
        context.consume(flat.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>());
        frames += block.frames() as u64;
    }
    Ok((format!("{:x}", context.finalize()), frames))
}

fn digest_floats(decoder: &mut dyn Decoder) -> Result<(String, u64), String> {
    let (mut block, mut flat) = (Buffer::new(decoder.info().spec, 0), Vec::new());
    let (mut context, mut frames) = (md5::Context::new(), 0);
    while decoder.read(&mut block, BLOCK_FRAMES).map_err(|e| e.to_string())? > 0 {
        block.interleave_into(&mut flat);
        context.consume(flat.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>());
        frames += block.frames() as u64;
    }
    Ok((format!("{:x}", context.finalize()), frames))
}

fn compare_digest(entry: &Entry, column: &str, (digest, frames): (String, u64), stated: Option<u64>) -> Verdict {
    if entry.number::<u64>("frames").is_some_and(|n| n != frames) {
        return Err(format!("{frames} frames, want {}", entry.get("frames")));
    }
    if digest != entry.get(column) {
        return Err(format!("digest {digest}, want {}", entry.get(column)));
    }
    // Files of the corpus that were cut on purpose state more than they hold.
    if stated.is_some_and(|n| n != frames) && !entry.get("path").contains("-partial") {
        return Err(format!("{frames} frames, but the duration was stated as {stated:?}"));
    }
    Ok(())
}

fn exact_duration(decoder: &dyn Decoder) -> Option<u64> {
    decoder.info().duration.filter(|d| d.exact).map(|d| d.frames)
}

fn judge_exact(root: &Path, entry: &Entry) -> Verdict {
    let mut decoder = decoder(root, entry)?;
    if !matches!(decoder.info().sample_format, SampleFormat::Int(_)) {
        return Err(format!("sample format {:?}", decoder.info().sample_format));
    }
    let stated = exact_duration(&*decoder);
    let digest = digest_ints(&mut *decoder)?;
    compare_digest(entry, "pcm_md5_s32", digest, stated)?;
    seeks_agree(&mut *decoder)
}

fn judge_float(root: &Path, entry: &Entry) -> Verdict {
    let mut decoder = decoder(root, entry)?;
    let stated = exact_duration(&*decoder);
    let digest = digest_floats(&mut *decoder)?;
    compare_digest(entry, "pcm_md5_f32", digest, stated)?;
    seeks_agree(&mut *decoder)
}

/// After a seek come the samples that come there when reading from the start.
fn seeks_agree(decoder: &mut dyn Decoder) -> Verdict {
    let text = |e: pure_sound::Error| e.to_string();
    let spec = decoder.info().spec;
    let (mut block, mut all) = (Buffer::new(spec, 0), Buffer::new(spec, 0));
    decoder.seek(0).map_err(text)?;
    while decoder.read(&mut block, 1 << 16).map_err(text)? > 0 {
        all.append(&block, 0, block.frames());
    }
    let frames = all.frames();
    for at in [frames / 2, 1, frames - 1, frames / 3, frames.saturating_sub(4097), 4096, 0] {
        decoder.seek(at as u64).map_err(text)?;
        let got = decoder.read(&mut block, 300).map_err(text)?;
        let want = 300.min(frames.saturating_sub(at));
        if got != want {
            return Err(format!("seek to {at}: {got} frames, want {want}"));
        }
        for (a, b) in block.channels().zip(all.channels()) {
            if got > 0 && a != &b[at..at + got] {
                return Err(format!("seek to {at}: other samples than when reading through"));
            }
        }
    }
    Ok(())
}

/// All samples, one vector per channel.
fn read_all(decoder: &mut dyn Decoder) -> Result<Vec<Vec<f32>>, String> {
    let (mut block, mut all) = (Buffer::new(decoder.info().spec, 0), Buffer::new(decoder.info().spec, 0));
    while decoder.read(&mut block, BLOCK_FRAMES).map_err(|e| e.to_string())? > 0 {
        all.append(&block, 0, block.frames());
    }
    Ok(all.channels().map(<[f32]>::to_vec).collect())
}

/// RMS and peak of the difference to the reference, full scale 1, over the reference's length.
fn difference(root: &Path, entry: &Entry, got: &[Vec<f32>]) -> Result<(f64, f64), String> {
    let reference = root.join(entry.get("ref"));
    let mut reference = open(reference.into(), &ReadOptions::default()).map_err(|e| e.to_string())?;
    let want = read_all(&mut *reference)?;
    let pairs = || want.iter().zip(got).flat_map(|(w, g)| w.iter().zip(g)).map(|(w, g)| f64::from(w - g));
    let count = pairs().count();
    if count == 0 || got.len() != want.len() {
        return Err("nothing to compare".into());
    }
    let rms = (pairs().map(|d| d * d).sum::<f64>() / count as f64).sqrt();
    Ok((rms, pairs().map(f64::abs).fold(0.0, f64::max)))
}

/// ADPCM and speech codecs that decoders round differently: tolerances of the manifest.
fn judge_near(root: &Path, entry: &Entry) -> Verdict {
    let mut decoder = decoder(root, entry)?;
    let got = read_all(&mut *decoder)?;
    let frames = got.first().map_or(0, Vec::len);
    let (want, tolerance) = (entry.number("frames").unwrap_or(0), entry.number("frames_tol").unwrap_or(0));
    if frames.abs_diff(want) > tolerance {
        return Err(format!("{frames} frames, want {want} +/- {tolerance}"));
    }
    let (rms, peak) = difference(root, entry, &got)?;
    // The references have 16 bits: half a step more.
    let (max_rms, max_peak) = (entry.number("tol_rms").unwrap_or(0.0), entry.number("tol_max").unwrap_or(0.0));
    let step = 1.0 / 32_768.0;
    if rms > max_rms + step || peak > max_peak + step {
        return Err(format!("rms {rms:.2e} peak {peak:.2e}, allowed {max_rms:.2e} and {max_peak:.2e}"));
    }
    Ok(())
}

/// Bounds of the corpus for broken files.
const HOSTILE_SECONDS: f64 = 10.0;
/// A frame of digital silence can be tiny, but nothing in the corpus holds more than this for its size.
const HOSTILE_FRAMES: u64 = 100_000_000;

fn judge_hostile(root: &Path, entry: &Entry) -> Verdict {
    let path = root.join(entry.get("path"));
    let start = Instant::now();
    let _ = probe(path.clone().into(), &ReadOptions::default());
    let Ok(mut decoder) = open(path.into(), &ReadOptions::default()) else { return Ok(()) };
    let (mut block, mut frames) = (Buffer::new(decoder.info().spec, 0), 0);
    while let Ok(count @ 1..) = decoder.read(&mut block, BLOCK_FRAMES) {
        frames += count as u64;
        if block.channels().any(|c| c.iter().any(|s| !s.is_finite())) {
            return Err("samples that are not finite".into());
        }
        if frames > HOSTILE_FRAMES {
            return Err("runaway output".into());
        }
        // A guard against hanging only: a file that needs it takes for ever, not 11 s.
        if start.elapsed().as_secs_f64() > 6.0 * HOSTILE_SECONDS {
            return Err(format!("more than {HOSTILE_SECONDS} s"));
        }
    }
    for at in [frames / 2, 0, frames, u64::MAX] {
        if decoder.seek(at).is_ok() {
            let _ = decoder.read(&mut block, 100);
        }
    }
    Ok(())
}

#[test]
fn lossless_files_decode_to_the_bit() {
    check_class("exact", judge_exact);
}

#[test]
fn float_files_decode_to_the_bit() {
    check_class("float", judge_float);
}

#[test]
fn adpcm_and_speech_files_decode_within_tolerance() {
    check_class("near", judge_near);
}

#[test]
fn uncommon_files_give_audio_or_an_error() {
    check_class("uncommon", judge_hostile);
}

#[test]
fn hostile_files_give_audio_or_an_error() {
    check_class("hostile", judge_hostile);
}

/// Random damage to sound files must never panic, hang or give more than the input can hold.
#[test]
fn damaged_copies_of_lossless_files_are_survived() {
    let Some(root) = corpus() else { return };
    let mut seed = 0x1234_5678_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut tried = 0;
    for entry in entries(&root, "exact").into_iter().chain(entries(&root, "float")).chain(entries(&root, "near")) {
        let path = root.join(entry.get("path"));
        let mut bytes = std::fs::read(&path).expect("corpus file");
        bytes.truncate(60_000);
        for _ in 0..8 {
            let mut copy = bytes.clone();
            for _ in 0..1 + random() % 12 {
                // Headers are where most decisions are made.
                let range = if random() % 2 == 0 { 120 } else { copy.len() };
                let at = random() % range.min(copy.len());
                copy[at] = (random() >> 8) as u8;
            }
            if random() % 3 == 0 {
                copy.truncate(random() % copy.len());
            }
            let outcome = catch_unwind(|| {
                let Ok(mut decoder) = open(copy.into(), &ReadOptions::default()) else { return 0 };
                let (mut block, mut frames) = (Buffer::new(decoder.info().spec, 0), 0);
                while let Ok(count @ 1..) = decoder.read(&mut block, BLOCK_FRAMES) {
                    frames += count as u64;
                    assert!(frames < HOSTILE_FRAMES, "runaway output");
                }
                let _ = decoder.seek(frames / 2).and_then(|()| decoder.read(&mut block, 10));
                frames
            });
            assert!(outcome.is_ok(), "{}", path.display());
            tried += 1;
        }
    }
    assert!(tried > 500);
}
