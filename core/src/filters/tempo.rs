//! Plays faster or slower at the same pitch.

use super::params::{FilterParams, filter_choice, filter_params};
use super::speed::fraction;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::stretch::{Method, Stretch};
use crate::error::Result;

filter_choice! {
    /// How the time is stretched.
    pub enum TempoMode {
        Music = "music": "Phase-locked vocoder: for music and mixtures.",
        Speech = "speech": "Overlap-add of similar waveforms: for one voice.",
        Auto = "auto": "Speech when the first 5 seconds look like one voice, else music.",
    }
}

impl From<TempoMode> for Method {
    fn from(mode: TempoMode) -> Self {
        match mode {
            TempoMode::Music => Self::Music,
            TempoMode::Speech => Self::Speech,
            TempoMode::Auto => Self::Auto,
        }
    }
}

filter_params! {
    /// Plays faster or slower and keeps the pitch. For files.
    pub struct TempoParams for "tempo" in Time, realtime false {
        /// 2 is twice as fast, half as long.
        factor: f64 = 1.0, 0.1 to 10.0 "";
        /// How the time is stretched.
        mode: TempoMode = TempoMode::Music;
    }
}

/// See [`TempoParams`]. The file of `n` frames becomes one of `round(n / factor)`; what was at `t` is at `t / factor`. No
/// latency: it compensates itself. NaN and infinity are taken as silence.
pub struct Tempo {
    params: TempoParams,
    spec: Option<Spec>,
    stretch: Option<Stretch>,
    room: usize,
}

impl Tempo {
    /// A change of tempo by `params`.
    pub fn new(params: &TempoParams) -> Self {
        Self { params: params.clone(), spec: None, stretch: None, room: 0 }
    }
}

impl Filter for Tempo {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.params.check_ranges()?;
        let (tempo, mode) = (fraction(self.params.factor), self.params.mode.into());
        // More than the longest block stands for, so that what was held back is caught up with.
        self.room = (max_frames as f64 / self.params.factor).ceil() as usize + 4_096;
        self.stretch = Some(Stretch::new(spec.rate_hz, spec.channels(), tempo, mode, None));
        self.spec = Some(spec);
        Ok(Prepared { spec, max_frames: self.room, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(stretch) = &mut self.stretch else { return };
        stretch.push(block);
        let count = stretch.ready().min(self.room);
        stretch.take(count, block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let (Some(spec), Some(stretch)) = (self.spec, &mut self.stretch) else { return block.set_frames(0) };
        block.set_spec(spec);
        stretch.flush(self.room);
        let count = stretch.ready().min(self.room);
        stretch.take(count, block);
    }

    fn reset(&mut self) {
        if let Some(stretch) = &mut self.stretch {
            stretch.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{sine, through};

    /// Frequency (Hz) and amplitude of the strongest tone near `near_hz`, from its phase over time.
    fn tone(samples: &[f32], near_hz: f64, rate_hz: f64) -> (f64, f64, f64) {
        let length = 2_048;
        let parts: Vec<(f64, f64)> = samples
            .chunks_exact(length)
            .enumerate()
            .map(|(block, part)| {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, x) in part.iter().enumerate() {
                    let w = (std::f64::consts::PI * n as f64 / length as f64).sin().powi(2);
                    let angle = std::f64::consts::TAU * near_hz * (block * length + n) as f64 / rate_hz;
                    re += w * f64::from(*x) * angle.cos();
                    im -= w * f64::from(*x) * angle.sin();
                }
                (re.hypot(im) * 4.0 / length as f64, im.atan2(re))
            })
            .collect();
        let turn = parts.windows(2).map(|p| (p[1].1 - p[0].1 + std::f64::consts::PI).rem_euclid(std::f64::consts::TAU));
        let drift = turn.map(|d| d - std::f64::consts::PI).sum::<f64>() / (parts.len() - 1) as f64;
        let least = parts.iter().map(|p| p.0).fold(f64::MAX, f64::min);
        let most = parts.iter().map(|p| p.0).fold(0.0, f64::max);
        (near_hz + drift / std::f64::consts::TAU * rate_hz / length as f64, least, most)
    }

    #[test]
    fn a_tone_keeps_its_frequency_and_level() {
        for mode in ["music", "speech"] {
            for factor in [0.5, 0.8, 1.25, 2.0] {
                let x = sine(440.0, 44_100, 88_200);
                let y = through(&format!("tempo:factor={factor},mode={mode}"), 44_100, &[x], 1_000).remove(0);
                let (hz, least, most) = tone(&y[8_192..y.len() - 8_192], 440.0, 44_100.0);
                // A cent at 440 Hz is 0.25 Hz; the level may move by 2 %, 0.2 dB.
                assert!((hz - 440.0).abs() < 0.1, "{mode} {factor}: {hz} Hz");
                assert!(least > 0.49 && most < 0.51, "{mode} {factor}: {least} to {most}");
            }
        }
    }

    #[test]
    fn length_is_exact_and_tempo_one_changes_nothing() {
        for mode in ["music", "speech", "auto"] {
            for factor in [0.1f64, 0.77, 1.0, 1.3, 10.0] {
                for frames in [0usize, 1, 999, 60_000] {
                    let text = format!("tempo:factor={factor},mode={mode}");
                    let x: Vec<f32> = sine(300.0, 16_000, frames);
                    let y = through(&text, 16_000, std::slice::from_ref(&x), 777).remove(0);
                    assert_eq!(y.len(), (frames as f64 / factor).round() as usize, "{text} {frames}");
                    if factor == 1.0 {
                        // Overlap-add in f32: a few units in the last place of 0.5.
                        assert!(y.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-6), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn attacks_stay_in_place_and_sharp() {
        // Bursts of 2 ms in silence: each comes once, where the tempo puts it, and no energy lies before it.
        let rate = 44_100usize;
        for (mode, factor) in [("music", 0.7), ("music", 1.4), ("music", 2.0)] {
            let mut x = vec![0.0f32; 2 * rate];
            let starts: Vec<usize> = (0..5).map(|k| 10_000 + k * 15_000).collect();
            for start in &starts {
                for n in 0..88 {
                    x[start + n] = if n % 7 < 3 { 0.5 } else { -0.4 };
                }
            }
            let y = through(&format!("tempo:factor={factor},mode={mode}"), 44_100, &[x], 1_000).remove(0);
            for start in starts {
                let place = (start as f64 / factor) as usize;
                let energy = |range: std::ops::Range<usize>| y[range].iter().map(|v| f64::from(v * v)).sum::<f64>();
                let all = energy(place - 2_000..place + 2_500);
                let near = energy(place - 150..place + 350);
                // Within 3 to 8 ms around the burst lies 90 % of what comes out.
                assert!(near > 0.9 * all, "{mode} {factor} at {start}: {near} of {all}");
            }
        }
    }

    #[test]
    fn both_channels_are_stretched_alike() {
        let x = sine(500.0, 44_100, 44_100);
        let half: Vec<f32> = x.iter().map(|x| -0.5 * x).collect();
        let y = through("tempo:factor=0.8", 44_100, &[x, half], 1_000);
        assert!(y[0].iter().zip(&y[1]).all(|(a, b)| (a * -0.5 - b).abs() < 1e-6)); // f32 rounding
    }
}
