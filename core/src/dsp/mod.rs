//! Building blocks of the filters and meters.

pub mod biquad;
pub mod block_fir;
pub mod convolver;
pub mod dither;
pub mod fir;
pub mod iir;
pub mod kernels;
pub mod oversample;
pub mod resampler;
mod resampler_design;
pub mod stretch;
pub mod tail;
