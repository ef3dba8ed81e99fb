//! From packets of any size to the [`Decoder`] that callers see: blocks of the wanted size, encoder delay and padding
//! removed, exact seeks, limits, and no NaN.
//!
//! A codec or container implements [`PacketReader`]; [`StreamDecoder`] does the rest, once for all.

use std::time::Instant;

use super::super::info::{Damage, SampleFormat, StreamInfo};
use super::super::{Limits, ReadOptions};
use super::Decoder;
use crate::audio::{Buffer, IntBuffer, Planar, Spec};
use crate::error::{Error, Result};

/// The samples of one packet, in the representation that the codec has.
#[derive(Debug)]
pub(crate) enum Packet {
    /// Floats; lossy codecs and float PCM.
    Float(Buffer),
    /// Left-justified integers; for streams with [`SampleFormat::Int`].
    Int(IntBuffer),
}

/// A container with its codec, one packet at a time. Knows nothing of trimming, block sizes or limits.
pub(crate) trait PacketReader: Send {
    /// The stream. `delay_frames` and `padding_frames` are removed by [`StreamDecoder`].
    fn info(&self) -> &StreamInfo;

    /// Decodes the next packet into `packet` (its content is replaced; its variant must match
    /// `info().sample_format`). Returns false at the end. Damage is noted and skipped inside; an error means that nothing
    /// more can be decoded.
    fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool>;

    /// Moves so that the next packet starts at or before `frame`, counted before trimming (the first decoded frame of
    /// the stream is 0), and returns the frame it starts at. It must decode correctly from there: a codec with memory
    /// goes back far enough itself and the frames that are not good yet count as "before".
    fn seek(&mut self, frame: u64) -> Result<u64>;

    /// Number of frames before trimming from which `padding_frames` is counted back, when the container states it.
    /// Where this is `Some(n)`, nothing after frame `n - padding_frames` is delivered.
    fn stated_frames(&self) -> Option<u64>;

    /// Damage that opening already showed. Asked for once.
    fn found(&mut self) -> Damage {
        Damage::default()
    }

    /// True when a stream of integers can also fill a [`Packet::Float`], equal to the integers divided by 2^31 and
    /// rounded. Saves a pass when floats are wanted.
    fn floats_from_ints(&self) -> bool {
        false
    }
}

/// Blocks out of packets.
pub(crate) struct StreamDecoder<R> {
    reader: R,
    info: StreamInfo,
    damage: Damage,
    packet: Packet,
    /// For integer streams whose reader can give floats: the buffer of the other kind.
    other: Option<Packet>,
    /// First frame of `packet` not yet delivered.
    packet_pos: usize,
    /// Position of the next frame to deliver, before trimming.
    position: u64,
    /// Frames still to be dropped before delivering (delay at the start, overshoot after a seek).
    skip: u64,
    /// First frame, before trimming, that is not delivered any more.
    end: u64,
    max_frames: u64,
    strict: bool,
    deadline: Option<(Instant, f64)>,
    ended: bool,
}

impl<R: PacketReader> StreamDecoder<R> {
    /// Checks the stream against the limits and prepares to read it.
    pub fn new(mut reader: R, options: &ReadOptions) -> Result<Self> {
        let info = reader.info().clone();
        let damage = reader.found();
        let limits = &options.limits;
        let (rate, channels) = (info.spec.rate_hz, info.spec.channels());
        if rate == 0 || channels == 0 {
            return Err(Error::malformed("stream header", None, format!("{rate} Hz, {channels} channels")));
        }
        Limits::check("max_channels", channels as f64, f64::from(limits.max_channels))?;
        Limits::check("max_rate_hz", f64::from(rate), f64::from(limits.max_rate_hz))?;
        if let Some(d) = info.duration.filter(|d| d.exact) {
            // An estimate may be far off; the real length is checked while reading.
            Limits::check("max_seconds", info.spec.seconds(d.frames), limits.max_seconds)?;
        }
        let float = || Packet::Float(Buffer::new(info.spec, 0));
        let (packet, other) = match info.sample_format {
            SampleFormat::Int(_) => (Packet::Int(IntBuffer::new(info.spec, 0)), reader.floats_from_ints().then(float)),
            _ => (float(), None),
        };
        let end = reader.stated_frames().map_or(u64::MAX, |n| n.saturating_sub(info.padding_frames));
        Ok(Self {
            skip: info.delay_frames,
            end,
            max_frames: (limits.max_seconds * f64::from(rate)) as u64,
            strict: options.strict,
            deadline: (limits.max_wall_seconds > 0.0).then(|| (Instant::now(), limits.max_wall_seconds)),
            damage,
            packet_pos: 0,
            position: 0,
            ended: false,
            packet,
            other,
            info,
            reader,
        })
    }

    /// Makes the packet the kind that is wanted, where both kinds exist.
    fn want(&mut self, float: bool) -> Result<()> {
        if matches!(self.packet, Packet::Float(_)) == float {
            return Ok(());
        }
        let Some(other) = self.other.as_mut() else { return Ok(()) };
        let left = packet_frames(&self.packet) - self.packet_pos;
        std::mem::swap(&mut self.packet, other);
        clear(&mut self.packet);
        self.packet_pos = 0;
        if left > 0 {
            // Rare: a caller that changes between floats and integers. What was decoded is decoded again.
            let at = self.reader.seek(self.position)?;
            self.skip += self.position.saturating_sub(at);
            self.position = at;
        }
        Ok(())
    }

    /// Number of frames of the current packet that can be delivered now (at most `max_frames`), after fetching packets
    /// as needed. 0 at the end.
    fn available(&mut self, max_frames: usize) -> Result<usize> {
        loop {
            if self.ended || self.position >= self.end {
                return Ok(0);
            }
            let left = packet_frames(&self.packet) - self.packet_pos;
            if self.skip > 0 {
                let drop = self.skip.min(left as u64);
                self.skip -= drop;
                self.packet_pos += drop as usize;
                self.position += drop;
                if self.skip == 0 {
                    continue;
                }
            } else if left > 0 {
                let until_end = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
                return Ok(left.min(max_frames).min(until_end));
            }
            self.fetch()?;
        }
    }

    fn fetch(&mut self) -> Result<()> {
        if let Some((start, max)) = self.deadline {
            Limits::check("max_wall_seconds", start.elapsed().as_secs_f64(), max)?;
        }
        self.packet_pos = 0;
        self.ended = !self.reader.next_packet(&mut self.packet, &mut self.damage)?;
        if self.strict
            && let Some(event) = self.damage.events.first()
        {
            return Err(Error::malformed("stream", event.byte, event.what.clone()));
        }
        if let Packet::Float(samples) = &mut self.packet {
            self.damage.samples_repaired += repair(samples);
        }
        let at_end = self.position.saturating_sub(self.info.delay_frames) + packet_frames(&self.packet) as u64;
        Limits::check("max_seconds", self.info.spec.seconds(at_end), self.info.spec.seconds(self.max_frames))
    }

    fn advance(&mut self, frames: usize) {
        self.packet_pos += frames;
        self.position += frames as u64;
    }
}

impl<R: PacketReader> Decoder for StreamDecoder<R> {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn read(&mut self, block: &mut Buffer, max_frames: usize) -> Result<usize> {
        self.want(true)?;
        prepare(block, self.info.spec, max_frames);
        while block.frames() < max_frames {
            let n = self.available(max_frames - block.frames())?;
            if n == 0 {
                break;
            }
            match &self.packet {
                Packet::Float(samples) => block.append(samples, self.packet_pos, n),
                Packet::Int(samples) => append_as_float(block, samples, self.packet_pos, n),
            }
            self.advance(n);
        }
        Ok(block.frames())
    }

    fn read_int(&mut self, block: &mut IntBuffer, max_frames: usize) -> Result<usize> {
        if !matches!(self.info.sample_format, SampleFormat::Int(_)) {
            return Err(Error::unsupported("integer reading of", format!("{:?}", self.info.codec)));
        }
        self.want(false)?;
        prepare(block, self.info.spec, max_frames);
        while block.frames() < max_frames {
            let n = self.available(max_frames - block.frames())?;
            if n == 0 {
                break;
            }
            if let Packet::Int(samples) = &self.packet {
                block.append(samples, self.packet_pos, n);
            }
            self.advance(n);
        }
        Ok(block.frames())
    }

    fn seek(&mut self, frame: u64) -> Result<()> {
        let target = frame.saturating_add(self.info.delay_frames);
        if target >= self.end {
            self.position = target;
            self.ended = true;
            return Ok(());
        }
        let at = self.reader.seek(target)?;
        debug_assert!(at <= target);
        self.ended = false;
        clear(&mut self.packet);
        self.packet_pos = 0;
        self.position = at;
        self.skip = target.saturating_sub(at);
        Ok(())
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}

fn clear(packet: &mut Packet) {
    match packet {
        Packet::Float(p) => p.set_frames(0),
        Packet::Int(p) => p.set_frames(0),
    }
}

fn packet_frames(packet: &Packet) -> usize {
    match packet {
        Packet::Float(p) => p.frames(),
        Packet::Int(p) => p.frames(),
    }
}

fn prepare<T: Copy + Default>(block: &mut Planar<T>, spec: Spec, frames: usize) {
    block.reserve(spec, frames);
}

fn append_as_float(block: &mut Buffer, ints: &IntBuffer, start: usize, count: usize) {
    let old = block.frames();
    block.grow(old + count);
    block.set_frames(old + count);
    for (to, from) in block.channels_mut().zip(ints.channels()) {
        for (t, f) in to[old..].iter_mut().zip(&from[start..start + count]) {
            *t = *f as f32 * (1.0 / 2_147_483_648.0);
        }
    }
}

/// Sets NaN and infinities to 0; returns how many there were.
fn repair(samples: &mut Buffer) -> u64 {
    let mut repaired = 0;
    for channel in samples.channels_mut() {
        for s in channel.iter_mut().filter(|s| !s.is_finite()) {
            *s = 0.0;
            repaired += 1;
        }
    }
    repaired
}
