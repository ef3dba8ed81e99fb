//! EBML (RFC 8794): elements, and the lacing of Matroska's blocks.

use super::bytes::{Bytes, be};
use crate::error::Result;

/// An element's id and where its content is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub id: u32,
    pub start: u64,
    pub body: u64,
    /// None is an unknown size.
    pub size: Option<u64>,
}

impl Element {
    pub fn parse(d: &[u8], start: u64) -> Option<Self> {
        let id_len = d.first()?.leading_zeros() as usize + 1;
        if id_len > 4 {
            return None;
        }
        let id = be(d.get(..id_len)?) as u32;
        let (size, size_len) = vint(d.get(id_len..)?)?;
        let unknown = size == (1 << (7 * size_len)) - 1;
        Some(Self { id, start, body: start + (id_len + size_len) as u64, size: (!unknown).then_some(size) })
    }

    pub fn end(&self) -> u64 {
        self.body.saturating_add(self.size.unwrap_or(0))
    }
}

/// A variable length integer: value without the marker, and its length.
pub(super) fn vint(d: &[u8]) -> Option<(u64, usize)> {
    let len = d.first()?.leading_zeros() as usize + 1;
    if len > 8 {
        return None;
    }
    let raw = be(d.get(..len)?);
    Some((raw & (u64::MAX >> (64 - 7 * len)), len))
}

/// Children of an element that was read whole.
pub(super) fn children(d: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let e = Element::parse(d.get(at..)?, at as u64)?;
        let from = usize::try_from(e.body).ok()?;
        let to = usize::try_from(e.size.map_or(d.len() as u64, |_| e.end())).ok()?.min(d.len());
        at = to.max(from);
        Some((e.id, d.get(from..to)?))
    })
}

pub(super) fn float(d: &[u8]) -> f64 {
    match d.len() {
        4 => f64::from(f32::from_bits(be(d) as u32)),
        8 => f64::from_bits(be(d)),
        _ => 0.0,
    }
}

/// Length of the lacing header and sizes of the packets in a block (RFC 9559 10.3).
pub(super) fn lace_sizes(lacing: u8, d: &[u8]) -> Option<(usize, Vec<usize>)> {
    if lacing == 0 {
        return Some((0, vec![d.len()]));
    }
    let count = usize::from(*d.first()?) + 1;
    let mut at = 1;
    let mut sizes = Vec::with_capacity(count);
    match lacing {
        1 => {
            for _ in 1..count {
                let mut size = 0;
                loop {
                    let b = *d.get(at)?;
                    at += 1;
                    size += usize::from(b);
                    if b < 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => {
            let each = (d.len() - 1) / count;
            return Some((1, vec![each; count]));
        }
        _ => {
            let mut size = 0i64;
            for i in 1..count {
                let (v, n) = vint(d.get(at..)?)?;
                at += n;
                // The first is a size, the others are differences, biased by half their range.
                size = if i == 1 { v as i64 } else { size + v as i64 - ((1i64 << (7 * n - 1)) - 1) };
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let used: usize = sizes.iter().try_fold(at, |sum, s| sum.checked_add(*s))?;
    sizes.push(d.len().checked_sub(used)?);
    Some((at, sizes))
}

pub(super) fn element_at(bytes: &mut Bytes, pos: u64) -> Result<Option<Element>> {
    Ok(Element::parse(bytes.window(pos, 12)?, pos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_lacings() {
        // RFC 9559 10.3.2: sizes 800, 500, 1000 in Xiph lacing.
        let mut d = vec![2, 255, 255, 255, 35, 255, 245];
        d.resize(7 + 2300, 0);
        assert_eq!(lace_sizes(1, &d), Some((7, vec![800, 500, 1000])));
        // 10.3.3: the same in EBML lacing: 0x4320, then -300 as 0x5ED3.
        let mut d = vec![2, 0x43, 0x20, 0x5E, 0xD3];
        d.resize(5 + 2300, 0);
        assert_eq!(lace_sizes(3, &d), Some((5, vec![800, 500, 1000])));
        let mut d = vec![2];
        d.resize(1 + 2400, 0);
        assert_eq!(lace_sizes(2, &d), Some((1, vec![800; 3])));
        assert_eq!(lace_sizes(1, &[2, 255]), None);
    }

    #[test]
    fn elements_with_known_and_unknown_sizes() {
        let e = Element::parse(&[0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 10).unwrap();
        assert_eq!((e.id, e.body, e.size), (0x1F43_B675, 22, None));
        let e = Element::parse(&[0xA3, 0x40, 0x02], 0).unwrap();
        assert_eq!((e.id, e.body, e.size), (0xA3, 3, Some(2)));
        assert!(Element::parse(&[0x00, 0x81], 0).is_none());
    }
}
