//! Filters that cannot fit a case of the battery, with the reason. What is left out here is tested in the filter's file.

/// The sound comes last, or never ends: no silence to look at after it.
pub fn ends_with_sound(name: &str) -> bool {
    matches!(name, "reverse")
}

/// Noise is added on purpose, and decays into nothing only below the steps of its format.
pub fn makes_noise(name: &str) -> bool {
    matches!(name, "dither")
}

/// The output is not the input with a delay, so that a correlation shows none.
pub fn has_no_correlation(name: &str) -> bool {
    match name {
        // Another length, rate or channels.
        "trim_silence" | "cut_silence" | "resample" | "channel_mix" | "reverse" | "trim" | "pad" | "speed"
        | "tempo" | "pitch" | "loop" => true,
        // Filters whose phase moves the peak, or that keep too little of noise.
        "denoise_rnn" | "bandpass" | "lowpass" | "allpass" | "butterworth" | "chebyshev1" | "chebyshev2" | "bessel" => {
            true
        }
        // Other channels than came.
        "swap" | "stereo_to_mono" => true,
        // The delay swings, or the product with a sine has no peak.
        "vibrato" | "ring_mod" => true,
        _ => false,
    }
}

/// For the correlation: parameters with look-ahead, where the example has none.
pub fn delayed(name: &str) -> Option<&'static str> {
    match name {
        "limiter" => Some("limiter:ceiling_dbtp=-6"),
        "compressor" => Some("compressor:lookahead_ms=7"),
        "gate" => Some("gate:lookahead_ms=4"),
        "phase_invert" => Some("phase_invert:channels=[2]"),
        "mid_side" => Some(r#"{"type":"mid_side","mid":[{"type":"limiter"}],"side":[{"type":"gain","gain_db":-6}]}"#),
        _ => None,
    }
}

/// The top of a range where the range itself would fill the memory.
pub fn largest(filter: &str, parameter: &str) -> Option<f64> {
    match (filter, parameter) {
        ("pad", _) => Some(2.0),
        ("loop", "count") => Some(20.0),
        _ => None,
    }
}
