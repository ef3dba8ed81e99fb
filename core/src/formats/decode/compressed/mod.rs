//! Compressed formats and general containers: MPEG audio, AAC (ADTS, LATM), MP4, Matroska/WebM, Ogg, CAF.
//!
//! A [`reader::Framer`] cuts a container into packets, a [`codec::PacketCodec`] decodes them, and
//! [`reader::CompressedReader`] joins the two. [`open`] finds out which.

mod aac;
mod aac_config;
mod adts;
mod bytes;
mod codec;
mod flac_alac;
mod mp4;
mod mp4_boxes;
mod mp4_entry;
mod mpeg;
mod mpeg_codec;
mod mpeg_free;
mod mpeg_header;
mod ogg;
mod opus;
mod pcm;
mod reader;
mod symphonia_codec;
mod vorbis;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::bytes::Bytes;
use self::codec::{Kind, build};
use self::reader::{Coded, CompressedReader, Framer};
use super::Decoder;
use super::stream::StreamDecoder;
use crate::error::{Error, Result};
use crate::formats::info::{Container, Damage, Duration, StreamInfo};
use crate::formats::{MediaSource, ReadOptions};

/// Opens what is not plain PCM or native FLAC.
///
/// # Errors
/// [`Error::NotAudio`] when nothing here recognises the bytes; [`Error::Unsupported`] with the codec's name;
/// [`Error::Malformed`]; those of the limits.
pub(crate) fn open(media: Box<dyn MediaSource>, bytes: u64, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let bytes = Bytes::new(media, bytes);
    // The codec crates are called for trial here; a panic of theirs means that the file cannot be decoded.
    let opened = catch_unwind(AssertUnwindSafe(|| open_reader(bytes, options)));
    let reader = opened.unwrap_or_else(|_| Err(Error::malformed("stream", None, "the decoder failed on the headers")))?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

fn open_reader(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let head = bytes.window(0, 64)?.to_vec();
    if mp4::looks_like_mp4(&head) {
        return open_mp4(bytes, options);
    }
    if head.starts_with(b"OggS") {
        return open_ogg(bytes, options);
    }
    if let Some(framer) = adts::AdtsFramer::open(&mut bytes)? {
        return open_adts(bytes, framer);
    }
    let end = bytes.len();
    if let Some(framer) = mpeg::MpegFramer::open(&mut bytes, 0, end)? {
        return open_mpeg(bytes, framer, Container::MpegAudio);
    }
    Err(Error::NotAudio { hint: None })
}

/// Completes the configuration by the first packets and makes the decoder.
fn make_codec(bytes: &mut Bytes, framer: &mut dyn Framer) -> Result<Box<dyn codec::PacketCodec>> {
    let kind = framer.config(0).kind;
    let wanted = match kind {
        Kind::Aac => aac::TRIAL_PACKETS,
        Kind::Mpeg if framer.config(0).extra.is_empty() => 1,
        _ => 0,
    };
    if wanted > 0 {
        let start = framer.mark().ok_or_else(|| Error::internal("no mark before the first packet"))?;
        let mut packets = Vec::new();
        let mut scratch = Damage::default();
        let mut coded = Coded::default();
        while packets.len() < wanted {
            coded.clear();
            if !framer.next(bytes, &mut coded, true, &mut scratch)? {
                break;
            }
            packets.push(std::mem::take(&mut coded.data));
        }
        framer.resume(start);
        let config = framer.config_mut();
        match packets.first() {
            None => return Err(Error::Empty),
            Some(first) if kind == Kind::Mpeg => config.extra = first[..first.len().min(4)].to_vec(),
            Some(_) => config.aac = Some(aac::plan(&config.extra, &packets)?),
        }
    }
    build(framer.config(0))
}

/// Info without length and trimming.
fn basic_info(container: Container, codec: &dyn codec::PacketCodec) -> StreamInfo {
    let output = codec.output();
    StreamInfo {
        container,
        codec: output.codec,
        spec: output.spec,
        sample_format: output.sample_format,
        duration: None,
        bit_rate_kbps: None,
        delay_frames: 0,
        padding_frames: 0,
    }
}

/// Mean bit rate of `bytes` that last `frames`.
fn kbps(bytes: u64, frames: u64, rate_hz: u32) -> Option<f64> {
    (frames > 0).then(|| bytes as f64 * 8.0 * f64::from(rate_hz) / frames as f64 / 1000.0)
}

fn open_mpeg(mut bytes: Bytes, mut framer: mpeg::MpegFramer, container: Container) -> Result<CompressedReader> {
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(container, &*codec);
    let stream = framer.stream.clone();
    let per_packet = framer.first().samples();
    let audio_bytes = stream.end - stream.start.min(stream.end);
    // A header that counts other bytes than there are belongs to a file that was cut or joined: the count is no more
    // than an estimate then, and the padding is not at the end.
    let header_fits = stream.stated_bytes.is_none_or(|n| n.abs_diff(audio_bytes) <= 8192 + audio_bytes / 100);
    let mut stated = None;
    if let Some(packets) = stream.stated_packets.filter(|_| header_fits) {
        let total = packets.saturating_mul(per_packet);
        if let Some((delay, padding)) = stream.gapless {
            (info.delay_frames, info.padding_frames) = (delay, padding.min(total));
            stated = Some(total);
        }
        let frames = total.saturating_sub(info.delay_frames + info.padding_frames);
        info.duration = Some(Duration { frames, exact: stream.gapless.is_some() });
        info.bit_rate_kbps = kbps(audio_bytes, total, info.spec.rate_hz);
    } else {
        if let Some((delay, _)) = stream.gapless {
            info.delay_frames = delay;
        }
        let (sampled, packets) = framer.sample_sizes(&mut bytes, 500)?;
        if packets > 0 && sampled > 0 {
            let total = (audio_bytes as f64 / sampled as f64 * packets as f64).round() as u64 * per_packet;
            info.duration = Some(Duration { frames: total.saturating_sub(info.delay_frames), exact: false });
            info.bit_rate_kbps = kbps(sampled, packets * per_packet, info.spec.rate_hz);
        }
    }
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info).with_stated_frames(stated))
}

fn open_adts(mut bytes: Bytes, mut framer: adts::AdtsFramer) -> Result<CompressedReader> {
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Adts, &*codec);
    let (sampled, packets) = framer.sample_sizes(&mut bytes, 500)?;
    let per_packet = codec.count_frames(&[], &mut 0).unwrap_or(1024);
    if sampled > 0 {
        let audio = (bytes.len() - framer.start().min(bytes.len())) as f64;
        let total = (audio / sampled as f64 * packets as f64).round() as u64;
        info.duration = Some(Duration { frames: total * per_packet, exact: false });
        info.bit_rate_kbps = kbps(sampled, packets * per_packet, info.spec.rate_hz);
    }
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}

fn open_mp4(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let mut framer = mp4::Mp4Framer::open(&mut bytes, options.track)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Mp4, &*codec);
    let rate = info.spec.rate_hz;
    let scale = |t: u64| {
        let n = u128::from(t) * u128::from(rate);
        u64::try_from((n + u128::from(framer.time_scale) / 2) / u128::from(framer.time_scale.max(1))).unwrap_or(u64::MAX)
    };
    // Frames that come out of the packets, and those that the time table counts (the last sample is often shorter).
    let table = scale(framer.table.total_duration());
    let total = match framer.unit_frames() {
        Some(n) => n,
        None => match codec.count_frames(&[], &mut 0) {
            Some(n) if n > 0 && info.codec != crate::formats::Codec::Opus => framer.table.count.saturating_mul(n),
            _ => table,
        },
    };
    let mut delay = 0;
    let mut length = None;
    if let Some(edit) = framer.edit {
        delay = scale(edit.start);
        length = edit.duration.map(|d| {
            // Rounded to the movie's time scale, which is often milliseconds: the time table is exact if it agrees.
            let by_table = framer.table.total_duration().saturating_sub(edit.start);
            if d.abs_diff(by_table) <= edit.rounding { scale(by_table) } else { scale(d) }
        });
    } else if table < total && framer.unit_frames().is_none() && framer.table.total_duration() > 0 {
        length = Some(table);
    }
    if let Some(smpb) = framer.smpb {
        let near = smpb.delay.abs_diff(delay) <= 2048 || framer.edit.is_none();
        if near && smpb.delay.saturating_add(smpb.length) <= total.saturating_add(4096) {
            (delay, length) = (smpb.delay, Some(smpb.length));
        }
    }
    if framer.entry.config.kind == Kind::Opus {
        let head = opus::OpusHead::parse(&framer.entry.config.extra)?;
        delay = delay.max(head.pre_skip);
    }
    let end = length.map_or(total, |n| delay.saturating_add(n)).min(total.max(delay));
    info.delay_frames = delay;
    info.padding_frames = total.saturating_sub(end);
    info.duration = Some(Duration { frames: end.saturating_sub(delay), exact: true });
    info.bit_rate_kbps = kbps(framer.table.total_bytes(), total, rate);
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info).with_stated_frames(Some(total)))
}

fn open_ogg(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let mut framer = ogg::OggFramer::open(&mut bytes, options.track)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Ogg, &*codec);
    info.delay_frames = framer.pre_skip();
    if let Some(frames) = framer.total_frames(&mut bytes)? {
        info.duration = Some(Duration { frames, exact: true });
        info.bit_rate_kbps = kbps(bytes.len(), frames, info.spec.rate_hz);
    }
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}
