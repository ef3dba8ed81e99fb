//! Inner loops of the polyphase resampler.
//!
//! A rational ratio repeats: output `n + phases` lies `step` inputs behind output `n` and uses the same coefficients.
//! So 16 repetitions run in the 16 lanes of a vector, each on its own stretch of the signal: no lane is ever added to
//! another, all loads are aligned, and four outputs of two channels share what is loaded.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, level};

/// Outputs computed together.
const GROUP: usize = 4;

/// Coefficients of one period of a rational resampler, arranged for [`PhaseBlock::run`].
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseBlock {
    /// Inputs and outputs of one lane.
    pub inputs: usize,
    /// See `inputs`.
    pub outputs: usize,
    /// Filter length in inputs.
    taps: usize,
    groups: Vec<Group>,
    /// For each group `len x 4` coefficients: what one input frame adds to each of the four outputs.
    coefficients: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Group {
    /// First input frame under the filter, within the lane.
    start: usize,
    /// Inputs under any of the four filters.
    len: usize,
    /// Index into the coefficients.
    offset: usize,
}

impl PhaseBlock {
    /// Arranges the rows of coefficients, `row(phase, put)` with `phase` below `phases` giving `put(tap, value)`.
    /// Output `n` uses phase `n step % phases` on the inputs from `n step / phases` on. Allocates.
    pub fn new(
        phases: usize,
        step: usize,
        taps: usize,
        mut row: impl FnMut(usize, &mut dyn FnMut(usize, f32)),
    ) -> Self {
        // Lanes of at least 128 inputs, or the transposition would cost more than the filter. A repetition by a
        // multiple of 4 lets groups repeat too.
        let repeat = if step >= 128 { 1 } else { 128usize.div_ceil(step).next_multiple_of(GROUP) };
        let (inputs, outputs) = (step * repeat, phases * repeat);
        let distinct = if repeat == 1 { outputs.div_ceil(GROUP) } else { phases / gcd(phases, GROUP) };
        let mut groups: Vec<Group> = Vec::with_capacity(outputs.div_ceil(GROUP));
        let mut coefficients = Vec::new();
        for index in 0..outputs.div_ceil(GROUP) {
            let start = index * GROUP * step / phases;
            if index >= distinct {
                let same = groups[index - distinct];
                groups.push(Group { start, ..same });
                continue;
            }
            let count = GROUP.min(outputs - index * GROUP);
            let len = (index * GROUP + count - 1) * step / phases - start + taps;
            let offset = coefficients.len();
            coefficients.resize(offset + len * GROUP, 0.0);
            for member in 0..count {
                let position = (index * GROUP + member) * step;
                let shift = position / phases - start;
                row(position % phases, &mut |tap, value| coefficients[offset + (shift + tap) * GROUP + member] = value);
            }
            groups.push(Group { start, len, offset });
        }
        Self { inputs, outputs, taps, groups, coefficients }
    }

    /// Input frames that [`PhaseBlock::run`] reads; it consumes `16 * inputs` of them.
    pub fn window(&self) -> usize {
        (LANES - 1) * self.inputs + self.lane_window()
    }

    /// Input frames under the filters of one lane.
    fn lane_window(&self) -> usize {
        self.groups.iter().map(|g| g.start + g.len).max().unwrap_or(self.taps)
    }

    /// Samples of scratch that [`PhaseBlock::run`] needs for each channel.
    pub fn scratch(&self) -> usize {
        self.lane_window() * LANES
    }

    /// Reads `window()` frames of one channel, writes `16 * outputs` frames. Real-time safe.
    pub fn run(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        self.run_at(level(), [input], [output], scratch);
    }

    /// [`PhaseBlock::run`] for two channels, with `2 * scratch()`. The same bits.
    pub fn run2(&self, input: [&[f32]; 2], output: [&mut [f32]; 2], scratch: &mut [f32]) {
        self.run_at(level(), input, output, scratch);
    }

    fn run_at<const C: usize>(&self, level: Level, input: [&[f32]; C], output: [&mut [f32]; C], scratch: &mut [f32]) {
        let size = self.scratch();
        for (channel, scratch) in input.iter().zip(scratch.chunks_exact_mut(size)) {
            self.transpose(channel, scratch);
        }
        dispatch!(level, simd => run_impl(simd, self, &scratch[..C * size], output));
    }

    /// `scratch[j][lane] = input[lane * inputs + j]`.
    fn transpose(&self, input: &[f32], scratch: &mut [f32]) {
        let (rows, _) = scratch.as_chunks_mut::<LANES>();
        let (own, shared) = rows.split_at_mut(rows.len().min(self.inputs));
        for (lane, samples) in input.chunks(self.inputs).take(LANES).enumerate() {
            for (row, sample) in own.iter_mut().zip(samples) {
                row[lane] = *sample;
            }
        }
        // Beyond its own inputs a lane sees those of the next.
        let last = &input[LANES * self.inputs..];
        for j in 0..shared.len() {
            let before = if j < self.inputs { &own[j] } else { &shared[j - self.inputs] };
            let mut row = [0.0; LANES];
            row[..LANES - 1].copy_from_slice(&before[1..]);
            row[LANES - 1] = last[j];
            shared[j] = row;
        }
    }
}

// No closures and no `map` below: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn run_impl<S: Simd, const C: usize>(simd: S, block: &PhaseBlock, scratch: &[f32], output: [&mut [f32]; C]) {
    let width = S::f32s::LEN;
    let zero = S::f32s::splat(simd, 0.0);
    let (rows, _) = scratch.as_chunks::<LANES>();
    let size = rows.len() / C;
    for (index, group) in block.groups.iter().enumerate() {
        let (coefficients, _) = block.coefficients[group.offset..][..group.len * GROUP].as_chunks::<GROUP>();
        let middle = group.len / 2;
        let (head, tail) = coefficients.split_at(middle);
        let mut part = 0;
        while part < LANES {
            // From both ends to the middle, where the large coefficients are: small sums have small errors.
            let mut sums = [[zero; GROUP]; C];
            let mut back = [[zero; GROUP]; C];
            if C == 2 {
                let left = &rows[group.start..][..group.len];
                let right = &rows[size + group.start..][..group.len];
                for ((c, l), r) in head.iter().zip(left).zip(right) {
                    let l = S::f32s::from_slice(simd, &l[part..part + width]);
                    let r = S::f32s::from_slice(simd, &r[part..part + width]);
                    for q in 0..GROUP {
                        sums[0][q] += l * c[q];
                        sums[C - 1][q] += r * c[q];
                    }
                }
                for ((c, l), r) in tail.iter().zip(&left[middle..]).zip(&right[middle..]).rev() {
                    let l = S::f32s::from_slice(simd, &l[part..part + width]);
                    let r = S::f32s::from_slice(simd, &r[part..part + width]);
                    for q in 0..GROUP {
                        back[0][q] += l * c[q];
                        back[C - 1][q] += r * c[q];
                    }
                }
            } else {
                let mono = &rows[group.start..][..group.len];
                for (c, x) in head.iter().zip(mono) {
                    let x = S::f32s::from_slice(simd, &x[part..part + width]);
                    for q in 0..GROUP {
                        sums[0][q] += x * c[q];
                    }
                }
                for (c, x) in tail.iter().zip(&mono[middle..]).rev() {
                    let x = S::f32s::from_slice(simd, &x[part..part + width]);
                    for q in 0..GROUP {
                        back[0][q] += x * c[q];
                    }
                }
            }
            let count = GROUP.min(block.outputs - index * GROUP);
            for c in 0..C {
                for q in 0..count {
                    let sum = sums[c][q] + back[c][q];
                    let values = sum.as_slice();
                    for lane in 0..width {
                        output[c][(part + lane) * block.outputs + index * GROUP + q] = values[lane];
                    }
                }
            }
            part += width;
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Evaluates one row of coefficients between tabulated ones: `out[k] = ((c3 f + c2) f + c1) f + c0`, with the four
/// polynomials one after the other in `cubic` (4 x `out.len()`). Real-time safe.
pub fn interpolate_rows(cubic: &[f32], f: f32, out: &mut [f32]) {
    interpolate_rows_at(level(), cubic, f, out);
}

fn interpolate_rows_at(level: Level, cubic: &[f32], f: f32, out: &mut [f32]) {
    dispatch!(level, simd => interpolate_rows_impl(simd, cubic, f, out));
}

#[inline(always)]
fn interpolate_rows_impl<S: Simd>(simd: S, cubic: &[f32], f: f32, out: &mut [f32]) {
    let taps = out.len();
    let (c0, rest) = cubic.split_at(taps);
    let (c1, rest) = rest.split_at(taps);
    let (c2, c3) = rest.split_at(taps);
    let parts = c0.chunks_exact(LANES).zip(c1.chunks_exact(LANES));
    let parts = parts.zip(c2.chunks_exact(LANES).zip(c3.chunks_exact(LANES)));
    for (to, ((p0, p1), (p2, p3))) in out.chunks_exact_mut(LANES).zip(parts) {
        let mut sum = f32x16::from_slice(simd, p3) * f + f32x16::from_slice(simd, p2);
        sum = sum * f + f32x16::from_slice(simd, p1);
        sum = sum * f + f32x16::from_slice(simd, p0);
        sum.store_slice(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    fn ramp(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    /// One output by the definition: from both ends of its group to the middle.
    fn definition(block: &PhaseBlock, input: &[f32], n: usize) -> f32 {
        let (lane, n) = (n / block.outputs, n % block.outputs);
        let group = block.groups[n / GROUP];
        let term = |j: usize| {
            let c = block.coefficients[group.offset + j * GROUP + n % GROUP];
            input[lane * block.inputs + group.start + j] * c
        };
        let middle = group.len / 2;
        (0..middle).fold(0.0, |s, j| s + term(j)) + (middle..group.len).rev().fold(0.0, |s, j| s + term(j))
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        for (phases, step, taps) in [(160, 147, 32), (7, 16, 48), (1, 3, 16), (5, 1, 16), (147, 160, 16)] {
            let rows = ramp(taps * phases, 2_654_435_761);
            let block = PhaseBlock::new(phases, step, taps, |phase, put| {
                (0..taps).for_each(|k| put(k, rows[phase * taps + k]));
            });
            assert_eq!(block.inputs * phases, block.outputs * step);
            let (left, right) = (ramp(block.window(), 40_503), ramp(block.window(), 1_640_531_527));
            let count = LANES * block.outputs;
            let mut scratch = vec![0.0; 2 * block.scratch()];
            for level in levels() {
                let (mut mono, mut l, mut r) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
                block.run_at(level, [&left], [&mut mono], &mut scratch);
                block.run_at(level, [&left, &right], [&mut l, &mut r], &mut scratch);
                assert_eq!(mono, l);
                for n in 0..count {
                    assert_eq!(l[n].to_bits(), definition(&block, &left, n).to_bits(), "{level:?} {n}");
                    assert_eq!(r[n].to_bits(), definition(&block, &right, n).to_bits(), "{level:?} {n}");
                    // And the definition is the polyphase sum, up to rounding: 48 products of at most 1.
                    let start = n * step / phases;
                    let row = &rows[n * step % phases * taps..][..taps];
                    let plain: f64 = row.iter().zip(&left[start..]).map(|(c, x)| f64::from(*c) * f64::from(*x)).sum();
                    assert!((f64::from(l[n]) - plain).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn rows_are_interpolated_alike_everywhere() {
        let cubic = ramp(4 * 32, 2_654_435_761);
        for level in levels() {
            for f in [0.0f32, 0.3, 0.999] {
                let mut out = vec![0.0; 32];
                interpolate_rows_at(level, &cubic, f, &mut out);
                for k in 0..32 {
                    let want = ((cubic[96 + k] * f + cubic[64 + k]) * f + cubic[32 + k]) * f + cubic[k];
                    assert_eq!(out[k].to_bits(), want.to_bits());
                }
            }
        }
    }
}
