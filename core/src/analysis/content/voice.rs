//! Speaker activity: where somebody speaks, to 10 ms, from the network's own probability of speech.

use super::log_mel::{INAUDIBLE, ROWS_PER_S};
use crate::analysis::activity::Segment;

/// Probability from which a row is speech; the network's authors use it.
const THRESHOLD: f32 = 0.4;
/// Rows whose probabilities are averaged.
const SMOOTHING: usize = 5;
/// Shorter speech is none, and shorter pauses belong to the speech around them, in rows.
const SHORTEST: u64 = 20;

/// Collects segments. 16 bytes each.
pub(super) struct VoiceMeter {
    recent: [f32; SMOOTHING],
    rows: u64,
    /// First row of what is going on, and the one after its last.
    open: Option<(u64, u64)>,
    segments: Vec<Segment>,
}

impl VoiceMeter {
    pub fn new() -> Self {
        Self { recent: [0.0; SMOOTHING], rows: 0, open: None, segments: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, speech: f32, square: f32) {
        self.recent[self.rows as usize % SMOOTHING] = if square < INAUDIBLE { 0.0 } else { speech };
        self.rows += 1;
        // The mean stands for the row in its middle.
        let Some(row) = self.rows.checked_sub(1 + SMOOTHING as u64 / 2) else { return };
        let mean = self.recent.iter().sum::<f32>() / SMOOTHING as f32;
        if mean >= THRESHOLD {
            let first = self.open.map_or(row, |(first, _)| first);
            self.open = Some((first, row + 1));
        } else if self.open.is_some_and(|(_, end)| row + 1 - end >= SHORTEST) {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some((first, end)) = self.open.take()
            && end - first >= SHORTEST
        {
            let at = |row: u64| row as f64 / ROWS_PER_S as f64;
            self.segments.push(Segment { start_s: at(first), end_s: at(end) });
        }
    }

    /// The segments of a stream of `duration_s`.
    pub fn finish(mut self, duration_s: f64) -> Vec<Segment> {
        for _ in 0..SMOOTHING / 2 {
            self.push(0.0, 0.0);
        }
        self.close();
        if let Some(last) = self.segments.last_mut() {
            last.end_s = last.end_s.min(duration_s);
        }
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(speaks: impl Fn(u64) -> bool) -> Vec<(f64, f64)> {
        let mut meter = VoiceMeter::new();
        (0..300).for_each(|row| meter.push(if speaks(row) { 0.9 } else { 0.05 }, 0.01));
        meter.finish(3.0).iter().map(|s| (s.start_s, s.end_s)).collect()
    }

    #[test]
    fn short_pauses_and_short_noises_do_not_count() {
        assert_eq!(segments(|_| true), [(0.0, 3.0)]);
        assert_eq!(segments(|_| false), []);
        // 0.1 s of pause is none, 0.1 s of voice neither.
        assert_eq!(
            segments(|row| (50..100).contains(&row) || (110..150).contains(&row) || (200..210).contains(&row)),
            [(0.5, 1.5)]
        );
        assert_eq!(segments(|row| row >= 260), [(2.6, 3.0)]);
    }

    #[test]
    fn nobody_speaks_where_nothing_is_heard() {
        let mut meter = VoiceMeter::new();
        (0..100).for_each(|_| meter.push(0.9, 0.0));
        assert_eq!(meter.finish(1.0), []);
    }
}
