//! Oversampling by 2, 4 or 8 around something that is not linear.
//!
//! A curve that bends makes harmonics; those above half the rate come back as tones that have nothing to do with the
//! sound (aliasing). At a higher rate they have room, and what lies above the band is filtered off on the way down.
//!
//! Each doubling and each halving is a linear-phase half-band filter, windowed by Kaiser (J. F. Kaiser, "Nonrecursive
//! digital filter design using the I0-sinh window function", ISCAS 1974), computed in polyphase form: one phase is a
//! delay, the other a symmetric FIR (R. E. Crochiere, L. R. Rabiner, *Multirate Digital Signal Processing*, 1983, section
//! 3.5). Up to 0.4535 of the rate (20 kHz at 44.1 kHz) the way up and down is flat within 0.001 dB, and what does not
//! belong there is below -100 dB. Above, in the last 2 kHz under half the rate, it fades out, and images and aliases of
//! that region are attenuated less; they lie above 20 kHz again.
//!
//! | factor | latency, frames at the base rate |
//! |---|---|
//! | 1 | 0 |
//! | 2 | 71 |
//! | 4 | 78 |
//! | 8 | 81 |

use super::kernels::{bessel_i0, fir_symmetric};
use crate::error::{Error, Result};

/// Frames at the base rate that are worked on at once.
const PIECE_FRAMES: usize = 128;

/// Taps on each side and Kaiser's beta for the doubling from 1, 2 and 4 times the rate: the later ones have a wide
/// transition and need few. Betas were searched for the least stop-band gain: -102.9, -110.7 and -125.6 dB.
const STAGES: [(usize, f64); 3] = [(36, 10.5), (7, 12.1), (6, 12.5)];

/// One doubling and its halving, for one channel.
#[derive(Debug, Clone)]
struct HalfBand {
    /// First half of the symmetric taps between the zeros, for a gain of 1.
    taps: Vec<f32>,
    /// History and one piece: the sound before doubling, and the two phases before halving.
    line: Vec<f32>,
    even: Vec<f32>,
    odd: Vec<f32>,
    /// One sample more of delay, so that the sum of all stages is a whole number of frames at the base rate.
    pad: Option<f32>,
    work: Vec<f32>,
}

impl HalfBand {
    fn new((taps, beta): (usize, f64), max_frames: usize, padded: bool) -> Self {
        // Distance of the taps from the centre, in samples of the doubled rate: 2 K - 1, 2 K - 3, ... 1.
        let side: Vec<f64> = (0..taps)
            .map(|j| {
                let n = (2 * (taps - j) - 1) as f64;
                let x = std::f64::consts::FRAC_PI_2 * n;
                let t = n / (2 * taps) as f64;
                x.sin() / x * bessel_i0(beta * (1.0 - t * t).sqrt())
            })
            .collect();
        // Both phases have the same gain at DC, which also makes the zero at the Nyquist frequency exact.
        let sum = 2.0 * side.iter().sum::<f64>();
        let history = 2 * taps - 1;
        Self {
            taps: side.iter().map(|h| (h / sum) as f32).collect(),
            line: vec![0.0; history + max_frames],
            even: vec![0.0; history + max_frames],
            odd: vec![0.0; history + max_frames],
            pad: padded.then_some(0.0),
            work: vec![0.0; max_frames],
        }
    }

    /// Delay of the way up and down, in frames of its lower rate.
    fn latency_frames(&self) -> usize {
        2 * self.taps.len() - 1 + usize::from(self.pad.is_some())
    }

    /// Doubles `input` into `output`, which is twice as long.
    fn raise(&mut self, input: &[f32], output: &mut [f32]) {
        let (k, count) = (self.taps.len(), input.len());
        let history = 2 * k - 1;
        self.line[history..history + count].copy_from_slice(input);
        let even = &mut self.work[..count];
        fir_symmetric(&self.taps, &self.line[..history + count], even);
        for ((pair, even), odd) in output.chunks_exact_mut(2).zip(even.iter()).zip(&self.line[k..]) {
            pair[0] = *even;
            pair[1] = *odd;
        }
        self.line.copy_within(count..count + history, 0);
    }

    /// Halves `input` into `output`, which is half as long.
    fn lower(&mut self, input: &[f32], output: &mut [f32]) {
        let (k, count) = (self.taps.len(), output.len());
        let history = 2 * k - 1;
        let phases = self.even[history..].iter_mut().zip(&mut self.odd[history..]);
        for (pair, (even, odd)) in input.chunks_exact(2).zip(phases) {
            *even = pair[0];
            *odd = pair[1];
        }
        fir_symmetric(&self.taps, &self.even[..history + count], output);
        for (y, odd) in output.iter_mut().zip(&self.odd[k - 1..]) {
            *y = 0.5 * (*y + odd);
        }
        self.even.copy_within(count..count + history, 0);
        self.odd.copy_within(count..count + history, 0);
        if let Some(held) = &mut self.pad {
            for y in output {
                std::mem::swap(y, held);
            }
        }
    }

    fn reset(&mut self) {
        self.line.fill(0.0);
        self.even.fill(0.0);
        self.odd.fill(0.0);
        self.pad = self.pad.map(|_| 0.0);
    }
}

/// Runs a process on one channel at 1, 2, 4 or 8 times its rate.
#[derive(Debug, Clone)]
pub struct Oversampler {
    stages: Vec<HalfBand>,
    /// One piece at each higher rate.
    pieces: Vec<Vec<f32>>,
}

impl Oversampler {
    /// An oversampler by `factor` for one channel, filled with silence. Allocates.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for another factor than 1, 2, 4, 8.
    pub fn new(factor: usize) -> Result<Self> {
        let count = match factor {
            1 => 0,
            2 => 1,
            4 => 2,
            8 => 3,
            _ => {
                return Err(Error::InvalidValue {
                    name: "oversampling".into(),
                    value: factor.to_string(),
                    allowed: "1, 2, 4, 8".into(),
                });
            }
        };
        Ok(Self {
            stages: STAGES[..count]
                .iter()
                .enumerate()
                .map(|(n, design)| HalfBand::new(*design, PIECE_FRAMES << n, n > 0))
                .collect(),
            pieces: (0..count).map(|n| vec![0.0; PIECE_FRAMES << (n + 1)]).collect(),
        })
    }

    /// How many times the rate is raised.
    pub fn factor(&self) -> usize {
        1 << self.stages.len()
    }

    /// Delay of the way up and down, in frames at the base rate; see the table of the module.
    pub fn latency_frames(&self) -> usize {
        let at_top: usize =
            self.stages.iter().enumerate().map(|(n, stage)| stage.latency_frames() << (self.stages.len() - n)).sum();
        at_top >> self.stages.len()
    }

    /// Replaces `samples` by what `work` makes of them at the higher rate, [`Oversampler::latency_frames`] later. `work`
    /// is called with one stretch after the other, each `factor` times as long as its part of `samples`, and must keep the
    /// length; what it keeps between calls must not depend on where stretches end. Real-time safe if `work` is. There is no
    /// feedback: NaN and infinity are gone 170 frames later.
    pub fn process(&mut self, samples: &mut [f32], mut work: impl FnMut(&mut [f32])) {
        if self.stages.is_empty() {
            return work(samples);
        }
        for samples in samples.chunks_mut(PIECE_FRAMES) {
            let count = samples.len();
            for n in 0..self.stages.len() {
                let (below, above) = self.pieces.split_at_mut(n);
                let from = below.last().map_or(&*samples, |piece| &piece[..count << n]);
                self.stages[n].raise(from, &mut above[0][..count << (n + 1)]);
            }
            let top = self.stages.len() - 1;
            work(&mut self.pieces[top][..count << (top + 1)]);
            for n in (0..self.stages.len()).rev() {
                let (below, above) = self.pieces.split_at_mut(n);
                let to = match below.last_mut() {
                    Some(piece) => &mut piece[..count << n],
                    None => &mut *samples,
                };
                self.stages[n].lower(&above[0][..count << (n + 1)], to);
            }
        }
    }

    /// Fills with silence.
    pub fn reset(&mut self) {
        self.stages.iter_mut().for_each(HalfBand::reset);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Amplitude of `freq` (cycles per sample) in `x`, by correlation under a Blackman-Harris window (side lobes -92 dB,
    /// falling: other tones are far away in these tests).
    fn amplitude(x: &[f32], freq: f64) -> f64 {
        let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
        for (n, v) in x.iter().enumerate() {
            let t = TAU * n as f64 / x.len() as f64;
            let w = 0.358_75 - 0.488_29 * t.cos() + 0.141_28 * (2.0 * t).cos() - 0.011_68 * (3.0 * t).cos();
            re += w * f64::from(*v) * (TAU * freq * n as f64).cos();
            im += w * f64::from(*v) * (TAU * freq * n as f64).sin();
            sum += w;
        }
        2.0 * (re * re + im * im).sqrt() / sum
    }

    fn tone(freq: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (TAU * freq * n as f64).sin() as f32).collect()
    }

    fn db(x: f64) -> f64 {
        20.0 * x.log10()
    }

    #[test]
    fn latency_is_the_table_and_what_an_impulse_shows() {
        for (factor, want) in [(1, 0), (2, 71), (4, 78), (8, 81)] {
            let mut o = Oversampler::new(factor).unwrap();
            assert_eq!((o.factor(), o.latency_frames()), (factor, want));
            let mut x = vec![0.0f32; 400];
            x[100] = 1.0;
            o.process(&mut x, |_| {});
            let peak = (0..400).max_by(|a, b| x[*a].total_cmp(&x[*b])).unwrap();
            assert_eq!(peak, 100 + want);
            // Linear phase: symmetric about the peak, to the rounding of sums of 72 values.
            for n in 1..80 {
                assert!((x[peak - n] - x[peak + n]).abs() < 1e-6, "{factor} {n}");
            }
        }
        assert!(Oversampler::new(3).is_err());
    }

    #[test]
    fn the_band_is_flat_and_a_tone_gets_no_images() {
        for factor in [2, 4, 8] {
            for freq in [0.01, 0.1, 0.25, 0.4, 0.453] {
                let mut o = Oversampler::new(factor).unwrap();
                let mut x = tone(freq, 20_000);
                let mut above = Vec::new();
                o.process(&mut x, |piece| above.extend_from_slice(piece));
                // Two roundings of f32 sums: -130 dB; the ripple of the design is 1e-4 dB for each way.
                let gain_db = db(amplitude(&x[2_000..], freq));
                assert!(gain_db.abs() < 0.001, "{factor} {freq}: {gain_db} dB");
                for image in 1..factor {
                    for side in [-1.0, 1.0] {
                        let at = (image as f64 + side * freq) / factor as f64;
                        let got_db = db(amplitude(&above[2_000 * factor..], at));
                        assert!(at > 0.5 || got_db < -100.0, "{factor} {freq}: image at {at}: {got_db} dB");
                    }
                }
            }
        }
    }

    #[test]
    fn what_lies_above_the_band_does_not_come_back() {
        for factor in [2usize, 4, 8] {
            // Tones of the higher rate that would fold to 0.05, 0.2 and 0.45 of the base rate.
            for fold in [0.05, 0.2, 0.45] {
                for turn in 1..=factor / 2 {
                    let freq = (turn as f64 - fold) / factor as f64;
                    let (mut o, mut at) = (Oversampler::new(factor).unwrap(), 0usize);
                    let mut x = vec![0.0; 20_000];
                    o.process(&mut x, |piece| {
                        for v in piece {
                            *v = (TAU * freq * at as f64).sin() as f32;
                            at += 1;
                        }
                    });
                    let got_db = db(amplitude(&x[2_000..], fold));
                    assert!(got_db < -100.0, "{factor}: {freq} comes back at {fold}: {got_db} dB");
                }
            }
        }
    }

    #[test]
    fn any_split_gives_the_same_bits_and_reset_equals_new() {
        for factor in [1, 2, 4, 8] {
            let mut o = Oversampler::new(factor).unwrap();
            let cube = |piece: &mut [f32]| piece.iter_mut().for_each(|v| *v = *v * *v * *v);
            let mut want = tone(0.0314, 3_000);
            o.process(&mut want, cube);
            for split in [1, 7, 128, 1_000] {
                o.reset();
                let mut got = tone(0.0314, 3_000);
                got.chunks_mut(split).for_each(|part| o.process(part, cube));
                assert_eq!(got, want, "{factor} {split}");
            }
        }
    }
}
