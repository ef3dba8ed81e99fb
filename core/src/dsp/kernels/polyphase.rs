//! Inner loop of the polyphase resampler: one row of coefficients per output frame.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

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

#[inline(always)]
fn resample_impl<S: Simd, const C: usize>(
    simd: S,
    mut stepper: Stepper,
    rows: &[f32],
    taps: usize,
    input: [&[f32]; C],
    out: [&mut [f32]; C],
) -> Stepper {
    let (whole, part) = (stepper.step / stepper.phases, stepper.step % stepper.phases);
    let count = out.iter().map(|o| o.len()).min().unwrap_or(0);
    for n in 0..count {
        let row = &rows[stepper.phase * taps..][..taps];
        let sums = dot_rows(simd, row, input.map(|x| &x[stepper.start..][..taps]));
        for c in 0..C {
            out[c][n] = sums[c];
        }
        stepper.advance(whole, part);
    }
    stepper
}

#[inline(always)]
fn dot_rows<S: Simd, const C: usize>(simd: S, row: &[f32], input: [&[f32]; C]) -> [f32; C] {
    let mut sums = [f32x16::splat(simd, 0.0); C];
    for (k, coefficients) in row.chunks_exact(LANES).enumerate() {
        let coefficients = f32x16::from_slice(simd, coefficients);
        for c in 0..C {
            sums[c] += coefficients * f32x16::from_slice(simd, &input[c][k * LANES..][..LANES]);
        }
    }
    sums.map(fold)
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
    for (k, to) in out.chunks_exact_mut(LANES).enumerate() {
        let at = |c: &[f32]| f32x16::from_slice(simd, &c[k * LANES..][..LANES]);
        (((at(c3) * f + at(c2)) * f + at(c1)) * f + at(c0)).store_slice(to);
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
