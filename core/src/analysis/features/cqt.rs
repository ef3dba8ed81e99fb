//! Constant-Q transform: magnitudes of bands that are equally spaced in pitch, each as wide as its distance to the next.
//!
//! `C[k, t] = sqrt(N_k) |sum_n w_k[n] x[n] exp(-2 pi i n f_k / rate)|` with `f_k = fmin 2^(k / B)` for `B` bands per octave, and a Hann
//! window `w_k` with the sum 1 over `N_k = rate / (alpha f_k)` samples around `t hop_length`, where
//! `alpha = (2^(2 / B) - 1) / (2^(2 / B) + 1)` (J. C. Brown, *Calculation of a constant Q spectral transform*, JASA 1991). A sine of
//! amplitude `a` in the middle of a band gives `a sqrt(N_k) / 2`.
//!
//! As `librosa.cqt` computes it with its defaults (`filter_scale` 1, `norm` 1, `sparsity` 0.01, `scale`): octave by octave, the highest
//! first, by products of short spectra with those of the filters, of whose coefficients the smallest, 1 % of the sum, are left out. After
//! each octave the rate is halved as long as the hop is even (C. Schörkhuber, A. Klapuri, *Constant-Q transform toolbox for music
//! processing*, SMC 2010), so every octave costs half as much as the one above to filter, and all have the same short filters.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::FftPlanner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framer::Framer;
use super::stft::hann;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::kernels::dot;
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::{Error, Result};

/// C1 under A4 = 440 Hz.
const C1_HZ: f64 = 32.703_195_662_574_83;

/// Longest transform, in samples. Only hops with few factors of two come near.
const MAX_FFT: f64 = 131_072.0;

/// Share of the magnitudes of a filter's spectrum that is left out: librosa's `sparsity`.
const SPARSITY: f64 = 0.01;

/// Width of the main lobe of a Hann window in bins, by its power: librosa's `window_bandwidth`.
const HANN_BANDWIDTH: f64 = 1.500_183_105_468_75;

/// Samples that are worked on at once.
const PIECE: usize = 4096;

/// Pitch classes.
const CLASSES: usize = 12;

/// Bands of the constant-Q transform. Defaults as librosa's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CqtParams {
    /// Middle of the lowest band in Hz. 10 to 2000, default 32.703 (C1).
    pub fmin: f64,
    /// Number of bands. 1 to 1024, default 84; octaves that reach beyond half the rate are left out.
    pub n_bins: usize,
    /// Bands per octave. 6 to 96, default 12.
    pub bins_per_octave: usize,
}

impl Default for CqtParams {
    fn default() -> Self {
        Self { fmin: C1_HZ, n_bins: 84, bins_per_octave: 12 }
    }
}

/// Transforms a stream, with the same bits for any split of it. Memory does not grow.
pub struct Cqt {
    n_bins: usize,
    hop_length: u64,
    /// Halve the rate where all bands lie far below.
    early: Vec<Halver>,
    /// The highest first.
    octaves: Vec<Octave>,
    row: Vec<f32>,
    samples: u64,
    frames: u64,
    line: Vec<f32>,
}

impl Cqt {
    /// For a stream at `rate_hz`, with frames whose middles lie `hop_length` samples apart, the first at the first sample. A4 lies
    /// `tuning` semitones above 440 Hz.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for parameters; for `n_bins` when not even one octave lies below half the rate, for `fmin` when its filter
    /// would be longer than 131072 samples at the lowest rate that the hop allows.
    pub fn new(params: &CqtParams, rate_hz: f64, hop_length: usize, tuning: f64) -> Result<Self> {
        Error::check_range("fmin", params.fmin, 10.0, 2000.0, "Hz")?;
        Error::check_range("n_bins", params.n_bins as f64, 1.0, 1024.0, "")?;
        Error::check_range("bins_per_octave", params.bins_per_octave as f64, 6.0, 96.0, "")?;
        Error::check_range("tuning", tuning, -0.5, 0.5, "semitones")?;
        Error::check_range("hop_length", hop_length as f64, 1.0, 1_048_576.0, "samples")?;
        let per_octave = params.bins_per_octave;
        let ratio = (2.0 / per_octave as f64).exp2();
        let q = (ratio + 1.0) / (ratio - 1.0);
        let fmin_hz = params.fmin * (tuning / 12.0).exp2();
        let hz = |k: usize| fmin_hz * (k as f64 / per_octave as f64).exp2();
        let upper_hz = |bins: usize| hz(bins - 1) * (1.0 + 0.5 * HANN_BANDWIDTH / q);
        let mut n_bins = params.n_bins;
        while n_bins > per_octave && upper_hz(n_bins) > rate_hz / 2.0 {
            n_bins -= per_octave;
        }
        if upper_hz(n_bins) > rate_hz / 2.0 {
            let bins = (per_octave as f64 * (rate_hz / 2.0 / upper_hz(1)).log2()).floor() + 1.0;
            return Err(Error::OutOfRange {
                name: "n_bins".into(),
                value: n_bins as f64,
                min: 1.0,
                max: bins.max(0.0),
                unit: "",
            });
        }

        let count = n_bins.div_ceil(per_octave);
        let spare = ((rate_hz / 2.0 / upper_hz(n_bins)).log2().ceil() as usize).saturating_sub(2);
        let twos = (hop_length.trailing_zeros() as usize + 1).saturating_sub(count);
        let early = (0..spare.min(twos)).map(|_| Halver::new()).collect::<Result<Vec<_>>>()?;
        let (mut rate, mut hop) = (rate_hz / (1u64 << early.len()) as f64, hop_length >> early.len());
        let mut octaves = Vec::with_capacity(count);
        for octave in 0..count {
            let end = n_bins - octave * per_octave;
            let bands = end.saturating_sub(per_octave)..end;
            let longest = q * rate / hz(bands.start);
            Error::check_range("fmin", params.fmin, params.fmin * longest / MAX_FFT, 2000.0, "Hz")?;
            let n_fft = (longest.log2().ceil().exp2() as usize).max(16);
            let filters = bands.map(|k| Filter::new(n_fft, q * rate / hz(k), hz(k) / rate, q * rate_hz / hz(k)));
            let fft = RealFftPlanner::new().plan_fft_forward(n_fft);
            let halved = octave + 1 < count && hop % 2 == 0;
            octaves.push(Octave {
                framer: Framer::new(n_fft, hop, true),
                bank: Bank {
                    windowed: fft.make_input_vec(),
                    spectrum: fft.make_output_vec(),
                    scratch: fft.make_scratch_vec(),
                    flat: Vec::with_capacity(n_fft + 2),
                    fft,
                    filters: filters.collect(),
                },
                ready: VecDeque::new(),
                halver: halved.then(Halver::new).transpose()?,
            });
            if halved {
                rate /= 2.0;
                hop /= 2;
            }
        }
        let (row, line) = (vec![0.0; n_bins], Vec::with_capacity(PIECE));
        let hop_length = hop_length as u64;
        Ok(Self { n_bins, hop_length, early, octaves, row, samples: 0, frames: 0, line })
    }

    /// Number of bands.
    pub fn n_bins(&self) -> usize {
        self.n_bins
    }

    /// Adds samples and calls `each` with the magnitudes of every frame that is complete, the lowest band first. Frames come late by
    /// half of the longest filter (0.26 s with the defaults) and up to half a second more.
    pub fn push(&mut self, samples: &[f32], each: &mut impl FnMut(&[f32])) {
        for piece in samples.chunks(PIECE) {
            self.samples += piece.len() as u64;
            self.line.clear();
            self.line.extend_from_slice(piece);
            self.descend(false);
            self.emit(u64::MAX, each);
        }
    }

    /// Calls `each` for the frames that are left: there are `1 + samples / hop_length` in all, none without samples.
    pub fn finish(mut self, each: &mut impl FnMut(&[f32])) {
        if self.samples == 0 {
            return;
        }
        self.line.clear();
        self.descend(true);
        self.emit(1 + self.samples / self.hop_length, each);
    }

    /// Gives `line` to all octaves, and what they hold back after the `last` one.
    fn descend(&mut self, last: bool) {
        for halver in &mut self.early {
            halver.halve(&mut self.line, last);
        }
        for octave in &mut self.octaves {
            octave.push(&self.line);
            if last {
                octave.finish();
            }
            if let Some(halver) = &mut octave.halver {
                halver.halve(&mut self.line, last);
            }
        }
    }

    /// Hands over the frames that all octaves have, up to `limit` in all.
    fn emit(&mut self, limit: u64, each: &mut impl FnMut(&[f32])) {
        while self.frames < limit && self.octaves.iter().all(|o| o.ready.len() >= o.bank.filters.len()) {
            let mut end = self.n_bins;
            for octave in &mut self.octaves {
                let start = end - octave.bank.filters.len();
                for (to, value) in self.row[start..end].iter_mut().zip(octave.ready.drain(..end - start)) {
                    *to = value;
                }
                end = start;
            }
            self.frames += 1;
            each(&self.row);
        }
    }
}

/// One octave, and what leads to the one below.
struct Octave {
    framer: Framer,
    bank: Bank,
    /// Magnitudes frame by frame, which wait for the other octaves.
    ready: VecDeque<f32>,
    halver: Option<Halver>,
}

impl Octave {
    fn push(&mut self, samples: &[f32]) {
        let (bank, ready) = (&mut self.bank, &mut self.ready);
        self.framer.push(samples, &mut |frame| bank.apply(frame.samples, ready));
    }

    fn finish(&mut self) {
        let framer = std::mem::replace(&mut self.framer, Framer::new(1, 1, false));
        let (bank, ready) = (&mut self.bank, &mut self.ready);
        framer.finish(&mut |frame| bank.apply(frame.samples, ready));
    }
}

/// The filters of an octave.
struct Bank {
    fft: Arc<dyn RealToComplex<f32>>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// Real and imaginary parts of the spectrum by turns.
    flat: Vec<f32>,
    filters: Vec<Filter>,
}

impl Bank {
    fn apply(&mut self, frame: &[f32], out: &mut VecDeque<f32>) {
        self.windowed.copy_from_slice(frame);
        let done = self.fft.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        self.flat.clear();
        self.flat.extend(self.spectrum.iter().flat_map(|x| [x.re, x.im]));
        for filter in &self.filters {
            let spectrum = &self.flat[2 * filter.first..];
            let (re, im) = (dot(&filter.real, spectrum), dot(&filter.imaginary, spectrum));
            out.push_back((re * re + im * im).sqrt());
        }
    }
}

/// Spectrum of a filter where it is not zero, arranged for products with real and imaginary parts by turns.
struct Filter {
    /// First bin.
    first: usize,
    /// `re, -im` of each bin: the product is the real part.
    real: Vec<f32>,
    /// `im, re` of each bin.
    imaginary: Vec<f32>,
}

impl Filter {
    /// A Hann window of `length` samples around a tone of `cycles` per sample; a sine of amplitude 1 gives `sqrt(scale) / 2`.
    fn new(n_fft: usize, length: f64, cycles: f64, scale: f64) -> Self {
        // librosa's `arange(-length // 2, length // 2)`.
        let start = (-length / 2.0).floor();
        let count = ((length / 2.0).floor() - start).max(1.0) as usize;
        let window = hann(count, count);
        let sum: f64 = window.iter().map(|w| f64::from(*w)).sum();
        let gain = scale.sqrt() / (sum.max(f64::MIN_POSITIVE) * n_fft as f64);
        let mut spectrum = vec![Complex::new(0.0f32, 0.0); n_fft];
        let before = (n_fft - count) / 2;
        for (n, (to, w)) in spectrum[before..].iter_mut().zip(&window).enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * cycles * (start + n as f64)).sin_cos();
            let w = gain * f64::from(*w);
            *to = Complex::new((w * cos) as f32, (w * sin) as f32);
        }
        FftPlanner::new().plan_fft_forward(n_fft).process(&mut spectrum);
        spectrum.truncate(n_fft / 2 + 1);

        let size = |x: &Complex<f32>| x.re.hypot(x.im);
        let mut sizes: Vec<f32> = spectrum.iter().map(size).collect();
        sizes.sort_by(f32::total_cmp);
        let all: f64 = sizes.iter().map(|s| f64::from(*s)).sum();
        let mut below = 0.0;
        let least = sizes.into_iter().find(|s| {
            below += f64::from(*s) / all;
            below >= SPARSITY
        });
        let kept = |x: &Complex<f32>| least.is_none_or(|least| size(x) >= least);
        let first = spectrum.iter().position(kept).unwrap_or(0);
        let end = spectrum.iter().rposition(kept).map_or(first, |last| last + 1);
        let bins = spectrum[first..end].iter().map(|x| if kept(x) { *x } else { Complex::new(0.0, 0.0) });
        let (real, imaginary): (Vec<_>, Vec<_>) = bins.map(|x| ([x.re, -x.im], [x.im, x.re])).unzip();
        Self { first, real: real.concat(), imaginary: imaginary.concat() }
    }
}

/// Halves the rate: output `n` lies at input `2 n`. The filter of [`Quality::Good`] begins to fall at 0.913 of the new Nyquist frequency and
/// has fallen there, as that of librosa's `soxr_hq`: a filter as good but less steep would differ by up to 1 % at the ends of a recording.
struct Halver {
    resampler: Resampler,
    input: Buffer,
    output: Buffer,
}

impl Halver {
    fn new() -> Result<Self> {
        // Only the ratio of the rates counts.
        let spec = |rate_hz| Spec::new(rate_hz, ChannelLayout::MONO);
        let resampler = Resampler::new(2, 1, 1, Quality::Good)?;
        Ok(Self { resampler, input: Buffer::new(spec(2), PIECE), output: Buffer::new(spec(1), PIECE) })
    }

    /// Replaces the samples by what is ready at half the rate; after the `last` ones by all that is left.
    fn halve(&mut self, line: &mut Vec<f32>, last: bool) {
        self.input.set_frames(line.len());
        self.input.channel_mut(0).copy_from_slice(line);
        self.resampler.process(&self.input, &mut self.output);
        line.clear();
        line.extend_from_slice(self.output.channel(0));
        if last {
            self.resampler.finish(&mut self.output);
            line.extend_from_slice(self.output.channel(0));
        }
    }
}

/// Bands for chroma: three per semitone over seven octaves from C1 on, the defaults of `librosa.feature.chroma_cqt`.
pub const CHROMA_BANDS: CqtParams = CqtParams { fmin: C1_HZ, n_bins: 252, bins_per_octave: 36 };

/// Pitch classes from C on of a frame with [`CHROMA_BANDS`], the largest 1; all 0 for silence.
pub fn chroma_of(bands: &[f32]) -> [f32; CLASSES] {
    let per_class = CHROMA_BANDS.bins_per_octave / CLASSES;
    let mut chroma = [0.0f32; CLASSES];
    for (k, band) in bands.iter().enumerate() {
        chroma[(k + per_class / 2) / per_class % CLASSES] += band;
    }
    let largest = chroma.iter().fold(0.0f32, |a, b| a.max(*b));
    if largest > f32::MIN_POSITIVE {
        chroma.iter_mut().for_each(|c| *c /= largest);
    }
    chroma
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 22_050.0;

    fn run(params: &CqtParams, rate_hz: f64, hop: usize, block: usize, samples: &[f32]) -> Vec<Vec<f32>> {
        let mut rows = Vec::new();
        let mut cqt = Cqt::new(params, rate_hz, hop, 0.0).unwrap();
        let mut each = |row: &[f32]| rows.push(row.to_vec());
        samples.chunks(block).for_each(|block| cqt.push(block, &mut each));
        cqt.finish(&mut each);
        rows
    }

    /// Noise with a tone.
    fn signal(count: usize) -> Vec<f32> {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(seed >> 8) / f64::from(1 << 23) - 1.0
        };
        (0..count).map(|i| (0.1 * noise() + 0.3 * (i as f64 * 0.07).sin()) as f32).collect()
    }

    /// The sum of the definition at the full rate.
    fn plain(params: &CqtParams, rate_hz: f64, middle: usize, band: usize, x: &[f32]) -> f64 {
        let ratio = (2.0 / params.bins_per_octave as f64).exp2();
        let hz = params.fmin * (band as f64 / params.bins_per_octave as f64).exp2();
        let length = (ratio + 1.0) / (ratio - 1.0) * rate_hz / hz;
        let half = (length / 2.0).floor() as i64;
        let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
        for n in -half..=half {
            let w = 0.5 + 0.5 * (std::f64::consts::TAU * n as f64 / length).cos();
            let value = usize::try_from(middle as i64 + n).ok().and_then(|at| x.get(at)).map_or(0.0, |v| f64::from(*v));
            let phase = std::f64::consts::TAU * hz * n as f64 / rate_hz;
            re += w * value * phase.cos();
            im += w * value * phase.sin();
            sum += w;
        }
        re.hypot(im) / sum * length.sqrt()
    }

    #[test]
    fn agrees_with_the_sum_of_the_definition() {
        // Filters are whole samples long at the rate of their octave (up to 1 of 90 samples off), and lose 1 % of their sum: 2 % of the
        // loudest band. At the ends, where the sound is cut off, what they lose counts for more.
        for (params, rate_hz, hop) in [
            (CqtParams::default(), RATE_HZ, 512),
            (CqtParams::default(), 48_000.0, 512),
            (CqtParams { n_bins: 150, bins_per_octave: 36, fmin: 60.0 }, RATE_HZ, 512),
            (CqtParams { n_bins: 30, ..CqtParams::default() }, 8000.0, 441),
        ] {
            let x = signal((2.0 * rate_hz) as usize);
            let rows = run(&params, rate_hz, hop, 5000, &x);
            assert_eq!(rows.len(), 1 + x.len() / hop);
            for t in [rows.len() / 3, rows.len() / 2] {
                let expected: Vec<f64> = (0..params.n_bins).map(|k| plain(&params, rate_hz, t * hop, k, &x)).collect();
                let largest = expected.iter().fold(0.0f64, |a, b| a.max(*b));
                for (k, (got, expected)) in rows[t].iter().zip(&expected).enumerate() {
                    let error = (f64::from(*got) - expected).abs();
                    assert!(error < 0.02 * largest, "{rate_hz} Hz, frame {t}, band {k}: {got} {expected}");
                }
            }
        }
    }

    #[test]
    fn any_block_size_gives_the_same_bits() {
        let x = signal(9000);
        for hop in [512, 160, 441] {
            let whole = run(&CqtParams::default(), RATE_HZ, hop, x.len(), &x);
            assert_eq!(whole.len(), 1 + x.len() / hop);
            for block in [1, 777] {
                assert!(run(&CqtParams::default(), RATE_HZ, hop, block, &x) == whole, "{hop} {block}");
            }
        }
    }

    #[test]
    fn a_tone_has_half_the_root_of_the_length_in_its_band_only() {
        for rate_hz in [11_025.0, 44_100.0, 192_000.0] {
            for band in [12, 45, 83] {
                let hz = C1_HZ * (f64::from(band) / 12.0).exp2();
                let phase = |i: usize| std::f64::consts::TAU * hz * i as f64 / rate_hz;
                let x: Vec<f32> = (0..2 * rate_hz as usize).map(|i| 0.5 * phase(i).sin() as f32).collect();
                let rows = run(&CqtParams::default(), rate_hz, 512, 4096, &x);
                let row = &rows[rows.len() / 2];
                let expected = 0.25 * (16.817 * rate_hz / hz).sqrt();
                // What the sparse filters leave out, 1 %, and lengths in whole samples, up to 1 of 90.
                let ratio = f64::from(row[band as usize]) / expected;
                assert!((ratio - 1.0).abs() < 0.02, "{rate_hz} {band}: {ratio}");
                let far = row.iter().enumerate().filter(|(k, _)| k.abs_diff(band as usize) > 3);
                assert!(far.fold(0.0f32, |a, (_, v)| a.max(*v)) < 0.02 * expected as f32, "{rate_hz} {band}");
            }
        }
    }

    #[test]
    fn octaves_above_half_the_rate_are_left_out() {
        let bins = |rate_hz| Cqt::new(&CqtParams::default(), rate_hz, 512, 0.0).map(|cqt| cqt.n_bins()).ok();
        assert_eq!([8000.0, 8300.0, 1000.0, 100.0].map(bins), [Some(72), Some(84), Some(36), None]);
        let wrong = [
            CqtParams { fmin: f64::NAN, ..CqtParams::default() },
            CqtParams { n_bins: 0, ..CqtParams::default() },
            CqtParams { bins_per_octave: 5, ..CqtParams::default() },
            CqtParams { fmin: 10.0, bins_per_octave: 96, n_bins: 96 },
        ];
        for params in wrong {
            assert!(Cqt::new(&params, 48_000.0, 441, 0.0).is_err(), "{params:?}");
        }
    }

    #[test]
    fn nothing_has_no_frames_and_silence_is_silent() {
        assert!(run(&CqtParams::default(), RATE_HZ, 512, 1, &[]).is_empty());
        let rows = run(&CqtParams::default(), RATE_HZ, 512, 100, &[0.0; 1500]);
        assert_eq!(rows, vec![vec![0.0; 84]; 3]);
        assert_eq!(chroma_of(&[0.0; 252]), [0.0; 12]);
    }

    #[test]
    fn chroma_light_the_class_of_a_tone_in_every_octave() {
        for midi in [36, 45, 59, 71, 90] {
            let hz = 440.0 * ((f64::from(midi) - 69.0) / 12.0).exp2();
            let x: Vec<f32> =
                (0..44_100).map(|i| (std::f64::consts::TAU * hz * f64::from(i) / RATE_HZ).sin() as f32).collect();
            let rows = run(&CHROMA_BANDS, RATE_HZ, 512, 4096, &x);
            let chroma = chroma_of(&rows[rows.len() / 2]);
            assert!((0..12).all(|c| (chroma[c] == 1.0) == (c == midi as usize % 12)), "{midi}: {chroma:?}");
        }
    }
}
