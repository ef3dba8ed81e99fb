//! MP3 encoding through the public interface, judged by independent decoders: ffmpeg, mpg123, LAME. What is not installed
//! is printed and skipped.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::formats::SampleFormat;
use pure_sound::formats::encode::{BitRate, Encoded, FormatSettings, LossySettings, create_on, negotiate};
use pure_sound::formats::tags::Metadata;

/// Codec frames in a piece of the encoder; lengths around its multiples are the interesting ones.
const PIECE: usize = 512;
const RATES: [u32; 9] = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Runs a tool; `None` when it is not installed.
fn run(tool: &str, args: &[&str]) -> Option<Output> {
    match Command::new(tool).args(args).output() {
        Ok(output) => Some(output),
        Err(e) => {
            println!("skipped: {tool}: {e}");
            None
        }
    }
}

/// Noise below a tenth of the rate and a tone that comes and goes: correlates with itself at lag 0 only.
fn signal(rate_hz: u32, channels: usize, frames: usize) -> Buffer {
    let planes: Vec<Vec<f32>> = (0..channels)
        .map(|c| {
            let (mut noise, mut low, mut lower) = (77 + c as u32, 0.0_f64, 0.0_f64);
            (0..frames)
                .map(|i| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    low += 0.3 * ((f64::from(noise) / 2_147_483_648.0 - 1.0) - low);
                    lower += 0.3 * (low - lower);
                    let t = i as f64 / f64::from(rate_hz);
                    let tone = 0.2 * (2000.0 * (1.0 + 0.2 * c as f64) * t).sin() * (3.0 * t).cos();
                    (tone + 0.4 * lower) as f32
                })
                .collect()
        })
        .collect();
    Buffer::from_channels(Spec::new(rate_hz, ChannelLayout::from_count(channels)), &planes)
}

fn encode(path: &Path, rate: BitRate, signal: &Buffer, block: usize, threads: usize) -> Encoded {
    let settings = FormatSettings::Mp3(LossySettings { bit_rate: Some(rate) });
    let negotiated = negotiate(&settings, signal.spec(), SampleFormat::Float(32)).unwrap();
    assert_eq!(negotiated.spec, signal.spec());
    let pool = (threads > 0).then(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()));
    let sink = Box::new(File::create(path).unwrap());
    let mut encoder = create_on(&negotiated, sink, &Metadata::default(), None, pool).unwrap();
    let mut part = Buffer::new(signal.spec(), block);
    for at in (0..signal.frames()).step_by(block) {
        part.copy_from(signal, at, block.min(signal.frames() - at));
        encoder.write(&part).unwrap();
    }
    encoder.finish().unwrap()
}

/// Decoded samples of the first channel, as ffmpeg gives them.
fn ffmpeg(path: &Path, channels: usize) -> Option<Vec<f32>> {
    let path = path.to_str().unwrap();
    // The format is named: the prober wants more frames than the shortest files have.
    let out = run("ffmpeg", &["-v", "error", "-f", "mp3", "-i", path, "-f", "f32le", "-"])?;
    assert!(out.status.success() && out.stderr.is_empty(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
    let samples = out.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Some(samples.step_by(channels).collect())
}

/// Lag in samples at which `decoded` is most like `signal`, and the signal-to-noise ratio in dB at lag 0.
fn compare(signal: &[f32], decoded: &[f32]) -> (i64, f64) {
    let mean_square = |lag: i64| {
        let (mut error, mut power) = (0.0_f64, 1e-20_f64);
        for (i, x) in signal.iter().enumerate().take(200_000).skip(40) {
            let y = decoded.get((i as i64 + lag) as usize).copied().unwrap_or(0.0);
            error += f64::from(x - y).powi(2);
            power += f64::from(*x).powi(2);
        }
        (error + 1e-20) / power
    };
    let best = (-30..=30).min_by(|a, b| mean_square(*a).total_cmp(&mean_square(*b))).unwrap();
    (best, -10.0 * mean_square(0).log10())
}

fn check(dir: &Path, rate: BitRate, signal: &Buffer, threads: usize) {
    let path: PathBuf = dir.join("check.mp3");
    let (rate_hz, channels, n) = (signal.spec().rate_hz, signal.channel_count(), signal.frames());
    let encoded = encode(&path, rate, signal, 4096, threads);
    assert_eq!(encoded.frames, n as u64);
    let Some(decoded) = ffmpeg(&path, channels) else { return };
    let case = format!("{rate_hz} Hz, {channels} channels, {rate:?}, {n} frames");
    assert_eq!(decoded.len(), n, "{case}");
    if n > 1000 {
        let (lag, snr_db) = compare(signal.channel(0), &decoded);
        // The least that was measured is 19 dB (stereo with much noise, 64 kbit/s at 22050 Hz).
        assert!(lag == 0 && snr_db > 16.0, "{case}: lag {lag}, {snr_db:.1} dB");
    }
}

#[test]
fn every_length_comes_back_exactly_at_every_rate() {
    let dir = tempfile::tempdir().unwrap();
    for rate_hz in RATES {
        let kbps = if rate_hz >= 32_000 { 128 } else { 64 };
        for n in [0, 1, 94, 1151, 1152, 1153] {
            check(dir.path(), BitRate::Kbps(kbps), &signal(rate_hz, 1, n), 0);
        }
        check(dir.path(), BitRate::Kbps(kbps), &signal(rate_hz, 2, 9000), 0);
        check(dir.path(), BitRate::Quality(0.6), &signal(rate_hz, 2, 5000), 0);
    }
}

#[test]
fn lengths_around_a_piece_and_several_pieces_come_back_exactly() {
    let dir = tempfile::tempdir().unwrap();
    for (rate_hz, rate) in [
        (44_100, BitRate::Kbps(128)),
        (22_050, BitRate::Kbps(64)),
        (48_000, BitRate::Kbps(320)),
        (32_000, BitRate::Quality(0.5)),
    ] {
        let frame = if rate_hz >= 32_000 { 1152 } else { 576 };
        // The stream is the input behind 528 samples and before at least 529.
        for n in [PIECE * frame - 1057, PIECE * frame - 1056, PIECE * frame, PIECE * frame + 1] {
            check(dir.path(), rate, &signal(rate_hz, 1, n), 2);
        }
        check(dir.path(), rate, &signal(rate_hz, 2, 3 * PIECE * frame + 12_345), 2);
    }
}

#[test]
fn other_decoders_have_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let (mp3, wav) = (dir.path().join("a.mp3"), dir.path().join("a.wav"));
    let (mp3_name, wav_name) = (mp3.to_str().unwrap(), wav.to_str().unwrap());
    for (rate_hz, channels, rate) in [
        (44_100, 2, BitRate::Kbps(128)),
        (44_100, 1, BitRate::Kbps(64)),
        (48_000, 2, BitRate::Kbps(320)),
        (32_000, 2, BitRate::Quality(0.5)),
        (22_050, 2, BitRate::Kbps(64)),
        (8000, 1, BitRate::Kbps(16)),
    ] {
        let n = 2 * PIECE * if rate_hz >= 32_000 { 1152 } else { 576 } + 777;
        encode(&mp3, rate, &signal(rate_hz, channels, n), 4096, 0);
        if let Some(out) = run("mpg123", &["--no-control", "-q", "-w", wav_name, mp3_name]) {
            assert!(
                out.status.success() && out.stderr.is_empty(),
                "{rate_hz} Hz, {rate:?}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
            let bytes = std::fs::metadata(&wav).unwrap().len();
            let header = 44..=100;
            let case = format!("{rate_hz} Hz, {rate:?}: {bytes} bytes for {n} frames");
            assert!(header.contains(&(bytes.saturating_sub((n * channels * 2) as u64))), "mpg123: {case}");
        }
        if let Some(out) = run("lame", &["--quiet", "--decode", mp3_name, wav_name]) {
            assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
            let bytes = std::fs::metadata(&wav).unwrap().len();
            assert_eq!(bytes, 44 + (n * channels * 2) as u64, "lame: {rate_hz} Hz, {rate:?}");
        }
    }
}

#[test]
fn the_file_is_the_same_for_any_block_size_and_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp3");
    let signal = signal(44_100, 2, 2 * PIECE * 1152 + 5000);
    encode(&path, BitRate::Kbps(192), &signal, signal.frames(), 0);
    let expected = std::fs::read(&path).unwrap();
    for (block, threads) in [(4096, 0), (1000, 1), (4096, 2), (333, 3)] {
        encode(&path, BitRate::Kbps(192), &signal, block, threads);
        assert!(std::fs::read(&path).unwrap() == expected, "blocks of {block}, {threads} threads");
    }
}

#[test]
fn the_constant_rate_is_the_one_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (rate_hz, kbps) in [(44_100, 128), (44_100, 320), (48_000, 192), (22_050, 56)] {
        let encoded = encode(&dir.path().join("a.mp3"), BitRate::Kbps(kbps), &signal(rate_hz, 2, 900_000), 4096, 2);
        let seconds = (encoded.delay_frames + encoded.frames + encoded.padding_frames) as f64 / f64::from(rate_hz);
        // All but the Info frame: 1 byte of rounding.
        let info = encoded.bytes as f64 - seconds * f64::from(kbps) * 125.0;
        assert!((150.0..1050.0).contains(&info), "{kbps} kbit/s at {rate_hz} Hz: {info:.0} bytes more");
    }
}
