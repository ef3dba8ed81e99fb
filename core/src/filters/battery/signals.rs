//! Silence, what follows sound, and samples that are no numbers.

use super::*;

#[test]
fn silence_gives_silence() {
    for info in filters().iter().filter(|f| !exceptions::makes_noise(f.name)) {
        let mut filter = active(info.name).build().unwrap();
        let frames = 20_000;
        let mut input = Buffer::new(stereo(), frames);
        input.append_silence(frames);
        let prepared = filter.prepare(stereo(), frames).unwrap();
        for channel in run(filter.as_mut(), &prepared, &input, || 480) {
            assert!(channel.iter().all(|y| y.abs() < 1e-6), "{}", info.name); // -120 dBFS
        }
    }
}

#[test]
fn after_sound_comes_silence_and_no_denormal_numbers() {
    for info in filters() {
        if exceptions::ends_with_sound(info.name) || exceptions::makes_noise(info.name) {
            continue;
        }
        let mut filter = active(info.name).build().unwrap();
        let mut input = signal(stereo(), 9_000);
        let tail_frames = filter.prepare(stereo(), 480).unwrap().tail_frames;
        // The stated tail is that to -100 dB; four times that and the slowest release end below any f32.
        input.append_silence(44_100 * 4 + 4 * tail_frames);
        let prepared = filter.prepare(stereo(), 480).unwrap();
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
        for poison in [f32::NAN, f32::NEG_INFINITY, f32::MAX] {
            let mut filter = active(info.name).build().unwrap();
            let prepared = filter.prepare(stereo(), 480).unwrap();
            // Within a cell of 256 frames, a window of the noise reduction, or what is on its way.
            let rate = f64::from(prepared.spec.rate_hz) / 44_100.0;
            let clean_from = ((3_001.0 + 256.0 + 2_048.0) * rate) as usize + prepared.latency_frames + 1_000;
            let mut input = signal(stereo(), 2 * clean_from + 8_000);
            input.channel_mut(0)[3_000] = poison;
            input.channel_mut(1)[3_001] = poison;
            let got = run(filter.as_mut(), &prepared, &input, || 480);
            for channel in &got {
                // A filter that cuts may leave less than went in.
                let late = &channel[clean_from.min(channel.len() / 2)..];
                assert!(late.iter().all(|y| y.is_finite()), "{}: {poison} stays", info.name);
            }
            // And wholly after reset.
            filter.reset();
            let clean = signal(stereo(), 5_000);
            let after = run(filter.as_mut(), &prepared, &clean, || 480);
            let mut fresh = active(info.name).build().unwrap();
            let prepared = fresh.prepare(stereo(), 480).unwrap();
            let want = run(fresh.as_mut(), &prepared, &clean, || 480);
            assert!(same_bits(&after, &want), "{}: {poison} outlives reset", info.name);
        }
    }
}

#[test]
fn in_a_chain_the_output_is_finite_and_what_was_not_is_counted() {
    for info in filters() {
        let mut chain = Chain::new(&[active(info.name)]).unwrap();
        chain.prepare(stereo(), 480).unwrap();
        let mut input = signal(stereo(), 4_800);
        for (at, poison) in [(100, f32::NAN), (700, f32::INFINITY), (1_300, f32::NEG_INFINITY), (1_301, f32::NAN)] {
            input.channel_mut(0)[at] = poison;
            input.channel_mut(1)[at + 1] = poison;
        }
        let mut block = chain.new_block().unwrap();
        for at in (0..4_800).step_by(480) {
            block.copy_from(&input, at, 480);
            chain.process(&mut block);
            assert!(block.channels().flatten().all(|y| y.is_finite()), "{}", info.name);
        }
        assert_eq!(chain.non_finite_samples(), 8, "{}", info.name);
    }
}
