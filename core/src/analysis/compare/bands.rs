//! The frequency side of the ear model: 109 bands of a quarter Bark, their weights, noise and time constants.
//!
//! After ITU-R BS.1387-2, Annex 2, 2.1.4 to 2.1.7 (basic version), in the form of P. Kabal, *An Examination and Interpretation of ITU-R
//! BS.1387: Perceptual Evaluation of Audio Quality*, McGill University, 2002. The edges are those of the printed
//! table: the formula of the scale, but for three.

/// Rate that the ear model is defined for.
pub(super) const RATE_HZ: f64 = 48_000.0;
/// Samples of a frame, and from one frame to the next.
pub(super) const FRAME: usize = 2048;
pub(super) const HOP: usize = FRAME / 2;
/// Bins of the spectrum of a frame.
pub(super) const BINS: usize = FRAME / 2 + 1;
/// Frames per second.
pub(super) const FRAMES_PER_S: f64 = RATE_HZ / HOP as f64;
/// Bands.
pub(super) const BANDS: usize = 109;
/// One value per band.
pub(super) type Bands = [f64; BANDS];

/// Width of a band in Bark.
pub(super) const BARK_PER_BAND: f64 = 0.25;
const LOWEST_HZ: f64 = 80.0;
const HIGHEST_HZ: f64 = 18_000.0;
/// Edges of the printed table that do not follow from the formula: band, lower, upper. Other programs have them, and with them the modulation
/// differences agree to five digits instead of three.
const PRINTED_HZ: [(usize, Option<f64>, Option<f64>); 3] =
    [(28, None, Some(933.113)), (66, Some(3853.817), None), (70, None, Some(4643.482))];

/// Schroeder's scale, as the standard has it.
fn bark(hz: f64) -> f64 {
    7.0 * (hz / 650.0).asinh()
}

fn hz(bark: f64) -> f64 {
    650.0 * (bark / 7.0).sinh()
}

/// The bins that fall into a band.
struct Share {
    first: usize,
    /// How much of each bin lies within, 0 to 1.
    weights: Vec<f64>,
}

/// What is fixed for each band.
pub(super) struct BandTable {
    shares: Vec<Share>,
    /// Middle of each band in Hz.
    pub centre_hz: Bands,
    /// Noise of the ear itself, as energy.
    pub internal_noise: Bands,
}

impl BandTable {
    pub fn new() -> Self {
        let lowest = bark(LOWEST_HZ);
        let edge_hz = |band: usize| hz(lowest + band as f64 * BARK_PER_BAND).min(HIGHEST_HZ);
        let middle_hz = |band: usize| {
            let top = bark(edge_hz(band + 1));
            hz(0.5 * (lowest + band as f64 * BARK_PER_BAND + top))
        };
        let centre_hz: Bands = std::array::from_fn(middle_hz);
        Self {
            shares: (0..BANDS)
                .map(|band| {
                    let printed = PRINTED_HZ.iter().find(|printed| printed.0 == band);
                    let (lower, upper) = printed.map_or((None, None), |(_, lower, upper)| (*lower, *upper));
                    share(lower.unwrap_or(edge_hz(band)), upper.unwrap_or(edge_hz(band + 1)))
                })
                .collect(),
            internal_noise: centre_hz.map(|hz| 10f64.powf(0.1456 * (hz / 1000.0).powf(-0.8))),
            centre_hz,
        }
    }

    /// Energy in each band of a spectrum of energies; never 0.
    pub fn group(&self, spectrum: &[f32]) -> Bands {
        std::array::from_fn(|band| {
            let Share { first, weights } = &self.shares[band];
            let bins = &spectrum[*first..first + weights.len()];
            let sum: f64 = bins.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum();
            sum.max(1e-12)
        })
    }

    /// Coefficients of one-pole smoothers, one step a frame, whose time constant falls from `at_100_hz_s` at 100 Hz towards `least_s`.
    pub fn smoothing(&self, least_s: f64, at_100_hz_s: f64) -> Bands {
        self.centre_hz.map(|hz| {
            let time_s = least_s + 100.0 / hz * (at_100_hz_s - least_s);
            (-1.0 / (FRAMES_PER_S * time_s)).exp()
        })
    }
}

/// Bins reach half a bin to each side of their middle.
fn share(low_hz: f64, high_hz: f64) -> Share {
    let bin_hz = RATE_HZ / FRAME as f64;
    let (low, high) = (low_hz / bin_hz, high_hz / bin_hz);
    let (first, last) = (low.round() as usize, high.round() as usize);
    let weights =
        (first..=last).map(|bin| ((bin as f64 + 0.5).min(high) - (bin as f64 - 0.5).max(low)).max(0.0)).collect();
    Share { first, weights }
}

/// What the outer and middle ear do to the energy of each bin: Terhardt's curve. Nothing passes at 0 Hz.
pub(super) fn outer_ear() -> Vec<f32> {
    let gain = |bin: usize| {
        let khz = bin as f64 * RATE_HZ / FRAME as f64 / 1000.0;
        let db = -2.184 * khz.powf(-0.8) + 6.5 * (-0.6 * (khz - 3.3).powi(2)).exp() - 0.001 * khz.powf(3.6);
        10f64.powf(db / 10.0) as f32
    };
    (0..BINS).map(|bin| if bin == 0 { 0.0 } else { gain(bin) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_of_the_table_of_the_standard() {
        let table = BandTable::new();
        // BS.1387, table 6: centres of the first, some in the middle, and the last, which is cut at 18 kHz.
        for (band, hz) in
            [(0, 91.708), (1, 115.216), (50, 2183.564), (69, 4373.237), (107, 17_077.504), (108, 17_690.045)]
        {
            assert!((table.centre_hz[band] - hz).abs() < 0.003, "{band}: {} Hz", table.centre_hz[band]);
        }
    }

    #[test]
    fn bands_share_the_energy_of_the_bins() {
        let table = BandTable::new();
        let all = table.group(&[1.0; BINS]);
        // Without gaps, but for what the printed edges leave out and have twice.
        let printed_hz = (933.113 - 933.119) + (3853.348 - 3853.817) + (4643.482 - 4616.482);
        let bins = (HIGHEST_HZ - LOWEST_HZ + printed_hz) / (RATE_HZ / FRAME as f64);
        assert!((all.iter().sum::<f64>() - bins).abs() < 1e-4, "{} for {bins}", all.iter().sum::<f64>());
        // One bin at 1008 Hz lies in the bands around it.
        let mut one = vec![0.0; BINS];
        one[43] = 1.0;
        let grouped = table.group(&one);
        assert!((grouped.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(grouped.iter().position(|e| *e > 0.4).is_some_and(|b| (table.centre_hz[b] - 1007.8).abs() < 25.0));
    }

    #[test]
    fn the_outer_ear_passes_most_near_3_khz_and_less_at_both_ends() {
        let weights = outer_ear();
        let loudest = (1..BINS).max_by(|a, b| weights[*a].total_cmp(&weights[*b])).unwrap();
        assert!((130..160).contains(&loudest), "{loudest}");
        assert!(weights[0] == 0.0 && weights[4] < 0.1 && weights[900] < 1e-4, "{} {}", weights[4], weights[900]);
    }
}
