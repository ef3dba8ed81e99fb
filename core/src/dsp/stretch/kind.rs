//! Is it speech?
//!
//! Speech is a row of syllables and pauses: many of its short frames lie far below the mean level (E. Scheirer, M. Slaney,
//! "Construction and evaluation of a robust multifeature speech/music discriminator", ICASSP 1997: percentage of
//! low-energy frames). One voice, besides, sounds the same in all channels. Both methods do well on both kinds, so that a
//! mistake costs little.

use super::source::Source;
use crate::dsp::kernels;

/// Seconds that decide.
pub const DECIDE_S: f64 = 5.0;
/// Share of frames of 20 ms below half of the mean RMS from which on it is speech. Read speech has 0.25 to 0.35, pop and
/// electronic music 0 to 0.2.
const LOW_FRAMES: f64 = 0.22;
/// Power of the difference of the channels, relative to that of the channels, under which they are one.
const SAME: f64 = 0.01;

/// True when the first `frames` frames of `source` look like one voice.
pub fn is_speech(source: &Source, frames: usize, rate_hz: f64) -> bool {
    let length = ((0.02 * rate_hz) as usize).max(1);
    let first = source.window(0, 0, frames);
    let total = kernels::sum_of_squares(first);
    for channel in 1..source.channel_count() {
        let other = source.window(channel, 0, frames);
        let apart: f64 = first.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        if apart > SAME * (total + kernels::sum_of_squares(other)) {
            return false;
        }
    }
    let levels: Vec<f64> = first.chunks_exact(length).map(|f| kernels::sum_of_squares(f).sqrt()).collect();
    let mean = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
    let low = levels.iter().filter(|l| **l < 0.5 * mean).count();
    low as f64 >= LOW_FRAMES * levels.len() as f64 && mean > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};

    #[test]
    fn syllables_with_pauses_are_speech_and_a_steady_sound_or_two_channels_are_not() {
        // Four syllables per second, silent for a third of the time.
        let voice: Vec<f32> =
            (0..40_000).map(|n| if n % 2_000 < 1_340 { 0.3 * (0.15 * n as f32).sin() } else { 0.001 }).collect();
        let steady: Vec<f32> = (0..40_000).map(|n| 0.3 * (0.15 * n as f32).sin()).collect();
        let says = |planes: &[Vec<f32>]| {
            let mut source = Source::new(planes.len(), 10);
            source.push(&Buffer::from_channels(Spec::new(8_000, ChannelLayout::from_count(planes.len())), planes));
            is_speech(&source, 40_000, 8_000.0)
        };
        assert!(says(std::slice::from_ref(&voice)) && says(&[voice.clone(), voice.clone()]));
        assert!(!says(std::slice::from_ref(&steady)) && !says(&[voice, steady]) && !says(&[vec![0.0; 40_000]]));
    }
}
