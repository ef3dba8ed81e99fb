//! Chapters of MP4: Nero's `chpl`, and QuickTime's text track.

use super::super::bytes::{Cursor, Input};
use super::super::text;
use super::{Box4, child};

/// Start, end, title; seconds.
pub(super) type Entry = (f64, Option<f64>, String);

/// Most chapters that are read.
const MAX_CHAPTERS: usize = 8192;

/// `chpl`: version and flags, then (version 1) a reserved byte and a 32-bit count, (version 0) an 8-bit count; each entry
/// is a start in units of 100 ns, a length byte, a title.
pub(super) fn nero(data: &[u8]) -> Vec<Entry> {
    let mut cur = Cursor::new(data);
    let version = cur.u32_be().unwrap_or(0) >> 24;
    let count = if version == 0 { cur.u8().map(u32::from) } else { cur.u8().and_then(|_| cur.u32_be()) };
    let mut out = Vec::new();
    for _ in 0..count.unwrap_or(0).min(MAX_CHAPTERS as u32) {
        let (Some(start), Some(len)) = (cur.u64_be(), cur.u8()) else { break };
        let Some(title) = cur.take(usize::from(len).min(cur.left())) else { break };
        out.push((start as f64 / 1e7, None, text::utf8_or_latin1(title)));
    }
    out
}

/// The track that another one names as its chapters (`tref.chap`), read sample by sample.
pub(super) fn text_track(input: &mut Input<'_>, tracks: &[Box4]) -> Vec<Entry> {
    let mut wanted = Vec::new();
    for track in tracks {
        if let Some(tref) = child(input, *track, b"tref")
            && let Some(chap) = child(input, tref, b"chap")
        {
            let ids = input.up_to(chap.start, (chap.end - chap.start).min(64));
            wanted.extend(ids.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])));
        }
    }
    for track in tracks {
        let id = child(input, *track, b"tkhd").and_then(|b| {
            let head = input.exact(b.start, 24)?;
            let at = if head[0] == 1 { 20 } else { 12 };
            head.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        });
        // The first text track counts; a chapter track of pictures is passed over.
        if id.is_some_and(|id| wanted.contains(&id))
            && let Some(entries) = read_track(input, *track)
            && !entries.is_empty()
        {
            return entries;
        }
    }
    Vec::new()
}

fn read_track(input: &mut Input<'_>, track: Box4) -> Option<Vec<Entry>> {
    let mdia = child(input, track, b"mdia")?;
    let hdlr = child(input, mdia, b"hdlr")?;
    if !matches!(&input.array::<4>(hdlr.start + 8)?, b"text" | b"sbtl") {
        return None;
    }
    let mdhd = child(input, mdia, b"mdhd")?;
    let head = input.exact(mdhd.start, 24)?;
    let at = if head[0] == 1 { 20 } else { 12 };
    let timescale = u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?);
    if timescale == 0 {
        return None;
    }
    let minf = child(input, mdia, b"minf")?;
    let stbl = child(input, minf, b"stbl")?;
    let table = |input: &mut Input<'_>, kind: &[u8; 4]| {
        let b = child(input, stbl, kind)?;
        Some(input.up_to(b.start, (b.end - b.start).min(1 << 20)))
    };
    let sizes = sample_sizes(&table(input, b"stsz")?)?;
    let durations = durations(&table(input, b"stts")?, sizes.len())?;
    let chunks = match table(input, b"stco") {
        Some(t) => words(&t, 8).map(u64::from).collect::<Vec<_>>(),
        None => table(input, b"co64")?
            .get(8..)?
            .chunks_exact(8)
            .map(|b| u64::from_be_bytes(b.try_into().unwrap_or_default()))
            .collect(),
    };
    let offsets = offsets(&table(input, b"stsc")?, &chunks, &sizes);
    let mut out = Vec::new();
    let mut time = 0u64;
    for ((offset, size), duration) in offsets.iter().zip(&sizes).zip(&durations) {
        let data = input.up_to(*offset, u64::from(*size).min(4096));
        let start = time as f64 / f64::from(timescale);
        time = time.saturating_add(u64::from(*duration));
        out.push((start, Some(time as f64 / f64::from(timescale)), sample_text(&data)));
    }
    Some(out)
}

/// A text sample: 16-bit length, then UTF-8, or UTF-16 with a byte order mark.
fn sample_text(data: &[u8]) -> String {
    let mut cur = Cursor::new(data);
    let len = usize::from(cur.u16_be().unwrap_or(0)).min(cur.left());
    let bytes = cur.take(len).unwrap_or(&[]);
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        text::utf16(bytes, true)
    } else {
        text::utf8_or_latin1(bytes)
    }
}

/// 32-bit words of a table after `skip` bytes.
fn words(table: &[u8], skip: usize) -> impl Iterator<Item = u32> {
    table.get(skip..).unwrap_or(&[]).chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn sample_sizes(stsz: &[u8]) -> Option<Vec<u32>> {
    let mut head = words(stsz, 4);
    let (fixed, count) = (head.next()?, head.next()? as usize);
    let count = count.min(MAX_CHAPTERS);
    Some(if fixed > 0 { vec![fixed; count] } else { words(stsz, 12).take(count).collect() })
}

fn durations(stts: &[u8], samples: usize) -> Option<Vec<u32>> {
    let runs: Vec<u32> = words(stts, 8).collect();
    let mut out = Vec::with_capacity(samples);
    for run in runs.chunks_exact(2) {
        let n = (run[0] as usize).min(samples - out.len());
        out.extend(std::iter::repeat_n(run[1], n));
    }
    (out.len() == samples).then_some(out)
}

/// Position of each sample: chunks in order, `stsc` says how many samples each has.
fn offsets(stsc: &[u8], chunks: &[u64], sizes: &[u32]) -> Vec<u64> {
    let runs: Vec<u32> = words(stsc, 8).collect();
    let mut out = Vec::with_capacity(sizes.len());
    for (i, chunk) in chunks.iter().enumerate() {
        // The last run whose first chunk (from 1) is not beyond this one.
        let per_chunk =
            runs.chunks_exact(3).take(4096).take_while(|r| r[0] as usize <= i + 1).last().map_or(0, |r| r[1]);
        let mut at = *chunk;
        for _ in 0..per_chunk {
            let Some(size) = sizes.get(out.len()) else { return out };
            out.push(at);
            at = at.saturating_add(u64::from(*size));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chpl_of_both_versions() {
        let entry = [&10_000_000u64.to_be_bytes()[..], &[2], b"ab"].concat();
        let v0 = [&[0, 0, 0, 0, 1][..], &entry].concat();
        let v1 = [&[1, 0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat();
        for data in [v0, v1] {
            assert_eq!(nero(&data), [(1.0, None, "ab".to_owned())]);
        }
        assert_eq!(nero(&[1, 0, 0, 0, 0, 255, 255, 255, 255]), []);
    }

    #[test]
    fn samples_are_found_through_the_tables() {
        let be = |v: &[u32]| v.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        // Chunk 1 has two samples, chunks 2 and 3 have one.
        let stsc = be(&[0, 2, 1, 2, 1, 2, 1, 1]);
        assert_eq!(offsets(&stsc, &[100, 200, 300], &[5, 6, 7, 8]), [100, 105, 200, 300]);
        assert_eq!(durations(&be(&[0, 2, 3, 10, 1, 20]), 4).unwrap(), [10, 10, 10, 20]);
        assert_eq!(durations(&be(&[0, 1, u32::MAX, 10]), 2).unwrap(), [10, 10]);
    }
}
