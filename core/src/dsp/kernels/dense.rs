//! Layers of a neural network over rows of activations.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, level};

/// Rows that are computed together, so that a weight is loaded once for all of them.
const TOGETHER: usize = 4;

/// A dense layer: `out[r][o] = bias[o] + sum over i of rows[r][i] * weights[i][o]`, below 0 cut to 0 with `relu`.
///
/// Outputs are a multiple of 16; `weights` lies in blocks of 16 outputs, `[block][input][16]`. Sums run over `i` upwards.
pub fn dense(rows: &[f32], inputs: usize, weights: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    dense_at(level(), rows, inputs, weights, bias, relu, out);
}

/// A filter along the rows: `out[t][c] = sum over k of rows[t + k][c] * taps[k][c]`, for as many rows as `out` has.
///
/// Rows have `width` values, a multiple of 16. Sums run over `k` upwards.
pub fn fir_rows(rows: &[f32], width: usize, taps: &[f32], out: &mut [f32]) {
    fir_rows_at(level(), rows, width, taps, out);
}

fn dense_at(level: Level, rows: &[f32], inputs: usize, weights: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    dispatch!(level, simd => dense_impl(simd, rows, inputs, weights, bias, relu, out));
}

fn fir_rows_at(level: Level, rows: &[f32], width: usize, taps: &[f32], out: &mut [f32]) {
    dispatch!(level, simd => fir_rows_impl(simd, rows, width, taps, out));
}

#[inline(always)]
fn dense_impl<S: Simd>(
    simd: S,
    rows: &[f32],
    inputs: usize,
    weights: &[f32],
    bias: &[f32],
    relu: bool,
    out: &mut [f32],
) {
    let outputs = bias.len();
    let zero = f32x16::splat(simd, 0.0);
    for (block, weights) in weights.chunks_exact(inputs * LANES).enumerate() {
        let columns = block * LANES..(block + 1) * LANES;
        let start = f32x16::from_slice(simd, &bias[columns.clone()]);
        let mut groups = rows.chunks_exact(inputs * TOGETHER);
        let mut r = 0;
        for group in groups.by_ref() {
            let (a, rest) = group.split_at(inputs);
            let (b, rest) = rest.split_at(inputs);
            let (c, d) = rest.split_at(inputs);
            let mut sums = [start; TOGETHER];
            for ((((w, a), b), c), d) in weights.chunks_exact(LANES).zip(a).zip(b).zip(c).zip(d) {
                let w = f32x16::from_slice(simd, w);
                sums[0] += w * f32x16::splat(simd, *a);
                sums[1] += w * f32x16::splat(simd, *b);
                sums[2] += w * f32x16::splat(simd, *c);
                sums[3] += w * f32x16::splat(simd, *d);
            }
            for sum in sums {
                let sum = if relu { sum.max(zero) } else { sum };
                sum.store_slice(&mut out[r * outputs..][columns.clone()]);
                r += 1;
            }
        }
        for row in groups.remainder().chunks_exact(inputs) {
            let mut sum = start;
            for (w, x) in weights.chunks_exact(LANES).zip(row) {
                sum += f32x16::from_slice(simd, w) * f32x16::splat(simd, *x);
            }
            let sum = if relu { sum.max(zero) } else { sum };
            sum.store_slice(&mut out[r * outputs..][columns.clone()]);
            r += 1;
        }
    }
}

#[inline(always)]
fn fir_rows_impl<S: Simd>(simd: S, rows: &[f32], width: usize, taps: &[f32], out: &mut [f32]) {
    for (t, out) in out.chunks_exact_mut(width).enumerate() {
        for (block, out) in out.chunks_exact_mut(LANES).enumerate() {
            let mut sum = f32x16::splat(simd, 0.0);
            for (row, taps) in rows[t * width..].chunks_exact(width).zip(taps.chunks_exact(width)) {
                let lanes = block * LANES..(block + 1) * LANES;
                sum += f32x16::from_slice(simd, &row[lanes.clone()]) * f32x16::from_slice(simd, &taps[lanes]);
            }
            sum.store_slice(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::levels;
    use super::*;

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn a_dense_layer_is_its_definition_on_every_level() {
        for (count, inputs, outputs) in [(1, 3, 16), (4, 80, 32), (7, 33, 48)] {
            let (rows, bias) = (numbers(count * inputs, 0.7), numbers(outputs, 1.3));
            let weights = numbers(inputs * outputs, 0.31);
            let expected = |relu: bool| -> Vec<f32> {
                let value = |r: usize, o: usize| {
                    let weight = |i: usize| weights[(o / LANES * inputs + i) * LANES + o % LANES];
                    let sum = (0..inputs).fold(bias[o], |sum, i| sum + weight(i) * rows[r * inputs + i]);
                    if relu { sum.max(0.0) } else { sum }
                };
                (0..count * outputs).map(|i| value(i / outputs, i % outputs)).collect()
            };
            for (level, relu) in levels().into_iter().flat_map(|level| [(level, false), (level, true)]) {
                let mut out = vec![f32::NAN; count * outputs];
                dense_at(level, &rows, inputs, &weights, &bias, relu, &mut out);
                assert_eq!(out, expected(relu), "{level:?}, {count} rows, {inputs} inputs");
            }
        }
    }

    #[test]
    fn a_filter_along_rows_is_its_definition_on_every_level() {
        let (width, taps_count, count) = (32, 5, 9);
        let (rows, taps) = (numbers((count + taps_count - 1) * width, 0.9), numbers(taps_count * width, 0.23));
        let value = |t: usize, c: usize| {
            (0..taps_count).fold(0.0, |sum, k| sum + rows[(t + k) * width + c] * taps[k * width + c])
        };
        let expected: Vec<f32> = (0..count * width).map(|i| value(i / width, i % width)).collect();
        for level in levels() {
            let mut out = vec![f32::NAN; count * width];
            fir_rows_at(level, &rows, width, &taps, &mut out);
            assert_eq!(out, expected, "{level:?}");
        }
    }
}
