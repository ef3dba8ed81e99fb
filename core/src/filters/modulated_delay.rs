//! What chorus and flanger share: delay lines with an oscillator on each channel.

use super::cells::{CELL_FRAMES, Cells};
use super::fractional_delay::{FractionalDelay, MIN_DELAY_FRAMES};
use super::lfo::{Lfo, LfoShape};
use crate::audio::{Buffer, Spec};

/// Frames that are worked on together.
const LANES: usize = 8;

/// How the delays move and what is mixed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Modulation {
    /// Swings per second.
    pub freq_hz: f64,
    /// Mean delay.
    pub delay_ms: f64,
    /// Swing to each side; at most the mean delay.
    pub depth_ms: f64,
    /// Delayed copies, at equal distances of phase.
    pub voices: usize,
    /// How far each channel is ahead of the one before it.
    pub spread_turns: f64,
    /// Course of the delay.
    pub shape: LfoShape,
    /// Share of the delayed sound that goes into the line again, below 1.
    pub feedback: f32,
    /// Factor of the input.
    pub dry: f32,
    /// Factor of the sum of the copies.
    pub wet: f32,
}

/// Delay lines of all channels with their oscillator.
#[derive(Debug, Default)]
pub struct ModulatedDelay {
    lines: Vec<FractionalDelay>,
    lfo: Lfo,
    cells: Cells,
    rate_hz: f64,
}

impl ModulatedDelay {
    /// Sets up for `spec` and delays of up to `max_delay_ms`. Allocates.
    pub fn prepare(&mut self, spec: Spec, max_delay_ms: f64) {
        self.rate_hz = f64::from(spec.rate_hz);
        // A whole cell is pushed before it is read.
        let frames = (max_delay_ms * self.rate_hz / 1_000.0).ceil() as usize + 2 + CELL_FRAMES;
        self.lines = vec![FractionalDelay::new(frames); spec.channels()];
    }

    /// Takes over a new frequency from here on. Real-time safe.
    pub fn set_frequency(&mut self, freq_hz: f64) {
        self.lfo.set_frequency(freq_hz, self.rate_hz);
    }

    /// Processes a block in place. Real-time safe.
    pub fn process(&mut self, block: &mut Buffer, m: &Modulation) {
        let frames_per_ms = self.rate_hz / 1_000.0;
        let centre = (m.delay_ms * frames_per_ms) as f32;
        let swing = (m.depth_ms.min(m.delay_ms) * frames_per_ms) as f32;
        let mut work = Work { swings: [0.0; CELL_FRAMES], delays: [0.0; CELL_FRAMES], sum: [0.0; CELL_FRAMES] };
        let (lines, lfo) = (&mut self.lines, &mut self.lfo);
        self.cells.for_each(block.frames(), |piece, _| {
            let count = piece.len();
            for (index, (samples, line)) in block.channels_mut().zip(lines.iter_mut()).enumerate() {
                let samples = &mut samples[piece.clone()];
                let ahead = m.spread_turns * index as f64;
                if m.voices == 1 {
                    lfo.fill(m.shape, ahead, &mut work.delays[..count]);
                    work.one_voice(line, samples, m, centre, swing);
                } else {
                    line.push_all(samples);
                    work.sum[..count].fill(0.0);
                    // Half a turn away the swing is the same to the other side.
                    let (fills, sides) = if m.voices.is_multiple_of(2) { (m.voices / 2, 2) } else { (m.voices, 1) };
                    for voice in 0..fills {
                        let swings = &mut work.swings[..count];
                        lfo.fill(m.shape, ahead + voice as f64 / m.voices as f64, swings);
                        for swing in [swing, -swing].into_iter().take(sides) {
                            let delays = &mut work.delays[..count];
                            for (delay, s) in delays.iter_mut().zip(swings.iter()) {
                                *delay = (centre + swing * s).max(MIN_DELAY_FRAMES);
                            }
                            // All samples of the piece are in the line already.
                            line.add_last(delays, &mut work.sum[..count]);
                        }
                    }
                    for (x, y) in samples.iter_mut().zip(&work.sum) {
                        *x = m.dry * *x + m.wet * y;
                    }
                }
            }
            lfo.advance(count);
        });
    }

    /// Forgets the signal; the oscillator starts again.
    pub fn reset(&mut self, freq_hz: f64) {
        self.lines.iter_mut().for_each(FractionalDelay::reset);
        self.lfo.reset();
        self.cells.reset();
        self.lfo.set_frequency(freq_hz, self.rate_hz);
    }
}

/// Room for one piece.
struct Work {
    swings: [f32; CELL_FRAMES],
    delays: [f32; CELL_FRAMES],
    sum: [f32; CELL_FRAMES],
}

impl Work {
    /// One copy, which may go into the line again. `delays` holds the swing, -1 to 1.
    fn one_voice(&mut self, line: &mut FractionalDelay, samples: &mut [f32], m: &Modulation, centre: f32, swing: f32) {
        let delays = &mut self.delays[..samples.len()];
        // The line does not have the present sample yet.
        let mut least = [f32::MAX; LANES];
        for group in delays.chunks_mut(LANES) {
            for (delay, least) in group.iter_mut().zip(&mut least) {
                *delay = (centre + swing * *delay).max(MIN_DELAY_FRAMES + 1.0);
                *least = if *delay < *least { *delay } else { *least };
            }
        }
        let least = least.into_iter().fold(f32::MAX, f32::min) as usize;
        // So many frames bring out nothing of what goes in meanwhile.
        let together = (least - 1) / LANES * LANES;
        if together == 0 {
            for (x, delay) in samples.iter_mut().zip(delays.iter()) {
                let y = line.read(delay - 1.0);
                line.push(*x + m.feedback * y);
                *x = m.dry * *x + m.wet * y;
            }
            return;
        }
        let mut enters = [0.0f32; CELL_FRAMES];
        for (samples, delays) in samples.chunks_mut(together).zip(delays.chunks(together)) {
            let (sum, enters) = (&mut self.sum[..samples.len()], &mut enters[..samples.len()]);
            sum.fill(0.0);
            line.add_next(delays, sum);
            for ((x, y), enters) in samples.iter_mut().zip(sum.iter()).zip(enters.iter_mut()) {
                *enters = *x + m.feedback * y;
                *x = m.dry * *x + m.wet * y;
            }
            line.push_all(enters);
        }
    }
}
