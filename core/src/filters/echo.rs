//! Echo.

use super::delay::Delay;
use super::flanger::passes;
use super::math::smoothing;
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Repeats the sound after a time, each repetition quieter and, on request, darker.
    pub struct EchoParams for "echo" in Effects, realtime true {
        /// Time between repetitions.
        delay_ms: f64 = 300.0, 1.0 to 5000.0 "ms";
        /// Level of each repetition against the one before.
        feedback_percent: f64 = 30.0, 0.0 to 95.0 "%";
        /// Each repetition loses what is above this frequency, 6 dB per octave. 20000 leaves it as it is.
        damping_hz: f64 = 20000.0, 100.0 to 20000.0 "Hz";
        /// The repetitions change between neighbouring channels (left and right).
        ping_pong: bool = false;
        /// Share of the repetitions; the rest is the input.
        mix_percent: f64 = 30.0, 0.0 to 100.0 "%";
    }
}

/// See [`EchoParams`]: `w = lowpass(x + feedback w z^-D)`, `y = (1 - mix) x + mix w z^-D`. No latency; the tail ends at
/// -100 dB.
#[derive(Debug)]
pub struct Echo {
    params: EchoParams,
    lines: Vec<Delay>,
    /// What comes out of the lines.
    echoes: Vec<Vec<f32>>,
    /// State of the low-pass of each channel.
    damped: Vec<f32>,
    delay_frames: usize,
    damping: f32,
    rate_hz: f64,
}

/// Frames that are handled at once; at most the delay.
const PIECE_FRAMES: usize = 256;

impl Echo {
    /// An echo of `params`.
    pub fn new(params: &EchoParams) -> Self {
        Self {
            params: params.clone(),
            lines: Vec::new(),
            echoes: Vec::new(),
            damped: Vec::new(),
            delay_frames: 0,
            damping: 0.0,
            rate_hz: 48_000.0,
        }
    }

    fn update(&mut self) {
        let hz = self.params.damping_hz;
        let off = hz >= 20_000.0 || hz >= 0.45 * self.rate_hz;
        self.damping = if off { 0.0 } else { smoothing(1_000.0 / (std::f64::consts::TAU * hz), self.rate_hz) as f32 };
    }
}

impl Filter for Echo {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        self.delay_frames = ((self.params.delay_ms * self.rate_hz / 1_000.0).round() as usize).max(1);
        self.lines = vec![Delay::new(self.delay_frames); spec.channels()];
        self.echoes = vec![vec![0.0; PIECE_FRAMES.min(self.delay_frames)]; spec.channels()];
        self.damped = vec![0.0; spec.channels()];
        self.reset();
        let repetitions = passes(self.params.feedback_percent / 100.0).ceil() as usize;
        // The low-pass takes a little longer to fade than the loop: a hundred time constants are beyond doubt.
        let lowpass_frames = if self.damping > 0.0 {
            (100.0 * self.rate_hz / (std::f64::consts::TAU * self.params.damping_hz)) as usize
        } else {
            0
        };
        let tail_frames = repetitions * self.delay_frames + lowpass_frames;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let channels = self.lines.len();
        if channels == 0 || block.channel_count() != channels {
            return;
        }
        let wet = (self.params.mix_percent / 100.0) as f32;
        let (dry, feedback) = (1.0 - wet, (self.params.feedback_percent / 100.0) as f32);
        let room = self.echoes[0].len();
        let mut start = 0;
        while start < block.frames() {
            let count = room.min(block.frames() - start);
            // As the delay is at least as long as a piece, all of its echoes are known: exchange silence for them.
            for (echo, line) in self.echoes.iter_mut().zip(&self.lines) {
                line.peek(&mut echo[..count]);
            }
            for (index, line) in self.lines.iter_mut().enumerate() {
                // The echo that is fed back: with ping-pong that of the neighbour.
                let other = if self.params.ping_pong { (index ^ 1).min(channels - 1) } else { index };
                let samples = &mut block.channel_mut(index)[start..start + count];
                let mut fed = [0.0f32; PIECE_FRAMES];
                let fed = &mut fed[..count];
                for ((w, x), e) in fed.iter_mut().zip(samples.iter()).zip(&self.echoes[other]) {
                    let sum = *x + feedback * e;
                    // NaN, infinity and what would become denormal do not enter the loop.
                    *w = if sum.abs() < 1e6 && sum.abs() > 1e-20 { sum } else { 0.0 };
                }
                if self.damping > 0.0 {
                    let mut y = self.damped[index];
                    for w in fed.iter_mut() {
                        y = *w + self.damping * (y - *w);
                        y = if y.abs() > 1e-20 { y } else { 0.0 };
                        *w = y;
                    }
                    self.damped[index] = y;
                }
                line.process(fed);
                for (x, e) in samples.iter_mut().zip(&self.echoes[index]) {
                    *x = dry * *x + wet * e;
                }
            }
            start += count;
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // The delay decides the length of the lines.
        let set = index != 0 && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.lines.iter_mut().for_each(Delay::reset);
        self.damped.fill(0.0);
        self.update();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn impulse(params: &EchoParams) -> Buffer {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let mut f = Echo::new(params);
        f.prepare(spec, 2_000).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.0; 2_000], vec![0.0; 2_000]]);
        block.channel_mut(0)[3] = 1.0;
        f.process(&mut block);
        block
    }

    #[test]
    fn repetitions_come_at_their_time_and_level() {
        let params = EchoParams { delay_ms: 10.0, feedback_percent: 50.0, mix_percent: 25.0, ..EchoParams::default() };
        let block = impulse(&params);
        for (n, y) in block.channel(0).iter().enumerate() {
            let want = match n {
                3 => 0.75,
                n if n > 3 && (n - 3) % 480 == 0 => 0.25 * 0.5f32.powi((n as i32 - 3) / 480 - 1),
                _ => 0.0,
            };
            assert_eq!(*y, want, "{n}");
        }
        assert!(block.channel(1).iter().all(|y| *y == 0.0));
    }

    #[test]
    fn ping_pong_changes_sides() {
        let params = EchoParams {
            delay_ms: 10.0,
            feedback_percent: 50.0,
            mix_percent: 50.0,
            ping_pong: true,
            ..EchoParams::default()
        };
        let block = impulse(&params);
        let at = |channel: usize, n: usize| block.channel(channel)[3 + 480 * n];
        assert_eq!([at(0, 1), at(1, 1), at(0, 2), at(1, 2), at(0, 3)], [0.5, 0.0, 0.0, 0.25, 0.125]);
    }

    #[test]
    fn damping_is_a_one_pole_low_pass() {
        let params = EchoParams { delay_ms: 10.0, damping_hz: 1_000.0, mix_percent: 100.0, ..EchoParams::default() };
        let block = impulse(&params);
        let pole = (-std::f64::consts::TAU * 1_000.0 / 48_000.0).exp();
        for n in 0..200 {
            let want = (1.0 - pole) * pole.powi(n as i32);
            // f32 state: a rounding of 6e-8 for each step.
            assert!((f64::from(block.channel(0)[483 + n]) - want).abs() < 1e-6, "{n}");
        }
    }
}
