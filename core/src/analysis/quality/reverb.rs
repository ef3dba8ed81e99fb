//! Reverberation time, from the recording alone.
//!
//! Where a sound stops, what is left of it dies away at the rate of the room, and nothing is heard to fall faster for long. So straight lines
//! are laid through the level of seven bands, a tenth of a second each, wherever it falls and the direct sound has gone; how steep the
//! steepest twentieth of the lines are, is a measure of the room. Lines and the distribution of their slopes: J. Y. C. Wen, E. A. P. Habets,
//! P. A. Naylor, "Blind estimation of reverberation time based on the distribution of signal decay rates", ICASSP 2008; J. Eaton,
//! N. D. Gaubitch, P. A. Naylor, "Noise-robust reverberation time estimation using spectral decay distributions with reduced computational
//! cost", ICASSP 2013. Only what decays freely is looked at: T. de M. Prego, A. A. de Lima, S. L. Netto, B. Lee, A. Said, R. W. Schafer,
//! T. Kalker, "A blind algorithm for reverberation-time estimation using subband decomposition of speech signals", J. Acoust. Soc. Am.
//! 131(4), 2012. The map from slope to time is our own fit.

use super::verdict::{Severity, Verdict, VerdictName};
use crate::filters::math;

/// Lowest edge of the bands in Hz, and their number: half an octave each, up to 3,960 Hz.
const LOWEST_HZ: f64 = 350.0;
const BANDS: usize = 7;
/// A line goes through the levels of about this time, and falls at least this fast, in dB/s.
const LINE_S: f64 = 0.12;
const SLOWEST: f32 = 10.0;
/// It begins this far below the highest level of the time before: what fell so far is the room and no longer the voice.
const BELOW_PEAK_DB: f32 = 10.0;
const PEAK_S: f64 = 0.3;
/// It differs from the levels by no more than this, RMS: a band of noise scatters by 1.5 to 2 dB.
const MAX_RESIDUAL_DB: f32 = 4.0;
/// Levels below are digital silence, which has no decay.
const LOWEST_DB: f32 = -120.0;
/// Levels are counted in bins of this many dB.
const PER_LEVEL_DB: f32 = 2.0;
const LEVELS: usize = 70;
/// Floor and top of a band: levels that this share of the frames is below, above.
const EDGE_SHARE: f64 = 0.05;
/// A line ends two bins over the floor. A band whose top is less than 26 dB over its floor is not judged: in noise every fall levels off.
/// Of 59 pieces of dry speech with noise at 10 to 20 dB, 20 were taken for a room of 0.6 s or more without that, and 5 with it.
const OVER_FLOOR: usize = 2;
const CONTRAST: usize = 13;
/// Bins of the slopes: each is `2^(1/8)` of the last.
const PER_OCTAVE: f32 = 8.0;
const SLOPES: usize = 56;
/// Lines needed for an answer. Speech of 8 s in a room without noise has 80 to 700.
const MIN_LINES: u64 = 60;
/// The share of the lines that is steeper than the one taken.
const STEEPEST: f64 = 0.05;
/// `log2 rt60 = a + b log2 slope + c log2 (time of a line / LINE_S)`, slope in dB/s: least squares over 1,290 excerpts of 8 to 30 s: 8 speakers,
/// 215 simulated rooms of 0.1 to 2 s (T30, mean of the octaves of 500, 1,000 and 2,000 Hz), half of them with noise at 18 to 40 dB.
/// Longer lines scatter less, so that the steepest are less steep.
const MAP: [f64; 3] = [10.924, -1.650, -1.286];
/// Beyond these times, in seconds, nothing was fitted: the answer stops there.
const SHORTEST_S: f64 = 0.1;
const LONGEST_S: f64 = 3.0;
/// Told from here: ANSI/ASA S12.60-2010 part 1 allows 0.6 s in classrooms of up to 283 m3 and 0.7 s up to 566 m3; studios have 0.2 to 0.4 s
/// (EBU Tech 3276). 0.6 s would tell a part of the rooms that meet it, for the estimate errs by 0.1 s.
const TOLD_S: f64 = 0.7;
/// A warning from here: an exponential decay of 1.0 s leaves a speech transmission index of 0.59 without any noise (T. Houtgast,
/// H. J. M. Steeneken, J. Acoust. Soc. Am. 77(3), 1985), which IEC 60268-16 calls no longer good but fair.
const WARNING_S: f64 = 1.0;
/// Speech gives many lines, and of alike slopes; notes that ring give few, each with a slope of its own. Lines per second of sound, and
/// octaves from the median slope to the one taken. Of speech in rooms nearly all pass; of music taken for a room, two thirds do not.
const LINES_PER_S: f64 = 14.0;
const SPREAD: f64 = 1.3;

/// The last levels of a band, and how often each level came, and each slope of a line that ended at it.
struct Band {
    bins: (usize, usize),
    /// A ring of levels in dB.
    last: Vec<f32>,
    filled: usize,
    levels: Vec<u64>,
    slopes: Vec<u32>,
}

/// Lines through the levels of all bands. 110 kB, whatever the length.
pub(super) struct Reverb {
    bands: Vec<Band>,
    /// Frames of a line, frames before it that the peak is looked for in, and the position in the rings.
    line: usize,
    peak: usize,
    at: usize,
    hop_s: f64,
    /// Frames with sound in any band.
    frames: u64,
}

/// What [`Reverb::finish`] measures.
pub(super) struct Reverberation {
    /// Time in which the sound dies away by 60 dB, in seconds, 0.1 to 3. None: too few decays.
    pub rt60_s: Option<f64>,
    pub verdict: Option<Verdict>,
}

impl Reverb {
    /// For spectra `hop` frames apart, of `hop + 1` bins up to half of `rate_hz`.
    pub fn new(rate_hz: f64, hop: usize) -> Self {
        let hop_s = hop as f64 / rate_hz;
        let frames = |seconds: f64| ((seconds / hop_s).round() as usize).max(3);
        let (line, peak) = (frames(LINE_S), frames(PEAK_S));
        let bin = |k: usize| (LOWEST_HZ * 2f64.powf(k as f64 / 2.0) / (rate_hz / 2.0) * hop as f64).round() as usize;
        let band = |k| Band {
            bins: (bin(k), bin(k + 1)),
            last: vec![0.0; line + peak],
            filled: 0,
            levels: vec![0; LEVELS],
            slopes: vec![0; LEVELS * SLOPES],
        };
        let bands = (0..BANDS).map(band).filter(|band| band.bins.1 <= hop).collect();
        Self { bands, line, peak, at: 0, hop_s, frames: 0 }
    }

    pub fn push(&mut self, power: &[f32]) {
        let size = self.line + self.peak;
        let centre = (self.line - 1) as f32 / 2.0;
        let squares = (self.line * (self.line * self.line - 1)) as f32 / 12.0;
        let count = self.line as f32;
        let level = |db: f32| (((db - LOWEST_DB) / PER_LEVEL_DB) as usize).min(LEVELS - 1);
        let mut heard = false;
        for band in &mut self.bands {
            let db = math::to_db(power[band.bins.0..band.bins.1].iter().sum()) / 2.0;
            if db < LOWEST_DB {
                band.filled = 0;
                continue;
            }
            heard = true;
            band.levels[level(db)] += 1;
            band.last[self.at] = db;
            band.filled = (band.filled + 1).min(size);
            if band.filled <= self.line {
                continue;
            }
            // Least squares from the oldest to the newest, against the newest: f32 suffices.
            let first = self.at + size + 1 - self.line;
            let (mut sum, mut sum_squares, mut product) = (0.0, 0.0, 0.0);
            for n in 0..self.line {
                let y = band.last[(first + n) % size] - db;
                sum += y;
                sum_squares += y * y;
                product += y * (n as f32 - centre);
            }
            let per_frame = product / squares;
            let slope = -per_frame / self.hop_s as f32;
            if slope < SLOWEST {
                continue;
            }
            let mean = sum / count;
            let residual = (sum_squares - per_frame * product) / count - mean * mean;
            let (begin, end) = (db + mean - per_frame * centre, db + mean + per_frame * centre);
            let before = (0..=band.filled - self.line).map(|n| band.last[(first + size - n) % size]);
            let peak = before.fold(f32::NEG_INFINITY, f32::max);
            if residual > MAX_RESIDUAL_DB * MAX_RESIDUAL_DB || peak - begin < BELOW_PEAK_DB || end < LOWEST_DB {
                continue;
            }
            let octaves = math::log2(slope / SLOWEST) * PER_OCTAVE;
            let found = &mut band.slopes[level(end) * SLOPES + (octaves as usize).min(SLOPES - 1)];
            *found = found.saturating_add(1);
        }
        self.frames += u64::from(heard);
        self.at = (self.at + 1) % size;
    }

    /// How many lines of each slope end over the floor.
    fn slopes(&self) -> [u64; SLOPES] {
        let mut slopes = [0; SLOPES];
        for band in &self.bands {
            let wanted = (band.levels.iter().sum::<u64>() as f64 * EDGE_SHARE).ceil() as u64;
            let edge = |sum: &mut u64, count: &u64| {
                *sum += count;
                *sum >= wanted
            };
            let (mut below, mut above) = (0, 0);
            let floor = band.levels.iter().position(|count| edge(&mut below, count)).unwrap_or(0);
            let top = band.levels.iter().rposition(|count| edge(&mut above, count)).unwrap_or(0);
            if top >= floor + CONTRAST {
                for level in band.slopes.chunks(SLOPES).skip(floor + OVER_FLOOR) {
                    for (to, count) in slopes.iter_mut().zip(level) {
                        *to += u64::from(*count);
                    }
                }
            }
        }
        slopes
    }

    pub fn finish(&self) -> Reverberation {
        let slopes = self.slopes();
        let decays = slopes.iter().sum::<u64>();
        if decays < MIN_LINES {
            return Reverberation { rt60_s: None, verdict: None };
        }
        let (median, steepest) = (percentile(&slopes, 0.5), percentile(&slopes, 1.0 - STEEPEST));
        let line_s = self.line as f64 * self.hop_s;
        let rt60_s = (MAP[0] + MAP[1] * steepest + MAP[2] * (line_s / LINE_S).log2()).exp2();
        let rt60_s = rt60_s.clamp(SHORTEST_S, LONGEST_S);
        let per_s = decays as f64 / (self.frames as f64 * self.hop_s);
        let told = rt60_s >= TOLD_S && per_s >= LINES_PER_S && steepest - median <= SPREAD;
        let verdict = told.then(|| {
            let severity = if rt60_s >= WARNING_S { Severity::Warning } else { Severity::Info };
            let text =
                format!("a reverberant room: sound takes about {rt60_s:.1} s to die away by 60 dB ({decays} decays).");
            Verdict::new(VerdictName::Reverberant, severity, (rt60_s, TOLD_S, "s"), text)
        });
        Reverberation { rt60_s: Some(rt60_s), verdict }
    }
}

/// Base-2 logarithm of the slope in dB/s that this share of the lines is below.
fn percentile(slopes: &[u64; SLOPES], share: f64) -> f64 {
    let wanted = slopes.iter().sum::<u64>() as f64 * share;
    let mut sum = 0.0;
    let mut bins = 0.0;
    for (bin, count) in slopes.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = *count as f64;
        bins = bin as f64 + ((wanted - sum) / count).clamp(0.0, 1.0);
        sum += count;
        if sum >= wanted {
            break;
        }
    }
    f64::from(SLOWEST).log2() + bins / f64::from(PER_OCTAVE)
}

#[cfg(test)]
mod tests {
    use super::super::spectrum::Spectra;
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};

    fn noise(frames: usize) -> impl Iterator<Item = f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        (0..frames).map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
        })
    }

    fn measure(samples: &[f32], rate_hz: u32) -> Reverberation {
        let hop = ((f64::from(rate_hz) * 0.016) as usize).next_power_of_two();
        let spec = Spec::new(rate_hz, ChannelLayout::from_count(1));
        let (mut spectra, mut reverb) = (Spectra::new(hop, 1), Reverb::new(f64::from(rate_hz), hop));
        for block in samples.chunks(hop) {
            if spectra.push(&Buffer::from_channels(spec, &[block.to_vec()])) {
                reverb.push(&spectra.power);
            }
        }
        reverb.finish()
    }

    /// Noise of 0.2 s that dies away for 0.6 s, again and again, over a floor 70 dB below.
    fn bursts(rt60_s: f64, rate_hz: u32, seconds: usize, gain: f64) -> Vec<f32> {
        let frames = rate_hz as usize * seconds;
        let level = |n: usize| {
            let t = n as f64 / f64::from(rate_hz) % 0.8;
            10f64.powf(-3.0 * (t - 0.2).max(0.0) / rt60_s) + 10f64.powf(-3.5)
        };
        noise(frames).enumerate().map(|(n, x)| (gain * level(n) * x) as f32).collect()
    }

    #[test]
    fn decays_of_known_time_are_measured_at_every_rate() {
        for rate_hz in [16_000, 44_100, 48_000] {
            for rt60_s in [0.3, 0.6, 1.2] {
                let found = measure(&bursts(rt60_s, rate_hz, 30, 0.3), rate_hz);
                let got_s = found.rt60_s.unwrap();
                // The map is that of speech in rooms, and these fall all at the same rate: a third of an octave, or a quarter of the time.
                assert!((got_s / rt60_s).log2().abs() < 0.34, "{rate_hz} Hz, {rt60_s} s: {got_s:.2} s");
                let told = found.verdict.map(|v| v.severity);
                let wanted =
                    (got_s >= TOLD_S).then_some(if got_s >= WARNING_S { Severity::Warning } else { Severity::Info });
                assert_eq!(told, wanted, "{rate_hz} Hz, {rt60_s} s");
            }
        }
    }

    #[test]
    fn the_level_does_not_matter() {
        let loud = measure(&bursts(0.6, 48_000, 20, 0.8), 48_000).rt60_s.unwrap();
        // 20 dB are whole bins; 21.3 dB move each level within them.
        let soft = [0.08, 0.069].map(|gain| measure(&bursts(0.6, 48_000, 20, gain), 48_000).rt60_s.unwrap());
        assert!((soft[0] / loud - 1.0).abs() < 0.01 && (soft[1] / loud - 1.0).abs() < 0.05, "{loud} {soft:?}");
    }

    #[test]
    fn what_does_not_decay_has_no_answer() {
        let rate_hz = 48_000;
        let tone =
            |hz: f64| (0..rate_hz * 10).map(move |n| 0.3 * (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin());
        let hiss: Vec<f32> = noise(rate_hz * 10).map(|x| (0.1 * x) as f32).collect();
        let sines: Vec<f32> = tone(440.0).zip(tone(2_000.0)).map(|(a, b)| (a + b) as f32).collect();
        for (name, samples) in
            [("noise", hiss), ("tones", sines), ("silence", vec![0.0; 480_000]), ("nothing", Vec::new())]
        {
            let found = measure(&samples, 48_000);
            assert!(found.rt60_s.is_none() && found.verdict.is_none(), "{name}: {:?}", found.rt60_s);
        }
    }

    #[test]
    fn too_few_decays_have_no_answer() {
        let found = measure(&bursts(0.6, 48_000, 1, 0.3)[..30_000], 48_000);
        assert!(found.rt60_s.is_none(), "{:?}", found.rt60_s);
    }
}
