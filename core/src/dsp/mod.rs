//! Building blocks of the filters and meters.

pub mod biquad;
pub mod dither;
pub mod kernels;
pub mod resampler;
pub mod stretch;
