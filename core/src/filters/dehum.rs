//! Removes mains hum: a tone of 50 or 60 Hz and its harmonics, whose frequency it follows.
//!
//! The frequency is that, near the nominal one, at which most of the first eight harmonics are coherent over the last 4
//! seconds: hum is there in all of them at one frequency, which no tone of a voice or an instrument is. Until it is found,
//! nothing is changed. Each harmonic then is an adaptive Fourier coefficient that is subtracted (B. Widrow et al., "Adaptive
//! Noise Cancelling: Principles and Applications", Proc. IEEE 63(12), 1975; C. Vaz, X. Kong, N. Thakor, "An Adaptive Estimation
//! of Periodic Signals Using a Fourier Linear Combiner", IEEE TSP 42(1), 1994): a notch of chosen width at each, without a
//! phase shift elsewhere. The coefficients adapt more slowly when the sound is louder than its pauses, so that voices do not
//! disturb them.
//!
//! In files the sound is held back by [`AHEAD_S`]. When a hum is found, its coefficients are learned backwards from there to
//! the place where the output stands, as in forward-backward adaptation, and the removal begins there with what was learned:
//! most files are without hum from their first frame on.

use fearless_simd::{Simd, dispatch};

use super::cells::{CELL_FRAMES, Cells};
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::kernels;
use crate::error::Result;

filter_choice! {
    /// Frequency of the mains.
    pub enum Mains {
        Auto = "auto": "The clearer one of both.",
        Hz50 = "50": "50 Hz: Europe, Africa, most of Asia.",
        Hz60 = "60": "60 Hz: the Americas, parts of Japan.",
    }
}

filter_params! {
    /// Removes mains hum and buzz: a tone of 50 or 60 Hz and its harmonics, whose frequency and strength it follows.
    pub struct DehumParams for "dehum" in Restoration, realtime true {
        /// Frequency of the mains.
        mains: Mains = Mains::Auto;
        /// Number of harmonics that are removed, the first included.
        harmonics: u32 = 24, 1 to 64 "";
        /// Width of what is removed around each harmonic: more follows changes faster, less spares the sound.
        width_hz: f64 = 1.0, 0.1 to 5.0 "Hz";
    }
}

/// Harmonics of a group that is computed at once.
const LANES: usize = 8;

/// Eight harmonics: cosine and sine, what turns them by a frame, and the coefficients.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    cos: [f32; LANES],
    sin: [f32; LANES],
    turn_cos: [f32; LANES],
    turn_sin: [f32; LANES],
    a: [f32; LANES],
    b: [f32; LANES],
    /// Error times cosine and sine, summed over the cell.
    sum_a: [f32; LANES],
    sum_b: [f32; LANES],
}

impl Group {
    /// Back onto the unit circle, and the sums to 0.
    fn renew(&mut self) {
        for (c, s) in self.cos.iter_mut().zip(&mut self.sin) {
            let scale = 1.5 - 0.5 * (*c * *c + *s * *s);
            (*c, *s) = (*c * scale, *s * scale);
        }
        (self.sum_a, self.sum_b) = ([0.0; LANES], [0.0; LANES]);
    }
}

/// Turns and phases of `count` harmonics of a tone whose first turns by `turn` per frame.
fn set_turns(groups: &mut [Group], count: usize, turn: (f64, f64)) {
    let (mut c, mut s) = (1.0, 0.0);
    for k in 0..groups.len() * LANES {
        (c, s) = (c * turn.0 - s * turn.1, c * turn.1 + s * turn.0);
        let (group, lane) = (&mut groups[k / LANES], k % LANES);
        (group.turn_cos[lane], group.turn_sin[lane]) = (c as f32, s as f32);
        if k >= count {
            group.cos[lane] = 0.0; // not used: stays 0
        }
    }
}

/// Turn by a frame at `hz`.
fn turn(hz: f64, rate_hz: f64) -> (f64, f64) {
    let angle = std::f64::consts::TAU * hz / rate_hz;
    (angle.cos(), angle.sin())
}

/// Looks of a tenth of a second that are kept.
const LOOKS: usize = 40;
/// Looks from one search to the next, and before the first.
const EVERY: u64 = 5;
const FIRST: usize = 15;
/// Candidates for the frequency on each side of the nominal one, and their distance: networks stay within 1 %.
const SIDE: usize = 25;
const STEP_HZ: f64 = 0.02;
/// Least sum of squared coherences that is hum. Music without hum reaches 0.9, speech 0.1; hum 5 dB under speech 1.5.
const LEAST_SCORE: f64 = 0.95;

/// Seconds by which files are held back: the looks of a whole search.
const AHEAD_S: f64 = 4.0;
/// Energy of a cell of digital silence, which is no pause of a sound with hum.
const SILENT: f32 = 1e-12;
/// Cells that are learned from backwards while one is played: bounds the work of a block.
const BACKWARDS: u64 = 3;

/// Looks for the frequency near one nominal frequency.
#[derive(Debug, Clone)]
struct Search {
    nominal_hz: f64,
    nominal_turn: (f64, f64),
    /// The first eight harmonics of the nominal frequency; their coefficients stay 0.
    tones: [Group; 1],
    /// What they were in the last looks, each divided by the level of the sound.
    past: Vec<[(f32, f32); LANES]>,
    kept: usize,
    /// Turn of a candidate by a look.
    candidates: Vec<(f64, f64)>,
    score: f64,
    found_hz: f64,
}

impl Search {
    fn new(nominal_hz: f64, rate_hz: f64, look_s: f64) -> Self {
        let candidates = (0..=2 * SIDE).map(|i| turn((i as f64 - SIDE as f64) * STEP_HZ, 1.0 / look_s)).collect();
        Self {
            nominal_hz,
            nominal_turn: turn(nominal_hz, rate_hz),
            tones: [Group::default()],
            past: vec![[(0.0, 0.0); LANES]; LOOKS],
            kept: 0,
            candidates,
            score: 0.0,
            found_hz: nominal_hz,
        }
    }

    fn reset(&mut self) {
        self.tones = [Group { cos: [1.0; LANES], ..Group::default() }];
        set_turns(&mut self.tones, LANES, self.nominal_turn);
        (self.kept, self.score, self.found_hz) = (0, 0.0, self.nominal_hz);
    }

    /// End of a look: keeps it; the sound had the given energy.
    fn look(&mut self, sums: &[(f32, f32); LANES], energy: f32) {
        let level = if energy > 1e-20 { 1.0 / energy.sqrt() } else { 0.0 };
        if self.kept == LOOKS {
            self.past.copy_within(1.., 0);
            self.kept -= 1;
        }
        self.past[self.kept] = sums.map(|(a, b)| (a * level, b * level));
        self.kept += 1;
    }

    /// Finds the frequency and how clear it is.
    fn search(&mut self) {
        let past = &self.past[..self.kept];
        let mut energies = [0.0f64; LANES];
        for look in past {
            for (energy, (a, b)) in energies.iter_mut().zip(look) {
                *energy += f64::from(a * a + b * b);
            }
        }
        let mut scores = [0.0f64; 2 * SIDE + 1];
        for (score, (c, s)) in scores.iter_mut().zip(&self.candidates) {
            let (mut turn_c, mut turn_s) = (1.0, 0.0);
            for (k, energy) in energies.iter().enumerate() {
                (turn_c, turn_s) = (turn_c * c - turn_s * s, turn_c * s + turn_s * c);
                // Horner's rule from the last look back.
                let (mut re, mut im) = (0.0f64, 0.0f64);
                for look in past.iter().rev() {
                    let (a, b) = look[k];
                    (re, im) = (re * turn_c - im * turn_s + f64::from(a), re * turn_s + im * turn_c + f64::from(b));
                }
                let coherence = (re * re + im * im) / (past.len() as f64 * energy + 1e-20);
                *score += coherence * coherence;
            }
        }
        let best = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        self.score = scores[best];
        let mut place = best as f64 - SIDE as f64;
        if let (Some(low), Some(high)) = (best.checked_sub(1).map(|i| scores[i]), scores.get(best + 1)) {
            // Top of the parabola through three points.
            let bend = low - 2.0 * self.score + high;
            if bend < -1e-12 {
                place += (0.5 * (low - high) / bend).clamp(-0.5, 0.5);
            }
        }
        self.found_hz = self.nominal_hz + STEP_HZ * place;
    }
}

/// What the coefficients do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Pass {
    /// No hum was found.
    #[default]
    Off,
    /// It was found, and there is time to know it better before the output begins.
    Found,
    /// They learn backwards; the cell that comes next.
    Backwards(u64),
    /// They have learned from the first cell, which is still to come.
    Ready,
    /// They follow what is played.
    Forwards,
}

/// The hum of one channel.
#[derive(Debug, Clone)]
struct Channel {
    pass: Pass,
    /// The last frames of the input, as many as the output is behind, oldest at the place to be written next.
    held: Vec<f32>,
    write: usize,
    searches: Vec<Search>,
    groups: Vec<Group>,
    /// The search that the hum was found by.
    found: Option<usize>,
    hz: f64,
    /// Cells since then, and share of the hum that is subtracted.
    age: u64,
    share: f32,
    /// Energy of the error within the cell, and in the pauses; of the input within the look.
    energy: f32,
    quiet: f32,
    look_energy: f32,
    sums: [[(f32, f32); LANES]; 2],
    cells: u64,
}

/// What cells need to know.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    rate_hz: f64,
    cell_s: f64,
    cells_to_look: u64,
    harmonics: f64,
    width_hz: f64,
    /// Cells by which the output is behind.
    behind: u64,
}

impl Channel {
    fn reset(&mut self) {
        self.searches.iter_mut().for_each(Search::reset);
        self.groups.fill(Group::default());
        (self.found, self.pass, self.write) = (None, Pass::Off, 0);
        self.held.fill(0.0);
        (self.age, self.share, self.energy, self.quiet, self.look_energy, self.cells) = (0, 0.0, 0.0, 0.0, 0.0, 0);
        self.sums = [[(0.0, 0.0); LANES]; 2];
    }

    /// End of a cell.
    fn cell(&mut self, t: Timing) {
        self.cells += 1;
        for (search, sums) in self.searches.iter_mut().zip(&mut self.sums) {
            let [tones] = &mut search.tones;
            for ((sum, a), b) in sums.iter_mut().zip(&tones.sum_a).zip(&tones.sum_b) {
                *sum = (sum.0 + a, sum.1 + b);
            }
            tones.renew();
        }
        let energy = std::mem::replace(&mut self.energy, 0.0);
        // The level of the pauses falls at once and rises by 3 dB a second.
        let risen = self.quiet * (1.0 + 0.7 * t.cell_s as f32);
        if energy > SILENT {
            self.quiet = if self.quiet == 0.0 || energy < risen { energy } else { risen };
        }
        if self.pass == Pass::Forwards {
            self.adapt(energy, t);
        }
        self.advance(t);
        if self.cells.is_multiple_of(t.cells_to_look) {
            let energy = std::mem::replace(&mut self.look_energy, 0.0);
            for (search, sums) in self.searches.iter_mut().zip(&mut self.sums) {
                search.look(sums, energy);
                *sums = [(0.0, 0.0); LANES];
            }
            if (self.cells / t.cells_to_look).is_multiple_of(EVERY) {
                self.search(t);
            }
        }
    }

    /// From one pass to the next, and up to [`BACKWARDS`] cells backwards.
    fn advance(&mut self, t: Timing) {
        // The cell that is played next, when it is not before the first.
        let played = self.cells.saturating_sub(t.behind);
        // Backwards it must be over when the first cell is played.
        if self.pass == Pass::Found && self.cells * (BACKWARDS + 1) >= t.behind * BACKWARDS {
            self.turn_round();
            self.pass = Pass::Backwards(self.cells);
        }
        if let Pass::Backwards(end) = self.pass {
            let start = end.saturating_sub(BACKWARDS).max(played);
            (start..end).rev().for_each(|cell| self.learn(cell, t));
            self.pass = Pass::Backwards(start);
            if start == played {
                self.turn_round();
                self.pass = Pass::Ready;
                // Nothing was played with the hum in it: there is nothing to glide from.
                self.share = if played == 0 { 1.0 } else { 0.0 };
            }
        }
        if self.pass == Pass::Ready && self.cells >= t.behind {
            self.pass = Pass::Forwards;
        }
    }

    /// The tones go on in the other direction, from the frame beside the last one.
    fn turn_round(&mut self) {
        for group in &mut self.groups {
            for k in 0..LANES {
                let (c, s) = (group.cos[k], group.sin[k]);
                group.turn_sin[k] = -group.turn_sin[k];
                group.cos[k] = c * group.turn_cos[k] - s * group.turn_sin[k];
                group.sin[k] = c * group.turn_sin[k] + s * group.turn_cos[k];
            }
        }
    }

    /// Learns from a cell that is held, from its end to its start.
    fn learn(&mut self, cell: u64, t: Timing) {
        // The oldest cell that is held stands where the next is written.
        let oldest = self.cells - t.behind.min(self.cells);
        let first = if self.cells < t.behind { 0 } else { self.write };
        let at = (first + (cell - oldest) as usize * CELL_FRAMES) % self.held.len();
        let mut sound = [0.0f32; CELL_FRAMES];
        sound.copy_from_slice(&self.held[at..at + CELL_FRAMES]);
        sound.reverse();
        let (mut hum, mut energy, groups) = ([0.0f32; CELL_FRAMES], 0.0, &mut self.groups);
        dispatch!(kernels::level(), simd => run(simd, groups, &mut energy, &sound, &mut hum));
        self.adapt(energy, t);
        self.share = 0.0;
    }

    /// Exchanges `samples` for those of as long ago as the output is behind.
    fn hold(&mut self, samples: &mut [f32]) {
        if self.held.is_empty() {
            return;
        }
        // Both are whole cells long or pieces of one, so that a piece never goes over the end.
        self.held[self.write..self.write + samples.len()].swap_with_slice(samples);
        self.write = (self.write + samples.len()) % self.held.len();
    }

    /// The coefficients follow.
    fn adapt(&mut self, energy: f32, t: Timing) {
        self.age += 1;
        let level = 4.0 * self.quiet;
        let weight = if energy > level { (level / energy).max(0.05) } else { 1.0 };
        // A notch of width B has a pole at 1 - pi B / rate; a coefficient's step per frame is twice that. A hum that was
        // just found is averaged from there: 1 / (pi B) seconds are like a width of B.
        let age_s = self.age as f64 * t.cell_s + 0.1;
        let width = t.width_hz.max(1.0 / (std::f64::consts::PI * age_s));
        let step = (std::f64::consts::TAU * width / t.rate_hz) as f32 * weight;
        for group in &mut self.groups {
            let sums = group.sum_a.iter().zip(&group.sum_b);
            for ((a, b), (sum_a, sum_b)) in group.a.iter_mut().zip(&mut group.b).zip(sums) {
                let (next_a, next_b) = (*a + step * sum_a, *b + step * sum_b);
                let tiny = next_a * next_a + next_b * next_b < 1e-24;
                (*a, *b) = if tiny { (0.0, 0.0) } else { (next_a, next_b) };
            }
            group.renew();
        }
        // The hum comes in over half a second, while its coefficients settle.
        self.share = (self.share + 2.0 * t.cell_s as f32).min(1.0);
    }

    /// Looks for the frequency.
    fn search(&mut self, t: Timing) {
        if self.searches.first().is_none_or(|s| s.kept < FIRST) {
            return;
        }
        self.searches.iter_mut().for_each(Search::search);
        let clearest =
            |best: usize, i: usize| if self.searches[i].score > self.searches[best].score { i } else { best };
        let best = (0..self.searches.len()).fold(0, clearest);
        let search = &self.searches[best];
        if search.score < LEAST_SCORE {
            return;
        }
        if matches!(self.pass, Pass::Backwards(_) | Pass::Ready) {
            return; // the coefficients belong to this frequency
        }
        if self.found == Some(best) {
            self.hz += 0.5 * (search.found_hz - self.hz);
        } else {
            self.found = Some(best);
            self.groups.fill(Group { cos: [1.0; LANES], ..Group::default() });
            (self.hz, self.age, self.share) = (search.found_hz, 0, 0.0);
            self.pass = if t.behind == 0 { Pass::Forwards } else { Pass::Found };
        }
        // A turn by a small angle more: error of the third order, below 1e-10; the length is put right.
        let angle = std::f64::consts::TAU * (self.hz - search.nominal_hz) / t.rate_hz;
        let ((c, s), square) = (search.nominal_turn, 1.0 - 0.5 * angle * angle);
        let (c, s) = (c * square - s * angle, s * square + c * angle);
        let scale = 1.5 - 0.5 * (c * c + s * s);
        let count = t.harmonics.min(0.45 * t.rate_hz / search.nominal_hz) as usize;
        set_turns(&mut self.groups, count, (c * scale, s * scale));
    }
}

/// Hum of one bank into `hum`, and what the bank learns from `x`.
#[inline(always)]
fn run<S: Simd>(_: S, groups: &mut [Group], energy: &mut f32, x: &[f32], hum: &mut [f32]) {
    for (x, hum) in x.iter().zip(hum) {
        let mut sum = [0.0f32; LANES];
        for g in groups.iter() {
            for (k, sum) in sum.iter_mut().enumerate() {
                *sum += g.a[k] * g.cos[k] + g.b[k] * g.sin[k];
            }
        }
        let four = [sum[0] + sum[4], sum[1] + sum[5], sum[2] + sum[6], sum[3] + sum[7]];
        *hum = (four[0] + four[2]) + (four[1] + four[3]);
        let error = x - *hum;
        *energy += error * error;
        for g in groups.iter_mut() {
            for k in 0..LANES {
                g.sum_a[k] += error * g.cos[k];
                g.sum_b[k] += error * g.sin[k];
                let (c, s) = (g.cos[k], g.sin[k]);
                g.cos[k] = c * g.turn_cos[k] - s * g.turn_sin[k];
                g.sin[k] = c * g.turn_sin[k] + s * g.turn_cos[k];
            }
        }
    }
}

/// See [`DehumParams`]. No latency live, [`AHEAD_S`] in files. NaN and infinity are taken as silence.
pub struct Dehum {
    params: DehumParams,
    ahead_s: f64,
    timing: Timing,
    channels: Vec<Channel>,
    cells: Cells,
}

impl Dehum {
    /// A removal of `params`.
    pub fn new(params: &DehumParams) -> Self {
        Self {
            params: params.clone(),
            ahead_s: 0.0,
            timing: Timing::default(),
            channels: Vec::new(),
            cells: Cells::default(),
        }
    }
}

impl Filter for Dehum {
    fn for_file(&mut self) {
        self.ahead_s = AHEAD_S;
    }

    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rate_hz = f64::from(spec.rate_hz);
        let cell_s = CELL_FRAMES as f64 / rate_hz;
        let cells_to_look = (0.1 / cell_s).ceil();
        let behind = (self.ahead_s / cell_s).ceil();
        let latency_frames = behind as usize * CELL_FRAMES;
        self.timing = Timing {
            rate_hz,
            cell_s,
            cells_to_look: cells_to_look as u64,
            harmonics: f64::from(self.params.harmonics),
            width_hz: self.params.width_hz,
            behind: behind as u64,
        };
        let mains: &[f64] = match self.params.mains {
            Mains::Auto => &[50.0, 60.0],
            Mains::Hz50 => &[50.0],
            Mains::Hz60 => &[60.0],
        };
        let channel = Channel {
            pass: Pass::Off,
            held: vec![0.0; latency_frames],
            write: 0,
            searches: mains.iter().map(|hz| Search::new(*hz, rate_hz, cells_to_look * cell_s)).collect(),
            groups: vec![Group::default(); (self.params.harmonics as usize).div_ceil(LANES)],
            found: None,
            hz: 0.0,
            age: 0,
            share: 0.0,
            energy: 0.0,
            quiet: 0.0,
            look_energy: 0.0,
            sums: [[(0.0, 0.0); LANES]; 2],
            cells: 0,
        };
        self.channels = vec![channel; spec.channels()];
        self.reset();
        // The estimate fades by its width: 11.5 time constants are 100 dB.
        let tail = 11.5 / (std::f64::consts::PI * self.params.width_hz) * rate_hz;
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: tail.ceil() as usize })
    }

    fn process(&mut self, block: &mut Buffer) {
        let (cells, channels, timing) = (&mut self.cells, &mut self.channels, self.timing);
        if channels.is_empty() {
            return;
        }
        cells.for_each(block.frames(), |piece, end| {
            for (channel, samples) in channels.iter_mut().zip(block.channels_mut()) {
                let samples = &mut samples[piece.clone()];
                for x in samples.iter_mut() {
                    *x = if x.abs() < 100.0 { *x } else { 0.0 };
                }
                let mut hum = [0.0f32; CELL_FRAMES];
                // Sums go on from frame to frame: those of pieces would depend on where blocks end.
                let mut energy = channel.look_energy;
                for search in &mut channel.searches {
                    energy = channel.look_energy;
                    let tones = &mut search.tones;
                    dispatch!(kernels::level(), simd => run(simd, tones, &mut energy, samples, &mut hum));
                }
                channel.look_energy = energy;
                if channel.pass != Pass::Forwards {
                    channel.energy = samples.iter().fold(channel.energy, |sum, x| sum + x * x);
                }
                channel.hold(samples);
                if channel.pass == Pass::Forwards {
                    let (groups, energy) = (&mut channel.groups, &mut channel.energy);
                    dispatch!(kernels::level(), simd => run(simd, groups, energy, samples, &mut hum));
                    for (x, hum) in samples.iter_mut().zip(&hum) {
                        *x -= channel.share * hum;
                    }
                }
                if end {
                    channel.cell(timing);
                }
            }
        });
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        let set = self.params.set_number(index, value);
        if set {
            self.timing.width_hz = self.params.width_hz;
        }
        set
    }

    fn reset(&mut self) {
        self.cells.reset();
        self.channels.iter_mut().for_each(Channel::reset);
    }
}

#[cfg(test)]
mod tests {
    use crate::filters::declick::tests::{RATE, random, ratio_db, run};
    use crate::filters::file_testing::through;

    /// Chords whose notes are no harmonics of mains, 12 s.
    fn chords() -> Vec<f32> {
        let mut seed = 3u32;
        (0..12 * RATE)
            .map(|n| {
                let t = f64::from(n) / f64::from(RATE);
                let beat = (-(t * 2.0).fract() * 4.0).exp();
                let tones: f64 = [233.08, 293.66, 349.23]
                    .iter()
                    .flat_map(|f| (1..6).map(move |k| (f * f64::from(k), f64::from(k))))
                    .map(|(f, k)| (std::f64::consts::TAU * f * t + 0.3 * (5.0 * t).sin()).sin() / (k * k))
                    .sum();
                (0.15 * tones * beat) as f32 + 0.001 * random(&mut seed)
            })
            .collect()
    }

    /// A buzz of 12 harmonics whose frequency wanders by 0.05 Hz.
    fn hum(hz: f64, count: usize) -> Vec<f32> {
        let mut phase = 0.0f64;
        (0..count)
            .map(|n| {
                let t = n as f64 / f64::from(RATE);
                phase += (hz + 0.05 * (0.3 * t).sin()) / f64::from(RATE);
                let turn = std::f64::consts::TAU * phase;
                (1..=12).map(|k| 0.02 * (f64::from(k) * turn + f64::from(k * k)).sin() / f64::from(k)).sum::<f64>()
                    as f32
            })
            .collect()
    }

    #[test]
    fn hum_goes_and_the_sound_stays() {
        let clean = chords();
        for (hz, text) in [(50.2, "dehum"), (59.9, "dehum"), (50.2, "dehum:mains=50"), (60.1, "dehum:mains=60")] {
            let x: Vec<f32> = clean.iter().zip(hum(hz, clean.len())).map(|(c, h)| c + h).collect();
            let y = run(text, &x);
            let late = 4 * RATE as usize..;
            let (before, after) =
                (ratio_db(&clean[late.clone()], &x[late.clone()]), ratio_db(&clean[late.clone()], &y[late]));
            // Stated bound once the frequency is found: 6 dB here, where the sound is never silent.
            assert!(after > before + 6.0, "{text} {hz}: {before:.1} {after:.1}");
        }
    }

    #[test]
    fn in_files_hum_goes_from_the_first_frame_on() {
        let clean = chords();
        let x: Vec<f32> = clean.iter().zip(hum(50.2, clean.len())).map(|(c, h)| c + h).collect();
        let y = &through("dehum", RATE, std::slice::from_ref(&x), 1_000)[0];
        assert_eq!(y.len(), x.len());
        let early = ..2 * RATE as usize;
        let (before, after) = (ratio_db(&clean[early], &x[early]), ratio_db(&clean[early], &y[early]));
        // The bound of the test above, here in the time that it takes to find the hum.
        assert!(after > before + 6.0, "{before:.1} {after:.1}");
    }

    #[test]
    fn files_give_the_same_bits_in_any_blocks() {
        let x: Vec<f32> = chords().iter().zip(hum(59.9, 12 * RATE as usize)).map(|(c, h)| c + h).collect();
        let whole = through("dehum", RATE, std::slice::from_ref(&x), 4_096);
        for block in [7, 1_000] {
            let pieces = through("dehum", RATE, std::slice::from_ref(&x), block);
            assert!(whole[0].iter().zip(&pieces[0]).all(|(a, b)| a.to_bits() == b.to_bits()), "{block}");
        }
    }

    #[test]
    fn files_shorter_than_the_look_ahead_keep_their_length() {
        for frames in [0, 1, 1_000, 100_000] {
            let x = chords()[..frames].to_vec();
            let y = &through("dehum", RATE, std::slice::from_ref(&x), 1_000)[0];
            assert!(x == *y, "{frames}");
        }
    }

    #[test]
    fn without_hum_the_sound_passes_bit_for_bit() {
        let clean = chords();
        assert!(clean.iter().zip(&run("dehum", &clean)).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
