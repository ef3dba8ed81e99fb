//! Compressed formats and general containers: MPEG audio, AAC (ADTS, LATM), MP4, Matroska/WebM, Ogg, CAF.
//!
//! A [`reader::Framer`] cuts a container into packets, a [`codec::PacketCodec`] decodes them, and
//! [`reader::CompressedReader`] joins the two. [`open`] finds out which.

mod aac;
mod aac_config;
mod adts;
mod bytes;
mod caf;
mod codec;
mod flac_alac;
mod latm;
mod mkv;
mod mkv_ebml;
mod mkv_track;
mod mp4;
mod mp4_boxes;
mod mp4_entry;
mod mpeg;
mod mpeg_codec;
mod mpeg_free;
mod mpeg_header;
mod ogg;
mod ogg_link;
mod ogg_page;
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
use crate::formats::info::{Codec, Container, Damage, Duration, StreamInfo};
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
    let reader =
        opened.unwrap_or_else(|_| Err(Error::malformed("stream", None, "the decoder failed on the headers")))?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

/// Opens an Ogg stream that is read once and in order, and whose length is not known yet: one that is still being written.
/// Gives the same frames as [`open`] gives of the finished file, but tells no duration.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_growing_ogg(media: Box<dyn MediaSource>, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    // The length becomes right where the bytes end.
    let reader = open_ogg(Bytes::new(media, u64::MAX / 2), options, false)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

fn open_reader(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let head = bytes.window(0, 64)?.to_vec();
    if mp4::looks_like_mp4(&head) {
        return open_mp4(bytes, options);
    }
    if head.starts_with(b"OggS") {
        return open_ogg(bytes, options, true);
    }
    if head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        return open_mkv(bytes, options);
    }
    let reader = open_single(bytes, &head)?;
    super::check_only_track(options)?;
    Ok(reader)
}

/// Opens what cannot have several tracks.
fn open_single(mut bytes: Bytes, head: &[u8]) -> Result<CompressedReader> {
    if head.starts_with(b"caff") {
        return open_caf(bytes);
    }
    if matches!(head.get(..4), Some(b"RIFF" | b"RF64" | b"BW64")) && head.get(8..12) == Some(b"WAVE") {
        return open_wav(bytes);
    }
    if let Some(framer) = adts::AdtsFramer::open(&mut bytes)? {
        return open_adts(bytes, framer);
    }
    if let Some(framer) = latm::LatmFramer::open(&mut bytes)? {
        return open_latm(bytes, framer);
    }
    let end = bytes.len();
    if let Some(framer) = mpeg::MpegFramer::open(&mut bytes, 0, end)? {
        return open_mpeg(bytes, framer, Container::MpegAudio);
    }
    Err(Error::NotAudio { hint: None })
}

/// WAVE with MPEG audio in its data chunk; the other codings are read elsewhere.
fn open_wav(mut bytes: Bytes) -> Result<CompressedReader> {
    let mut pos = 12u64;
    let mut tag = 0;
    while let Some(head) = bytes.array::<8>(pos)? {
        let size = bytes::le(&head[4..]);
        let body = pos + 8;
        match &head[..4] {
            b"fmt " => {
                let d = bytes.window(body, 26)?;
                tag = bytes::le(d.get(..2).unwrap_or(&[]));
                if tag == 0xFFFE {
                    tag = bytes::le(d.get(24..26).unwrap_or(&[]));
                }
            }
            b"data" if matches!(tag, 0x50 | 0x55) => {
                let size = if size == 0 || size == 0xFFFF_FFFF { u64::MAX } else { size };
                let end = body.saturating_add(size).min(bytes.len());
                let framer = mpeg::MpegFramer::open(&mut bytes, body, end)?;
                let framer = framer.ok_or_else(|| Error::malformed("WAV data chunk", body, "no MPEG audio frames"))?;
                return open_mpeg(bytes, framer, Container::Wav);
            }
            _ => {}
        }
        pos = body.saturating_add(size).saturating_add(size & 1);
    }
    Err(Error::unsupported("WAVE codec", format!("tag 0x{tag:04X}")))
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
            Some(_) => config.aac = Some(aac::plan(&mut config.extra, &packets)?),
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
    let sampled = framer.sample_sizes(&mut bytes, 500)?;
    estimate(&mut info, &*codec, bytes.len().saturating_sub(framer.start()), sampled);
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}

fn open_latm(mut bytes: Bytes, mut framer: latm::LatmFramer) -> Result<CompressedReader> {
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Latm, &*codec);
    let sampled = framer.sample_sizes(&mut bytes, 500)?;
    estimate(&mut info, &*codec, bytes.len().saturating_sub(framer.start()), sampled);
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}

/// Length and bit rate from the first packets: (bytes, number).
fn estimate(info: &mut StreamInfo, codec: &dyn codec::PacketCodec, audio_bytes: u64, (sampled, packets): (u64, u64)) {
    let per_packet = codec.count_frames(&[], &mut 0).unwrap_or(1024);
    if sampled > 0 {
        let total = (audio_bytes as f64 / sampled as f64 * packets as f64).round() as u64;
        info.duration = Some(Duration { frames: total.saturating_mul(per_packet), exact: false });
        info.bit_rate_kbps = kbps(sampled, packets * per_packet, info.spec.rate_hz);
    }
}

fn open_mkv(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let mut framer = mkv::MkvFramer::open(&mut bytes, options.track)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let container = if framer.webm { Container::WebM } else { Container::Matroska };
    let mut info = basic_info(container, &*codec);
    let config = framer.config(0);
    let pre_skip = match config.kind {
        Kind::Opus => opus::OpusHead::parse(&config.extra)?.pre_skip,
        _ => 0,
    };
    let rate = info.spec.rate_hz;
    info.delay_frames = framer.codec_delay(rate).unwrap_or(pre_skip);
    let mut stated = None;
    if config.kind == Kind::Flac {
        // STREAMINFO counts the frames in 36 bits.
        stated = Some(bytes::be(&config.extra[13..18]) & 0xF_FFFF_FFFF).filter(|n| *n > 0);
    }
    if let Some(frames) = stated {
        info.duration = Some(Duration { frames, exact: true });
    } else if framer.duration_ns > 0.0 {
        let frames = (framer.duration_ns * 1e-9 * f64::from(rate)).round() as u64;
        info.duration = Some(Duration { frames: frames.saturating_sub(info.delay_frames), exact: false });
    }
    let length = info.duration.map_or(0, |d| d.frames);
    info.bit_rate_kbps = kbps(bytes.len().saturating_sub(framer.start()), length, rate);
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}

fn open_caf(mut bytes: Bytes) -> Result<CompressedReader> {
    let mut framer = caf::CafFramer::open(&mut bytes)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Caf, &*codec);
    // The table counts in frames of the coded rate: half of the output of HE-AAC.
    let per_packet = codec.count_frames(&[], &mut 0).filter(|_| framer.config(0).kind == Kind::Aac);
    let scale = per_packet.map_or(1, |n| (n / framer.packet_frames.max(1)).max(1));
    let mut stated = None;
    if let Some((valid, priming, remainder)) = framer.table.filter(|(valid, ..)| *valid > 0) {
        (info.delay_frames, info.padding_frames) = (priming * scale, remainder * scale);
        stated = valid.checked_add(priming + remainder).and_then(|n| n.checked_mul(scale));
        info.duration = Some(Duration { frames: valid.saturating_mul(scale), exact: true });
        info.bit_rate_kbps = kbps(framer.data_bytes(), stated.unwrap_or(0), info.spec.rate_hz);
    } else if framer.packet_frames > 0 {
        let frames = framer.packets().saturating_mul(framer.packet_frames).saturating_mul(scale);
        info.duration = Some(Duration { frames, exact: true });
        info.bit_rate_kbps = kbps(framer.data_bytes(), frames, info.spec.rate_hz);
    }
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info).with_stated_frames(stated))
}

fn open_mp4(mut bytes: Bytes, options: &ReadOptions) -> Result<CompressedReader> {
    let mut framer = mp4::Mp4Framer::open(&mut bytes, options.track)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Mp4, &*codec);
    let rate = info.spec.rate_hz;
    // Output frames per unit of the time scale, as a fraction. Usually that is rate / scale; but the time scale of
    // HE-AAC may be named after either rate, and then the duration of a packet decides.
    let unit = framer.table.durations.first().map_or(0, |d| d.1);
    let (numerator, denominator) = match codec.count_frames(&[], &mut 0) {
        Some(n) if framer.entry.config.kind == Kind::Aac && (unit == n || 2 * unit == n) => (n, unit),
        _ => (u64::from(rate), framer.time_scale.max(1)),
    };
    let scale = |t: u64| {
        let n = u128::from(t) * u128::from(numerator);
        u64::try_from((n + u128::from(denominator) / 2) / u128::from(denominator)).unwrap_or(u64::MAX)
    };
    // Frames that come out of the packets, and those that the time table counts (the last sample is often shorter).
    let table = scale(framer.table.total_duration());
    let total = match framer.unit_frames() {
        Some(n) => n,
        None => match codec.count_frames(&[], &mut 0) {
            Some(n) if n > 0 && info.codec != Codec::Opus => framer.table.count.saturating_mul(n),
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
        // Counted at the rate of the core codec by some writers, at that of the output by others: what adds up is right.
        let sum = smpb.delay + smpb.padding + smpb.length;
        let factor = if codec.output().codec != Codec::AacLc && scale(sum).abs_diff(total) < sum.abs_diff(total) {
            scale(1 << 20) >> 20
        } else {
            1
        };
        let (start, frames) = (smpb.delay * factor, smpb.length.saturating_mul(factor));
        let near = start.abs_diff(delay) <= 4096 || framer.edit.is_none();
        if near && start.saturating_add(frames) <= total.saturating_add(4096) {
            (delay, length) = (start, Some(frames));
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

/// `whole` when the end is there to be looked at.
fn open_ogg(mut bytes: Bytes, options: &ReadOptions, whole: bool) -> Result<CompressedReader> {
    let mut framer = ogg::OggFramer::open(&mut bytes, options.track)?;
    let codec = make_codec(&mut bytes, &mut framer)?;
    let mut info = basic_info(Container::Ogg, &*codec);
    info.delay_frames = framer.pre_skip();
    if whole && let Some(frames) = framer.total_frames(&mut bytes)? {
        info.duration = Some(Duration { frames, exact: true });
        info.bit_rate_kbps = kbps(bytes.len(), frames, info.spec.rate_hz);
    }
    Ok(CompressedReader::new(bytes, Box::new(framer), codec, info))
}
