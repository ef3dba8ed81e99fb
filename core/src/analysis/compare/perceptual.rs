//! What a listener would notice: the figures of the ear model over the frames of all channels.
//!
//! Frames count from where the reference first exceeds a threshold to where it last does, after ITU-R BS.1387-2, Annex 2, 5.2.4.4: the sum
//! of five samples over 200 of 16 bits, in any channel. Where that is, is known only at the end: sums are kept twice, up to the last frame
//! that counts for sure, and up to now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bands::{Bands, FRAMES_PER_S, HOP};
use super::bandwidth::Bandwidth;
use super::detection::{Detection, Heard};
use super::difference::MAX_RATIO_DB;
use super::ear::{Ear, Sensation};
use super::modulation::{Modulation, ModulationDifference, ModulationTable};
use super::noise_to_mask::{NoiseToMask, mask_gains};
use super::two_f::two_f_score;

/// Samples that are added up, and their sum that is sound.
const SOUND_SAMPLES: usize = 5;
const SOUND: f32 = 200.0 / 32_768.0;
/// Modulation counts from here on: what comes before is the ear model's own beginning.
const SETTLED_S: f64 = 0.5;

/// What a listener would notice, by the ear model of ITU-R BS.1387 (basic version). Figures of several channels are means over them,
/// but for `adb` and `mfpd`, in which the channel counts where a difference is heard best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Perceptual {
    /// Frames that were compared: 2048 samples at 48 kHz, every 1024.
    pub frames: u64,
    /// NMR (after BS.1387): noise against what the reference masks, in dB, mean over bands and frames. Below 0 it is hidden on average;
    /// -10 and less is usually transparent. -200: no noise.
    pub nmr_db: f64,
    /// RDF (after BS.1387): share of the frames in which a band has noise 1.5 dB over the mask, 0 to 1.
    pub disturbed_frames_ratio: f64,
    /// ADB (after BS.1387): `lg` of the mean number of just heard steps in frames that are probably heard. 0: there are none, or one step
    /// on average; about 3 at worst.
    pub adb: f64,
    /// MFPD (after BS.1387): highest probability that a difference is heard, smoothed over 0.2 s, 0 to 1.
    pub mfpd: f64,
    /// AvgModDiff1 (after BS.1387): difference of the modulation of loudness against that of the reference, in percent, from 0; about 100
    /// at worst. None: shorter than 0.6 s.
    pub avg_mod_diff1: Option<f64>,
    /// AvgModDiff2 (after BS.1387): as `avg_mod_diff1`, more sensitive where the reference stands still; what is lost counts a tenth.
    pub avg_mod_diff2: Option<f64>,
    /// WinModDiff1 (after BS.1387): as `avg_mod_diff1`, root mean square over windows of 100 ms.
    pub win_mod_diff1: Option<f64>,
    /// BandwidthRef (after BS.1387) in Hz: how high the reference reaches over the floor of the degraded signal above 21.6 kHz. None: never
    /// above 8.1 kHz.
    pub bandwidth_reference_hz: Option<f64>,
    /// BandwidthTest (after BS.1387) in Hz: how high the degraded signal does.
    pub bandwidth_degraded_hz: Option<f64>,
    /// Score of the 2f-model, 0 to 100: a predicted mean MUSHRA score, by `adb` and `avg_mod_diff1`. Fitted to separated sources.
    pub two_f_score: Option<f64>,
}

/// Sums of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct ChannelSums {
    masked: NoiseToMask,
    modulation: ModulationDifference,
    bandwidth: Bandwidth,
}

/// Sums up to a frame.
#[derive(Debug, Clone, Default)]
struct Sums {
    frames: u64,
    detection: Detection,
    channels: Vec<ChannelSums>,
}

impl Sums {
    fn take_over(&mut self, other: &Self) {
        self.frames = other.frames;
        self.detection = other.detection;
        self.channels.copy_from_slice(&other.channels);
    }
}

/// Where the reference sounds, in samples from its start.
#[derive(Debug, Clone, Copy, Default)]
struct Sounding {
    first: Option<u64>,
    last: u64,
}

/// One channel of both signals.
struct Channel {
    reference: Sensation,
    degraded: Sensation,
    reference_modulation: Modulation,
    degraded_modulation: Modulation,
    /// The last samples of the hop before.
    tail: [f32; SOUND_SAMPLES - 1],
}

/// Follows the frames of all channels.
pub(super) struct Listener {
    ear: Ear,
    gains: Bands,
    modulation: ModulationTable,
    channels: Vec<Channel>,
    sounding: Sounding,
    now: Sums,
    sure: Sums,
}

impl Listener {
    pub fn new(channels: usize) -> Self {
        let ear = Ear::new();
        let channel = || Channel {
            reference: Sensation::new(),
            degraded: Sensation::new(),
            reference_modulation: Modulation::new(),
            degraded_modulation: Modulation::new(),
            tail: [0.0; SOUND_SAMPLES - 1],
        };
        let sums = || Sums { channels: vec![ChannelSums::default(); channels], ..Sums::default() };
        Self {
            gains: mask_gains(),
            modulation: ModulationTable::new(&ear.table),
            ear,
            channels: (0..channels).map(|_| channel()).collect(),
            sounding: Sounding::default(),
            now: sums(),
            sure: sums(),
        }
    }

    /// Looks where one channel of the reference sounds in hop `index`.
    pub fn listen(&mut self, channel: usize, hop: &[f32], index: u64) {
        let tail = &mut self.channels[channel].tail;
        let mut joined = [0.0; HOP + SOUND_SAMPLES - 1];
        joined[..SOUND_SAMPLES - 1].copy_from_slice(tail);
        joined[SOUND_SAMPLES - 1..].copy_from_slice(hop);
        tail.copy_from_slice(&hop[HOP - (SOUND_SAMPLES - 1)..]);
        let mut sounds = joined.windows(SOUND_SAMPLES).map(|w| w.iter().map(|x| x.abs()).sum::<f32>() > SOUND);
        let start = index * HOP as u64;
        // Window `at` ends with sample `at` of the hop.
        if let Some(last) = sounds.clone().rposition(|sounds| sounds) {
            self.sounding.last = self.sounding.last.max(start + last as u64);
            let first = sounds.position(|sounds| sounds).unwrap_or(last) as u64;
            let first = (start + first).saturating_sub(SOUND_SAMPLES as u64 - 1);
            self.sounding.first = Some(self.sounding.first.map_or(first, |before| before.min(first)));
        }
    }

    /// Energies of the bins of a frame of one channel: (reference, degraded).
    pub fn transform(&mut self, channel: usize, reference: &[f32], degraded: &[f32]) -> (&[f32], &[f32]) {
        let both = &mut self.channels[channel];
        self.ear.transform(reference, &mut both.reference);
        self.ear.transform(degraded, &mut both.degraded);
        (&both.reference.power, &both.degraded.power)
    }

    /// Adds frame `index`, all channels of which were [transformed](Listener::transform).
    pub fn push(&mut self, index: u64) {
        let hop = HOP as u64;
        if self.sounding.first.is_none_or(|first| first / hop > index) {
            return;
        }
        let mut heard = Heard::default();
        for (both, sums) in self.channels.iter_mut().zip(&mut self.now.channels) {
            let (reference, degraded) = (&mut both.reference, &mut both.degraded);
            self.ear.excite(reference);
            self.ear.excite(degraded);
            sums.bandwidth.push(&reference.power, &degraded.power);
            sums.masked.push(&self.ear.noise(reference, degraded), &reference.lasting, &self.gains);
            heard.push(&reference.lasting, &degraded.lasting);
            both.reference_modulation.push(&reference.excitation, &self.modulation);
            both.degraded_modulation.push(&degraded.excitation, &self.modulation);
            if index >= (SETTLED_S * FRAMES_PER_S).ceil() as u64 {
                sums.modulation.push(&both.reference_modulation, &both.degraded_modulation, &self.modulation);
            }
        }
        self.now.detection.push(&heard);
        self.now.frames += 1;
        // The last frame begins where at least half of it sounds.
        if self.sounding.last + 1 >= (index + 1) * hop {
            self.sure.take_over(&self.now);
        }
    }

    /// The figures; none when the reference never sounds for a frame.
    pub fn finish(self) -> Option<Perceptual> {
        let sums = self.sure;
        if sums.frames == 0 {
            return None;
        }
        let mean = |of: &dyn Fn(&ChannelSums) -> f64| {
            sums.channels.iter().map(of).sum::<f64>() / sums.channels.len().max(1) as f64
        };
        let settled = sums.channels.iter().all(|c| c.modulation.frames() > 0);
        let modulation = |of: &dyn Fn(&ModulationDifference) -> f64| settled.then(|| mean(&|c| of(&c.modulation)));
        let wide: Vec<(f64, f64)> =
            sums.channels.iter().filter(|c| c.bandwidth.frames() > 0).map(|c| c.bandwidth.mean_hz()).collect();
        let width = |of: &dyn Fn(&(f64, f64)) -> f64| {
            (!wide.is_empty()).then(|| wide.iter().map(of).sum::<f64>() / wide.len() as f64)
        };
        let adb = sums.detection.average_distorted_block();
        let avg_mod_diff1 = modulation(&ModulationDifference::average_1);
        Some(Perceptual {
            frames: sums.frames,
            // A channel without any noise would swallow the others.
            nmr_db: mean(&|c| c.masked.total_db().clamp(-MAX_RATIO_DB, MAX_RATIO_DB)),
            disturbed_frames_ratio: mean(&|c| c.masked.disturbed_ratio()),
            adb,
            mfpd: sums.detection.maximum_probability(),
            avg_mod_diff1,
            avg_mod_diff2: modulation(&ModulationDifference::average_2),
            win_mod_diff1: modulation(&ModulationDifference::windowed_1),
            bandwidth_reference_hz: width(&|(reference, _)| *reference),
            bandwidth_degraded_hz: width(&|(_, degraded)| *degraded),
            two_f_score: avg_mod_diff1.map(|difference| two_f_score(difference, adb)),
        })
    }
}
