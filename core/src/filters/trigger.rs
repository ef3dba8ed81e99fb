//! Open or closed, with hysteresis and hold, and the gain that glides between: what gate and ducker share.

use super::detector::Sense;
use super::math::{DB_PER_OCTAVE, smoothing};

/// Settings of a [`Trigger`], calculated from parameters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TriggerSettings {
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

impl TriggerSettings {
    /// `lookahead_frames` are part of the hold: the sound that kept it open is still to come. Times are those to cover
    /// 63 % of the way in dB.
    #[allow(clippy::too_many_arguments)] // the parameters of the filters, one by one
    pub fn new(
        rate_hz: f64,
        threshold_dbfs: f64,
        hysteresis_db: f64,
        hold_ms: f64,
        lookahead_frames: usize,
        [open_db, closed_db]: [f64; 2],
        [opening_ms, closing_ms]: [f64; 2],
    ) -> Self {
        Self {
            open: 10f32.powf(threshold_dbfs as f32 / 20.0),
            close: 10f32.powf((threshold_dbfs - hysteresis_db) as f32 / 20.0),
            hold_frames: (hold_ms * rate_hz / 1000.0).round() as u32 + lookahead_frames as u32 + 1,
            when_open: open_db / f64::from(DB_PER_OCTAVE),
            when_closed: closed_db / f64::from(DB_PER_OCTAVE),
            opening: smoothing(opening_ms, rate_hz),
            closing: smoothing(closing_ms, rate_hz),
        }
    }
}

/// State.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trigger {
    /// Frames until it closes; 0 when it is closed.
    open_for: u32,
    /// Reduction in octaves.
    reduction: f64,
}

impl Trigger {
    /// Closed.
    pub fn new(settings: &TriggerSettings) -> Self {
        Self { open_for: 0, reduction: settings.when_closed }
    }

    /// From peak levels to reductions, in place.
    pub fn run(&mut self, s: &TriggerSettings, level: &mut [f32]) {
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

/// Peak levels of `piece` of the block or the key.
pub(super) fn peaks(
    sense: &mut Sense,
    from: &crate::audio::Buffer,
    piece: std::ops::Range<usize>,
    channel: Option<usize>,
    level: &mut [f32],
) {
    sense.load(from, piece.clone());
    sense.level(from, piece, channel, false, level);
}
