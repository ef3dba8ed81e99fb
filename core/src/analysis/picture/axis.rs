//! Scales and ticks of axes, for pictures and for pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::features::mel::{hz_to_mel, mel_to_hz};

/// How frequencies lie along an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FrequencyScale {
    /// Every Hz has the same room.
    #[default]
    Linear,
    /// Every octave has the same room.
    Log,
    /// As pitch is heard: linear below 1 kHz, logarithmic above (Slaney).
    Mel,
}

impl FrequencyScale {
    /// All scales.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Log, Self::Mel];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::Mel => "mel",
        }
    }

    fn warp(self, hz: f64) -> f64 {
        match self {
            Self::Linear => hz,
            Self::Log => hz.max(1e-3).ln(),
            Self::Mel => hz_to_mel(hz, false),
        }
    }

    /// Where a frequency lies between the ends of an axis, 0 to 1.
    pub(crate) fn place(self, hz: f64, (low_hz, high_hz): (f64, f64)) -> f64 {
        let (low, high) = (self.warp(low_hz), self.warp(high_hz));
        (self.warp(hz) - low) / (high - low)
    }

    /// The frequency at a place between the ends of an axis, 0 to 1.
    pub(crate) fn hz(self, place: f64, (low_hz, high_hz): (f64, f64)) -> f64 {
        let (low, high) = (self.warp(low_hz), self.warp(high_hz));
        let at = low + place * (high - low);
        match self {
            Self::Linear => at,
            Self::Log => at.exp(),
            Self::Mel => mel_to_hz(at, false),
        }
    }

    /// Frequencies to name along an axis on which at most `most` have room.
    pub(crate) fn ticks(self, ends: (f64, f64), most: usize) -> Vec<f64> {
        let inside = |hz: &f64| (ends.0..=ends.1).contains(hz);
        if self == Self::Linear {
            return ticks(ends.0, ends.1, most);
        }
        const ROUND: [f64; 14] = [20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 64e3, 128e3, 256e3];
        let all: Vec<f64> = ROUND.into_iter().filter(inside).collect();
        // Those that have room, seen from the top: names of high frequencies are what one looks for.
        let apart = 1.0 / most.max(1) as f64;
        let mut kept: Vec<f64> = Vec::new();
        for hz in all.into_iter().rev() {
            if kept.last().is_none_or(|last| self.place(*last, ends) - self.place(hz, ends) >= apart) {
                kept.push(hz);
            }
        }
        kept.reverse();
        kept
    }
}

/// Round values from `low` to `high`, at most `most` of them (but two steps at least when `most` is small).
pub(crate) fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let raw = (high - low) / most.max(2) as f64;
    if !(raw.is_finite() && raw > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999).unwrap_or(10.0 * power);
    multiples(step, low, high)
}

/// Round times up to `end_s`.
pub(crate) fn time_ticks(end_s: f64, most: usize) -> Vec<f64> {
    const STEPS_S: [f64; 11] = [2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0];
    let raw = end_s / most.max(1) as f64;
    if !(raw.is_finite() && raw > 0.0) {
        return vec![0.0];
    }
    if raw <= 1.0 {
        return ticks(0.0, end_s, most);
    }
    let hours = || (raw / 3600.0).ceil() * 3600.0;
    multiples(STEPS_S.into_iter().find(|s| *s >= raw).unwrap_or_else(hours), 0.0, end_s)
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    (0..).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= high + step * 1e-9).collect()
}

/// A time as people write it: `0.25 s` under two seconds, `1:05` and `1:02:03` above.
pub(crate) fn time_text(seconds: f64, end_s: f64) -> String {
    if end_s <= 2.0 {
        return format!("{} s", short(seconds));
    }
    let tenths = (seconds * 10.0).round().max(0.0) as u64;
    let (h, m, s, t) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    let rest = if t > 0 { format!(".{t}") } else { String::new() };
    if h > 0 { format!("{h}:{m:02}:{s:02}{rest}") } else { format!("{m}:{s:02}{rest}") }
}

/// A frequency as people write it: `500`, `1k`, `22.05k`.
pub(crate) fn hz_text(hz: f64) -> String {
    if hz >= 1000.0 { format!("{}k", short(hz / 1000.0)) } else { short(hz) }
}

/// Up to three decimals, without zeros at the end.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_frequencies_are_each_others_inverse() {
        for scale in FrequencyScale::ALL {
            assert_eq!(serde_json::to_value(scale).unwrap(), scale.name());
            let ends = (20.0, 24_000.0);
            assert!(scale.place(20.0, ends).abs() < 1e-12 && (scale.place(24_000.0, ends) - 1.0).abs() < 1e-12);
            for hz in [25.0, 440.0, 1000.0, 9999.0] {
                assert!((scale.hz(scale.place(hz, ends), ends) / hz - 1.0).abs() < 1e-9, "{scale:?} {hz}");
            }
        }
        // Two octaves of four from the bottom are the middle of a logarithmic axis.
        assert!((FrequencyScale::Log.place(400.0, (100.0, 1600.0)) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn ticks_are_round_and_no_more_than_have_room() {
        assert_eq!(ticks(-100.0, 0.0, 5), [-100.0, -80.0, -60.0, -40.0, -20.0, 0.0]);
        assert_eq!(ticks(0.0, 24_000.0, 6), [0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0]);
        assert_eq!(ticks(0.0, 0.0, 6), Vec::<f64>::new());
        assert_eq!(time_ticks(24.0, 6), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(time_ticks(7200.0, 8), [0.0, 900.0, 1800.0, 2700.0, 3600.0, 4500.0, 5400.0, 6300.0, 7200.0]);
        assert_eq!(time_ticks(0.0, 8), [0.0]);
        assert_eq!(time_ticks(360_000.0, 10).len(), 11);
        assert_eq!(FrequencyScale::Log.ticks((20.0, 24_000.0), 20).len(), 10);
        assert_eq!(FrequencyScale::Log.ticks((20.0, 24_000.0), 3), [50.0, 1000.0, 16_000.0]);
        for most in [3, 10, 30] {
            for scale in FrequencyScale::ALL {
                let got = scale.ticks((20.0, 22_050.0), most);
                assert!(!got.is_empty() && got.len() <= most + 1, "{scale:?} {most}: {got:?}");
            }
        }
    }

    #[test]
    fn texts_are_short() {
        assert_eq!([0.0, 65.0, 3723.5].map(|s| time_text(s, 4000.0)), ["0:00", "1:05", "1:02:03.5"]);
        assert_eq!(time_text(0.25, 1.0), "0.25 s");
        assert_eq!([500.0, 1000.0, 22_050.0].map(hz_text), ["500", "1k", "22.05k"]);
        assert_eq!([-0.0001, 1.5, 100.0].map(short), ["0", "1.5", "100"]);
    }
}
