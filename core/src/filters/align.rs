//! Moves a recording in time so that it fits another one of the same event.
//!
//! The offset is where the generalised cross-correlation with phase transform has its peak: C. Knapp, G. Carter, "The
//! Generalized Correlation Method for Estimation of Time Delay", IEEE TASSP 24(4), 1976. The phase transform makes the peak
//! sharp and independent of the two microphones' frequency responses.

use std::sync::Arc;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use super::fifo::FrameFifo;
use super::params::filter_params;
use super::recording::{Feed, Recording};
use super::{Filter, Finding, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Finds by correlation how much the sound is later or earlier than a reference, and moves it there. For files.
    pub struct AlignParams for "align" in Time, realtime false {
        /// Recording of the same event: a path, or a `data:` URL with the bytes of an audio file in base64. None: nothing moves.
        reference: Recording = Recording::default();
        /// Largest offset that is looked for, in either direction.
        search_s: f64 = 5.0, 0.01 to 30.0 "s";
        /// How much from the start of both is compared, the search included.
        window_s: f64 = 30.0, 0.1 to 120.0 "s";
        /// How far the peak of the correlation must stand out, in standard deviations of the rest; with less nothing moves.
        threshold: f64 = 8.0, 3.0 to 100.0 "";
    }
}

/// Most frames that are compared: 87 s at 48 kHz, for which the transforms take some 200 MB.
const MAX_FRAMES: u64 = 1 << 22;

/// See [`AlignParams`]. Offsets are whole frames, so that all samples stay as they are: the start is cut, or silence comes
/// before it. The report tells which, and how much. What is compared waits, beyond 2 MiB in a temporary file; after it
/// nothing is held back. No latency: it compensates itself.
#[derive(Debug)]
pub struct Align {
    params: AlignParams,
    state: Option<State>,
    findings: Vec<Finding>,
    error: Option<Error>,
}

/// What `prepare` makes.
#[derive(Debug)]
struct State {
    spec: Spec,
    room: usize,
    search: u64,
    window: u64,
    /// The mean of all channels, until the offset is known.
    heard: Vec<f32>,
    waiting: FrameFifo,
    /// Frames of silence that are still due, once the offset is known.
    silence: Option<u64>,
}

impl Align {
    /// An alignment by `params`.
    pub fn new(params: &AlignParams) -> Self {
        Self { params: params.clone(), state: None, findings: Vec::new(), error: None }
    }

    /// Cuts or notes the silence that is due.
    fn decide(&mut self) -> Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let mono = Spec::new(state.spec.rate_hz, ChannelLayout::MONO);
        let mut feed = Feed::open(&self.params.reference, mono)?;
        feed.fill(state.window)?;
        let mut reference = Buffer::new(mono, state.window as usize);
        feed.pop(state.window, &mut reference)?;
        let late = offset(&state.heard, reference.channel(0), state.search as usize, self.params.threshold);
        state.heard = Vec::new();
        let frames = late.unwrap_or(0).unsigned_abs();
        let cut = late.is_some_and(|late| late > 0);
        if cut {
            state.waiting.pop(frames, None)?;
        }
        state.silence = Some(if cut { 0 } else { frames });
        let what = match late {
            None => "no_match",
            Some(0) => return Ok(()),
            Some(_) if cut => "cut",
            Some(_) => "silence_before",
        };
        let end_s = state.spec.seconds(frames);
        self.findings.push(Finding { filter: "align".into(), what: what.into(), start_s: 0.0, end_s });
        Ok(())
    }

    fn emit(&mut self, block: &mut Buffer) -> Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        match &mut state.silence {
            None => block.set_frames(0),
            Some(0) => state.waiting.pop(state.room as u64, Some(block))?,
            Some(silence) => {
                let count = (*silence).min(state.room as u64);
                *silence -= count;
                block.set_frames(count as usize);
                block.channels_mut().for_each(|c| c.fill(0.0));
            }
        }
        Ok(())
    }

    fn give(&mut self, ready: Result<()>, block: &mut Buffer) {
        if let Err(error) = ready.and_then(|()| self.emit(block)) {
            self.error.get_or_insert(error);
            block.set_frames(0);
        }
    }
}

/// By how many frames `sound` is later than `reference`, at most `search` either way; none when no peak stands out by
/// `threshold` standard deviations.
fn offset(sound: &[f32], reference: &[f32], search: usize, threshold: f64) -> Option<i64> {
    if sound.is_empty() || reference.is_empty() {
        return None;
    }
    // With that much silence the circular correlation is a linear one within the search.
    let size = (sound.len().max(reference.len()) + search).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |x: &[f32]| {
        let (mut time, mut out) = (vec![0.0f32; size], vec![Complex::default(); size / 2 + 1]);
        time[..x.len()].copy_from_slice(x);
        // The lengths are those of the plan, so that it cannot fail.
        let _ = Arc::clone(&forward).process(&mut time, &mut out);
        out
    };
    let (mut cross, other) = (spectrum(sound), spectrum(reference));
    for (z, r) in cross.iter_mut().zip(&other) {
        *z *= r.conj();
    }
    // Bins with nothing in them have no phase: those 60 dB under the mean.
    let mean = cross.iter().map(|z| f64::from(z.norm())).sum::<f64>() / cross.len() as f64;
    let least = (mean * 1e-3) as f32;
    for z in &mut cross {
        let norm = z.norm();
        *z = if norm > least && norm.is_finite() { z.unscale(norm) } else { Complex::default() };
    }
    let ends = [0, size / 2];
    ends.iter().for_each(|end| cross[*end].im = 0.0);
    let mut correlation = vec![0.0f32; size];
    let _ = inverse.process(&mut cross, &mut correlation);
    let lags = -(search.min(size / 2 - 1) as i64)..=search.min(size / 2 - 1) as i64;
    let at = |lag: i64| f64::from(correlation[lag.rem_euclid(size as i64) as usize]);
    let squares: f64 = correlation.iter().map(|c| f64::from(*c).powi(2)).sum();
    let best = lags.max_by(|a, b| at(*a).total_cmp(&at(*b)))?;
    let deviation = ((squares - at(best).powi(2)) / (size - 1) as f64).max(0.0).sqrt();
    (at(best) > threshold * deviation && at(best) > 0.0).then_some(best)
}

impl Filter for Align {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let frames = |seconds: f64| ((seconds * f64::from(spec.rate_hz)).round() as u64).clamp(1, MAX_FRAMES);
        let moves = !self.params.reference.place().is_empty();
        if moves {
            // Whether it can be read at all is better known now.
            Feed::open(&self.params.reference, Spec::new(spec.rate_hz, ChannelLayout::MONO))?;
        }
        // Twice the input, so that what waited is caught up with.
        let room = 2 * max_frames;
        self.state = moves.then(|| State {
            spec,
            room,
            search: frames(self.params.search_s),
            window: frames(self.params.window_s),
            heard: Vec::new(),
            waiting: FrameFifo::new(spec.channels()),
            silence: None,
        });
        self.reset();
        Ok(Prepared { spec, max_frames: room, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return };
        let mut ready = state.waiting.push(block);
        if state.silence.is_none() {
            let missing = state.window as usize - state.heard.len();
            let channels = block.channel_count() as f32;
            state.heard.extend((0..block.frames().min(missing)).map(|n| {
                let sum: f32 = block.channels().map(|c| c[n]).sum();
                if sum.abs() < 1e6 { sum / channels } else { 0.0 }
            }));
            if state.heard.len() as u64 == state.window {
                ready = ready.and_then(|()| self.decide());
            }
        }
        self.give(ready, block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return block.set_frames(0) };
        block.set_spec(state.spec);
        let ready = if state.silence.is_none() { self.decide() } else { Ok(()) };
        self.give(ready, block);
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.error = None;
        self.findings.clear();
        let Some(state) = &mut self.state else { return };
        state.heard.clear();
        state.waiting.clear();
        state.silence = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::FilterSpec;
    use super::super::file_testing::through_spec;
    use super::super::recording::tests::recording;
    use super::*;

    const RATE: u32 = 8_000;

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut seed = seed.wrapping_mul(747_796_405);
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    /// What one microphone gives of `x`: a frequency response of its own, and noise of its own 20 dB below.
    fn microphone(x: &[f32], keep: f32, seed: u32) -> Vec<f32> {
        let mut y = 0.0;
        x.iter()
            .zip(noise(x.len(), seed))
            .map(|(x, n)| {
                y = keep * y + (1.0 - keep) * x;
                0.5 * y + 0.05 * n
            })
            .collect()
    }

    fn align(reference: &[f32]) -> FilterSpec {
        let reference = recording("reference", RATE, &[reference.to_vec()]);
        FilterSpec::Align(AlignParams { reference, search_s: 1.0, window_s: 4.0, ..AlignParams::default() })
    }

    #[test]
    fn late_sound_is_cut_and_early_sound_waits() {
        let event = noise(60_000, 1);
        for late in [0i64, 1, 37, -1, -2_000, 7_999, -7_999] {
            let (from, other) = (8_000, (8_000 - late) as usize);
            let sound = microphone(&event[other..other + 40_000], 0.6, 2);
            let spec = align(&microphone(&event[from..from + 45_000], 0.1, 3));
            for block in [100, 4_096] {
                let y = through_spec(&spec, RATE, &[sound.clone(), sound.clone()], block).remove(1);
                let shift = late.unsigned_abs() as usize;
                let want = if late > 0 { sound[shift..].to_vec() } else { [vec![0.0; shift], sound.clone()].concat() };
                assert!(y == want, "{late} {block}: {}", y.len() as i64 - want.len() as i64);
            }
        }
    }

    #[test]
    fn short_sounds_are_compared_whole_and_what_does_not_match_stays() {
        let event = noise(9_000, 1);
        let sound = event[500..5_000].to_vec();
        let y = through_spec(&align(&event), RATE, std::slice::from_ref(&sound), 64).remove(0);
        assert!(y == [vec![0.0; 500], sound.clone()].concat());
        for other in [noise(9_000, 77), vec![0.0; 9_000], vec![]] {
            assert!(through_spec(&align(&other), RATE, std::slice::from_ref(&sound), 64)[0] == sound);
        }
        assert!(through_spec(&align(&event), RATE, &[vec![]], 64)[0].is_empty());
        assert!(through_spec(&"align".parse().unwrap(), RATE, std::slice::from_ref(&sound), 64)[0] == sound);
    }

    #[test]
    fn the_offset_is_told() {
        let event = noise(20_000, 5);
        let mut filter = align(&event[1_000..]).build().unwrap();
        let spec = Spec::new(RATE, ChannelLayout::MONO);
        filter.prepare(spec, 20_000).unwrap();
        let mut block = Buffer::new(spec, 40_000);
        block.append(&Buffer::from_channels(spec, &[event]), 0, 20_000);
        filter.process(&mut block);
        filter.finish(&mut block);
        assert!(filter.take_error().is_none());
        let found = filter.take_findings();
        assert_eq!((found.len(), found[0].what.as_ref(), found[0].end_s), (1, "cut", 0.125));
    }
}
