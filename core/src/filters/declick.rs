//! Removes clicks: scratches of records, mouth noises, digital drop-outs.
//!
//! Detection and repair by an autoregressive model, as the module `clicks` says.

use super::clicks::{ClickRepair, Detection};
use super::params::{FilterParams, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::Result;

filter_params! {
    /// Finds clicks and replaces them by what the sound around them lets expect. All other samples stay bit for bit.
    pub struct DeclickParams for "declick" in Restoration, realtime true {
        /// How far a click must stand out of the sound, in standard deviations of what is not predictable: less finds more
        /// clicks, and takes more of the sound for clicks.
        threshold: f64 = 6.0, 1.5 to 50.0 "";
        /// Longest click that is repaired.
        longest_ms: f64 = 2.5, 0.1 to 6.0 "ms";
    }
}

/// See [`DeclickParams`]. Latency is about 35 ms. NaN and infinity are taken as silence.
pub struct Declick {
    params: DeclickParams,
    rate_hz: f64,
    repair: Option<ClickRepair>,
}

impl Declick {
    /// A repair of `params`.
    pub fn new(params: &DeclickParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, repair: None }
    }

    fn detection(&self) -> Detection {
        Detection {
            threshold: self.params.threshold,
            longest: ((self.params.longest_ms * self.rate_hz / 1_000.0) as usize).max(3),
            gap: (self.rate_hz * 0.000_15) as usize + 2,
            margin: 1,
            passes: 3,
        }
    }
}

impl Filter for Declick {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        self.rate_hz = f64::from(spec.rate_hz);
        let repair = ClickRepair::new(spec.channels(), self.rate_hz);
        let latency_frames = repair.latency_frames();
        self.repair = Some(repair);
        Ok(Prepared { spec, max_frames, latency_frames, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let how = self.detection();
        if let Some(repair) = &mut self.repair {
            repair.process(block, how, 1.0);
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        if let Some(repair) = &mut self.repair {
            repair.reset();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::filters::FilterSpec;

    pub(in crate::filters) const RATE: u32 = 44_100;

    pub(in crate::filters) fn random(seed: &mut u32) -> f32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as f32 / 8_388_608.0 - 1.0
    }

    /// Chords with vibrato and a little noise: 4 s.
    pub(in crate::filters) fn music() -> Vec<f32> {
        let mut seed = 3u32;
        (0..4 * RATE)
            .map(|n| {
                let t = f64::from(n) / f64::from(RATE);
                let beat = (-(t * 2.0).fract() * 4.0).exp();
                let tones: f64 = [220.0, 277.2, 329.6, 440.0]
                    .iter()
                    .flat_map(|f| (1..6).map(move |k| (f * f64::from(k), f64::from(k))))
                    .map(|(f, k)| (std::f64::consts::TAU * f * t + 0.3 * (5.0 * t).sin()).sin() / (k * k))
                    .sum();
                (0.15 * tones * beat) as f32 + 0.001 * random(&mut seed)
            })
            .collect()
    }

    /// Signal-to-error ratio in dB.
    pub(in crate::filters) fn ratio_db(clean: &[f32], got: &[f32]) -> f64 {
        let energy: f64 = clean.iter().map(|c| f64::from(*c).powi(2)).sum();
        let error: f64 = clean.iter().zip(got).map(|(c, g)| f64::from(c - g).powi(2)).sum();
        10.0 * (energy / error.max(1e-30)).log10()
    }

    /// All of `x` through a filter, in time.
    pub(in crate::filters) fn run(text: &str, x: &[f32]) -> Vec<f32> {
        let spec = Spec::new(RATE, ChannelLayout::MONO);
        let mut filter = FilterSpec::parse(text).unwrap().build().unwrap();
        let mut block = Buffer::from_channels(spec, &[x.to_vec()]);
        let latency = filter.prepare(spec, x.len() + 200_000).unwrap().latency_frames;
        block.append_silence(latency);
        filter.process(&mut block);
        block.channel(0)[latency..].to_vec()
    }

    #[test]
    fn clicks_in_music_are_repaired_and_the_rest_is_untouched() {
        let clean = music();
        let (mut x, mut seed, mut damaged) = (clean.clone(), 77u32, vec![false; clean.len()]);
        for click in 0..60 {
            let at = 5_000 + click * 2_800 + (random(&mut seed) * 900.0) as usize;
            for n in at..at + 2 + click % 20 {
                x[n] += 0.5 * random(&mut seed);
                damaged[n] = true;
            }
        }
        let y = run("declick", &x);
        let (before, after) = (ratio_db(&clean, &x), ratio_db(&clean, &y));
        // Stated bound: 15 dB better on this material.
        assert!(after > before + 15.0, "{before:.1} {after:.1}");
        let touched = (0..x.len()).filter(|n| !damaged[*n] && x[*n].to_bits() != y[*n].to_bits()).count();
        // Margins and gaps around 60 clicks: at most 10 samples each.
        assert!(touched < 600, "{touched}");
    }

    #[test]
    fn clean_sound_passes_bit_for_bit() {
        let x = music();
        let y = run("declick", &x);
        assert!(x.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
