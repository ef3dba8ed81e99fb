//! MP4 (M4A) with one audio track: sample tables, edit list, gapless information, tags; `moov` in front when its size is
//! known in advance.
//!
//! Sources: ISO/IEC 14496-12 (boxes), 14496-14 (esds); Apple, "QuickTime File Format" (edit lists, `iTunSMPB` in
//! Technical Note TN2258); Apple's ALAC MagicCookieDescription. All dates are 0, so that equal inputs give equal files.

use super::Sink;
use super::out::Out;
use crate::audio::Spec;
use crate::error::Result;
use crate::formats::tags::{Loss, Metadata, write};

/// Bytes of audio after which a chunk ends. Readers fetch whole chunks.
const CHUNK_BYTES: u64 = 64 * 1024;
/// Reserved beyond the estimate: descriptors and numbers whose length is known at the end only.
const SLACK_BYTES: u64 = 512;

/// What the track holds.
pub(crate) struct Track {
    pub spec: Spec,
    /// Content of `stsd`'s entry.
    pub entry: SampleEntry,
    /// Frames of one access unit; the last may be shorter where the codec says so.
    pub unit_frames: u32,
    /// Frames that decoders drop at the start.
    pub delay: u64,
    /// True when every access unit needs the one before it to be exact (AAC).
    pub roll: bool,
    /// True when the last unit holds only as many frames as are left (ALAC); false when it is padded (AAC).
    pub short_last: bool,
}

/// Codec of the track.
pub(crate) enum SampleEntry {
    /// AudioSpecificConfig.
    Aac(Vec<u8>),
    /// Bits and magic cookie.
    Alac(u16, Vec<u8>),
}

/// Writes access units and, at the end, the tables.
pub(crate) struct Mp4Writer {
    out: Out,
    track: Track,
    udta: Vec<u8>,
    /// Position and size of the room for `moov` in front; size 0 for none.
    room: (u64, u64),
    mdat_at: u64,
    sizes: Vec<u32>,
    /// Position and number of units of each chunk.
    chunks: Vec<(u64, u32)>,
    chunk_bytes: u64,
    largest: u32,
    pub losses: Vec<Loss>,
}

/// A box of `kind` around `content`.
fn boxed(kind: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let len: usize = 8 + content.iter().map(|c| c.len()).sum::<usize>();
    let mut b = Vec::with_capacity(len);
    b.extend_from_slice(&(len as u32).to_be_bytes());
    b.extend_from_slice(kind);
    content.iter().for_each(|c| b.extend_from_slice(c));
    b
}

fn be32(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// A descriptor of ISO/IEC 14496-1 section 8.3.3.
fn descriptor(tag: u8, body: &[u8]) -> Vec<u8> {
    // Four length bytes, as Apple's readers expect.
    let n = body.len();
    let mut d = vec![
        tag,
        0x80 | (n >> 21) as u8,
        0x80 | (n >> 14 & 0x7F) as u8,
        0x80 | (n >> 7 & 0x7F) as u8,
        (n & 0x7F) as u8,
    ];
    d.extend_from_slice(body);
    d
}

impl Mp4Writer {
    /// Writes the file type and, with `frames_hint`, leaves room for `moov` in front.
    pub fn new(track: Track, sink: Box<dyn Sink>, metadata: &Metadata, frames_hint: Option<u64>) -> Result<Self> {
        let tags = write::ilst(metadata);
        let mut out = Out::new(sink)?;
        out.write(&boxed(b"ftyp", &[b"M4A \0\0\x02\0M4A mp42isom\0\0\0\0"]))?;
        let room = match frames_hint {
            None => 0,
            Some(frames) => {
                let units = (frames + track.delay).div_ceil(u64::from(track.unit_frames.max(1))) + 2;
                // One size per unit; at most one chunk per unit, usually far fewer: 64 KiB of audio are 100 units or so.
                let chunks = units / 8 + 16;
                let estimate = 4 * units + 16 * chunks + tags.bytes.len() as u64 + 1024 + SLACK_BYTES;
                // A wrong hint must not reserve gigabytes.
                if estimate < 1 << 28 { estimate } else { 0 }
            }
        };
        let room_at = out.position();
        if room > 0 {
            out.write(&(room as u32).to_be_bytes())?;
            out.write(b"free")?;
            out.write(&vec![0; room as usize - 8])?;
        }
        let mdat_at = out.position();
        // Eight bytes of `free` before the header of `mdat` make room for a 64-bit size.
        out.write(&boxed(b"free", &[]))?;
        out.write(b"\0\0\0\0mdat")?;
        Ok(Self {
            out,
            track,
            udta: if tags.bytes.is_empty() { Vec::new() } else { boxed(b"udta", &[&tags.bytes]) },
            room: (room_at, room),
            mdat_at,
            sizes: Vec::new(),
            chunks: Vec::new(),
            chunk_bytes: 0,
            largest: 0,
            losses: tags.losses,
        })
    }

    /// Number of access units so far.
    pub fn units(&self) -> u64 {
        self.sizes.len() as u64
    }

    /// Replaces the codec configuration, for codecs that know it at the end only.
    pub fn set_entry(&mut self, entry: SampleEntry) {
        self.track.entry = entry;
    }

    /// Appends an access unit.
    pub fn unit(&mut self, bytes: &[u8]) -> Result<()> {
        if self.chunks.is_empty() || self.chunk_bytes >= CHUNK_BYTES {
            self.chunks.push((self.out.position(), 0));
            self.chunk_bytes = 0;
        }
        if let Some((_, count)) = self.chunks.last_mut() {
            *count += 1;
        }
        self.chunk_bytes += bytes.len() as u64;
        self.sizes.push(bytes.len() as u32);
        self.largest = self.largest.max(bytes.len() as u32);
        self.out.write(bytes)
    }

    /// Writes `moov` for `frames` frames of audio and completes the file; returns its size.
    pub fn finish(&mut self, frames: u64) -> Result<u64> {
        let mdat_header = self.mdat_at + 8;
        let size = self.out.position() - mdat_header;
        if let Ok(size) = u32::try_from(size) {
            self.out.patch(mdat_header, &size.to_be_bytes())?;
        } else {
            let mut header = b"\0\0\0\x01mdat".to_vec();
            header.extend_from_slice(&(size + 8).to_be_bytes());
            self.out.patch(self.mdat_at, &header)?;
        }
        let moov = self.moov(frames);
        let (at, room) = self.room;
        let len = moov.len() as u64;
        if len == room || len + 8 <= room {
            let mut front = moov;
            if len < room {
                front.extend_from_slice(&((room - len) as u32).to_be_bytes());
                front.extend_from_slice(b"free");
            }
            self.out.patch(at, &front)?;
        } else {
            self.out.write(&moov)?;
        }
        self.out.finish()
    }

    fn moov(&self, frames: u64) -> Vec<u8> {
        let rate = self.track.spec.rate_hz;
        let matrix = be32(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
        // Durations need 64 bits past 2^32 frames: version 1 of the boxes, always, is what all readers know.
        let duration = frames.to_be_bytes();
        let mvhd = boxed(
            b"mvhd",
            &[
                &[1, 0, 0, 0],
                &[0; 16],
                &rate.to_be_bytes(),
                &duration,
                &be32(&[0x1_0000]),
                &[1, 0],
                &[0; 10],
                &matrix,
                &[0; 24],
                &be32(&[2]),
            ],
        );
        let tkhd = boxed(
            b"tkhd",
            &[
                &[1, 0, 0, 7],
                &[0; 16],
                &be32(&[1, 0]),
                &duration,
                &[0; 8],
                &[0, 0, 0, 1],
                &[1, 0, 0, 0],
                &matrix,
                &[0; 8],
            ],
        );
        let elst =
            boxed(b"elst", &[&[1, 0, 0, 0], &be32(&[1]), &duration, &self.track.delay.to_be_bytes(), &[0, 1, 0, 0]]);
        let edts = boxed(b"edts", &[&elst]);
        let trak = boxed(b"trak", &[&tkhd, &edts, &self.mdia(frames)]);
        boxed(b"moov", &[&mvhd, &trak, &self.user_data(frames)])
    }

    /// Frames of all access units together.
    fn media_frames(&self, frames: u64) -> u64 {
        // A lone unit of one frame is stated whole: FFmpeg takes audio units of duration 1 for PCM and reads nothing.
        if self.track.short_last && frames != 1 { frames } else { self.units() * u64::from(self.track.unit_frames) }
    }

    fn mdia(&self, frames: u64) -> Vec<u8> {
        let media = self.media_frames(frames);
        let mdhd = boxed(
            b"mdhd",
            &[
                &[1, 0, 0, 0],
                &[0; 16],
                &self.track.spec.rate_hz.to_be_bytes(),
                &media.to_be_bytes(),
                &[0x55, 0xC4, 0, 0],
            ],
        );
        let hdlr = boxed(b"hdlr", &[&[0; 8], b"soun", &[0; 12], b"SoundHandler\0"]);
        let smhd = boxed(b"smhd", &[&[0; 8]]);
        let dref = boxed(b"dref", &[&be32(&[0, 1]), &boxed(b"url ", &[&[0, 0, 0, 1]])]);
        let minf = boxed(b"minf", &[&smhd, &boxed(b"dinf", &[&dref]), &self.stbl(media)]);
        boxed(b"mdia", &[&mdhd, &hdlr, &minf])
    }

    fn stbl(&self, media: u64) -> Vec<u8> {
        let units = self.sizes.len() as u32;
        let unit_frames = self.track.unit_frames;
        let stsd = boxed(b"stsd", &[&be32(&[0, 1]), &self.sample_entry(media)]);
        let last = (media
            - u64::from(unit_frames) * u64::from(units.saturating_sub(1)).min(media / u64::from(unit_frames.max(1))))
            as u32;
        let times = match units {
            0 => be32(&[0, 0]),
            _ if last == unit_frames => be32(&[0, 1, units, unit_frames]),
            1 => be32(&[0, 1, 1, last]),
            _ => be32(&[0, 2, units - 1, unit_frames, 1, last]),
        };
        let mut runs: Vec<u32> = Vec::new();
        let mut run_count = 0;
        for (i, (_, count)) in self.chunks.iter().enumerate() {
            if runs.len() < 3 || runs[runs.len() - 2] != *count {
                runs.extend_from_slice(&[i as u32 + 1, *count, 1]);
                run_count += 1;
            }
        }
        let stsc = boxed(b"stsc", &[&be32(&[0, run_count]), &be32(&runs)]);
        let stsz = boxed(b"stsz", &[&be32(&[0, 0, units]), &be32(&self.sizes)]);
        let count = self.chunks.len() as u32;
        let offsets = if self.chunks.last().is_some_and(|(at, _)| *at > u64::from(u32::MAX)) {
            let all: Vec<u8> = self.chunks.iter().flat_map(|(at, _)| at.to_be_bytes()).collect();
            boxed(b"co64", &[&be32(&[0, count]), &all])
        } else {
            let all: Vec<u32> = self.chunks.iter().map(|(at, _)| *at as u32).collect();
            boxed(b"stco", &[&be32(&[0, count]), &be32(&all)])
        };
        let mut parts = vec![stsd, boxed(b"stts", &[&times]), stsc, stsz, offsets];
        if self.track.roll && units > 0 {
            // ISO/IEC 14496-12 section 10.1: decode one unit earlier after a seek.
            parts.push(boxed(b"sgpd", &[&[1, 0, 0, 0], b"roll", &be32(&[2, 1]), &(-1_i16).to_be_bytes()]));
            parts.push(boxed(b"sbgp", &[&[0; 4], b"roll", &be32(&[1, units, 1])]));
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        boxed(b"stbl", &parts)
    }

    fn sample_entry(&self, media: u64) -> Vec<u8> {
        let spec = self.track.spec;
        let bits = if let SampleEntry::Alac(bits, _) = &self.track.entry { *bits } else { 16 };
        let mut head = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend_from_slice(&(spec.channels() as u16).to_be_bytes());
        head.extend_from_slice(&bits.to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        // 16.16; higher rates do not fit and stand in the codec's own configuration.
        head.extend_from_slice(&be32(&[if spec.rate_hz < 1 << 16 { spec.rate_hz << 16 } else { 0 }]));
        match &self.track.entry {
            SampleEntry::Aac(asc) => {
                let bytes: u64 = self.sizes.iter().map(|s| u64::from(*s)).sum();
                let average = (bytes * 8 * u64::from(spec.rate_hz)).checked_div(media).unwrap_or(0) as u32;
                let peak = (u64::from(self.largest) * 8 * u64::from(spec.rate_hz)
                    / u64::from(self.track.unit_frames.max(1))) as u32;
                let mut config = vec![0x40, 0x15];
                config.extend_from_slice(&self.largest.to_be_bytes()[1..]);
                config.extend_from_slice(&be32(&[peak, average]));
                config.extend_from_slice(&descriptor(5, asc));
                let mut es = vec![0, 0, 0];
                es.extend_from_slice(&descriptor(4, &config));
                es.extend_from_slice(&descriptor(6, &[2]));
                let esds = boxed(b"esds", &[&[0; 4], &descriptor(3, &es)]);
                boxed(b"mp4a", &[&head, &esds])
            }
            SampleEntry::Alac(_, cookie) => boxed(b"alac", &[&head, &boxed(b"alac", &[&[0; 4], cookie])]),
        }
    }

    /// `udta` with `iTunSMPB` added to what the tags gave.
    fn user_data(&self, frames: u64) -> Vec<u8> {
        if !self.track.roll {
            return self.udta.clone();
        }
        let padding = self.media_frames(frames).saturating_sub(self.track.delay + frames);
        let text = format!(
            " 00000000 {:08X} {:08X} {:016X} 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
            self.track.delay, padding, frames
        );
        let item = boxed(
            b"----",
            &[
                &boxed(b"mean", &[&[0; 4], b"com.apple.iTunes"]),
                &boxed(b"name", &[&[0; 4], b"iTunSMPB"]),
                &boxed(b"data", &[&be32(&[1, 0]), text.as_bytes()]),
            ],
        );
        add_item(&self.udta, &item).unwrap_or_else(|| {
            let hdlr = boxed(b"hdlr", &[&[0; 8], b"mdirappl", &[0; 9]]);
            let meta = boxed(b"meta", &[&[0; 4], &hdlr, &boxed(b"ilst", &[&item])]);
            // What could not be understood stays as it is beside ours.
            if self.udta.is_empty() { boxed(b"udta", &[&meta]) } else { self.udta.clone() }
        })
    }
}

/// Appends `item` to `udta/meta/ilst`, correcting the sizes; `None` where these boxes are not found.
fn add_item(udta: &[u8], item: &[u8]) -> Option<Vec<u8>> {
    let find = |from: usize, to: usize, kind: &[u8; 4]| {
        let mut at = from;
        while at + 8 <= to {
            let size = u32::from_be_bytes(udta.get(at..at + 4)?.try_into().ok()?) as usize;
            if size < 8 || at + size > to {
                return None;
            }
            if &udta[at + 4..at + 8] == kind {
                return Some((at, at + size));
            }
            at += size;
        }
        None
    };
    let outer = find(0, udta.len(), b"udta")?;
    let meta = find(outer.0 + 8, outer.1, b"meta")?;
    let ilst = find(meta.0 + 12, meta.1, b"ilst")?;
    let mut b = udta[..ilst.1].to_vec();
    b.extend_from_slice(item);
    b.extend_from_slice(&udta[ilst.1..]);
    for at in [outer.0, meta.0, ilst.0] {
        let size = u32::from_be_bytes(b[at..at + 4].try_into().ok()?) + item.len() as u32;
        b[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_added_inside_the_list_and_sizes_follow() {
        let ilst = boxed(b"ilst", &[b"first"]);
        let meta = boxed(b"meta", &[&[0; 4], &boxed(b"hdlr", &[]), &ilst, &boxed(b"free", &[])]);
        let udta = boxed(b"udta", &[&boxed(b"name", &[b"x"]), &meta]);
        let got = add_item(&udta, b"second").unwrap();
        let ilst = boxed(b"ilst", &[b"first", b"second"]);
        let meta = boxed(b"meta", &[&[0; 4], &boxed(b"hdlr", &[]), &ilst, &boxed(b"free", &[])]);
        assert_eq!(got, boxed(b"udta", &[&boxed(b"name", &[b"x"]), &meta]));
        assert_eq!(add_item(b"", b"x"), None);
        assert_eq!(add_item(&[0xFF; 40], b"x"), None);
    }

    #[test]
    fn descriptors_have_four_length_bytes() {
        assert_eq!(descriptor(5, &[1, 2]), [5, 0x80, 0x80, 0x80, 2, 1, 2]);
    }
}
