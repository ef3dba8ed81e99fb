//! Speech quality without a reference: DNSMOS P.835, a network that was trained on what listeners said of speech, its noise, and both.
//!
//! C. K. A. Reddy, V. Gopal, R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to evaluate noise
//! suppressors", ICASSP 2022. The network hears windows of 9.01 s at 16 kHz; the raw answers go through the polynomials of the authors' script
//! (package `speechmos`, `dnsmos.py`), which hears a window each second. Here at most [`HEARD`] windows are heard, spread over the recording,
//! those in which somebody speaks most of the time: a window costs half a second on one core.

use std::sync::Arc;

use rten::{Model, RunOptions, ThreadPool, Value};

use super::SpeechQuality;
use crate::analysis::activity::Segment;
use crate::error::{Error, Result};

static NETWORK: &[u8] = include_bytes!("model/dnsmos-p835.onnx");

/// Samples of a window at 16 kHz: 9.01 s.
const WINDOW: usize = 144_160;
const RATE_HZ: f64 = 16_000.0;
/// Windows that are kept until it is known where somebody speaks. With one more, every second is dropped and every second one comes.
const KEPT: usize = 16;
/// Windows that are heard in the end.
const HEARD: usize = 8;
/// Share of a window in which somebody must speak: what the network says of music and noise means nothing.
const SPOKEN: f64 = 0.5;

/// Coefficients of x², x and 1 for signal, background and overall.
const TO_MOS: [[f64; 3]; 3] = [
    [-0.083_972_78, 1.220_839_53, 0.005_243_9],
    [-0.131_668_88, 1.609_155_14, -0.396_045_46],
    [-0.067_662_83, 1.115_464_68, 0.046_025_35],
];

/// Keeps windows of a stream at 16 kHz, bounded: 10 MB.
pub(super) struct SpeechQualityMeter {
    /// Number of the window, and its samples.
    kept: Vec<(u64, Vec<f32>)>,
    filling: Vec<f32>,
    /// Number of the window that is being filled.
    number: u64,
    /// One of so many windows is kept.
    stride: u64,
}

impl SpeechQualityMeter {
    pub fn new() -> Self {
        Self { kept: Vec::new(), filling: Vec::new(), number: 0, stride: 1 }
    }

    pub fn push(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at((WINDOW - self.filling.len()).min(samples.len()));
            self.filling.extend_from_slice(now);
            samples = later;
            if self.filling.len() == WINDOW {
                self.keep();
            }
        }
    }

    fn keep(&mut self) {
        if self.number.is_multiple_of(self.stride) {
            if self.kept.len() == KEPT {
                self.stride *= 2;
                self.kept.retain(|(number, _)| number.is_multiple_of(self.stride));
            }
            if self.number.is_multiple_of(self.stride) {
                self.kept.push((self.number, std::mem::take(&mut self.filling)));
            }
        }
        self.filling.clear();
        self.number += 1;
    }

    /// The quality where somebody speaks; none when that is too little. `go_on` is asked before each window.
    pub fn finish(mut self, voice: &[Segment], go_on: &dyn Fn() -> Result<()>) -> Result<Option<SpeechQuality>> {
        if self.kept.is_empty() && self.filling.len() >= WINDOW / 9 {
            // A short recording is heard over and over, as the authors' script does. Below a second it does not say enough.
            let heard_s = self.filling.len() as f64 / RATE_HZ;
            if spoken(voice, 0.0, heard_s) < SPOKEN {
                return Ok(None);
            }
            self.kept.push((0, self.filling.iter().copied().cycle().take(WINDOW).collect()));
        } else {
            let length_s = WINDOW as f64 / RATE_HZ;
            let share = |number: u64| spoken(voice, number as f64 * length_s, length_s);
            self.kept.retain(|(number, _)| share(*number) >= SPOKEN);
            self.kept.sort_by(|(a, _), (b, _)| share(*b).total_cmp(&share(*a)).then(a.cmp(b)));
            self.kept.truncate(HEARD);
        }
        if self.kept.is_empty() {
            return Ok(None);
        }
        let network = Network::new()?;
        let mut sums = [0.0; 3];
        for (_, samples) in &self.kept {
            go_on()?;
            for ((sum, raw), [square, linear, constant]) in sums.iter_mut().zip(network.hear(samples)?).zip(TO_MOS) {
                let raw = f64::from(raw);
                *sum += (square * raw + linear) * raw + constant;
            }
        }
        let windows = self.kept.len() as u32;
        let [signal_mos, background_mos, overall_mos] = sums.map(|sum| sum / f64::from(windows));
        Ok(Some(SpeechQuality { signal_mos, background_mos, overall_mos, windows }))
    }
}

/// Share of `length_s` from `start_s` on in which somebody speaks.
fn spoken(voice: &[Segment], start_s: f64, length_s: f64) -> f64 {
    let end_s = start_s + length_s;
    let within = voice.iter().map(|v| (v.end_s.min(end_s) - v.start_s.max(start_s)).max(0.0));
    within.sum::<f64>() / length_s
}

struct Network {
    model: Model,
    options: RunOptions,
}

impl Network {
    fn new() -> Result<Self> {
        let model = Model::load_static_slice(NETWORK).map_err(broken)?;
        // One thread: others have work of their own to do.
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        Ok(Self { model, options: RunOptions::default().with_thread_pool(Some(pool)) })
    }

    /// Raw answers on signal, background and overall.
    fn hear(&self, samples: &[f32]) -> Result<[f32; 3]> {
        let input = Value::from_shape(&[1, WINDOW], samples.to_vec()).map_err(broken)?;
        let answer = self.model.run_one(input.into(), Some(self.options.clone())).map_err(broken)?;
        let (_, answer) = answer.into_shape_vec::<f32, 2>().map_err(broken)?;
        answer.try_into().map_err(|_| broken("not three numbers"))
    }
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::internal(format!("network of speech quality: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half seconds of noise and of soft noise, the same everywhere.
    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        };
        (0..count).map(|i| random() * (0.1 * ((i / 8_000) % 2) as f32 + 0.02)).collect()
    }

    fn all_of(length_s: f64) -> Vec<Segment> {
        vec![Segment { start_s: 0.0, end_s: length_s }]
    }

    /// Raw answers of ONNX Runtime 1.x to the same samples.
    #[test]
    fn answers_as_the_reference_runtime_does() {
        let raw = Network::new().unwrap().hear(&noise(WINDOW)).unwrap();
        for (ours, reference) in raw.iter().zip([1.014_183_3, 1.030_458_6, 0.996_171_24]) {
            assert!((ours - reference).abs() < 1e-4, "{raw:?}");
        }
    }

    #[test]
    fn windows_are_bounded_and_spread_and_any_split_is_the_same() {
        let samples: Vec<f32> = (0..WINDOW * 70 + 5).map(|i| (i / WINDOW) as f32).collect();
        let (mut whole, mut split) = (SpeechQualityMeter::new(), SpeechQualityMeter::new());
        whole.push(&samples);
        samples.chunks(77_777).for_each(|piece| split.push(piece));
        let numbers = |meter: &SpeechQualityMeter| meter.kept.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers(&whole), (0..70).step_by(8).collect::<Vec<u64>>());
        assert_eq!(whole.kept, split.kept);
        assert!(whole.kept.iter().all(|(number, window)| window.len() == WINDOW && window[0] == *number as f32));
    }

    #[test]
    fn only_speech_is_judged_and_a_wish_to_stop_is_heard() {
        let mut meter = SpeechQualityMeter::new();
        meter.push(&noise(2 * WINDOW));
        // Most of the second window.
        let voice = [Segment { start_s: 9.5, end_s: 17.0 }];
        let stop = || Err(Error::Cancelled);
        assert!(matches!(meter.finish(&voice, &stop), Err(Error::Cancelled)));

        let mut meter = SpeechQualityMeter::new();
        meter.push(&noise(2 * WINDOW));
        let little = [Segment { start_s: 6.0, end_s: 12.0 }];
        assert_eq!(meter.finish(&little, &stop).unwrap(), None, "nothing is heard when nobody speaks");
    }

    #[test]
    fn short_recordings_are_repeated_and_shorter_ones_not_judged() {
        let mut meter = SpeechQualityMeter::new();
        meter.push(&noise(40_000));
        let found = meter.finish(&all_of(2.5), &|| Ok(())).unwrap().unwrap();
        assert_eq!(found.windows, 1);
        let mut repeated = SpeechQualityMeter::new();
        repeated.push(&noise(40_000).iter().copied().cycle().take(WINDOW).collect::<Vec<_>>());
        assert_eq!(repeated.finish(&all_of(10.0), &|| Ok(())).unwrap().unwrap(), found);

        let mut meter = SpeechQualityMeter::new();
        meter.push(&noise(8_000));
        assert_eq!(meter.finish(&all_of(0.5), &|| Ok(())).unwrap(), None);
    }
}
