//! Building blocks of the filters and meters.

pub mod dither;
