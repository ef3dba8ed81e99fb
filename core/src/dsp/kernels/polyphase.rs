//! Inner loop of the polyphase resampler: one row of coefficients per output frame.

use fearless_simd::{Level, Simd, dispatch, f32x4, f32x16, prelude::*};

use super::{LANES, fold, level};

/// Walks through input positions and phases for the ratio `step / phases`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stepper {
    /// Index of the first input frame under the filter.
    pub start: usize,
    /// Phase, below `phases`.
    pub phase: usize,
    /// Phases per input frame: the reduced output rate.
    pub phases: usize,
    /// Phases to go per output frame: the reduced input rate.
    pub step: usize,
}

impl Stepper {
    /// Number of outputs whose `taps` inputs all lie below `frames`.
    pub fn available(&self, taps: usize, frames: usize) -> usize {
        if self.start + taps > frames {
            return 0;
        }
        // Output n starts at start + (phase + n step) / phases, which must not exceed frames - taps.
        let room = (frames - taps - self.start) as u128 + 1;
        let positions = room * self.phases as u128 - self.phase as u128;
        positions.div_ceil(self.step as u128).min(usize::MAX as u128) as usize
    }

    #[inline(always)]
    fn advance(&mut self, whole: usize, part: usize) {
        self.start += whole;
        self.phase += part;
        if self.phase >= self.phases {
            self.phase -= self.phases;
            self.start += 1;
        }
    }
}

/// Writes `out[i] = dot(rows[phase], input[start..])` while stepping. `taps` is a multiple of 16, `rows` holds
/// `phases` rows of `taps`, and `input` reaches as far as `out` needs ([`Stepper::available`]). Real-time safe.
pub fn resample(stepper: Stepper, rows: &[f32], taps: usize, input: &[f32], out: &mut [f32]) -> Stepper {
    resample_at(level(), stepper, rows, taps, [input], [out])
}

/// [`resample`] for two channels, which share the loads of the coefficients. Same bits.
pub fn resample2(stepper: Stepper, rows: &[f32], taps: usize, input: [&[f32]; 2], out: [&mut [f32]; 2]) -> Stepper {
    resample_at(level(), stepper, rows, taps, input, out)
}

fn resample_at<const C: usize>(
    level: Level,
    stepper: Stepper,
    rows: &[f32],
    taps: usize,
    input: [&[f32]; C],
    out: [&mut [f32]; C],
) -> Stepper {
    dispatch!(level, simd => resample_impl(simd, stepper, rows, taps, input, out))
}

// No closures and no `map` below: their bodies would be compiled without the instruction set of the caller.
#[inline(always)]
fn resample_impl<S: Simd, const C: usize>(
    simd: S,
    mut stepper: Stepper,
    rows: &[f32],
    taps: usize,
    input: [&[f32]; C],
    mut out: [&mut [f32]; C],
) -> Stepper {
    let (whole, part) = (stepper.step / stepper.phases, stepper.step % stepper.phases);
    let mut count = usize::MAX;
    for o in &out {
        count = count.min(o.len());
    }
    let zero = f32x16::splat(simd, 0.0);
    let mut n = 0;
    // Four outputs together, because folding 16 lanes to one costs as much as a third of the products.
    while n + 4 <= count {
        let mut sums = [[zero; 4]; C];
        for j in 0..4 {
            let row = &rows[stepper.phase * taps..][..taps];
            let products = dot_rows(simd, row, &input, stepper.start);
            for c in 0..C {
                sums[c][j] = products[c];
            }
            stepper.advance(whole, part);
        }
        for c in 0..C {
            fold4(sums[c]).store_slice(&mut out[c][n..n + 4]);
        }
        n += 4;
    }
    while n < count {
        let row = &rows[stepper.phase * taps..][..taps];
        let products = dot_rows(simd, row, &input, stepper.start);
        for c in 0..C {
            out[c][n] = fold(products[c]);
        }
        stepper.advance(whole, part);
        n += 1;
    }
    stepper
}

/// Products of one row with the windows of one or two channels, summed in 16 lanes.
#[inline(always)]
fn dot_rows<S: Simd, const C: usize>(simd: S, row: &[f32], input: &[&[f32]; C], start: usize) -> [f32x16<S>; C] {
    let mut sums = [f32x16::splat(simd, 0.0); C];
    if C == 2 {
        // Written out, so that the sums stay in registers.
        let (mut l, mut r) = (sums[0], sums[0]);
        let left = input[0][start..][..row.len()].chunks_exact(LANES);
        let right = input[C - 1][start..][..row.len()].chunks_exact(LANES);
        for ((coefficients, x), y) in row.chunks_exact(LANES).zip(left).zip(right) {
            let coefficients = f32x16::from_slice(simd, coefficients);
            l += coefficients * f32x16::from_slice(simd, x);
            r += coefficients * f32x16::from_slice(simd, y);
        }
        sums[0] = l;
        sums[C - 1] = r;
        return sums;
    }
    for c in 0..C {
        let mut sum = sums[c];
        let window = input[c][start..][..row.len()].chunks_exact(LANES);
        for (coefficients, x) in row.chunks_exact(LANES).zip(window) {
            sum += f32x16::from_slice(simd, coefficients) * f32x16::from_slice(simd, x);
        }
        sums[c] = sum;
    }
    sums
}

/// [`fold`] of four vectors at once: the same additions in the same order.
#[inline(always)]
fn fold4<S: Simd>(sums: [f32x16<S>; 4]) -> f32x4<S> {
    let [a, b, c, d] = [quarter(sums[0]), quarter(sums[1]), quarter(sums[2]), quarter(sums[3])];
    let ac = a.zip_low(c) + a.zip_high(c); // a0+a2, c0+c2, a1+a3, c1+c3
    let bd = b.zip_low(d) + b.zip_high(d);
    ac.zip_low(bd) + ac.zip_high(bd)
}

#[inline(always)]
fn quarter<S: Simd>(v: f32x16<S>) -> f32x4<S> {
    let (low, high) = v.split();
    let (low, high) = (low + high).split();
    low + high
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
    use crate::dsp::kernels::{levels, scalar};

    fn ramp(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(seed) >> 9) as f32 / 4_194_304.0 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_dot_product() {
        let (taps, phases, step) = (48, 7, 16);
        let rows = ramp(taps * phases, 2_654_435_761);
        let (left, right) = (ramp(500, 40_503), ramp(500, 1_640_531_527));
        let start = Stepper { start: 3, phase: 2, phases, step };
        let count = start.available(taps, left.len());
        for level in levels() {
            let (mut mono, mut l, mut r) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
            let end = resample_at(level, start, &rows, taps, [&left], [&mut mono]);
            let end2 = resample_at(level, start, &rows, taps, [&left, &right], [&mut l, &mut r]);
            assert_eq!(end, end2);
            assert!(end.start + taps > left.len(), "all that was available was used");
            for n in 0..count {
                let position = start.phase + n * step;
                let row = &rows[position % phases * taps..][..taps];
                let at = start.start + position / phases;
                assert_eq!(l[n].to_bits(), scalar::dot(row, &left[at..][..taps]).to_bits(), "{level:?} {n}");
                assert_eq!(r[n].to_bits(), scalar::dot(row, &right[at..][..taps]).to_bits(), "{level:?} {n}");
            }
            assert_eq!(mono, l);
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
