//! Boxes of ISO base media files (ISO/IEC 14496-12) and QuickTime movies: walking them, and the tables of a track.
//!
//! Nothing recurses: the paths are fixed, so depth is bounded. Every count in a header is checked against the bytes of
//! its box before anything is allocated.

use super::bytes::{Bytes, be};
use crate::error::Result;

/// Largest table or descriptor that is read at once, in bytes.
const MAX_TABLE_BYTES: u64 = 64 << 20;

/// One box: its type and where its content is.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxAt {
    pub kind: [u8; 4],
    /// Where the header starts.
    pub start: u64,
    /// Where the content starts.
    pub body: u64,
    /// Where the content ends.
    pub end: u64,
}

impl BoxAt {
    /// The box at `pos` inside something that ends at `limit`; None at its end or when the size is impossible. A box that
    /// claims to reach beyond `limit` is cut there.
    pub fn at(bytes: &mut Bytes, pos: u64, limit: u64) -> Result<Option<Self>> {
        if pos.saturating_add(8) > limit {
            return Ok(None);
        }
        let head = bytes.window(pos, 16)?;
        let Some(kind) = head.get(4..8).and_then(|k| <[u8; 4]>::try_from(k).ok()) else { return Ok(None) };
        let (header, size) = match be(&head[..4]) {
            0 => (8, limit - pos),
            1 => match head.get(8..16) {
                Some(s) => (16, be(s)),
                None => return Ok(None),
            },
            n => (8, n),
        };
        if size < header {
            return Ok(None);
        }
        Ok(Some(Self { kind, start: pos, body: pos + header, end: pos.saturating_add(size).min(limit) }))
    }

    /// First child of type `kind`, when children start `skip` bytes into the content.
    pub fn child(&self, bytes: &mut Bytes, kind: &[u8; 4], skip: u64) -> Result<Option<Self>> {
        let mut found = None;
        self.each(bytes, skip, |_, b| {
            if found.is_none() && &b.kind == kind {
                found = Some(b);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Child of a child ... along `path`.
    pub fn path(&self, bytes: &mut Bytes, path: &[&[u8; 4]]) -> Result<Option<Self>> {
        let mut here = *self;
        for kind in path {
            match here.child(bytes, kind, 0)? {
                Some(b) => here = b,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Calls `f` for each child.
    pub fn each(&self, bytes: &mut Bytes, skip: u64, mut f: impl FnMut(&mut Bytes, Self) -> Result<()>) -> Result<()> {
        let mut pos = self.body.saturating_add(skip);
        while let Some(b) = Self::at(bytes, pos, self.end)? {
            f(bytes, b)?;
            pos = b.end.max(pos + 8);
        }
        Ok(())
    }

    /// The content, as far as it is in the input and of sane size.
    pub fn content(&self, bytes: &mut Bytes) -> Result<Vec<u8>> {
        let len = (self.end - self.body.min(self.end)).min(MAX_TABLE_BYTES);
        Ok(bytes.window(self.body, len as usize)?.to_vec())
    }
}

/// Samples one after the other in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub offset: u64,
    /// Index of the first sample.
    pub first: u64,
    pub count: u64,
}

/// Where the samples of a track are and how long they last.
#[derive(Debug, Clone, Default)]
pub(super) struct SampleTable {
    /// Size of every sample, when all have the same.
    pub fixed_bytes: u64,
    /// Otherwise the size of each.
    pub sizes: Vec<u32>,
    /// Number of samples.
    pub count: u64,
    pub runs: Vec<Run>,
    /// (number of samples, duration of each in the track's time scale).
    pub durations: Vec<(u64, u64)>,
}

impl SampleTable {
    /// Size of one sample.
    pub fn bytes_of(&self, sample: u64) -> u64 {
        if self.fixed_bytes > 0 {
            return self.fixed_bytes;
        }
        usize::try_from(sample).ok().and_then(|i| self.sizes.get(i)).map_or(0, |s| u64::from(*s))
    }

    /// Sum of all durations.
    pub fn total_duration(&self) -> u64 {
        self.durations.iter().fold(0, |sum, (n, d)| sum.saturating_add(n.saturating_mul(*d)))
    }

    /// Sum of all sizes.
    pub fn total_bytes(&self) -> u64 {
        if self.fixed_bytes > 0 {
            return self.fixed_bytes.saturating_mul(self.count);
        }
        self.sizes.iter().map(|s| u64::from(*s)).sum()
    }

    /// Reads the tables of an `stbl`.
    pub fn read(bytes: &mut Bytes, stbl: &BoxAt) -> Result<Self> {
        let mut table = Self::default();
        let content = |bytes: &mut Bytes, kind: &[u8; 4]| -> Result<Vec<u8>> {
            match stbl.child(bytes, kind, 0)? {
                Some(b) => b.content(bytes),
                None => Ok(Vec::new()),
            }
        };
        let stsz = content(bytes, b"stsz")?;
        if stsz.len() >= 12 {
            table.fixed_bytes = be(&stsz[4..8]);
            table.count = be(&stsz[8..12]);
            if table.fixed_bytes == 0 {
                let n = usize::try_from(table.count).unwrap_or(usize::MAX);
                table.sizes = stsz[12..].chunks_exact(4).take(n).map(|c| be(c) as u32).collect();
                table.count = table.sizes.len() as u64;
            }
        } else {
            table.read_compact_sizes(&content(bytes, b"stz2")?);
        }
        let stts = content(bytes, b"stts")?;
        let entries = stts.get(8..).unwrap_or(&[]).chunks_exact(8).take(count_at(&stts));
        table.durations = entries.map(|c| (be(&c[..4]), be(&c[4..]))).collect();
        let co64 = content(bytes, b"co64")?;
        let stco = content(bytes, b"stco")?;
        let (offsets, width) = if co64.is_empty() { (&stco, 4) } else { (&co64, 8) };
        let offsets: Vec<u64> =
            offsets.get(8..).unwrap_or(&[]).chunks_exact(width).take(count_at(offsets)).map(be).collect();
        let stsc = content(bytes, b"stsc")?;
        let steps: Vec<(u64, u64)> = stsc
            .get(8..)
            .unwrap_or(&[])
            .chunks_exact(12)
            .take(count_at(&stsc))
            .map(|c| (be(&c[..4]), be(&c[4..8])))
            .collect();
        table.build_runs(&offsets, &steps);
        Ok(table)
    }

    fn read_compact_sizes(&mut self, stz2: &[u8]) {
        if stz2.len() < 12 {
            return;
        }
        let n = usize::try_from(be(&stz2[8..12])).unwrap_or(usize::MAX);
        let data = &stz2[12..];
        self.sizes = match stz2[7] {
            4 => data.iter().flat_map(|b| [u32::from(b >> 4), u32::from(b & 15)]).take(n).collect(),
            8 => data.iter().take(n).map(|b| u32::from(*b)).collect(),
            16 => data.chunks_exact(2).take(n).map(|c| be(c) as u32).collect(),
            _ => Vec::new(),
        };
        self.count = self.sizes.len() as u64;
    }

    fn build_runs(&mut self, offsets: &[u64], steps: &[(u64, u64)]) {
        let mut first = 0u64;
        let mut step = 0;
        for (i, offset) in offsets.iter().enumerate() {
            while steps.get(step + 1).is_some_and(|(chunk, _)| *chunk <= i as u64 + 1) {
                step += 1;
            }
            let Some((_, per_chunk)) = steps.get(step) else { break };
            let count = (*per_chunk).min(self.count - first.min(self.count));
            if count == 0 {
                break;
            }
            self.runs.push(Run { offset: *offset, first, count });
            first += count;
        }
        self.count = first;
    }
}

fn count_at(full_box: &[u8]) -> usize {
    full_box.get(4..8).map_or(0, |c| usize::try_from(be(c)).unwrap_or(usize::MAX))
}

/// Defaults of the samples of a track in fragments (`trex`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FragmentDefaults {
    pub duration: u64,
    pub bytes: u64,
}

/// Adds the samples that a `moof` lists for `track_id`.
pub(super) fn read_moof(
    bytes: &mut Bytes,
    moof: &BoxAt,
    track_id: u64,
    defaults: FragmentDefaults,
    table: &mut SampleTable,
) -> Result<()> {
    // Samples of a sound file do not overlap: their sizes sum up to no more than the file.
    let mut budget = bytes.len().saturating_sub(table.total_bytes());
    let mut end_of_previous = moof.start;
    let mut trafs = Vec::new();
    moof.each(bytes, 0, |_, b| {
        if &b.kind == b"traf" {
            trafs.push(b);
        }
        Ok(())
    })?;
    for traf in trafs {
        let Some(tfhd) = traf.child(bytes, b"tfhd", 0)? else { continue };
        let h = tfhd.content(bytes)?;
        if h.len() < 8 {
            continue;
        }
        let flags = be(&h[1..4]);
        let mut at = 8;
        let mut field = |bit: u64, n: usize| -> Option<u64> {
            (flags & bit != 0).then(|| {
                at += n;
                h.get(at - n..at).map(be)
            })?
        };
        let base = field(0x1, 8);
        field(0x2, 4);
        let duration = field(0x8, 4).unwrap_or(defaults.duration);
        let size = field(0x10, 4).unwrap_or(defaults.bytes);
        let base = match base {
            Some(b) => b,
            None if flags & 0x2_0000 != 0 => moof.start,
            None => end_of_previous,
        };
        let mine = be(&h[4..8]) == track_id;
        let mut next = base;
        let mut truns = Vec::new();
        traf.each(bytes, 0, |_, b| {
            if &b.kind == b"trun" {
                truns.push(b);
            }
            Ok(())
        })?;
        for trun in truns {
            let t = trun.content(bytes)?;
            next = read_trun(&t, base, next, (duration, size), mine, &mut budget, table);
        }
        end_of_previous = next;
    }
    Ok(())
}

/// One `trun`; returns where its data ends.
fn read_trun(
    t: &[u8],
    base: u64,
    next: u64,
    (default_duration, default_size): (u64, u64),
    mine: bool,
    budget: &mut u64,
    table: &mut SampleTable,
) -> u64 {
    if t.len() < 8 {
        return next;
    }
    let (flags, count) = (be(&t[1..4]), be(&t[4..8]));
    let mut at = 8;
    let mut offset = next;
    if flags & 0x1 != 0 {
        let Some(d) = t.get(at..at + 4) else { return next };
        offset = base.wrapping_add_signed(i64::from(be(d) as u32 as i32));
        at += 4;
    }
    at += if flags & 0x4 != 0 { 4 } else { 0 };
    let width = [0x100, 0x200, 0x400, 0x800].iter().filter(|b| flags & **b != 0).count() * 4;
    let first = table.count;
    let mut end = offset;
    for i in 0..count {
        let row = if width > 0 {
            let start = at.saturating_add((i as usize).saturating_mul(width));
            match t.get(start..start + width) {
                Some(r) => r,
                None => break,
            }
        } else {
            &[]
        };
        let mut col = 0;
        let mut field = |bit: u64, default: u64| {
            if flags & bit == 0 {
                return default;
            }
            col += 4;
            be(&row[col - 4..col])
        };
        let duration = field(0x100, default_duration);
        let size = field(0x200, default_size);
        if size == 0 || size > *budget {
            break;
        }
        end = end.saturating_add(size);
        if mine {
            *budget -= size;
            push_sample(table, size, duration);
        } else if width == 0 {
            end = offset.saturating_add(size.saturating_mul(count));
            break;
        }
    }
    let count = table.count - first;
    if mine && count > 0 {
        table.runs.push(Run { offset, first, count });
    }
    end
}

fn push_sample(table: &mut SampleTable, size: u64, duration: u64) {
    if table.fixed_bytes > 0 {
        // A table of equal sizes continues with fragments: write the sizes out.
        if table.fixed_bytes == size && table.sizes.is_empty() {
            table.count += 1;
            push_duration(table, duration);
            return;
        }
        let known = usize::try_from(table.count).unwrap_or(0);
        table.sizes = vec![u32::try_from(table.fixed_bytes).unwrap_or(u32::MAX); known];
        table.fixed_bytes = 0;
    }
    table.sizes.push(u32::try_from(size).unwrap_or(u32::MAX));
    table.count += 1;
    push_duration(table, duration);
}

fn push_duration(table: &mut SampleTable, duration: u64) {
    match table.durations.last_mut() {
        Some((n, d)) if *d == duration => *n += 1,
        _ => table.durations.push((1, duration)),
    }
}
