//! FLAC: frames for any container ([`FrameDecoder`]), and the native container.

mod bits;
mod crc;
mod frame;
mod metadata;
mod native;
mod predict;

pub(crate) use frame::{Decoded, FrameDecoder, FrameError, FrameHeader, StreamParams};
pub(crate) use native::open;

/// A FLAC frame header at the start of `head`, checksum included: for streams without their `fLaC` marker.
pub(crate) fn frame_header_at(head: &[u8]) -> Option<FrameHeader> {
    FrameHeader::parse(head)
}
