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
        Limits::check("max_channels", channels as f64, f64::from(limits.max_channels()))?;
        Limits::check("max_rate_hz", f64::from(rate), f64::from(limits.max_rate_hz()))?;
        if let Some(d) = info.duration.filter(|d| d.exact) {
            // An estimate may be far off; the real length is checked while reading.
            Limits::check("max_seconds", info.spec.seconds(d.frames), limits.max_seconds())?;
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
            max_frames: (limits.max_seconds() * f64::from(rate)) as u64,
            strict: options.strict,
            deadline: (limits.max_wall_seconds() > 0.0).then(|| (Instant::now(), limits.max_wall_seconds())),
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
        if self.ended {
            // What the packet still holds was counted when it came.
            return Ok(());
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
            let fresh = block.is_empty() && self.packet_pos == 0;
            match &mut self.packet {
                Packet::Float(samples) if fresh && is_whole(samples, n, max_frames) => hand_over(samples, block),
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
            let fresh = block.is_empty() && self.packet_pos == 0;
            match &mut self.packet {
                Packet::Int(samples) if fresh && is_whole(samples, n, max_frames) => hand_over(samples, block),
                Packet::Int(samples) => block.append(samples, self.packet_pos, n),
                Packet::Float(_) => return Err(Error::internal("an integer stream gave floats")),
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

/// True when `count` frames are all of a packet, and its storage takes all that the caller may want with them.
fn is_whole<T: Copy + Default>(packet: &Planar<T>, count: usize, max_frames: usize) -> bool {
    count == packet.frames() && packet.capacity_frames() >= max_frames
}

/// Gives a whole packet to the caller in exchange for the caller's empty block: no copy. The packet keeps its number of
/// frames, which count as delivered; its samples are gone.
fn hand_over<T: Copy + Default>(packet: &mut Planar<T>, block: &mut Planar<T>) {
    let frames = packet.frames();
    std::mem::swap(packet, block);
    packet.reserve(block.spec(), frames);
    packet.set_frames(frames);
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

/// Exponent bits of an f32.
const EXPONENT: u32 = 0x7F80_0000;

/// Sets NaN and infinities to 0; returns how many there were.
fn repair(samples: &mut Buffer) -> u64 {
    let mut repaired = 0;
    for channel in samples.channels_mut() {
        for piece in channel.chunks_mut(1024) {
            // A look that the compiler vectorises: the exponent is all ones in what is not finite.
            if piece.iter().fold(false, |bad, s| bad | (s.to_bits() & EXPONENT == EXPONENT)) {
                for s in piece.iter_mut().filter(|s| !s.is_finite()) {
                    *s = 0.0;
                    repaired += 1;
                }
            }
        }
    }
    repaired
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::formats::{Codec, Container, Duration};

    /// A stream of the numbers 0, 1, 2, ... in packets of 7 frames, with delay and padding.
    struct Counter {
        info: StreamInfo,
        frame: u64,
        stated: Option<u64>,
        broken_at: Option<u64>,
    }

    const TOTAL: u64 = 100;

    fn counter(sample_format: SampleFormat, delay_frames: u64, padding_frames: u64) -> Counter {
        let info = StreamInfo {
            container: Container::Other,
            codec: Codec::Other,
            spec: Spec::new(1000, ChannelLayout::STEREO),
            sample_format,
            duration: Some(Duration { frames: TOTAL - delay_frames - padding_frames, exact: true }),
            bit_rate_kbps: None,
            delay_frames,
            padding_frames,
        };
        Counter { info, frame: 0, stated: Some(TOTAL), broken_at: None }
    }

    impl PacketReader for Counter {
        fn info(&self) -> &StreamInfo {
            &self.info
        }

        fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool> {
            let count = 7.min(TOTAL - self.frame) as usize;
            let first = self.frame;
            self.frame += count as u64;
            if self.broken_at.is_some_and(|b| (first..self.frame).contains(&b)) {
                damage.note(Some(first), None, "broken");
            }
            match packet {
                Packet::Float(out) => {
                    out.reserve(self.info.spec, count);
                    out.set_frames(count);
                    out.channels_mut().for_each(|c| (first..).zip(c).for_each(|(i, s)| *s = i as f32));
                }
                Packet::Int(out) => {
                    out.reserve(self.info.spec, count);
                    out.set_frames(count);
                    out.channels_mut().for_each(|c| (first..).zip(c).for_each(|(i, s)| *s = (i as i32) << 24));
                }
            }
            Ok(count > 0)
        }

        fn seek(&mut self, frame: u64) -> Result<u64> {
            // As a codec with memory: some packets before.
            self.frame = (frame / 7 * 7).saturating_sub(14);
            Ok(self.frame)
        }

        fn stated_frames(&self) -> Option<u64> {
            self.stated
        }
    }

    fn stream(reader: Counter) -> StreamDecoder<Counter> {
        StreamDecoder::new(reader, &ReadOptions::default()).unwrap()
    }

    #[test]
    fn delay_and_padding_are_removed_for_any_block_size() {
        for size in [1, 2, 7, 13, 64, 1000] {
            let mut d = stream(counter(SampleFormat::Lossy, 10, 5));
            let (mut block, mut got) = (Buffer::new(d.info().spec, 0), Vec::new());
            while d.read(&mut block, size).unwrap() > 0 {
                assert!(block.frames() == size || got.len() + block.frames() == 85);
                got.extend_from_slice(block.channel(1));
            }
            assert_eq!(got, (10..95).map(|i| i as f32).collect::<Vec<_>>(), "{size}");
            assert_eq!(d.read(&mut block, size).unwrap(), 0);
        }
    }

    #[test]
    fn seeks_land_on_the_frame_and_beyond_the_end_is_the_end() {
        let mut d = stream(counter(SampleFormat::Lossy, 10, 5));
        let mut block = Buffer::new(d.info().spec, 0);
        for at in [0, 84, 30, 31, 3, 60] {
            d.seek(at).unwrap();
            d.read(&mut block, 4).unwrap();
            assert_eq!(block.channel(0)[0], (at + 10) as f32);
        }
        for at in [85, 86, 1000, u64::MAX] {
            d.seek(at).unwrap();
            assert_eq!(d.read(&mut block, 4).unwrap(), 0, "{at}");
        }
        d.seek(5).unwrap();
        assert_eq!(d.read(&mut block, 4).unwrap(), 4);
    }

    #[test]
    fn integers_are_exact_and_refused_elsewhere() {
        let mut d = stream(counter(SampleFormat::Int(8), 0, 0));
        let (mut ints, mut floats) = (IntBuffer::new(d.info().spec, 0), Buffer::new(d.info().spec, 0));
        assert_eq!(d.read_int(&mut ints, 3).unwrap(), 3);
        assert_eq!(ints.channel(0), [0, 1 << 24, 2 << 24]);
        d.read(&mut floats, 2).unwrap();
        assert_eq!(floats.channel(0), [3.0 / 128.0, 4.0 / 128.0]);
        let refused = stream(counter(SampleFormat::Lossy, 0, 0)).read_int(&mut ints, 3);
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn strict_reading_stops_at_damage() {
        let broken = || Counter { broken_at: Some(20), ..counter(SampleFormat::Lossy, 0, 0) };
        let mut block = Buffer::new(Spec::new(1000, ChannelLayout::STEREO), 0);
        let mut d = stream(broken());
        assert_eq!(d.read(&mut block, 200).unwrap(), 100);
        assert_eq!(d.damage().event_count, 1);
        let mut d = StreamDecoder::new(broken(), &ReadOptions { strict: true, ..ReadOptions::default() }).unwrap();
        assert_eq!(d.read(&mut block, 10).unwrap(), 10);
        assert!(matches!(d.read(&mut block, 200), Err(Error::Malformed { .. })));
    }

    #[test]
    fn limits_hold_for_stated_and_for_real_lengths() {
        let mut options = ReadOptions::default();
        options.limits.max_seconds = Some(0.05);
        let stated = StreamDecoder::new(counter(SampleFormat::Lossy, 0, 0), &options);
        assert!(matches!(stated, Err(Error::LimitExceeded { limit: "max_seconds", .. })));
        let mut unknown = counter(SampleFormat::Lossy, 0, 0);
        (unknown.info.duration, unknown.stated) = (None, None);
        let mut d = StreamDecoder::new(unknown, &options).unwrap();
        let mut block = Buffer::new(d.info().spec, 0);
        assert!(matches!(d.read(&mut block, 100), Err(Error::LimitExceeded { limit: "max_seconds", .. })));
        // As long as is allowed, to the frame.
        options.limits.max_seconds = Some(0.1);
        let mut unknown = counter(SampleFormat::Lossy, 0, 0);
        (unknown.info.duration, unknown.stated) = (None, None);
        let mut d = StreamDecoder::new(unknown, &options).unwrap();
        assert_eq!((d.read(&mut block, 200).unwrap(), d.read(&mut block, 200).unwrap()), (100, 0));
        options = ReadOptions::default();
        options.limits.max_channels = Some(1);
        assert!(StreamDecoder::new(counter(SampleFormat::Lossy, 0, 0), &options).is_err());
    }

    #[test]
    fn what_is_not_a_number_becomes_silence_and_is_counted() {
        let mut block = Buffer::from_channels(
            Spec::new(1000, ChannelLayout::MONO),
            &[vec![f32::NAN, 1.0, f32::INFINITY, -2.0, f32::NEG_INFINITY]],
        );
        assert_eq!(repair(&mut block), 3);
        assert_eq!(block.channel(0), [0.0, 1.0, 0.0, -2.0, 0.0]);
    }
}
