//! What is known about a file: container, codec, duration, damage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags::Metadata;
use crate::audio::Spec;

/// File formats that hold audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the documentation
pub enum Container {
    Wav,
    /// Big-endian WAV.
    Rifx,
    Rf64,
    Bw64,
    W64,
    Aiff,
    Aifc,
    Caf,
    Au,
    Flac,
    Ogg,
    /// MP4, M4A, M4B, QuickTime, fragmented or not.
    Mp4,
    Matroska,
    WebM,
    /// MPEG-1/2/2.5 layer I, II, III elementary stream.
    MpegAudio,
    /// AAC with ADTS headers.
    Adts,
    /// AAC in LOAS/LATM.
    Latm,
    WavPack,
    /// From a decoder that the host registered.
    Other,
}

/// Audio codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the documentation
pub enum Codec {
    Pcm,
    PcmFloat,
    ALaw,
    MuLaw,
    AdpcmMs,
    AdpcmIma,
    /// GSM 06.10 full rate, as in WAVE.
    Gsm,
    Flac,
    Mp1,
    Mp2,
    Mp3,
    AacLc,
    /// AAC with spectral band replication (HE-AAC v1).
    HeAac,
    /// AAC with SBR and parametric stereo.
    HeAacV2,
    /// Any other AAC object type.
    Aac,
    Alac,
    Vorbis,
    Opus,
    WavPack,
    /// From a decoder that the host registered.
    Other,
}

impl Codec {
    /// True when decoding gives back the samples that were encoded.
    pub fn is_lossless(self) -> bool {
        matches!(self, Self::Pcm | Self::PcmFloat | Self::Flac | Self::Alac | Self::WavPack)
    }
}

/// How a codec represents its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleFormat {
    /// Integers of that many significant bits, 1 to 32. [`super::Decoder::read_int`] gives them exactly.
    Int(u8),
    /// IEEE floats of 32 or 64 bits.
    Float(u8),
    /// The codec works on real numbers: MP3, AAC, Vorbis, Opus.
    Lossy,
}

/// A length, with whether it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Duration {
    /// Frames after encoder delay and padding are removed.
    pub frames: u64,
    /// True when the container states it to the frame; false for an estimate from bit rate and size.
    pub exact: bool,
}

/// The audio stream that a decoder delivers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamInfo {
    /// File format.
    pub container: Container,
    /// Coding of the audio.
    pub codec: Codec,
    /// Rate and layout of the decoded audio.
    pub spec: Spec,
    /// Representation of the samples before decoding.
    pub sample_format: SampleFormat,
    /// Length, when it is known or can be estimated.
    pub duration: Option<Duration>,
    /// Mean bit rate in kbit/s, when known.
    pub bit_rate_kbps: Option<f64>,
    /// Frames at the start that are dropped because the encoder added them.
    pub delay_frames: u64,
    /// Frames at the end that are dropped because the encoder added them.
    pub padding_frames: u64,
}

/// All that `probe` tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MediaInfo {
    /// The audio stream.
    pub stream: StreamInfo,
    /// Size of the input in bytes, when known.
    pub bytes: Option<u64>,
    /// Tags, pictures, chapters.
    pub metadata: Metadata,
    /// What is already known to be wrong.
    pub damage: Damage,
}

/// One place where the input is damaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DamageEvent {
    /// Frame position in the decoded stream, when known.
    pub frame: Option<u64>,
    /// Byte offset in the input, when known.
    pub byte: Option<u64>,
    /// What is wrong and what was done.
    pub what: String,
}

/// Damage that was survived. All zero and empty for a sound file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// Bytes that were skipped to find the next decodable frame.
    pub bytes_skipped: u64,
    /// Frames that were replaced by silence or by a guess.
    pub frames_concealed: u64,
    /// Samples that were NaN or infinite and were set to 0.
    pub samples_repaired: u64,
    /// True when the file ends before its headers say.
    pub truncated: bool,
    /// The first [`Damage::MAX_EVENTS`] events.
    pub events: Vec<DamageEvent>,
    /// Number of all events.
    pub event_count: u64,
}

impl Damage {
    /// Events beyond this number are counted only.
    pub const MAX_EVENTS: usize = 64;

    /// Notes one event.
    pub fn note(&mut self, frame: Option<u64>, byte: Option<u64>, what: impl Into<String>) {
        self.event_count += 1;
        if self.events.len() < Self::MAX_EVENTS {
            self.events.push(DamageEvent { frame, byte, what: what.into() });
        }
    }

    /// True when nothing is wrong.
    pub fn is_none(&self) -> bool {
        self.event_count == 0
            && self.bytes_skipped == 0
            && self.frames_concealed == 0
            && self.samples_repaired == 0
            && !self.truncated
    }
}
