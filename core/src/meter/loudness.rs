//! Programme loudness: ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 (meter) and Tech 3342 (range).

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Window;
use super::level::{amplitude_db, power_db};
use super::true_peak::TruePeak;
use crate::audio::{Buffer, Channel, Spec};
use crate::dsp::biquad::Coefficients;
use crate::dsp::kernels::{self, KBlock, KCoefficients, KOne, KState};
use crate::error::{Error, Result};

/// Windows move by 10 ms, which EBU Tech 3341 cases 10 to 14 need for the maxima.
const HOPS_PER_SECOND: u64 = 100;
const MOMENTARY_HOPS: usize = 40;
const SHORT_TERM_HOPS: usize = 300;
/// Gating blocks and range values move by 100 ms: BS.1770-5 (75 % overlap of 400 ms), Tech 3342 (10 Hz).
const BLOCK_HOPS: u64 = 10;
/// Half a second, the window of the noise floor.
const FLOOR_HOPS: usize = 50;
/// What the K weighting adds at 1 kHz, BS.1770-5 equation (2).
const OFFSET_LUFS: f64 = -0.691;
const ABSOLUTE_GATE_LUFS: f64 = -70.0;

/// What to measure beyond the integrated loudness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MeterOptions {
    /// True peak. Default: on.
    pub true_peak: bool,
    /// Loudness range. Default: on.
    pub range: bool,
    /// Measure a single channel as it sounds from two loudspeakers: 3.01 LU louder. Default: off.
    pub dual_mono: bool,
}

impl Default for MeterOptions {
    fn default() -> Self {
        Self { true_peak: true, range: true, dual_mono: false }
    }
}

/// The result of a measurement. Values in dB are `-inf` for silence and NaN when they were not asked for; both are
/// `null` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loudness {
    /// Integrated loudness in LUFS, gated: BS.1770-5 Annex 1. What lasts less than 400 ms counts as one block.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub integrated_lufs: f64,
    /// Relative gate of the integrated loudness in LUFS.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub threshold_lufs: f64,
    /// Loudness range in LU: EBU Tech 3342. 0 for less than 3 s.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub range_lu: f64,
    /// Lower end of the range in LUFS: the 10th percentile of the short-term loudness.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub range_low_lufs: f64,
    /// Upper end of the range in LUFS: the 95th percentile.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub range_high_lufs: f64,
    /// Largest loudness of 400 ms, in LUFS.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub max_momentary_lufs: f64,
    /// Largest loudness of 3 s, in LUFS. What comes before the beginning counts as silence.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub max_short_term_lufs: f64,
    /// Largest true peak of any channel in dBTP: BS.1770-5 Annex 2.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub true_peak_dbtp: f64,
    /// Largest sample of any channel in dBFS.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub sample_peak_dbfs: f64,
    /// RMS over the whole time and all channels in dBFS, unweighted; a full-scale sine reads -3.01.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub rms_dbfs: f64,
    /// RMS of the quietest half second in dBFS (of all, when shorter), all channels, unweighted. The noise floor as
    /// audiobook platforms check it.
    #[serde(with = "super::decibels")]
    #[schemars(with = "Option<f64>")]
    pub noise_floor_dbfs: f64,
    /// Frames measured.
    pub frames: u64,
}

/// Measures a stream of blocks. Any split into blocks gives the same bits; memory grows by 0.3 MB per hour.
#[derive(Debug, Clone)]
pub struct LoudnessMeter {
    spec: Spec,
    options: MeterOptions,
    coefficients: KCoefficients,
    block: KBlock,
    weights: Vec<f64>,
    /// One for each pair of channels.
    pairs: Vec<KState>,
    /// The last channel of an odd number.
    single: Option<KOne>,
    /// One for each channel, when asked for.
    true_peaks: Vec<TruePeak>,
    sample_peak: f32,
    frames: u64,
    /// Hops completed, and the frame at which the present one ends.
    hops: u64,
    hop_end: u64,
    /// Weighted mean squares, summed over channels, of 400 ms and of 3 s; and the plain ones of half a second.
    momentary: Window,
    short_term: Window,
    plain: Window,
    /// Sum of squares of all completed hops.
    total: f64,
    /// Sum over what comes before the first gating block is complete.
    lead: f64,
    max_momentary: f64,
    max_short_term: f64,
    floor: f64,
    /// Energies of the 400 ms gating blocks above the absolute gate. f32: an error of 3e-7 dB each.
    blocks: Vec<f32>,
    /// Short-term energies above the absolute gate, for the range.
    short_terms: Vec<f32>,
}

impl LoudnessMeter {
    /// A meter for streams of `spec`. Channels weigh as in BS.1770-5 Table 4: surrounds 1.41 (the sides, and the backs
    /// where there are no sides), the LFE nothing, all others 1, also those without a position.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: no channel, a rate of 0.
    pub fn new(spec: Spec, options: MeterOptions) -> Result<Self> {
        Error::check_range("channels", spec.channels() as f64, 1.0, 65_535.0, "")?;
        Error::check_range("rate_hz", f64::from(spec.rate_hz), 1.0, f64::from(u32::MAX), "Hz")?;
        let channels = spec.channels();
        let coefficients = k_coefficients(f64::from(spec.rate_hz));
        let mut meter = Self {
            spec,
            options,
            coefficients,
            block: KBlock::new(&coefficients),
            weights: weights(spec, options),
            pairs: vec![KState::default(); channels / 2],
            single: (channels % 2 == 1).then(KOne::default),
            true_peaks: if options.true_peak { vec![TruePeak::new(spec.rate_hz); channels] } else { Vec::new() },
            sample_peak: 0.0,
            frames: 0,
            hops: 0,
            hop_end: 0,
            momentary: Window::new(MOMENTARY_HOPS),
            short_term: Window::new(SHORT_TERM_HOPS),
            plain: Window::new(FLOOR_HOPS),
            total: 0.0,
            lead: 0.0,
            max_momentary: 0.0,
            max_short_term: 0.0,
            floor: f64::INFINITY,
            blocks: Vec::new(),
            short_terms: Vec::new(),
        };
        meter.reset();
        Ok(meter)
    }

    /// Forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        self.pairs.fill(KState::default());
        self.single = self.single.map(|_| KOne::default());
        self.true_peaks.iter_mut().for_each(TruePeak::reset);
        self.sample_peak = 0.0;
        self.frames = 0;
        self.hops = 0;
        self.hop_end = self.hop_boundary(1);
        self.momentary.clear();
        self.short_term.clear();
        self.plain.clear();
        self.total = 0.0;
        self.lead = 0.0;
        self.max_momentary = 0.0;
        self.max_short_term = 0.0;
        self.floor = f64::INFINITY;
        self.blocks.clear();
        self.short_terms.clear();
    }

    /// Adds a block of the meter's channels; channels that are missing count as silence, surplus ones not at all.
    /// Allocates when the lists of block energies grow.
    pub fn push(&mut self, block: &Buffer) {
        if self.options.true_peak {
            for (meter, samples) in self.true_peaks.iter_mut().zip(block.channels()) {
                meter.push(samples);
            }
        } else {
            for samples in block.channels() {
                self.sample_peak = self.sample_peak.max(kernels::peak(samples));
            }
        }
        let mut start = 0;
        while start < block.frames() {
            let room = usize::try_from(self.hop_end - self.frames).unwrap_or(usize::MAX);
            let end = start + room.min(block.frames() - start);
            let mut channels = block.channels();
            for state in &mut self.pairs {
                let Some(left) = channels.next() else { break };
                let right = channels.next().unwrap_or(left);
                kernels::k_weight(&self.coefficients, state, &left[start..end], &right[start..end]);
            }
            if let (Some(single), Some(samples)) = (&mut self.single, channels.next()) {
                single.push(&self.block, &samples[start..end]);
            }
            self.frames += (end - start) as u64;
            if self.frames == self.hop_end {
                self.complete_hop();
            }
            start = end;
        }
    }

    /// Adds a block of one channel to each of two meters: the same but for roundings as pushing them one after the other,
    /// and quicker, as two channels go through the filters side by side. Both meters are for one channel of the same rate,
    /// are new, and are used with this function and the same `pair` alone until [`LoudnessMeter::end_two`].
    pub(crate) fn push_two(meters: [&mut Self; 2], pair: &mut KState, samples: [&[f32]; 2]) {
        let [first, second] = meters;
        debug_assert!(first.frames == second.frames && first.weights.len() == 1 && second.weights.len() == 1);
        for (meter, samples) in [(&mut *first, samples[0]), (&mut *second, samples[1])] {
            if let Some(true_peak) = meter.true_peaks.first_mut() {
                true_peak.push(samples);
            } else {
                meter.sample_peak = meter.sample_peak.max(kernels::peak(samples));
            }
        }
        let frames = samples[0].len().min(samples[1].len());
        let mut start = 0;
        while start < frames {
            let room = usize::try_from(first.hop_end - first.frames).unwrap_or(usize::MAX);
            let end = start + room.min(frames - start);
            let (left, right) = (&samples[0][start..end], &samples[1][start..end]);
            kernels::k_weight(&first.coefficients, pair, left, right);
            first.frames += (end - start) as u64;
            second.frames = first.frames;
            if first.frames == first.hop_end {
                let (weighted, plain) = pair.take();
                first.add_hop(first.weights[0] * weighted[0], plain[0]);
                second.add_hop(second.weights[0] * weighted[1], plain[1]);
            }
            start = end;
        }
    }

    /// Ends a series of [`LoudnessMeter::push_two`]: each meter is then on its own again.
    pub(crate) fn end_two(meters: [&mut Self; 2], pair: &KState) {
        for (channel, meter) in meters.into_iter().enumerate() {
            meter.single = Some(pair.one(channel));
        }
    }

    /// Loudness of the last 400 ms in LUFS, not gated; updated every 10 ms. `-inf` for silence.
    pub fn momentary_lufs(&self) -> f64 {
        lufs(self.momentary.mean_padded(self.hop_frames()))
    }

    /// Loudness of the last 3 s in LUFS, not gated; updated every 10 ms. `-inf` for silence.
    pub fn short_term_lufs(&self) -> f64 {
        lufs(self.short_term.mean_padded(self.hop_frames()))
    }

    /// Integrated loudness so far in LUFS. Walks the list of blocks: not for the audio thread.
    pub fn integrated_lufs(&self) -> f64 {
        self.integrated().0
    }

    /// Frames measured so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What the meter measures.
    pub fn spec(&self) -> Spec {
        self.spec
    }

    /// All results so far. May be called at any time, and measuring may go on.
    pub fn summary(&self) -> Loudness {
        let (integrated_lufs, threshold_lufs) = self.integrated();
        let (range_low_lufs, range_high_lufs) = self.range();
        let total = self.total + self.sums().1;
        let samples = self.frames as f64 * self.spec.channels() as f64;
        let rms = if self.frames == 0 { 0.0 } else { total / samples };
        let floor = if self.floor.is_finite() { self.floor } else { rms };
        let sample_peak = self.true_peaks.iter().map(TruePeak::sample_peak).fold(self.sample_peak, f32::max);
        let true_peak = self.true_peaks.iter().map(TruePeak::peak).fold(0.0, f32::max);
        Loudness {
            integrated_lufs,
            threshold_lufs,
            range_lu: if range_low_lufs == f64::NEG_INFINITY { 0.0 } else { range_high_lufs - range_low_lufs },
            range_low_lufs,
            range_high_lufs,
            max_momentary_lufs: lufs(self.max_momentary),
            max_short_term_lufs: lufs(self.max_short_term),
            true_peak_dbtp: if self.options.true_peak { amplitude_db(f64::from(true_peak)) } else { f64::NAN },
            sample_peak_dbfs: amplitude_db(f64::from(sample_peak)),
            rms_dbfs: power_db(rms),
            noise_floor_dbfs: power_db(floor),
            frames: self.frames,
        }
    }

    fn hop_frames(&self) -> f64 {
        f64::from(self.spec.rate_hz) / HOPS_PER_SECOND as f64
    }

    /// First frame of hop `index`: hops of rates that 100 does not divide differ by one frame.
    fn hop_boundary(&self, index: u64) -> u64 {
        let exact = u128::from(index) * u128::from(self.spec.rate_hz) + u128::from(HOPS_PER_SECOND / 2);
        // Below 100 Hz a hop holds at least one frame.
        ((exact / u128::from(HOPS_PER_SECOND)) as u64).max(index)
    }

    /// Takes the sums over the present hop: weighted with the channel weights, and plain.
    fn take_sums(&self, pairs: &mut [KState], single: &mut Option<KOne>) -> (f64, f64) {
        let (mut weighted, mut plain) = (0.0, 0.0);
        let (pair_weights, last) = self.weights.as_chunks::<2>();
        for (state, weights) in pairs.iter_mut().zip(pair_weights) {
            let (w, p) = state.take();
            for (index, weight) in weights.iter().enumerate() {
                weighted += weight * w[index];
                plain += p[index];
            }
        }
        for (state, weight) in single.iter_mut().zip(last) {
            let (w, p) = state.take(&self.block);
            weighted += weight * w;
            plain += p;
        }
        (weighted, plain)
    }

    /// The sums over the present hop so far.
    fn sums(&self) -> (f64, f64) {
        self.take_sums(&mut self.pairs.clone(), &mut self.single.clone())
    }

    fn complete_hop(&mut self) {
        let (mut pairs, mut single) = (std::mem::take(&mut self.pairs), self.single.take());
        let (weighted, plain) = self.take_sums(&mut pairs, &mut single);
        (self.pairs, self.single) = (pairs, single);
        self.add_hop(weighted, plain);
    }

    fn add_hop(&mut self, weighted: f64, plain: f64) {
        let frames = (self.hop_end - self.hop_boundary(self.hops)) as u32;
        self.hops += 1;
        self.hop_end = self.hop_boundary(self.hops + 1);
        self.momentary.push(weighted, frames);
        self.short_term.push(weighted, frames);
        self.plain.push(plain, frames);
        self.total += plain;
        let hop_frames = self.hop_frames();
        let momentary = self.momentary.mean_padded(hop_frames);
        let short_term = self.short_term.mean_padded(hop_frames);
        self.max_momentary = self.max_momentary.max(momentary);
        self.max_short_term = self.max_short_term.max(short_term);
        if let Some(mean) = self.plain.mean() {
            self.floor = self.floor.min(mean / self.spec.channels() as f64);
        }
        if self.hops < MOMENTARY_HOPS as u64 {
            self.lead += weighted;
        }
        let gate = energy(ABSOLUTE_GATE_LUFS);
        if self.hops.is_multiple_of(BLOCK_HOPS) {
            if self.hops >= MOMENTARY_HOPS as u64 && momentary > gate {
                self.blocks.push(momentary as f32);
            }
            if self.options.range && self.hops >= SHORT_TERM_HOPS as u64 && short_term > gate {
                self.short_terms.push(short_term as f32);
            }
        }
    }

    /// Integrated loudness and relative gate, BS.1770-5 equations (5) to (7).
    fn integrated(&self) -> (f64, f64) {
        if self.hops < MOMENTARY_HOPS as u64 {
            // No block is complete: take all there is as one. The standard leaves this case open.
            let mean = (self.lead + self.sums().0) / (self.frames.max(1)) as f64;
            let level = lufs(mean);
            return if level > ABSOLUTE_GATE_LUFS {
                (level, level - 10.0)
            } else {
                (f64::NEG_INFINITY, ABSOLUTE_GATE_LUFS)
            };
        }
        let Some(ungated) = mean_above(&self.blocks, 0.0) else { return (f64::NEG_INFINITY, ABSOLUTE_GATE_LUFS) };
        let gate = ungated / 10.0; // 10 LU below
        let threshold_lufs = lufs(gate).max(ABSOLUTE_GATE_LUFS);
        (mean_above(&self.blocks, gate).map_or(f64::NEG_INFINITY, lufs), threshold_lufs)
    }

    /// 10th and 95th percentile of the short-term loudness above the gates, EBU Tech 3342 clause 2.
    fn range(&self) -> (f64, f64) {
        if !self.options.range {
            return (f64::NAN, f64::NAN);
        }
        let silence = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let Some(ungated) = mean_above(&self.short_terms, 0.0) else { return silence };
        let gate = ungated / 100.0; // 20 LU below
        let mut kept: Vec<f32> = self.short_terms.iter().copied().filter(|e| f64::from(*e) >= gate).collect();
        kept.sort_unstable_by(f32::total_cmp);
        let Some(last) = kept.len().checked_sub(1) else { return silence };
        let at = |percent: f64| lufs(f64::from(kept[(last as f64 * percent / 100.0).round() as usize]));
        (at(10.0), at(95.0))
    }
}

/// Mean of the energies of at least `gate`.
fn mean_above(energies: &[f32], gate: f64) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u64);
    for e in energies.iter().map(|e| f64::from(*e)).filter(|e| *e >= gate) {
        sum += e;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

fn lufs(energy: f64) -> f64 {
    OFFSET_LUFS + power_db(energy)
}

fn energy(lufs: f64) -> f64 {
    10f64.powf((lufs - OFFSET_LUFS) / 10.0)
}

/// Channel weights of BS.1770-5 Table 4: 1.41 between 60 and 120 degrees at ear height, else 1, the LFE nothing.
fn weights(spec: Spec, options: MeterOptions) -> Vec<f64> {
    use Channel::{BackLeft, BackRight, Lfe, SideLeft, SideRight};
    if spec.channels() == 1 {
        return vec![if options.dual_mono { 2.0 } else { 1.0 }];
    }
    // In 5.1 the back positions are the surrounds at 110 degrees; beside side channels they stand at 135.
    let has_sides = spec.layout.index_of(SideLeft).is_some();
    let mut weights: Vec<f64> = spec
        .layout
        .positions()
        .map(|channel| match channel {
            Lfe => 0.0,
            SideLeft | SideRight => 1.41,
            BackLeft | BackRight if !has_sides => 1.41,
            _ => 1.0,
        })
        .collect();
    weights.resize(spec.channels(), 1.0);
    weights
}

/// The two stages of the K weighting for any rate.
///
/// BS.1770-5 prints coefficients for 48 kHz only. These are the analogue prototypes that give them by the bilinear
/// transform, as found for libebur128 (`ebur128_init_filter`); at 48 kHz they agree with the print to 1e-10.
fn k_coefficients(rate_hz: f64) -> KCoefficients {
    let (shelf, highpass) = k_stages(rate_hz);
    KCoefficients::new(&shelf, &highpass)
}

/// The two sections of the K weighting (shelf, high-pass) for a rate in Hz: BS.1770-5 Annex 1, Tables 1 and 2 at 48 kHz.
pub fn k_stages(rate_hz: f64) -> (Coefficients, Coefficients) {
    // Below 3.4 kHz the corner of the shelf lies outside the band: keep it just inside.
    let warp = |freq_hz: f64| (PI * (freq_hz / rate_hz).min(0.49)).tan();
    let (k, q) = (warp(1_681.974_450_955_533), 0.707_175_236_955_419_6);
    let high = 10f64.powf(3.999_843_853_973_347 / 20.0);
    let band = high.powf(0.499_666_774_154_541_6);
    let shelf = Coefficients::normalised(
        [high + band * k / q + k * k, 2.0 * (k * k - high), high - band * k / q + k * k],
        [1.0 + k / q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k],
    );
    let (k, q) = (warp(38.135_470_876_024_44), 0.500_327_037_323_877_3);
    let a0 = 1.0 + k / q + k * k;
    // The standard's numerator is 1, -2, 1 at every rate: not divided by a0.
    let highpass =
        Coefficients { b0: 1.0, b1: -2.0, b2: 1.0, a1: 2.0 * (k * k - 1.0) / a0, a2: (1.0 - k / q + k * k) / a0 };
    (shelf, highpass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    #[test]
    fn two_meters_in_one_pass_measure_as_each_alone() {
        let spec = Spec::new(44_100, ChannelLayout::MONO);
        let options = MeterOptions::default();
        // 30 ms: not even one gating block; and 1.7 s.
        for frames in [1_323, 75_000] {
            let planes = [1u32, 3].map(|step| -> Vec<f32> {
                (0..frames)
                    .map(|n: u32| ((n * step % 101) as f32 / 101.0 - 0.4) * (n % 9_000) as f32 / 9_000.0)
                    .collect()
            });
            let alone = planes.clone().map(|plane| {
                let mut meter = LoudnessMeter::new(spec, options).unwrap();
                meter.push(&Buffer::from_channels(spec, &[plane]));
                meter.summary()
            });
            let mut a = LoudnessMeter::new(spec, options).unwrap();
            let (mut b, mut pair) = (a.clone(), KState::default());
            for (x, y) in planes[0].chunks(1_000).zip(planes[1].chunks(1_000)) {
                LoudnessMeter::push_two([&mut a, &mut b], &mut pair, [x, y]);
            }
            LoudnessMeter::end_two([&mut a, &mut b], &pair);
            for (two, alone) in [a.summary(), b.summary()].into_iter().zip(alone) {
                let values = |l: Loudness| {
                    [l.integrated_lufs, l.threshold_lufs, l.range_lu, l.max_momentary_lufs, l.max_short_term_lufs]
                        .into_iter()
                        .chain([l.true_peak_dbtp, l.sample_peak_dbfs, l.rms_dbfs, l.noise_floor_dbfs, l.frames as f64])
                };
                for (got, want) in values(two).zip(values(alone)) {
                    // Another order of additions: 1e-11 of an energy; the block energies are f32: 3e-7 dB.
                    assert!((got - want).abs() < 1e-6 || got == want, "{got} {want}");
                }
            }
        }
    }

    #[test]
    fn k_weighting_at_48_khz_is_the_printed_one() {
        // ITU-R BS.1770-5 Annex 1, Tables 1 and 2: printed with 14 digits.
        let (shelf, highpass) = k_stages(48_000.0);
        let printed = [
            (shelf.b0, 1.535_124_859_586_97),
            (shelf.b1, -2.691_696_189_406_38),
            (shelf.b2, 1.198_392_810_852_85),
            (shelf.a1, -1.690_659_293_182_41),
            (shelf.a2, 0.732_480_774_215_85),
            (highpass.a1, -1.990_047_454_833_98),
            (highpass.a2, 0.990_072_250_366_21),
        ];
        for (got, want) in printed {
            assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
    }

    #[test]
    fn k_weighting_has_the_same_response_at_every_rate() {
        let gain_db = |rate_hz: f64, freq_hz: f64| {
            let (shelf, highpass) = k_stages(rate_hz);
            shelf.gain_db(freq_hz, rate_hz) + highpass.gain_db(freq_hz, rate_hz)
        };
        for rate_hz in [8_000.0, 22_050.0, 44_100.0, 96_000.0, 384_000.0] {
            for freq_hz in [30.0, 100.0, 997.0, 2_000.0] {
                // The bilinear transform is exact at the corners only: up to 0.4 dB at half the band of 8 kHz, and the
                // unscaled numerator of the high-pass adds up to 0.08 dB there.
                let tolerance_db = if rate_hz < 16_000.0 { 0.5 } else { 0.1 };
                let difference_db = gain_db(rate_hz, freq_hz) - gain_db(48_000.0, freq_hz);
                assert!(difference_db.abs() < tolerance_db, "{rate_hz} {freq_hz}: {difference_db:.3} dB");
            }
        }
        // BS.1770-5: a 997 Hz sine of 0 dBFS in one front channel reads -3.01 LKFS.
        assert!((gain_db(48_000.0, 997.0) + OFFSET_LUFS).abs() < 0.01);
    }

    #[test]
    fn surrounds_weigh_more_by_position() {
        let of = |layout| weights(Spec::new(48_000, layout), MeterOptions::default());
        assert_eq!(of(ChannelLayout::SURROUND_5_1), [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]);
        assert_eq!(of(ChannelLayout::SURROUND_7_1), [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41]);
        assert_eq!(of(ChannelLayout::from_count(5)), [1.0, 1.0, 1.0, 1.41, 1.41]);
        assert_eq!(of(ChannelLayout::discrete(12)), [1.0; 12]);
        assert_eq!(of(ChannelLayout::MONO), [1.0]);
    }
}
