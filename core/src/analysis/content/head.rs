//! What makes classes of a second that the network heard: the mean and the spread of its layers, weighed.

use super::log_mel::{BANDS, INAUDIBLE, ROWS_PER_S};
use super::network::{EVENTS, HIDDEN, MEMORY};
use super::segments::{KINDS, MUSIC, NOISE, SPEECH, SPEECH_OVER_MUSIC, Second};
use super::weights::Weights;
use crate::dsp::kernels::dot;
use crate::error::Result;

/// Mean probability of singing from which a second is sung, when it is larger than that of speech: instruments or not, that is music. (There are
/// hardly any unaccompanied singers among what the weights were trained on.)
const SUNG: f64 = 0.4;

/// A second is silent when less than one row in so many can be heard.
const SCARCE: usize = 10;

/// Mean and standard deviation of the hidden layer, of the memory and of the log powers.
const FEATURES: usize = 2 * (HIDDEN + MEMORY + BANDS);

/// Weights of the features for each kind.
pub(super) struct Head {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// With the weights of the library.
    pub fn new() -> Result<Self> {
        let mut weights = Weights::head()?;
        let head = Self { weights: weights.floats(KINDS * FEATURES)?, bias: weights.floats(KINDS)? };
        weights.end()?;
        Ok(head)
    }

    /// Probabilities of the kinds.
    fn judge(&self, features: &[f32]) -> [f32; KINDS] {
        let score = |k: usize| dot(features, &self.weights[k * FEATURES..(k + 1) * FEATURES]) + self.bias[k];
        let scores: [f32; KINDS] = std::array::from_fn(score);
        let most = scores.iter().copied().fold(f32::MIN, f32::max);
        let parts = scores.map(|score| (score - most).exp());
        let sum: f32 = parts.iter().sum();
        parts.map(|part| part / sum)
    }
}

/// Sums of rows of values.
struct Spread {
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Spread {
    fn new(width: usize) -> Self {
        Self { sums: vec![0.0; width], squares: vec![0.0; width] }
    }

    fn add(&mut self, row: &[f32]) {
        for ((sum, squares), x) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
            let x = f64::from(*x);
            *sum += x;
            *squares += x * x;
        }
    }

    /// Means, then standard deviations, of `count` rows.
    fn finish(&self, count: f64) -> impl Iterator<Item = f32> {
        let means = self.sums.iter().map(move |sum| (sum / count) as f32);
        let deviations = self.sums.iter().zip(&self.squares).map(move |(sum, squares)| {
            let mean = sum / count;
            (squares / count - mean * mean).max(0.0).sqrt() as f32
        });
        means.chain(deviations)
    }
}

/// What there is of 10 ms.
pub(super) struct Row<'a> {
    pub hidden: &'a [f32],
    pub memory: &'a [f32],
    pub bands: &'a [f32],
    pub events: &'a [f32],
    pub mean_square: f32,
}

/// Collects the rows of a second.
pub(super) struct SecondMeter {
    hidden: Spread,
    memory: Spread,
    bands: Spread,
    events: [f64; EVENTS],
    mean_squares: f64,
    rows: usize,
    /// Rows that can be heard.
    heard: usize,
}

impl SecondMeter {
    pub fn new() -> Self {
        Self {
            hidden: Spread::new(HIDDEN),
            memory: Spread::new(MEMORY),
            bands: Spread::new(BANDS),
            events: [0.0; EVENTS],
            mean_squares: 0.0,
            rows: 0,
            heard: 0,
        }
    }

    /// Adds a row; gives the second that it completes.
    pub fn push(&mut self, row: &Row<'_>, head: &Head) -> Option<Second> {
        self.mean_squares += f64::from(row.mean_square);
        self.rows += 1;
        if row.mean_square >= INAUDIBLE {
            self.heard += 1;
            self.hidden.add(row.hidden);
            self.memory.add(row.memory);
            self.bands.add(row.bands);
            self.events.iter_mut().zip(row.events).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        (self.rows == ROWS_PER_S).then(|| self.take(head))
    }

    /// The part of a second at the end, when it is long enough to tell something, or the only one.
    pub fn finish(mut self, head: &Head, before: &[Second]) -> Option<Second> {
        let enough = if before.is_empty() { 1 } else { ROWS_PER_S / 2 };
        (self.rows >= enough).then(|| self.take(head))
    }

    fn take(&mut self, head: &Head) -> Second {
        if SCARCE * self.heard < self.rows {
            *self = Self::new();
            return Second { kinds: [0.0; KINDS], level_dbfs: f64::NEG_INFINITY };
        }
        let count = self.heard as f64;
        let features: Vec<f32> =
            [&self.hidden, &self.memory, &self.bands].into_iter().flat_map(|spread| spread.finish(count)).collect();
        let mut kinds = head.judge(&features);
        let [speech, singing, _] = self.events.map(|sum| sum / count);
        if singing > speech && singing >= SUNG {
            kinds = [0.0, kinds[SPEECH] + kinds[MUSIC] + kinds[SPEECH_OVER_MUSIC], 0.0, kinds[NOISE]];
        }
        let second = Second { kinds, level_dbfs: 10.0 * (self.mean_squares / self.rows as f64 + 1e-20).log10() };
        *self = Self::new();
        second
    }
}
