//! The metadata blocks before the frames: STREAMINFO and SEEKTABLE are read, the others skipped (RFC 9639, section 8).

use super::super::input::{Input, be};
use super::StreamParams;
use crate::error::Result;

const MAX_BLOCKS: usize = 10_000;
/// 18 bytes each.
const MAX_SEEK_POINTS: u64 = 100_000;

/// What the blocks tell.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub params: Option<StreamParams>,
    /// (first sample, byte offset from the first frame), ascending.
    pub seek_points: Vec<(u64, u64)>,
    /// Where the frames should start.
    pub end: u64,
}

/// Reads the blocks; `input` stands at the `fLaC` marker, or at a frame.
pub(super) fn read(input: &mut Input) -> Result<Blocks> {
    let mut blocks = Blocks::default();
    input.seek(0)?;
    if input.array::<4>()? != Some(*b"fLaC") {
        return Ok(blocks);
    }
    blocks.end = 4;
    for _ in 0..MAX_BLOCKS {
        let Some(head) = input.array::<4>()? else { break };
        let (last, kind, size) = (head[0] & 0x80 != 0, head[0] & 0x7F, be(&head, 1, 3));
        if kind == 127 || size > input.left() {
            break; // not a block (0xFF is the start of a frame), or a length that lies
        }
        match kind {
            0 if blocks.params.is_none() => {
                let block = input.bytes(size.min(34), 34)?;
                blocks.params = Some(StreamParams::parse(&block)?);
            }
            3 => {
                let table = input.bytes(size, MAX_SEEK_POINTS * 18)?;
                let points = table.as_chunks::<18>().0.iter().map(|p| (be(p, 0, 8), be(p, 8, 8)));
                // Placeholders have the largest number.
                blocks.seek_points = points.filter(|p| p.0 != u64::MAX).collect();
                blocks.seek_points.sort_unstable();
            }
            _ => {}
        }
        blocks.end = (blocks.end + 4 + size).min(input.len());
        input.seek(blocks.end)?;
        if last {
            break;
        }
    }
    Ok(blocks)
}
