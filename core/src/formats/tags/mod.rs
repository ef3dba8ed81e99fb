//! Tags, pictures and chapters: one model for all containers, and what was lost on the way.
//!
//! [`read`] gathers what a file says into [`Metadata`], under canonical names (see `fields.rs`); [`transfer`] applies the
//! policy; [`write`](mod@write) gives the bytes that encoders embed, with a list of what they do not hold.

mod aiff;
mod apev2;
mod au;
mod bext;
mod bytes;
mod caf;
mod collect;
pub mod cue;
mod fields;
mod flac;
mod genres;
#[cfg(test)]
mod hostile;
mod id3v1;
mod id3v2;
mod json;
mod matroska;
mod mp4;
mod ogg;
mod picture_privacy;
mod policy;
mod read;
mod riff;
#[cfg(test)]
mod round_trip;
mod text;
mod vorbis;
pub mod write;

pub use fields::canonical_keys;
pub use json::to_json;
pub use policy::{set_replay_gain, shift_chapters, transfer};
pub use read::read;

pub mod write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything beside the audio that a file tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metadata {
    /// Text fields in file order, each key once.
    pub fields: Vec<Field>,
    /// Embedded pictures.
    pub pictures: Vec<Picture>,
    /// Chapters by start time.
    pub chapters: Vec<Chapter>,
    /// What has no common form and is kept as bytes: BWF `bext`, `iXML`, private frames.
    pub native: Vec<NativeItem>,
}

/// One text field with all its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Canonical snake_case name for the well-known ones (`title`, `artist`, `album_artist`, `track`, ...), else the
    /// source's own name.
    pub key: String,
    /// Values in order; several for multi-value fields.
    pub values: Vec<String>,
}

/// An embedded picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// ID3v2 APIC / FLAC picture type: 3 is the front cover.
    pub kind: u8,
    /// Such as `image/jpeg`.
    pub mime: String,
    /// Free text.
    pub description: String,
    /// The encoded picture. Not in JSON: its length is.
    #[serde(serialize_with = "length_only", deserialize_with = "no_bytes", rename = "bytes")]
    #[schemars(with = "u64")]
    pub data: Vec<u8>,
}

/// A chapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chapter {
    /// Start in seconds.
    pub start_s: f64,
    /// End in seconds, when the file states it.
    pub end_s: Option<f64>,
    /// Title, may be empty.
    pub title: String,
}

/// A block of metadata that is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NativeItem {
    /// Where it is from: `bext`, `ixml`, `id3:PRIV`, ...
    pub kind: String,
    /// Its bytes. Not in JSON: its length is.
    #[serde(serialize_with = "length_only", deserialize_with = "no_bytes", rename = "bytes")]
    #[schemars(with = "u64")]
    pub data: Vec<u8>,
}

/// Something that the target could not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// Field key, `picture`, `chapter`, or the kind of a native item.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// What to do with the source's tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TagPolicy {
    /// Keep all that the target can hold.
    #[default]
    Keep,
    /// Keep all but what tells about persons, places and devices (location, owner, encoder machine, private frames).
    StripPrivate,
    /// Write none.
    None,
}

fn length_only<S: serde::Serializer>(data: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(data.len() as u64)
}
fn no_bytes<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    u64::deserialize(d).map(|_| Vec::new())
}
