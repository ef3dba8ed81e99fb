//! Any split of a stream into blocks gives the same bits, and `reset` equals new.

use super::*;

/// The output in blocks of `block` of a filter that is prepared for just that.
fn in_blocks(spec: &FilterSpec, input: &Buffer, block: usize) -> Vec<Vec<f32>> {
    let mut filter = spec.build().unwrap();
    let prepared = filter.prepare(input.spec(), block).unwrap();
    run(filter.as_mut(), &prepared, input, || block)
}

#[test]
fn any_split_into_blocks_gives_the_same_bits_and_reset_equals_new() {
    for info in filters() {
        let input = signal(stereo(), 12_000);
        let spec = active(info.name);
        let mut filter = spec.build().unwrap();
        let prepared = filter.prepare(stereo(), input.frames()).unwrap();
        let want = run(filter.as_mut(), &prepared, &input, || usize::MAX);
        filter.reset();
        let again = run(filter.as_mut(), &prepared, &input, || usize::MAX);
        assert!(same_bits(&want, &again), "{}: reset is not as new", info.name);
        let blocks: &[usize] = if heavy(&info, &prepared) { &[7, 480] } else { &[1, 7, 64, 480, 4_096] };
        for block in blocks {
            let got = in_blocks(&spec, &input, *block);
            assert!(same_bits(&want, &got), "{}: prepared for blocks of {block} differs", info.name);
        }
        // Blocks of changing length with the largest block prepared: what is ready does not depend on that.
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
fn other_rates_and_channel_counts_do_not_show_the_block_size_either() {
    for info in filters() {
        let spec = active(info.name);
        for (rate_hz, channels) in [(8_000, 1), (192_000, 2), (48_000, 8)] {
            let stream = Spec::new(rate_hz, ChannelLayout::from_count(channels));
            let input = signal(stream, 3_500);
            let mut filter = spec.build().unwrap();
            let Ok(prepared) = filter.prepare(stream, input.frames()) else { continue };
            if heavy(&info, &prepared) && channels > 2 {
                continue;
            }
            let want = run(filter.as_mut(), &prepared, &input, || usize::MAX);
            assert!(same_bits(&want, &in_blocks(&spec, &input, 37)), "{}: {rate_hz} Hz, {channels}", info.name);
        }
    }
}

#[test]
fn a_curve_on_any_live_parameter_does_not_show_the_block_size() {
    for info in filters() {
        let frames = 3_000;
        for (index, param) in info.parameters.iter().enumerate().filter(|(_, p)| p.live) {
            let (Some(min), Some(max)) = (param.min, param.max) else { continue };
            let max = if param.unit == "Hz" { max.min(15_000.0) } else { max };
            // From end to end, and a jump.
            let (min, now) = (min.min(max), active(info.name).number(index).unwrap().min(max));
            let points = vec![(0.0, now), (0.01, min), (0.03, max), (0.031, max), (0.031, now)];
            let spec = active(info.name).with_curve(param.name, Curve::new(points)).unwrap();
            let input = signal(stereo(), frames);
            let mut filter = spec.build().unwrap();
            let prepared = filter.prepare(stereo(), frames).unwrap();
            let want = run(filter.as_mut(), &prepared, &input, || usize::MAX);
            for (channel, out) in want.iter().enumerate() {
                assert!(out.iter().all(|y| y.is_finite()), "{}.{}: channel {channel}", info.name, param.name);
            }
            assert!(same_bits(&want, &in_blocks(&spec, &input, 61)), "{}.{} in blocks", info.name, param.name);
            filter.reset();
            let again = run(filter.as_mut(), &prepared, &input, || 500);
            assert!(same_bits(&want, &again), "{}.{} after reset", info.name, param.name);
        }
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
