//! Finding out what a recording is like: quality verdicts and delivery specifications.

pub mod delivery;
pub mod quality;
