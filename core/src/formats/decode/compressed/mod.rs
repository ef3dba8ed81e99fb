//! Containers and codecs that are decoded by crates: placeholder, replaced by the module of that name.

use super::super::{MediaSource, ReadOptions};
use super::Decoder;
use crate::error::{Error, Result};

/// Opens everything that the other modules of `decode` do not read.
pub(crate) fn open(_media: Box<dyn MediaSource>, _bytes: u64, _options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    Err(Error::NotAudio { hint: None })
}
