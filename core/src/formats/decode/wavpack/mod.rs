//! WavPack 4 and 5: lossless and hybrid, integers and floats, any number of channels. Correction files and DSD are not
//! read.

mod bits;
mod block;
mod decorrelate;
mod words;

use self::block::{Block, HEADER_BYTES, Header};
use super::Decoder;
use super::input::Input;
use super::stream::{Packet, PacketReader, StreamDecoder};
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::{Codec, Container, Damage, Duration, ReadOptions, SampleFormat, StreamInfo};

/// Bisection ends when the part that is left is this small.
const SEEK_GRAIN_BYTES: u64 = 1 << 18;
/// Silence for a damaged part: at most so many samples per byte of it, so that small files do not grow without bound.
const SILENCE_PER_BYTE: u64 = 64;
const SILENCE_FRAMES: u64 = 4096;
/// The last header of a file is looked for in so many bytes.
const TAIL_BYTES: u64 = 1 << 20;

struct WavPackReader {
    input: Input,
    info: StreamInfo,
    sample_bytes: u32,
    total: Option<u64>,
    /// Where the first block with audio is, and which sample it starts with.
    first: (u64, u64),
    /// Where the next block should start.
    next: u64,
    position: u64,
    /// Decoded channels of the present samples.
    planes: Vec<Vec<i32>>,
    payload: Vec<u8>,
    /// Frames decoded into `planes` that wait for silence to go out before them.
    pending: Option<u32>,
    silence: u64,
}

/// Opens a WavPack file; `input` stands at its first byte.
pub(crate) fn open(input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let mut reader = WavPackReader {
        info: StreamInfo {
            container: Container::WavPack,
            codec: Codec::WavPack,
            spec: Spec::new(0, ChannelLayout::MONO),
            sample_format: SampleFormat::Int(16),
            duration: None,
            bit_rate_kbps: None,
            delay_frames: 0,
            padding_frames: 0,
        },
        input,
        sample_bytes: 2,
        total: None,
        first: (0, 0),
        next: 0,
        position: 0,
        planes: Vec::new(),
        payload: Vec::new(),
        pending: None,
        silence: 0,
    };
    reader.start()?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

impl WavPackReader {
    /// Finds out what the first blocks tell.
    fn start(&mut self) -> Result<()> {
        let mut channels = 0;
        let mut info = (None, None);
        let (mut at, mut first) = (0, None);
        loop {
            let Some((byte, header)) = self.header_from(at)? else { break };
            at = byte + header.bytes;
            if header.samples == 0 || (first.is_none() && !header.is_first()) {
                continue; // metadata only, or a part of something cut
            }
            let first = first.get_or_insert((byte, header));
            if first.1.index != header.index {
                break;
            }
            channels += header.channels();
            if self.load(byte, &header)? {
                // What is damaged here is told when it is decoded.
                if let Ok(block) = Block::parse(&header, &self.payload) {
                    info = (info.0.or(block.channel_info), info.1.or(block.rate_hz));
                }
            }
            if header.is_last() {
                break;
            }
        }
        let Some((byte, header)) = first else {
            return Err(Error::malformed("WavPack", self.input.absolute(0), "no block with audio"));
        };
        if header.is_dsd() {
            return Err(Error::unsupported("WavPack coding", "DSD"));
        }
        let rate = header.rate_hz().or(info.1).filter(|r| *r > 0);
        let rate =
            rate.ok_or_else(|| Error::malformed("WavPack", self.input.absolute(byte), "sample rate is missing"))?;
        let layout = match info.0 {
            Some((count, mask)) if count == channels && mask != 0 => ChannelLayout::from_mask(mask, channels),
            _ => ChannelLayout::from_count(channels),
        };
        self.info.spec = Spec::new(rate, layout);
        self.sample_bytes = header.sample_bytes();
        self.info.sample_format =
            if header.is_float() { SampleFormat::Float(32) } else { SampleFormat::Int(header.bits() as u8) };
        self.total = header.total;
        // A part of a longer file starts at its own 0: what is missing before it cannot be played.
        let frames = match self.total {
            Some(n) => Some(n.saturating_sub(header.index)),
            None => self.end_by_last_block()?.map(|n| n.saturating_sub(header.index)),
        };
        self.info.duration = frames.map(|frames| Duration { frames, exact: true });
        self.info.bit_rate_kbps = frames
            .filter(|n| *n > 0)
            .map(|n| (self.input.len() - byte) as f64 * 8.0 / 1000.0 * f64::from(rate) / n as f64);
        self.first = (byte, header.index);
        self.next = byte;
        Ok(())
    }

    /// The first valid block header at or after byte `at`.
    fn header_from(&mut self, at: u64) -> Result<Option<(u64, Header)>> {
        self.input.seek(at)?;
        if let Some(bytes) = self.input.array::<HEADER_BYTES>()?
            && let Some(header) = Header::parse(&bytes)
        {
            return Ok(Some((at, header)));
        }
        let mut start = at;
        while start < self.input.len() {
            self.input.seek(start)?;
            let window = self.input.bytes(1 << 16, 1 << 16)?;
            let starts = 0..window.len().saturating_sub(HEADER_BYTES - 1);
            let found = starts.clone().find_map(|i| {
                let header = if window[i] == b'w' { Header::parse(&window[i..]) } else { None };
                header.map(|h| (start + i as u64, h))
            });
            if found.is_some() || starts.is_empty() {
                return Ok(found);
            }
            start += starts.end as u64;
        }
        Ok(None)
    }

    /// Reads a block's content. False when the file ends before.
    fn load(&mut self, byte: u64, header: &Header) -> Result<bool> {
        self.input.seek(byte + HEADER_BYTES as u64)?;
        let size = header.bytes - HEADER_BYTES as u64;
        self.payload = self.input.bytes(size, size)?;
        Ok(self.payload.len() as u64 == size)
    }

    /// Position after the last sample, told by the last block.
    fn end_by_last_block(&mut self) -> Result<Option<u64>> {
        let mut at = self.input.len().saturating_sub(TAIL_BYTES);
        let mut end = None;
        while let Some((byte, header)) = self.header_from(at)? {
            if header.samples > 0 && byte + header.bytes <= self.input.len() {
                end = Some(header.index + u64::from(header.samples));
            }
            at = byte + header.bytes;
        }
        Ok(end)
    }

    /// Decodes the blocks with all channels of the next samples into `planes`. Returns their position and number, and the
    /// bytes skipped before them.
    fn next_set(&mut self, damage: &mut Damage) -> Result<Option<(u64, u32, u64)>> {
        let (mut skipped, mut set, mut channel) = (0, None, 0);
        let (channels, mut broken) = (self.info.spec.channels(), None);
        loop {
            let Some((byte, header)) = self.header_from(self.next)? else {
                self.note_end(set.is_some(), damage)?;
                return Ok(None);
            };
            let (index, samples) = *set.get_or_insert((header.index, header.samples));
            let begins = channel == 0;
            if header.samples == 0 || (begins && !header.is_first()) {
                skipped += if header.samples == 0 { byte - self.next } else { byte - self.next + header.bytes };
                self.next = byte + header.bytes;
                if begins {
                    set = None;
                }
                continue;
            }
            if !begins && (header.is_first() || header.index != index || header.samples != samples) {
                broken = broken.or(Some("a block of some channels is missing"));
                break;
            }
            skipped += byte - self.next;
            if !self.load(byte, &header)? {
                self.next = self.input.len();
                damage.truncated = true;
                damage.note(Some(self.position), Some(self.input.absolute(byte)), "last block is cut off");
                return Ok(None);
            }
            self.next = byte + header.bytes;
            broken = broken.or(self.decode_block(&header, channel).err());
            channel += header.channels();
            if header.is_last() || channel >= channels {
                break;
            }
        }
        let Some((index, mut samples)) = set else { return Ok(None) };
        if let Some(what) = broken {
            let most = skipped.saturating_add(self.payload.len() as u64).saturating_mul(SILENCE_PER_BYTE);
            samples = u64::from(samples).min(most) as u32;
            damage.frames_concealed += u64::from(samples);
            damage.note(Some(self.position), Some(self.input.absolute(self.next)), what);
            self.planes.iter_mut().for_each(Vec::clear);
        }
        for plane in &mut self.planes {
            plane.resize(samples as usize, 0);
        }
        Ok(Some((index, samples, skipped)))
    }

    fn decode_block(&mut self, header: &Header, channel: usize) -> Result<(), block::BlockError> {
        let channels = self.info.spec.channels();
        self.planes.resize_with(channels, Vec::new);
        let mut spare = Vec::new();
        let (before, after) = self.planes.split_at_mut(channel + 1);
        let left = before.last_mut().ok_or("more channels than the first blocks had")?;
        let right = after.first_mut().unwrap_or(&mut spare);
        if header.is_dsd() || header.is_float() != matches!(self.info.sample_format, SampleFormat::Float(_)) {
            return Err("another kind of samples than the first block had");
        }
        if header.channels() == 2 {
            return Block::parse(header, &self.payload)?.decode(header, left, right);
        }
        Block::parse(header, &self.payload)?.decode(header, left, &mut spare)
    }

    /// Notes what is wrong with the end of the file, if anything: tags may follow the blocks.
    fn note_end(&mut self, in_set: bool, damage: &mut Damage) -> Result<()> {
        let left = self.input.len().saturating_sub(self.next);
        self.input.seek(self.next)?;
        let tail = self.input.bytes(8, 8)?;
        let tag = tail.starts_with(b"APETAGEX") || tail.starts_with(b"TAG");
        let total = self.total.unwrap_or(0).saturating_sub(self.first.1);
        if self.position < total || in_set {
            damage.truncated = true;
            let missing = total.saturating_sub(self.position);
            damage.note(Some(self.position), None, format!("{missing} frames are missing at the end"));
            self.total = None; // said once
        } else if left > 0 && !tag && self.total.is_none() {
            damage.bytes_skipped += left;
        }
        self.next = self.input.len();
        Ok(())
    }

    /// Compares the position of a set with the expected one. Returns the silence to put before it.
    fn gap(&mut self, index: u64, skipped: u64, damage: &mut Damage) -> u64 {
        let place = index.wrapping_sub(self.first.1);
        if skipped > 0 {
            damage.bytes_skipped += skipped;
            damage.note(Some(self.position), None, format!("{skipped} bytes are not WavPack blocks"));
        }
        if place == self.position {
            return 0;
        }
        if place > self.position && place - self.position <= skipped.saturating_mul(SILENCE_PER_BYTE) {
            let lost = place - self.position;
            damage.frames_concealed += lost;
            return lost;
        }
        damage.note(Some(self.position), None, format!("block claims position {place}; taken as it comes"));
        self.first.1 = index.wrapping_sub(self.position);
        0
    }
}

impl PacketReader for WavPackReader {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool> {
        let samples = match self.pending.take() {
            Some(samples) => samples,
            None => {
                let Some((index, samples, skipped)) = self.next_set(damage)? else { return Ok(false) };
                self.silence = self.gap(index, skipped, damage);
                samples
            }
        };
        if self.silence > 0 {
            let count = self.silence.min(SILENCE_FRAMES);
            self.silence -= count;
            self.position += count;
            self.pending = Some(samples);
            match packet {
                Packet::Int(out) => {
                    out.reserve(self.info.spec, 0);
                    out.append_silence(count as usize);
                }
                Packet::Float(out) => {
                    out.reserve(self.info.spec, 0);
                    out.append_silence(count as usize);
                }
            }
            return Ok(true);
        }
        let count = samples as usize;
        match packet {
            Packet::Int(out) => {
                out.reserve(self.info.spec, count);
                out.set_frames(count);
                let shift = 32 - 8 * self.sample_bytes;
                for (to, plane) in out.channels_mut().zip(&self.planes) {
                    to.iter_mut().zip(plane).for_each(|(t, s)| *t = s << shift);
                }
            }
            Packet::Float(out) => {
                out.reserve(self.info.spec, count);
                out.set_frames(count);
                for (to, plane) in out.channels_mut().zip(&self.planes) {
                    to.iter_mut().zip(plane).for_each(|(t, s)| *t = f32::from_bits(*s as u32));
                }
            }
        }
        self.position += u64::from(samples);
        Ok(true)
    }

    fn seek(&mut self, frame: u64) -> Result<u64> {
        (self.pending, self.silence) = (None, 0);
        let (mut low, mut high) = ((self.first.0, 0), self.input.len());
        while high.saturating_sub(low.0) > SEEK_GRAIN_BYTES {
            let middle = low.0 + (high - low.0) / 2;
            match self.set_from(middle, high)? {
                Some(found) if found.1 <= frame => low = found,
                _ => high = middle,
            }
        }
        // Headers tell where the next block is: the rest is walked.
        while let Some(found) = self.set_from(low.0 + 1, self.input.len())?
            && found.1 <= frame
            && found.1 > low.1
        {
            low = found;
        }
        (self.next, self.position) = low;
        Ok(low.1)
    }

    fn stated_frames(&self) -> Option<u64> {
        None
    }
}

impl WavPackReader {
    /// Byte and position of the first block of a set from byte `at` on, before byte `end`.
    fn set_from(&mut self, mut at: u64, end: u64) -> Result<Option<(u64, u64)>> {
        while let Some((byte, header)) = self.header_from(at)? {
            if byte >= end {
                break;
            }
            if header.samples > 0 && header.is_first() {
                return Ok(Some((byte, header.index.wrapping_sub(self.first.1))));
            }
            at = byte + header.bytes;
        }
        Ok(None)
    }
}
