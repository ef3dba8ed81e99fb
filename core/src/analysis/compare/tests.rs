//! The measures together, on signals whose figures are known.

use std::cell::Cell;

use super::*;
use crate::audio::{Buffer, ChannelLayout};
use crate::formats::{ReadOptions, Source, open};

/// Chords with a swinging level and soft noise: something to mask, to modulate and to hear.
fn music(rate_hz: u32, seconds: f64, channels: usize) -> Vec<Vec<f32>> {
    let mut state = 17u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    (0..channels)
        .map(|channel| {
            (0..(seconds * f64::from(rate_hz)) as usize)
                .map(|i| {
                    let t = i as f64 / f64::from(rate_hz);
                    let tone = |hz: f64| (std::f64::consts::TAU * hz * (1.0 + 0.01 * channel as f64) * t).sin();
                    let chord: f64 = [196.0, 293.66, 493.88, 1174.66, 3520.0].iter().map(|hz| tone(*hz)).sum();
                    ((0.06 * chord * (1.2 + tone(3.0))) + 0.004 * random()) as f32
                })
                .collect()
        })
        .collect()
}

fn buffer(rate_hz: u32, channels: &[Vec<f32>]) -> Buffer {
    Buffer::from_channels(Spec::new(rate_hz, ChannelLayout::from_count(channels.len())), channels)
}

fn compare_with(reference: &Buffer, degraded: &Buffer, params: &CompareParams) -> Result<Comparison> {
    let open = |audio: &Buffer| open(Source::from_audio(audio).unwrap(), &ReadOptions::default()).unwrap();
    compare_all(&mut *open(reference), &mut *open(degraded), params, &|_| Ok(()), &|_| Ok(()))
}

fn compare(reference: &Buffer, degraded: &Buffer) -> Comparison {
    compare_with(reference, degraded, &CompareParams::default()).unwrap()
}

fn with_noise(signal: &[Vec<f32>], amplitude: f32) -> Vec<Vec<f32>> {
    let mut state = 5u32;
    let mut random = move || {
        state = state.wrapping_mul(22_695_477).wrapping_add(1);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    signal.iter().map(|c| c.iter().map(|x| x + amplitude * random()).collect()).collect()
}

/// All figures of a comparison are numbers.
fn assert_numbers(comparison: &Comparison) {
    fn walk(at: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(n) => assert!(n.as_f64().is_some_and(f64::is_finite), "{at}: {n}"),
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(name, value)),
            _ => {}
        }
    }
    walk("", &serde_json::to_value(comparison).unwrap());
    let text = format!("{comparison:?}");
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn the_same_twice_has_the_best_values() {
    for (rate_hz, channels) in [(48_000, 2), (44_100, 1), (16_000, 2)] {
        let audio = buffer(rate_hz, &music(rate_hz, 3.0, channels));
        let got = compare(&audio, &audio);
        assert_eq!(got.comparison_version, 1);
        let d = &got.differences;
        assert!(d.identical);
        assert_eq!((d.snr_db, d.si_sdr_db, d.segmental_snr_db), (Some(200.0), Some(200.0), Some(35.0)));
        assert_eq!(
            (d.level_difference_db, d.correlation, d.log_spectral_distance_db),
            (Some(0.0), Some(1.0), Some(0.0))
        );
        let p = d.perceptual.as_ref().unwrap();
        // What the bands hold is never 0: 1e-12 of noise, far below any mask.
        assert!(p.nmr_db < -100.0, "{}", p.nmr_db);
        assert_eq!((p.disturbed_frames_ratio, p.adb, p.mfpd), (0.0, 0.0, 0.0));
        assert_eq!((p.avg_mod_diff1, p.avg_mod_diff2, p.win_mod_diff1), (Some(0.0), Some(0.0), Some(0.0)));
        assert_eq!(p.two_f_score, Some(100.0));
        assert_eq!(p.bandwidth_reference_hz, p.bandwidth_degraded_hz);
        let alignment = got.alignment.as_ref().unwrap();
        assert!(alignment.found && alignment.offset_frames == 0, "{alignment:?}");
        assert_eq!((got.reference.frames, d.duration_s), (u64::from(rate_hz) * 3, 3.0));
        assert_numbers(&got);
    }
}

#[test]
fn noise_of_a_known_level_gives_its_snr_and_more_is_worse() {
    let signal = music(48_000, 4.0, 2);
    let reference = buffer(48_000, &signal);
    let power = signal.iter().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>() / (2 * signal[0].len()) as f64;
    let mut last: Option<Perceptual> = None;
    for amplitude in [1e-4f32, 1e-3, 1e-2, 1e-1] {
        let got = compare(&reference, &buffer(48_000, &with_noise(&signal, amplitude)));
        // Even noise has a third of its peak as mean square.
        let expected_db = 10.0 * (power / (f64::from(amplitude).powi(2) / 3.0)).log10();
        assert!(
            (got.differences.snr_db.unwrap() - expected_db).abs() < 0.05,
            "{:?} {expected_db}",
            got.differences.snr_db
        );
        let now = got.differences.perceptual.clone().unwrap();
        if let Some(before) = &last {
            assert!(now.nmr_db > before.nmr_db + 10.0, "{} after {}", now.nmr_db, before.nmr_db);
            assert!(now.disturbed_frames_ratio >= before.disturbed_frames_ratio);
            assert!(now.avg_mod_diff1 > before.avg_mod_diff1 && now.two_f_score <= before.two_f_score);
        }
        last = Some(now);
        assert_numbers(&got);
    }
    let worst = last.unwrap();
    assert!(
        worst.nmr_db > 10.0 && worst.disturbed_frames_ratio == 1.0 && worst.adb > 1.0 && worst.mfpd > 0.9,
        "{worst:?}"
    );
}

#[test]
fn a_copy_that_is_late_or_cut_is_aligned() {
    let signal = music(48_000, 6.0, 2);
    let reference = buffer(48_000, &signal);
    let late: Vec<Vec<f32>> = signal.iter().map(|c| [vec![0.0; 12_345], c.clone()].concat()).collect();
    let got = compare(&reference, &buffer(48_000, &late));
    assert_eq!(got.alignment.as_ref().unwrap().offset_frames, 12_345);
    assert!(got.differences.identical && got.differences.frames == 288_000 && got.degraded.frames == 300_345);
    let cut: Vec<Vec<f32>> = signal.iter().map(|c| c[50_000..].to_vec()).collect();
    let got = compare(&reference, &buffer(48_000, &cut));
    assert_eq!(got.alignment.as_ref().unwrap().offset_frames, -50_000);
    assert!(got.differences.identical && got.differences.frames == 238_000);
    // Without, the same is far off.
    let params = CompareParams { align: false, ..CompareParams::default() };
    let got = compare_with(&reference, &buffer(48_000, &late), &params).unwrap();
    assert!(got.alignment.is_none() && got.differences.snr_db.unwrap() < 3.0);
    // More than is looked for is not found.
    let params = CompareParams { max_offset_s: 0.1, ..CompareParams::default() };
    let got = compare_with(&reference, &buffer(48_000, &late), &params).unwrap();
    assert!(!got.differences.identical);
}

#[test]
fn polarity_and_level_are_told_and_do_not_reach_the_ear() {
    let signal = music(48_000, 3.0, 1);
    let reference = buffer(48_000, &signal);
    let inverted: Vec<Vec<f32>> = signal.iter().map(|c| c.iter().map(|x| -x).collect()).collect();
    let got = compare(&reference, &buffer(48_000, &inverted));
    let d = &got.differences;
    assert!((d.snr_db.unwrap() + 6.0206).abs() < 1e-3 && d.si_sdr_db == Some(200.0) && d.correlation == Some(-1.0));
    let p = d.perceptual.as_ref().unwrap();
    assert!(p.nmr_db < -100.0 && p.two_f_score == Some(100.0) && d.log_spectral_distance_db == Some(0.0));
    assert!(got.alignment.as_ref().unwrap().correlation < -0.999);

    let half: Vec<Vec<f32>> = signal.iter().map(|c| c.iter().map(|x| 0.5 * x).collect()).collect();
    let soft = buffer(48_000, &half);
    let got = compare(&reference, &soft);
    assert!((got.differences.level_difference_db.unwrap() + 6.0206).abs() < 1e-3);
    // Levels 6 dB apart, but for what lies at the floor.
    let distance_db = got.differences.log_spectral_distance_db.unwrap();
    assert!((5.0..6.03).contains(&distance_db), "{distance_db}");
    let params = CompareParams { match_level: true, ..CompareParams::default() };
    let matched = compare_with(&reference, &soft, &params).unwrap();
    assert!((matched.matched_db.unwrap() - 6.0206).abs() < 1e-3);
    assert!((matched.differences.level_difference_db.unwrap() + 6.0206).abs() < 1e-3);
    assert!(matched.differences.snr_db.unwrap() > 120.0, "{:?}", matched.differences.snr_db);
}

#[test]
fn rates_are_converted_and_channels_must_agree() {
    let (low, high) = (buffer(44_100, &music(44_100, 3.0, 1)), buffer(48_000, &music(48_000, 3.0, 1)));
    let got = compare(&low, &high);
    // The tones are the same at either rate, the noise at -55 dB is not.
    assert!(got.differences.snr_db.unwrap() > 25.0, "{:?}", got.differences.snr_db);
    assert_eq!((got.reference.spec.rate_hz, got.degraded.spec.rate_hz), (44_100, 48_000));
    let stereo = buffer(48_000, &music(48_000, 3.0, 2));
    let error = compare_with(&stereo, &high, &CompareParams::default()).unwrap_err();
    assert!(
        matches!(&error, Error::InvalidValue { name, value, .. } if name == "channels" && value == "2 and 1"),
        "{error}"
    );
    let params = CompareParams { mix_to_mono: true, ..CompareParams::default() };
    let one = music(48_000, 3.0, 1);
    let twice = buffer(48_000, &[one[0].clone(), one[0].clone()]);
    assert!(compare_with(&twice, &buffer(48_000, &one), &params).unwrap().differences.identical);
    let bad = CompareParams { max_offset_s: f64::NAN, ..CompareParams::default() };
    assert!(matches!(compare_with(&low, &high, &bad), Err(Error::OutOfRange { .. })));
}

#[test]
fn silence_and_what_is_no_number_give_numbers_or_none() {
    let silence = buffer(48_000, &[vec![0.0; 96_000]]);
    let sound = buffer(48_000, &music(48_000, 2.0, 1));
    let both = compare(&silence, &silence);
    assert!(both.differences.identical && both.differences.perceptual.is_none());
    assert!(!both.alignment.as_ref().unwrap().found);
    assert_eq!((both.differences.snr_db, both.differences.log_spectral_distance_db), (None, None));
    assert_numbers(&both);
    let lost = compare(&sound, &silence);
    assert_eq!((lost.differences.snr_db, lost.differences.si_sdr_db), (Some(0.0), None));
    assert!(lost.differences.perceptual.as_ref().unwrap().adb > 1.0);
    assert_numbers(&lost);
    assert_numbers(&compare(&silence, &sound));
    let broken: Vec<f32> = music(48_000, 2.0, 1)[0]
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 777 == 0 { f32::NAN } else { *x * 1e30 })
        .collect();
    let mut comparer = Comparer::new(1).unwrap();
    comparer.push(&sound, &buffer(48_000, &[broken])).unwrap();
    let got = comparer.finish().unwrap();
    assert!(!format!("{got:?}").contains("NaN"), "{got:?}");
    assert!(matches!(Comparer::new(2).unwrap().finish(), Err(Error::Empty)));
    assert!(Comparer::new(0).is_err());
}

#[test]
fn any_block_size_gives_the_same_figures_and_short_ones_lack_some() {
    let signal = music(48_000, 1.5, 2);
    let (reference, degraded) = (buffer(48_000, &signal), buffer(48_000, &with_noise(&signal, 0.01)));
    let by = |block: usize, frames: usize| {
        let mut comparer = Comparer::new(2).unwrap();
        let (mut r, mut d) = (Buffer::new(reference.spec(), block), Buffer::new(reference.spec(), block));
        for start in (0..frames).step_by(block) {
            r.copy_from(&reference, start, block.min(frames - start));
            d.copy_from(&degraded, start, block.min(frames - start));
            comparer.push(&r, &d).unwrap();
        }
        comparer.finish().unwrap()
    };
    let whole = by(72_000, 72_000);
    for block in [1, 1000, 1024, 4097] {
        assert!(by(block, 72_000) == whole, "blocks of {block}");
    }
    let short = by(500, 500);
    assert!(short.perceptual.is_none() && short.snr_db.is_some() && short.log_spectral_distance_db.is_none());
    let half = by(20_000, 20_000).perceptual.unwrap();
    assert!(half.avg_mod_diff1.is_none() && half.two_f_score.is_none() && half.nmr_db.is_finite());
    let mut other = Comparer::new(1).unwrap();
    assert!(matches!(other.push(&reference, &degraded), Err(Error::InvalidValue { .. })));
}

#[test]
fn silence_at_the_ends_of_the_reference_does_not_count() {
    let signal = music(48_000, 2.0, 1);
    let noisy = with_noise(&signal, 0.003);
    let padded = |x: &[Vec<f32>], with: f32| {
        let pad = |n: usize| (0..n).map(|i| if i % 2 == 0 { with } else { -with }).collect::<Vec<f32>>();
        buffer(48_000, &[[pad(40 * 1024), x[0].clone(), pad(60_000)].concat()])
    };
    // The noise in the pauses stays out, as do the pauses: but for where frames reach over the ends.
    let plain = compare(&buffer(48_000, &signal), &buffer(48_000, &noisy)).differences.perceptual.unwrap();
    let params = CompareParams { align: false, ..CompareParams::default() };
    let within = compare_with(&padded(&signal, 0.0), &padded(&noisy, 0.001), &params).unwrap();
    let within = within.differences.perceptual.unwrap();
    assert!(within.frames.abs_diff(plain.frames) <= 2, "{} for {}", within.frames, plain.frames);
    assert!((within.nmr_db - plain.nmr_db).abs() < 0.5, "{} for {}", within.nmr_db, plain.nmr_db);
}

#[test]
fn a_refused_tick_ends_the_work() {
    let audio = buffer(48_000, &music(48_000, 2.0, 1));
    let open = || open(Source::from_audio(&audio).unwrap(), &ReadOptions::default()).unwrap();
    let seen = Cell::new(0);
    let tick = |count: usize| {
        seen.set(seen.get() + count);
        if seen.get() > 20_000 { Err(Error::Cancelled) } else { Ok(()) }
    };
    let got = compare_all(&mut *open(), &mut *open(), &CompareParams::default(), &tick, &|_| Ok(()));
    assert!(matches!(got, Err(Error::Cancelled)) && seen.get() < 40_000);
}
