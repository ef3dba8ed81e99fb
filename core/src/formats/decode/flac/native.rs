//! Native FLAC files: finds frames, goes on after damage, seeks by table or bisection.

use super::super::Decoder;
use super::super::input::Input;
use super::super::stream::{Packet, PacketReader, StreamDecoder};
use super::{Decoded, FrameDecoder, FrameError, FrameHeader, StreamParams, metadata};
use crate::error::{Error, Result};
use crate::formats::{Codec, Container, Damage, Duration, ReadOptions, SampleFormat, StreamInfo};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 16;
/// No legal frame is longer: 65,536 samples of 8 channels of 33 bits, verbatim, with headers.
const MAX_FRAME_BYTES: usize = 65_536 * 33 + 4096;
/// Shortest frame: header of 6 bytes, one constant subframe of 2, checksum of 2.
const MIN_FRAME_BYTES: u64 = 10;
/// False starts of frames after damage that are tried before giving up.
const MAX_FALSE_STARTS: u32 = 100_000;
/// Bisection ends when the part that is left is this small.
const SEEK_GRAIN_BYTES: u64 = 1 << 16;
/// Silence for lost frames goes out in pieces of this size.
const SILENCE_FRAMES: u64 = 4096;

struct FlacReader {
    input: Input,
    info: StreamInfo,
    params: StreamParams,
    decoder: FrameDecoder,
    /// Part of the file, from byte `window_start`.
    window: Vec<u8>,
    window_start: u64,
    /// Next byte to decode, in `window`.
    at: usize,
    /// First byte of frames.
    frames_start: u64,
    seek_points: Vec<(u64, u64)>,
    /// Samples per frame where frames are numbered.
    fixed_block: u32,
    /// Added to positions: what a frame's header says minus where it is in this file.
    offset: u64,
    /// Position of the next frame to deliver.
    position: u64,
    /// A decoded frame that waits for silence to go out before it.
    pending: Option<Decoded>,
    silence: u64,
}

/// Opens a FLAC file; `input` stands at its marker or at a frame.
pub(crate) fn open(mut input: Input, options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    let blocks = metadata::read(&mut input)?;
    let spec = crate::audio::Spec::new(1, crate::audio::ChannelLayout::MONO);
    let mut reader = FlacReader {
        info: StreamInfo {
            container: Container::Flac,
            codec: Codec::Flac,
            spec,
            sample_format: SampleFormat::Int(16),
            duration: None,
            bit_rate_kbps: None,
            delay_frames: 0,
            padding_frames: 0,
        },
        params: StreamParams {
            min_block: 0,
            max_block: 0,
            max_frame_bytes: 0,
            rate_hz: 0,
            channels: 0,
            bits: 0,
            total_frames: 0,
        },
        input,
        decoder: FrameDecoder::new(),
        window: Vec::new(),
        window_start: 0,
        at: 0,
        frames_start: blocks.end,
        seek_points: blocks.seek_points,
        fixed_block: 0,
        offset: 0,
        position: 0,
        pending: None,
        silence: 0,
    };
    reader.start(blocks.params)?;
    Ok(Box::new(StreamDecoder::new(reader, options)?))
}

impl FlacReader {
    /// Takes the parameters from STREAMINFO and the first frame.
    fn start(&mut self, params: Option<StreamParams>) -> Result<()> {
        // Without STREAMINFO, frames that rely on it cannot be read: 0 bits never decode.
        self.params = params.unwrap_or(self.params);
        self.jump(self.frames_start)?;
        let mut ignored = Damage::default();
        let first = self.next_frame(&mut ignored)?.map(|(frame, _)| frame);
        match (first, params) {
            (Some(first), None) => {
                let header = first.header;
                self.params.bits = first.bits;
                self.params.channels = header.channels;
                self.params.max_block = header.block;
                self.params.rate_hz = header.rate_hz.ok_or_else(|| {
                    Error::malformed("FLAC", self.input.absolute(0), "no STREAMINFO, and frames do not state the rate")
                })?;
            }
            (None, params) if params.is_none() || self.frames_start < self.input.len() => {
                return Err(Error::malformed(
                    "FLAC",
                    self.input.absolute(self.frames_start),
                    "no frame can be decoded",
                ));
            }
            _ => {}
        }
        let mut bits = self.params.bits;
        if let Some(first) = first {
            bits = first.bits;
            self.fixed_block = first.header.block;
            self.params.max_block = self.params.max_block.max(first.header.block);
            // A part cut out of a longer stream starts at its own 0.
            if ignored.is_none() {
                self.offset = first.header.position(self.fixed_block);
            }
        }
        let total = match self.params.total_frames.saturating_sub(self.offset) {
            0 if first.is_some() => self.frames_by_last_frame()?,
            n => Some(n),
        };
        self.info.spec = self.params.spec();
        self.info.sample_format = SampleFormat::Int(bits as u8);
        self.info.duration = total.map(|frames| Duration { frames, exact: true });
        let bytes = self.input.len() - self.frames_start;
        self.info.bit_rate_kbps =
            total.filter(|n| *n > 0).map(|n| bytes as f64 * 8.0 / 1000.0 * f64::from(self.params.rate_hz) / n as f64);
        self.jump(self.frames_start)
    }

    /// Length of the stream, told by the last frame of the file.
    fn frames_by_last_frame(&mut self) -> Result<Option<u64>> {
        for back in [CHUNK_BYTES as u64, MAX_FRAME_BYTES as u64] {
            let from = self.input.len().saturating_sub(back).max(self.frames_start);
            self.jump(from)?;
            let (mut end, mut ignored) = (None, Damage::default());
            while let Some((frame, _)) = self.next_frame(&mut ignored)? {
                end = Some(self.place(&frame) + u64::from(frame.header.block));
            }
            if end.is_some() || from == self.frames_start {
                return Ok(end);
            }
        }
        Ok(None)
    }

    fn place(&self, frame: &Decoded) -> u64 {
        frame.header.position(self.fixed_block).wrapping_sub(self.offset)
    }

    /// Continues reading at byte `pos`.
    fn jump(&mut self, pos: u64) -> Result<()> {
        self.pending = None;
        self.silence = 0;
        if pos >= self.window_start && pos - self.window_start <= self.window.len() as u64 {
            self.at = (pos - self.window_start) as usize;
            return Ok(());
        }
        self.input.seek(pos)?;
        self.window.clear();
        self.window_start = self.input.position();
        self.at = 0;
        Ok(())
    }

    /// Makes at least `count` bytes available from `at`, unless the file ends before. Returns how many there are.
    fn fill(&mut self, count: usize) -> Result<usize> {
        if self.window.len() - self.at < count {
            self.window.drain(..self.at);
            self.window_start += self.at as u64;
            self.at = 0;
            let have = self.window.len();
            self.input.seek(self.window_start + have as u64)?;
            self.window.resize(count.max(have) + CHUNK_BYTES, 0);
            let got = self.input.read(&mut self.window[have..])?;
            self.window.truncate(have + got);
        }
        Ok(self.window.len() - self.at)
    }

    /// Decodes the next good frame. Returns it with the number of bytes that were skipped before it; `None` at the end.
    fn next_frame(&mut self, damage: &mut Damage) -> Result<Option<(Decoded, u64)>> {
        let mut want = (self.params.max_frame_bytes as usize).clamp(1 << 14, MAX_FRAME_BYTES);
        let (mut skipped, mut why, mut false_starts) = (0_u64, None, 0);
        loop {
            let have = self.fill(want)?;
            if have == 0 {
                return Ok(self.ended(skipped, why, damage));
            }
            let error = match self.decoder.decode(&self.window[self.at..], self.params.bits.max(4)) {
                Ok(frame) if self.params.bits > 0 || frame.header.bits.is_some() => {
                    if skipped > 0 {
                        let byte = self.input.absolute(self.window_start + self.at as u64 - skipped);
                        damage.bytes_skipped += skipped;
                        damage.note(Some(self.position), Some(byte), why.unwrap_or(FrameError::NoHeader).text());
                    }
                    self.at += frame.bytes;
                    return Ok(Some((frame, skipped)));
                }
                Ok(_) => FrameError::NoHeader,
                Err(FrameError::Cut) if have >= want && want < MAX_FRAME_BYTES => {
                    want = (want * 2).min(MAX_FRAME_BYTES);
                    continue;
                }
                Err(e) => e,
            };
            if skipped == 0 && self.is_tag() {
                return Ok(None);
            }
            why = why.or(Some(error));
            false_starts += u32::from(error != FrameError::NoHeader);
            if false_starts > MAX_FALSE_STARTS {
                return Ok(self.ended(skipped, why, damage));
            }
            skipped += self.skip_to_header()?;
        }
    }

    /// Leaves the present byte and goes to the next that starts a frame header, or the end. Returns the bytes skipped.
    fn skip_to_header(&mut self) -> Result<u64> {
        let mut skipped = 0;
        loop {
            self.at += 1;
            skipped += 1;
            if self.fill(32)? == 0 {
                return Ok(skipped);
            }
            let rest = &self.window[self.at..];
            let found = (0..rest.len()).find(|i| rest[*i] == 0xFF && FrameHeader::parse(&rest[*i..]).is_some());
            // Up to the last bytes, where a header may be cut.
            let step = found.unwrap_or(rest.len().saturating_sub(16));
            self.at += step;
            skipped += step as u64;
            if found.is_some() {
                return Ok(skipped);
            }
        }
    }

    fn is_tag(&self) -> bool {
        let rest = &self.window[self.at..];
        [b"TAG".as_slice(), b"APETAGEX", b"LYRICSBEGIN"].iter().any(|tag| rest.starts_with(tag))
    }

    fn ended(&mut self, skipped: u64, why: Option<FrameError>, damage: &mut Damage) -> Option<(Decoded, u64)> {
        let total = self.params.total_frames.saturating_sub(self.offset);
        if skipped > 0 && (self.position < total || total == 0) {
            let byte = self.input.absolute(self.window_start + self.at as u64 - skipped);
            damage.bytes_skipped += skipped;
            damage.truncated |= why == Some(FrameError::Cut);
            damage.note(Some(self.position), Some(byte), why.unwrap_or(FrameError::NoHeader).text());
        }
        None
    }

    /// Compares the frame's position with the expected one. Returns the silence to put before it.
    fn gap(&mut self, frame: &Decoded, skipped: u64, damage: &mut Damage) -> u64 {
        let place = self.place(frame);
        if place == self.position {
            return 0;
        }
        // What was skipped can have held so much, not more; some frames may be missing without a trace.
        let most = (skipped / MIN_FRAME_BYTES + 16).saturating_mul(u64::from(self.params.max_block));
        if place > self.position && place - self.position <= most {
            let lost = place - self.position;
            damage.frames_concealed += lost;
            damage.note(Some(self.position), None, format!("{lost} frames lost, replaced by silence"));
            return lost;
        }
        damage.note(Some(self.position), None, format!("frame claims position {place}; taken as it comes"));
        self.offset = frame.header.position(self.fixed_block).wrapping_sub(self.position);
        0
    }

    fn check_parameters(&self, frame: &Decoded, damage: &mut Damage) {
        let rate = frame.header.rate_hz.unwrap_or(self.params.rate_hz);
        if rate != self.params.rate_hz || frame.header.channels != self.params.channels {
            let what = format!("frame of {} channels at {rate} Hz in this stream", frame.header.channels);
            damage.note(Some(self.position), None, what);
        }
    }

    /// Byte and position of the first good frame at or after byte `from`.
    fn frame_from(&mut self, from: u64) -> Result<Option<(u64, u64)>> {
        self.jump(from)?;
        let found = self.next_frame(&mut Damage::default())?;
        let byte = |bytes: usize| self.window_start + (self.at - bytes) as u64;
        Ok(found.map(|(frame, _)| (byte(frame.bytes), self.place(&frame))))
    }
}

impl PacketReader for FlacReader {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool> {
        let frame = match self.pending.take() {
            Some(frame) => frame,
            None => {
                let Some((frame, skipped)) = self.next_frame(damage)? else {
                    let total = self.params.total_frames.saturating_sub(self.offset);
                    if self.position < total {
                        damage.truncated = true;
                        let missing = total - self.position;
                        damage.note(Some(self.position), None, format!("{missing} frames are missing at the end"));
                        self.params.total_frames = 0; // said once
                    }
                    return Ok(false);
                };
                self.silence = self.gap(&frame, skipped, damage);
                self.check_parameters(&frame, damage);
                frame
            }
        };
        if self.silence > 0 {
            let count = self.silence.min(SILENCE_FRAMES);
            self.silence -= count;
            self.position += count;
            self.pending = Some(frame);
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
        let block = frame.header.block as usize;
        match packet {
            Packet::Int(out) => {
                out.reserve(self.info.spec, block);
                self.decoder.ints(out);
            }
            Packet::Float(out) => {
                out.reserve(self.info.spec, block);
                self.decoder.floats(out);
            }
        }
        self.position += block as u64;
        Ok(true)
    }

    fn seek(&mut self, frame: u64) -> Result<u64> {
        let (mut low, mut high) = ((self.frames_start, 0), self.input.len());
        let by_table = self.seek_points.partition_point(|p| p.0.wrapping_sub(self.offset) <= frame);
        let point = by_table.checked_sub(1).and_then(|i| self.seek_points.get(i)).copied();
        if let Some((sample, offset)) = point {
            let byte = self.frames_start.saturating_add(offset);
            // Tables are often stale after editing: believed only when a frame with that number is there.
            if let Some(found) = self.frame_from(byte)?
                && found == (byte, sample.wrapping_sub(self.offset))
            {
                low = found;
                if let Some((_, next)) = self.seek_points.get(by_table) {
                    high = high.min(self.frames_start.saturating_add(*next));
                }
            }
        }
        while high.saturating_sub(low.0) > SEEK_GRAIN_BYTES {
            let middle = low.0 + (high - low.0) / 2;
            match self.frame_from(middle)? {
                Some(found) if found.0 < high && found.1 <= frame => low = found,
                _ => high = middle,
            }
        }
        self.jump(low.0)?;
        self.position = low.1;
        Ok(low.1)
    }

    fn stated_frames(&self) -> Option<u64> {
        None
    }

    fn floats_from_ints(&self) -> bool {
        true
    }
}
