//! Finding out what a recording is like: quality verdicts, delivery specifications, comparison with a reference.

pub mod delivery;
pub mod quality;
