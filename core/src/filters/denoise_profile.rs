//! Noise reduction by a noise profile: learned from a stretch of the recording where there is noise alone, or given.
//!
//! The gain of each bin is that of `denoise_spectral` (Ephraim and Malah 1985, Cohen 2002), which keeps the residue free of
//! musical noise; only the noise is known instead of followed, so that it may be as loud as the sound.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::denoise_spectral::Work;
use super::params::{FilterParams, ParamKind, ParamValue, filter_params};
use super::stft::Stft;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// One point of a noise profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisePoint {
    /// Frequency in Hz. 1 to 96000.
    pub frequency_hz: f64,
    /// Power of the noise in 1 Hz around it, in dB relative to a full-scale sine. -240 to 20.
    pub density_db: f64,
}

/// A noise profile: points of rising frequency. Between them the density is on a straight line in dB over Hz; beyond the
/// ends it stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NoiseProfile(pub Vec<NoisePoint>);

impl ParamValue for NoiseProfile {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        let mut last = 0.0;
        for (index, point) in self.0.iter().enumerate() {
            let parts = [
                ("frequency_hz", point.frequency_hz, 1.0, 96_000.0, "Hz"),
                ("density_db", point.density_db, -240.0, 20.0, "dB"),
            ];
            for (part, value, min, max, unit) in parts {
                if !(value >= min && value <= max) {
                    return Err(Error::OutOfRange { name: format!("{name}[{index}].{part}"), value, min, max, unit });
                }
            }
            if point.frequency_hz <= last {
                return Err(Error::InvalidValue {
                    name: format!("{name}[{index}].frequency_hz"),
                    value: point.frequency_hz.to_string(),
                    allowed: format!("more than the point before, {last} Hz"),
                });
            }
            last = point.frequency_hz;
        }
        Ok(())
    }
}

impl NoiseProfile {
    /// Density at a frequency in dB; the profile has points.
    fn density_db(&self, hz: f64) -> f64 {
        let after = self.0.partition_point(|p| p.frequency_hz < hz);
        match (after.checked_sub(1).and_then(|i| self.0.get(i)), self.0.get(after)) {
            (Some(low), Some(high)) => {
                let share = (hz - low.frequency_hz) / (high.frequency_hz - low.frequency_hz);
                low.density_db + share * (high.density_db - low.density_db)
            }
            (Some(edge), None) | (None, Some(edge)) => edge.density_db,
            (None, None) => -240.0,
        }
    }
}

filter_params! {
    /// Lowers a noise whose profile was learned from a stretch of noise alone, or is given. Sound before the end of the
    /// stretch passes as it is.
    pub struct DenoiseProfileParams for "denoise_profile" in Restoration, realtime true {
        /// Where the noise alone starts.
        start_s: f64 = 0.0, 0.0 to 36000.0 "s";
        /// Where it ends. At least 0.2 s later, better 1 s.
        end_s: f64 = 0.5, 0.0 to 36000.0 "s";
        /// The profile, when it is known: then nothing is learned.
        profile: NoiseProfile = NoiseProfile::default();
        /// Most reduction of noise; 0 changes nothing.
        reduction_db: f64 = 18.0, 0.0 to 60.0 "dB";
        /// Raises or lowers the profile before it is used: more takes away more, speech included.
        sensitivity_db: f64 = 0.0, -12.0 to 12.0 "dB";
    }
}

/// See [`DenoiseProfileParams`]. Latency is one window of about 43 ms. NaN and infinity are taken as silence.
pub struct DenoiseProfile {
    params: DenoiseProfileParams,
    rate_hz: f64,
    stft: Option<Stft>,
    work: Work,
    /// Windows that lie within the stretch, by number.
    learn: std::ops::Range<u64>,
    /// Windows seen of each channel.
    seen: Vec<u64>,
}

impl DenoiseProfile {
    /// A noise reduction of `params`.
    pub fn new(params: &DenoiseProfileParams) -> Self {
        Self { params: params.clone(), rate_hz: 0.0, stft: None, work: Work::default(), learn: 0..0, seen: Vec::new() }
    }

    fn update(&mut self) {
        if let Some(stft) = &self.stft {
            self.work.set(stft, self.rate_hz, [self.params.reduction_db, self.params.sensitivity_db, 100.0]);
        }
    }
}

impl Filter for DenoiseProfile {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        if p.profile.0.is_empty() && p.end_s < p.start_s + 0.2 {
            return Err(Error::OutOfRange {
                name: "denoise_profile.end_s".into(),
                value: p.end_s,
                min: p.start_s + 0.2,
                max: 36_000.0,
                unit: "s",
            });
        }
        self.rate_hz = f64::from(spec.rate_hz);
        let size = Stft::window_frames(self.rate_hz, 43.5);
        let stft = Stft::new(spec.channels(), size, 2);
        self.work = Work::new(spec.channels(), &stft);
        // Window `n` covers the frames from `(n + 1) hop - size` to `(n + 1) hop`.
        let hop = stft.hop() as f64;
        let first = ((p.start_s * self.rate_hz + size as f64) / hop - 1.0).ceil() as u64;
        let last = (p.end_s * self.rate_hz / hop).floor() as u64;
        self.learn = if p.profile.0.is_empty() { first..last } else { 0..0 };
        self.stft = Some(stft);
        self.seen = vec![0; spec.channels()];
        self.update();
        self.reset();
        Ok(Prepared { spec, max_frames, latency_frames: size, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(stft) = &mut self.stft else { return };
        let (work, seen, learn) = (&mut self.work, &mut self.seen, &self.learn);
        stft.process(block, |index, spectrum| {
            let window = seen[index];
            seen[index] += 1;
            let sounds = work.measure(spectrum);
            if window < learn.end {
                if window >= learn.start {
                    // The mean of all powers so far.
                    let share = 1.0 / (window - learn.start + 1) as f32;
                    let least = work.least();
                    for (noise, p) in work.channels[index].noise.iter_mut().zip(&work.power) {
                        *noise = (*noise + share * (p - *noise)).max(least);
                    }
                }
            } else if sounds {
                work.reduce(index, spectrum);
            }
        });
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // The stretch is behind or ahead of the sound; moving it would mean to listen again.
        let set = index > 2 && self.params.set_number(index, value);
        if set {
            self.update();
        }
        set
    }

    fn reset(&mut self) {
        let Some(stft) = &mut self.stft else { return };
        stft.reset();
        self.work.reset();
        self.seen.fill(0);
        // Powers of a bin: density times half the rate is the power of white noise; the squares of the window sum to half
        // its length; a full-scale sine has the power 1/2. A floor of -200 dB per Hz keeps divisions safe.
        let (size, rate_hz) = (stft.size() as f64, self.rate_hz);
        let scale = 0.5 * (rate_hz / 2.0) * (size / 2.0);
        for channel in &mut self.work.channels {
            for (k, noise) in channel.noise.iter_mut().enumerate() {
                let db = self.params.profile.density_db(k as f64 * rate_hz / size).max(-200.0);
                *noise = (scale * 10f64.powf(db / 10.0)) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::declick::tests::{RATE, music, random, ratio_db, run};

    fn noise(count: usize, level: f32) -> Vec<f32> {
        let mut seed = 21u32;
        (0..count).map(|_| level * random(&mut seed)).collect()
    }

    #[test]
    fn learned_and_given_profiles_take_the_noise_out() {
        let lead = RATE as usize;
        let clean: Vec<f32> = vec![0.0; lead].into_iter().chain(music()).collect();
        let x: Vec<f32> = clean.iter().zip(noise(clean.len(), 0.05)).map(|(c, n)| c + n).collect();
        // Uniform noise of 0.05: variance 0.05^2 / 3 over half the rate, relative to 1/2: -74.2 dB per Hz.
        let given = "denoise_profile:profile=[{\"frequency_hz\":100,\"density_db\":-74.2}]";
        let given =
            format!("{{\"type\":\"denoise_profile\",{}}}", given.replace("denoise_profile:profile=", "\"profile\":"));
        for text in ["denoise_profile:end_s=0.9", given.as_str()] {
            let y = run(text, &x);
            let (before, after) = (ratio_db(&clean[lead..], &x[lead..]), ratio_db(&clean[lead..], &y[lead..]));
            // Stated bound: 6 dB.
            assert!(after > before + 6.0, "{text}: {before:.1} {after:.1}");
        }
    }

    #[test]
    fn no_reduction_gives_the_input_back() {
        let x = noise(RATE as usize, 0.5);
        let y = run("denoise_profile:reduction_db=0", &x);
        // Two transforms in f32: about -130 dB.
        assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 2e-6));
    }

    #[test]
    fn a_stretch_that_is_too_short_and_a_profile_out_of_order_are_refused() {
        let mut filter = DenoiseProfile::new(&DenoiseProfileParams { end_s: 0.1, ..Default::default() });
        let spec = Spec::new(RATE, crate::audio::ChannelLayout::MONO);
        assert!(matches!(filter.prepare(spec, 64), Err(Error::OutOfRange { .. })));
        let point = |frequency_hz, density_db| NoisePoint { frequency_hz, density_db };
        let check = |points: Vec<NoisePoint>| NoiseProfile(points).check_parts("p");
        assert!(check(vec![point(100.0, -80.0), point(200.0, -90.0)]).is_ok());
        assert!(matches!(check(vec![point(100.0, -80.0), point(100.0, -90.0)]), Err(Error::InvalidValue { .. })));
        assert!(matches!(check(vec![point(0.0, -80.0)]), Err(Error::OutOfRange { .. })));
        assert!(matches!(check(vec![point(10.0, f64::NAN)]), Err(Error::OutOfRange { .. })));
    }
}
