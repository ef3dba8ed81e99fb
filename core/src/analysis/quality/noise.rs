//! Noise floor and signal-to-noise ratio.
//!
//! The level of the quietest tenth of the frames with any sound is taken as the floor (the idea of minimum statistics: R. Martin, "Noise
//! power spectral density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001). It is *noise* only when
//! its spectrum is flat within narrow bands, as that of noise is and that of notes and vowels is not. Sound that never pauses is looked at in
//! bands of 1 kHz: noise scatters there by the little that chance allows, and music does not. Otherwise no ratio is claimed.

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
/// Bands that noise is looked for in beside sound that never pauses.
const BAND_HZ: f64 = 1_000.0;
const BANDS_TO_HZ: f64 = 16_000.0;
/// Noise of a band of 1 kHz scatters by 0.8 dB in a frame: 1.3 dB from the 5th to the 50th percentile.
const BAND_STEADY_DB: f64 = 1.9;
/// Least share of the bands that hold steady noise.
const NOISY_BANDS: f64 = 0.25;
/// Per-band levels below are nothing.
const BAND_LOWEST_DB: f64 = -95.0;
/// Noise below is not told.
const LOWEST_NOISE_DBFS: f64 = -70.0;
/// Frames needed.
const MIN_FRAMES: u64 = 40;

#[derive(Clone, Copy, Default)]
struct Bin {
    frames: u64,
    power: f64,
    flatness: f64,
}

/// How often each level comes, with the flatness of the frames.
struct Levels(Vec<Bin>);

impl Levels {
    fn push(&mut self, power: f64, flatness: f64) {
        let bin = ((power_db(power).min(9.0) - f64::from(LOWEST_DB)) * PER_DB).floor() as i32;
        let Some(level) = usize::try_from(bin).ok().and_then(|bin| self.0.get_mut(bin)) else { return };
        level.frames += 1;
        level.power += power;
        level.flatness += flatness;
    }

    fn frames(&self) -> u64 {
        self.0.iter().map(|l| l.frames).sum()
    }

    /// Level below which this share of the frames is.
    fn percentile_db(&self, share: f64) -> f64 {
        let wanted = (self.frames() as f64 * share).ceil().max(1.0) as u64;
        let mut sum = 0;
        let bin = self.0.iter().position(|level| {
            sum += level.frames;
            sum >= wanted
        });
        f64::from(LOWEST_DB) + bin.unwrap_or(0) as f64 / PER_DB
    }

    /// Sums over at least this share of the frames, from the loudest or the softest.
    fn share(&self, share: f64, loudest: bool) -> Bin {
        let wanted = (self.frames() as f64 * share).ceil().max(1.0) as u64;
        let mut sum = Bin::default();
        let mut add = |level: &Bin| {
            if sum.frames < wanted {
                sum.frames += level.frames;
                sum.power += level.power;
                sum.flatness += level.flatness;
            }
        };
        if loudest {
            self.0.iter().rev().for_each(&mut add);
        } else {
            self.0.iter().for_each(&mut add);
        }
        sum
    }
}

/// Levels of all frames, and of bands of them, with their flatness.
pub(super) struct Noise {
    levels: Levels,
    /// Bins of the spectrum that each band for the flatness takes.
    parts: Vec<(usize, usize)>,
    /// The same for the bands of [`BAND_HZ`], and their levels.
    bands: Vec<((usize, usize), Levels)>,
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
        let cut = |top_hz: f64, width_hz: f64| {
            let mut bands = Vec::new();
            let mut low_hz = 250.0;
            while low_hz < top_hz {
                let high_hz = low_hz + width_hz;
                bands.push((bin(low_hz), bin(high_hz).min(bins)));
                low_hz = high_hz;
            }
            bands.retain(|(low, high)| high - low >= 8);
            bands
        };
        let levels = || Levels(vec![Bin::default(); BINS]);
        let bands = cut((rate_hz * 0.45).min(BANDS_TO_HZ) - BAND_HZ, BAND_HZ);
        Self {
            levels: levels(),
            parts: cut((rate_hz * 0.35).min(6_000.0), 400.0),
            bands: bands.into_iter().map(|band| (band, levels())).collect(),
        }
    }

    pub fn push(&mut self, power: &[f32], mean_square: f64) {
        if power_db(mean_square) < f64::from(LOWEST_DB) {
            return;
        }
        let flatness = |(low, high): &(usize, usize)| {
            let part = &power[*low..*high];
            let mean = part.iter().sum::<f32>() / part.len() as f32;
            let logs = part.iter().map(|p| math::log2(p.max(1e-20))).sum::<f32>() / part.len() as f32;
            if mean > 1e-18 { f64::from(math::exp2(logs) / mean) } else { 0.0 }
        };
        let mean = self.parts.iter().map(flatness).sum::<f64>() / self.parts.len().max(1) as f64;
        self.levels.push(mean_square, mean);
        for (band, levels) in &mut self.bands {
            // As in `Spectra::mean_square`.
            let sum = power[band.0..band.1].iter().map(|p| f64::from(*p)).sum::<f64>() / 3.0;
            levels.push(sum, flatness(band));
        }
    }

    pub fn finish(&self) -> Floor {
        if self.levels.frames() < MIN_FRAMES {
            return Floor { floor_dbfs: None, snr_db: None, flatness: None, verdict: None };
        }
        let pauses = self.levels.share(PAUSES, false);
        let loud = self.levels.share(0.5, true);
        let (floor, signal) = (pauses.power / pauses.frames as f64, loud.power / loud.frames as f64);
        let flatness = pauses.flatness / pauses.frames as f64;
        let contrast_db = power_db(signal / floor);
        let spread_db = self.levels.percentile_db(PAUSES) - self.levels.percentile_db(0.01);
        let in_pauses = flatness >= NOISE_FLATNESS && contrast_db >= MIN_CONTRAST_DB && spread_db <= STEADY_DB;
        let noise = if in_pauses { Some(floor) } else { self.beside_sound() };
        let ratio_db = |noise: f64| power_db((signal - noise).max(noise * 1e-3) / noise);
        let snr_db = noise.map(ratio_db);
        let verdict = noise.filter(|noise| ratio_db(*noise) < WARNING_SNR_DB && power_db(*noise) > LOWEST_NOISE_DBFS);
        let verdict = verdict.map(|noise| {
            let (level, snr) = (power_db(noise), ratio_db(noise));
            let text = format!("steady noise of {level:.1} dBFS, {snr:.0} dB below the sound.");
            Verdict::new(VerdictName::Noise, Severity::Warning, (snr, WARNING_SNR_DB, "dB"), text)
        });
        Floor { floor_dbfs: Some(power_db(floor)), snr_db, flatness: Some(flatness), verdict }
    }

    /// Noise that stands still in some bands under sound that never pauses, as mean square of all bands. What other bands may hold of it is
    /// no more than their softest frames, nor than the nearest band of noise.
    fn beside_sound(&self) -> Option<f64> {
        let noisy = |(_, levels): &((usize, usize), Levels)| {
            let (half, median_db) = (levels.share(0.5, false), levels.percentile_db(0.5));
            let steady = median_db - levels.percentile_db(0.05) <= BAND_STEADY_DB;
            let flat = half.flatness >= NOISE_FLATNESS * half.frames as f64;
            (steady && flat && median_db > BAND_LOWEST_DB && levels.frames() >= MIN_FRAMES).then_some(median_db)
        };
        let found: Vec<Option<f64>> = self.bands.iter().map(noisy).collect();
        let count = found.iter().flatten().count();
        if count < 2 || (count as f64) < NOISY_BANDS * found.len() as f64 {
            return None;
        }
        let level_db = |(index, (_, levels)): (usize, &((usize, usize), Levels))| {
            let near = found.iter().enumerate().filter_map(|(n, db)| db.map(|db| (n.abs_diff(index), db)));
            let near = near.min_by_key(|(distance, _)| *distance).map_or(f64::NEG_INFINITY, |(_, db)| db);
            found[index].unwrap_or_else(|| near.min(levels.percentile_db(0.05)))
        };
        Some(self.bands.iter().enumerate().map(level_db).map(|db| 10f64.powf(db / 10.0)).sum())
    }
}
