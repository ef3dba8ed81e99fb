//! One metric with its labels: a series for each combination of their values, and never more than [`MAX_SERIES`].

use std::collections::HashMap;
use std::sync::Arc;

use crate::sync::{RwLock, unpoisoned};

/// Most series of one metric; the last of them is [`OTHER`].
pub const MAX_SERIES: usize = 1000;
/// Label value of everything that has no series of its own.
pub const OTHER: &str = "other";
/// Longest label value, in characters.
const MAX_VALUE: usize = 128;
/// Between values in a key. No value holds it.
const SEPARATOR: char = '\u{1f}';

/// A label. Its values must come from a small set: never identifiers of users, paths or keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// All values that it may have; none when they are not known before.
    pub values: Option<Vec<String>>,
}

impl Label {
    /// A label with these values. Others are told as `other`.
    pub fn one_of<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        Self { name: name.into(), values: Some(values.into_iter().map(ToOwned::to_owned).collect()) }
    }

    /// A label whose values are not known before. The first of them get series, see [`MAX_SERIES`]; the rest is `other`.
    pub fn any(name: &str) -> Self {
        Self { name: name.into(), values: None }
    }

    fn admit(&self, value: &str) -> String {
        match &self.values {
            Some(known) if !known.iter().any(|k| k == value) => OTHER.into(),
            Some(_) => value.into(),
            None => tame(value),
        }
    }
}

/// Control characters and line ends of any kind become `?`, and the length is bounded: some readers split lines at them.
fn tame(value: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    value.chars().take(MAX_VALUE).map(|c| if odd(c) { '?' } else { c }).collect()
}

/// Key of a series: the admitted values, or all `other`.
pub(super) fn key_of(labels: &[Label], values: &[&str]) -> String {
    let mut key = String::new();
    for (i, label) in labels.iter().enumerate() {
        if i > 0 {
            key.push(SEPARATOR);
        }
        key.push_str(&values.get(i).map_or_else(|| OTHER.to_owned(), |value| label.admit(value)));
    }
    key
}

pub(super) fn other_key(labels: &[Label]) -> String {
    vec![OTHER; labels.len()].join(&SEPARATOR.to_string())
}

/// Names and values of the labels of a series.
pub(super) fn named(labels: &[Label], key: &str) -> Vec<(String, String)> {
    labels.iter().map(|l| l.name.clone()).zip(key.split(SEPARATOR).map(ToOwned::to_owned)).collect()
}

/// All series of a metric. Clones are the same.
pub struct Family<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    labels: Vec<Label>,
    make: Box<dyn Fn() -> T + Send + Sync>,
    series: RwLock<HashMap<String, Arc<T>>>,
}

impl<T> Clone for Family<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> std::fmt::Debug for Family<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("labels", &self.inner.labels).finish_non_exhaustive()
    }
}

impl<T> Family<T> {
    pub(super) fn new(labels: Vec<Label>, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let inner = Inner { labels, make: Box::new(make), series: RwLock::new(HashMap::new()) };
        let family = Self { inner: Arc::new(inner) };
        if family.inner.labels.is_empty() {
            // Without labels there is one series, which is there from the start.
            family.with(&[]);
        }
        family
    }

    /// The series with these values of the labels, in their order. Keep it where it is used often. What is not among the values of a
    /// label, missing, or beyond [`MAX_SERIES`] is counted as `other`.
    pub fn with(&self, values: &[&str]) -> Arc<T> {
        let key = key_of(&self.inner.labels, values);
        if let Some(found) = unpoisoned(self.inner.series.read()).get(&key) {
            return Arc::clone(found);
        }
        let mut series = unpoisoned(self.inner.series.write());
        let key = if series.len() + 1 < MAX_SERIES || series.contains_key(&key) {
            key
        } else {
            other_key(&self.inner.labels)
        };
        Arc::clone(series.entry(key).or_insert_with(|| Arc::new((self.inner.make)())))
    }

    /// Makes the series of all known values of a single label, so that they are told as 0 before the first time. Does nothing for
    /// other metrics.
    pub fn start(&self) {
        if let [Label { values: Some(values), .. }] = self.inner.labels.as_slice() {
            values.iter().for_each(|value| drop(self.with(&[value.as_str()])));
        }
    }

    /// Keys and values, sorted.
    pub(super) fn all(&self) -> Vec<(String, Arc<T>)> {
        let series = unpoisoned(self.inner.series.read());
        let mut all: Vec<_> = series.iter().map(|(k, v)| (k.clone(), Arc::clone(v))).collect();
        drop(series);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Counter;
    use super::*;

    #[test]
    fn values_outside_of_the_set_are_other() {
        let family = Family::new(vec![Label::one_of("format", ["wav", "flac"])], Counter::default);
        for value in ["wav", "exe", "", "WAV", "wav"] {
            family.with(&[value]).inc();
        }
        family.with(&[]).inc();
        let all: Vec<(String, f64)> = family.all().into_iter().map(|(k, c)| (k, c.get())).collect();
        assert_eq!(all, [("other".into(), 4.0), ("wav".into(), 2.0)]);
    }

    #[test]
    fn series_are_bounded_whatever_the_values_are() {
        let family = Family::new(vec![Label::any("a"), Label::any("b")], Counter::default);
        for n in 0..10_000 {
            family.with(&[&n.to_string(), "x"]).inc();
        }
        let all = family.all();
        assert_eq!(all.len(), MAX_SERIES);
        let other = all.iter().find(|(key, _)| *key == other_key(&family.inner.labels)).unwrap();
        assert_eq!(other.1.get(), 10_000.0 - (MAX_SERIES as f64 - 1.0));
        // A series that has its place keeps it.
        assert_eq!(family.with(&["0", "x"]).get(), 1.0);
    }

    #[test]
    fn values_cannot_break_lines_or_keys() {
        let label = Label::any("a");
        assert_eq!(label.admit("a\nb\u{1f}c\u{2028}d\u{85}"), "a?b?c?d?");
        assert_eq!(label.admit(&"ä".repeat(1000)).chars().count(), MAX_VALUE);
        assert_eq!(named(&[label], "x"), [("a".into(), "x".into())]);
    }
}
