//! Summary of a series that is not kept: mean, standard deviation, extremes, percentiles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A series in a few numbers. `mean` and `std` are exact; percentiles within 0.2 % of their value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the population).
    pub std: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// 5th percentile.
    pub p05: f64,
    /// 25th percentile.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// Mean and standard deviation of a vector, per element.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct VectorSummary {
    /// Mean of each element.
    pub mean: Vec<f64>,
    /// Standard deviation of each element.
    pub std: Vec<f64>,
}

/// Running mean and squared deviation (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: u64,
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.deviation += delta * (value - self.mean);
    }

    fn std(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.deviation / self.count as f64).max(0.0).sqrt() }
    }
}

/// Bits of an f32 that are left out of a bucket: 8 of the 23 bits of the mantissa stay, buckets are 0.4 % wide.
const DROPPED_BITS: u32 = 15;
const PAGE_BITS: u32 = 8;

/// Collects one value per frame. Takes up to half a MiB, however long the series.
#[derive(Debug, Clone)]
pub struct Statistics {
    moments: Moments,
    min: f32,
    max: f32,
    /// Counts by the leading bits of the value in the order of numbers; pages are made when needed.
    pages: Vec<Option<Box<[u64; 1 << PAGE_BITS]>>>,
}

impl Default for Statistics {
    fn default() -> Self {
        let pages = vec![None; 1 << (32 - DROPPED_BITS - PAGE_BITS)];
        Self { moments: Moments::default(), min: f32::INFINITY, max: f32::NEG_INFINITY, pages }
    }
}

/// The bits of a number, so that larger numbers have larger bits.
fn ordered(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

impl Statistics {
    /// Adds a value; what is not finite is left out.
    pub fn push(&mut self, value: f32) {
        if !value.is_finite() {
            return;
        }
        self.moments.push(f64::from(value));
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let bucket = (ordered(value) >> DROPPED_BITS) as usize;
        let page = self.pages[bucket >> PAGE_BITS].get_or_insert_with(|| Box::new([0; 1 << PAGE_BITS]));
        page[bucket & ((1 << PAGE_BITS) - 1)] += 1;
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.moments.count
    }

    /// The value that `share` (0 to 1) of the others do not exceed; 0 without values.
    pub fn quantile(&self, share: f64) -> f64 {
        if self.moments.count == 0 {
            return 0.0;
        }
        let rank = (share * (self.moments.count - 1) as f64).round() as u64;
        let mut below = 0;
        for (high, page) in self.pages.iter().enumerate() {
            for (low, count) in page.iter().flat_map(|p| p.iter().enumerate()) {
                below += count;
                if below > rank {
                    let bucket = (high << PAGE_BITS | low) as u32;
                    let middle = from_ordered(bucket << DROPPED_BITS | 1 << (DROPPED_BITS - 1));
                    // The bucket around zero holds denormal numbers only.
                    let middle = if middle.abs() < f32::MIN_POSITIVE { 0.0 } else { middle };
                    return f64::from(middle.clamp(self.min, self.max));
                }
            }
        }
        f64::from(self.max)
    }

    /// All numbers; all 0 without values.
    pub fn summary(&self) -> Summary {
        if self.moments.count == 0 {
            return Summary::default();
        }
        Summary {
            mean: self.moments.mean,
            std: self.moments.std(),
            min: f64::from(self.min),
            max: f64::from(self.max),
            p05: self.quantile(0.05),
            p25: self.quantile(0.25),
            p50: self.quantile(0.5),
            p75: self.quantile(0.75),
            p95: self.quantile(0.95),
        }
    }
}

/// Collects one vector per frame.
#[derive(Debug, Clone, Default)]
pub struct VectorStatistics {
    moments: Vec<Moments>,
}

impl VectorStatistics {
    /// Adds a vector. All must have the same length.
    pub fn push(&mut self, values: &[f32]) {
        self.moments.resize(values.len(), Moments::default());
        self.moments.iter_mut().zip(values).for_each(|(m, v)| m.push(f64::from(*v)));
    }

    /// Number of vectors.
    pub fn count(&self) -> u64 {
        self.moments.first().map_or(0, |m| m.count)
    }

    /// Mean and standard deviation per element; empty without vectors.
    pub fn summary(&self) -> VectorSummary {
        let mean = self.moments.iter().map(|m| m.mean).collect();
        VectorSummary { mean, std: self.moments.iter().map(Moments::std).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_sorted_series() {
        let mut seed = 1u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(seed >> 8) / f64::from(1 << 24)
        };
        for scale in [1.0, -1.0, 1e-6, 1e6] {
            let mut values: Vec<f32> = (0..10_001).map(|_| (scale * (next() + next() - 0.3)) as f32).collect();
            let mut statistics = Statistics::default();
            values.iter().for_each(|v| statistics.push(*v));
            values.sort_by(f32::total_cmp);
            let got = statistics.summary();
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 10_001.0;
            let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 10_001.0;
            let near = |a: f64, b: f64, relative: f64| assert!((a - b).abs() <= relative * b.abs(), "{a} {b}");
            near(got.mean, mean, 1e-12);
            near(got.std, variance.sqrt(), 1e-9);
            for (share, value) in [(0.05, got.p05), (0.25, got.p25), (0.5, got.p50), (0.75, got.p75), (0.95, got.p95)] {
                let exact = f64::from(values[(share * 10_000.0f64).round() as usize]);
                near(value, exact, 0.002); // half a bucket: 2^-9
            }
            assert_eq!((got.min, got.max), (f64::from(values[0]), f64::from(values[10_000])));
        }
    }

    #[test]
    fn nothing_and_zeros() {
        assert_eq!(Statistics::default().summary(), Summary::default());
        let mut zeros = Statistics::default();
        (0..5).for_each(|_| zeros.push(0.0));
        zeros.push(f32::NAN);
        assert_eq!((zeros.summary(), zeros.count()), (Summary::default(), 5));
    }
}
