//! Differences of the modulation of the loudness in each band, after ITU-R BS.1387-2, Annex 2, 3.2 and 4.2 ("AvgModDiff1", "AvgModDiff2",
//! "WinModDiff1").

use super::bands::{BANDS, BandTable, Bands, FRAMES_PER_S};

/// Loudness is energy to this power.
const LOUDNESS: f64 = 0.3;
/// How much the frame has to be louder than the noise of the ear to count.
const LEVEL_WEIGHT: f64 = 100.0;
/// Frames of the window of `WinModDiff1`: 100 ms.
const WINDOW: usize = 4;

/// Fixed for all channels.
pub(super) struct ModulationTable {
    time: Bands,
    /// Weighted loudness of the noise of the ear.
    threshold: Bands,
}

impl ModulationTable {
    pub fn new(table: &BandTable) -> Self {
        Self {
            time: table.smoothing(0.008, 0.050),
            threshold: table.internal_noise.map(|noise| LEVEL_WEIGHT * noise.powf(LOUDNESS)),
        }
    }
}

/// How the loudness of one channel of one signal moves.
pub(super) struct Modulation {
    loudness: Bands,
    mean: Bands,
    change: Bands,
    /// Modulation of the envelope of each band.
    pub depth: Bands,
}

impl Modulation {
    pub fn new() -> Self {
        Self { loudness: [0.0; BANDS], mean: [0.0; BANDS], change: [0.0; BANDS], depth: [0.0; BANDS] }
    }

    /// Adds a frame, by its excitation before it lasts.
    pub fn push(&mut self, excitation: &Bands, table: &ModulationTable) {
        for (m, excitation) in excitation.iter().enumerate() {
            let loudness = excitation.powf(LOUDNESS);
            let keep = table.time[m];
            let change = FRAMES_PER_S * (loudness - self.loudness[m]).abs();
            self.loudness[m] = loudness;
            self.change[m] = keep * self.change[m] + (1.0 - keep) * change;
            self.mean[m] = keep * self.mean[m] + (1.0 - keep) * loudness;
            self.depth[m] = self.change[m] / (1.0 + self.mean[m] / LOUDNESS);
        }
    }

    /// How much this frame of a reference counts.
    fn weight(&self, table: &ModulationTable) -> f64 {
        self.mean.iter().zip(&table.threshold).map(|(mean, threshold)| mean / (mean + threshold)).sum()
    }
}

/// Means over the frames of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ModulationDifference {
    first: f64,
    second: f64,
    weight: f64,
    last: [f64; WINDOW],
    windowed: f64,
    frames: u64,
}

impl ModulationDifference {
    /// Adds a frame.
    pub fn push(&mut self, reference: &Modulation, degraded: &Modulation, table: &ModulationTable) {
        let (mut first, mut second) = (0.0, 0.0);
        for (r, d) in reference.depth.iter().zip(&degraded.depth) {
            let difference = (d - r).abs();
            first += difference / (1.0 + r);
            // Modulation that is lost is heard less.
            second += if d > r { difference } else { 0.1 * difference } / (0.01 + r);
        }
        let percent = 100.0 / BANDS as f64;
        let weight = reference.weight(table);
        self.first += weight * percent * first;
        self.second += weight * percent * second;
        self.weight += weight;
        self.last[self.frames as usize % WINDOW] = (percent * first).sqrt();
        self.frames += 1;
        if self.frames >= WINDOW as u64 {
            self.windowed += (self.last.iter().sum::<f64>() / WINDOW as f64).powi(4);
        }
    }

    /// `AvgModDiff1`: against the modulation of the reference plus 1.
    pub fn average_1(&self) -> f64 {
        self.first / self.weight.max(f64::MIN_POSITIVE)
    }

    /// `AvgModDiff2`: against the modulation of the reference plus 0.01; what is lost counts a tenth.
    pub fn average_2(&self) -> f64 {
        self.second / self.weight.max(f64::MIN_POSITIVE)
    }

    /// `WinModDiff1`: root mean square, over windows of 100 ms.
    pub fn windowed_1(&self) -> f64 {
        let windows = (self.frames + 1).saturating_sub(WINDOW as u64).max(1);
        (self.windowed / windows as f64).sqrt()
    }

    /// Frames that were added.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(levels: impl Iterator<Item = f64>, table: &ModulationTable) -> Vec<Bands> {
        let mut modulation = Modulation::new();
        levels
            .map(|energy| {
                modulation.push(&[energy; BANDS], table);
                modulation.depth
            })
            .collect()
    }

    #[test]
    fn what_stands_still_has_no_modulation_and_what_swings_has() {
        let table = ModulationTable::new(&BandTable::new());
        let still = course((0..400).map(|_| 1e6), &table);
        assert!(still[399].iter().all(|depth| *depth < 1e-9));
        // The loudness swings between 1 and 3: changes of 2 in each frame, around a mean of 2.
        let swings = course((0..400).map(|i| if i % 2 == 0 { 1.0 } else { 3f64.powf(1.0 / LOUDNESS) }), &table);
        let both = 0.5 * (swings[398][0] + swings[399][0]);
        let expected = FRAMES_PER_S * 2.0 / (1.0 + 2.0 / LOUDNESS);
        assert!((both / expected - 1.0).abs() < 0.02, "{both} for {expected}");
    }

    #[test]
    fn differences_are_means_weighted_by_the_loudness_of_the_reference() {
        let table = ModulationTable::new(&BandTable::new());
        let with =
            |depth: f64, mean: f64| Modulation { depth: [depth; BANDS], mean: [mean; BANDS], ..Modulation::new() };
        let mut difference = ModulationDifference::default();
        difference.push(&with(1.0, 1e12), &with(3.0, 1.0), &table); // weight of nearly 1 per band
        difference.push(&with(3.0, 0.0), &with(1.0, 1.0), &table); // no weight
        assert!((difference.average_1() - 100.0 * 2.0 / 2.0).abs() < 1e-6);
        assert!((difference.average_2() - 100.0 * 2.0 / 1.01).abs() < 1e-6);
        assert_eq!(difference.windowed_1(), 0.0);
        let mut steady = ModulationDifference::default();
        for _ in 0..10 {
            steady.push(&with(1.0, 1.0), &with(1.5, 1.0), &table);
        }
        // Mean of the roots to the fourth, and the root of that: the value itself.
        assert!((steady.windowed_1() - 25.0).abs() < 1e-9 && (steady.average_1() - 25.0).abs() < 1e-9);
        let mut lost = ModulationDifference::default();
        lost.push(&with(1.5, 1.0), &with(1.0, 1.0), &table);
        assert!((lost.average_2() - 100.0 * 0.05 / 1.51).abs() < 1e-9);
    }
}
