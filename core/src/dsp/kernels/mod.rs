//! Inner loops, compiled for each instruction set and chosen at run time.
//!
//! The same input gives the same bits on every CPU: each sum has one fixed order, whatever the width of the real
//! registers (16 virtual lanes that are folded in halves, or one lane per independent sum), and multiplication and
//! addition round separately (no fused operation). Tests compare each version bit by bit with a definition in plain
//! Rust: [`scalar`], or beside the test. No `unsafe` is needed: `fearless_simd` ties vector types to proof that the CPU
//! has them.
//!
//! Inside the kernels nothing may be a closure: its body would be compiled without the instruction set of its caller,
//! and be several times slower.

mod allpass;
mod basic;
mod bends;
mod cascade;
mod cross;
mod cubic;
mod dense;
mod fine_peak;
mod half_band;
mod interpolate;
mod k_weight;
mod k_weight_one;
mod moves;
mod network;
mod polyphase;
pub mod scalar;
mod scale;
mod sorted;
mod swing;

pub use allpass::{AllpassCourse, AllpassRow, MAX_ALLPASSES};
pub use basic::{dot, peak, sum_of_squares};
pub use bends::peaks_and_bends;
pub use cascade::cascade2;
pub use cross::CrossState;
pub use cubic::{CUBIC_GUARD, add_delayed, cubic_between};
pub use dense::{dense, fir_rows};
pub use fine_peak::{FINE_TAPS, FinePeak};
pub use half_band::fir_symmetric;
pub(crate) use interpolate::bessel_i0;
pub use interpolate::{INTERPOLATOR_TAPS, Interpolator};
pub use k_weight::{KCoefficients, KState, k_weight};
pub use k_weight_one::{KBlock, KOne};
pub use moves::{copy_within_limit, multiply, swap};
pub use network::{NETWORK_LINES, NetworkLowpass, hadamard, inject};
pub use polyphase::{PhaseBlock, interpolate_rows};
pub use scale::{all_finite, scale};
pub use sorted::replace_sorted;
pub use swing::{sine_of_part, sine_swing, triangle_swing};

use std::sync::OnceLock;

use fearless_simd::{Level, prelude::*};

/// Number of virtual lanes in every sum.
pub const LANES: usize = 16;

/// The instruction set of this CPU, detected once.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(Level::new)
}

/// Folds 16 lanes to one in the order that `scalar::fold` defines: halves onto each other.
#[inline(always)]
pub(crate) fn fold<S: Simd>(v: fearless_simd::f32x16<S>) -> f32 {
    let (low, high) = v.split();
    let (low, high) = (low + high).split();
    let four = low + high;
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Runs a kernel at each instruction set of this machine, for tests.
#[cfg(test)]
pub(crate) fn levels() -> Vec<Level> {
    let mut levels = vec![level(), Level::baseline()];
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        levels.extend(level().as_sse2().map(Level::Sse2));
        levels.extend(level().as_sse4_2().map(Level::Sse4_2));
        levels.extend(level().as_avx2().map(Level::Avx2));
    }
    levels
}
