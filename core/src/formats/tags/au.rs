//! The annotation of Sun/NeXT AU files: text between header and audio.

use super::bytes::Input;
use super::collect::Collector;
use super::text;

/// Length of the fixed header.
const HEADER: u64 = 24;

/// Reads the annotation as a comment. Programs without anything to say pad with NULs.
pub(super) fn read(input: &mut Input<'_>, c: &mut Collector) {
    let Some(head) = input.array::<8>(0) else { return };
    let word = [head[4], head[5], head[6], head[7]];
    let offset = if head.starts_with(b".snd") { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
    let len = u64::from(offset).saturating_sub(HEADER).min(1 << 20);
    let data = input.up_to(HEADER, len);
    c.add("comment", text::fixed(&data));
}
