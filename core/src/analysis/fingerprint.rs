//! Acoustic fingerprint by which AcoustID finds a recording: Chromaprint's algorithm 2, the one that `fpcalc` computes by default.
//!
//! The mean of the channels at 11,025 Hz and 16 bits; spectra of 4096 samples every 1365 (Hamming window); the power between 28 and 3520 Hz
//! by pitch class; a short smoothing over time; vectors of length 1. Sixteen differences between areas of 16 such frames by 12 classes, in
//! four steps each, make 32 bits per frame (Y. Ke et al., *Computer vision for music identification*, CVPR 2005; D. Jang et al., *Pairwise
//! boosted audio fingerprint*, 2009). The numbers below are those of Chromaprint (L. Lalinský, MIT licence), which they must be: a
//! fingerprint is of use only beside others of its kind.
//!
//! Bits differ from fpcalc's where a difference lies close to the edge of a step, because decoders and roundings differ.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::features::Framer;
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels::{bessel_i0, dot};
use crate::error::{Error, Result};

/// Rate that is looked at.
const RATE_HZ: u32 = 11_025;
const FRAME: usize = 4096;
const HOP: usize = 1365;
/// Classes from A on.
const CLASSES: usize = 12;
const FMIN_HZ: f64 = 28.0;
const FMAX_HZ: f64 = 3520.0;
/// Weights of five neighbouring frames.
const SMOOTHING: [f64; 5] = [0.25, 0.75, 1.0, 0.75, 0.25];
/// Shorter vectors count as silence.
const SILENCE: f64 = 0.01;
/// Frames that a number is made of.
const WIDTH: usize = 16;
/// What Chromaprint calls algorithm 2 counts from 0 in a fingerprint.
const ALGORITHM: u8 = 1;

/// What is subtracted from what, in an area of frames by classes.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// All of it, from nothing.
    Whole,
    /// The lower classes from the upper.
    Classes,
    /// The earlier frames from the later.
    Frames,
    /// The other quarters from that of the upper classes in the earlier frames and the opposite one.
    Quarters,
    /// The outer classes from the middle third.
    MiddleClasses,
    /// The outer frames from the middle third.
    MiddleFrames,
}

/// Shape; first class, number of classes, number of frames; where the second, third and fourth step begin.
type Classifier = (Shape, usize, usize, usize, [f64; 3]);

/// From the highest two bits to the lowest.
const CLASSIFIERS: [Classifier; 16] = [
    (Shape::Whole, 4, 3, 15, [1.98215, 2.35817, 2.63523]),
    (Shape::MiddleClasses, 4, 6, 15, [-1.03809, -0.651211, -0.282167]),
    (Shape::Classes, 0, 4, 16, [-0.298702, 0.119262, 0.558497]),
    (Shape::Quarters, 8, 2, 12, [-0.105439, 0.0153946, 0.135898]),
    (Shape::Quarters, 4, 4, 8, [-0.142891, 0.0258736, 0.200632]),
    (Shape::MiddleClasses, 0, 3, 5, [-0.826319, -0.590612, -0.368214]),
    (Shape::Classes, 2, 2, 9, [-0.557409, -0.233035, 0.0534525]),
    (Shape::Frames, 7, 3, 4, [-0.0646826, 0.00620476, 0.0784847]),
    (Shape::Frames, 6, 2, 16, [-0.192387, -0.029699, 0.215855]),
    (Shape::Frames, 1, 3, 2, [-0.0397818, -0.00568076, 0.0292026]),
    (Shape::MiddleFrames, 10, 1, 15, [-0.53823, -0.369934, -0.190235]),
    (Shape::Quarters, 6, 2, 10, [-0.124877, 0.0296483, 0.139239]),
    (Shape::Frames, 1, 1, 14, [-0.101475, 0.0225617, 0.231971]),
    (Shape::Quarters, 5, 6, 4, [-0.0799915, -0.00729616, 0.063262]),
    (Shape::Classes, 9, 2, 12, [-0.272556, 0.019424, 0.302559]),
    (Shape::Quarters, 4, 2, 14, [-0.164292, -0.0321188, 0.0846339]),
];

/// What a fingerprint is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FingerprintParams {
    /// Only the beginning counts, of so many seconds. 5 to 3600, default 120, which AcoustID expects.
    pub length_s: f64,
}

impl Default for FingerprintParams {
    fn default() -> Self {
        Self { length_s: 120.0 }
    }
}

/// What AcoustID is asked with, together with the duration of the recording.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// Chromaprint's algorithm, counted from 1: 2.
    pub algorithm: u32,
    /// Duration of the whole recording in seconds.
    pub duration_s: f64,
    /// Compressed fingerprint in base64 for URLs, as `fpcalc` prints it. Recordings of less than 2.6 s have one without content.
    pub text: String,
}

/// Makes the fingerprint of a stream of blocks; any split gives the same. Takes 32 bytes of memory a second, up to `length_s`.
pub struct Fingerprinter {
    spec: Spec,
    mono: Vec<f32>,
    converter: Converter,
    low: Vec<f32>,
    /// Samples at the low rate that still count.
    left: u64,
    frames: u64,
    framer: Framer,
    prints: Prints,
}

impl Fingerprinter {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for parameters, or a rate outside 1 kHz to 768 kHz.
    pub fn new(spec: Spec, params: &FingerprintParams) -> Result<Self> {
        Error::check_range("rate_hz", spec.rate_hz.into(), 1000.0, 768_000.0, "Hz")?;
        Error::check_range("length_s", params.length_s, 5.0, 3600.0, "s")?;
        Ok(Self {
            spec,
            mono: Vec::new(),
            converter: Converter::new(spec.rate_hz),
            low: Vec::new(),
            left: (params.length_s * f64::from(RATE_HZ)) as u64,
            frames: 0,
            framer: Framer::new(FRAME, HOP, false),
            prints: Prints::new(),
        })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when its spec is another.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        super::check_spec(self.spec, block.spec())?;
        self.frames += block.frames() as u64;
        if self.left > 0 {
            super::mix_to_mono(block, &mut self.mono);
            self.mono.iter_mut().for_each(|x| *x = to_16_bits(*x * 32_768.0));
            self.converter.push(&self.mono, &mut self.low);
            self.take();
        }
        Ok(())
    }

    /// The fingerprint of all that was pushed.
    pub fn finish(mut self) -> Fingerprint {
        if self.left > 0 {
            self.converter.finish(&mut self.low);
            self.take();
        }
        Fingerprint {
            algorithm: u32::from(ALGORITHM) + 1,
            duration_s: self.spec.seconds(self.frames),
            text: BASE64_URL_SAFE_NO_PAD.encode(compress(&self.prints.numbers)),
        }
    }

    fn take(&mut self) {
        let count = self.low.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= count as u64;
        // The part of a frame that is left at the end does not count.
        self.framer.push(&self.low[..count], &mut |frame| self.prints.frame(frame.samples));
        self.low.clear();
    }
}

fn to_16_bits(x: f32) -> f32 {
    x.round_ties_even().clamp(-32_768.0, 32_767.0)
}

/// Zero crossings of the sinc, its width against the lower Nyquist frequency, Kaiser's beta, most phases that are kept.
const CONVERTER_SIZE: f64 = 16.0;
const CONVERTER_CUTOFF: f64 = 0.8;
const CONVERTER_BETA: f64 = 9.0;
const CONVERTER_PHASES: u64 = 1024;

/// Conversion to 11,025 Hz by the low-pass with which fpcalc converts: it begins to fall at 2.8 kHz, inside of what is looked at, so that
/// a better one would change the fingerprint.
struct Converter {
    /// Rates by their greatest common divisor.
    step: u64,
    phases: u64,
    /// Taps of each phase, one after the other; none when there is nothing to convert.
    taps: Vec<f32>,
    count: usize,
    /// From the first sample of the next output on, and its number in the stream with `count / 2` zeros before.
    history: Vec<f32>,
    start: u64,
    seen: u64,
    given: u64,
}

impl Converter {
    fn new(rate_hz: u32) -> Self {
        let (mut a, mut b) = (u64::from(rate_hz), u64::from(RATE_HZ));
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (step, phases) = (u64::from(rate_hz) / a, u64::from(RATE_HZ) / a);
        let factor = (CONVERTER_CUTOFF * phases as f64 / step as f64).min(1.0);
        let count = if step == phases { 0 } else { (CONVERTER_SIZE / factor).ceil() as usize };
        let center = (count.max(1) - 1) / 2;
        let kept = phases.min(CONVERTER_PHASES);
        let mut taps = Vec::with_capacity(count * kept as usize);
        for phase in 0..if count == 0 { 0 } else { kept } {
            let row: Vec<f64> = (0..count)
                .map(|i| {
                    let distance = i as f64 - center as f64 - phase as f64 / kept as f64;
                    let x = std::f64::consts::PI * distance * factor;
                    let w = 2.0 * distance / count as f64;
                    let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
                    sinc * bessel_i0(CONVERTER_BETA * (1.0 - w * w).max(0.0).sqrt())
                })
                .collect();
            let sum: f64 = row.iter().sum();
            taps.extend(row.iter().map(|tap| (tap / sum) as f32));
        }
        Self { step, phases, taps, count, history: vec![0.0; center], start: 0, seen: 0, given: 0 }
    }

    /// Appends what is ready.
    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.seen += samples.len() as u64;
        if self.count == 0 {
            out.extend_from_slice(samples);
            return;
        }
        for piece in samples.chunks(FRAME) {
            self.history.extend_from_slice(piece);
            self.produce(u64::MAX, out);
        }
    }

    fn produce(&mut self, limit: u64, out: &mut Vec<f32>) {
        while self.given < limit {
            let (at, rest) = (self.given * self.step / self.phases, self.given * self.step % self.phases);
            let from = (at - self.start) as usize;
            let Some(window) = self.history.get(from..from + self.count) else { break };
            // Where the rates share no large factor, the phase before is close enough.
            let phase = (rest * self.phases.min(CONVERTER_PHASES) / self.phases) as usize;
            out.push(to_16_bits(dot(&self.taps[phase * self.count..(phase + 1) * self.count], window)));
            self.given += 1;
        }
        let next = self.given * self.step / self.phases;
        let done = ((next - self.start) as usize).min(self.history.len());
        self.history.drain(..done);
        self.start += done as u64;
    }

    /// Appends the outputs that reach beyond the end.
    fn finish(&mut self, out: &mut Vec<f32>) {
        if self.count > 0 {
            self.history.resize(self.history.len() + self.count, 0.0);
            self.produce((self.seen * self.phases).div_ceil(self.step), out);
        }
    }
}

/// From frames to numbers of 32 bits.
struct Prints {
    window: Vec<f32>,
    fft: std::sync::Arc<dyn RealToComplex<f32>>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// First bin that counts, and the classes from it on.
    first: usize,
    classes: Vec<usize>,
    /// The last frames before smoothing.
    raw: VecDeque<[f64; CLASSES]>,
    /// The last frames after.
    image: VecDeque<[f64; CLASSES]>,
    numbers: Vec<u32>,
}

impl Prints {
    fn new() -> Self {
        // A Hamming window from end to end, for samples of 16 bits.
        let hamming = |i: usize| 0.54 - 0.46 * (std::f64::consts::TAU * i as f64 / (FRAME - 1) as f64).cos();
        let fft = RealFftPlanner::new().plan_fft_forward(FRAME);
        let bin_hz = f64::from(RATE_HZ) / FRAME as f64;
        let bin = |hz: f64| (hz / bin_hz).round() as usize;
        let class = |k: usize| {
            let octaves = (k as f64 * bin_hz / (440.0 / 16.0)).log2();
            ((CLASSES as f64 * (octaves - octaves.floor())) as usize).min(CLASSES - 1)
        };
        Self {
            window: (0..FRAME).map(|i| (hamming(i) / 32_767.0) as f32).collect(),
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            first: bin(FMIN_HZ),
            classes: (bin(FMIN_HZ)..bin(FMAX_HZ)).map(class).collect(),
            raw: VecDeque::with_capacity(SMOOTHING.len()),
            image: VecDeque::with_capacity(WIDTH),
            numbers: Vec::new(),
        }
    }

    fn frame(&mut self, samples: &[f32]) {
        for ((to, x), w) in self.windowed.iter_mut().zip(samples).zip(&self.window) {
            *to = x * w;
        }
        let done = self.fft.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are those of the plan");
        let mut row = [0.0; CLASSES];
        for (x, class) in self.spectrum[self.first..].iter().zip(&self.classes) {
            row[*class] += f64::from(x.re * x.re + x.im * x.im);
        }
        if self.raw.len() == SMOOTHING.len() {
            self.raw.pop_front();
        }
        self.raw.push_back(row);
        if self.raw.len() < SMOOTHING.len() {
            return;
        }
        let mut smooth = [0.0; CLASSES];
        for (row, weight) in self.raw.iter().zip(SMOOTHING) {
            smooth.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        let length = smooth.iter().map(|x| x * x).sum::<f64>().sqrt();
        smooth.iter_mut().for_each(|x| *x = if length < SILENCE { 0.0 } else { *x / length });
        if self.image.len() == WIDTH {
            self.image.pop_front();
        }
        self.image.push_back(smooth);
        if self.image.len() == WIDTH {
            self.numbers.push(CLASSIFIERS.iter().fold(0, |bits, c| bits << 2 | self.classify(c)));
        }
    }

    /// The two bits of a classifier: its step in Gray code, so that neighbouring steps differ by one bit.
    fn classify(&self, (shape, class, classes, frames, steps): &Classifier) -> u32 {
        let (y, h, w) = (*class, *classes, *frames);
        let area = |frames: std::ops::Range<usize>, classes: std::ops::Range<usize>| -> f64 {
            self.image.range(frames).map(|row| row[classes.clone()].iter().sum::<f64>()).sum()
        };
        let (more, less) = match shape {
            Shape::Whole => (area(0..w, y..y + h), 0.0),
            Shape::Classes => (area(0..w, y + h / 2..y + h), area(0..w, y..y + h / 2)),
            Shape::Frames => (area(w / 2..w, y..y + h), area(0..w / 2, y..y + h)),
            Shape::Quarters => (
                area(0..w / 2, y + h / 2..y + h) + area(w / 2..w, y..y + h / 2),
                area(0..w / 2, y..y + h / 2) + area(w / 2..w, y + h / 2..y + h),
            ),
            Shape::MiddleClasses => {
                let (from, to) = (y + h / 3, y + 2 * (h / 3));
                (area(0..w, from..to), area(0..w, y..from) + area(0..w, to..y + h))
            }
            Shape::MiddleFrames => {
                let (from, to) = (w / 3, 2 * (w / 3));
                (area(from..to, y..y + h), area(0..from, y..y + h) + area(to..w, y..y + h))
            }
        };
        let value = (1.0 + more).ln() - (1.0 + less).ln();
        let step = steps.iter().filter(|begin| value >= **begin).count();
        [0, 1, 3, 2][step]
    }
}

/// Algorithm and count in four bytes; then for each number what has changed since the one before: the distances between the bits that are
/// set, from the lowest on, and 0 after the last, in 3 bits each; after all of them what distances of 7 and more have above 7, in 5 bits.
fn compress(numbers: &[u32]) -> Vec<u8> {
    let (mut short, mut long) = (Bits::default(), Bits::default());
    let mut before = 0;
    for number in numbers {
        let mut changed = number ^ before;
        before = *number;
        while changed != 0 {
            let distance = changed.trailing_zeros() + 1;
            short.push(distance.min(7), 3);
            if distance >= 7 {
                long.push(distance - 7, 5);
            }
            changed = changed.checked_shr(distance).unwrap_or(0);
        }
        short.push(0, 3);
    }
    let count = numbers.len() as u32;
    let mut out = vec![ALGORITHM];
    out.extend_from_slice(&count.to_be_bytes()[1..]);
    out.extend(short.bytes);
    out.extend(long.bytes);
    out
}

/// Values of a few bits, the lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, value: u32, bits: usize) {
        for bit in 0..bits {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(byte) = self.bytes.last_mut() {
                *byte |= ((value >> bit & 1) as u8) << (self.used % 8);
            }
            self.used += 1;
        }
    }
}

/// The numbers of a fingerprint, for tests.
#[cfg(test)]
pub(super) fn numbers_of(text: &str) -> Vec<u32> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let count = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]) as usize;
    let read = |at: &mut usize, bits: usize| -> u32 {
        let bit = |i: usize| u32::from(bytes[4 + i / 8] >> (i % 8) & 1);
        let value = (0..bits).map(|b| bit(*at + b) << b).sum();
        *at += bits;
        value
    };
    let mut at = 0;
    let mut distances: Vec<Vec<u32>> = Vec::new();
    for _ in 0..count {
        distances.push(std::iter::repeat_with(|| read(&mut at, 3)).take_while(|d| *d > 0).collect());
    }
    at = at.next_multiple_of(8);
    let mut before = 0;
    let mut number = |distances: Vec<u32>| {
        let mut bit = 0;
        for distance in distances {
            bit += if distance == 7 { 7 + read(&mut at, 5) } else { distance };
            before ^= 1 << (bit - 1);
        }
        before
    };
    distances.into_iter().map(&mut number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// A melody with harmonics.
    fn melody(rate_hz: u32, seconds: f64) -> Buffer {
        let sample = |i: usize| {
            let t = i as f64 / f64::from(rate_hz);
            let note = [0, 4, 7, 12, 9, 5, 2, 11][(t * 3.0) as usize % 8];
            let hz = 220.0 * (f64::from(note) / 12.0).exp2();
            let tone = |k: f64| (std::f64::consts::TAU * k * hz * t).sin() / k;
            (0.2 * (tone(1.0) + tone(2.0) + tone(3.0) + tone(5.0))) as f32
        };
        let samples: Vec<f32> = (0..(seconds * f64::from(rate_hz)) as usize).map(sample).collect();
        let silent = vec![0.0; samples.len()];
        Buffer::from_channels(Spec::new(rate_hz, ChannelLayout::STEREO), &[samples, silent])
    }

    fn print(audio: &Buffer, block: usize, params: &FingerprintParams) -> Fingerprint {
        let mut printer = Fingerprinter::new(audio.spec(), params).unwrap();
        let mut part = Buffer::new(audio.spec(), block);
        for start in (0..audio.frames()).step_by(block) {
            part.copy_from(audio, start, block.min(audio.frames() - start));
            printer.push(&part).unwrap();
        }
        printer.finish()
    }

    #[test]
    fn any_block_size_gives_the_same_and_other_rates_nearly() {
        let audio = melody(44_100, 12.0);
        let whole = print(&audio, audio.frames(), &FingerprintParams::default());
        assert_eq!((whole.algorithm, whole.duration_s), (2, 12.0));
        for block in [1, 1000] {
            assert_eq!(print(&audio, block, &FingerprintParams::default()), whole);
        }
        let numbers = numbers_of(&whole.text);
        // 132300 samples: 94 frames, of which the smoothing takes 4 and the first number 15 more.
        assert_eq!(numbers.len(), 94 - 4 - 15);
        for rate_hz in [8000, 11_025, 32_000, 47_999, 192_000] {
            let other = numbers_of(&print(&melody(rate_hz, 12.0), 4096, &FingerprintParams::default()).text);
            assert_eq!(other.len(), numbers.len(), "{rate_hz}");
            let bits: u32 = numbers.iter().zip(&other).map(|(a, b)| (a ^ b).count_ones()).sum();
            // Recordings that have nothing to do with each other differ in half of 2400 bits; AcoustID takes up to a third for the same.
            assert!(bits < 60, "{rate_hz}: {bits}");
        }
    }

    #[test]
    fn only_the_beginning_counts() {
        let params = FingerprintParams { length_s: 6.0 };
        let (long, short) = (print(&melody(22_050, 9.0), 777, &params), print(&melody(22_050, 6.0), 777, &params));
        let (long_numbers, short_numbers) = (numbers_of(&long.text), numbers_of(&short.text));
        // 66150 samples: 46 frames. The last ones of the short one reach into its end.
        assert_eq!((long_numbers.len(), short_numbers.len()), (46 - 4 - 15, 46 - 4 - 15));
        assert_eq!(long_numbers[..25], short_numbers[..25]);
        assert_eq!((long.duration_s, short.duration_s), (9.0, 6.0));
    }

    #[test]
    fn too_little_has_no_content_and_silence_has() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let nothing = Fingerprinter::new(spec, &FingerprintParams::default()).unwrap().finish();
        assert_eq!((nothing.text.as_str(), nothing.duration_s), ("AQAAAA", 0.0)); // as Chromaprint's
        let silence = Buffer::from_channels(spec, &[vec![0.0; 48_000 * 5]]);
        let numbers = numbers_of(&print(&silence, 4096, &FingerprintParams::default()).text);
        assert!(!numbers.is_empty() && numbers.iter().all(|n| *n == numbers[0]));
        assert!(Fingerprinter::new(spec, &FingerprintParams { length_s: f64::NAN }).is_err());
        assert!(Fingerprinter::new(Spec::new(500, ChannelLayout::MONO), &FingerprintParams::default()).is_err());
    }

    #[test]
    fn compression_is_chromaprints() {
        // Bits 0 and 2 of the first: distances 1 and 2, end. Bit 31 changes: 32 = 7 + 25, end. Nothing changes: end.
        let bytes = compress(&[5, 5 | 1 << 31, 5 | 1 << 31]);
        let short = 1 | 2 << 3 | 7 << 9; // 1, 2, 0, 7, 0, 0 in 3 bits each
        assert_eq!(bytes, [1, 0, 0, 3, short as u8, (short >> 8) as u8, 0, 25]);
        let mut seed = 1u32;
        let numbers: Vec<u32> = (0..300)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 3 == 0 { seed } else { seed & 1 << (i % 32) }
            })
            .collect();
        assert_eq!(numbers_of(&BASE64_URL_SAFE_NO_PAD.encode(compress(&numbers))), numbers);
    }

    #[test]
    fn conversion_keeps_the_time_and_the_band() {
        for rate_hz in [8000, 44_100, 47_999, 48_000, 96_000] {
            let tone = |rate_hz: u32, count: u32| -> Vec<f32> {
                let phase = |i: u32| std::f64::consts::TAU * 1000.0 * f64::from(i) / f64::from(rate_hz);
                (0..count).map(|i| (10_000.0 * phase(i).sin()) as f32).collect()
            };
            let (mut converter, mut out) = (Converter::new(rate_hz), Vec::new());
            tone(rate_hz, rate_hz).chunks(999).for_each(|x| converter.push(x, &mut out));
            converter.finish(&mut out);
            assert_eq!(out.len(), 11_025);
            let expected = tone(RATE_HZ, RATE_HZ);
            let worst = (100..10_900).map(|n| (out[n] - expected[n]).abs()).fold(0.0f32, f32::max);
            // Half a step of rounding; with 1024 phases of 11025, 2 pi 1000 Hz by a part in 1024 of a sample.
            assert!(worst < if rate_hz == 47_999 { 2.5 } else { 1.5 }, "{rate_hz}: {worst}");
        }
    }
}
