//! Ogg: the comment packet of the first audio stream (RFC 3533; RFC 7845 for Opus; Ogg FLAC mapping; Speex).

use super::bytes::Input;
use super::collect::Collector;
use super::{flac, vorbis};

/// Most pages that are looked at for the header packets.
const MAX_PAGES: usize = 65_536;
/// Most packets of an Ogg FLAC header.
const MAX_PACKETS: usize = 512;

/// Reads the metadata of a file that begins with an Ogg page at `at`.
pub(super) fn read(input: &mut Input<'_>, at: u64, c: &mut Collector) {
    let mut pages = Pages { at, serial: None, pages: 0 };
    let mut rate = 0;
    let Some(first) = pages.first_packet(input) else { return };
    if first.starts_with(b"\x7FFLAC") {
        // 9 bytes of mapping header and `fLaC` before STREAMINFO.
        flac::block(0, first.get(17..).unwrap_or(&[]), &mut rate, c);
    }
    let is_flac = first.starts_with(b"\x7FFLAC");
    let mut pending = Vec::new();
    for _ in 0..MAX_PACKETS {
        let Some(packet) = pages.next_packet(input, &mut pending) else { return };
        if is_flac {
            let Some(head) = packet.first_chunk::<4>() else { return };
            flac::block(head[0] & 0x7F, &packet[4..], &mut rate, c);
            if head[0] & 0x80 != 0 {
                return;
            }
            continue;
        }
        let body =
            packet.strip_prefix(b"\x03vorbis".as_slice()).or_else(|| packet.strip_prefix(b"OpusTags".as_slice()));
        let speex = first.starts_with(b"Speex   ").then_some(&packet[..]);
        if let Some(body) = body.or(speex) {
            vorbis::parse(body, c);
        }
        return;
    }
}

struct Pages {
    at: u64,
    serial: Option<u32>,
    pages: usize,
}

struct Page {
    serial: u32,
    first: bool,
    /// Sizes of the packets' parts; the last one goes on in the next page when `open`.
    parts: Vec<usize>,
    open: bool,
    body: Vec<u8>,
}

impl Pages {
    fn next_page(&mut self, input: &mut Input<'_>) -> Option<Page> {
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return None;
        }
        let head = input.array::<27>(self.at).filter(|h| h.starts_with(b"OggS"))?;
        let lacing = input.exact(self.at + 27, u64::from(head[26]))?;
        let len: u64 = lacing.iter().map(|b| u64::from(*b)).sum();
        let body = input.up_to(self.at + 27 + lacing.len() as u64, len);
        self.at += 27 + lacing.len() as u64 + len;
        let mut parts = Vec::new();
        let mut size = 0;
        for b in &lacing {
            size += usize::from(*b);
            if *b < 255 {
                parts.push(std::mem::take(&mut size));
            }
        }
        let open = lacing.last() == Some(&255);
        if open {
            parts.push(size);
        }
        let serial = u32::from_le_bytes([head[14], head[15], head[16], head[17]]);
        Some(Page { serial, first: head[5] & 2 != 0, parts, open, body })
    }

    /// The identification packet of the first stream of a known codec.
    fn first_packet(&mut self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        loop {
            let page = self.next_page(input).filter(|p| p.first)?;
            let known =
                [&b"\x01vorbis"[..], b"OpusHead", b"\x7FFLAC", b"Speex   "].iter().any(|m| page.body.starts_with(m));
            if known {
                self.serial = Some(page.serial);
                return Some(page.body);
            }
        }
    }

    /// The next packet of that stream. `pending` holds packets of a page that are still to come.
    fn next_packet(&mut self, input: &mut Input<'_>, pending: &mut Vec<(Vec<u8>, bool)>) -> Option<Vec<u8>> {
        let mut packet = Vec::new();
        loop {
            while !pending.is_empty() {
                let (part, open) = pending.remove(0);
                packet.extend(part);
                if packet.len() as u64 > input.piece_max {
                    return None;
                }
                if !open {
                    return Some(packet);
                }
            }
            let Some(page) = self.next_page(input) else {
                // The file ends inside the packet: what is there may still be readable.
                return (!packet.is_empty()).then_some(packet);
            };
            if Some(page.serial) != self.serial {
                continue;
            }
            let mut rest = &page.body[..];
            let last = page.parts.len().saturating_sub(1);
            for (i, size) in page.parts.iter().enumerate() {
                let (part, after) = rest.split_at((*size).min(rest.len()));
                pending.push((part.to_vec(), page.open && i == last));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Limits;

    fn page(serial: u8, first: bool, lacing: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = b"OggS\0".to_vec();
        out.push(if first { 2 } else { 0 });
        out.extend([0; 8]);
        out.extend([serial, 0, 0, 0]);
        out.extend([0; 8]);
        out.push(lacing.len() as u8);
        out.extend(lacing);
        out.extend(body);
        out
    }

    #[test]
    fn the_packet_is_found_among_other_streams_and_across_pages() {
        let value = "x".repeat(400);
        let tags = [&b"OpusTags\0\0\0\0\x01\0\0\0"[..], &403u32.to_le_bytes(), b"a=", value.as_bytes(), b"!"].concat();
        let file = [
            page(1, true, &[8], b"fishead\0"),
            page(2, true, &[19], b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0"),
            page(1, false, &[3], b"xyz"),
            page(2, false, &[255], &tags[..255]),
            page(1, false, &[3], b"xyz"),
            page(2, false, &[(tags.len() - 255) as u8], &tags[255..]),
        ]
        .concat();
        let len = file.len() as u64;
        let mut c = Collector::default();
        read(&mut Input::new(&mut std::io::Cursor::new(file), len, &Limits::default()), 0, &mut c);
        assert_eq!(c.first("a").map(str::len), Some(401));
    }

    #[test]
    fn blocks_of_ogg_flac() {
        let head = [&b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22"[..], &[0; 34]].concat();
        let comment = b"\x84\0\0\x0F\0\0\0\0\x01\0\0\0\x03\0\0\0a=b";
        let file =
            [page(1, true, &[head.len() as u8], &head), page(1, false, &[comment.len() as u8], comment)].concat();
        let len = file.len() as u64;
        let mut c = Collector::default();
        read(&mut Input::new(&mut std::io::Cursor::new(file), len, &Limits::default()), 0, &mut c);
        assert_eq!(c.first("a"), Some("b"));
    }
}
