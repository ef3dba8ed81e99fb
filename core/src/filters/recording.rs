//! Other recordings beside the one that is filtered, read block by block.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::assets::{AssetLoader, AudioOpener, AudioStream};
use super::channel_mix::ChannelMixParams;
use super::fifo::FrameFifo;
use super::finite::make_finite;
use super::params::{ParamKind, ParamValue};
use super::resample::ResampleParams;
use super::tape::Tape;
use super::{FileChain, FilterSpec};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// A recording by its place, a path or a `data:` URL; text in JSON. Two are equal when their places are.
#[derive(Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Recording {
    place: String,
    #[serde(skip)]
    #[schemars(skip)]
    opener: Option<Arc<dyn AudioOpener>>,
}

impl Recording {
    /// The recording at `place`, still to be opened.
    pub fn at(place: impl Into<String>) -> Self {
        Self { place: place.into(), opener: None }
    }

    /// A recording that is at hand. Written to JSON it is `name`, which then must be a place to open.
    pub fn from_opener(name: impl Into<String>, opener: Arc<dyn AudioOpener>) -> Self {
        Self { place: name.into(), opener: Some(opener) }
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Begins to read it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when no loader has seen it; those of opening.
    pub fn open(&self) -> Result<Box<dyn AudioStream>> {
        match &self.opener {
            Some(opener) => opener.open(),
            None => Err(Error::Conflict { what: format!("load '{}' before the filter is prepared", self.place) }),
        }
    }

    /// Refuses one without a place.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.place.is_empty() {
            let allowed = "a path or a data: URL".into();
            return Err(Error::InvalidValue { name: name.into(), value: String::new(), allowed });
        }
        Ok(())
    }

    /// Makes it ready to be opened.
    pub(super) fn load(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        if self.opener.is_none() && !self.place.is_empty() {
            self.opener = Some(loader.opener(&self.place)?);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recording").field(&self.place).finish()
    }
}

impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl ParamValue for Recording {
    const KIND: ParamKind = ParamKind::Text;

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.load(loader)
    }
}

/// Recordings in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Recordings(pub Vec<Recording>);

/// Most recordings of one parameter.
pub(super) const MAX_RECORDINGS: usize = 64;

impl ParamValue for Recordings {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.0.len() as f64, 0.0, MAX_RECORDINGS as f64, "recordings")?;
        self.0.iter().enumerate().try_for_each(|(index, recording)| recording.check(&format!("{name}[{index}]")))
    }

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.0.iter_mut().try_for_each(|recording| recording.load(loader))
    }
}

/// Frames that are read at once.
const READ_FRAMES: usize = 4_096;

/// A recording that is being read, at the rate and in the layout of the stream that it joins.
pub(super) struct Feed {
    stream: Box<dyn AudioStream>,
    chain: FileChain,
    block: Buffer,
    waiting: FrameFifo,
    ended: bool,
    again: Option<Again>,
}

/// What a recording needs that is repeated for ever.
struct Again {
    /// All of it, converted.
    tape: Tape,
    /// Where the present round is, after the first.
    at: Option<u64>,
    block: Buffer,
}

impl Feed {
    /// Begins to read `recording`, to be converted to `spec`.
    ///
    /// # Errors
    /// Those of [`Recording::open`]; [`Error::Unsupported`] when its layout cannot be converted; ranges of the rates.
    pub fn open(recording: &Recording, spec: Spec) -> Result<Self> {
        let stream = recording.open()?;
        let from = stream.spec();
        let mut filters = Vec::new();
        // The layout first when that leaves less to resample.
        let resample = FilterSpec::Resample(ResampleParams { rate_hz: spec.rate_hz, ..ResampleParams::default() });
        if from.rate_hz != spec.rate_hz {
            filters.push(resample);
        }
        if from.layout != spec.layout {
            let mix = FilterSpec::ChannelMix(ChannelMixParams { to: spec.layout, ..ChannelMixParams::default() });
            filters.insert(if spec.channels() < from.channels() { 0 } else { filters.len() }, mix);
        }
        let mut chain = FileChain::new(&filters)?;
        chain.prepare(from, READ_FRAMES)?;
        let (block, waiting) = (Buffer::new(from, READ_FRAMES), FrameFifo::new(spec.channels()));
        Ok(Self { stream, chain, block, waiting, ended: false, again: None })
    }

    /// As [`Feed::open`], from `from_s` seconds on, and over and over again when `repeats`.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub fn open_part(recording: &Recording, spec: Spec, from_s: f64, repeats: bool) -> Result<Self> {
        let mut feed = Self::open(recording, spec)?;
        if from_s > 0.0 {
            feed.stream.seek((from_s * f64::from(feed.stream.spec().rate_hz)).round() as u64)?;
        }
        if repeats {
            let (tape, block) = (Tape::new(spec.channels()), Buffer::new(spec, READ_FRAMES));
            feed.again = Some(Again { tape, at: None, block });
        }
        Ok(feed)
    }

    /// Reads until `frames` frames wait, or the recording ends.
    ///
    /// # Errors
    /// Those of decoding; [`Error::Io`] when what waits cannot be spooled.
    pub fn fill(&mut self, frames: u64) -> Result<()> {
        while !self.ended && self.waiting.frames() < frames {
            if let Some(Again { tape, at: Some(at), block }) = &mut self.again {
                let count = (tape.frames() - *at).min(READ_FRAMES as u64);
                tape.read(*at, count as usize, block)?;
                self.waiting.push(block)?;
                *at = (*at + count) % tape.frames();
                continue;
            }
            self.stream.read(&mut self.block, READ_FRAMES)?;
            let (waiting, again) = (&mut self.waiting, &mut self.again);
            let mut take = |block: &Buffer| {
                again.as_mut().map_or(Ok(()), |again| again.tape.push(block))?;
                waiting.push(block)
            };
            if !self.block.is_empty() {
                make_finite(&mut self.block);
                self.chain.process(&mut self.block, &mut take)?;
                continue;
            }
            self.chain.finish(&mut take)?;
            match again.as_mut().filter(|again| again.tape.frames() > 0) {
                Some(again) => again.at = Some(0),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    /// Frames that wait.
    pub fn frames(&self) -> u64 {
        self.waiting.frames()
    }

    /// Frames until its end, when that is known.
    pub fn left(&self) -> Option<u64> {
        self.ended.then(|| self.frames())
    }

    /// Replaces the content of `block`, whose capacity must suffice, by the next `frames` frames, or all that wait.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pop(&mut self, frames: u64, block: &mut Buffer) -> Result<()> {
        self.waiting.pop(frames, Some(block))
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("waiting", &self.frames()).field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::file_testing::sine;
    use super::*;
    use crate::audio::ChannelLayout;

    /// A recording of `planes`.
    pub fn recording(name: &str, rate_hz: u32, planes: &[Vec<f32>]) -> Recording {
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(planes.len()));
        Recording::from_opener(name, Arc::new(Arc::new(Buffer::from_channels(spec, planes))))
    }

    #[test]
    fn rate_and_layout_become_those_of_the_stream() {
        let from = recording("x", 24_000, &[sine(1_000.0, 24_000, 24_000)]);
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut feed = Feed::open(&from, spec).unwrap();
        feed.fill(u64::MAX).unwrap();
        assert_eq!(feed.left(), Some(48_000));
        let mut block = Buffer::new(spec, 48_000);
        feed.pop(1_000, &mut block).unwrap();
        feed.pop(u64::MAX, &mut block).unwrap();
        let want = &sine(1_000.0, 48_000, 48_000)[1_000..];
        for channel in block.channels() {
            // The edges ring; the resampler is good for -120 dB.
            assert!(channel[..40_000].iter().zip(want).all(|(y, x)| (y - x).abs() < 2e-6));
        }
        let surround = recording("y", 48_000, &vec![vec![0.5; 10]; 6]);
        let mut feed = Feed::open(&surround, spec).unwrap();
        feed.fill(10).unwrap();
        feed.pop(10, &mut block).unwrap();
        assert_eq!((block.channel_count(), block.frames()), (2, 10));
        let odd = Feed::open(&surround, Spec::new(48_000, ChannelLayout::discrete(5)));
        assert!(matches!(odd, Err(Error::Unsupported { .. })));
        assert!(matches!(Feed::open(&Recording::at("z"), spec), Err(Error::Conflict { .. })));
    }

    #[test]
    fn a_part_is_read_and_repeated() {
        let x: Vec<f32> = (0..10_000).map(|n| n as f32 / 16_384.0).collect();
        let spec = Spec::new(8_000, ChannelLayout::MONO);
        let from = recording("x", 8_000, std::slice::from_ref(&x));
        let mut block = Buffer::new(spec, 30_000);
        let mut feed = Feed::open_part(&from, spec, 0.5, false).unwrap();
        feed.fill(u64::MAX).unwrap();
        feed.pop(u64::MAX, &mut block).unwrap();
        assert!(block.channel(0) == &x[4_000..]);
        let mut feed = Feed::open_part(&from, spec, 0.5, true).unwrap();
        feed.fill(20_000).unwrap();
        assert_eq!(feed.left(), None);
        feed.pop(20_000, &mut block).unwrap();
        assert!(block.channel(0) == &x[4_000..].repeat(4)[..20_000]);
        // Nothing to repeat is no endless loop.
        let mut feed = Feed::open_part(&from, spec, 2.0, true).unwrap();
        feed.fill(u64::MAX).unwrap();
        assert_eq!(feed.left(), Some(0));
    }
}
