//! What the filters share that hear the whole file, and then give it with one gain.

use super::whole_file::WholeFile;
use crate::audio::{Buffer, Spec};
use crate::error::Error;

/// Least gain, so that samples near the end of the f32 range do not make it vanish.
const LEAST_GAIN_DB: f64 = -150.0;

/// A whole stream and the gains it gets.
pub(super) struct GainAfterAll {
    spec: Option<Spec>,
    max_frames: usize,
    whole: WholeFile,
    /// One for each channel, known when `finish` begins.
    gains: Option<Vec<f32>>,
}

impl GainAfterAll {
    pub fn new() -> Self {
        Self { spec: None, max_frames: 0, whole: WholeFile::new(1), gains: None }
    }

    pub fn prepare(&mut self, spec: Spec, max_frames: usize) {
        (self.spec, self.max_frames) = (Some(spec), max_frames);
        self.whole = WholeFile::new(spec.channels());
        self.gains = None;
    }

    /// Takes all frames of `block` and leaves it empty.
    pub fn take(&mut self, block: &mut Buffer) {
        if self.spec.is_some() {
            self.whole.push(block);
        }
        block.set_frames(0);
    }

    /// The next frames with their gain; `solve` is asked once for the gains of all channels in dB.
    pub fn give(&mut self, block: &mut Buffer, solve: impl FnOnce() -> Vec<f64>) {
        let Some(spec) = self.spec else { return block.set_frames(0) };
        let whole = &mut self.whole;
        let gains = self.gains.get_or_insert_with(|| {
            whole.rewind();
            solve().iter().map(|db| 10f64.powf(db.max(LEAST_GAIN_DB) / 20.0) as f32).collect()
        });
        block.set_spec(spec);
        whole.read(block, self.max_frames);
        for (samples, gain) in block.channels_mut().zip(gains) {
            for x in samples {
                *x *= *gain;
            }
        }
    }

    pub fn take_error(&mut self) -> Option<Error> {
        self.whole.take_error()
    }

    pub fn reset(&mut self) {
        self.whole.clear();
        self.gains = None;
    }
}

/// Copies `block` to `clean` with silence for what is not finite. Allocates when `clean` is too small.
pub(super) fn without_poison(block: &Buffer, clean: &mut Buffer) {
    clean.reserve(block.spec(), block.frames());
    clean.set_frames(block.frames());
    for (to, from) in clean.channels_mut().zip(block.channels()) {
        for (t, x) in to.iter_mut().zip(from) {
            *t = if x.is_finite() { *x } else { 0.0 };
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::filters::Filter;

    /// All output of a filter for files.
    pub fn run(filter: &mut dyn Filter, rate_hz: u32, planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(planes.len()));
        let room = filter.prepare(spec, 1_000).unwrap().max_frames;
        let input = Buffer::from_channels(spec, planes);
        let mut block = Buffer::new(spec, room.max(1_000));
        let mut out = vec![Vec::new(); planes.len()];
        let mut take = |b: &Buffer| out.iter_mut().zip(b.channels()).for_each(|(o, c)| o.extend_from_slice(c));
        let mut at = 0;
        while at < input.frames() {
            let count = 1_000.min(input.frames() - at);
            block.copy_from(&input, at, count);
            filter.process(&mut block);
            take(&block);
            at += count;
        }
        loop {
            filter.finish(&mut block);
            assert!(filter.take_error().is_none());
            if block.is_empty() {
                return out;
            }
            take(&block);
        }
    }

    /// Noise of +/-`level`.
    pub fn noise(count: usize, level: f32, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|n| level * (((n ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0))
            .collect()
    }

    #[test]
    fn poison_counts_as_silence() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let block = Buffer::from_channels(spec, &[vec![0.5, f32::NAN, f32::INFINITY, -0.25]]);
        let mut clean = Buffer::new(spec, 0);
        without_poison(&block, &mut clean);
        assert_eq!(clean.channel(0), &[0.5, 0.0, 0.0, -0.25]);
    }
}
