//! FLAC.
use super::Decoder;
use super::input::Input;
use crate::error::{Error, Result};
use crate::formats::ReadOptions;

pub(crate) fn frame_header_at(_head: &[u8]) -> Option<()> {
    None
}
pub(crate) fn open(_input: Input, _options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    Err(Error::unsupported("container", "FLAC"))
}
