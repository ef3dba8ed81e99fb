//! A demuxer and a decoder joined into a [`PacketReader`]: exact positions, seeks by packets, concealment, and a guard
//! against panics of the codec crates.
//!
//! Positions are sums of packet durations, which every codec here tells from the first bytes of a packet. So a seek
//! is exact whatever the container's time stamps are worth: packets are walked (not decoded) up to the target, from the
//! nearest mark that was noted on the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bytes::Bytes;
use super::codec::{CodecConfig, PacketCodec, build};
use crate::audio::Planar;
use crate::error::{Error, Result};
use crate::formats::decode::stream::{Packet, PacketReader};
use crate::formats::info::{Damage, SampleFormat, StreamInfo};

/// Longest silence that one damaged packet can turn into, in frames.
const MAX_CONCEAL_FRAMES: u64 = 1 << 17;
/// Packets between two marks of the seek index.
const MARK_EVERY: u64 = 32;

/// One coded packet as the container has it.
#[derive(Debug, Default)]
pub(super) struct Coded {
    /// The bytes; only the first [`HEAD_BYTES`] when the packet is just walked over.
    pub data: Vec<u8>,
    /// Duration before trimming when the container or its framing tells it; otherwise the codec does.
    pub frames: Option<u64>,
    /// Frames to drop at the start and at the end of this packet.
    pub trim_start: u64,
    pub trim_end: u64,
    /// Index of the codec configuration, for [`Framer::config`]; changes at the links of a chained file.
    pub link: u32,
    /// Where the packet is in the input.
    pub byte: u64,
    /// True when bytes before this packet are lost: the codec's memory is stale.
    pub gap: bool,
}

impl Coded {
    /// Back to an empty packet, keeping the storage.
    pub fn clear(&mut self) {
        self.data.clear();
        (self.frames, self.trim_start, self.trim_end, self.byte, self.gap) = (None, 0, 0, 0, false);
    }
}

/// How much of a packet is needed to tell its duration.
pub(super) const HEAD_BYTES: usize = 64;

/// A place between two packets to which a [`Framer`] can return. What the numbers mean is its own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark(pub [u64; 4]);

/// Cuts a container into packets.
pub(super) trait Framer: Send {
    /// Gives the next packet; false at the end. With `whole` false only the head of the data is needed.
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool>;
    /// The present place, when it is one that can be returned to.
    fn mark(&self) -> Option<Mark>;
    /// Returns to `mark`.
    fn resume(&mut self, mark: Mark);
    /// Codec configuration of a link.
    fn config(&self, link: u32) -> &CodecConfig;
    /// The same of the first link, to complete it by what the first packets tell.
    fn config_mut(&mut self) -> &mut CodecConfig;
}

#[derive(Clone, Copy)]
struct IndexEntry {
    frame: u64,
    mark: Mark,
    /// State of the codec's duration counter.
    sizer: u64,
    link: u32,
}

/// Demuxer and decoder of one stream.
pub(super) struct CompressedReader {
    bytes: Bytes,
    framer: Box<dyn Framer>,
    codec: Box<dyn PacketCodec>,
    info: StreamInfo,
    stated: Option<u64>,
    index: Vec<IndexEntry>,
    packets_since_mark: u64,
    /// Frame, before trimming of delay and padding, at which the next packet starts.
    next_frame: u64,
    sizer: u64,
    link: u32,
    coded: Coded,
    /// True once something was decoded without error.
    any_good: bool,
    failures: u64,
    last_error: String,
    /// Packets after a seek whose errors are not damage of the file: the codec lacks what came before.
    settling: u64,
}

impl CompressedReader {
    pub fn new(bytes: Bytes, framer: Box<dyn Framer>, codec: Box<dyn PacketCodec>, info: StreamInfo) -> Self {
        let sizer = codec.sizer_start();
        Self {
            bytes,
            framer,
            codec,
            info,
            stated: None,
            index: Vec::new(),
            packets_since_mark: 0,
            next_frame: 0,
            sizer,
            link: 0,
            coded: Coded::default(),
            any_good: false,
            failures: 0,
            last_error: String::new(),
            settling: 0,
        }
    }

    /// Number of frames before trimming, when the container states it (see [`PacketReader::stated_frames`]).
    pub fn with_stated_frames(mut self, frames: Option<u64>) -> Self {
        self.stated = frames;
        self
    }

    /// Notes the present place in the index when it is new and far enough from the last.
    fn note_mark(&mut self) {
        let is_new = self.index.last().is_none_or(|e| e.frame < self.next_frame);
        if is_new
            && (self.packets_since_mark >= MARK_EVERY || self.index.is_empty())
            && let Some(mark) = self.framer.mark()
        {
            self.index.push(IndexEntry { frame: self.next_frame, mark, sizer: self.sizer, link: self.link });
            self.packets_since_mark = 0;
        }
        self.packets_since_mark += 1;
    }

    /// Fetches the next packet of the container. Gives its frames before and after its own trimming.
    fn fetch(&mut self, whole: bool, damage: &mut Damage) -> Result<Option<(u64, u64)>> {
        self.note_mark();
        self.coded.clear();
        let (framer, bytes, coded) = (&mut self.framer, &mut self.bytes, &mut self.coded);
        // Our own code; the guard is for the host's sake, a demuxer bug must end the stream and not the process.
        let more = catch_unwind(AssertUnwindSafe(|| framer.next(bytes, coded, whole, damage)))
            .unwrap_or_else(|_| Err(Error::internal("panic in a demuxer")))?;
        if !more {
            return Ok(None);
        }
        if self.coded.link != self.link {
            self.switch_link(damage)?;
        }
        let counted = self.codec.count_frames(&self.coded.data, &mut self.sizer);
        let full = self.coded.frames.or(counted).unwrap_or(0).min(MAX_CONCEAL_FRAMES);
        let trimmed = self.coded.trim_start.saturating_add(self.coded.trim_end);
        Ok(Some((full, full.saturating_sub(trimmed))))
    }

    fn switch_link(&mut self, damage: &mut Damage) -> Result<()> {
        self.link = self.coded.link;
        let config = self.framer.config(self.link);
        match build(config) {
            Ok(codec) => self.codec = codec,
            Err(e) => damage.note(Some(self.next_frame), Some(self.coded.byte), format!("next link: {e}")),
        }
        if config.rate_hz != 0 && config.rate_hz != self.info.spec.rate_hz {
            let what = format!("the rate changes to {} Hz; played at {} Hz", config.rate_hz, self.info.spec.rate_hz);
            damage.note(Some(self.next_frame), Some(self.coded.byte), what);
        }
        self.sizer = self.codec.sizer_start();
        Ok(())
    }

    /// Decodes `coded` into `packet`; false when that failed and the packet holds nothing useful.
    fn decode(&mut self, packet: &mut Packet, damage: &mut Damage) -> bool {
        if self.coded.gap {
            self.codec.reset();
        }
        let (codec, data) = (&mut self.codec, &self.coded.data);
        // The codec crates index and subtract their way through untrusted bits; a panic costs this packet only.
        let result = catch_unwind(AssertUnwindSafe(|| codec.decode(data, packet)));
        let error = match result {
            Ok(Ok(())) => {
                self.any_good = true;
                return true;
            }
            Ok(Err(e)) => e,
            Err(_) => {
                let config = self.framer.config(self.link);
                match build(config) {
                    Ok(codec) => self.codec = codec,
                    Err(e) => damage.note(None, None, format!("decoder cannot be rebuilt: {e}")),
                }
                "decoder failure".to_owned()
            }
        };
        if self.settling == 0 {
            damage.note(Some(self.next_frame), Some(self.coded.byte), format!("{error}; replaced by silence"));
            self.failures += 1;
        }
        self.last_error = error;
        false
    }
}

impl PacketReader for CompressedReader {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool> {
        let Some((full, net)) = self.fetch(true, damage)? else {
            if !self.any_good && self.failures > 0 {
                return Err(Error::malformed("stream", None, format!("nothing can be decoded: {}", self.last_error)));
            }
            return Ok(false);
        };
        let good = self.decode(packet, damage);
        self.settling = self.settling.saturating_sub(1);
        if !good && self.settling == 0 {
            damage.frames_concealed += net;
        }
        let spec = self.info.spec;
        let (start, full) = (self.coded.trim_start as usize, full as usize);
        match (packet, self.info.sample_format) {
            (Packet::Float(p), SampleFormat::Float(_) | SampleFormat::Lossy) => shape(p, spec, good, full, start, net),
            (Packet::Int(p), SampleFormat::Int(_)) => shape(p, spec, good, full, start, net),
            _ => return Err(Error::internal("codec and stream disagree about the sample format")),
        }
        self.next_frame += net;
        Ok(true)
    }

    fn seek(&mut self, frame: u64) -> Result<u64> {
        let wanted = frame.saturating_sub(self.codec.preroll_frames());
        let walked_enough = self.next_frame <= wanted;
        let entry = self.index.partition_point(|e| e.frame <= wanted).checked_sub(1).map(|i| self.index[i]);
        if let Some(e) = entry
            && !(walked_enough && e.frame < self.next_frame)
        {
            self.jump(e);
        }
        let mut scratch = Damage::default();
        let mut last: Option<IndexEntry> = None;
        loop {
            let here = self.framer.mark().map(|mark| IndexEntry {
                frame: self.next_frame,
                mark,
                sizer: self.sizer,
                link: self.link,
            });
            if self.next_frame > wanted {
                break;
            }
            // Of packets at the same frame the first: the first of a Vorbis stream gives no frames but is needed.
            if here.is_some_and(|h| last.is_none_or(|l| l.frame < h.frame)) {
                last = here;
            }
            match self.fetch(false, &mut scratch)? {
                Some((_, net)) => self.next_frame += net,
                None => break,
            }
        }
        if let Some(e) = last {
            self.jump(e);
        }
        self.codec.reset();
        self.settling = self.codec.settling_packets();
        if self.next_frame == 0 {
            self.settling = 0;
        }
        Ok(self.next_frame.min(frame))
    }

    fn stated_frames(&self) -> Option<u64> {
        self.stated
    }
}

impl CompressedReader {
    fn jump(&mut self, e: IndexEntry) {
        if e.link != self.link {
            self.link = e.link;
            if let Ok(codec) = build(self.framer.config(e.link)) {
                self.codec = codec;
            }
        }
        self.framer.resume(e.mark);
        self.sizer = e.sizer;
        self.next_frame = e.frame;
        self.packets_since_mark = 0;
    }
}

/// Makes a decoded packet exactly `full` frames of `spec`, then drops `start` frames at the front and keeps `net`.
fn shape<T: Copy + Default>(
    p: &mut Planar<T>,
    spec: crate::audio::Spec,
    good: bool,
    full: usize,
    start: usize,
    net: u64,
) {
    if !good {
        p.reserve(spec, full);
        p.append_silence(full);
    }
    if p.channel_count() != spec.channels() {
        *p = remap(p, spec);
    } else if p.spec() != spec {
        let frames = p.frames();
        p.set_spec(spec);
        p.set_frames(frames);
    }
    if p.frames() < full {
        p.append_silence(full - p.frames());
    }
    p.set_frames(full);
    p.drop_front(start);
    p.set_frames(p.frames().min(net as usize));
}

/// Another channel count in the middle of a stream: mono goes to all channels; otherwise channels are kept by index.
fn remap<T: Copy + Default>(p: &Planar<T>, spec: crate::audio::Spec) -> Planar<T> {
    let mut out = Planar::new(spec, p.frames());
    out.set_frames(p.frames());
    let mono = p.channel_count() == 1;
    for (i, to) in out.channels_mut().enumerate() {
        let from = if mono { 0 } else { i };
        if from < p.channel_count() {
            to.copy_from_slice(p.channel(from));
        } else {
            to.fill(T::default());
        }
    }
    out
}
