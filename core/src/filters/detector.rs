//! What the dynamics filters share: where a level is taken from, how it is measured and smoothed.
//!
//! All of it works in place on stretches of at most a cell ([`CELL_FRAMES`]), step by step: first the levels of all
//! frames, then their average, then the gain of each. The loops without memory become vector code; the one-pole smoothers
//! are arranged so that from one frame to the next there is one multiplication, one addition and a maximum to wait for.

use std::ops::Range;

use fearless_simd::{Simd, dispatch};

use super::cells::CELL_FRAMES;
use super::delay::Delay;
use crate::audio::Buffer;
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::kernels;

/// Channels of a key that are heard, at least.
const KEY_CHANNELS: usize = 16;

/// Takes levels from the block or a key, through a high-pass when one is set.
#[derive(Debug)]
pub(super) struct Sense {
    band: Cascade,
    filtered: bool,
    work: Vec<[f32; CELL_FRAMES]>,
}

impl Sense {
    /// Not yet prepared.
    pub fn new() -> Self {
        Self { band: Cascade::new(Vec::new(), 0), filtered: false, work: Vec::new() }
    }

    /// Room for the channels of a block, and 16 of a key. Allocates.
    pub fn prepare(&mut self, channels: usize) {
        let channels = channels.max(KEY_CHANNELS);
        self.band = Cascade::new(vec![Coefficients::IDENTITY], channels);
        self.work = vec![[0.0; CELL_FRAMES]; channels];
    }

    /// Sets the high-pass (Butterworth, 12 dB per octave); 0 Hz is none. Held under 0.45 of the rate. Real-time safe.
    pub fn set_highpass(&mut self, cutoff_hz: f64, rate_hz: f64) {
        self.filtered = false;
        if cutoff_hz <= 0.0 {
            return;
        }
        // Within what a design accepts: an error would allocate.
        let held_hz = cutoff_hz.clamp(1e-4 * rate_hz, 0.45 * rate_hz);
        let design = Coefficients::highpass(rate_hz, held_hz, std::f64::consts::FRAC_1_SQRT_2);
        if let (Ok(design), [section]) = (design, self.band.sections_mut()) {
            *section = design;
            self.filtered = true;
        }
    }

    /// Looks at `piece` of `from`; before [`Sense::level`].
    pub fn load(&mut self, from: &Buffer, piece: Range<usize>) {
        if !self.filtered {
            return;
        }
        for (index, (work, samples)) in self.work.iter_mut().zip(from.channels()).enumerate() {
            let work = &mut work[..piece.len()];
            work.copy_from_slice(&samples[piece.clone()]);
            self.band.process_channel(index, work);
        }
    }

    /// Levels of one channel (the last, when there are fewer), or the largest of all.
    pub fn level(&self, from: &Buffer, piece: Range<usize>, channel: Option<usize>, squares: bool, level: &mut [f32]) {
        level.fill(0.0);
        let (first, count) = match channel {
            Some(c) => (c.min(from.channel_count().saturating_sub(1)), 1),
            None => (0, self.work.len()),
        };
        if self.filtered {
            let heard = from.channel_count();
            self.work
                .iter()
                .take(heard)
                .skip(first)
                .take(count)
                .for_each(|x| raise_to(&x[..piece.len()], squares, level));
        } else {
            from.channels().skip(first).take(count).for_each(|x| raise_to(&x[piece.clone()], squares, level));
        }
    }

    /// Forgets the sound.
    pub fn reset(&mut self) {
        self.band.reset();
    }
}

/// Raises levels to those of `samples`, magnitudes or squares.
pub(super) fn raise_to(samples: &[f32], squares: bool, level: &mut [f32]) {
    dispatch!(kernels::level(), simd => raise_loop(simd, samples, squares, level));
}

#[inline(always)]
fn raise_loop<S: Simd>(_: S, samples: &[f32], squares: bool, level: &mut [f32]) {
    for (l, x) in level.iter_mut().zip(samples) {
        // NaN compares false, so it is ignored. Infinity is limited, so that it does not stay in the average.
        let a = if squares { x * x } else { x.abs() };
        let a = if a < 1e6 { a } else { 0.0 };
        *l = if a > *l { a } else { *l };
    }
}

/// Smooths squares to a mean square in place.
pub(super) fn average(level: &mut [f32], state: &mut f64, coefficient: f64) {
    let (mut y, share) = (*state, 1.0 - coefficient);
    for l in level {
        // The constant is -250 dBFS: it keeps the decay from reaching denormal numbers.
        y = coefficient * y + (share * f64::from(*l) + 1e-25);
        *l = y as f32;
    }
    *state = y;
}

/// What a decay loses per frame besides its share, so that it ends in exactly 0 and not in denormal numbers. For the
/// slowest smoother (5 s at 192 kHz) it makes the value 1e-7 too small.
const LEAK: f64 = 1e-13;

/// Frames of which [`follow`] guesses the direction at once.
const RUN: usize = 16;

/// Smooths values of 0 or more in place: coefficient `up` while they grow, `down` while they shrink. The branching one-pole
/// of Giannoulis et al. (2012), equation 16, without a branch: of the two candidates the larger is that of the right
/// branch when `up <= down`, otherwise the smaller.
pub(super) fn follow(level: &mut [f32], state: &mut f64, up: f64, down: f64) {
    if up <= down {
        follow_by::<false>(level, state, up, down);
    } else {
        follow_by::<true>(level, state, up, down);
    }
}

/// Most stretches only rise or only fall. So a run is made as if it went on as before, which leaves one multiplication and
/// one addition from frame to frame, with the other candidates beside it to see whether that was right; where it was not,
/// the run is made again with both. The same bits, in half the time.
fn follow_by<const SMALLER: bool>(level: &mut [f32], state: &mut f64, up: f64, down: f64) {
    let pick = |rise: f64, fall: f64| {
        if SMALLER {
            if rise < fall { rise } else { fall }
        } else if rise > fall {
            rise
        } else {
            fall
        }
    };
    let (mut y, share_up, share_down) = (*state, 1.0 - up, 1.0 - down);
    let mut rising = false;
    for run in level.chunks_mut(RUN) {
        if y == 0.0 && run.iter().all(|l| *l == 0.0) {
            continue;
        }
        let mut made = [0.0f32; RUN];
        let (keep, share, other_keep, other_share) =
            if rising { (up, share_up, down, share_down) } else { (down, share_down, up, share_up) };
        let (mut guess, mut right) = (y, true);
        for (made, l) in made.iter_mut().zip(run.iter()) {
            let x = f64::from(*l);
            let (this, other) = (keep * guess + (share * x - LEAK), other_keep * guess + (other_share * x - LEAK));
            // Equal candidates are equal whichever is picked.
            right &= this > 0.0 && if SMALLER { this <= other } else { this >= other };
            guess = this;
            *made = guess as f32;
        }
        if right {
            y = guess;
            run.copy_from_slice(&made[..run.len()]);
            continue;
        }
        let before = y;
        for l in run {
            let x = f64::from(*l);
            let (rise, fall) = (up * y + (share_up * x - LEAK), down * y + (share_down * x - LEAK));
            y = pick(rise, fall);
            y = if y > 0.0 { y } else { 0.0 };
            *l = y as f32;
        }
        rising = y > before;
    }
    *state = y;
}

/// Delays a channel and multiplies it by the gains.
pub(super) fn apply(samples: &mut [f32], delay: &mut Delay, gains: &[f32]) {
    delay.process(samples);
    for (x, gain) in samples.iter_mut().zip(gains) {
        *x *= gain;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};
    use crate::filters::Filter;

    /// Distortion and noise of a mono filter on a sine of about 1 kHz at `level_dbfs`, in dB under the sine that comes
    /// out: what is left of the second half of two seconds after the best fit of that sine and a constant is taken out.
    pub fn thd_n_db(filter: &mut dyn Filter, level_dbfs: f64) -> f64 {
        let frames = 96_000;
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let step = std::f64::consts::TAU * 997.0 / 48_000.0;
        let a = 10f64.powf(level_dbfs / 20.0);
        filter.prepare(spec, frames).unwrap();
        let mut block =
            Buffer::from_channels(spec, &[(0..frames).map(|n| (a * (step * n as f64).sin()) as f32).collect()]);
        filter.process(&mut block);
        // 997 whole periods: sine, cosine and constant are orthogonal.
        let y: Vec<f64> = block.channel(0)[48_000..].iter().map(|v| f64::from(*v)).collect();
        let n = y.len() as f64;
        let sum = |f: &dyn Fn(f64) -> f64| y.iter().enumerate().map(|(i, v)| v * f(step * i as f64)).sum::<f64>();
        let (s, c, d) = (2.0 * sum(&f64::sin) / n, 2.0 * sum(&f64::cos) / n, y.iter().sum::<f64>() / n);
        let rest: f64 = y
            .iter()
            .enumerate()
            .map(|(i, v)| (v - d - s * (step * i as f64).sin() - c * (step * i as f64).cos()).powi(2))
            .sum();
        10.0 * (rest / n / ((s * s + c * c) / 2.0)).log10()
    }

    #[test]
    fn follow_is_the_branching_smoother() {
        for (up, down) in [(0.9, 0.99), (0.99, 0.9), (0.0, 0.999), (0.5, 0.5)] {
            let mut x: Vec<f32> =
                (0..2_000u32).map(|i| ((i / 97).wrapping_mul(2_654_435_761) >> 24) as f32 / 64.0).collect();
            let (mut want, mut y) = (Vec::new(), 0.0f64);
            for v in &x {
                let v = f64::from(*v);
                let c = if v > y { up } else { down };
                y = v + c * (y - v);
                want.push(y);
            }
            follow(&mut x, &mut 0.0, up, down);
            for (got, want) in x.iter().zip(want) {
                // f32 results up to 4, and the leak of 1e-13 over 1 / (1 - 0.999) frames.
                assert!((f64::from(*got) - want).abs() < 3e-7, "{up} {down}: {got} {want}");
            }
        }
        let mut state = 1.0;
        follow(&mut [0.0; 3_000], &mut state, 0.9, 0.99);
        assert_eq!(state, 0.0, "ends exactly");
    }

    #[test]
    fn a_key_of_other_channels_and_the_high_pass_are_heard() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let tone = |hz: f32| (0..256).map(|n| (std::f32::consts::TAU * hz * n as f32 / 48_000.0).sin()).collect();
        let block = Buffer::from_channels(spec, &[tone(50.0), tone(6_000.0)]);
        let mut sense = Sense::new();
        sense.prepare(1);
        sense.set_highpass(1_000.0, 48_000.0);
        sense.load(&block, 0..256);
        let mut level = [0.0f32; 256];
        let mut top = |channel| {
            sense.level(&block, 0..256, channel, false, &mut level);
            level[200..].iter().fold(0.0f32, |a, b| a.max(*b))
        };
        // The high-pass leaves (50 / 1000)^2 = 0.0025 of the low tone; its start has decayed.
        assert!(top(Some(0)) < 0.01 && top(Some(1)) > 0.9 && top(Some(9)) > 0.9 && top(None) > 0.9);
        sense.set_highpass(0.0, 48_000.0);
        sense.load(&block, 0..256);
        sense.level(&block, 0..256, Some(0), true, &mut level);
        assert_eq!(level[200], block.channel(0)[200] * block.channel(0)[200]);
    }
}
