//! What the decoders of the symphonia crates have in common: calling one, and copying its planes.

use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use crate::audio::{ChannelLayout, Planar, Spec};
use crate::error::{Error, Result};
use crate::formats::decode::stream::Packet;

/// A decoder by its codec id. `extra` is the set-up data in symphonia's form; empty for none.
pub(super) fn open(
    codec: AudioCodecId,
    extra: &[u8],
    rate_hz: u32,
    channels: Option<symphonia::core::audio::Channels>,
) -> Result<Box<dyn AudioDecoder>> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec);
    if !extra.is_empty() {
        params.with_extra_data(extra.into());
    }
    if rate_hz > 0 {
        params.with_sample_rate(rate_hz);
    }
    if let Some(c) = channels {
        params.with_channels(c);
    }
    let options = AudioDecoderOptions::default();
    symphonia::default::get_codecs()
        .make_audio_decoder(&params, &options)
        .map_err(|e| Error::malformed("codec header", None, e.to_string()))
}

/// Decodes one packet and copies what comes out, in WAVE order (the order of symphonia's position bits).
pub(super) fn decode(decoder: &mut dyn AudioDecoder, data: &[u8], out: &mut Packet) -> Result<(), String> {
    let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(0), data);
    match (decoder.decode_ref(&packet).map_err(|e| e.to_string())?, out) {
        (GenericAudioBufferRef::F32(from), Packet::Float(to)) => copy(from, to),
        (GenericAudioBufferRef::S32(from), Packet::Int(to)) => copy(from, to),
        _ => return Err("unexpected sample format".into()),
    }
    Ok(())
}

fn copy<T: symphonia::core::audio::sample::Sample + Default>(from: &AudioBuffer<T>, to: &mut Planar<T>) {
    let spec = Spec::new(from.spec().rate(), layout_of(from.spec().channels()));
    to.reserve(spec, from.frames());
    to.set_frames(from.frames());
    for (i, plane) in to.channels_mut().enumerate() {
        if let Some(p) = from.plane(i) {
            plane.copy_from_slice(p);
        }
    }
}

/// Our layout for symphonia's. The positions have the same bits up to the 18th.
pub(super) fn layout_of(channels: &symphonia::core::audio::Channels) -> ChannelLayout {
    use symphonia::core::audio::Channels;
    let count = channels.count();
    match channels {
        Channels::Positioned(p) if count > 2 && p.bits() < 1 << 18 => ChannelLayout::from_mask(p.bits() as u32, count),
        _ => ChannelLayout::from_count(count),
    }
}
