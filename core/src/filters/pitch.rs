//! Moves the pitch and keeps the tempo.

use super::params::{FilterParams, filter_params};
use super::speed::fraction;
use super::tempo::TempoMode;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::resampler::{Quality, Resampler};
use crate::dsp::stretch::Stretch;
use crate::error::Result;

filter_params! {
    /// Moves the pitch up or down and keeps the tempo. For files.
    pub struct PitchParams for "pitch" in Time, realtime false {
        /// How far; 12 is an octave up.
        semitones: f64 = 0.0, -24.0 to 24.0 "semitones";
        /// Added to it: hundredths of a semitone.
        cents: f64 = 0.0, -100.0 to 100.0 "cents";
        /// Keeps the formants where they are, so that a voice stays the same person. Uses the method for music.
        keep_formants: bool = false;
        /// How the time is stretched.
        mode: TempoMode = TempoMode::Music;
    }
}

/// Most frames that go to the resampler at a time.
const PART: usize = 4_096;

/// See [`PitchParams`]. Stretches to the pitch's ratio and resamples by it. The length stays as it is, to the frame. No
/// latency: it compensates itself. NaN and infinity are taken as silence.
pub struct Pitch {
    params: PitchParams,
    spec: Option<Spec>,
    chain: Option<(Stretch, Resampler)>,
    stretched: Buffer,
    output: Buffer,
    /// Finished frames.
    ready: Vec<Vec<f32>>,
    room: usize,
    received: u64,
    given: u64,
    ended: bool,
}

impl Pitch {
    /// A change of pitch by `params`.
    pub fn new(params: &PitchParams) -> Self {
        let unset = Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0);
        Self {
            params: params.clone(),
            spec: None,
            chain: None,
            stretched: unset.clone(),
            output: unset,
            ready: Vec::new(),
            room: 0,
            received: 0,
            given: 0,
            ended: false,
        }
    }

    /// Appends what the resampler gave.
    fn keep(&mut self) {
        for (to, from) in self.ready.iter_mut().zip(self.output.channels()) {
            to.extend_from_slice(from);
        }
    }

    /// Resamples what the stretch has ready.
    fn advance(&mut self) {
        while let Some((stretch, resampler)) = &mut self.chain {
            let count = stretch.ready().min(PART);
            if count == 0 {
                return;
            }
            stretch.take(count, &mut self.stretched);
            resampler.process(&self.stretched, &mut self.output);
            self.keep();
        }
    }

    /// Leaves in `block` what is ready, never more than came in.
    fn emit(&mut self, block: &mut Buffer) {
        let held = self.ready.first().map_or(0, Vec::len) as u64;
        let count = held.min(self.room as u64).min(self.received - self.given);
        block.set_frames(count as usize);
        for (to, from) in block.channels_mut().zip(&mut self.ready) {
            to.copy_from_slice(&from[..count as usize]);
            from.drain(..count as usize);
        }
        self.given += count;
    }
}

impl Filter for Pitch {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.params.check_ranges()?;
        let ratio = 2f64.powf((self.params.semitones + self.params.cents / 100.0) / 12.0);
        let (from, to) = fraction(ratio);
        let formants = self.params.keep_formants.then_some(ratio);
        // A little more than the exact length, so that the rounding of the two never leaves a frame missing.
        let stretch = Stretch::new(spec.rate_hz, spec.channels(), (to, from), self.params.mode.into(), formants);
        let resampler = Resampler::new(from, to, spec.channels(), Quality::Good)?;
        self.output = Buffer::new(spec, resampler.max_output_frames(PART));
        self.stretched = Buffer::new(spec, PART);
        self.ready = vec![Vec::new(); spec.channels()];
        self.chain = Some((stretch.with_extra(64), resampler));
        // Twice the input, so that what was held back is caught up with.
        (self.spec, self.room) = (Some(spec), 2 * max_frames + PART);
        self.reset();
        Ok(Prepared { spec, max_frames: self.room, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some((stretch, _)) = &mut self.chain else { return };
        stretch.push(block);
        self.received += block.frames() as u64;
        self.advance();
        self.emit(block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        block.set_spec(spec);
        while !self.ended && self.ready.first().map_or(0, Vec::len) < self.room {
            let Some((stretch, resampler)) = &mut self.chain else { break };
            stretch.flush(PART);
            if stretch.ready() == 0 {
                resampler.finish(&mut self.output);
                self.ended = true;
                self.keep();
            } else {
                self.advance();
            }
        }
        self.emit(block);
    }

    fn reset(&mut self) {
        if let Some((stretch, resampler)) = &mut self.chain {
            stretch.reset();
            resampler.reset();
        }
        self.ready.iter_mut().for_each(Vec::clear);
        (self.received, self.given, self.ended) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_testing::{sine, through};

    /// Amplitude at `hz`, by correlation under a Hann window.
    fn level(samples: &[f32], hz: f64, rate_hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        let length = samples.len() as f64;
        for (n, x) in samples.iter().enumerate() {
            let w = (std::f64::consts::PI * n as f64 / length).sin().powi(2);
            let angle = std::f64::consts::TAU * hz * n as f64 / rate_hz;
            re += w * f64::from(*x) * angle.cos();
            im += w * f64::from(*x) * angle.sin();
        }
        re.hypot(im) * 4.0 / length
    }

    #[test]
    fn a_tone_moves_by_the_semitones_and_the_length_stays() {
        for mode in ["music", "speech"] {
            for semitones in [-12.0f64, -3.0, 0.0, 4.0, 7.0, 24.0] {
                let x = sine(500.0, 44_100, 66_150);
                let y = through(&format!("pitch:semitones={semitones},mode={mode}"), 44_100, &[x], 1_000).remove(0);
                assert_eq!(y.len(), 66_150);
                let hz = 500.0 * 2f64.powf(semitones / 12.0);
                let got = level(&y[8_000..58_000], hz, 44_100.0);
                // A window of 1.1 s is 1.8 Hz wide: only the right frequency has the whole level, within 0.2 dB. The splices
                // of speech round to whole frames, and their errors of phase add up as a random walk does: 0.5 dB.
                let within = if mode == "music" { 0.012 } else { 0.03 };
                assert!((got - 0.5).abs() < within, "{mode} {semitones}: {got}");
            }
        }
    }

    #[test]
    fn length_is_exact_for_any_interval() {
        for (semitones, cents) in [(-24.0, -100.0), (-7.0, 33.0), (0.0, 1.0), (11.0, 0.0), (24.0, 100.0)] {
            for frames in [0usize, 1, 2, 500, 20_001] {
                let text = format!("pitch:semitones={semitones},cents={cents}");
                assert_eq!(through(&text, 16_000, &[sine(200.0, 16_000, frames)], 333)[0].len(), frames, "{text}");
            }
        }
    }

    #[test]
    fn formants_stay_when_asked() {
        // Harmonics of 150 Hz with a formant at 900 Hz, up a fifth: the strongest harmonic is near 900 or near 1350 Hz.
        let rate = 44_100.0;
        let x: Vec<f32> = (0..66_150)
            .map(|n| {
                let harmonic = |k: usize| {
                    let hz = 150.0 * k as f64;
                    let level = 0.01 + 0.2 * (-((hz - 900.0) / 250.0).powi(2)).exp();
                    level * (std::f64::consts::TAU * hz * f64::from(n) / rate).sin()
                };
                (1..40).map(harmonic).sum::<f64>() as f32
            })
            .collect();
        for (keep, near_hz) in [(false, 1_350.0), (true, 900.0)] {
            let text = format!("pitch:semitones=7,keep_formants={keep}");
            let y = through(&text, 44_100, std::slice::from_ref(&x), 1_000).remove(0);
            let step_hz = 150.0 * 2f64.powf(7.0 / 12.0);
            let strongest = (1..20)
                .max_by(|a, b| {
                    let at = |k: i32| level(&y[8_000..58_000], step_hz * f64::from(k), rate);
                    at(*a).total_cmp(&at(*b))
                })
                .unwrap();
            let got_hz = step_hz * f64::from(strongest);
            assert!((got_hz - near_hz).abs() <= step_hz / 2.0 + 1.0, "{keep}: {got_hz} Hz");
        }
    }
}
