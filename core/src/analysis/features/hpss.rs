//! Separation of what rings from what strikes: harmonic sounds are lines along time in a spectrogram, percussive ones lines along
//! frequency, and each is what the median along the other direction leaves (D. Fitzgerald, *Harmonic/percussive separation using median
//! filtering*, DAFx 2010). Soft masks of power 2 share each bin by the squares of the two medians, as `librosa.decompose.hpss` with its
//! defaults: 31 frames by 31 bins, mirrored at the edges.
//!
//! Medians are taken of lists that stay sorted while one value goes and another comes, for 16 bins (or frames) at once.

use crate::dsp::kernels::{LANES, replace_sorted};

/// Length of both medians.
const LENGTH: usize = 31;
const HALF: usize = LENGTH / 2;

/// Frames that are worked on at once.
const BATCH: usize = LANES;

/// Smallest median that counts as something.
const TINY: f32 = f32::MIN_POSITIVE;

/// Energies of the parts of one frame: sums of the squared magnitudes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// Of what rings.
    pub harmonic: f32,
    /// Of what strikes.
    pub percussive: f32,
}

impl Parts {
    /// Share of the harmonic part, 0 to 1; none for silence.
    pub fn harmonic_ratio(self) -> Option<f32> {
        let sum = self.harmonic + self.percussive;
        (sum > 0.0).then(|| self.harmonic / sum)
    }
}

/// The mirror image of a place outside `0..count`, the edges being repeated.
fn mirror(at: i64, count: i64) -> usize {
    let at = at.rem_euclid(2 * count);
    (if at < count { at } else { 2 * count - 1 - at }) as usize
}

/// One sorted list of [`LENGTH`] values per lane. There are a multiple of 16 lanes.
struct Sorted {
    /// As [`replace_sorted`] wants them.
    lists: Vec<f32>,
}

impl Sorted {
    fn new(lanes: usize) -> Self {
        Self { lists: vec![0.0; LENGTH * lanes] }
    }

    /// One value per lane in the place of one that is there.
    fn replace(&mut self, old: &[f32], new: &[f32]) {
        replace_sorted(&mut self.lists, LENGTH, old, new);
    }

    /// Fills all lanes anew; `value(place, lane)`.
    fn fill(&mut self, value: impl Fn(usize, usize) -> f32) {
        for (j, block) in self.lists.chunks_exact_mut(LENGTH * LANES).enumerate() {
            for i in 0..LANES {
                let mut values: [f32; LENGTH] = std::array::from_fn(|place| value(place, j * LANES + i));
                values.sort_by(f32::total_cmp);
                values.iter().enumerate().for_each(|(k, v)| block[k * LANES + i] = *v);
            }
        }
    }

    /// The medians, 16 lanes at a time.
    fn medians(&self) -> impl Iterator<Item = &[f32]> {
        self.lists.chunks_exact(LENGTH * LANES).map(|block| &block[HALF * LANES..(HALF + 1) * LANES])
    }
}

/// Separates magnitude spectra frame by frame. Results come 15 to 30 frames late; memory does not grow.
pub struct Hpss {
    bins: usize,
    /// The last frames, each at its number modulo [`Hpss::KEPT`], with zeros up to a multiple of 16 bins.
    recent: Vec<Vec<f32>>,
    pushed: u64,
    done: u64,
    along_time: Sorted,
    along_frequency: Sorted,
    /// `bins` rows of [`BATCH`] lanes: a batch of frames, and its medians along frequency.
    turned: Vec<f32>,
    percussive: Vec<f32>,
    harmonic: Vec<f32>,
}

impl Hpss {
    /// Frames that are needed at once: those of the median, one that leaves it, and a batch.
    const KEPT: usize = LENGTH + 1 + BATCH;

    /// For spectra of `bins` bins, at least 1.
    pub fn new(bins: usize) -> Self {
        let lanes = bins.next_multiple_of(LANES);
        Self {
            bins,
            recent: vec![vec![0.0; lanes]; Self::KEPT],
            pushed: 0,
            done: 0,
            along_time: Sorted::new(lanes),
            along_frequency: Sorted::new(BATCH),
            turned: vec![0.0; bins * BATCH],
            percussive: vec![0.0; bins * BATCH],
            harmonic: vec![0.0; lanes],
        }
    }

    /// Adds the magnitudes of a frame, and calls `each` for frames that are decided.
    pub fn push(&mut self, magnitude: &[f32], each: &mut impl FnMut(Parts)) {
        self.recent[(self.pushed % Self::KEPT as u64) as usize][..self.bins].copy_from_slice(magnitude);
        self.pushed += 1;
        if self.pushed - self.done == (BATCH + HALF) as u64 {
            self.batch(BATCH, None, each);
        }
    }

    /// Calls `each` for the frames that are left.
    pub fn finish(mut self, each: &mut impl FnMut(Parts)) {
        let count = self.pushed;
        while self.done < count {
            let frames = ((count - self.done) as usize).min(BATCH);
            self.batch(frames, Some(count), each);
        }
    }

    /// Where a frame lies; beyond the ends, its mirror image. The end is known at last only.
    fn place(at: i64, count: Option<u64>) -> usize {
        let frame = match count {
            Some(count) => mirror(at, count as i64),
            None => (if at < 0 { -1 - at } else { at }) as usize,
        };
        frame % Self::KEPT
    }

    /// Decides the next `frames` frames.
    fn batch(&mut self, frames: usize, count: Option<u64>, each: &mut impl FnMut(Parts)) {
        self.medians_along_frequency(frames);
        for lane in 0..frames {
            let at = self.done as i64;
            let place = |offset: i64| Self::place(at + offset, count);
            if at == 0 {
                let recent = &self.recent;
                self.along_time.fill(|n, bin| recent[place(n as i64 - HALF as i64)][bin]);
            } else {
                let (old, new) = (place(-(HALF as i64) - 1), place(HALF as i64));
                self.along_time.replace(&self.recent[old], &self.recent[new]);
            }
            let medians = self.along_time.medians();
            self.harmonic.chunks_exact_mut(LANES).zip(medians).for_each(|(to, m)| to.copy_from_slice(m));
            let spectrum = &self.recent[place(0)][..self.bins];
            let mut parts = (0.0f64, 0.0f64);
            let percussive = self.percussive.chunks_exact(BATCH).map(|row| row[lane]);
            for ((x, h), p) in spectrum.iter().zip(&self.harmonic).zip(percussive) {
                let largest = if *h > p { *h } else { p };
                // Where both are nothing, they share.
                let scale = if largest < TINY { 0.0 } else { 1.0 / largest };
                let (h, p) = (h * scale, p * scale);
                let (h, p) = if largest < TINY { (0.5, 0.5) } else { (h * h, p * p) };
                let (h, p) = (x * (h / (h + p)), x * (p / (h + p)));
                parts.0 += f64::from(h * h);
                parts.1 += f64::from(p * p);
            }
            each(Parts { harmonic: parts.0 as f32, percussive: parts.1 as f32 });
            self.done += 1;
        }
    }

    fn medians_along_frequency(&mut self, frames: usize) {
        for lane in 0..frames {
            let place = ((self.done + lane as u64) % Self::KEPT as u64) as usize;
            for (row, x) in self.turned.chunks_exact_mut(BATCH).zip(&self.recent[place]) {
                row[lane] = *x;
            }
        }
        let bins = self.bins as i64;
        let turned = &self.turned;
        let row = |bin: i64| &turned[mirror(bin, bins) * BATCH..][..BATCH];
        self.along_frequency.fill(|n, lane| row(n as i64 - HALF as i64)[lane]);
        for (bin, out) in self.percussive.chunks_exact_mut(BATCH).enumerate() {
            let bin = bin as i64;
            if bin > 0 {
                self.along_frequency.replace(row(bin - HALF as i64 - 1), row(bin + HALF as i64));
            }
            self.along_frequency.medians().for_each(|medians| out.copy_from_slice(medians));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut seed = seed;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Coarse, so that some values are equal.
            (seed >> 24) as f32 / 256.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn run(frames: &[Vec<f32>]) -> Vec<Parts> {
        let (mut hpss, mut got) = (Hpss::new(frames[0].len()), Vec::new());
        frames.iter().for_each(|f| hpss.push(f, &mut |p| got.push(p)));
        hpss.finish(&mut |p| got.push(p));
        got
    }

    /// By sorting every neighbourhood.
    fn plain(frames: &[Vec<f32>]) -> Vec<(f64, f64)> {
        let (count, bins) = (frames.len() as i64, frames[0].len() as i64);
        let median = |value: &dyn Fn(i64) -> f32| -> f64 {
            let mut all: Vec<f32> = (-(HALF as i64)..=HALF as i64).map(value).collect();
            all.sort_by(f32::total_cmp);
            f64::from(all[HALF])
        };
        let frame = |t: i64| -> (f64, f64) {
            let mut parts = (0.0, 0.0);
            for k in 0..bins {
                let h = median(&|n| frames[mirror(t + n, count)][k as usize]);
                let p = median(&|n| frames[t as usize][mirror(k + n, bins)]);
                let x = f64::from(frames[t as usize][k as usize]);
                let share = if h + p == 0.0 { 0.5 } else { h * h / (h * h + p * p) };
                parts.0 += (x * share).powi(2);
                parts.1 += (x * (1.0 - share)).powi(2);
            }
            parts
        };
        (0..count).map(frame).collect()
    }

    #[test]
    fn agrees_with_sorted_neighbourhoods_for_any_length() {
        for (count, bins) in [(1, 5), (2, 40), (15, 33), (16, 65), (17, 1), (31, 40), (47, 70), (100, 20)] {
            let mut frames: Vec<Vec<f32>> = (0..count).map(|t| noise(bins, t as u32 * 77 + 1)).collect();
            if count > 20 {
                frames[18].fill(0.0);
            }
            let got = run(&frames);
            assert_eq!(got.len(), count);
            for (t, (got, expected)) in got.iter().zip(plain(&frames)).enumerate() {
                let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-5 * (1.0 + b); // f32 masks
                let good = near(got.harmonic, expected.0) && near(got.percussive, expected.1);
                assert!(good, "{count} x {bins}, frame {t}: {got:?} {expected:?}");
            }
        }
    }

    #[test]
    fn lines_along_time_ring_and_lines_along_frequency_strike() {
        let frames: Vec<Vec<f32>> = (0..120)
            .map(|t| (0..200).map(|k| if t == 60 { 5.0 } else { f32::from(k == 50 || k == 120) } + 1e-3).collect())
            .collect();
        let ratio = |t: usize| run(&frames)[t].harmonic_ratio().unwrap();
        assert!(ratio(20) > 0.99 && ratio(100) > 0.99 && ratio(60) < 0.05);
        assert_eq!(Parts::default().harmonic_ratio(), None);
    }

    #[test]
    fn the_ends_are_mirrored() {
        let places: Vec<usize> = (-6..9).map(|at| mirror(at, 3)).collect();
        assert_eq!(places, [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2]);
    }
}
