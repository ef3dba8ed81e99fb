//! Where a stretch of one signal is most like another: normalised correlation, first coarsely, then frame by frame.

use super::source::Source;
use crate::dsp::kernels;

/// Scratch of the search. Means over `step` frames stand for the signal at first.
#[derive(Debug, Clone)]
pub struct Search {
    step: usize,
    /// Lags searched on each side, a multiple of `step`.
    reach: usize,
    want: Vec<f32>,
    have: Vec<f32>,
    scores: Vec<f64>,
}

impl Search {
    /// A search of `reach_ms` on each side; the first pass is done at about 5 kHz.
    pub fn new(rate_hz: f64, reach_ms: f64) -> Self {
        let step = ((rate_hz / 5_000.0) as usize).max(1);
        let reach = ((rate_hz * reach_ms / 1000.0) as usize).div_ceil(step) * step;
        Self { step, reach, want: Vec::new(), have: Vec::new(), scores: Vec::new() }
    }

    /// Farthest result, in frames.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// Frames beyond both the farthest result and the stretch that the search may read.
    pub fn margin(&self) -> usize {
        2 * self.step + 1
    }

    /// Position of the input near `around` where its channels are most like those of `want`; `around` where the input
    /// does not suffice. Of equals the closest.
    pub fn find<'a>(&mut self, source: &Source, around: i64, want: impl Fn(usize) -> &'a [f32]) -> i64 {
        let (step, reach) = (self.step as i64, self.reach as i64);
        let Some(coarse) = self.pass(source, around - reach, 2 * self.reach / self.step + 1, self.step, &want) else {
            return around;
        };
        let middle = around - reach + coarse as i64 * step;
        match self.pass(source, middle - step, 2 * self.step + 1, 1, &want) {
            Some(fine) => middle - step + fine as i64,
            None => around,
        }
    }

    /// Best of `lags` lags, `step` frames apart.
    fn pass<'a>(
        &mut self,
        source: &Source,
        from: i64,
        lags: usize,
        step: usize,
        want: &impl Fn(usize) -> &'a [f32],
    ) -> Option<usize> {
        self.scores.clear();
        self.scores.resize(lags, 0.0);
        for channel in 0..source.channel_count() {
            let want = want(channel);
            let length = want.len() / step;
            let have = source.window(channel, from, (length + lags) * step);
            if have.len() < (length + lags) * step || length == 0 {
                return None;
            }
            if step == 1 {
                accumulate(want, have, &mut self.scores);
            } else {
                means(want, step, &mut self.want);
                means(have, step, &mut self.have);
                accumulate(&self.want, &self.have, &mut self.scores);
            }
        }
        Some(index_of_best(&self.scores))
    }
}

/// Means of runs of `step` samples.
fn means(samples: &[f32], step: usize, to: &mut Vec<f32>) {
    let scale = 1.0 / step as f32;
    to.clear();
    to.extend(samples.chunks_exact(step).map(|run| run.iter().sum::<f32>() * scale));
}

/// Adds the normalised correlation of `want` with `have` at each lag, weighted by the level of `want`.
fn accumulate(want: &[f32], have: &[f32], scores: &mut [f64]) {
    let own = kernels::sum_of_squares(want);
    let mut energy = kernels::sum_of_squares(&have[..want.len()]);
    for (lag, score) in scores.iter_mut().enumerate() {
        let product = f64::from(kernels::dot(want, &have[lag..lag + want.len()]));
        let both = own * energy.max(0.0);
        if both > 1e-20 {
            *score += product / both.sqrt() * own.sqrt();
        }
        energy += f64::from(have[lag + want.len()]).powi(2) - f64::from(have[lag]).powi(2);
    }
}

/// The best score; of equals the one closest to the middle.
fn index_of_best(scores: &[f64]) -> usize {
    let middle = scores.len() / 2;
    let mut best = middle;
    for distance in 1..=middle {
        for index in [middle - distance, middle + distance] {
            if scores.get(index).is_some_and(|s| *s > scores[best]) {
                best = index;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};

    #[test]
    fn finds_a_stretch_of_the_input_to_the_frame() {
        let mut seed = 1u32;
        let mut last = 0.0f32;
        // Noise with little above 1 kHz, as speech has; white noise would not survive the means.
        let x: Vec<f32> = (0..6_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                last += 0.1 * ((seed >> 8) as f32 / 8_388_608.0 - 1.0 - last);
                last
            })
            .collect();
        let spec = Spec::new(44_100, ChannelLayout::STEREO);
        let mut source = Source::new(2, 100);
        source.push(&Buffer::from_channels(spec, &[x.clone(), x.iter().map(|x| -x).collect()]));
        let mut search = Search::new(44_100.0, 6.0);
        assert!(search.reach() >= 264 && search.reach() < 264 + 8);
        for at in [2_000i64, 2_001, 2_137, 2_255, 1_745] {
            let want: Vec<Vec<f32>> = (0..2).map(|c| source.window(c, at, 800).to_vec()).collect();
            assert_eq!(search.find(&source, 2_000, |c| &want[c]), at);
        }
        assert_eq!(search.find(&source, 5_900, |_| &x[..800]), 5_900, "not there yet");
    }
}
