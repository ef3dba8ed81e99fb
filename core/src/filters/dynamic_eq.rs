//! Dynamic equaliser: a bell or shelf whose gain follows the level within its band.
//!
//! The filter is a state-variable filter with trapezoidal integrators, which stays stable and free of clicks while its
//! gain moves with every sample: A. Simper, "Solving the continuous SVF equations using trapezoidal integration and
//! equivalent currents" (Cytomic, 2013). At a constant gain it is the bell or shelf of the *Audio EQ Cookbook*. The level
//! is that of the band alone (band-pass, low-pass or high-pass of the same frequency), and moves the gain as in a
//! compressor: D. Giannoulis, M. Massberg, J. Reiss, JAES 60(6), 2012, equation 4.

use super::cells::{CELL_FRAMES, Cells};
use super::math::{DB_PER_OCTAVE, exp2, log2, smoothing};
use super::params::{FilterParams, filter_choice, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::tail::tail_frames;
use crate::error::Result;

filter_choice! {
    /// Shape of the band.
    pub enum DynamicShape {
        Peak = "peak": "Bell around the frequency.",
        LowShelf = "low_shelf": "Everything below the frequency.",
        HighShelf = "high_shelf": "Everything above the frequency.",
    }
}

filter_choice! {
    /// On which side of the threshold the gain moves.
    pub enum DynamicSide {
        Above = "above": "While the band is louder than the threshold: tames or lifts what is loud.",
        Below = "below": "While the band is quieter than the threshold: lifts or lowers what is quiet.",
    }
}

filter_params! {
    /// Equaliser band whose gain follows the level within the band: tames a resonance only while it sounds.
    pub struct DynamicEqParams for "dynamic_eq" in Tone, realtime true {
        /// Shape of the band.
        shape: DynamicShape = DynamicShape::Peak;
        /// Centre or corner.
        frequency_hz: f64 = 2500.0, 10.0 to 90000.0 "Hz";
        /// Quality: centre divided by bandwidth.
        q: f64 = 1.5, 0.1 to 20.0 "";
        /// Gain while the level does not move it.
        gain_db: f64 = 0.0, -24.0 to 24.0 "dB";
        /// On which side of the threshold the gain moves.
        side: DynamicSide = DynamicSide::Above;
        /// RMS level of the band at which the gain begins to move; a full-scale sine at the centre reads -3.01 dBFS.
        threshold_dbfs: f64 = -30.0, -100.0 to 0.0 "dBFS";
        /// How fast the gain moves: from 1 - 1 / ratio dB per dB beyond the threshold; 2 gives half a dB.
        ratio: f64 = 3.0, 1.0 to 100.0 "";
        /// Furthest that the gain moves: negative lowers the band, positive lifts it.
        range_db: f64 = -9.0, -30.0 to 30.0 "dB";
        /// Width of the soft transition around the threshold.
        knee_db: f64 = 6.0, 0.0 to 36.0 "dB";
        /// Time to cover 63 % of a move away from `gain_db`.
        attack_ms: f64 = 5.0, 0.05 to 500.0 "ms";
        /// Time to cover 63 % of the way back.
        release_ms: f64 = 120.0, 1.0 to 5000.0 "ms";
        /// Time constant of the RMS detector.
        rms_ms: f64 = 5.0, 0.5 to 500.0 "ms";
    }
}

/// Channels of a key that are heard, at least.
const KEY_CHANNELS: usize = 8;

/// State of the filter for one channel: the equivalent currents of the two integrators.
#[derive(Debug, Clone, Copy, Default)]
struct Currents {
    first: f64,
    second: f64,
}

/// Coefficients for each frame of a piece.
struct Course {
    a1: [f64; CELL_FRAMES],
    a2: [f64; CELL_FRAMES],
    a3: [f64; CELL_FRAMES],
    m0: [f64; CELL_FRAMES],
    m1: [f64; CELL_FRAMES],
    m2: [f64; CELL_FRAMES],
}

/// See [`DynamicEqParams`]. All channels share one gain. No latency. NaN and infinity count as silence for the detector.
/// Of a key the first 8 channels are heard, or as many as the sound has.
pub struct DynamicEq {
    params: DynamicEqParams,
    rate_hz: f64,
    cells: Cells,
    band: Cascade,
    /// Channels that `band` has room for.
    detectors: usize,
    currents: Vec<Currents>,
    course: Box<Course>,
    /// `tan(pi f / rate)`.
    warped: f64,
    attack: f64,
    release: f64,
    averaging: f64,
    mean_square: f64,
    /// Present move of the gain in octaves (6.02 dB), without its sign.
    moved: f64,
}

impl DynamicEq {
    /// A dynamic band of `params`.
    pub fn new(params: &DynamicEqParams) -> Self {
        let zero = [0.0; CELL_FRAMES];
        Self {
            params: params.clone(),
            rate_hz: 0.0,
            cells: Cells::default(),
            band: Cascade::new(Vec::new(), 0),
            detectors: 0,
            currents: Vec::new(),
            course: Box::new(Course { a1: zero, a2: zero, a3: zero, m0: zero, m1: zero, m2: zero }),
            warped: 0.0,
            attack: 0.0,
            release: 0.0,
            averaging: 0.0,
            mean_square: 0.0,
            moved: 0.0,
        }
    }

    /// What the level is measured with.
    fn detector(&self) -> Result<Coefficients> {
        let (rate_hz, f) = (self.rate_hz, self.params.frequency_hz.min(0.49 * self.rate_hz));
        match self.params.shape {
            DynamicShape::Peak => Coefficients::bandpass(rate_hz, f, self.params.q),
            DynamicShape::LowShelf => Coefficients::lowpass(rate_hz, f, std::f64::consts::FRAC_1_SQRT_2),
            DynamicShape::HighShelf => Coefficients::highpass(rate_hz, f, std::f64::consts::FRAC_1_SQRT_2),
        }
    }

    /// The filter at a constant gain.
    fn still(&self, gain_db: f64) -> Result<Coefficients> {
        let (rate_hz, f, q) = (self.rate_hz, self.params.frequency_hz, self.params.q);
        match self.params.shape {
            DynamicShape::Peak => Coefficients::peak(rate_hz, f, q, gain_db),
            DynamicShape::LowShelf => Coefficients::low_shelf(rate_hz, f, q, gain_db),
            DynamicShape::HighShelf => Coefficients::high_shelf(rate_hz, f, q, gain_db),
        }
    }

    /// Everything that follows from parameters and rate. Does not allocate.
    fn update(&mut self) {
        let p = &self.params;
        self.warped = (std::f64::consts::PI * p.frequency_hz.min(0.49 * self.rate_hz) / self.rate_hz).tan();
        self.attack = smoothing(p.attack_ms, self.rate_hz);
        self.release = smoothing(p.release_ms, self.rate_hz);
        self.averaging = smoothing(p.rms_ms, self.rate_hz);
        // The ranges were checked, so the design cannot fail.
        if let (Ok(section), Some(own)) = (self.detector(), self.band.sections_mut().first_mut()) {
            *own = section;
        }
    }

    /// Mean squares of the band of `key` into `level`.
    fn listen(&mut self, key: &Buffer, piece: &std::ops::Range<usize>, level: &mut [f32]) {
        let mut heard = [0.0f32; CELL_FRAMES];
        let heard = &mut heard[..level.len()];
        level.fill(0.0);
        for (index, samples) in key.channels().enumerate().take(self.detectors) {
            for (h, x) in heard.iter_mut().zip(&samples[piece.clone()]) {
                // NaN fails the comparison.
                *h = if x.abs() < 1e6 { *x } else { 0.0 };
            }
            self.band.process_channel(index, heard);
            for (l, h) in level.iter_mut().zip(heard.iter()) {
                let square = h * h;
                *l = if square > *l { square } else { *l };
            }
        }
        let mut y = self.mean_square;
        for l in level {
            let x = f64::from(*l);
            // The constant, -250 dBFS, keeps the decay from denormal numbers.
            y = x + self.averaging * (y - x) + 1e-25;
            *l = y as f32;
        }
        self.mean_square = y;
    }

    /// From mean squares to the gain of the band in octaves, in place.
    fn gains(&mut self, level: &mut [f32]) {
        let p = &self.params;
        let threshold = p.threshold_dbfs as f32 / DB_PER_OCTAVE;
        let knee = (p.knee_db as f32 / DB_PER_OCTAVE).max(1e-4);
        let slope = (1.0 - 1.0 / p.ratio) as f32;
        let most = p.range_db.abs() as f32 / DB_PER_OCTAVE;
        let side = if p.side == DynamicSide::Above { 1.0 } else { -1.0 };
        let rest = p.gain_db / f64::from(DB_PER_OCTAVE);
        let sign = p.range_db.signum();
        for l in level.iter_mut() {
            let over = side * (0.5 * log2(*l) - threshold);
            let in_knee = (over + 0.5 * knee).clamp(0.0, knee);
            let wanted = slope * (in_knee * in_knee / (2.0 * knee) + (over - 0.5 * knee).max(0.0));
            *l = wanted.min(most);
        }
        let mut y = self.moved;
        for l in level {
            let x = f64::from(*l);
            let c = if x > y { self.attack } else { self.release };
            y = x + c * (y - x);
            // Under 1e-7 octaves (6e-7 dB) the band is at rest.
            y = if y > 1e-7 { y } else { 0.0 };
            *l = (rest + sign * y) as f32;
        }
        self.moved = y;
    }

    /// From gains in octaves to coefficients (Simper 2013, "bell", "low shelf" and "high shelf").
    fn coefficients(&mut self, gains: &[f32]) {
        let (g, k, c) = (self.warped, 1.0 / self.params.q, &mut self.course);
        // At rest, which is most of the time, one calculation serves the piece.
        let still = gains.iter().all(|g| *g == gains[0]);
        let count = if still { 1 } else { gains.len() };
        for (n, octaves) in gains.iter().enumerate().take(count) {
            // A is the square root of the gain.
            let a = f64::from(exp2(0.5 * octaves));
            let square = f64::from(exp2(*octaves));
            let (g, k) = match self.params.shape {
                DynamicShape::Peak => (g, k / a),
                DynamicShape::LowShelf => (g / a.sqrt(), k),
                DynamicShape::HighShelf => (g * a.sqrt(), k),
            };
            let (m0, m1, m2) = match self.params.shape {
                DynamicShape::Peak => (1.0, k * (square - 1.0), 0.0),
                DynamicShape::LowShelf => (1.0, k * (a - 1.0), square - 1.0),
                DynamicShape::HighShelf => (square, k * (1.0 - a) * a, 1.0 - square),
            };
            let a1 = 1.0 / (1.0 + g * (g + k));
            (c.a1[n], c.a2[n], c.a3[n]) = (a1, g * a1, g * g * a1);
            (c.m0[n], c.m1[n], c.m2[n]) = (m0, m1, m2);
        }
        if still {
            for row in [&mut c.a1, &mut c.a2, &mut c.a3, &mut c.m0, &mut c.m1, &mut c.m2] {
                let first = row[0];
                row[..gains.len()].fill(first);
            }
        }
    }

    fn filter(&mut self, block: &mut Buffer, piece: &std::ops::Range<usize>, end: bool) {
        let c = &self.course;
        for (samples, state) in block.channels_mut().zip(&mut self.currents) {
            let Currents { mut first, mut second } = *state;
            for (n, x) in samples[piece.clone()].iter_mut().enumerate() {
                let v0 = f64::from(*x);
                let v3 = v0 - second;
                let v1 = c.a1[n] * first + c.a2[n] * v3;
                let v2 = second + c.a2[n] * first + c.a3[n] * v3;
                first = 2.0 * v1 - first;
                second = 2.0 * v2 - second;
                *x = (c.m0[n] * v0 + c.m1[n] * v1 + c.m2[n] * v2) as f32;
            }
            for s in [&mut first, &mut second] {
                // Decayed states end before they are denormal; those that are not finite at the end of the cell.
                if s.abs() < 1e-100 || (end && !s.is_finite()) {
                    *s = 0.0;
                }
            }
            *state = Currents { first, second };
        }
    }

    /// One piece with its key, or keyed by itself.
    fn piece(&mut self, block: &mut Buffer, key: Option<&Buffer>, piece: std::ops::Range<usize>, end: bool) {
        let mut level = [0.0f32; CELL_FRAMES];
        let level = &mut level[..piece.len()];
        self.listen(key.unwrap_or(block), &piece, level);
        self.gains(level);
        self.coefficients(level);
        self.filter(block, &piece, end);
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        if self.detectors == 0 {
            return;
        }
        let mut cells = self.cells;
        let frames = key.map_or(block.frames(), |k| k.frames().min(block.frames()));
        cells.for_each(frames, |piece, end| self.piece(block, key, piece, end));
        self.cells = cells;
    }
}

impl Filter for DynamicEq {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        check_below_nyquist("dynamic_eq.frequency_hz", self.params.frequency_hz, self.rate_hz)?;
        self.detectors = spec.channels().max(KEY_CHANNELS);
        self.band = Cascade::new(vec![self.detector()?], self.detectors);
        self.currents = vec![Currents::default(); spec.channels()];
        self.update();
        self.reset();
        // It rings longest at one of the ends of what the gain can be.
        let ends = [self.params.gain_db, self.params.gain_db + self.params.range_db];
        let mut tail = 0;
        for gain_db in ends {
            tail = tail.max(tail_frames(&[self.still(gain_db)?]));
        }
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: tail })
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set && self.rate_hz > 0.0 {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        self.cells.reset();
        self.band.reset();
        self.currents.fill(Currents::default());
        (self.mean_square, self.moved) = (0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::filters::sections::tests::measured_gain_db;

    fn prepared(params: &DynamicEqParams) -> DynamicEq {
        let mut f = DynamicEq::new(params);
        f.prepare(Spec::new(48_000, ChannelLayout::MONO), 96_000).unwrap();
        f
    }

    fn tone(freq_hz: f64, peak_dbfs: f64, frames: usize) -> Buffer {
        let peak = 10f64.powf(peak_dbfs / 20.0);
        let step = 2.0 * std::f64::consts::PI * freq_hz / 48_000.0;
        let plane = (0..frames).map(|n| (peak * (step * n as f64).sin()) as f32).collect();
        Buffer::from_channels(Spec::new(48_000, ChannelLayout::MONO), &[plane])
    }

    fn rms_db(x: &[f32]) -> f64 {
        10.0 * (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64).log10()
    }

    #[test]
    fn at_rest_it_is_the_cookbook_filter() {
        for gain_db in [-9.0, 6.0] {
            for shape in [DynamicShape::Peak, DynamicShape::LowShelf, DynamicShape::HighShelf] {
                let params = DynamicEqParams { shape, gain_db, range_db: 0.0, q: 0.9, ..Default::default() };
                let want = prepared(&params).still(gain_db).unwrap();
                for k in [100.0, 1_000.0, 1_700.0, 3_000.0, 9_000.0] {
                    let freq_hz = k * 48_000.0 / 32_768.0;
                    let got_db = measured_gain_db(&mut DynamicEq::new(&params), freq_hz, 48_000);
                    // f32 rounding of a tone at -20 dBFS.
                    let want_db = want.gain_db(freq_hz, 48_000.0);
                    assert!((got_db - want_db).abs() < 0.001, "{shape:?} {gain_db} {k}: {got_db} {want_db}");
                }
            }
        }
    }

    #[test]
    fn the_gain_at_the_centre_follows_the_curve_and_stops_at_the_range() {
        // At 2:1 half of what is above or below the threshold; a sine has 3.01 dB less RMS than peak.
        for (side, range_db, peak_dbfs, want_db) in [
            (DynamicSide::Above, -20.0, -6.99, -10.0),
            (DynamicSide::Above, -6.0, -6.99, -6.0),
            (DynamicSide::Above, -20.0, -46.99, 0.0),
            (DynamicSide::Above, 8.0, -16.99, 5.0),
            (DynamicSide::Below, 20.0, -46.99, 10.0),
            (DynamicSide::Below, -8.0, -6.99, 0.0),
        ] {
            let params = DynamicEqParams {
                side,
                range_db,
                ratio: 2.0,
                knee_db: 0.0,
                rms_ms: 50.0,
                attack_ms: 20.0,
                ..Default::default()
            };
            let mut f = prepared(&params);
            let x = tone(2_500.0, peak_dbfs, 96_000);
            let mut y = x.clone();
            f.process(&mut y);
            let got_db = rms_db(&y.channel(0)[72_000..]) - rms_db(&x.channel(0)[72_000..]);
            // The RMS of 50 ms ripples by 0.03 dB at twice the frequency, and the smoothing leans to one side.
            assert!((got_db - want_db).abs() < 0.1, "{side:?} {range_db} {peak_dbfs}: {got_db}");
        }
    }

    #[test]
    fn what_is_outside_the_band_does_not_move_it_and_passes_bit_for_bit() {
        let x = tone(100.0, -3.0, 48_000);
        let mut y = x.clone();
        prepared(&DynamicEqParams { q: 4.0, threshold_dbfs: -40.0, ..Default::default() }).process(&mut y);
        // 100 Hz is 40 dB down in the band; the sudden start is heard, and forgotten after some release times.
        assert_eq!(x.channel(0)[40_000..], y.channel(0)[40_000..]);
    }

    #[test]
    fn a_key_moves_the_gain_instead_of_the_sound() {
        let params = DynamicEqParams { range_db: -12.0, knee_db: 0.0, ..Default::default() };
        let (loud, quiet) = (tone(2_500.0, -6.0, 48_000), tone(2_500.0, -50.0, 48_000));
        let mut y = quiet.clone();
        prepared(&params).process_keyed(&mut y, &loud);
        let got_db = rms_db(&y.channel(0)[24_000..]) - rms_db(&quiet.channel(0)[24_000..]);
        // 21 dB above the threshold at 3:1 is 14 dB: the range of 12 holds it.
        assert!((got_db + 12.0).abs() < 0.01, "{got_db}");
        let mut y = loud.clone();
        prepared(&params).process_keyed(&mut y, &quiet);
        assert_eq!(y.channel(0), loud.channel(0));
    }

    #[test]
    fn parameters_change_while_it_runs() {
        let mut f = prepared(&DynamicEqParams { range_db: 0.0, ..Default::default() });
        let gain_db = DynamicEqParams::parameters().iter().position(|p| p.name == "gain_db").unwrap();
        assert!(f.set_parameter(gain_db, 6.0) && !f.set_parameter(0, 1.0));
        let x = tone(2_500.0, -20.0, 48_000);
        let mut y = x.clone();
        f.process(&mut y);
        let got_db = rms_db(&y.channel(0)[24_000..]) - rms_db(&x.channel(0)[24_000..]);
        assert!((got_db - 6.0).abs() < 0.001, "{got_db}");
    }
}
