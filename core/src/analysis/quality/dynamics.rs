//! Dynamic range: DR, PLR, PSR, crest.
//!
//! DR after the TT Dynamic Range Offline Meter (Pleasurize Music Foundation): per channel, blocks of 3 s, `20 log10` of the second
//! highest block peak over the RMS (a full-scale sine is 0 dB) of the loudest 20 % of the blocks; the mean over the channels. PLR, peak to
//! loudness ratio: true peak minus integrated loudness; PSR, peak to short-term loudness ratio: sample peak of 3 s minus the loudness of the
//! same 3 s, at its smallest (AES convention paper 9930, E. Grimm, E. Skovenborg, 2017 and earlier).

use super::verdict::{Severity, Verdict, VerdictName};
use crate::audio::Buffer;
use crate::meter::Loudness;
use crate::meter::level::{amplitude_db, power_db};

/// Seconds of a block.
const BLOCK_S: f64 = 3.0;
/// Quieter than this a PSR says nothing, in LUFS.
const PSR_GATE_LUFS: f64 = -50.0;
const LOW_DR_DB: f64 = 5.0;

/// Peaks and powers of blocks: 16 bytes for 3 s of a channel.
pub(super) struct Dynamics {
    block: u64,
    filled: u64,
    frames: u64,
    sums: Vec<(f64, f32)>,
    /// Mean square and peak of each block of each channel.
    blocks: Vec<Vec<(f32, f32)>>,
    min_psr: Option<f64>,
}

/// What [`Dynamics::finish`] measures.
pub(super) struct Range {
    pub dr_db: Option<f64>,
    pub plr_lu: Option<f64>,
    pub min_psr_lu: Option<f64>,
    pub crest_db: Option<f64>,
    pub verdict: Option<Verdict>,
}

impl Dynamics {
    pub fn new(rate_hz: f64, channels: usize) -> Self {
        Self {
            block: ((BLOCK_S * rate_hz).round() as u64).max(1),
            filled: 0,
            frames: 0,
            sums: vec![(0.0, 0.0); channels],
            blocks: vec![Vec::new(); channels],
            min_psr: None,
        }
    }

    /// `short_term_lufs`: of the 3 s up to the end of `block`.
    pub fn push(&mut self, block: &Buffer, short_term_lufs: f64) {
        let mut start = 0;
        while start < block.frames() {
            let end = block.frames().min(start + (self.block - self.filled) as usize);
            for (sum, samples) in self.sums.iter_mut().zip(block.channels()) {
                for x in &samples[start..end] {
                    sum.0 += f64::from(*x) * f64::from(*x);
                    sum.1 = sum.1.max(x.abs());
                }
            }
            self.filled += (end - start) as u64;
            self.frames += (end - start) as u64;
            if self.filled == self.block {
                let peak = self.sums.iter().map(|s| s.1).fold(0.0, f32::max);
                if short_term_lufs > PSR_GATE_LUFS {
                    let psr = amplitude_db(f64::from(peak)) - short_term_lufs;
                    self.min_psr = Some(self.min_psr.map_or(psr, |m| m.min(psr)));
                }
                self.end_block();
            }
            start = end;
        }
    }

    fn end_block(&mut self) {
        for (blocks, sum) in self.blocks.iter_mut().zip(&mut self.sums) {
            blocks.push(((sum.0 / self.filled.max(1) as f64) as f32, sum.1));
            *sum = (0.0, 0.0);
        }
        self.filled = 0;
    }

    pub fn finish(mut self, loudness: &Loudness) -> Range {
        // A last block of less than half its time says little; of a short file it is all there is.
        if self.filled * 2 >= self.block || (self.filled > 0 && self.blocks.first().is_some_and(Vec::is_empty)) {
            self.end_block();
        }
        let ratios: Vec<f64> = self.blocks.iter_mut().filter_map(|blocks| dr_db(blocks)).collect();
        let dr_db = (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64);
        let finite = |x: f64| x.is_finite().then_some(x);
        let plr_lu = finite(loudness.true_peak_dbtp - loudness.integrated_lufs);
        let crest_db = finite(loudness.sample_peak_dbfs - loudness.rms_dbfs);
        // Tones and noise have little range by nature; what lasts longer and is loud is meant to have some.
        let squeezed = |dr: f64| dr < LOW_DR_DB && loudness.integrated_lufs > -12.0 && loudness.range_lu < 6.0;
        let verdict = dr_db.filter(|dr| squeezed(*dr)).map(|dr| {
            let text = format!(
                "DR {dr:.0} at {:.1} LUFS: loud and soft hardly differ; platforms turn it down and what was squeezed stays squeezed.",
                loudness.integrated_lufs
            );
            Verdict::new(VerdictName::LowDynamicRange, Severity::Info, (dr, LOW_DR_DB, "dB"), text)
        });
        Range { dr_db, plr_lu, min_psr_lu: self.min_psr, crest_db, verdict }
    }
}

/// DR of one channel; none for silence.
fn dr_db(blocks: &mut [(f32, f32)]) -> Option<f64> {
    let mut peaks: Vec<f32> = blocks.iter().map(|b| b.1).collect();
    peaks.sort_unstable_by(|a, b| b.total_cmp(a));
    let peak = *peaks.get(1).or(peaks.first())?;
    blocks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let loudest = &blocks[..(blocks.len() as f64 * 0.2).round().max(1.0) as usize];
    let power = 2.0 * loudest.iter().map(|b| f64::from(b.0)).sum::<f64>() / loudest.len() as f64;
    (power > 0.0 && peak > 0.0).then(|| amplitude_db(f64::from(peak)) - power_db(power))
}
