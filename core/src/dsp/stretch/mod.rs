//! Change of the tempo that keeps the pitch.
//!
//! [`Stretch`] takes blocks of any length and gives `round(frames / tempo)` frames in all, in place: what was at `t` is at
//! `t / tempo`.

pub mod envelope;
pub mod kind;
pub mod onsets;
pub mod similar;
pub mod source;
pub mod vocoder;
pub mod wsola;

use onsets::{Onsets, moment, reach};
use source::Source;
use vocoder::Vocoder;
use wsola::Wsola;

use crate::audio::Buffer;

/// Half of what is left alone at an attack, in windows.
const AROUND: f64 = 0.25;

/// How to stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// For one voice: [`wsola`].
    Speech,
    /// For all else: [`vocoder`].
    Music,
    /// As the first seconds look: [`kind`].
    Auto,
}

enum Engine {
    /// Waiting for enough to decide.
    Open,
    /// Tempo 1: passes on. Holds the position that comes next.
    Copy(i64),
    Speech(Wsola),
    Music(Box<Music>),
}

struct Music {
    vocoder: Vocoder,
    onsets: Onsets,
    /// Windows so far.
    count: u64,
}

/// See the module's documentation. Holds back a few windows of output, or 5 seconds of input while it decides. Allocates
/// while it runs: for files.
pub struct Stretch {
    rate_hz: f64,
    method: Method,
    formants: Option<f64>,
    engine: Engine,
    /// Tempo as a fraction.
    tempo: (u32, u32),
    source: Source,
    ready: Vec<Vec<f32>>,
    received: u64,
    /// Frames given out.
    given: u64,
    /// Frames of output to drop at the start.
    skip: usize,
    /// Frames of output beyond the exact length.
    extra: u64,
    finishing: bool,
}

impl Stretch {
    /// A stretch of `channels` channels to `tempo.1 / tempo.0` of the length. `formants` is for music, see
    /// [`Vocoder::new`]; it rules out the method for speech.
    pub fn new(rate_hz: u32, channels: usize, tempo: (u32, u32), method: Method, formants: Option<f64>) -> Self {
        let rate_hz = f64::from(rate_hz);
        let factor = f64::from(tempo.0) / f64::from(tempo.1);
        let lead = Wsola::new(rate_hz, 1, factor).lead().max(4 * Vocoder::new(rate_hz, 1, None).size());
        let mut stretch = Self {
            rate_hz,
            method: if formants.is_some() { Method::Music } else { method },
            formants,
            engine: Engine::Open,
            tempo,
            source: Source::new(channels, lead),
            ready: vec![Vec::new(); channels],
            received: 0,
            given: 0,
            skip: 0,
            extra: 0,
            finishing: false,
        };
        stretch.reset();
        stretch
    }

    /// Gives `frames` frames more than [`Stretch::output_frames`] at the end, for what comes after it.
    pub fn with_extra(mut self, frames: u64) -> Self {
        self.extra = frames;
        self
    }

    fn factor(&self) -> f64 {
        f64::from(self.tempo.0) / f64::from(self.tempo.1)
    }

    /// Makes the engine.
    fn choose(&mut self, speech: bool) {
        let channels = self.source.channel_count();
        if self.tempo.0 == self.tempo.1 {
            self.engine = Engine::Copy(0);
            self.skip = 0;
        } else if speech {
            self.engine = Engine::Speech(Wsola::new(self.rate_hz, channels, self.factor()));
            self.skip = 0;
        } else {
            let vocoder = Vocoder::new(self.rate_hz, channels, self.formants);
            self.skip = vocoder.size() / 2;
            let onsets = Onsets::new(vocoder.size() / 4);
            self.engine = Engine::Music(Box::new(Music { vocoder, onsets, count: 0 }));
        }
    }

    /// Frames that `frames` of the input become.
    pub fn output_frames(&self, frames: u64) -> u64 {
        let (p, q) = (u128::from(self.tempo.0), u128::from(self.tempo.1));
        u64::try_from((u128::from(frames) * q * 2 + p) / (2 * p)).unwrap_or(u64::MAX)
    }

    /// Takes a block and computes what can be.
    pub fn push(&mut self, block: &Buffer) {
        self.source.push(block);
        self.received += block.frames() as u64;
        let decides = (kind::DECIDE_S * self.rate_hz) as usize;
        if matches!(self.engine, Engine::Open) && self.received >= decides as u64 {
            let speech = kind::is_speech(&self.source, decides, self.rate_hz);
            self.choose(speech);
        }
        self.advance(u64::MAX);
    }

    /// Frames ready to be taken.
    pub fn ready(&self) -> usize {
        let held = self.ready.first().map_or(0, Vec::len);
        held.min(usize::try_from(self.left()).unwrap_or(usize::MAX))
    }

    /// Frames that the input so far stands for and that have not been given.
    fn left(&self) -> u64 {
        let extra = if self.finishing { self.extra } else { 0 };
        (self.output_frames(self.received) + extra).saturating_sub(self.given)
    }

    /// After the last block: computes at least `frames` more, or all that is left.
    pub fn flush(&mut self, frames: usize) {
        if matches!(self.engine, Engine::Open) {
            let speech = kind::is_speech(&self.source, self.received as usize, self.rate_hz);
            self.choose(speech);
        }
        self.finishing = true;
        let wanted = self.left().min(frames as u64);
        while (self.ready.first().map_or(0, Vec::len) as u64) < wanted {
            self.source.push_silence(4_096);
            self.advance(wanted);
        }
    }

    /// Moves `frames` frames that are ready to the front of `block`, whose number of frames is set.
    pub fn take(&mut self, frames: usize, block: &mut Buffer) {
        block.set_frames(frames);
        for (to, from) in block.channels_mut().zip(&mut self.ready) {
            to.copy_from_slice(&from[..frames]);
            from.drain(..frames);
        }
        self.given += frames as u64;
    }

    /// Computes while there is input, until `wanted` frames are ready.
    fn advance(&mut self, wanted: u64) {
        let factor = self.factor();
        while (self.ready.first().map_or(0, Vec::len) as u64) < wanted {
            match &mut self.engine {
                Engine::Open => return,
                Engine::Copy(at) => {
                    let end = self.source.end();
                    if *at >= end {
                        return;
                    }
                    for (channel, ready) in self.ready.iter_mut().enumerate() {
                        ready.extend_from_slice(self.source.window(channel, *at, (end - *at) as usize));
                    }
                    *at = end;
                    self.source.forget(end);
                }
                Engine::Speech(wsola) => {
                    if wsola.needs() > self.source.end() {
                        return;
                    }
                    wsola.step(&self.source, &mut self.ready);
                    self.source.forget(wsola.done());
                }
                Engine::Music(music) => {
                    let Music { vocoder, onsets, count } = music.as_mut();
                    let known = onsets.search(&self.source) as f64;
                    let size = vocoder.size() as f64;
                    let around = size * AROUND;
                    let output = *count as f64 * vocoder.hop() as f64;
                    let now = moment(output, factor, around, onsets.found());
                    if (output + reach(factor, around)) * factor > known
                        || now.input as i64 + vocoder.needs() as i64 + 1 > self.source.end()
                    {
                        return;
                    }
                    let center = now.input.round() as i64;
                    vocoder.step(&self.source, center, now.attack, &mut self.ready);
                    *count += 1;
                    self.source.forget(center - 2 * size as i64);
                    onsets.forget(((output - 8.0 * around) * factor) as i64);
                }
            }
            let skip = self.skip.min(self.ready.first().map_or(0, Vec::len));
            if skip > 0 {
                self.ready.iter_mut().for_each(|r| drop(r.drain(..skip)));
                self.skip -= skip;
            }
        }
    }

    /// As new. Allocates.
    pub fn reset(&mut self) {
        self.source.reset();
        self.ready.iter_mut().for_each(Vec::clear);
        (self.received, self.given, self.finishing) = (0, 0, false);
        match self.method {
            Method::Speech => self.choose(true),
            Method::Music => self.choose(false),
            Method::Auto => self.engine = Engine::Open,
        }
    }
}
