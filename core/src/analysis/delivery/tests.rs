use super::*;
use crate::analysis::quality::{QualityAnalyser, QualityParams};
use crate::audio::{Buffer, ChannelLayout, Spec};

/// A 997 Hz sine in both channels, as BS.1770 calibrates with: its loudness equals its level in dBFS (RMS plus 3.01) in one channel plus
/// 3.01 for two, minus 3.01 as RMS: -23 dBFS peak reads -23 LUFS.
fn sine(level_dbfs: f64) -> QualityReport {
    let rate = 48_000;
    let amplitude = 10f64.powf(level_dbfs / 20.0);
    let x: Vec<f32> = (0..rate * 10)
        .map(|n| (amplitude * (std::f64::consts::TAU * 997.0 * n as f64 / rate as f64).sin()) as f32)
        .collect();
    let block = Buffer::from_channels(Spec::new(rate as u32, ChannelLayout::STEREO), &[x.clone(), x]);
    let mut analyser = QualityAnalyser::new(block.spec(), QualityParams::default()).unwrap();
    analyser.push(&block).unwrap();
    analyser.finish().unwrap()
}

#[test]
fn each_specification_passes_in_the_middle_of_its_loudness_and_fails_outside() {
    for specification in SPECS {
        for rule in specification.rules.iter().filter(|r| r.quantity == Measured::IntegratedLufs) {
            let middle = (rule.min + rule.max) / 2.0;
            let result = check(&sine(middle), specification);
            assert!(result.passed, "{}: {result:?}", specification.name);
            for wrong in [rule.min - 0.3, rule.max + 0.3] {
                let result = check(&sine(wrong), specification);
                let failed = result.rules.iter().find(|r| r.quantity == Measured::IntegratedLufs).unwrap();
                assert!(
                    !result.passed && !failed.passed && failed.reason.is_some(),
                    "{} at {wrong}",
                    specification.name
                );
            }
        }
    }
}

#[test]
fn audiobooks_are_held_against_level_peak_floor_and_rate() {
    let acx = specification("acx").unwrap();
    // RMS of a sine is 3.01 below its peak: -20 dB RMS; the floor of a steady sine is the sine, and 48 kHz is not 44.1.
    let result = check(&sine(-17.0), acx);
    let passed: Vec<bool> = result.rules.iter().map(|r| r.passed).collect();
    assert_eq!(passed, [true, true, false, false, true]);
    assert!(!result.not_measured.is_empty());
    let loud = check(&sine(-1.0), acx);
    assert!(!loud.rules[0].passed && !loud.rules[1].passed);
}

#[test]
fn names_are_unique_and_wrong_ones_get_a_suggestion() {
    for (index, spec) in SPECS.iter().enumerate() {
        assert!(SPECS[..index].iter().all(|s| s.name != spec.name));
        assert!(!spec.rules.is_empty() && spec.rules.iter().all(|r| !r.source.is_empty() && r.min <= r.max));
    }
    let error = specification("ebu_r182").unwrap_err();
    assert!(error.to_string().contains("ebu_r128"), "{error}");
}
