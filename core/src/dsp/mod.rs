//! Building blocks of the filters and meters.

pub mod biquad;
pub mod kernels;
pub mod resampler;
