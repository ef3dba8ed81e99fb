//! Tests of the lossy origin: synthetic codecs at known offsets.

use super::hybrid::{self, Hybrid, Slot};
use super::mdct::{HOP, Mdct, kaiser_bessel, window};
use super::*;
use crate::audio::{ChannelLayout, Spec};

const FRAMES: usize = 60 * HOP;
const RATE_HZ: f64 = 44_100.0;

/// Numbers of a normal distribution, near enough: the sum of four.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        let mut uniform = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u32 << 24) as f32 - 0.5
        };
        uniform() + uniform() + uniform() + uniform()
    }

    /// Lines as an encoder leaves them: two of three are zero.
    fn quantised(&mut self) -> f32 {
        let x = self.next();
        if x.abs() < 0.55 { 0.0 } else { 0.1 * x }
    }
}

fn noise(frames: usize) -> Vec<f32> {
    let mut random = Random(7);
    (0..frames).map(|_| 0.2 * random.next()).collect()
}

/// To 16 bits, as a decoder writes it.
fn rounded(samples: &[f32]) -> Vec<f32> {
    samples.iter().map(|x| (x * 32_768.0).round() / 32_768.0).collect()
}

/// The definition: line k is the sum of x[n] w[n] cos(pi / N (n + 1/2 + N/2) (k + 1/2)) times sqrt(2 / N).
fn cosine(n: usize, k: usize) -> f32 {
    let turn = ((2 * n + 1 + HOP) * (2 * k + 1)) % (8 * HOP);
    ((2.0 / HOP as f64).sqrt() * (std::f64::consts::TAU * turn as f64 / (8 * HOP) as f64).cos()) as f32
}

/// Frames of quantised lines, added up as a decoder does, from `first` on.
fn decoded(window: &[f32], first: usize) -> Vec<f32> {
    let table: Vec<f32> = (0..8 * HOP)
        .map(|turn| ((2.0 / HOP as f64).sqrt() * (std::f64::consts::TAU * turn as f64 / (8 * HOP) as f64).cos()) as f32)
        .collect();
    let (mut random, mut samples) = (Random(1), vec![0.0f32; FRAMES + 3 * HOP]);
    for start in (first..FRAMES + first).step_by(HOP) {
        for k in 0..HOP {
            let line = random.quantised();
            if line != 0.0 {
                for (n, (sample, w)) in samples[start..start + 2 * HOP].iter_mut().zip(window).enumerate() {
                    *sample += line * w * table[((2 * n + 1 + HOP) * (2 * k + 1)) % (8 * HOP)];
                }
            }
        }
    }
    rounded(&samples[2 * HOP..])
}

/// The same through the filterbank of MP3, whose transposed is its inverse within 90 dB.
fn decoded_mp3(first: usize) -> Vec<f32> {
    let filterbank = Hybrid::new();
    let (bands, per_granule) = (hybrid::SLOT, 2 * hybrid::GRANULE_SLOTS);
    let mut lines = vec![0.0; hybrid::LINES];
    // What each sample of a slot gives to the lines, and each frame to a slot.
    let mut slots = vec![Slot::default(); per_granule];
    let mut from_slots = Vec::new();
    for at in 0..per_granule * bands {
        slots[at / bands][at % bands] = 1.0;
        filterbank.lines(&slots, &mut lines);
        from_slots.push(lines[..hybrid::USED_LINES].to_vec());
        slots[at / bands][at % bands] = 0.0;
    }
    let mut from_frames = Vec::new();
    let mut impulse = vec![0.0f32; 512];
    for at in 0..512 {
        impulse[at] = 1.0;
        let mut slot = [Slot::default()];
        filterbank.bands(&impulse, 0, &mut slot);
        from_frames.push(slot[0]);
        impulse[at] = 0.0;
    }
    let granules = FRAMES / hybrid::LINES;
    let mut all = vec![Slot::default(); (granules + 1) * hybrid::GRANULE_SLOTS];
    let mut random = Random(3);
    for granule in 0..granules {
        let lines: Vec<f32> = (0..hybrid::USED_LINES).map(|_| random.quantised()).collect();
        for (at, gains) in from_slots.iter().enumerate() {
            let sum: f32 = gains.iter().zip(&lines).map(|(gain, line)| gain * line).sum();
            all[granule * hybrid::GRANULE_SLOTS + at / bands][at % bands] += sum;
        }
    }
    let mut samples = vec![0.0f32; first + all.len() * bands + 512];
    for (index, slot) in all.iter().enumerate() {
        for (sample, gains) in samples[first + bands * index..].iter_mut().zip(&from_frames) {
            *sample += gains.iter().zip(slot).map(|(gain, band)| gain * band).sum::<f32>();
        }
    }
    rounded(&samples[2 * hybrid::LINES..])
}

fn look(channels: &[Vec<f32>], rate_hz: f64, block: usize) -> LossyOrigin {
    let spec = Spec::new(rate_hz as u32, ChannelLayout::from_count(channels.len()));
    let mut lossy = Lossy::new(rate_hz, channels.len());
    for start in (0..channels[0].len()).step_by(block) {
        let part = |c: &Vec<f32>| c[start..(start + block).min(c.len())].to_vec();
        lossy.push(&Buffer::from_channels(spec, &channels.iter().map(part).collect::<Vec<_>>()));
    }
    lossy.finish()
}

#[test]
fn mdct_is_that_of_the_definition() {
    let samples = noise(2 * HOP);
    let (mut lines, window) = (vec![0.0; HOP], kaiser_bessel());
    Mdct::new().process(&samples, &window, &mut lines);
    for k in [0, 1, 2, 255, 511, 512, 700, 1_023] {
        let terms = samples.iter().zip(&window).enumerate().map(|(n, (x, w))| f64::from(x * w * cosine(n, k)));
        // Rounding of f32 over 2,048 terms of 0.2 * 0.04.
        let expected = terms.sum::<f64>();
        assert!((expected - f64::from(lines[k])).abs() < 1e-5, "line {k}: {} for {expected}", lines[k]);
    }
}

#[test]
fn windows_of_two_frames_add_up_to_one() {
    let search = Search::new(RATE_HZ, 1);
    for window in [&search.sine, &search.kaiser, &search.vorbis] {
        for n in 0..HOP {
            let sum = window[n] * window[n] + window[n + HOP] * window[n + HOP];
            assert!((sum - 1.0).abs() < 1e-5, "{n}: {sum}");
        }
    }
}

#[test]
fn quantised_lines_are_found_with_their_codec_and_offset() {
    let search = Search::new(RATE_HZ, 1);
    let windows =
        [(&search.sine, LossyCodec::Aac), (&search.kaiser, LossyCodec::Aac), (&search.vorbis, LossyCodec::Vorbis)];
    for (window, codec) in windows {
        let first = 333;
        let samples = decoded(window, first);
        let expected = if codec == LossyCodec::Vorbis { (first + 64) % VORBIS_STEP } else { first };
        for gain in [1.0, 0.3] {
            let got = look(&[samples.iter().map(|x| x * gain).collect()], RATE_HZ, 1_024);
            assert_eq!((got.codec, got.offset), (Some(codec), Some(expected)), "{got:?}");
            // Two of three lines are zero, against 3 % of holes in noise.
            assert!(got.score.is_some_and(|s| s > 8.0), "{got:?}");
        }
        // On one side of a pair.
        let got = look(&[noise(samples.len()), samples.clone()], RATE_HZ, 1_024);
        assert_eq!((got.codec, got.offset), (Some(codec), Some(expected)), "{got:?}");
    }
    let got = look(&[decoded_mp3(100)], RATE_HZ, 1_024);
    assert_eq!((got.codec, got.offset), (Some(LossyCodec::Mp3), Some(99)), "{got:?}");
    assert!(got.score.is_some_and(|s| s > 8.0), "{got:?}");
}

#[test]
fn noise_tones_and_chords_are_not() {
    let tone = |hz: f64, n: usize| (std::f64::consts::TAU * hz * n as f64 / RATE_HZ).sin() as f32;
    let chord = |n: usize| (1..40).map(|k| tone(220.7 * f64::from(k), n) * 0.2 / k as f32).sum::<f32>();
    let beats = |n: usize| (-((n % 9_000) as f32) / 2_000.0).exp();
    let noise = noise(300_000);
    let signals: [Vec<f32>; 4] = [
        noise.clone(),
        (0..300_000).map(|n| 0.5 * tone(3_001.0, n)).collect(),
        (0..300_000).map(chord).collect(),
        (0..300_000).map(|n| noise[n] * beats(n) + chord(n)).collect(),
    ];
    for (index, signal) in signals.iter().enumerate() {
        let got = look(&[rounded(signal)], RATE_HZ, 1_024);
        assert_eq!(got.codec, None, "signal {index}: {got:?}");
    }
}

#[test]
fn any_split_gives_the_same_and_many_places_are_thinned_out() {
    let samples = decoded(&window(|t| (std::f64::consts::PI * t).sin()), 5);
    let long = [samples.clone(), samples.clone(), samples].concat();
    let whole = look(std::slice::from_ref(&long), RATE_HZ, long.len());
    assert_eq!(whole.codec, Some(LossyCodec::Aac), "{whole:?}");
    for block in [1_024, 777, 50_000] {
        assert_eq!(look(std::slice::from_ref(&long), RATE_HZ, block), whole);
    }
    let mut lossy = Lossy::new(RATE_HZ, 1);
    let spec = Spec::new(44_100, ChannelLayout::MONO);
    let block = Buffer::from_channels(spec, &[noise(SPOT)]);
    for _ in 0..1_000 {
        lossy.push(&block);
        assert!(lossy.spots.len() < SPOTS);
    }
    assert!(lossy.spots.len() >= SPOTS / 2 - 1);
}

#[test]
fn what_cannot_be_judged_gets_no_score() {
    assert_eq!(look(&[noise(20_000)], RATE_HZ, 1_024), LossyOrigin::default());
    assert_eq!(look(&[vec![0.0; 300_000]], RATE_HZ, 1_024), LossyOrigin::default());
    assert_eq!(look(&[noise(300_000)], 96_000.0, 1_024), LossyOrigin::default());
}
