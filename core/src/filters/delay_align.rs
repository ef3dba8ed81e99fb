//! Moves channels against each other in time, by fractions of a frame.
//!
//! The part of a frame is done by a sinc under a Kaiser window (T. Laakso et al., "Splitting the unit delay", IEEE SP
//! Magazine 13(1), 1996): 64 taps, flat within 0.01 dB up to 0.85 of the Nyquist frequency. Whole frames are exact.

use std::f64::consts::PI;

use super::delay::Delay;
use super::params::{FilterParams, ParamKind, ParamValue, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::error::{Error, Result};

/// Delays of the channels in order, in milliseconds, -1000 to 1000; negative is earlier. Channels without one stay.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ChannelDelays(pub Vec<f64>);

impl ParamValue for ChannelDelays {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        for (index, delay) in self.0.iter().enumerate() {
            if !(-1_000.0..=1_000.0).contains(delay) {
                let name = format!("{name}[{index}]");
                return Err(Error::OutOfRange { name, value: *delay, min: -1_000.0, max: 1_000.0, unit: "ms" });
            }
        }
        Ok(())
    }
}

filter_params! {
    /// Delays or advances single channels, as for microphones at different distances. Sound travels 34 cm in 1 ms.
    pub struct DelayAlignParams for "delay_align" in Time, realtime true {
        /// Delay of each channel in order, -1000 to 1000 ms; negative is earlier. Channels without one stay.
        delays_ms: ChannelDelays = ChannelDelays::default();
        /// Rounds to whole frames, which are exact, instead of parts of a frame by interpolation.
        whole_frames: bool = false;
    }
}

/// Taps of the interpolation; the sound is delayed by half of them less one.
const TAPS: usize = 64;
const HALF: usize = TAPS / 2 - 1;
/// Frames done at a time.
const CHUNK: usize = 256;

#[derive(Debug, Clone)]
struct Channel {
    delay: Delay,
    /// In reverse order; none for whole frames.
    taps: Option<[f32; TAPS]>,
    /// The last `TAPS - 1` samples and the chunk.
    line: [f32; TAPS - 1 + CHUNK],
}

/// See [`DelayAlignParams`]. Latency is what the earliest channel needs, and 31 frames when there are parts of a frame.
#[derive(Debug)]
pub struct DelayAlign {
    params: DelayAlignParams,
    channels: Vec<Channel>,
}

/// Taps that delay by `HALF + part` frames, `part` of 0 to 1, in reverse order.
fn interpolation(part: f64) -> [f32; TAPS] {
    let beta = 8.0; // side lobes at -80 dB
    let mut taps = [0.0f64; TAPS];
    for (k, tap) in taps.iter_mut().enumerate() {
        let x = k as f64 - HALF as f64 - part;
        let inside = (1.0 - (x / (TAPS as f64 / 2.0)).powi(2)).max(0.0);
        let sinc = if x.abs() < 1e-12 { 1.0 } else { (PI * x).sin() / (PI * x) };
        *tap = sinc * kernels::bessel_i0(beta * inside.sqrt());
    }
    let sum: f64 = taps.iter().sum();
    let mut reversed = [0.0f32; TAPS];
    reversed.iter_mut().zip(taps.iter().rev()).for_each(|(r, t)| *r = (t / sum) as f32);
    reversed
}

impl DelayAlign {
    /// An alignment by `params`.
    pub fn new(params: &DelayAlignParams) -> Self {
        Self { params: params.clone(), channels: Vec::new() }
    }
}

impl Filter for DelayAlign {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.params.check_ranges()?;
        let count = spec.channels();
        if self.params.delays_ms.0.len() > count {
            return Err(Error::InvalidValue {
                name: "delay_align.delays_ms".into(),
                value: format!("{} delays", self.params.delays_ms.0.len()),
                allowed: format!("one per channel, of which there are {count}"),
            });
        }
        let delays: Vec<f64> = (0..count)
            .map(|c| {
                let frames = self.params.delays_ms.0.get(c).unwrap_or(&0.0) * f64::from(spec.rate_hz) / 1000.0;
                // What is closer to a whole frame than any ear or meter can tell is one.
                let whole = frames.round();
                if self.params.whole_frames || (frames - whole).abs() < 1e-6 { whole } else { frames }
            })
            .collect();
        let earliest = delays.iter().copied().fold(0.0, f64::min).floor();
        let interpolates = delays.iter().any(|d| d.fract() != 0.0);
        let latency = (-earliest) as usize + if interpolates { HALF } else { 0 };
        self.channels = delays
            .iter()
            .map(|delay| {
                let total = latency as f64 + delay;
                let part = total.fract();
                let taps = (part != 0.0).then(|| interpolation(part));
                let whole = total.floor() as usize - if taps.is_some() { HALF } else { 0 };
                Channel { delay: Delay::new(whole), taps, line: [0.0; TAPS - 1 + CHUNK] }
            })
            .collect();
        let latest = delays.iter().copied().fold(0.0, f64::max).ceil() as usize;
        let tail_frames = latest + if interpolates { TAPS } else { 0 };
        Ok(Prepared { spec, max_frames, latency_frames: latency, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        for (channel, samples) in self.channels.iter_mut().zip(block.channels_mut()) {
            channel.delay.process(samples);
            let Some(taps) = &channel.taps else { continue };
            for chunk in samples.chunks_mut(CHUNK) {
                let line = &mut channel.line;
                line[TAPS - 1..TAPS - 1 + chunk.len()].copy_from_slice(chunk);
                for (n, y) in chunk.iter_mut().enumerate() {
                    *y = kernels::dot(taps, &line[n..n + TAPS]);
                }
                line.copy_within(chunk.len()..chunk.len() + TAPS - 1, 0);
            }
        }
    }

    fn reset(&mut self) {
        for channel in &mut self.channels {
            channel.delay.reset();
            channel.line.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{counting, sine, through};
    use super::*;
    use crate::filters::FilterSpec;

    #[test]
    fn whole_frames_are_exact_in_both_directions() {
        let x = counting(500);
        for block in [1, 7, 64, 500] {
            let text = r#"{"type":"delay_align","delays_ms":[20,-30]}"#;
            let y = through(text, 1_000, &[x.clone(), x.clone(), x.clone()], block);
            assert!(y[0] == [vec![0.0; 20], x[..480].to_vec()].concat(), "{block}");
            assert!(y[1] == [x[30..].to_vec(), vec![0.0; 30]].concat(), "{block}");
            assert!(y[2] == x);
        }
    }

    #[test]
    fn parts_of_a_frame_move_a_tone_by_just_that() {
        for (frames, hz) in [(0.25, 1_000.0), (-0.5, 10_000.0), (3.7, 18_000.0), (-2.01, 100.0)] {
            let text = format!(r#"{{"type":"delay_align","delays_ms":[{}]}}"#, frames / 44.1);
            let x = sine(hz, 44_100, 4_410);
            let y = through(&text, 44_100, &[x.clone(), x.clone()], 100);
            let step = 2.0 * PI * hz / 44_100.0;
            for n in 200..4_200 {
                let want = 0.5 * (step * (n as f64 - frames)).sin();
                // -80 dB of side lobes under a sine of 0.5.
                assert!((f64::from(y[0][n]) - want).abs() < 1e-4, "{frames} {hz} {n}");
                assert_eq!(y[1][n], x[n], "the other channel stays");
            }
        }
    }

    #[test]
    fn wrong_lists_are_refused() {
        for text in ["[1001]", "[0, -1e9]", "[null]", "[\"1\"]"] {
            assert!(FilterSpec::parse(&format!(r#"{{"type":"delay_align","delays_ms":{text}}}"#)).is_err(), "{text}");
        }
        let mut filter = FilterSpec::parse(r#"{"type":"delay_align","delays_ms":[1,2,3]}"#).unwrap().build().unwrap();
        let stereo = Spec::new(48_000, crate::audio::ChannelLayout::STEREO);
        assert!(filter.prepare(stereo, 64).is_err());
    }
}
