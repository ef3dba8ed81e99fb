//! Lowers late reverberation.
//!
//! The late part of a room's response is noise with a falling envelope, so its power in a bin is that of the sound some 50 ms
//! ago, lowered by what the room takes in that time (K. Lebart, J. Boucher, P. Denbigh, "A New Method Based on Spectral
//! Subtraction for Speech Dereverberation", Acta Acustica 87(3), 2001; E. Habets, *Single- and Multi-Microphone Speech
//! Dereverberation Using Spectral Enhancement*, 2007, chapter 5). The gain is Wiener's, with decision-directed SNR.

use realfft::num_complex::Complex;

use super::params::{FilterParams, filter_params};
use super::stft::Stft;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Lowers the late reverberation of speech that was recorded in a room.
    pub struct DereverbParams for "dereverb" in Restoration, realtime true {
        /// Time in which the room's sound falls by 60 dB: 0.4 for a living room, 1 for a bare classroom.
        t60_s: f64 = 0.6, 0.1 to 5.0 "s";
        /// Most reduction; 0 changes nothing.
        reduction_db: f64 = 12.0, 0.0 to 40.0 "dB";
        /// Raises or lowers the estimate of the reverberation before it is used.
        sensitivity_db: f64 = 0.0, -12.0 to 12.0 "dB";
    }
}

/// Start of what counts as late.
const EARLY_S: f64 = 0.048;

/// See [`DereverbParams`]. Latency is one window of about 32 ms. NaN and infinity are taken as silence.
pub struct Dereverb {
    params: DereverbParams,
    rate_hz: f64,
    stft: Option<Stft>,
    work: Work,
}

/// One channel.
struct Room {
    /// Smoothed powers of the last windows, a ring of rows.
    past: Vec<f32>,
    row: usize,
    /// Power of the previous result.
    clean: Vec<f32>,
}

#[derive(Default)]
struct Work {
    rooms: Vec<Room>,
    bins: usize,
    rows: usize,
    late: f32,
    smooth: f32,
    decision: f32,
    least: f32,
}

impl Dereverb {
    /// A reduction of `params`.
    pub fn new(params: &DereverbParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, stft: None, work: Work::default() }
    }

    fn update(&mut self) {
        let Some(stft) = &self.stft else { return };
        let hop_s = stft.hop() as f64 / self.rate_hz;
        let fall_db = 60.0 * self.work.rows as f64 * hop_s / self.params.t60_s;
        self.work.late = 10f64.powf((self.params.sensitivity_db - fall_db) / 10.0) as f32;
        // The power is smoothed with the decay of the room, at most 100 ms (Habets 2007, section 5.3).
        let decay_s = (self.params.t60_s / 13.8).min(0.1);
        self.work.smooth = (-hop_s / decay_s).exp() as f32;
        self.work.decision = (-hop_s / 0.06).exp() as f32;
        self.work.least = 10f64.powf(-self.params.reduction_db / 20.0) as f32;
    }
}

impl Filter for Dereverb {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let size = Stft::window_frames(self.rate_hz, 32.0);
        let stft = Stft::new(spec.channels(), size, 4);
        let bins = stft.bins();
        let rows = (EARLY_S * self.rate_hz / stft.hop() as f64).round().max(1.0) as usize;
        let room = || Room { past: vec![0.0; rows * bins], row: 0, clean: vec![0.0; bins] };
        self.work = Work { rooms: (0..spec.channels()).map(|_| room()).collect(), bins, rows, ..Work::default() };
        self.stft = Some(stft);
        self.update();
        Ok(Prepared { spec, max_frames, latency_frames: size, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (Some(stft), work) = (&mut self.stft, &mut self.work) else { return };
        stft.process(block, |index, spectrum| work.frame(index, spectrum));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        if let Some(stft) = &mut self.stft {
            stft.reset();
        }
        for room in &mut self.work.rooms {
            room.past.fill(0.0);
            room.clean.fill(0.0);
            room.row = 0;
        }
    }
}

impl Work {
    fn frame(&mut self, index: usize, spectrum: &mut [Complex<f32>]) {
        let room = &mut self.rooms[index];
        let newest = (room.row + self.rows - 1) % self.rows;
        let (oldest, bins) = (room.row, self.bins);
        for (k, (z, clean)) in spectrum.iter_mut().zip(&mut room.clean).enumerate() {
            let power = z.re * z.re + z.im * z.im;
            let before = room.past[newest * bins + k];
            // The row of `rows` windows ago gives the estimate, then takes the present power.
            let old = &mut room.past[oldest * bins + k];
            let late = self.late * *old + 1e-12;
            let smooth = power + self.smooth * (before - power);
            *old = if smooth > 1e-20 { smooth } else { 0.0 };
            let instant = (power / late - 1.0).max(0.0);
            let snr = instant + self.decision * (*clean / late - instant);
            let wiener = snr / (1.0 + snr);
            let gain = if wiener > self.least { wiener } else { self.least };
            let result = wiener * wiener * power;
            *clean = if result > 1e-20 { result } else { 0.0 };
            *z = z.scale(if gain < 1.0 { gain } else { 1.0 });
        }
        room.row = (room.row + 1) % self.rows;
    }
}

#[cfg(test)]
mod tests {
    use crate::filters::declick::tests::{RATE, random, run};

    #[test]
    fn late_reverberation_falls() {
        // Syllables of noise in a room of 0.6 s: the response is a click and a falling tail of noise from 50 ms on.
        let mut seed = 4u32;
        let rate = RATE as usize;
        let dry: Vec<f32> =
            (0..3 * rate).map(|n| if n % rate < rate / 5 { 0.2 * random(&mut seed) } else { 0.0 }).collect();
        // A sparse tail: 400 echoes whose level falls by 60 dB in 0.6 s, together as strong as the direct sound.
        let mut wet = dry.clone();
        for _ in 0..400 {
            let t = 0.05 + 0.5 * f64::from(random(&mut seed).abs());
            let level = 0.25 * 10f64.powf(-3.0 * t / 0.6) as f32 * random(&mut seed).signum();
            let shift = (t * f64::from(RATE)) as usize;
            for n in shift..dry.len() {
                wet[n] += level * dry[n - shift];
            }
        }
        // What lies between the syllables falls; what does not is close to the 12 dB of the floor.
        let energy = |x: &[f32]| -> f64 { (rate / 4..rate / 2).map(|n| f64::from(x[n]).powi(2)).sum::<f64>() };
        let y = run("dereverb", &wet);
        let fell_db = 10.0 * (energy(&wet) / energy(&y)).log10();
        assert!(fell_db > 4.0 && fell_db < 12.1, "{fell_db:.1}");
        // The first 40 ms of a syllable, which no reverberation has reached, lose less than 2 dB.
        let direct = |x: &[f32]| -> f64 { (rate / 100..rate / 25).map(|n| f64::from(x[n]).powi(2)).sum::<f64>() };
        let lost_db = 10.0 * (direct(&wet) / direct(&y)).log10();
        assert!(lost_db < 2.0, "{lost_db:.1}");
        // Two transforms in f32: about -130 dB.
        assert!(wet.iter().zip(&run("dereverb:reduction_db=0", &wet)).all(|(a, b)| (a - b).abs() < 4e-6));
    }
}
