//! Symmetric FIR over a line of samples: the inner loop of half-band filters.

use fearless_simd::{Level, Simd, dispatch, f32x8, f32x16, prelude::*};

use super::level;

/// `out[n] = sum over j of taps[j] * (line[n + j] + line[n + 2 K - 1 - j])`, with `K` the number of taps: one half of a
/// symmetric impulse response of `2 K` taps. Each output is one sum in the order of the taps, so any split gives the same
/// bits. `line` holds at least `out.len() + 2 K - 1` samples; a shorter one gives fewer outputs. Real-time safe.
pub fn fir_symmetric(taps: &[f32], line: &[f32], out: &mut [f32]) {
    fir_symmetric_at(level(), taps, line, out);
}

fn fir_symmetric_at(level: Level, taps: &[f32], line: &[f32], out: &mut [f32]) {
    dispatch!(level, simd => run(simd, taps, line, out));
}

#[inline(always)]
fn run<S: Simd>(simd: S, taps: &[f32], line: &[f32], out: &mut [f32]) {
    let span = 2 * taps.len();
    let count = out.len().min((line.len() + 1).saturating_sub(span));
    let mut at = 0;
    while at + 16 <= count {
        let here = &line[at..at + span + 15];
        let mut sum = f32x16::splat(simd, 0.0);
        for (j, tap) in taps.iter().enumerate() {
            let pair = f32x16::from_slice(simd, &here[j..j + 16])
                + f32x16::from_slice(simd, &here[span - 1 - j..span + 15 - j]);
            sum += f32x16::splat(simd, *tap) * pair;
        }
        sum.store_slice(&mut out[at..at + 16]);
        at += 16;
    }
    while at + 8 <= count {
        let here = &line[at..at + span + 7];
        let mut sum = f32x8::splat(simd, 0.0);
        for (j, tap) in taps.iter().enumerate() {
            let pair =
                f32x8::from_slice(simd, &here[j..j + 8]) + f32x8::from_slice(simd, &here[span - 1 - j..span + 7 - j]);
            sum += f32x8::splat(simd, *tap) * pair;
        }
        sum.store_slice(&mut out[at..at + 8]);
        at += 8;
    }
    while at < count {
        let here = &line[at..at + span];
        let mut sum = 0.0;
        for (j, tap) in taps.iter().enumerate() {
            sum += tap * (here[j] + here[span - 1 - j]);
        }
        out[at] = sum;
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_plain_sum() {
        let line: Vec<f32> =
            (0..400u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4_194_304.0 - 1.0).collect();
        for k in [1, 6, 7, 36] {
            let taps: Vec<f32> = (0..k).map(|j| 0.7 / (j as f32 - 3.3)).collect();
            for frames in [0, 1, 7, 8, 15, 16, 17, 100, 255] {
                let mut want = vec![0.0f32; frames];
                for (n, y) in want.iter_mut().enumerate() {
                    for (j, tap) in taps.iter().enumerate() {
                        *y += tap * (line[n + j] + line[n + 2 * k - 1 - j]);
                    }
                }
                for level in levels() {
                    let mut got = vec![0.0f32; frames];
                    fir_symmetric_at(level, &taps, &line, &mut got);
                    assert_eq!(got, want, "{level:?} {k} {frames}");
                }
            }
        }
    }

    #[test]
    fn a_short_line_gives_what_it_can() {
        let mut out = [9.0; 4];
        fir_symmetric(&[1.0, 1.0], &[1.0; 5], &mut out);
        assert_eq!(out, [4.0, 4.0, 9.0, 9.0]);
        fir_symmetric(&[1.0, 1.0], &[1.0; 2], &mut out);
        assert_eq!(out[0], 4.0);
    }
}
