//! Delay by whole frames.

use crate::dsp::kernels;

/// Delay line of one channel.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    line: Vec<f32>,
    at: usize,
}

impl Delay {
    /// A delay of `frames`, filled with silence. Allocates.
    pub fn new(frames: usize) -> Self {
        Self { line: vec![0.0; frames], at: 0 }
    }

    /// Delays a block in place. Real-time safe.
    pub fn process(&mut self, mut samples: &mut [f32]) {
        let length = self.line.len();
        if length == 0 {
            return;
        }
        while !samples.is_empty() {
            let count = samples.len().min(length - self.at);
            let (now, later) = samples.split_at_mut(count);
            kernels::swap(now, &mut self.line[self.at..self.at + count]);
            self.at = (self.at + count) % length;
            samples = later;
        }
    }

    /// Copies what the next samples will bring out, without taking it. `out` is at most as long as the delay.
    pub fn peek(&self, out: &mut [f32]) {
        let count = out.len().min(self.line.len());
        let first = count.min(self.line.len() - self.at);
        out[..first].copy_from_slice(&self.line[self.at..self.at + first]);
        out[first..count].copy_from_slice(&self.line[..count - first]);
    }

    /// Takes samples in without what they bring out: for what [`Delay::peek`] has copied. At most as many as the delay is
    /// long. Real-time safe.
    pub fn feed(&mut self, samples: &[f32]) {
        let count = samples.len().min(self.line.len());
        let first = count.min(self.line.len() - self.at);
        self.line[self.at..self.at + first].copy_from_slice(&samples[..first]);
        self.line[..count - first].copy_from_slice(&samples[first..count]);
        self.at = (self.at + count) % self.line.len().max(1);
    }

    /// Fills with silence.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_by_its_length_for_any_block() {
        for length in [0, 1, 5, 64] {
            for block in [1, 3, 64, 200] {
                let mut delay = Delay::new(length);
                let mut x: Vec<f32> = (1..=200).map(|n| n as f32).collect();
                let mut fed = x.clone();
                x.chunks_mut(block).for_each(|b| delay.process(b));
                delay.reset();
                for part in fed.chunks_mut(block.min(length.max(1))).filter(|_| length > 0) {
                    let mut out = [0.0; 200];
                    delay.peek(&mut out[..part.len()]);
                    delay.feed(part);
                    part.copy_from_slice(&out[..part.len()]);
                }
                assert_eq!(fed, x);
                for (n, y) in x.iter().enumerate() {
                    assert_eq!(*y, if n < length { 0.0 } else { (n - length + 1) as f32 });
                }
            }
        }
    }
}
