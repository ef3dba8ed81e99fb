//! What is counted: counters, gauges, histograms. All are atomics: no locks, so they may be used from any thread.

use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, Mutex, lock};

/// A number that only grows, from 0.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds 1.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Adds `amount`. What would not make it larger (negative, not a number) is left out.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 && amount.is_finite() {
            change(&self.0, |v| v + amount);
        }
    }

    /// Value now. Whole numbers are exact up to 2^53.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds `amount`, which may be negative.
    pub fn add(&self, amount: f64) {
        change(&self.0, |v| v + amount);
    }

    /// Value now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

fn change(bits: &AtomicU64, to: impl Fn(f64) -> f64) {
    let step = |old| Some(to(f64::from_bits(old)).to_bits());
    // It never gives `None`, so the update never fails.
    let _ = bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
}

/// One observation with the identifier of the run that made it, so that a slow bucket leads to a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Identifier of the run, as in events and log records.
    pub run: String,
    /// What was observed.
    pub value: f64,
}

/// How often values fell into which range.
#[derive(Debug)]
pub struct Histogram {
    /// Upper ends of the buckets, inclusive, rising.
    bounds: Box<[f64]>,
    /// One more than bounds: the last is everything above.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    exemplars: Mutex<Vec<Option<Exemplar>>>,
}

/// A consistent copy of a [`Histogram`].
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Upper end, how many observations are at most that, and the last of them that was told with its run. Ends with infinity.
    pub buckets: Vec<(f64, u64, Option<Exemplar>)>,
    /// Sum of all observations.
    pub sum: f64,
}

impl Distribution {
    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |b| b.1)
    }
}

impl Histogram {
    /// With these upper ends of the buckets, which must be rising finite numbers.
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.into(),
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            exemplars: Mutex::new(Vec::new()),
        }
    }

    /// Notes a value. What is not a number is left out.
    pub fn observe(&self, value: f64) {
        self.note(value);
    }

    /// Notes a value and keeps it as the example of its bucket.
    pub fn observe_of(&self, value: f64, run: &str) {
        let Some(bucket) = self.note(value) else { return };
        let mut exemplars = lock(&self.exemplars);
        exemplars.resize(self.counts.len(), None);
        exemplars[bucket] = Some(Exemplar { run: run.to_owned(), value });
    }

    fn note(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        let bucket = self.bounds.partition_point(|end| *end < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        change(&self.sum, |sum| sum + value);
        Some(bucket)
    }

    /// What was noted so far.
    pub fn get(&self) -> Distribution {
        let mut below = 0;
        let exemplars = lock(&self.exemplars);
        let ends = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = ends.zip(&self.counts).enumerate();
        let buckets = buckets.map(|(i, (end, count))| {
            below += count.load(Ordering::Relaxed);
            (end, below, exemplars.get(i).cloned().flatten())
        });
        Distribution { buckets: buckets.collect(), sum: f64::from_bits(self.sum.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_grow_and_gauges_move() {
        let (counter, gauge) = (Counter::default(), Gauge::default());
        for amount in [1.0, -5.0, f64::NAN, f64::INFINITY, 0.5] {
            counter.add(amount);
        }
        gauge.add(2.0);
        gauge.add(-3.0);
        assert_eq!((counter.get(), gauge.get()), (1.5, -1.0));
    }

    #[test]
    fn additions_of_many_threads_are_all_there() {
        let (counter, histogram) = (Counter::default(), Histogram::new(&[10.0]));
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (counter, histogram) = (&counter, &histogram);
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        counter.inc();
                        histogram.observe(f64::from(n));
                    }
                });
            }
        });
        let seen = histogram.get();
        assert_eq!((counter.get(), seen.count(), seen.sum), (80_000.0, 80_000, 280_000.0));
    }

    #[test]
    fn a_value_on_the_border_belongs_below_and_the_example_is_the_last() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [1.0, 1.5, 2.0, 9.0, f64::NAN] {
            histogram.observe(value);
        }
        histogram.observe_of(1.7, "a");
        histogram.observe_of(1.8, "b");
        let seen = histogram.get();
        let counts: Vec<u64> = seen.buckets.iter().map(|b| b.1).collect();
        assert_eq!(counts, [1, 5, 6]);
        assert_eq!(seen.buckets[1].2, Some(Exemplar { run: "b".into(), value: 1.8 }));
        assert!(seen.buckets[0].2.is_none() && seen.buckets[2].0.is_infinite());
    }
}
