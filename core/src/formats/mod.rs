//! Containers, codecs and tags: reading ([`open`], [`probe`]) and writing ([`encode`]).

mod codecs;
pub mod decode;
pub mod encode;
mod info;
mod limits;
mod source;
pub mod tags;

pub use codecs::{BuiltInCodecs, CodecSet, OpenGrowing};
pub use decode::{Decoder, DecoderFactory, open, open_with, probe};
pub use encode::{Encoded, Encoder, FormatSettings};
pub use info::{Codec, Container, Damage, DamageEvent, Duration, MediaInfo, SampleFormat, StreamInfo};
pub use limits::{Limits, ReadOptions};
pub use source::{MediaSource, Source};
