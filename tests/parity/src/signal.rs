//! Signals that are the same in every language: each sample is a short binary fraction.

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::{Error, Result};
use serde_json::Value;

use crate::Failure;

/// Rate and layout of `signal`.
pub fn spec(signal: &Value) -> Result<Spec, Failure> {
    let number = |key: &str, default: u64| signal.get(key).and_then(Value::as_u64).unwrap_or(default);
    let layout = match signal.get("layout").and_then(Value::as_str) {
        Some(name) => ChannelLayout::parse(name).ok_or_else(|| Error::InvalidValue {
            name: "layout".into(),
            value: name.into(),
            allowed: "mono, stereo, 5.1, ... or a count".into(),
        })?,
        None => ChannelLayout::from_count(number("channels", 1) as usize),
    };
    Ok(Spec::new(number("rate_hz", 48_000) as u32, layout))
}

/// The samples of `signal`.
pub fn make(signal: &Value) -> Result<Buffer, Failure> {
    let spec = spec(signal)?;
    let number = |key: &str| signal.get(key).and_then(Value::as_u64).unwrap_or(0);
    let frames = number("frames") as usize;
    let gain = signal.get("gain").and_then(Value::as_f64).unwrap_or(1.0) as f32;
    let kind = signal.get("kind").and_then(Value::as_str).unwrap_or("");
    let mut planes = Vec::new();
    for channel in 0..spec.channels() as u64 {
        let plane: Vec<f32> = match kind {
            "noise" => {
                let mut state = (number("seed") + channel) as u32;
                let next = |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((state >> 8) as f32 / 8_388_608.0 - 1.0) * gain
                };
                (0..frames).map(next).collect()
            }
            "square" => {
                let period = number("period_frames").max(1);
                let sign = if channel % 2 == 1 { -gain } else { gain };
                (0..frames as u64).map(|f| if f % period < period / 2 { sign } else { -sign }).collect()
            }
            "ramp" => (0..frames as u64).map(|f| (((f + channel) % 256) as f32 / 128.0 - 1.0) * gain).collect(),
            "impulse" => (0..frames as u64).map(|f| if f == number("at") { gain } else { 0.0 }).collect(),
            "silence" => vec![0.0; frames],
            other => return Err(Failure::Case(format!("unknown signal '{other}'"))),
        };
        planes.push(plane);
    }
    Ok(Buffer::from_channels(spec, &planes))
}
