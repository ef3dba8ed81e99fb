//! ID3v2.2, 2.3 and 2.4 (id3.org: "ID3v2.2.0", "ID3 tag version 2.3.0", "2.4.0 - Main Structure", "Native Frames",
//! "ID3v2 Chapter Frame Addendum 1.0"), written by many programs that have not read them.

mod frames;
mod write;

pub use write::id3v2;

use super::bytes::{Cursor, Input};
use super::collect::Collector;

/// Largest decompressed frame. A zlib stream can grow a thousandfold.
const MAX_INFLATED_BYTES: usize = 16 << 20;
/// Most frames of one tag.
const MAX_FRAMES: usize = 20_000;

/// A frame, brought to the identifiers of ID3v2.4, its body plain.
pub(super) struct Frame<'a> {
    /// Four characters; three for an ID3v2.2 frame that has no successor.
    pub id: String,
    /// Body without transport encodings.
    pub body: std::borrow::Cow<'a, [u8]>,
}

/// Size in bytes of the tag whose first 10 bytes are `header`, with header and footer. `None`: no tag here.
pub(super) fn tag_len(header: &[u8]) -> Option<u64> {
    let h = header.get(..10)?;
    // Some programs set the top bits of the size, which mean nothing.
    if &h[..3] != b"ID3" || !(2..=4).contains(&h[3]) || h[4] == 0xFF || h[6] >= 0x80 {
        return None;
    }
    let footer = if h[3] >= 4 && h[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + u64::from(syncsafe([h[6], h[7], h[8], h[9]])) + footer)
}

/// Reads the tags that follow each other from `at`; returns where they end. The first one has the highest rank.
pub(super) fn read_chain(input: &mut Input<'_>, mut at: u64, c: &mut Collector) -> u64 {
    // More than a handful is damage.
    for _ in 0..8 {
        let Some(len) = input.array::<10>(at).and_then(|h| tag_len(&h)) else { break };
        let data = input.up_to(at, len);
        let mut one = Collector::default();
        parse(&data, &mut one);
        c.merge(one.finish());
        at += len;
    }
    at
}

/// Reads a whole tag, or as much of it as there is.
pub(super) fn parse(data: &[u8], c: &mut Collector) {
    let Some(len) = tag_len(data) else { return };
    let (version, flags) = (data[3], data[5]);
    let body = &data[10..data.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    if !(2..=4).contains(&version) || (version == 2 && flags & 0x40 != 0) {
        return; // 2.2's tag compression was never defined
    }
    let whole;
    let mut body = body;
    if version < 4 && flags & 0x80 != 0 {
        whole = deunsync(body);
        body = &whole;
    }
    if version >= 3 && flags & 0x40 != 0 {
        body = skip_extended_header(body, version);
    }
    let unsynced = version == 4 && flags & 0x80 != 0;
    let mut dates = frames::LegacyDates::default();
    for_each_frame(body, version, unsynced, &mut |frame| frames::collect(&frame, c, &mut dates));
    dates.finish(c);
}

/// Calls `f` for each readable frame. Also used for the frames embedded in chapters.
pub(super) fn for_each_frame(mut body: &[u8], version: u8, unsynced: bool, f: &mut dyn FnMut(Frame<'_>)) {
    let header_len = if version == 2 { 6 } else { 10 };
    for _ in 0..MAX_FRAMES {
        if body.len() < header_len || body[0] == 0 {
            return; // padding
        }
        let id_len = if version == 2 { 3 } else { 4 };
        let id = &body[..id_len];
        if !valid_id(id) {
            return;
        }
        let size = frame_size(body, version);
        let format = if version == 2 { 0 } else { body[9] };
        let rest = &body[header_len..];
        let raw = &rest[..size.min(rest.len())];
        if let Some(plain) = plain_body(raw, version, format, unsynced)
            && !plain.is_empty()
        {
            let id = String::from_utf8_lossy(id);
            f(Frame { id: modern_id(&id, version), body: plain });
        }
        body = &rest[raw.len()..];
    }
}

fn valid_id(id: &[u8]) -> bool {
    // A blank ends some 2.2 identifiers that were copied into 2.3 tags.
    id.iter()
        .enumerate()
        .all(|(i, b)| b.is_ascii_uppercase() || b.is_ascii_digit() || (i == 3 && (*b == b' ' || *b == 0)))
        && !id[0].is_ascii_digit()
}

fn frame_size(head: &[u8], version: u8) -> usize {
    match version {
        2 => u32::from_be_bytes([0, head[3], head[4], head[5]]) as usize,
        3 => u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize,
        _ => {
            // 2.4 sizes are syncsafe; iTunes wrote plain ones. Where both are possible, the one that leads to
            // another frame, to padding or to the end is right.
            let b = [head[4], head[5], head[6], head[7]];
            let plain = u32::from_be_bytes(b) as usize;
            if b.iter().any(|b| *b >= 0x80) {
                return plain;
            }
            let safe = syncsafe(b) as usize;
            if safe == plain || lands_well(head, 10 + safe) || !lands_well(head, 10 + plain) { safe } else { plain }
        }
    }
}

fn lands_well(head: &[u8], at: usize) -> bool {
    match head.get(at..) {
        None => false,
        Some([]) => true,
        Some(next) if next[0] == 0 => true,
        Some(next) => next.len() >= 10 && valid_id(&next[..4]),
    }
}

/// Undoes grouping, data length, unsynchronisation and compression. `None` when encrypted or damaged.
fn plain_body(raw: &[u8], version: u8, format: u8, unsynced: bool) -> Option<std::borrow::Cow<'_, [u8]>> {
    let mut c = Cursor::new(raw);
    let (compressed, encrypted, grouped, unsync, has_len) = match version {
        2 => (false, false, false, false, false),
        3 => (format & 0x80 != 0, format & 0x40 != 0, format & 0x20 != 0, false, false),
        _ => (format & 8 != 0, format & 4 != 0, format & 0x40 != 0, format & 2 != 0 || unsynced, format & 1 != 0),
    };
    if encrypted {
        return None;
    }
    let mut stated = None;
    if version == 3 && compressed {
        stated = Some(c.u32_be()? as usize);
    }
    if grouped {
        c.u8()?;
    }
    if has_len {
        stated = Some(syncsafe(c.array()?) as usize);
    }
    let mut body = std::borrow::Cow::Borrowed(c.rest());
    if unsync {
        body = deunsync(&body).into();
    }
    if compressed {
        // The stated length is a promise; what counts is the limit.
        let limit = stated.unwrap_or(MAX_INFLATED_BYTES).min(MAX_INFLATED_BYTES);
        if stated.is_some_and(|s| s > MAX_INFLATED_BYTES) {
            return None;
        }
        body = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&body, limit).ok()?.into();
    }
    Some(body)
}

/// `FF 00` becomes `FF`.
fn deunsync(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut after_ff = false;
    for b in data {
        if !(after_ff && *b == 0) {
            out.push(*b);
        }
        after_ff = *b == 0xFF;
    }
    out
}

fn skip_extended_header(body: &[u8], version: u8) -> &[u8] {
    let Some(size) = body.first_chunk::<4>() else { return body };
    // Some programs set the flag without writing the header.
    if valid_id(size) {
        return body;
    }
    let skip = if version == 3 { u32::from_be_bytes(*size) as usize + 4 } else { syncsafe(*size) as usize };
    body.get(skip..).unwrap_or(&[])
}

fn syncsafe(b: [u8; 4]) -> u32 {
    b.iter().fold(0, |v, b| (v << 7) | u32::from(b & 0x7F))
}

/// ID3v2.4 name of a frame.
fn modern_id(id: &str, version: u8) -> String {
    // 2.2 names also occur in 2.3 tags, with a blank or NUL.
    let id = id.trim_end_matches([' ', '\0']);
    let found = if id.len() == 3 { V22.iter().find(|(old, _)| *old == id).map(|(_, new)| *new) } else { None };
    match (found, id, version) {
        (Some(new), ..) => new,
        (None, "IPLS", _) => "TIPL",
        (None, "TORY", _) => "TDOR",
        _ => id,
    }
    .to_owned()
}

/// ID3v2.2 identifiers and their successors.
#[rustfmt::skip]
const V22: [(&str, &str); 68] = [
    ("BUF", "RBUF"), ("CNT", "PCNT"), ("COM", "COMM"), ("CRA", "AENC"), ("ETC", "ETCO"), ("GEO", "GEOB"),
    ("IPL", "TIPL"), ("LNK", "LINK"), ("MCI", "MCDI"), ("MLL", "MLLT"), ("PIC", "APIC:2"), ("POP", "POPM"),
    ("REV", "RVRB"), ("SLT", "SYLT"), ("STC", "SYTC"), ("TAL", "TALB"), ("TBP", "TBPM"), ("TCM", "TCOM"),
    ("TCO", "TCON"), ("TCP", "TCMP"), ("TCR", "TCOP"), ("TDA", "TDAT"), ("TDY", "TDLY"), ("TEN", "TENC"),
    ("TFT", "TFLT"), ("TIM", "TIME"), ("TKE", "TKEY"), ("TLA", "TLAN"), ("TLE", "TLEN"), ("TMT", "TMED"),
    ("TOA", "TOPE"), ("TOF", "TOFN"), ("TOL", "TOLY"), ("TOR", "TDOR"), ("TOT", "TOAL"), ("TP1", "TPE1"),
    ("TP2", "TPE2"), ("TP3", "TPE3"), ("TP4", "TPE4"), ("TPA", "TPOS"), ("TPB", "TPUB"), ("TRC", "TSRC"),
    ("TRD", "TRDA"), ("TRK", "TRCK"), ("TS2", "TSO2"), ("TSA", "TSOA"), ("TSC", "TSOC"), ("TSI", "TSIZ"),
    ("TSP", "TSOP"), ("TSS", "TSSE"), ("TST", "TSOT"), ("TT1", "TIT1"), ("TT2", "TIT2"), ("TT3", "TIT3"),
    ("TXT", "TEXT"), ("TXX", "TXXX"), ("TYE", "TYER"), ("UFI", "UFID"), ("ULT", "USLT"), ("WAF", "WOAF"),
    ("WAR", "WOAR"), ("WAS", "WOAS"), ("WCM", "WCOM"), ("WCP", "WCOP"), ("WPB", "WPUB"), ("WXX", "WXXX"),
    ("PCS", "PCST"), ("MVN", "MVNM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(version: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let n = body.len() as u32;
        let size = [(n >> 21) as u8 & 127, (n >> 14) as u8 & 127, (n >> 7) as u8 & 127, n as u8 & 127];
        [b"ID3".as_slice(), &[version, 0, flags], &size, body].concat()
    }
    fn title(data: &[u8]) -> Option<String> {
        let mut c = Collector::default();
        parse(data, &mut c);
        c.first("title").map(str::to_owned)
    }

    #[test]
    fn unsynchronisation_extended_header_and_old_names() {
        assert_eq!(title(&tag(2, 0, b"TT2\0\0\x03\0ab")).as_deref(), Some("ab"));
        // FF FE as unsynchronised: FF 00 FE
        let utf16 = b"TIT2\0\0\0\x05\0\0\x01\xFF\0\xFEa\0";
        assert_eq!(title(&tag(3, 0x80, utf16)).as_deref(), Some("a"));
        let ext = [b"\0\0\0\x06\0\0\0\0\0\0".as_slice(), b"TIT2\0\0\0\x02\0\0\0x"].concat();
        assert_eq!(title(&tag(3, 0x40, &ext)).as_deref(), Some("x"));
        let v24 = b"TIT2\0\0\0\x02\0\0\x03y";
        assert_eq!(title(&tag(4, 0, v24)).as_deref(), Some("y"));
        // Size beyond the tag: what is there is read.
        assert_eq!(title(&tag(4, 0, b"TIT2\0\0\x7F\x02\0\0\x03y")).as_deref(), Some("y"));
    }

    #[test]
    fn itunes_sizes_are_recognised() {
        // 200 bytes of text: syncsafe 01 48, plain 00 C8 (a byte above 7F) and 300: plain 01 2C is ambiguous.
        for n in [200u32, 300] {
            let mut body = b"TIT2".to_vec();
            body.extend(n.to_be_bytes());
            body.extend([0, 0, 3]);
            body.extend(vec![b'x'; n as usize - 1]);
            body.extend(b"TPE1\0\0\0\x02\0\0\x03y");
            assert_eq!(title(&tag(4, 0, &body)).map(|t| t.len()), Some(n as usize - 1));
        }
    }

    #[test]
    fn a_zlib_bomb_is_refused_and_an_honest_frame_is_not() {
        let make = |plain: Vec<u8>| {
            let z = miniz_oxide::deflate::compress_to_vec_zlib(&plain, 9);
            let mut body = b"TIT2".to_vec();
            body.extend((z.len() as u32 + 4).to_be_bytes());
            body.extend([0, 0x80]);
            body.extend((plain.len() as u32).to_be_bytes());
            body.extend(z);
            tag(3, 0, &body)
        };
        let honest = [b"\0".as_slice(), &[b'z'; 1000]].concat();
        assert_eq!(title(&make(honest)).map(|t| t.len()), Some(1000));
        assert_eq!(title(&make(vec![0x41; MAX_INFLATED_BYTES + 1])), None);
    }
}
