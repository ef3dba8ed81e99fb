//! Second-order sections in series on two channels at once.

use fearless_simd::{Level, Simd, dispatch, f64x2, prelude::*};

use super::level;
use crate::dsp::biquad::{Coefficients, State};

/// Most sections that [`cascade2`] takes.
pub const MAX_SECTIONS: usize = 8;

/// Filters two channels of equal length in place: the bits of `State::step` for each, one after the other. `sections`
/// and the states of each channel have the same length, 1 to 8; more are left out. Real-time safe.
pub fn cascade2(sections: &[Coefficients], states: [&mut [State]; 2], left: &mut [f32], right: &mut [f32]) {
    cascade2_at(level(), sections, states, left, right);
}

fn cascade2_at(
    level: Level,
    sections: &[Coefficients],
    states: [&mut [State]; 2],
    left: &mut [f32],
    right: &mut [f32],
) {
    // A length known to the compiler keeps all state in registers.
    match sections.len() {
        0 => {}
        1 => dispatch!(level, simd => run::<_, 1>(simd, sections, states, left, right)),
        2 => dispatch!(level, simd => run::<_, 2>(simd, sections, states, left, right)),
        3 => dispatch!(level, simd => run::<_, 3>(simd, sections, states, left, right)),
        4 => dispatch!(level, simd => run::<_, 4>(simd, sections, states, left, right)),
        5 => dispatch!(level, simd => run::<_, 5>(simd, sections, states, left, right)),
        6 => dispatch!(level, simd => run::<_, 6>(simd, sections, states, left, right)),
        7 => dispatch!(level, simd => run::<_, 7>(simd, sections, states, left, right)),
        _ => dispatch!(level, simd => run::<_, 8>(simd, sections, states, left, right)),
    }
}

// No closures here: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn run<S: Simd, const N: usize>(
    simd: S,
    sections: &[Coefficients],
    states: [&mut [State]; 2],
    left: &mut [f32],
    right: &mut [f32],
) {
    let zero = f64x2::splat(simd, 0.0);
    let (mut s1, mut s2, mut c) = ([zero; N], [zero; N], [[zero; 5]; N]);
    for i in 0..N {
        s1[i] = f64x2::simd_from(simd, [states[0][i].s1, states[1][i].s1]);
        s2[i] = f64x2::simd_from(simd, [states[0][i].s2, states[1][i].s2]);
        let from = [sections[i].b0, sections[i].b1, sections[i].b2, sections[i].a1, sections[i].a2];
        for k in 0..5 {
            c[i][k] = f64x2::splat(simd, from[k]);
        }
    }
    for (l, r) in left.iter_mut().zip(right) {
        let mut x = f64x2::simd_from(simd, [f64::from(*l), f64::from(*r)]);
        for i in 0..N {
            let y = c[i][0] * x + s1[i];
            s1[i] = c[i][1] * x - c[i][3] * y + s2[i];
            s2[i] = c[i][2] * x - c[i][4] * y;
            x = y;
        }
        *l = x[0] as f32;
        *r = x[1] as f32;
    }
    for i in 0..N {
        states[0][i] = State { s1: s1[i][0], s2: s2[i][0] };
        states[1][i] = State { s1: s1[i][1], s2: s2[i][1] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    fn noise(len: u32, seed: u32) -> Vec<f32> {
        (0..len).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_single_steps() {
        for count in 1..=MAX_SECTIONS {
            let sections: Vec<Coefficients> = (0..count)
                .map(|i| Coefficients::peak(48_000.0, 100.0 * (i + 1) as f64, 1.0, 3.0 - i as f64).unwrap())
                .collect();
            let inputs = [noise(333, 2_654_435_761), noise(333, 40_503)];
            let mut want = inputs.clone();
            let mut want_states = vec![vec![State::default(); count]; 2];
            for (samples, states) in want.iter_mut().zip(&mut want_states) {
                for x in samples {
                    *x = states.iter_mut().zip(&sections).fold(f64::from(*x), |x, (s, c)| s.step(c, x)) as f32;
                }
            }
            for level in levels() {
                let [mut l, mut r] = inputs.clone();
                let (mut a, mut b) = (vec![State::default(); count], vec![State::default(); count]);
                cascade2_at(level, &sections, [&mut a, &mut b], &mut l, &mut r);
                assert_eq!([l, r], want, "{level:?} {count}");
                assert_eq!([a, b].as_slice(), want_states.as_slice());
            }
        }
    }
}
