//! Levels in dB with a floor under the loudest of the whole recording, which is known late.
//!
//! `librosa.power_to_db` cuts everything that lies `top_db` under the largest value of the whole array. Here frames wait for that in a
//! queue of [`QUEUE_FRAMES`]: up to that length the result is librosa's, beyond it the largest value up to so many frames later counts.

use std::collections::VecDeque;

use crate::filters::math::log2;

/// Frames that wait: three minutes at 44.1 kHz with the default hop, and about 9 MB.
pub(super) const QUEUE_FRAMES: usize = 16_384;

/// dB of a power of 2, and the smallest power: librosa's `amin`.
const DB_PER_DOUBLING: f32 = 3.010_3;
const AMIN: f32 = 1e-10;

/// Holds rows made of parts, each with a floor of its own.
#[derive(Debug)]
pub(super) struct FloorQueue {
    /// Where each part ends.
    ends: Vec<usize>,
    largest: Vec<f32>,
    top_db: f32,
    rows: VecDeque<Vec<f32>>,
    spare: Vec<Vec<f32>>,
    limit: usize,
}

impl FloorQueue {
    pub fn new(lengths: &[usize], top_db: f32) -> Self {
        let ends = lengths.iter().scan(0, |sum, n| {
            *sum += n;
            Some(*sum)
        });
        Self {
            ends: ends.collect(),
            largest: vec![f32::NEG_INFINITY; lengths.len()],
            top_db,
            rows: VecDeque::new(),
            spare: Vec::new(),
            limit: QUEUE_FRAMES,
        }
    }

    /// Adds a row of powers; gives the row in dB that need not wait any more.
    pub fn push(&mut self, power: &[f32], out: &mut Vec<f32>) -> bool {
        let mut row = self.spare.pop().unwrap_or_default();
        row.clear();
        row.extend(power.iter().map(|p| DB_PER_DOUBLING * log2(p.max(AMIN))));
        let mut from = 0;
        for (end, largest) in self.ends.iter().zip(&mut self.largest) {
            *largest = row[from..*end].iter().fold(*largest, |a, b| if *b > a { *b } else { a });
            from = *end;
        }
        self.rows.push_back(row);
        self.rows.len() > self.limit && self.pop(out)
    }

    /// The first of the rows that wait, at the end of the stream.
    pub fn pop(&mut self, out: &mut Vec<f32>) -> bool {
        let Some(mut row) = self.rows.pop_front() else { return false };
        let mut from = 0;
        for (end, largest) in self.ends.iter().zip(&self.largest) {
            let floor = largest - self.top_db;
            row[from..*end].iter_mut().for_each(|v| *v = if *v > floor { *v } else { floor });
            from = *end;
        }
        std::mem::swap(&mut row, out);
        self.spare.push(row);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_the_loudest_of_each_part_also_when_it_comes_late() {
        let mut queue = FloorQueue::new(&[2, 1], 80.0);
        let mut out = Vec::new();
        assert!(!queue.push(&[1e-9, 1e-3, 1e-12], &mut out));
        assert!(!queue.push(&[1.0, 0.0, 1e-10], &mut out));
        assert!(queue.pop(&mut out));
        // f32 decibels around 100: 1e-5.
        let near =
            |got: &[f32], expected: [f32; 3]| got.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 5e-5));
        near(&out, [-80.0, -30.0, -100.0]);
        assert!(queue.pop(&mut out));
        near(&out, [0.0, -80.0, -100.0]);
        assert!(!queue.pop(&mut out));
    }

    #[test]
    fn long_streams_wait_no_longer_than_the_queue() {
        let mut queue = FloorQueue { limit: 3, ..FloorQueue::new(&[1], 20.0) };
        let mut out = Vec::new();
        let given: Vec<bool> = (0..6).map(|i| queue.push(&[10f32.powi(i)], &mut out)).collect();
        assert_eq!(given, [false, false, false, true, true, true]);
        // The third row, 20 dB, left when 50 dB had come.
        assert!((out[0] - 30.0).abs() < 1e-4);
    }
}
