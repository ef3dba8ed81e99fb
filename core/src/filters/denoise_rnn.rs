//! Noise reduction by a small recurrent network: RNNoise (J.-M. Valin, "A Hybrid DSP/Deep Learning Approach to Real-Time
//! Full-Band Speech Enhancement", MMSP 2018), in the port `nnnoiseless` with its built-in weights.
//!
//! The network knows 48 kHz and frames of 10 ms; other rates are converted there and back.

use std::sync::OnceLock;

use nnnoiseless::{DenoiseState, RnnModel};

use super::delay::Delay;
use super::params::filter_params;
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::Result;

filter_params! {
    /// Removes all that is not speech, changing noise included; for voice, not for music. For files: its transforms allocate.
    pub struct DenoiseRnnParams for "denoise_rnn" in Restoration, realtime false {
        /// Share of the cleaned sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

const NATIVE_HZ: u32 = 48_000;
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// The network was made for 16-bit integers in floats.
const SCALE: f32 = 32_768.0;

fn model() -> &'static RnnModel {
    static MODEL: OnceLock<RnnModel> = OnceLock::new();
    MODEL.get_or_init(RnnModel::default)
}

/// Rate conversion to and from the network's rate.
struct Conversion {
    up: Resampler,
    down: Resampler,
    native: Buffer,
    back: Buffer,
}

/// See [`DenoiseRnnParams`]. Each channel is cleaned by itself. Latency is 20 ms at 48 kHz, some more at other rates.
/// NaN and infinity are taken as silence.
pub struct DenoiseRnn {
    params: DenoiseRnnParams,
    states: Vec<Box<DenoiseState<'static>>>,
    /// What `reset` copies.
    fresh: Option<Box<DenoiseState<'static>>>,
    conversion: Option<Conversion>,
    /// Input of the present network frame, at 48 kHz.
    pending: Buffer,
    cleaned: Buffer,
    /// The network's first frame is a fade-in of nothing, and its delay.
    skip_first: bool,
    /// Output that waits.
    ready: Buffer,
    /// The input, in time with the output.
    dry: Vec<Delay>,
    latency_frames: usize,
}

impl DenoiseRnn {
    /// A noise reduction of `params`.
    pub fn new(params: &DenoiseRnnParams) -> Self {
        let unset = Buffer::new(Spec::new(NATIVE_HZ, crate::audio::ChannelLayout::MONO), 0);
        Self {
            params: params.clone(),
            states: Vec::new(),
            fresh: None,
            conversion: None,
            pending: unset.clone(),
            cleaned: unset.clone(),
            skip_first: true,
            ready: unset,
            dry: Vec::new(),
            latency_frames: 0,
        }
    }

    /// Takes `input` and appends what becomes of it to `ready`.
    fn feed(&mut self, input: &Buffer) {
        if let Some(conversion) = &mut self.conversion {
            let mut native = std::mem::replace(&mut conversion.native, Buffer::new(input.spec(), 0));
            conversion.up.process(input, &mut native);
            self.feed_native(&native);
            if let Some(conversion) = &mut self.conversion {
                conversion.native = native;
            }
        } else {
            self.feed_native(input);
        }
    }

    fn feed_native(&mut self, input: &Buffer) {
        let mix = (self.params.mix_percent / 100.0) as f32;
        let mut at = 0;
        while at < input.frames() {
            let count = (FRAME - self.pending.frames()).min(input.frames() - at);
            self.pending.append(input, at, count);
            at += count;
            if self.pending.frames() < FRAME {
                return;
            }
            self.cleaned.set_frames(FRAME);
            let channels = self.pending.channels_mut().zip(self.cleaned.channels_mut());
            for ((from, to), state) in channels.zip(&mut self.states) {
                for x in from.iter_mut() {
                    // Beyond 40 dB over full scale is no audio; the network's filters would never forget NaN.
                    *x = if x.abs() < 100.0 { *x * SCALE } else { 0.0 };
                }
                state.process_frame(to, from);
                for y in to.iter_mut() {
                    *y = if y.is_finite() { *y * (mix / SCALE) } else { 0.0 };
                }
            }
            self.pending.set_frames(0);
            if std::mem::replace(&mut self.skip_first, false) {
                continue;
            }
            match &mut self.conversion {
                Some(conversion) => {
                    conversion.down.process(&self.cleaned, &mut conversion.back);
                    self.ready.append(&conversion.back, 0, conversion.back.frames());
                }
                None => self.ready.append(&self.cleaned, 0, FRAME),
            }
        }
    }
}

impl Filter for DenoiseRnn {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let channels = spec.channels();
        let native = Spec::new(NATIVE_HZ, spec.layout);
        let fresh = DenoiseState::with_model(model());
        self.states = vec![fresh.clone(); channels];
        self.fresh = Some(fresh);
        self.conversion = None;
        if spec.rate_hz != NATIVE_HZ {
            let up = Resampler::new(spec.rate_hz, NATIVE_HZ, channels, Quality::Good)?;
            let down = Resampler::new(NATIVE_HZ, spec.rate_hz, channels, Quality::Good)?;
            let native_frames = up.max_output_frames(max_frames);
            let back_frames = down.max_output_frames(FRAME);
            self.conversion = Some(Conversion {
                up,
                down,
                native: Buffer::new(native, native_frames),
                back: Buffer::new(spec, back_frames),
            });
        }
        self.pending = Buffer::new(native, FRAME);
        self.cleaned = Buffer::new(native, FRAME);
        // The network holds back less than one frame and is one frame late; a conversion holds back no more than it can
        // give out when nothing is added.
        self.latency_frames = 2 * FRAME;
        if let Some(conversion) = &self.conversion {
            let native = conversion.up.max_output_frames(0) + 2 * FRAME;
            let frames = (native as f64 * f64::from(spec.rate_hz) / f64::from(NATIVE_HZ)).ceil() as usize;
            self.latency_frames = frames + conversion.down.max_output_frames(0) + 2;
        }
        self.ready = Buffer::new(spec, self.latency_frames + 4 * max_frames + spec.rate_hz as usize / 5);
        self.dry = vec![Delay::new(self.latency_frames); channels];
        self.reset();
        // A window of 20 ms after the first, and the comb filter that adds what was up to 16 ms earlier.
        let tail_frames = spec.rate_hz as usize / 20;
        Ok(Prepared { spec, max_frames, latency_frames: self.latency_frames, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        if self.fresh.is_none() {
            return;
        }
        self.feed(block);
        let dry = (1.0 - self.params.mix_percent / 100.0) as f32;
        let frames = block.frames();
        let ready = self.ready.channels().zip(&mut self.dry);
        for (samples, (wet, delay)) in block.channels_mut().zip(ready) {
            delay.process(samples);
            for (x, wet) in samples.iter_mut().zip(wet) {
                // NaN times 0 would stay NaN.
                *x = if dry > 0.0 { dry * *x + wet } else { *wet };
            }
        }
        self.ready.drop_front(frames);
    }

    fn reset(&mut self) {
        if let Some(fresh) = &self.fresh {
            self.states.iter_mut().for_each(|s| s.clone_from(fresh));
        }
        if let Some(conversion) = &mut self.conversion {
            conversion.up.reset();
            conversion.down.reset();
        }
        self.pending.set_frames(0);
        self.ready.set_frames(0);
        self.ready.append_silence(self.latency_frames);
        self.skip_first = true;
        self.dry.iter_mut().for_each(Delay::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    /// A voice-like buzz with pauses, and noise that is weaker by `noise_db`.
    fn noisy(rate: u32, noise: f32) -> Vec<f32> {
        let mut seed = 1u32;
        (0..4 * rate)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let t = n as f32 / rate as f32;
                let on = if t.fract() < 0.5 { 1.0 } else { 0.0 };
                let pitch = 120.0 + 10.0 * (t * 12.0).sin();
                let voice: f32 = (1..20).map(|k| (std::f32::consts::TAU * pitch * k as f32 * t).sin() / k as f32).sum();
                0.1 * on * voice + noise * ((seed >> 8) as f32 / 8_388_608.0 - 1.0)
            })
            .collect()
    }

    fn rms(x: &[f32]) -> f32 {
        (x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32).sqrt()
    }

    #[test]
    fn takes_noise_out_of_pauses_at_any_rate() {
        for rate in [16_000u32, 44_100, 48_000] {
            let spec = Spec::new(rate, ChannelLayout::MONO);
            let x = noisy(rate, 0.01);
            let mut f = DenoiseRnn::new(&DenoiseRnnParams::default());
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            let latency = f.prepare(spec, x.len()).unwrap().latency_frames;
            f.process(&mut block);
            let pause = 2 * rate as usize + (rate as usize * 7) / 10;
            let length = rate as usize / 5;
            let before = rms(&x[pause..pause + length]);
            let after = rms(&block.channel(0)[pause + latency..pause + latency + length]);
            assert!(after < 0.2 * before, "{rate}: {after} {before}");
        }
    }

    #[test]
    fn the_dry_part_is_in_time_with_the_latency() {
        for rate in [44_100u32, 48_000] {
            let spec = Spec::new(rate, ChannelLayout::MONO);
            let mut f = DenoiseRnn::new(&DenoiseRnnParams { mix_percent: 0.0 });
            let x = noisy(rate, 0.01);
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            let latency = f.prepare(spec, x.len()).unwrap().latency_frames;
            f.process(&mut block);
            assert_eq!(&block.channel(0)[latency..], &x[..x.len() - latency]);
        }
    }

    #[test]
    fn the_cleaned_part_is_in_time_with_the_latency() {
        for rate in [44_100u32, 48_000, 16_000] {
            let spec = Spec::new(rate, ChannelLayout::MONO);
            let mut f = DenoiseRnn::new(&DenoiseRnnParams::default());
            let x = noisy(rate, 0.0);
            let mut block = Buffer::from_channels(spec, std::slice::from_ref(&x));
            let latency = f.prepare(spec, x.len()).unwrap().latency_frames;
            f.process(&mut block);
            let y = block.channel(0);
            // Where the correlation with the input is largest: within 1 ms (its low-cut turns the phase a little).
            let reach = rate as usize / 200;
            let correlate = |lag: usize| -> f64 {
                (rate as usize..2 * rate as usize).map(|n| f64::from(x[n]) * f64::from(y[n + lag])).sum()
            };
            let best =
                (latency - reach..=latency + reach).max_by(|a, b| correlate(*a).total_cmp(&correlate(*b))).unwrap();
            assert!(best.abs_diff(latency) * 1_000 <= rate as usize, "{rate}: {best} {latency}");
        }
    }
}
