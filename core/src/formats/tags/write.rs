//! Serialisers of [`Metadata`] (placeholder until the tags branch is merged: nothing is written, nothing is lost).

use super::{Loss, Metadata};

/// One block of bytes and what it could not hold.
#[derive(Debug, Default)]
pub struct Serialized {
    /// The block; empty when there is nothing to write.
    pub bytes: Vec<u8>,
    /// What could not be kept.
    pub losses: Vec<Loss>,
}

/// Chunks by identifier and what they could not hold.
#[derive(Debug, Default)]
pub struct SerializedChunks {
    /// Identifier and content of each chunk.
    pub chunks: Vec<([u8; 4], Vec<u8>)>,
    /// What could not be kept.
    pub losses: Vec<Loss>,
}

/// ID3v2.4 tag.
pub fn id3v2(_: &Metadata) -> Serialized {
    Serialized::default()
}
/// Vorbis comment block without framing bit.
pub fn vorbis_comment(_: &Metadata, vendor: &str) -> Serialized {
    let mut bytes = (vendor.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(vendor.as_bytes());
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    Serialized { bytes, losses: Vec::new() }
}
/// Bodies of FLAC PICTURE blocks.
pub fn flac_pictures(_: &Metadata) -> Vec<Vec<u8>> {
    Vec::new()
}
/// Complete `udta` box.
pub fn ilst(_: &Metadata) -> Serialized {
    Serialized::default()
}
/// RIFF chunks.
pub fn riff_chunks(_: &Metadata) -> SerializedChunks {
    SerializedChunks::default()
}
/// AIFF chunks.
pub fn aiff_chunks(_: &Metadata) -> SerializedChunks {
    SerializedChunks::default()
}
/// Body of the CAF `info` chunk; empty when there is nothing to write.
pub fn caf_info(_: &Metadata) -> Vec<u8> {
    Vec::new()
}
