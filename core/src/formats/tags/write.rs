//! Metadata as the bytes that encoders embed, one function per format, each with what it could not hold.
//!
//! | file | function |
//! |---|---|
//! | MP3, ADTS | [`id3v2`] in front |
//! | FLAC | [`vorbis_comment`] and [`flac_pictures`], or [`flac_blocks`] for everything |
//! | Ogg Vorbis | [`vorbis_comment_with_pictures`] |
//! | Ogg Opus | [`opus_comment`], the same with R128 gains |
//! | M4A | [`ilst`] inside `moov.udta` |
//! | WAV, RF64, W64 | [`riff_chunks`], or [`riff_chunks_at`] with cue points |
//! | AIFF | [`aiff_chunks`] |
//! | CAF | [`caf_info`] |

pub use super::aiff::aiff_chunks;
pub use super::caf::caf_info;
pub use super::flac::{FlacBlocks, flac_blocks, flac_pictures};
pub use super::id3v2::id3v2;
pub use super::mp4::ilst;
pub use super::riff::{riff_chunks, riff_chunks_at};
pub use super::vorbis::{opus_comment, vorbis_comment, vorbis_comment_with_pictures};

use super::{Chapter, Loss, Metadata};

/// One piece of serialised metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serialized {
    /// The bytes; empty when there is nothing to say and the format allows that.
    pub bytes: Vec<u8>,
    /// What is not in them.
    pub losses: Vec<Loss>,
}

/// Metadata as chunks of a RIFF or AIFF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SerializedChunks {
    /// Identifier and content of each chunk, without header and padding.
    pub chunks: Vec<([u8; 4], Vec<u8>)>,
    /// What is not in them.
    pub losses: Vec<Loss>,
}

/// Notes a loss, each once.
pub(super) fn lose(losses: &mut Vec<Loss>, field: &str, reason: impl Into<String>) {
    let loss = Loss { field: field.to_owned(), reason: reason.into() };
    if !losses.contains(&loss) {
        losses.push(loss);
    }
}

/// Lists all native items for which `kept` is false.
pub(super) fn lose_natives(meta: &Metadata, format: &str, losses: &mut Vec<Loss>, kept: impl Fn(&str) -> bool) {
    for item in meta.native.iter().filter(|n| !kept(&n.kind)) {
        let reason = match item.kind.as_str() {
            "bext" => format!("{format} has no bext chunk; its texts are carried as fields"),
            kind if kind.starts_with("flac:cuesheet") && !meta.chapters.is_empty() => {
                format!("{format} has no place for a FLAC cue sheet; its tracks are carried as chapters")
            }
            kind if kind.starts_with("chapter:") => {
                format!("{format} chapters cannot hold it ({} bytes)", item.data.len())
            }
            kind if kind.starts_with("id3:CTOC/") => {
                format!("part of a table of contents, not kept ({} bytes)", item.data.len())
            }
            _ => format!("{format} has no place for it ({} bytes)", item.data.len()),
        };
        lose(losses, &item.kind, reason);
    }
}

/// Where a format states no ends, lists those chapters whose end is not the start of the next one. The last chapter
/// ends with the file.
pub(super) fn lose_chapter_ends(chapters: &[Chapter], format: &str, losses: &mut Vec<Loss>) {
    for (i, pair) in chapters.windows(2).enumerate() {
        // 1 ms is the resolution of ID3 and Vorbis chapters.
        if pair[0].end_s.is_some_and(|end| (end - pair[1].start_s).abs() > 0.001) {
            lose(
                losses,
                "chapter",
                format!("{format} chapters have no end: chapter {} now ends where the next begins", i + 1),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_metadata_gives_nothing_where_the_format_allows() {
        let none = Metadata::default();
        assert_eq!(id3v2(&none), Serialized::default());
        assert_eq!(ilst(&none), Serialized::default());
        assert_eq!(caf_info(&none), Serialized::default());
        assert_eq!(riff_chunks(&none), SerializedChunks::default());
        assert_eq!(aiff_chunks(&none), SerializedChunks::default());
        assert!(flac_pictures(&none).is_empty());
        // vendor length, vendor, count
        assert_eq!(vorbis_comment(&none, "v").bytes, b"\x01\0\0\0v\0\0\0\0");
    }
}
