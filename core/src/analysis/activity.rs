//! Where there is sound, and where silence: by the RMS of 10 ms of the loudest channel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Parameters of activity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActivityParams {
    /// RMS below which 10 ms are silent, in dBFS (a full-scale sine reads -3.01). -120 to 0, default -60.
    pub threshold_dbfs: f64,
    /// Shorter silences are part of the sound around them, in seconds. 0 to 60, default 0.3.
    pub min_silence_s: f64,
    /// Shorter sounds are part of the silence around them, in seconds. 0 to 60, default 0.05.
    pub min_sound_s: f64,
}

impl Default for ActivityParams {
    fn default() -> Self {
        Self { threshold_dbfs: -60.0, min_silence_s: 0.3, min_sound_s: 0.05 }
    }
}

/// A stretch of sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Beginning in seconds.
    pub start_s: f64,
    /// End in seconds.
    pub end_s: f64,
}

/// Sound and silence of a recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// Share of the time with sound, 0 to 1.
    pub active_ratio: f64,
    /// Silence before the first sound in seconds: the whole duration without any.
    pub leading_silence_s: f64,
    /// Silence after the last sound in seconds.
    pub trailing_silence_s: f64,
    /// Stretches with sound, in order.
    pub segments: Vec<Segment>,
}

/// Stretches per second whose level is taken.
const PER_SECOND: u32 = 100;

/// Finds segments in a stream. Takes 16 bytes per segment.
#[derive(Debug)]
pub struct ActivityMeter {
    params: ActivityParams,
    spec: Spec,
    /// Mean square from which a stretch is loud.
    threshold: f64,
    /// Frames of a stretch.
    stretch: usize,
    stretch_s: f64,
    /// Sums of squares of the channels in the stretch that is being filled, and its frames.
    energies: Vec<f64>,
    filled: usize,
    frames: u64,
    /// Stretches so far.
    count: u64,
    /// The first stretch of the sound that is going on, and the one after its last loud stretch.
    open: Option<(u64, u64)>,
    segments: Vec<Segment>,
}

impl ActivityMeter {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the parameters.
    pub fn new(spec: Spec, params: &ActivityParams) -> Result<Self> {
        Error::check_range("threshold_dbfs", params.threshold_dbfs, -120.0, 0.0, "dBFS")?;
        Error::check_range("min_silence_s", params.min_silence_s, 0.0, 60.0, "s")?;
        Error::check_range("min_sound_s", params.min_sound_s, 0.0, 60.0, "s")?;
        let stretch = (spec.rate_hz / PER_SECOND).max(1) as usize;
        Ok(Self {
            params: *params,
            spec,
            threshold: 10f64.powf(params.threshold_dbfs / 10.0),
            stretch,
            stretch_s: spec.seconds(stretch as u64),
            energies: vec![0.0; spec.channels()],
            filled: 0,
            frames: 0,
            count: 0,
            open: None,
            segments: Vec::new(),
        })
    }

    /// Adds a block.
    pub fn push(&mut self, block: &Buffer) {
        self.frames += block.frames() as u64;
        let mut at = 0;
        while at < block.frames() {
            let end = (at + self.stretch - self.filled).min(block.frames());
            for (energy, channel) in self.energies.iter_mut().zip(block.channels()) {
                // Sample after sample, so that the sum does not depend on where blocks end.
                *energy = channel[at..end].iter().fold(*energy, |sum, x| sum + f64::from(x * x));
            }
            self.filled += end - at;
            at = end;
            if self.filled == self.stretch {
                self.end_stretch();
            }
        }
    }

    fn end_stretch(&mut self) {
        let loudest = self.energies.iter().copied().fold(0.0, f64::max);
        if loudest >= self.threshold * self.filled as f64 {
            let first = self.open.map_or(self.count, |(first, _)| first);
            self.open = Some((first, self.count + 1));
        } else if let Some((_, end)) = self.open
            && (self.count + 1 - end) as f64 * self.stretch_s >= self.params.min_silence_s
        {
            self.close();
        }
        self.count += 1;
        self.filled = 0;
        self.energies.fill(0.0);
    }

    fn close(&mut self) {
        if let Some((first, end)) = self.open.take()
            && (end - first) as f64 * self.stretch_s >= self.params.min_sound_s
        {
            let at = |stretch: u64| self.spec.seconds(stretch * self.stretch as u64);
            self.segments.push(Segment { start_s: at(first), end_s: at(end) });
        }
    }

    /// The segments of all that was pushed.
    pub fn finish(mut self) -> Activity {
        if self.filled > 0 {
            self.end_stretch();
        }
        self.close();
        let duration_s = self.spec.seconds(self.frames);
        if let Some(last) = self.segments.last_mut() {
            last.end_s = last.end_s.min(duration_s);
        }
        let active_s: f64 = self.segments.iter().map(|s| s.end_s - s.start_s).sum();
        let (first, last) = (self.segments.first(), self.segments.last());
        Activity {
            active_ratio: if duration_s > 0.0 { (active_s / duration_s).clamp(0.0, 1.0) } else { 0.0 },
            leading_silence_s: first.map_or(duration_s, |s| s.start_s),
            trailing_silence_s: last.map_or(duration_s, |s| duration_s - s.end_s),
            segments: self.segments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(level: impl Fn(usize) -> f32, block: usize) -> Activity {
        let spec = Spec::new(8000, crate::audio::ChannelLayout::STEREO);
        let mut meter = ActivityMeter::new(spec, &ActivityParams::default()).unwrap();
        // Channels of opposite phase: a mix of them would be silent.
        let left: Vec<f32> = (0..24_000).map(|i| level(i / 80)).collect();
        let right: Vec<f32> = left.iter().map(|x| -x).collect();
        for (left, right) in left.chunks(block).zip(right.chunks(block)) {
            meter.push(&Buffer::from_channels(spec, &[left.to_vec(), right.to_vec()]));
        }
        meter.finish()
    }

    #[test]
    fn short_gaps_and_short_sounds_do_not_count() {
        // 1 s silence, 0.5 s sound with a gap of 0.1 s in it, 0.7 s silence with a click, 0.8 s sound.
        let level = |i: usize| match i {
            120..130 => 1e-5,
            100..150 | 220..300 => 0.1,
            185 | 186 => 1.0,
            _ => 1e-5,
        };
        for block in [1, 79, 24_000] {
            let activity = measure(level, block);
            let expected = [Segment { start_s: 1.0, end_s: 1.5 }, Segment { start_s: 2.2, end_s: 3.0 }];
            assert_eq!(activity.segments, expected);
            assert!((activity.active_ratio - 1.3 / 3.0).abs() < 1e-9);
            assert_eq!((activity.leading_silence_s, activity.trailing_silence_s), (1.0, 0.0));
        }
    }

    #[test]
    fn silence_is_silent_all_over() {
        let activity = measure(|_| 0.0, 512);
        assert_eq!((activity.active_ratio, activity.leading_silence_s, activity.trailing_silence_s), (0.0, 3.0, 3.0));
    }
}
