//! The channels beside each other: offset, balance, correlation, mono compatibility.
//!
//! Correlation is that of a goniometer or correlation meter (IEC 60268-18 speaks of phase meters): `sum(L R) / sqrt(sum(L^2) sum(R^2))`.

use super::verdict::{Severity, Span, Verdict, VerdictName};
use crate::audio::Buffer;
use crate::meter::level::{amplitude_db, power_db};

/// From here on an offset is told, is a warning, is an error, in full scale.
const DC_TOLD: f64 = 0.0015;
const DC_WARNING: f64 = 0.01;
const DC_ERROR: f64 = 0.05;
/// Share of half seconds whose mean has the sign of the whole.
const DC_STEADY: f64 = 0.9;
const IMBALANCE_DB: f64 = 6.0;
/// A channel this much below the loudest is silent.
const SILENT_DB: f64 = -60.0;
const INVERTED: f64 = -0.9;
/// What is lost in mono: the level of the half sum against that of the channels.
const MONO_LOSS_DB: f64 = 6.0;
/// The difference of the channels against their sum.
const FALSE_STEREO_DB: f64 = -60.0;
/// Windows below this level are not judged.
const FLOOR: f64 = 1e-5;

#[derive(Default, Clone)]
struct Lane {
    sum: f64,
    squares: f64,
    block: f64,
    /// Half seconds with a positive mean, a negative mean.
    signs: [u64; 2],
}

#[derive(Default, Clone, Copy)]
struct Pair {
    left: f64,
    right: f64,
    cross: f64,
    side: f64,
}

impl Pair {
    fn correlation(&self) -> f64 {
        let power = (self.left * self.right).sqrt();
        if power > 0.0 { self.cross / power } else { 0.0 }
    }

    /// Level of `(L + R) / 2` against the mean level of the channels, in dB: 0 for the same, -3 for unrelated ones, -inf for inverse ones.
    fn mono_db(&self) -> f64 {
        let sum = (self.left + self.right + 2.0 * self.cross) / 4.0;
        power_db(sum.max(0.0) / ((self.left + self.right) / 2.0))
    }

    fn add(&mut self, other: &Self) {
        self.left += other.left;
        self.right += other.right;
        self.cross += other.cross;
        self.side += other.side;
    }
}

/// Sums over all channels and, of two, over the pair.
pub(super) struct Stereo {
    rate_hz: f64,
    lanes: Vec<Lane>,
    frames: u64,
    block_frames: u64,
    pair: Option<Pair>,
    window: Pair,
    window_frames: u64,
    /// Seconds with an inverse phase.
    inverse: Vec<Span>,
}

/// What [`Stereo::finish`] measures.
pub(super) struct Levels {
    pub dc_offset: Vec<f64>,
    pub rms_dbfs: Vec<f64>,
    pub correlation: Option<f64>,
    pub mono_loss_db: Option<f64>,
    pub side_db: Option<f64>,
    pub verdicts: Vec<Verdict>,
}

impl Stereo {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        Self {
            rate_hz,
            lanes: vec![Lane::default(); channels],
            frames: 0,
            block_frames: 0,
            pair: (channels == 2).then(Pair::default),
            window: Pair::default(),
            window_frames: 0,
            inverse: Vec::new(),
        }
    }

    pub fn push(&mut self, block: &Buffer) {
        for (lane, samples) in self.lanes.iter_mut().zip(block.channels()) {
            let (mut sum, mut squares) = (0.0, 0.0);
            for x in samples {
                let x = f64::from(*x);
                sum += x;
                squares += x * x;
            }
            lane.sum += sum;
            lane.block += sum;
            lane.squares += squares;
        }
        self.frames += block.frames() as u64;
        self.block_frames += block.frames() as u64;
        if self.block_frames as f64 >= self.rate_hz / 2.0 {
            self.end_block();
        }
        if self.pair.is_some() {
            let (left, right) = (block.channel(0), block.channel(1));
            for (l, r) in left.iter().zip(right) {
                let (l, r) = (f64::from(*l), f64::from(*r));
                self.window.left += l * l;
                self.window.right += r * r;
                self.window.cross += l * r;
                self.window.side += (l - r) * (l - r);
            }
            self.window_frames += block.frames() as u64;
            if self.window_frames as f64 >= self.rate_hz {
                self.end_window();
            }
        }
    }

    fn end_block(&mut self) {
        for lane in &mut self.lanes {
            lane.signs[usize::from(lane.block < 0.0)] += 1;
            lane.block = 0.0;
        }
        self.block_frames = 0;
    }

    fn end_window(&mut self) {
        let level = (self.window.left + self.window.right) / 2.0 / self.window_frames.max(1) as f64;
        if level > FLOOR && self.window.correlation() < -0.5 && self.inverse.len() < super::verdict::MAX_SPANS {
            self.inverse.push(Span {
                start_s: (self.frames - self.window_frames) as f64 / self.rate_hz,
                end_s: self.frames as f64 / self.rate_hz,
                channel: None,
            });
        }
        if let Some(pair) = &mut self.pair {
            pair.add(&self.window);
        }
        (self.window, self.window_frames) = (Pair::default(), 0);
    }

    pub fn finish(mut self) -> Levels {
        if self.block_frames > 0 && self.frames as f64 > self.rate_hz {
            self.end_block();
        }
        self.end_window();
        let frames = self.frames.max(1) as f64;
        let power: Vec<f64> = self.lanes.iter().map(|l| l.squares / frames).collect();
        let dc_offset: Vec<f64> = self.lanes.iter().map(|l| l.sum / frames).collect();
        let mut verdicts = Vec::new();
        self.dc(&dc_offset, &mut verdicts);
        self.balance(&power, &mut verdicts);
        let mut levels = Levels {
            dc_offset,
            rms_dbfs: power.iter().map(|p| power_db(*p)).collect(),
            correlation: None,
            mono_loss_db: None,
            side_db: None,
            verdicts,
        };
        if let Some(pair) = self.pair.filter(|_| power.iter().all(|p| *p > 0.0)) {
            self.phase(&pair, &mut levels);
        }
        levels
    }

    fn dc(&self, offsets: &[f64], verdicts: &mut Vec<Verdict>) {
        let steady = |lane: &Lane| {
            let [up, down] = lane.signs;
            up + down >= 2 && up.max(down) as f64 >= DC_STEADY * (up + down) as f64
        };
        let worst = self.lanes.iter().zip(offsets).enumerate().filter(|(_, (lane, _))| steady(lane));
        let Some((channel, (_, offset))) = worst.max_by(|a, b| a.1.1.abs().total_cmp(&b.1.1.abs())) else { return };
        if offset.abs() >= DC_TOLD {
            let severity = match offset.abs() {
                DC_ERROR.. => Severity::Error,
                DC_WARNING.. => Severity::Warning,
                _ => Severity::Info,
            };
            let text = format!(
                "channel {channel} lies {offset:+.4} of full scale off the middle: headroom is lost and edits click; a DC blocker removes it."
            );
            let value = (offset.abs(), DC_TOLD, "of full scale");
            verdicts.push(Verdict::new(VerdictName::DcOffset, severity, value, text));
        }
    }

    fn balance(&self, power: &[f64], verdicts: &mut Vec<Verdict>) {
        let loudest = power.iter().copied().fold(0.0, f64::max);
        if loudest <= FLOOR * FLOOR || power.len() < 2 {
            return;
        }
        for (channel, p) in power.iter().enumerate() {
            let below_db = power_db(p / loudest);
            // Of more than two channels some may have little to say, but two belong to each other.
            if below_db < SILENT_DB && power.len() == 2 {
                let text = format!(
                    "channel {channel} is silent beside the other: a mono recording on one side, or a lost channel."
                );
                let value = (below_db, SILENT_DB, "dB");
                verdicts.push(Verdict::new(VerdictName::SilentChannel, Severity::Error, value, text));
            } else if below_db < -IMBALANCE_DB && power.len() == 2 {
                let text = format!(
                    "channel {channel} is {:.1} dB softer than the other: the image leans to one side.",
                    -below_db
                );
                let value = (-below_db, IMBALANCE_DB, "dB");
                verdicts.push(Verdict::new(VerdictName::ChannelImbalance, Severity::Warning, value, text));
            }
        }
    }

    fn phase(&self, pair: &Pair, levels: &mut Levels) {
        let (correlation, loss_db) = (pair.correlation(), -pair.mono_db());
        let side_db = power_db(pair.side / (pair.left + pair.right));
        levels.correlation = Some(correlation);
        levels.mono_loss_db = Some(loss_db);
        levels.side_db = Some(side_db);
        let spans = self.inverse.clone();
        let count = spans.len() as u64;
        if levels.verdicts.iter().any(|v| v.name == VerdictName::SilentChannel) {
            return;
        }
        if correlation < INVERTED {
            let text = format!(
                "the channels are each other's inverse (correlation {correlation:.2}): one is connected the wrong way, in mono almost nothing remains."
            );
            let value = (correlation, INVERTED, "correlation");
            levels
                .verdicts
                .push(Verdict::new(VerdictName::PhaseInverted, Severity::Error, value, text).at(spans, count));
        } else if loss_db > MONO_LOSS_DB {
            let text = format!("added to mono, the sound loses {loss_db:.1} dB (correlation {correlation:.2}).");
            let value = (loss_db, MONO_LOSS_DB, "dB");
            levels
                .verdicts
                .push(Verdict::new(VerdictName::MonoIncompatible, Severity::Warning, value, text).at(spans, count));
        } else if side_db < FALSE_STEREO_DB {
            let what = if pair.side == 0.0 {
                "the two channels are identical".to_owned()
            } else {
                format!(
                    "the channels differ by {:.0} dB less than they sound",
                    -amplitude_db(10f64.powf(side_db / 20.0))
                )
            };
            let value = (side_db, FALSE_STEREO_DB, "dB");
            let text = format!("{what}: this is mono, and one channel would do.");
            levels.verdicts.push(Verdict::new(VerdictName::FalseStereo, Severity::Warning, value, text));
        }
    }
}
