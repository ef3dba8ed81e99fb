//! Noise floor and signal-to-noise ratio.
//!
//! The level of the quietest tenth of the frames with any sound is taken as the floor (the idea of minimum statistics: R. Martin, "Noise
//! power spectral density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001). It is *noise* only when
//! its spectrum is flat within narrow bands, as that of noise is and that of notes and vowels is not; otherwise no ratio is claimed.

use super::verdict::{Severity, Verdict, VerdictName};
use crate::filters::math;
use crate::meter::level::power_db;

/// Frames below are digital silence.
const LOWEST_DB: i32 = -110;
/// Bins of a dB.
const PER_DB: f64 = 4.0;
const BINS: usize = 480;
/// Share of frames that are taken as pauses.
const PAUSES: f64 = 0.10;
/// Mean flatness of narrow bands: white noise has 0.56 (the exponential of Euler's constant, negative) for one frame.
const NOISE_FLATNESS: f64 = 0.51;
/// Noise stands still: the quietest frames differ by little, from the 1st to the 10th percentile.
const STEADY_DB: f64 = 2.5;
/// Loud frames stand at least this far over the floor: else all may be one steady sound, such as dense music.
const MIN_CONTRAST_DB: f64 = 10.0;
const WARNING_SNR_DB: f64 = 20.0;
/// Frames needed.
const MIN_FRAMES: u64 = 40;

#[derive(Clone, Copy, Default)]
struct Bin {
    frames: u64,
    power: f64,
    flatness: f64,
}

/// Levels of all frames, with their flatness.
pub(super) struct Noise {
    levels: Vec<Bin>,
    /// Bins of the spectrum that each band for the flatness takes.
    bands: Vec<(usize, usize)>,
}

/// What [`Noise::finish`] measures.
pub(super) struct Floor {
    pub floor_dbfs: Option<f64>,
    pub snr_db: Option<f64>,
    pub flatness: Option<f64>,
    pub verdict: Option<Verdict>,
}

impl Noise {
    /// For spectra of `bins` bins up to half of `rate_hz`.
    pub fn new(rate_hz: f64, bins: usize) -> Self {
        let bin = |hz: f64| (hz / (rate_hz / 2.0) * (bins - 1) as f64).round() as usize;
        let top_hz = (rate_hz * 0.35).min(6_000.0);
        let mut bands = Vec::new();
        let mut low_hz = 250.0;
        while low_hz < top_hz {
            let high_hz = low_hz + 400.0;
            bands.push((bin(low_hz), bin(high_hz).min(bins)));
            low_hz = high_hz;
        }
        bands.retain(|(low, high)| high - low >= 8);
        Self { levels: vec![Bin::default(); BINS], bands }
    }

    pub fn push(&mut self, power: &[f32], mean_square: f64) {
        let bin = ((power_db(mean_square).min(9.0) - f64::from(LOWEST_DB)) * PER_DB).floor() as i32;
        let Some(level) = usize::try_from(bin).ok().and_then(|bin| self.levels.get_mut(bin)) else { return };
        let flatness = |(low, high): &(usize, usize)| {
            let part = &power[*low..*high];
            let mean = part.iter().sum::<f32>() / part.len() as f32;
            let logs = part.iter().map(|p| math::log2(p.max(1e-20))).sum::<f32>() / part.len() as f32;
            if mean > 1e-18 { f64::from(math::exp2(logs) / mean) } else { 0.0 }
        };
        level.frames += 1;
        level.power += mean_square;
        if !self.bands.is_empty() {
            level.flatness += self.bands.iter().map(flatness).sum::<f64>() / self.bands.len() as f64;
        }
    }

    pub fn finish(&self) -> Floor {
        let total: u64 = self.levels.iter().map(|l| l.frames).sum();
        let none = Floor { floor_dbfs: None, snr_db: None, flatness: None, verdict: None };
        if total < MIN_FRAMES {
            return none;
        }
        let pauses = self.share(PAUSES, false);
        let loud = self.share(0.5, true);
        let (floor, signal) = (pauses.power / pauses.frames as f64, loud.power / loud.frames as f64);
        let flatness = pauses.flatness / pauses.frames as f64;
        let contrast_db = power_db(signal / floor);
        let spread_db = self.percentile_db(PAUSES) - self.percentile_db(0.01);
        let is_noise = flatness >= NOISE_FLATNESS && contrast_db >= MIN_CONTRAST_DB && spread_db <= STEADY_DB;
        let snr_db = is_noise.then(|| power_db((signal - floor).max(floor * 1e-3) / floor));
        let verdict = snr_db.filter(|snr| *snr < WARNING_SNR_DB && power_db(floor) > -70.0).map(|snr| {
            let text = format!("the pauses hold noise of {:.1} dBFS, {snr:.0} dB below the sound.", power_db(floor));
            Verdict::new(VerdictName::Noise, Severity::Warning, (snr, WARNING_SNR_DB, "dB"), text)
        });
        Floor { floor_dbfs: Some(power_db(floor)), snr_db, flatness: Some(flatness), verdict }
    }

    /// Level below which this share of the frames is.
    fn percentile_db(&self, share: f64) -> f64 {
        let total: u64 = self.levels.iter().map(|l| l.frames).sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut sum = 0;
        let bin = self.levels.iter().position(|level| {
            sum += level.frames;
            sum >= wanted
        });
        f64::from(LOWEST_DB) + bin.unwrap_or(0) as f64 / PER_DB
    }

    /// Sums over at least this share of the frames, from the loudest or the softest.
    fn share(&self, share: f64, loudest: bool) -> Bin {
        let total: u64 = self.levels.iter().map(|l| l.frames).sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut sum = Bin::default();
        let mut add = |level: &Bin| {
            if sum.frames < wanted {
                sum.frames += level.frames;
                sum.power += level.power;
                sum.flatness += level.flatness;
            }
        };
        if loudest {
            self.levels.iter().rev().for_each(&mut add);
        } else {
            self.levels.iter().for_each(&mut add);
        }
        sum
    }
}
