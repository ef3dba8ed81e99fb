//! The search over all offsets, and the check of the best ones in other places.

use std::ops::Range;

use super::check::{Check, Tally, share};
use super::hybrid::{self, Hybrid, Slot};
use super::mdct::{HOP, Mdct, kaiser_bessel, window};
use super::{LossyCodec, Spot, VORBIS_STEP};

/// Places that the search looks at. With 4 it takes half the time, and misses 4 % more of short effects with silence between.
const SEARCHED: usize = 8;
/// Lines that are looked at: below there are few zeros, above often nothing.
const BAND_HZ: (f64, f64) = (2_000.0, 16_000.0);
/// By how many standard deviations an offset must stand out in the search: the largest of 576 or 1,024 by chance reaches 3.2, of 128 that are
/// maxima themselves 2.4.
const STANDS_OUT: f32 = 4.5;
const STANDS_OUT_VORBIS: f32 = 3.2;
/// Below it has other frames.
const VORBIS_FROM_HZ: f64 = 32_000.0;

/// The transforms, and room for them.
pub(super) struct Search {
    rate_hz: f64,
    channels: usize,
    mdct: Mdct,
    pub sine: Vec<f32>,
    pub kaiser: Vec<f32>,
    /// Vorbis I specification, 4.3.1.
    pub vorbis: Vec<f32>,
    lines: [Vec<f32>; 2],
    powers: Vec<f32>,
}

impl Search {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        use std::f64::consts::{FRAC_PI_2, PI};
        Self {
            rate_hz,
            channels,
            mdct: Mdct::new(),
            sine: window(|t| (PI * t).sin()),
            kaiser: kaiser_bessel(),
            vorbis: window(|t| (FRAC_PI_2 * (PI * t).sin().powi(2)).sin()),
            lines: [vec![0.0; HOP], vec![0.0; HOP]],
            powers: vec![0.0; HOP],
        }
    }

    /// Lines of `count` that are looked at.
    fn band(&self, count: usize) -> Range<usize> {
        let line = |hz: f64| (hz / (self.rate_hz / 2.0) * count as f64) as usize;
        line(BAND_HZ.0)..line(BAND_HZ.1.min(0.45 * self.rate_hz))
    }

    /// One signal for the search, for speed: of two channels in turn their sum and one of them.
    fn signal(&self, spot: &Spot, index: usize) -> Vec<f32> {
        let [left, right] = &spot.samples;
        match (self.channels, index % 4) {
            (1, _) | (_, 1) => left.clone(),
            (_, 3) => right.clone(),
            _ => left.iter().zip(right).map(|(l, r)| (l + r) * std::f32::consts::FRAC_1_SQRT_2).collect(),
        }
    }

    /// Share of holes of the MDCT at frame `at` of a place.
    fn mdct_share(&mut self, spot: &Spot, at: usize, window: &[f32]) -> Option<f32> {
        let band = self.band(HOP);
        for (lines, samples) in self.lines.iter_mut().zip(&spot.samples).take(self.channels) {
            self.mdct.process(&samples[at..at + 2 * HOP], window, lines);
        }
        let [left, right] = &self.lines;
        share(&[&left[band.clone()], &right[band]][..self.channels], &mut self.powers)
    }

    /// AAC with both of its windows, and Vorbis.
    pub fn transforms(&mut self, spots: &[Spot]) -> Vec<Check> {
        let band = self.band(HOP);
        let mut scores = [vec![0.0f32; HOP], vec![0.0f32; HOP]];
        // For the search its window is near enough to the one of Kaiser and Bessel.
        let mut vorbis_scores = vec![0.0f32; VORBIS_STEP];
        for (index, spot) in spots.iter().take(SEARCHED).enumerate() {
            let signal = self.signal(spot, index);
            for (window, which, vorbis) in [(&self.sine, 0, false), (&self.kaiser, 1, true)] {
                let mut most = [0.0f32; VORBIS_STEP];
                for offset in 0..HOP {
                    let at = spot.first(offset, HOP);
                    self.mdct.process(&signal[at..at + 2 * HOP], window, &mut self.lines[0]);
                    let share = share(&[&self.lines[0][band.clone()]], &mut self.powers).unwrap_or(0.0);
                    scores[which][offset] += share;
                    most[offset % VORBIS_STEP] = most[offset % VORBIS_STEP].max(share);
                }
                if vorbis {
                    vorbis_scores.iter_mut().zip(most).for_each(|(score, most)| *score += most);
                }
            }
        }
        let mut checks = Vec::new();
        // In turn, so that the windows are not borrowed while the transforms work.
        for (window, scores) in [self.sine.clone(), self.kaiser.clone()].iter().zip(&scores) {
            let Some(mut tally) = Tally::new(scores, STANDS_OUT, 41) else { continue };
            let offsets = tally.offsets.clone();
            for spot in spots {
                tally.add(offsets.iter().map(|o| self.mdct_share(spot, spot.first(*o, HOP) + 3 * HOP, window)));
            }
            checks.extend(tally.finish(LossyCodec::Aac));
        }
        if let Some(mut tally) =
            Tally::new(&vorbis_scores, STANDS_OUT_VORBIS, 5).filter(|_| self.rate_hz >= VORBIS_FROM_HZ)
        {
            let (offsets, window) = (tally.offsets.clone(), self.vorbis.clone());
            for spot in spots {
                tally.add(offsets.iter().map(|o| {
                    let shifted = (0..HOP).step_by(VORBIS_STEP);
                    let shares =
                        shifted.map(|s| self.mdct_share(spot, spot.first((o + s) % HOP, HOP) + 3 * HOP, &window));
                    shares.flatten().max_by(f32::total_cmp)
                }));
            }
            checks.extend(tally.finish(LossyCodec::Vorbis));
        }
        self.name(spots, checks)
    }

    /// Tells AAC and Vorbis apart, whose windows are alike: at one offset the right window has more holes.
    fn name(&mut self, spots: &[Spot], mut checks: Vec<Check>) -> Vec<Check> {
        let aac = checks.iter().enumerate().filter(|(_, c)| c.codec == LossyCodec::Aac && c.passes());
        let Some(best) = aac.max_by(|a, b| a.1.ratio().total_cmp(&b.1.ratio())).map(|(index, _)| index) else {
            return checks;
        };
        let offset = checks[best].offset;
        let [sine, kaiser, vorbis] = [self.sine.clone(), self.kaiser.clone(), self.vorbis.clone()].map(|window| {
            spots.iter().filter_map(|s| self.mdct_share(s, s.first(offset, HOP) + 3 * HOP, &window)).sum::<f32>()
        });
        if vorbis > sine.max(kaiser) {
            checks[best].codec = LossyCodec::Vorbis;
            checks[best].offset = offset % VORBIS_STEP;
        } else {
            checks.retain(|c| c.codec != LossyCodec::Vorbis || c.offset != offset % VORBIS_STEP);
        }
        checks
    }

    /// MP3.
    pub fn hybrid(&mut self, spots: &[Spot]) -> Option<Check> {
        use hybrid::{GRANULE_SLOTS, LINES, SLOT};
        let filterbank = Hybrid::new();
        let band = self.band(LINES);
        let band = band.start..band.end.min(hybrid::USED_LINES);
        // The search looks at two granules, the check at two behind.
        let mut slots = [vec![Slot::default(); 4 * GRANULE_SLOTS], vec![Slot::default(); 4 * GRANULE_SLOTS]];
        let mut scores = vec![0.0f32; LINES];
        for (index, spot) in spots.iter().take(SEARCHED).enumerate() {
            let signal = self.signal(spot, index);
            for phase in 0..SLOT {
                filterbank.bands(&signal, phase, &mut slots[0]);
                for (at, slots) in slots[0].windows(2 * GRANULE_SLOTS).take(2 * GRANULE_SLOTS).enumerate() {
                    filterbank.lines(slots, &mut self.lines[0]);
                    let share = share(&[&self.lines[0][band.clone()]], &mut self.powers).unwrap_or(0.0);
                    scores[(spot.start as usize + phase + SLOT * at) % LINES] += share;
                }
            }
        }
        let mut tally = Tally::new(&scores, STANDS_OUT, 23)?;
        let offsets = tally.offsets.clone();
        for spot in spots {
            let mut shares = [Vec::new(), Vec::new()];
            for offset in &offsets {
                let at = spot.first(*offset, LINES) + 6 * LINES;
                for (slots, samples) in slots.iter_mut().zip(&spot.samples).take(self.channels) {
                    filterbank.bands(samples, at, &mut slots[..3 * GRANULE_SLOTS]);
                }
                for (granule, shares) in shares.iter_mut().enumerate() {
                    for (lines, slots) in self.lines.iter_mut().zip(&slots).take(self.channels) {
                        filterbank.lines(&slots[granule * GRANULE_SLOTS..][..2 * GRANULE_SLOTS], lines);
                    }
                    let [left, right] = &self.lines;
                    shares.push(share(&[&left[band.clone()], &right[band.clone()]][..self.channels], &mut self.powers));
                }
            }
            for shares in shares {
                tally.add(shares.into_iter());
            }
        }
        tally.finish(LossyCodec::Mp3)
    }
}
