//! MP4, M4A, M4B and QuickTime, whole or fragmented: the audio track, its packets, and what is to be cut off by edit list
//! or iTunSMPB.

use super::bytes::{Bytes, be};
use super::codec::CodecConfig;
use super::mp4_boxes::{BoxAt, FragmentDefaults, SampleTable, read_moof};
use super::mp4_entry::{SampleEntry, read_stsd};
use super::reader::{Coded, Framer, HEAD_BYTES, Mark};
use crate::error::{Error, Result};
use crate::formats::info::Damage;

/// Most PCM frames in one packet of uncompressed audio.
const PCM_PACKET_FRAMES: u64 = 4096;

/// Part of the media that is to be played, in the track's time scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Presentation {
    /// Where it starts.
    pub start: u64,
    /// How long it is; None up to the end.
    pub duration: Option<u64>,
    /// Largest error of `duration` by rounding to the movie's time scale.
    pub rounding: u64,
}

/// `iTunSMPB`: encoder delay, padding and length in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Smpb {
    pub delay: u64,
    pub padding: u64,
    pub length: u64,
}

/// One audio track.
pub(super) struct Mp4Framer {
    pub entry: SampleEntry,
    pub table: SampleTable,
    pub time_scale: u64,
    pub edit: Option<Presentation>,
    pub smpb: Option<Smpb>,
    run: usize,
    in_run: u64,
    offset: u64,
    truncated: bool,
}

/// True when this looks like an ISO or QuickTime file.
pub(super) fn looks_like_mp4(head: &[u8]) -> bool {
    let kind = head.get(4..8).unwrap_or(&[]);
    matches!(kind, b"ftyp" | b"moov" | b"mdat" | b"styp" | b"moof")
        || matches!(kind, b"free" | b"skip" | b"wide" | b"pnot") && head.get(..2) == Some(&[0, 0])
}

impl Mp4Framer {
    /// Reads the structure and selects audio track number `wanted` (from 0; None is the first that can be decoded).
    pub fn open(bytes: &mut Bytes, wanted: Option<u32>) -> Result<Self> {
        let (moov, moofs) = top_level(bytes)?;
        let moov =
            moov.ok_or_else(|| Error::malformed("MP4", None, "no moov box: the file is cut off or not finished"))?;
        let movie_scale = match moov.child(bytes, b"mvhd", 0)? {
            Some(b) => time_fields(&b.content(bytes)?).map_or(0, |(scale, _)| scale),
            None => 0,
        };
        let mut traks = Vec::new();
        moov.each(bytes, 0, |_, b| {
            if &b.kind == b"trak" && traks.len() < 256 {
                traks.push(b);
            }
            Ok(())
        })?;
        let mut audio = Vec::new();
        let mut refused = None;
        for trak in traks {
            let Some(hdlr) = trak.path(bytes, &[b"mdia", b"hdlr"])? else { continue };
            if hdlr.content(bytes)?.get(8..12) != Some(b"soun") {
                continue;
            }
            match Self::read_track(bytes, &moov, &trak, movie_scale) {
                Ok(t) => audio.push(Ok(t)),
                Err(e) => audio.push(Err(e)),
            }
        }
        let count = audio.len();
        let mut chosen = None;
        for (i, track) in audio.into_iter().enumerate() {
            match (wanted, track) {
                (Some(w), track) if w as usize == i => chosen = Some(track?),
                (None, Ok(track)) if chosen.is_none() => chosen = Some(track),
                (None, Err(e)) => refused = refused.or(Some(e)),
                _ => {}
            }
        }
        let (mut framer, id) = match (chosen, refused, wanted) {
            (Some(c), ..) => c,
            (None, Some(e), _) => return Err(e),
            (None, None, Some(w)) => {
                let max = count.saturating_sub(1) as f64;
                return Err(Error::OutOfRange { name: "track".into(), value: f64::from(w), min: 0.0, max, unit: "" });
            }
            _ => return Err(Error::NotAudio { hint: Some("MP4 without an audio track".into()) }),
        };
        let defaults = fragment_defaults(bytes, &moov, id)?;
        for moof in moofs {
            read_moof(bytes, &moof, id, defaults, &mut framer.table)?;
        }
        framer.smpb = read_smpb(bytes, &moov)?;
        framer.resume(Mark::default());
        Ok(framer)
    }

    fn read_track(bytes: &mut Bytes, moov: &BoxAt, trak: &BoxAt, movie_scale: u64) -> Result<(Self, u64)> {
        let missing = |what: &str| Error::malformed("MP4 track", trak.start, format!("no {what}"));
        let id = match trak.child(bytes, b"tkhd", 0)? {
            Some(b) => {
                let c = b.content(bytes)?;
                let at = if c.first() == Some(&1) { 20 } else { 12 };
                c.get(at..at + 4).map_or(0, be)
            }
            None => 0,
        };
        let mdhd = trak.path(bytes, &[b"mdia", b"mdhd"])?.ok_or_else(|| missing("mdhd"))?;
        let (time_scale, _) = time_fields(&mdhd.content(bytes)?).ok_or_else(|| missing("time scale"))?;
        let stbl = trak.path(bytes, &[b"mdia", b"minf", b"stbl"])?.ok_or_else(|| missing("stbl"))?;
        let stsd = stbl.child(bytes, b"stsd", 0)?.ok_or_else(|| missing("stsd"))?;
        let mut entry = read_stsd(bytes, &stsd)?;
        if entry.config.rate_hz == 0 {
            entry.config.rate_hz = u32::try_from(time_scale).unwrap_or(0);
        }
        let table = SampleTable::read(bytes, &stbl)?;
        let edit = match trak.path(bytes, &[b"edts", b"elst"])? {
            Some(b) if movie_scale > 0 && time_scale > 0 => parse_elst(&b.content(bytes)?, movie_scale, time_scale),
            _ => None,
        };
        let _ = moov;
        let framer =
            Self { entry, table, time_scale, edit, smpb: None, run: 0, in_run: 0, offset: 0, truncated: false };
        Ok((framer, id))
    }

    /// Units of an uncompressed track: (bytes of a unit, PCM frames of a unit, table samples per unit).
    fn unit(&self) -> Option<(u64, u64, u64)> {
        let (bytes, frames) = self.entry.unit?;
        // QuickTime counts PCM frames even where several are packed into one unit; others count units.
        let counts_units =
            self.table.fixed_bytes >= bytes || self.table.durations.first().is_some_and(|d| d.1 >= frames);
        Some((bytes, frames, if counts_units || frames == 1 { 1 } else { frames }))
    }

    /// PCM frames by the tables, for uncompressed tracks.
    pub fn unit_frames(&self) -> Option<u64> {
        let (_, frames, per_unit) = self.unit()?;
        Some(self.table.count / per_unit * frames)
    }

    fn next_units(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        let Some((unit_bytes, unit_frames, per_unit)) = self.unit() else { return Ok(false) };
        loop {
            let Some(run) = self.table.runs.get(self.run).copied() else { return Ok(false) };
            let left = (run.count - self.in_run.min(run.count)) / per_unit;
            if left == 0 {
                self.next_run();
                continue;
            }
            let take = left.min((PCM_PACKET_FRAMES / unit_frames).max(1));
            let available = bytes.len().saturating_sub(self.offset) / unit_bytes;
            if available == 0 {
                self.note_cut(damage);
                self.next_run();
                continue;
            }
            let take = take.min(available);
            if whole {
                packet.data.extend_from_slice(bytes.window(self.offset, (take * unit_bytes) as usize)?);
            }
            packet.frames = Some(take * unit_frames);
            packet.byte = self.offset;
            self.offset += take * unit_bytes;
            self.in_run += take * per_unit;
            return Ok(true);
        }
    }

    fn next_run(&mut self) {
        self.run += 1;
        self.in_run = 0;
        self.offset = self.table.runs.get(self.run).map_or(0, |r| r.offset);
    }

    fn note_cut(&mut self, damage: &mut Damage) {
        if !std::mem::replace(&mut self.truncated, true) {
            damage.truncated = true;
            damage.note(None, Some(self.offset), "the tables point beyond the end of the file");
        }
    }
}

impl Framer for Mp4Framer {
    fn next(&mut self, bytes: &mut Bytes, packet: &mut Coded, whole: bool, damage: &mut Damage) -> Result<bool> {
        if self.entry.unit.is_some() {
            return self.next_units(bytes, packet, whole, damage);
        }
        loop {
            let Some(run) = self.table.runs.get(self.run).copied() else { return Ok(false) };
            if self.in_run >= run.count {
                self.next_run();
                continue;
            }
            let size = self.table.bytes_of(run.first + self.in_run);
            let at = self.offset;
            self.offset = at.saturating_add(size);
            self.in_run += 1;
            if size == 0 {
                continue; // a placeholder without audio
            }
            if self.offset > bytes.len() || size > 1 << 24 {
                self.note_cut(damage);
                if at >= bytes.len() {
                    self.next_run();
                }
                continue;
            }
            let want = if whole { size as usize } else { HEAD_BYTES.min(size as usize) };
            packet.data.extend_from_slice(bytes.window(at, want)?);
            packet.byte = at;
            return Ok(true);
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark([self.run as u64 + 1, self.in_run, self.offset, 0]))
    }

    fn resume(&mut self, mark: Mark) {
        let [run, in_run, offset, _] = mark.0;
        match run.checked_sub(1) {
            Some(r) => (self.run, self.in_run, self.offset) = (r as usize, in_run, offset),
            None => (self.run, self.in_run, self.offset) = (0, 0, self.table.runs.first().map_or(0, |r| r.offset)),
        }
    }

    fn config(&self, _: u32) -> &CodecConfig {
        &self.entry.config
    }

    fn config_mut(&mut self) -> &mut CodecConfig {
        &mut self.entry.config
    }
}

/// The `moov` and all `moof` boxes of the file.
fn top_level(bytes: &mut Bytes) -> Result<(Option<BoxAt>, Vec<BoxAt>)> {
    let (mut moov, mut moofs) = (None, Vec::new());
    let mut pos = 0;
    while let Some(b) = BoxAt::at(bytes, pos, bytes.len())? {
        match &b.kind {
            b"moov" if moov.is_none() => moov = Some(b),
            b"moof" => moofs.push(b),
            _ => {}
        }
        pos = b.end;
    }
    Ok((moov, moofs))
}

/// Time scale and duration of an `mvhd` or `mdhd`.
fn time_fields(c: &[u8]) -> Option<(u64, u64)> {
    let (scale, duration) = if *c.first()? == 1 { (20..24, 24..32) } else { (12..16, 16..20) };
    Some((be(c.get(scale)?), c.get(duration).map_or(0, be))).filter(|(s, _)| *s > 0)
}

fn fragment_defaults(bytes: &mut Bytes, moov: &BoxAt, track_id: u64) -> Result<FragmentDefaults> {
    let mut out = FragmentDefaults::default();
    if let Some(mvex) = moov.child(bytes, b"mvex", 0)? {
        mvex.each(bytes, 0, |bytes, b| {
            if &b.kind == b"trex" {
                let c = b.content(bytes)?;
                if c.len() >= 24 && be(&c[4..8]) == track_id {
                    out = FragmentDefaults { duration: be(&c[12..16]), bytes: be(&c[16..20]) };
                }
            }
            Ok(())
        })?;
    }
    Ok(out)
}

/// The edit list as one span, when it can be expressed so: leading empty edits are left out, and edits that continue one
/// another are joined.
fn parse_elst(c: &[u8], movie_scale: u64, time_scale: u64) -> Option<Presentation> {
    let wide = *c.first()? == 1;
    let n = usize::try_from(be(c.get(4..8)?)).ok()?;
    let width = if wide { 20 } else { 12 };
    let to_media = |d: u64| (u128::from(d) * u128::from(time_scale) / u128::from(movie_scale)).min(1 << 62) as u64;
    let rounding = (time_scale / movie_scale).saturating_add(1);
    let mut span: Option<Presentation> = None;
    for e in c[8..].chunks_exact(width).take(n.min(1024)) {
        let (duration, start) = if wide {
            (be(&e[..8]), be(&e[8..16]) as i64)
        } else {
            (be(&e[..4]), i64::from(be(&e[4..8]) as u32 as i32))
        };
        let Ok(start) = u64::try_from(start) else { continue };
        let duration = Some(to_media(duration)).filter(|d| *d > 0);
        match &mut span {
            None => span = Some(Presentation { start, duration, rounding }),
            Some(s) => {
                let continues = s.duration.is_some_and(|d| (s.start + d).abs_diff(start) <= rounding);
                match (continues, s.duration, duration) {
                    (true, Some(a), Some(b)) => s.duration = Some(a + b),
                    // Edits that jump are a production's affair; play on from the first.
                    _ => s.duration = None,
                }
            }
        }
    }
    span
}

/// `----:com.apple.iTunes:iTunSMPB` of moov/udta/meta/ilst.
fn read_smpb(bytes: &mut Bytes, moov: &BoxAt) -> Result<Option<Smpb>> {
    let Some(meta) = moov.path(bytes, &[b"udta", b"meta"])? else { return Ok(None) };
    let ilst = match meta.child(bytes, b"ilst", 4)? {
        Some(b) => Some(b),
        None => meta.child(bytes, b"ilst", 0)?,
    };
    let Some(ilst) = ilst else { return Ok(None) };
    let mut found = None;
    ilst.each(bytes, 0, |bytes, item| {
        if &item.kind != b"----" || found.is_some() {
            return Ok(());
        }
        let name = match item.child(bytes, b"name", 0)? {
            Some(b) => b.content(bytes)?,
            None => return Ok(()),
        };
        if name.get(4..) == Some(b"iTunSMPB")
            && let Some(data) = item.child(bytes, b"data", 0)?
        {
            found = parse_smpb(data.content(bytes)?.get(8..).unwrap_or(&[]));
        }
        Ok(())
    })?;
    Ok(found)
}

/// " 00000000 00000840 000001C0 0000000000010000 ...": the second to fourth number are delay, padding and length.
pub(super) fn parse_smpb(text: &[u8]) -> Option<Smpb> {
    let text = std::str::from_utf8(text).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map(|f| u64::from_str_radix(f, 16));
    let (delay, padding, length) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    (delay < 1 << 20 && padding < 1 << 20 && length > 0).then_some(Smpb { delay, padding, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_lists_in_both_widths() {
        let narrow = |entries: &[(u32, i32)]| {
            let mut c = vec![0; 4];
            c.extend((entries.len() as u32).to_be_bytes());
            for (d, s) in entries {
                c.extend(d.to_be_bytes());
                c.extend(s.to_be_bytes());
                c.extend(1u32.to_be_bytes());
            }
            c
        };
        let p = |start, duration| Some(Presentation { start, duration, rounding: 45 });
        assert_eq!(parse_elst(&narrow(&[(1000, 2112)]), 1000, 44_100), p(2112, Some(44_100)));
        assert_eq!(parse_elst(&narrow(&[(20, -1), (500, 1024)]), 1000, 44_100), p(1024, Some(22_050)));
        assert_eq!(parse_elst(&narrow(&[(500, 0), (500, 22_050)]), 1000, 44_100), p(0, Some(44_100)));
        assert_eq!(parse_elst(&narrow(&[(500, 0), (500, 90_000)]), 1000, 44_100), p(0, None));
        assert_eq!(parse_elst(&narrow(&[(0, 1024)]), 1000, 44_100), p(1024, None));
        assert_eq!(parse_elst(&[0, 0], 1000, 44_100), None);
    }

    #[test]
    fn itunsmpb_is_hexadecimal() {
        let text = b" 00000000 00000840 000001CC 000000000000F4F4 00000000 00000000";
        assert_eq!(parse_smpb(text), Some(Smpb { delay: 2112, padding: 460, length: 62_708 }));
        assert_eq!(parse_smpb(b"nonsense"), None);
    }
}
