//! Pages of an Ogg file (RFC 3533 section 6): where they are and what their headers say.

use super::bytes::{Bytes, le};
use crate::error::Result;

/// Largest page: header, 255 lacing values, 255 segments of 255 bytes.
pub(super) const MAX_PAGE_BYTES: usize = 27 + 255 + 255 * 255;

pub(super) const CONTINUED: u8 = 1;

pub(super) const FIRST: u8 = 2;

pub(super) const LAST: u8 = 4;

/// Header of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageHeader {
    pub flags: u8,
    pub granule: Option<u64>,
    pub serial: u32,
    pub sequence: u32,
    /// Bytes of header and of content.
    pub header: usize,
    pub body: usize,
}

impl PageHeader {
    pub fn parse(d: &[u8]) -> Option<Self> {
        if d.len() < 27 || !d.starts_with(b"OggS") || d[4] != 0 {
            return None;
        }
        let segments = usize::from(d[26]);
        let lacing = d.get(27..27 + segments)?;
        Some(Self {
            flags: d[5],
            granule: Some(le(&d[6..14])).filter(|g| *g != u64::MAX),
            serial: le(&d[14..18]) as u32,
            sequence: le(&d[18..22]) as u32,
            header: 27 + segments,
            body: lacing.iter().map(|l| usize::from(*l)).sum(),
        })
    }

    pub fn bytes(&self) -> u64 {
        (self.header + self.body) as u64
    }
}

/// First page at or after `pos`.
pub(super) fn find_page(bytes: &mut Bytes, mut pos: u64, limit: u64) -> Result<Option<(u64, PageHeader)>> {
    while pos + 27 <= limit {
        if let Some(h) = PageHeader::parse(bytes.window(pos, 27 + 255)?) {
            return Ok(Some((pos, h)));
        }
        let w = bytes.window(pos + 1, 32 << 10)?;
        let step = w.windows(4).position(|p| p == b"OggS").unwrap_or(w.len().saturating_sub(3).max(1));
        pos += 1 + step as u64;
    }
    Ok(None)
}

/// Serial number and granule position of the last page that has one.
pub(super) fn last_page(bytes: &mut Bytes) -> Result<Option<(u32, u64)>> {
    let len = bytes.len();
    let mut from = len;
    let mut found = None;
    while from > 0 && found.is_none() && len - from < 4 << 20 {
        from = from.saturating_sub(128 << 10);
        let mut pos = from;
        while let Some((at, h)) = find_page(bytes, pos, len)? {
            pos = at + h.bytes();
            if let Some(g) = h.granule.filter(|_| pos <= len) {
                found = Some((h.serial, g));
            }
        }
    }
    Ok(found)
}

/// CRC-32 of a page with polynomial 0x04C11DB7 over all its bytes; 0 for a sound page once its checksum field is
/// taken as zero and compared.
pub(super) fn crc(page: &[u8]) -> u32 {
    let Some(stored) = page.get(22..26) else { return 1 };
    let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    let update = |c: u32, b: u8| c << 8 ^ CRC_TABLE[(c >> 24) as usize ^ usize::from(b)];
    let mut c = page[..22].iter().fold(0, |c, b| update(c, *b));
    c = (0..4).fold(c, |c, _| update(c, 0));
    c = page[26..].iter().fold(c, |c, b| update(c, *b));
    c ^ stored
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 << 31 != 0 { c << 1 ^ 0x04C1_1DB7 } else { c << 1 };
            bit += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
};
