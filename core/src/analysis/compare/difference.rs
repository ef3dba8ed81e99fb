//! Differences of the waveforms: signal to noise ratio, in all, in segments, and free of scale.
//!
//! `SNR = 10 lg(sum r^2 / sum (r - d)^2)`. `SI-SDR`: the same against `a r` with `a = <r, d> / <r, r>`, the best scale (J. Le Roux et al.,
//! *SDR - Half-baked or Well Done?*, ICASSP 2019). Segments: J. Hansen, B. Pellom, *An effective quality evaluation protocol for speech
//! enhancement algorithms*, ICSLP 1998. Sums go over all channels, which have one scale.

/// Ratios in dB go no further to either side: beyond what 32-bit floats can hold. It stands for no difference.
pub const MAX_RATIO_DB: f64 = 200.0;
/// Range of the ratio of one segment in dB.
const SEGMENT_DB: (f64, f64) = (-10.0, 35.0);
/// Mean square of a reference that is silent: -60 dB against that of a full-scale square wave.
pub(super) const SILENT: f64 = 1e-6;

/// `10 lg(over / under)` within [`MAX_RATIO_DB`]; none for a ratio of two zeros.
fn ratio_db(over: f64, under: f64) -> Option<f64> {
    let ratio = 10.0 * (over / under).log10();
    (over > 0.0 || under > 0.0).then(|| ratio.clamp(-MAX_RATIO_DB, MAX_RATIO_DB))
}

/// Sums over all channels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Difference {
    reference: f64,
    degraded: f64,
    error: f64,
    /// Of the reference and the error.
    product: f64,
    segments: u64,
    segment_db: f64,
    /// Of this segment, all channels.
    segment: Segment,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Segment {
    reference: f64,
    error: f64,
    samples: usize,
}

impl Difference {
    /// Adds one channel of a segment.
    pub fn push(&mut self, reference: &[f32], degraded: &[f32]) {
        let (mut rr, mut dd, mut ee, mut re) = (0.0, 0.0, 0.0, 0.0);
        for (r, d) in reference.iter().zip(degraded) {
            let (r, d) = (f64::from(*r), f64::from(*d));
            let e = d - r;
            rr += r * r;
            dd += d * d;
            ee += e * e;
            re += r * e;
        }
        self.reference += rr;
        self.degraded += dd;
        self.error += ee;
        self.product += re;
        self.segment.reference += rr;
        self.segment.error += ee;
        self.segment.samples += reference.len();
    }

    /// Ends the segment.
    pub fn end_segment(&mut self) {
        let Segment { reference, error, samples } = std::mem::take(&mut self.segment);
        if reference > SILENT * samples as f64 {
            let db = ratio_db(reference, error).unwrap_or_default();
            self.segment_db += db.clamp(SEGMENT_DB.0, SEGMENT_DB.1);
            self.segments += 1;
        }
    }

    /// Whether no sample differs.
    pub fn is_none(&self) -> bool {
        self.error == 0.0
    }

    /// SNR in dB; none when the reference is silent.
    pub fn snr_db(&self) -> Option<f64> {
        (self.reference > 0.0).then(|| ratio_db(self.reference, self.error))?
    }

    /// SI-SDR in dB; none when one of both is silent.
    pub fn si_sdr_db(&self) -> Option<f64> {
        if self.reference <= 0.0 || self.degraded <= 0.0 {
            return None;
        }
        let scale = 1.0 + self.product / self.reference;
        let target = scale * scale * self.reference;
        // By the error and not by the degraded signal, whose sum would swallow a small one.
        let rest = self.error - self.product * self.product / self.reference;
        // What is left of rounding counts as nothing.
        let nothing = 1e-15 * (self.error + self.degraded);
        ratio_db(target, if rest > nothing { rest } else { 0.0 })
    }

    /// Mean of the segments in dB; none when the reference is silent.
    pub fn segmental_snr_db(&self) -> Option<f64> {
        (self.segments > 0).then(|| self.segment_db / self.segments as f64)
    }

    /// Level of the degraded signal against the reference in dB; none when the reference is silent.
    pub fn level_difference_db(&self) -> Option<f64> {
        (self.reference > 0.0).then(|| ratio_db(self.degraded, self.reference))?
    }

    /// Correlation, -1 to 1; none when one of both is silent.
    pub fn correlation(&self) -> Option<f64> {
        let both = (self.reference * self.degraded).sqrt();
        (both > 0.0).then(|| ((self.reference + self.product) / both).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32, n: usize) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    fn of(reference: &[f32], degraded: &[f32]) -> Difference {
        let mut difference = Difference::default();
        for (r, d) in reference.chunks(1024).zip(degraded.chunks(1024)) {
            difference.push(r, d);
            difference.end_segment();
        }
        difference
    }

    #[test]
    fn noise_of_a_known_level_gives_its_ratio() {
        let (signal, added) = (noise(1, 96_000), noise(2, 96_000));
        for db in [0.0, 10.0, 30.0, 80.0] {
            let gain = 10f32.powf(-db / 20.0);
            let degraded: Vec<f32> = signal.iter().zip(&added).map(|(s, n)| s + gain * n).collect();
            let got = of(&signal, &degraded);
            let power = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let exact = 10.0 * (power(&signal) / power(&added)).log10() + f64::from(db);
            // At 80 dB the rounding of the sum to 32 bits adds noise at -150 dB.
            assert!((got.snr_db().unwrap() - exact).abs() < 1e-3, "{db}: {:?}", got.snr_db());
            assert!(
                (got.segmental_snr_db().unwrap() - exact.min(35.0)).abs() < 0.3,
                "{db}: {:?}",
                got.segmental_snr_db()
            );
            // Uncorrelated noise costs as much with the best scale, but for the part of it that is like the signal.
            assert!((got.si_sdr_db().unwrap() - exact).abs() < 0.1, "{db}: {:?}", got.si_sdr_db());
        }
    }

    #[test]
    fn scale_and_polarity_do_not_matter_to_si_sdr() {
        let (signal, added) = (noise(3, 48_000), noise(4, 48_000));
        let degraded: Vec<f32> = signal.iter().zip(&added).map(|(s, n)| s + 0.1 * n).collect();
        let plain = of(&signal, &degraded).si_sdr_db().unwrap();
        for gain in [-4.0, -1.0, 0.25, 8.0] {
            let scaled: Vec<f32> = degraded.iter().map(|x| x * gain).collect();
            let got = of(&signal, &scaled);
            assert!((got.si_sdr_db().unwrap() - plain).abs() < 1e-6, "{gain}");
            assert!(
                (got.level_difference_db().unwrap()
                    - of(&signal, &degraded).level_difference_db().unwrap()
                    - 20.0 * f64::from(gain.abs()).log10())
                .abs()
                    < 1e-9
            );
            assert_eq!(got.correlation().unwrap() < 0.0, gain < 0.0);
        }
    }

    #[test]
    fn no_difference_inversion_and_silence_have_their_values() {
        let signal = noise(5, 4096);
        let same = of(&signal, &signal);
        assert!(same.is_none());
        assert_eq!((same.snr_db(), same.si_sdr_db(), same.segmental_snr_db()), (Some(200.0), Some(200.0), Some(35.0)));
        assert_eq!((same.level_difference_db(), same.correlation()), (Some(0.0), Some(1.0)));
        let inverted = of(&signal, &signal.iter().map(|x| -x).collect::<Vec<f32>>());
        assert!((inverted.snr_db().unwrap() + 20.0 * 2f64.log10()).abs() < 1e-9);
        assert_eq!((inverted.si_sdr_db(), inverted.correlation()), (Some(200.0), Some(-1.0)));
        let silence = vec![0.0; 4096];
        let lost = of(&signal, &silence);
        assert_eq!((lost.snr_db(), lost.si_sdr_db(), lost.level_difference_db()), (Some(0.0), None, Some(-200.0)));
        let none = of(&silence, &signal);
        assert_eq!(
            (none.snr_db(), none.si_sdr_db(), none.segmental_snr_db(), none.correlation()),
            (None, None, None, None)
        );
    }
}
