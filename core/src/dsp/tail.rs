//! How long a cascade of sections goes on after its input has ended.

use super::biquad::{Coefficients, State};

/// Sound below this is over: -100 dBFS.
const OVER: f64 = 1e-5;
/// States below this can give nothing above [`OVER`] any more, even through resonances of 100.
const SETTLED: f64 = 1e-8;
/// Longest tail that is told, in frames.
const LONGEST_FRAMES: usize = 1 << 22;
/// Frames between two looks at the states.
const STRIDE: usize = 256;

/// Frames after a full-scale impulse until the output of `sections` in series stays below -100 dBFS; at most 2^22. Runs the
/// impulse response: not for the audio thread.
pub fn tail_frames(sections: &[Coefficients]) -> usize {
    let mut states = vec![State::default(); sections.len()];
    let (mut last, mut at) = (0, 0);
    while at < LONGEST_FRAMES {
        for n in at..at + STRIDE {
            let x = if n == 0 { 1.0 } else { 0.0 };
            let y = states.iter_mut().zip(sections).fold(x, |x, (state, c)| state.step(c, x));
            if y.abs() > OVER {
                last = n;
            }
        }
        at += STRIDE;
        if states.iter().all(|s| s.s1.abs() < SETTLED && s.s2.abs() < SETTLED) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pole_decays_by_its_formula() {
        for pole in [0.0, 0.5, 0.99, 0.9999] {
            let c = Coefficients { b0: 1.0, b1: 0.0, b2: 0.0, a1: -pole, a2: 0.0 };
            // pole^n > 1e-5.
            let want = if pole == 0.0 { 0 } else { (1e-5f64.ln() / f64::ln(pole)) as usize };
            assert_eq!(tail_frames(&[c]), want, "{pole}");
        }
        assert_eq!(tail_frames(&[]), 0);
    }
}
