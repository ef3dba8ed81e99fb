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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Limits;

    #[test]
    fn annotation_up_to_its_padding_and_a_wild_offset() {
        for (offset, want) in [(36u32, "made by hand"), (0xFFFF_FFFF, "made by hand"), (0, "")] {
            let file = [&b".snd"[..], &offset.to_be_bytes(), &[0; 16], b"made by hand\0\0\0\0audio"].concat();
            let len = file.len() as u64;
            let mut c = Collector::default();
            read(&mut Input::new(&mut std::io::Cursor::new(file), len, &Limits::default()), &mut c);
            assert_eq!(c.first("comment").unwrap_or(""), want, "{offset}");
        }
    }
}
