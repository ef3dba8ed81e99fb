//! Every encoder against independent decoders: ffmpeg and flac. What is not installed is skipped, and said.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pure_sound::audio::{Buffer, ChannelLayout, IntBuffer, Spec};
use pure_sound::formats::SampleFormat;
use pure_sound::formats::encode::{
    AlacSettings, BitRate, Encoded, FlacSettings, FormatSettings, LossySettings, PcmSample, PcmSettings, create_on,
    negotiate,
};
use pure_sound::formats::tags::Metadata;

fn have(tool: &str) -> bool {
    let found = Command::new(tool).arg("-version").output().is_ok();
    if !found {
        eprintln!("skipped: {tool} is not installed");
    }
    found
}

fn spec(rate: u32, channels: usize) -> Spec {
    Spec::new(rate, ChannelLayout::from_count(channels))
}

/// Sines and noise, different in each channel, integers of `bits` bits, left-justified.
fn ints(spec: Spec, bits: u32, frames: usize) -> IntBuffer {
    let planes: Vec<Vec<i32>> = (0..spec.channels())
        .map(|c| {
            let mut noise = 99_u32 + c as u32;
            (0..frames)
                .map(|i| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let t = i as f64 * (0.011 + 0.004 * c as f64);
                    let v = 0.4 * t.sin() + 0.25 * (3.1 * t).sin() + 0.05 * (f64::from(noise >> 8) / 8_388_608.0 - 1.0);
                    ((v * f64::from(1_u32 << (bits - 1))) as i64 as i32).wrapping_shl(32 - bits)
                })
                .collect()
        })
        .collect();
    IntBuffer::from_channels(spec, &planes)
}

/// Something like music: chords that begin and fade, some noise, so that alignment is unambiguous.
fn music(spec: Spec, frames: usize) -> Buffer {
    let rate = f64::from(spec.rate_hz);
    let planes: Vec<Vec<f32>> = (0..spec.channels())
        .map(|c| {
            let mut noise = 7_u32 + c as u32;
            (0..frames)
                .map(|i| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let t = i as f64 / rate;
                    let note = (t * 3.0).floor();
                    let decay = (-4.0 * (t * 3.0).fract() / 3.0).exp();
                    let f = 180.0 * 2_f64.powf((note * 7.0 + c as f64 * 4.0).rem_euclid(24.0) / 12.0);
                    let v: f64 =
                        (1..6).map(|h| (std::f64::consts::TAU * f * f64::from(h) * t).sin() / f64::from(h)).sum();
                    (0.22 * decay * v + 0.002 * (f64::from(noise >> 8) / 8_388_608.0 - 1.0)) as f32
                })
                .collect()
        })
        .collect();
    Buffer::from_channels(spec, &planes)
}

enum Source<'a> {
    Ints(&'a IntBuffer, u8),
    Floats(&'a Buffer),
}

fn encode(settings: &FormatSettings, source: &Source<'_>, path: &Path, block: usize, threads: usize) -> Encoded {
    let (spec, format) = match source {
        Source::Ints(b, bits) => (b.spec(), SampleFormat::Int(*bits)),
        Source::Floats(b) => (b.spec(), SampleFormat::Float(32)),
    };
    let negotiated = negotiate(settings, spec, format).unwrap();
    assert_eq!(negotiated.spec, spec, "the test gives what the format takes");
    let sink = Box::new(File::create(path).unwrap());
    let pool = (threads > 0).then(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()));
    let frames = match source {
        Source::Ints(b, _) => b.frames(),
        Source::Floats(b) => b.frames(),
    };
    let mut e = create_on(&negotiated, sink, &Metadata::default(), Some(frames as u64), pool).unwrap();
    let mut at = 0;
    while at < frames {
        let n = block.min(frames - at);
        match source {
            Source::Ints(b, _) => {
                let mut part = IntBuffer::new(spec, n);
                part.copy_from(b, at, n);
                e.write_int(&part).unwrap();
            }
            Source::Floats(b) => {
                let mut part = Buffer::new(spec, n);
                part.copy_from(b, at, n);
                e.write(&part).unwrap();
            }
        }
        at += n;
    }
    let encoded = e.finish().unwrap();
    assert_eq!(encoded.frames, frames as u64);
    assert_eq!(encoded.bytes, std::fs::metadata(path).unwrap().len());
    encoded
}

/// Interleaved samples as ffmpeg decodes them.
fn ffmpeg(path: &Path, format: &str) -> Vec<u8> {
    let out = Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(path).args(["-f", format, "-"]).output().unwrap();
    let complaints = String::from_utf8_lossy(&out.stderr);
    // ffmpeg calls a stream without a single frame an error.
    let empty = complaints.contains("does not contain any stream") || complaints.contains("matches no streams");
    assert!(out.status.success() || empty, "{}: {complaints}", path.display());
    assert!(complaints.is_empty() || empty, "{}: {complaints}", path.display());
    out.stdout
}

fn ffmpeg_floats(path: &Path, channels: usize) -> Vec<Vec<f32>> {
    let bytes = ffmpeg(path, "f32le");
    let all: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (0..channels).map(|c| all.iter().skip(c).step_by(channels).copied().collect()).collect()
}

fn interleaved(b: &IntBuffer) -> Vec<u8> {
    let mut flat = Vec::new();
    b.interleave_into(&mut flat);
    flat.iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn pcm(sample: PcmSample) -> PcmSettings {
    PcmSettings { sample: Some(sample), ..Default::default() }
}

#[test]
fn lossless_formats_give_back_every_sample() {
    if !have("ffmpeg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let flac_tool = have("flac");
    let mut cases: Vec<(String, FormatSettings, u8)> = Vec::new();
    for (sample, bits) in [(PcmSample::S16, 16), (PcmSample::S24, 24), (PcmSample::S32, 32)] {
        for (name, make) in [
            ("wav", FormatSettings::Wav as fn(_) -> _),
            ("w64", FormatSettings::W64),
            ("aiff", FormatSettings::Aiff),
            ("caf", FormatSettings::Caf),
        ] {
            cases.push((name.into(), make(pcm(sample)), bits));
        }
    }
    for bits in [16, 24, 32] {
        for level in if bits == 16 { vec![0, 1, 3, 5, 8] } else { vec![5] } {
            let s = FlacSettings { level: Some(level), bits: Some(bits), ..Default::default() };
            cases.push(("flac".into(), FormatSettings::Flac(s), bits));
        }
    }
    for bits in [16, 20, 24, 32] {
        cases.push(("m4a".into(), FormatSettings::Alac(AlacSettings { bits: Some(bits), ..Default::default() }), bits));
    }
    for (extension, settings, bits) in &cases {
        // Every length with two channels and every number of channels with one length; starting ffmpeg is what takes time.
        let lengths = [0_usize, 1, 15, 4095, 4096, 4097].map(|n| (2, n));
        let counts = [1, 2, 3, 4, 5, 6, 7, 8].map(|c| (c, 20_011));
        let usual = matches!(extension.as_str(), "flac" | "m4a") || *bits == 24;
        for (channels, frames) in lengths.into_iter().chain(counts).filter(|(c, n)| usual || (*c == 2 && *n > 4096)) {
            {
                let spec = spec(44_100, channels);
                let source = ints(spec, u32::from(*bits), frames);
                let path = dir.path().join(format!("t.{extension}"));
                encode(settings, &Source::Ints(&source, *bits), &path, 1000, 0);
                let what = format!("{settings:?} {channels} ch {frames} frames");
                // ffmpeg 5.1 does not know FLAC of 32 bits: the flac tool checks it below.
                let flac = matches!(settings, FormatSettings::Flac(_));
                if !(flac && *bits == 32) && frames > 0 {
                    let got = ffmpeg(&path, "s32le");
                    assert!(got == interleaved(&source), "{what}: samples differ ({} bytes)", got.len());
                }
                if flac && flac_tool {
                    let strict: &[&str] = if frames > 0 { &["-t", "-s", "-w"] } else { &["-t", "-s"] }; // 0 means "unknown" in STREAMINFO
                    let out = Command::new("flac").args(strict).arg(&path).output().unwrap();
                    let text = String::from_utf8_lossy(&out.stderr);
                    assert!(out.status.success(), "{what}: {text}");
                }
            }
        }
    }
}

#[test]
fn flac_of_32_bits_decodes_exactly_with_the_reference_decoder() {
    if !have("flac") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for channels in [1, 2, 5] {
        let mut source = ints(spec(96_000, channels), 32, 30_000);
        // Full-scale alternation: residuals beyond 32 bits must fall back to verbatim.
        for (i, s) in source.channel_mut(0)[10_000..20_000].iter_mut().enumerate() {
            *s = if i % 2 == 0 { i32::MAX } else { i32::MIN };
        }
        let path = dir.path().join("t.flac");
        encode(&FormatSettings::Flac(FlacSettings::default()), &Source::Ints(&source, 32), &path, 777, 0);
        let raw = dir.path().join("t.raw");
        let out = Command::new("flac")
            .args(["-d", "-s", "-f", "--force-raw-format", "--endian=little", "--sign=signed", "-o"])
            .arg(&raw)
            .arg(&path)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(std::fs::read(&raw).unwrap() == interleaved(&source));
    }
}

#[test]
fn float_containers_give_back_every_float() {
    if !have("ffmpeg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (extension, make) in [
        ("wav", FormatSettings::Wav as fn(_) -> _),
        ("w64", FormatSettings::W64),
        ("aifc", FormatSettings::Aiff),
        ("caf", FormatSettings::Caf),
    ] {
        for channels in [1, 2, 6] {
            let mut source = music(spec(48_000, channels), 5001);
            source.channel_mut(0)[7] = 3.5; // beyond full scale is kept
            let path = dir.path().join(format!("t.{extension}"));
            encode(&make(pcm(PcmSample::F32)), &Source::Floats(&source), &path, 999, 0);
            let got = ffmpeg_floats(&path, channels);
            for (c, samples) in got.iter().enumerate() {
                assert!(samples == source.channel(c), "{extension} {channels} ch");
            }
        }
    }
}

/// Lag in samples at which `got` fits `want` best, and the signal-to-noise ratio in dB at that lag.
fn lag_and_snr(want: &[f32], got: &[f32]) -> (i64, f64) {
    let product = |lag: i64| -> f64 {
        let n = want.len().min(got.len()) as i64;
        (2000..n - 2000).map(|i| f64::from(want[i as usize]) * f64::from(got[(i + lag) as usize])).sum()
    };
    let lag = (-1500..=1500).max_by(|a, b| product(*a).total_cmp(&product(*b))).unwrap();
    let (mut signal, mut noise) = (0.0, 0.0);
    for (w, g) in want.iter().zip(got) {
        signal += f64::from(*w).powi(2);
        noise += (f64::from(*w) - f64::from(*g)).powi(2);
    }
    (lag, 10.0 * (signal / noise.max(1e-30)).log10())
}

fn kbps(n: u32) -> LossySettings {
    LossySettings { bit_rate: Some(BitRate::Kbps(n)) }
}

#[test]
fn lossy_formats_keep_length_and_position() {
    if !have("ffmpeg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let quality = |q| LossySettings { bit_rate: Some(BitRate::Quality(q)) };
    // Settings, extension, rate, channels, least SNR in dB. The SNR bounds are about 5 dB below what was measured: they
    // catch a broken stream, not a change of taste.
    let cases: Vec<(FormatSettings, &str, u32, usize, f64)> = vec![
        (FormatSettings::Mp3(kbps(128)), "mp3", 44_100, 1, 15.0),
        (FormatSettings::Mp3(kbps(192)), "mp3", 44_100, 2, 15.0),
        (FormatSettings::Mp3(kbps(320)), "mp3", 48_000, 2, 15.0),
        (FormatSettings::Mp3(kbps(64)), "mp3", 22_050, 1, 10.0),
        (FormatSettings::Mp3(kbps(32)), "mp3", 8_000, 1, 5.0),
        (FormatSettings::Mp3(quality(0.7)), "mp3", 44_100, 2, 10.0),
        (FormatSettings::M4a(kbps(96)), "m4a", 44_100, 1, 15.0),
        (FormatSettings::M4a(kbps(160)), "m4a", 48_000, 2, 15.0),
        (FormatSettings::M4a(kbps(256)), "m4a", 44_100, 6, 10.0),
        (FormatSettings::M4a(kbps(48)), "m4a", 16_000, 2, 10.0),
        (FormatSettings::M4a(quality(0.5)), "m4a", 44_100, 2, 10.0),
        (FormatSettings::Opus(kbps(24)), "opus", 48_000, 1, 3.0),
        (FormatSettings::Opus(kbps(64)), "opus", 48_000, 1, 10.0),
        (FormatSettings::Opus(kbps(128)), "opus", 48_000, 2, 10.0),
        (FormatSettings::Opus(kbps(256)), "opus", 48_000, 6, 8.0),
    ];
    for (settings, extension, rate, channels, least_snr_db) in cases {
        let frame = match settings {
            FormatSettings::Mp3(_) if rate < 32_000 => 576,
            FormatSettings::Mp3(_) => 1152,
            FormatSettings::M4a(_) => 1024,
            _ => 960,
        };
        let long = rate as usize * 3 + 17;
        // Around the codec's frame, and around Opus's frame less its pre-skip. One stream of each codec is enough for that.
        let odd: &[usize] = match (extension, channels, rate) {
            (_, 1, _) | ("mp3", _, 22_050) => &[0, 1, frame - 1, frame, frame + 1, 3 * frame - 312, 3 * frame - 311],
            _ => &[],
        };
        for frames in odd.iter().copied().chain([long]) {
            let source = music(spec(rate, channels), frames);
            let path = dir.path().join(format!("t.{extension}"));
            let encoded = encode(&settings, &Source::Floats(&source), &path, 700, 0);
            let what = format!("{settings:?} {rate} Hz {channels} ch {frames} frames");
            let got = ffmpeg_floats(&path, channels);
            if frames == 0 {
                assert!(got[0].len() <= 1, "{what}: {} frames", got[0].len());
                continue;
            }
            // ffmpeg 5.1 honours the start of an MP4 edit list but not its end, not even in files of its own.
            let whole = if extension == "m4a" { frames.next_multiple_of(1024) } else { frames };
            assert_eq!(got[0].len(), whole, "{what}: {encoded:?}");
            if frames == long {
                for (c, samples) in got.iter().enumerate() {
                    if channels == 6 && c == 3 {
                        continue; // the LFE is low-passed by design
                    }
                    let (lag, snr_db) = lag_and_snr(source.channel(c), samples);
                    assert_eq!(lag, 0, "{what} channel {c}");
                    assert!(snr_db > least_snr_db, "{what} channel {c}: {snr_db:.1} dB");
                    println!("{what} channel {c}: {snr_db:.1} dB, {} bytes", encoded.bytes);
                }
            }
        }
    }
}

#[test]
fn adts_decodes_to_the_stated_length_with_delay() {
    if !have("ffmpeg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for channels in [1, 2, 6] {
        let source = music(spec(44_100, channels), 50_001);
        let path = dir.path().join("t.aac");
        let e = encode(&FormatSettings::Adts(LossySettings::default()), &Source::Floats(&source), &path, 4096, 0);
        let got = ffmpeg_floats(&path, channels);
        // ADTS cannot say what to drop: everything comes out.
        assert_eq!(got[0].len() as u64, e.frames + e.delay_frames + e.padding_frames);
        let (lag, _) = lag_and_snr(source.channel(0), &got[0][e.delay_frames as usize..]);
        assert_eq!(lag, 0);
    }
}

#[test]
fn blocks_and_threads_do_not_change_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["wav", "w64", "aiff", "caf", "flac", "alac", "mp3", "m4a", "adts", "opus"] {
        let settings = FormatSettings::from_name(name).unwrap();
        // Longer than two pieces of the codec with the longest.
        let seconds = if settings.is_lossless() { 10 } else { 45 };
        let source = music(spec(48_000, 2), 48_000 * seconds + 123);
        let mut first: Option<Vec<u8>> = None;
        for (block, threads) in [(4096, 0), (48_000, 1), (1023, 2), (9_600_000, 3)] {
            let path = dir.path().join("t");
            encode(&settings, &Source::Floats(&source), &path, block, threads);
            let bytes = std::fs::read(&path).unwrap();
            match &first {
                None => first = Some(bytes),
                Some(f) => assert!(*f == bytes, "{name}: blocks of {block}, {threads} threads"),
            }
        }
    }
}
