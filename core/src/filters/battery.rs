//! What holds for every filter, checked for every filter of the registry.

use serde_json::{Map, Value, json};

use super::params::ParamKind;
use super::*;
use crate::audio::ChannelLayout;

/// Defaults that do nothing are replaced by something that does.
fn active(name: &str) -> FilterSpec {
    let text = match name {
        "gain" => "gain:gain_db=-3",
        "low_shelf" => "low_shelf:gain_db=4",
        "high_shelf" => "high_shelf:gain_db=-5",
        "peak_eq" => "peak_eq:gain_db=6",
        "tilt_eq" => "tilt_eq:gain_db=3",
        "limiter" => "limiter:ceiling_dbtp=-12",
        "gate" => "gate:threshold_dbfs=-20",
        "expander" => "expander:threshold_dbfs=-15",
        "de_esser" => "de_esser:threshold_db=-30",
        "ducker" => "ducker:key_channel=1",
        "clipper" => "clipper:drive_db=12",
        "stereo" => "stereo:balance_percent=20,width_percent=150",
        "resample" => "resample:rate_hz=32000",
        "fade" => "fade:in_ms=30,out_ms=70",
        "channel_mix" => "channel_mix:to=mono",
        "notch" => "notch:harmonics=3",
        "convolution" => r#"{"type":"convolution","taps":[[0.5,-0.25,0,0,0.125]]}"#,
        "parametric_eq" => {
            r#"{"type":"parametric_eq","bands":[{"frequency_hz":900,"gain_db":5},{"type":"high_shelf","gain_db":-4}]}"#
        }
        "graphic_eq" => r#"{"type":"graphic_eq","gains_db":[3,-6,0,4,-2,8]}"#,
        "dynamic_eq" => "dynamic_eq:threshold_dbfs=-40",
        "fir_eq" => {
            r#"{"type":"fir_eq","points":[{"frequency_hz":200,"gain_db":-6},{"frequency_hz":2000,"gain_db":4}]}"#
        }
        "crossover" => r#"{"type":"crossover","gains_db":[3,-3]}"#,
        "pan" => "pan:position_percent=30",
        "balance" => "balance:balance_percent=-40",
        "width" => "width:width_percent=160",
        "remap" => r#"{"type":"remap","channels":[2,1]}"#,
        // At 16 bits its noise is above what counts as silence here.
        "dither" => "dither:bits=24",
        "trim" => "trim:start_s=0.02,end_s=5",
        "pad" => "pad:start_s=0.05,end_s=0.02",
        "speed" => "speed:factor=1.3",
        "cut_silence" => "cut_silence:min_pause_ms=50,keep_ms=20,threshold_dbfs=-30",
        "delay_align" => r#"{"type":"delay_align","delays_ms":[1.234,-2.5]}"#,
        "pitch" => "pitch:semitones=3",
        "tempo" => "tempo:factor=0.8",
        "loop" => "loop:count=2,crossfade_ms=20",
        other => other,
    };
    FilterSpec::parse(text).unwrap()
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut seed = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..count)
        .map(|n| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Bursts and pauses, so that dynamics have something to do.
            let level = if (n / 3_000) % 3 == 2 { 0.003 } else { 0.6 };
            level * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

fn signal(spec: Spec, frames: usize) -> Buffer {
    let planes: Vec<_> = (0..spec.channels()).map(|c| noise(frames, c as u32 + 1)).collect();
    Buffer::from_channels(spec, &planes)
}

/// Room for whatever the filter makes.
fn room(spec: Spec, prepared: &Prepared, block: usize) -> Buffer {
    let widest = spec.channels().max(prepared.spec.channels());
    Buffer::new(Spec::new(spec.rate_hz, ChannelLayout::discrete(widest)), block.max(prepared.max_frames))
}

/// All output of a filter for `input` in blocks whose lengths `split` gives, `finish` included.
fn run(
    filter: &mut dyn Filter,
    prepared: &Prepared,
    input: &Buffer,
    mut split: impl FnMut() -> usize,
) -> Vec<Vec<f32>> {
    let mut work = room(input.spec(), prepared, input.frames().max(1));
    let mut out = vec![Vec::new(); prepared.spec.channels()];
    let mut take = |b: &Buffer| out.iter_mut().zip(b.channels()).for_each(|(o, c)| o.extend_from_slice(c));
    let mut at = 0;
    while at < input.frames() {
        let count = split().clamp(1, input.frames() - at);
        work.copy_from(input, at, count);
        filter.process(&mut work);
        assert!(work.frames() <= prepared.max_frames);
        take(&work);
        at += count;
    }
    loop {
        work.set_spec(input.spec());
        filter.finish(&mut work);
        if work.is_empty() {
            return out;
        }
        take(&work);
    }
}

fn same_bits(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits()))
}

fn stereo() -> Spec {
    Spec::new(44_100, ChannelLayout::STEREO)
}

#[test]
fn any_split_into_blocks_gives_the_same_bits_and_reset_equals_new() {
    for info in filters() {
        let input = signal(stereo(), 30_000);
        let spec = active(info.name);
        let mut filter = spec.build().unwrap();
        let prepared = filter.prepare(stereo(), input.frames()).unwrap();
        let want = run(filter.as_mut(), &prepared, &input, || usize::MAX);
        filter.reset();
        let again = run(filter.as_mut(), &prepared, &input, || usize::MAX);
        assert!(same_bits(&want, &again), "{}: reset is not as new", info.name);
        for block in [1usize, 7, 64, 480, 4_096] {
            // Block by block with the largest block prepared: what is ready does not depend on that.
            filter.reset();
            let got = run(filter.as_mut(), &prepared, &input, || block);
            assert!(same_bits(&want, &got), "{}: blocks of {block} differ", info.name);
            // And prepared for just that block.
            let mut small = spec.build().unwrap();
            let prepared = small.prepare(stereo(), block).unwrap();
            let got = run(small.as_mut(), &prepared, &input, || block);
            assert!(same_bits(&want, &got), "{}: prepared for blocks of {block} differs", info.name);
        }
        filter.reset();
        let mut seed = 7u32;
        let got = run(filter.as_mut(), &prepared, &input, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 20) as usize % 1_500 + 1
        });
        assert!(same_bits(&want, &got), "{}: random blocks differ", info.name);
    }
}

#[test]
fn silence_gives_silence() {
    for info in filters() {
        let mut filter = active(info.name).build().unwrap();
        let mut input = Buffer::new(stereo(), 50_000);
        input.append_silence(50_000);
        let prepared = filter.prepare(stereo(), 50_000).unwrap();
        for channel in run(filter.as_mut(), &prepared, &input, || 480) {
            assert!(channel.iter().all(|y| y.abs() < 1e-6), "{}", info.name); // -120 dBFS
        }
    }
}

#[test]
fn after_sound_comes_silence_and_no_denormal_numbers() {
    for info in filters() {
        if info.name == "reverse" {
            continue; // the sound comes last
        }
        let mut filter = active(info.name).build().unwrap();
        let mut input = signal(stereo(), 20_000);
        input.append_silence(44_100 * 8);
        let prepared = filter.prepare(stereo(), input.frames()).unwrap();
        for channel in run(filter.as_mut(), &prepared, &input, || 480) {
            let end = &channel[channel.len() - channel.len() / 8..];
            assert!(end.iter().all(|y| y.abs() < 1e-6), "{}", info.name);
            assert!(!end.iter().any(|y| y.is_subnormal()), "{}: denormal output", info.name);
        }
    }
}

#[test]
fn nan_and_infinity_are_forgotten() {
    for info in filters() {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut filter = active(info.name).build().unwrap();
            // Longer than the longest latency.
            let mut input = signal(stereo(), 80_000);
            input.channel_mut(0)[5_000] = poison;
            input.channel_mut(1)[5_001] = poison;
            let prepared = filter.prepare(stereo(), input.frames()).unwrap();
            let got = run(filter.as_mut(), &prepared, &input, || 480);
            // Within a cell of 256 frames, a window of the noise reduction, or what is on its way.
            let rate = f64::from(prepared.spec.rate_hz) / 44_100.0;
            let clean_from = ((5_001.0 + 256.0 + 2_048.0) * rate) as usize + prepared.latency_frames + 1_000;
            for channel in &got {
                let late = &channel[clean_from.min(channel.len())..];
                assert!(late.len() > 1_000, "{}", info.name);
                assert!(late.iter().all(|y| y.is_finite()), "{}: {poison} stays", info.name);
            }
            // And wholly after reset.
            filter.reset();
            let clean = signal(stereo(), 10_000);
            let after = run(filter.as_mut(), &prepared, &clean, || 480);
            let mut fresh = active(info.name).build().unwrap();
            let prepared = fresh.prepare(stereo(), input.frames()).unwrap();
            let want = run(fresh.as_mut(), &prepared, &clean, || 480);
            assert!(same_bits(&after, &want), "{}: {poison} outlives reset", info.name);
        }
    }
}

/// A filter with one parameter at the end of its range.
fn extreme(info: &FilterInfo, index: usize, top: bool) -> Option<FilterSpec> {
    let param = &info.parameters[index];
    let value = match param.kind {
        ParamKind::Number => json!(if top { param.max? } else { param.min? }),
        ParamKind::Integer => json!(if top { param.max? as u64 } else { param.min? as u64 }),
        ParamKind::Boolean => json!(top),
        ParamKind::Choice => json!(if top { param.choices.last()? } else { param.choices.first()? }),
        ParamKind::Layout => json!(if top { "7.1" } else { "mono" }),
        ParamKind::Matrix | ParamKind::List | ParamKind::Text => return None,
    };
    // Lengths of output that would fill the memory.
    let value = match (info.name, param.name) {
        ("pad", _) if top => json!(2.0),
        ("loop", "count") if top => json!(20),
        _ => value,
    };
    let mut object: Map<String, Value> = Map::new();
    object.insert("type".into(), json!(info.name));
    object.insert(param.name.into(), value);
    Some(FilterSpec::from_json(Value::Object(object)).unwrap())
}

#[test]
fn every_parameter_at_its_ends_stays_finite_at_every_rate_and_channel_count() {
    for info in filters() {
        let mut specs = vec![active(info.name)];
        for index in 0..info.parameters.len() {
            specs.extend([false, true].into_iter().filter_map(|top| extreme(&info, index, top)));
        }
        let mut prepared_once = false;
        for spec in specs {
            for rate_hz in [8_000u32, 11_025, 44_100, 48_000, 192_000] {
                // All channel counts at one rate, the usual ones at the others.
                let counts = if rate_hz == 48_000 && info.name != "denoise_rnn" { 1..=8 } else { 1..=2 };
                for channels in counts {
                    let stream = Spec::new(rate_hz, ChannelLayout::from_count(channels));
                    let mut filter = spec.build().unwrap();
                    // What does not fit a stream is refused with an error; what is accepted works.
                    let Ok(prepared) = filter.prepare(stream, 1_024) else { continue };
                    prepared_once = true;
                    let input = signal(stream, 4_096);
                    let out = run(filter.as_mut(), &prepared, &input, || 1_024);
                    for channel in out {
                        assert!(
                            channel.iter().all(|y| y.is_finite() && y.abs() < 1e5),
                            "{spec:?} {rate_hz} {channels}"
                        );
                    }
                }
            }
        }
        assert!(prepared_once, "{}", info.name);
    }
}

#[test]
fn latency_is_what_is_stated() {
    for info in filters() {
        // Filters that pass sound more or less as it is, so that the correlation has a peak at the delay.
        let spec = match info.name {
            "limiter" => "limiter:ceiling_dbtp=-6".to_owned(),
            "compressor" => "compressor:lookahead_ms=7".to_owned(),
            "gate" => "gate:lookahead_ms=4".to_owned(),
            "phase_invert" => "phase_invert:channels=[2]".to_owned(),
            "denoise_rnn" | "trim_silence" | "resample" | "channel_mix" | "bandpass" | "lowpass" | "allpass"
            // The delay swings, or the product with a sine has no peak.
            | "vibrato" | "ring_mod" => {
                continue;
            }
            // Low-passes delay what they pass; the others give other channels than they take, and are tested in their files.
            "butterworth" | "chebyshev1" | "chebyshev2" | "bessel" | "swap" | "stereo_to_mono" => continue,
            "reverse" => continue, // no delay that a correlation could show
            name => name.to_owned(),
        };
        let mut filter = FilterSpec::parse(&spec).unwrap().build().unwrap();
        let prepared = filter.prepare(stereo(), 60_000).unwrap();
        let mut input = signal(stereo(), 12_000);
        input.append_silence(prepared.latency_frames);
        let out = run(filter.as_mut(), &prepared, &input, || 512);
        let (x, y) = (input.channel(0), &out[0]);
        let correlate =
            |lag: usize| (0..12_000).map(|n| f64::from(x[n]) * f64::from(*y.get(n + lag).unwrap_or(&0.0))).sum::<f64>();
        let around = prepared.latency_frames.saturating_sub(50)..=prepared.latency_frames + 50;
        let best = around.max_by(|a, b| correlate(*a).total_cmp(&correlate(*b))).unwrap();
        assert_eq!(best, prepared.latency_frames, "{}", info.name);
    }
}

#[test]
fn what_is_not_prepared_leaves_the_block_alone_or_silent_and_does_not_panic() {
    for info in filters() {
        let mut filter = active(info.name).build().unwrap();
        let mut block = signal(stereo(), 64);
        filter.process(&mut block);
        filter.finish(&mut block);
        filter.reset();
    }
}
