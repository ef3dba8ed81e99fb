//! WavPack.
use super::Decoder;
use super::input::Input;
use crate::error::{Error, Result};
use crate::formats::ReadOptions;

pub(crate) fn open(_input: Input, _options: &ReadOptions) -> Result<Box<dyn Decoder>> {
    Err(Error::unsupported("container", "WavPack"))
}
