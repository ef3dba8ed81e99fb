//! Effective bandwidth, and what its edge tells: a lower sample rate, a lossy codec.
//!
//! The edge is the steepest step of the average spectrum above which nothing comes any more. A resampler leaves one right below half of a
//! usual rate, with nothing above. An encoder leaves one too, and holes: bands below the edge that are empty in some frames and not in
//! others, because there were no bits for them (compare J. Herre, M. Schug, "Analysis of decompressed audio: the inverse decoder", AES
//! 109th Convention, 2000). An edge alone proves neither: recordings are filtered for many reasons.

use super::verdict::{Severity, Verdict, VerdictName};
use crate::meter::level::power_db;

/// Frames below do not count, in mean square: -60 dBFS.
const QUIET: f64 = 1e-6;
const MIN_FRAMES: u64 = 40;
/// Height of an edge: half a kilohertz below it against half a kilohertz above, 100 Hz left out on both sides.
const STEP_DB: f64 = 18.0;
/// What lies above an edge must not come up again by more than this.
const RISE_DB: f64 = 6.0;
/// Height of an edge that a resampler leaves; shallower ones are filters of a mixer.
const RESAMPLED_DB: f64 = 19.0;
/// Short resamplers let mirror images through and fall over 2 kHz: from so far below half of the lower rate to so far above it the
/// spectrum must fall by [`IMAGES_DB`], [`IMAGES_STEEPER`] times as fast as before, to a floor that is flat within [`FLAT_DB`] from there on.
const IMAGES_DB: f64 = 18.0;
const IMAGES_STEEPER: f64 = 2.5;
const FLAT_DB: f64 = 4.0;
/// That floor is of the numbers, not of the sound: the rounding of 16 bits lies at -132 dB per bin, with dither at -127.
const NUMBERS_DB: f64 = -122.0;
/// Without an edge the band ends where the spectrum is so far below its top, per bin.
const REACH_DB: f64 = 95.0;
/// Bands for the holes.
const BAND_HZ: f64 = 600.0;
const BANDS_FROM_HZ: f64 = 5_000.0;
/// A band is a hole when the one beneath it has so many times its power (20 dB), in a frame.
const HOLE: f32 = 100.0;
/// Between the same two bands on the average.
const MEAN_FALL_DB: f64 = 8.0;
/// The band beneath must have sound, in power per bin: -105 dBFS.
const SOUND: f32 = 3e-11;
/// Share of frames with a hole, in the band that has most.
const LOSSY_HOLES: f64 = 0.05;
/// Below this part of the possible band it is told.
const NARROW: f64 = 0.72;
/// Rates that recordings are made at. Not 32 kHz: encoders filter at 16 kHz far more often.
const RATES_HZ: [f64; 8] = [8_000.0, 11_025.0, 12_000.0, 16_000.0, 22_050.0, 24_000.0, 44_100.0, 48_000.0];

/// Average spectrum, and falls between bands.
pub(super) struct Bandwidth {
    rate_hz: f64,
    sum: Vec<f64>,
    frames: u64,
    /// First and last bin of each band.
    bands: Vec<(usize, usize)>,
    /// Frames in which a band is a hole.
    holes: Vec<u64>,
}

/// What [`Bandwidth::finish`] measures.
pub(super) struct Band {
    pub bandwidth_hz: Option<f64>,
    pub step_db: Option<f64>,
    /// Level per bin above the edge, in dBFS.
    pub above_dbfs: Option<f64>,
    pub holes: Option<f64>,
    /// Nearly all power is in one place of the spectrum.
    pub tonal: bool,
    pub verdicts: Vec<Verdict>,
}

/// The steepest place.
struct Edge {
    hz: f64,
    step_db: f64,
    above_db: f64,
}

impl Bandwidth {
    /// For spectra of `bins` bins up to half of `rate_hz`.
    pub fn new(rate_hz: f64, bins: usize) -> Self {
        let width_hz = rate_hz / 2.0 / (bins - 1) as f64;
        let mut bands = Vec::new();
        let mut low_hz = BANDS_FROM_HZ;
        while low_hz + BAND_HZ < rate_hz / 2.0 {
            bands.push(((low_hz / width_hz) as usize, ((low_hz + BAND_HZ) / width_hz) as usize));
            low_hz += BAND_HZ;
        }
        Self { rate_hz, sum: vec![0.0; bins], frames: 0, holes: vec![0; bands.len()], bands }
    }

    pub fn push(&mut self, power: &[f32], mean_square: f64) {
        if mean_square < QUIET {
            return;
        }
        self.frames += 1;
        for (sum, power) in self.sum.iter_mut().zip(power) {
            *sum += f64::from(*power);
        }
        let mut beneath = 0.0;
        for ((low, high), holes) in self.bands.iter().zip(&mut self.holes) {
            let mean = power[*low..*high].iter().sum::<f32>() / (high - low) as f32;
            *holes += u64::from(beneath > SOUND && beneath > HOLE * mean);
            beneath = mean;
        }
    }

    fn width_hz(&self) -> f64 {
        self.rate_hz / 2.0 / (self.sum.len() - 1) as f64
    }

    /// Average power per bin in a band, in dB.
    fn mean_db(&self, from_hz: f64, to_hz: f64) -> f64 {
        let bin = |hz: f64| ((hz / self.width_hz()).round().max(0.0) as usize).min(self.sum.len());
        let part = &self.sum[bin(from_hz).min(bin(to_hz))..bin(to_hz)];
        power_db((part.iter().sum::<f64>() / (part.len().max(1) as f64 * self.frames.max(1) as f64)).max(1e-18))
    }

    fn edge(&self) -> Option<Edge> {
        let nyquist_hz = self.rate_hz / 2.0;
        let mut best: Option<Edge> = None;
        let mut hz = 1_000.0;
        while hz + 350.0 < nyquist_hz {
            let above_db = self.mean_db(hz + 100.0, (hz + 600.0).min(nyquist_hz));
            let step_db = self.mean_db(hz - 600.0, hz - 100.0) - above_db;
            if step_db > best.as_ref().map_or(STEP_DB, |b| b.step_db) && self.rest_db(hz + 600.0) <= above_db + RISE_DB
            {
                best = Some(Edge { hz, step_db, above_db });
            }
            hz += self.width_hz();
        }
        best
    }

    /// The loudest half kilohertz from `hz` on.
    fn rest_db(&self, hz: f64) -> f64 {
        let mut loudest = f64::NEG_INFINITY;
        let mut at = hz;
        while at < self.rate_hz / 2.0 {
            loudest = loudest.max(self.mean_db(at, at + 500.0));
            at += 500.0;
        }
        loudest
    }

    /// Share of frames with a hole, in the band that has most, below `edge_hz`.
    fn hole_share(&self, edge_hz: f64) -> f64 {
        let mut most = 0.0f64;
        for (index, (low, high)) in self.bands.iter().enumerate().skip(1) {
            let hz = |bin: usize| bin as f64 * self.width_hz();
            let fall_db = self.mean_db(hz(self.bands[index - 1].0), hz(*low)) - self.mean_db(hz(*low), hz(*high));
            if hz(*high) < edge_hz - 300.0 && fall_db < MEAN_FALL_DB {
                most = most.max(self.holes[index] as f64 / self.frames.max(1) as f64);
            }
        }
        most
    }

    pub fn finish(&self) -> Band {
        let mut band = Band {
            bandwidth_hz: None,
            step_db: None,
            above_dbfs: None,
            holes: None,
            tonal: false,
            verdicts: Vec::new(),
        };
        if self.frames < MIN_FRAMES {
            return band;
        }
        let total: f64 = self.sum.iter().sum();
        let top = (0..self.sum.len()).max_by(|a, b| self.sum[*a].total_cmp(&self.sum[*b])).unwrap_or(0);
        let peak: f64 = self.sum[top.saturating_sub(3)..(top + 4).min(self.sum.len())].iter().sum();
        band.tonal = peak > 0.9 * total;
        let nyquist_hz = self.rate_hz / 2.0;
        let edge = self.edge();
        band.bandwidth_hz = Some(edge.as_ref().map_or_else(|| self.reach_hz(top), |e| e.hz));
        band.step_db = edge.as_ref().map(|e| e.step_db);
        band.above_dbfs = edge.as_ref().map(|e| e.above_db);
        let edge_hz = edge.as_ref().map_or(nyquist_hz, |e| e.hz);
        let holes = self.hole_share(edge_hz);
        band.holes = Some(holes);
        if band.tonal {
            return band;
        }
        if let Some(edge) = &edge {
            self.judge(edge, holes, &mut band.verdicts);
        }
        if let Some(verdict) = self.upsampled(edge.as_ref()) {
            band.verdicts.push(verdict);
        }
        band
    }

    /// Whether the spectrum ends as one of a lower rate does.
    fn upsampled(&self, edge: Option<&Edge>) -> Option<Verdict> {
        let rates = RATES_HZ.into_iter().filter(|rate| *rate < self.rate_hz * 0.95);
        // Steep resamplers end below half of the lower rate, short ones let mirror images through above it. From 44.1 to 48 kHz only a
        // narrow range tells them from the filters of encoders.
        let reached = |rate: f64| if rate < 30_000.0 { rate * 0.45..=rate * 0.585 } else { rate * 0.485..=rate * 0.51 };
        let sharp = edge.filter(|edge| edge.step_db >= RESAMPLED_DB);
        let by_edge =
            |rate: f64| sharp.filter(|edge| reached(rate).contains(&edge.hz)).map(|edge| (edge.hz, edge.step_db));
        let found = rates.clone().find_map(|rate| by_edge(rate).map(|found| (rate, found)));
        let found =
            found.or_else(|| rates.clone().find_map(|rate| self.images(rate / 2.0).map(|db| (rate, (rate / 2.0, db)))));
        let (rate, (hz, fall_db)) = found?;
        let text = format!(
            "stored at {:.0} Hz, but nothing is above {hz:.0} Hz, where the level falls by {fall_db:.0} dB: it was made at a lower rate, such as {rate:.0} Hz, or filtered by an encoder.",
            self.rate_hz
        );
        let value = (fall_db, RESAMPLED_DB.min(IMAGES_DB), "dB");
        Some(Verdict::new(VerdictName::Upsampled, Severity::Warning, value, text))
    }

    /// The fall around `half_hz`, when it is that of a short resampler with its mirror images.
    fn images(&self, half_hz: f64) -> Option<f64> {
        if half_hz < 3_500.0 || half_hz + 2_500.0 > self.rate_hz / 2.0 {
            return None;
        }
        let at_db = |offset_hz: f64| self.mean_db(half_hz + offset_hz - 250.0, half_hz + offset_hz + 250.0);
        let (far_db, below_db, above_db) = (at_db(-2_750.0), at_db(-750.0), at_db(1_750.0));
        let fall_db = below_db - above_db;
        let steeper = fall_db / 2.5 >= IMAGES_STEEPER * (far_db - below_db) / 2.0;
        let flat = self.rest_db(half_hz + 1_500.0) <= above_db + FLAT_DB;
        (fall_db >= IMAGES_DB && steeper && flat && above_db <= NUMBERS_DB).then_some(fall_db)
    }

    /// The highest place within [`REACH_DB`] of the top.
    fn reach_hz(&self, top: usize) -> f64 {
        let top_db = power_db((self.sum[top] / self.frames.max(1) as f64).max(1e-18));
        let mut hz = self.rate_hz / 2.0;
        while hz > 500.0 && self.mean_db(hz - 250.0, hz) < (top_db - REACH_DB).max(-135.0) {
            hz -= 50.0;
        }
        hz
    }

    fn judge(&self, edge: &Edge, holes: f64, verdicts: &mut Vec<Verdict>) {
        let nyquist_hz = self.rate_hz / 2.0;
        let Edge { hz, step_db, .. } = *edge;
        if holes >= LOSSY_HOLES && self.rate_hz >= 32_000.0 && hz < 20_800.0 {
            let text = format!(
                "ends at {hz:.0} Hz with a step of {step_db:.0} dB, and {:.0} % of the frames have empty bands below: it probably went through a lossy codec.",
                holes * 100.0
            );
            let value = (holes, LOSSY_HOLES, "share of frames");
            verdicts.push(Verdict::new(VerdictName::LossyOrigin, Severity::Info, value, text));
        }
        if hz < NARROW * nyquist_hz {
            let text = format!("the sound ends at {hz:.0} Hz, of {nyquist_hz:.0} Hz that the rate allows.");
            let value = (hz, NARROW * nyquist_hz, "Hz");
            verdicts.push(Verdict::new(VerdictName::NarrowBand, Severity::Info, value, text));
        }
    }
}
