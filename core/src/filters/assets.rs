//! Audio that a filter needs besides its input: an impulse response, which is loaded whole ([`AudioAsset`]), or another
//! recording, which is read block by block ([`Recording`](super::recording::Recording)).
//!
//! Filters know nothing of files and formats. A parameter names the place; whoever runs the filter loads it first, with
//! [`FilterSpec::load_assets`](super::FilterSpec::load_assets). The engine does so for recipes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::params::{ParamKind, ParamValue};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Loads audio by its place: a path, or a `data:` URL with the bytes of a file in base64.
pub trait AssetLoader {
    /// The whole recording.
    ///
    /// # Errors
    /// Those of opening and decoding.
    fn load(&mut self, place: &str) -> Result<Buffer>;

    /// The recording, to be read block by block as often as wanted. By default it is loaded whole.
    ///
    /// # Errors
    /// Those of opening.
    fn opener(&mut self, place: &str) -> Result<Arc<dyn AudioOpener>> {
        Ok(Arc::new(Arc::new(self.load(place)?)))
    }
}

/// A recording that can be read as often as wanted.
pub trait AudioOpener: Send + Sync {
    /// Begins to read at its start.
    ///
    /// # Errors
    /// Those of opening.
    fn open(&self) -> Result<Box<dyn AudioStream>>;
}

/// A recording that is being read.
pub trait AudioStream: Send {
    /// Rate and layout; they stay.
    fn spec(&self) -> Spec;

    /// Replaces the content of `block` by the next frames, at most `max_frames`; none at the end. `block` is reserved for them
    /// as needed.
    ///
    /// # Errors
    /// Those of decoding.
    fn read(&mut self, block: &mut Buffer, max_frames: usize) -> Result<()>;

    /// Continues at exactly `frame`; beyond the end there is nothing more to read.
    ///
    /// # Errors
    /// Those of decoding.
    fn seek(&mut self, frame: u64) -> Result<()>;
}

/// All that read it share it.
impl AudioOpener for Arc<Buffer> {
    fn open(&self) -> Result<Box<dyn AudioStream>> {
        Ok(Box::new(Loaded { audio: Self::clone(self), at: 0 }))
    }
}

/// A recording in memory.
struct Loaded {
    audio: Arc<Buffer>,
    at: usize,
}

impl AudioStream for Loaded {
    fn spec(&self) -> Spec {
        self.audio.spec()
    }

    fn read(&mut self, block: &mut Buffer, max_frames: usize) -> Result<()> {
        let count = max_frames.min(self.audio.frames() - self.at);
        block.reserve(self.audio.spec(), count);
        block.copy_from(&self.audio, self.at, count);
        self.at += count;
        Ok(())
    }

    fn seek(&mut self, frame: u64) -> Result<()> {
        self.at = usize::try_from(frame).unwrap_or(usize::MAX).min(self.audio.frames());
        Ok(())
    }
}

/// A recording by its place; text in JSON. Two are equal when their places are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct AudioAsset {
    place: String,
    #[serde(skip)]
    #[schemars(skip)]
    audio: Option<Arc<Buffer>>,
}

impl AudioAsset {
    /// The recording at `place`, still to be loaded. An empty place is none.
    pub fn at(place: impl Into<String>) -> Self {
        Self { place: place.into(), audio: None }
    }

    /// A recording that is at hand. Written to JSON it is `name`, which then must be a place to load from.
    pub fn from_buffer(name: impl Into<String>, audio: Buffer) -> Self {
        Self { place: name.into(), audio: Some(Arc::new(audio)) }
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The recording; none for an empty place.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has not been loaded.
    pub fn audio(&self) -> Result<Option<&Buffer>> {
        match &self.audio {
            Some(audio) => Ok(Some(audio)),
            None if self.place.is_empty() => Ok(None),
            None => Err(Error::Conflict { what: format!("load '{}' before the filter is prepared", self.place) }),
        }
    }
}

impl PartialEq for AudioAsset {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl ParamValue for AudioAsset {
    const KIND: ParamKind = ParamKind::Text;

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        if self.audio.is_none() && !self.place.is_empty() {
            self.audio = Some(Arc::new(loader.load(&self.place)?));
        }
        Ok(())
    }
}
