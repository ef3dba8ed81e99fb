//! [`Scaling`]: filters that only multiply, on samples where they lie.

use super::finite::silence_what_is_not_finite;
use crate::dsp::kernels::{all_finite, scale};

/// Samples that stay in the nearest cache while all factors go over them.
const PIECE: usize = 2048;

/// Does what a [`super::Chain`] does to the frames that [`super::Chain::scaling`] was asked for.
#[must_use = "the chain has gone on by the frames that this is for"]
pub struct Scaling<'a> {
    pub(super) factors: &'a [f32],
    pub(super) non_finite_samples: &'a mut u64,
}

impl Scaling<'_> {
    /// Processes `samples` in place. Each sample of the frames must come once, in any order and division.
    ///
    /// # Real-time
    /// Safe.
    pub fn apply(&mut self, samples: &mut [f32]) {
        for piece in samples.chunks_mut(PIECE) {
            // What is not finite stays so when it is multiplied: one look afterwards finds what was so before as well. Except that
            // 0 times infinity becomes NaN, which is not finite either.
            let finite = match self.factors {
                [] => all_finite(piece),
                factors => factors.iter().fold(true, |finite, factor| finite & scale(piece, *factor)),
            };
            if !finite {
                *self.non_finite_samples += silence_what_is_not_finite(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audio::{Buffer, ChannelLayout, Spec};
    use crate::filters::{Chain, FilterSpec};

    fn chain(filters: &[&str]) -> Chain {
        let specs: Vec<FilterSpec> = filters.iter().map(|f| f.parse().unwrap()).collect();
        let mut chain = Chain::new(&specs).unwrap();
        chain.prepare(Spec::new(48_000, ChannelLayout::MONO), 4096).unwrap();
        chain
    }

    /// Samples of all sizes, with some that are not finite and some that will not be.
    fn samples() -> Vec<f32> {
        let mut samples: Vec<f32> = (0..5000).map(|n| (n as f32 * 0.37).sin()).collect();
        (samples[3], samples[2048], samples[4999]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        (samples[100], samples[2100]) = (3e38, 1e-40);
        samples
    }

    #[test]
    fn gains_in_series_multiply_one_after_the_other_and_keep_the_output_finite() {
        for (gains_db, text) in [
            (vec![], vec![]),
            (vec![-0.001], vec!["gain:gain_db=-0.001"]),
            (vec![20.0, -60.0], vec!["gain:gain_db=20", "gain:gain_db=-60"]),
        ] {
            let factors: Vec<f32> = gains_db.iter().map(|db: &f64| 10f64.powf(db / 20.0) as f32).collect();
            let mut replaced = 0;
            let expected: Vec<f32> = samples()
                .iter()
                .map(|x| {
                    let y = factors.iter().fold(if x.is_finite() { *x } else { 0.0 }, |y, factor| y * factor);
                    replaced += u64::from(!x.is_finite() || !y.is_finite());
                    if y.is_finite() { y } else { 0.0 }
                })
                .collect();
            let mut chain = chain(&text);
            let mut scaled = samples();
            chain.scaling(5000).unwrap().apply(&mut scaled);
            assert_eq!(scaled, expected);
            assert_eq!(chain.non_finite_samples(), replaced);
        }
    }

    #[test]
    fn where_the_samples_lie_does_not_show_while_a_parameter_moves() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let run = |in_place: bool| {
            let mut chain = chain(&["gain:gain_db=-6"]);
            let (mut out, mut in_places) = (Vec::new(), 0);
            for n in 0..20 {
                if n == 3 {
                    chain.set_parameter(0, "gain_db", -20.0).unwrap();
                }
                let mut samples = vec![0.5; 250];
                if in_place && let Some(mut scaling) = chain.scaling(250) {
                    scaling.apply(&mut samples);
                    in_places += 1;
                } else {
                    let mut block = Buffer::from_channels(spec, &[samples]);
                    chain.filters_alone(&mut block);
                    samples = block.channel(0).to_vec();
                }
                out.extend(samples);
            }
            (out, in_places)
        };
        let (expected, _) = run(false);
        let (out, in_places) = run(true);
        assert_eq!(out, expected);
        // 20 ms are 960 frames: those of 4 or 5 blocks glide.
        assert!((14..=16).contains(&in_places), "{in_places}");
    }

    #[test]
    fn filters_that_do_more_are_not_skipped() {
        for filters in [&["highpass"][..], &["gain:gain_db=3", "limiter"]] {
            let mut chain = chain(filters);
            assert!(chain.scaling(100).is_none());
        }
        assert!(Chain::new(&[]).unwrap().scaling(1).is_none(), "before it is prepared");
    }
}
