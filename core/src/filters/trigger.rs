//! Open or closed, with hysteresis and hold, and the gain that glides between: what gate and ducker share.

use super::Prepared;
use super::cells::{CELL_FRAMES, Cells};
use super::delay::Delay;
use super::detector::{Sense, apply};
use super::gain_computer::gains;
use super::math::{DB_PER_OCTAVE, smoothing};
use crate::audio::{Buffer, Spec};

/// What a [`Trigger`] does, in the units of the parameters.
pub(super) struct Behaviour {
    /// Peak level that opens.
    pub threshold_dbfs: f64,
    /// How far under that it closes.
    pub hysteresis_db: f64,
    /// How long it stays open.
    pub hold_ms: f64,
    /// Reductions while open and while closed.
    pub reductions_db: [f64; 2],
    /// Times to cover 63 % of the way in dB to open and to closed.
    pub times_ms: [f64; 2],
    /// High-pass in front of the detector; 0 is none.
    pub highpass_hz: f64,
}

/// Settings of a [`Trigger`], calculated from its behaviour.
#[derive(Debug, Clone, Copy, Default)]
struct Settings {
    /// Level that opens, and level under which it closes.
    open: f32,
    close: f32,
    hold_frames: u32,
    /// Reductions in octaves (6.02 dB) while open and closed.
    when_open: f64,
    when_closed: f64,
    /// Coefficients of the ways to open and to closed.
    opening: f64,
    closing: f64,
}

impl Settings {
    /// `lookahead_frames` are part of the hold: the sound that kept it open is still to come.
    fn new(b: &Behaviour, rate_hz: f64, lookahead_frames: usize) -> Self {
        Self {
            open: 10f32.powf(b.threshold_dbfs as f32 / 20.0),
            close: 10f32.powf((b.threshold_dbfs - b.hysteresis_db) as f32 / 20.0),
            hold_frames: (b.hold_ms * rate_hz / 1000.0).round() as u32 + lookahead_frames as u32 + 1,
            when_open: b.reductions_db[0] / f64::from(DB_PER_OCTAVE),
            when_closed: b.reductions_db[1] / f64::from(DB_PER_OCTAVE),
            opening: smoothing(b.times_ms[0], rate_hz),
            closing: smoothing(b.times_ms[1], rate_hz),
        }
    }
}

/// Detector, state and gain. Latency is the look-ahead.
#[derive(Debug)]
pub(super) struct Trigger {
    rate_hz: f64,
    lookahead_frames: usize,
    sense: Sense,
    delays: Vec<Delay>,
    cells: Cells,
    settings: Settings,
    state: State,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            rate_hz: 48_000.0,
            lookahead_frames: 0,
            sense: Sense::new(),
            delays: Vec::new(),
            cells: Cells::default(),
            settings: Settings::default(),
            state: State::default(),
        }
    }
}

impl Trigger {
    /// Sets up for a stream; [`Trigger::set`] and [`Trigger::reset`] must follow. Allocates.
    pub fn prepare(&mut self, spec: Spec, max_frames: usize, lookahead_ms: f64) -> Prepared {
        self.rate_hz = f64::from(spec.rate_hz);
        self.lookahead_frames = (lookahead_ms * self.rate_hz / 1000.0).round() as usize;
        self.delays = vec![Delay::new(self.lookahead_frames); spec.channels()];
        self.sense.prepare(spec.channels());
        Prepared { spec, max_frames, latency_frames: self.lookahead_frames, tail_frames: 0 }
    }

    /// Takes over a behaviour from here on. Real-time safe.
    pub fn set(&mut self, behaviour: &Behaviour) {
        self.settings = Settings::new(behaviour, self.rate_hz, self.lookahead_frames);
        self.sense.set_highpass(behaviour.highpass_hz, self.rate_hz);
    }

    /// Changes the gain of `block` as `heard` says. Real-time safe.
    pub fn process(&mut self, block: &mut Buffer, heard: Heard<'_>) {
        let mut level = [0.0f32; CELL_FRAMES];
        let (sense, delays, state, settings) = (&mut self.sense, &mut self.delays, &mut self.state, &self.settings);
        let frames = if let Heard::Key(key) = heard { key.frames().min(block.frames()) } else { block.frames() };
        self.cells.for_each(frames, |piece, _| {
            let level = &mut level[..piece.len()];
            let (from, channel) = match heard {
                Heard::Key(key) => (Some(key), None),
                Heard::Itself => (Some(&*block), None),
                Heard::Channel(channel) => (Some(&*block), Some(channel)),
                Heard::Nothing => (None, None),
            };
            match from {
                Some(from) => {
                    sense.load(from, piece.clone());
                    sense.level(from, piece.clone(), channel, false, level);
                }
                None => level.fill(0.0),
            }
            state.run(settings, level);
            gains(level, 0.0, 1.0);
            for (index, (samples, delay)) in block.channels_mut().zip(delays.iter_mut()).enumerate() {
                let samples = &mut samples[piece.clone()];
                if channel == Some(index) {
                    delay.process(samples);
                } else {
                    apply(samples, delay, level);
                }
            }
        });
    }

    /// Closes it and forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        self.state = State { open_for: 0, reduction: self.settings.when_closed };
        self.delays.iter_mut().for_each(Delay::reset);
        self.sense.reset();
        self.cells.reset();
    }
}

/// What a [`Trigger`] listens to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Heard<'a> {
    /// Another sound.
    Key(&'a Buffer),
    /// The sound.
    Itself,
    /// A channel of the sound, by its index, which keeps its gain.
    Channel(usize),
    /// Silence.
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Frames until it closes; 0 when it is closed.
    open_for: u32,
    /// Reduction in octaves.
    reduction: f64,
}

impl State {
    /// From peak levels to reductions, in place.
    fn run(&mut self, s: &Settings, level: &mut [f32]) {
        let (mut open_for, mut y) = (self.open_for, self.reduction);
        // Steps of the way, without what a decay needs to end in exactly 0 instead of denormal numbers.
        let to_open = (1.0 - s.opening) * s.when_open - 1e-13;
        let to_closed = (1.0 - s.closing) * s.when_closed - 1e-13;
        for l in level {
            // Both comparisons do not wait for the state.
            let (loud, still) = (*l >= s.open, *l >= s.close);
            let wakes = loud | (still & (open_for > 0));
            open_for = if wakes { s.hold_frames } else { open_for.saturating_sub(1) };
            let (c, step) = if open_for > 0 { (s.opening, to_open) } else { (s.closing, to_closed) };
            y = c * y + step;
            y = if y > 0.0 { y } else { 0.0 };
            // Under 1e-6 octaves is none, so that open is exactly open.
            *l = if y > 1e-6 { y as f32 } else { 0.0 };
        }
        (self.open_for, self.reduction) = (open_for, y);
    }
}
