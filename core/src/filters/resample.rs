//! Change of the sample rate.

use super::params::{filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::Result;

filter_choice! {
    /// How steep and clean the conversion is.
    pub enum ResampleQuality {
        Good = "good": "Flat to 0.91 of the lower Nyquist frequency, aliases below -130 dB.",
        Fast = "fast": "Flat to 0.80 of the lower Nyquist frequency, aliases below -100 dB.",
        Best = "best": "Flat to 0.955 of the lower Nyquist frequency, aliases below -138 dB.",
    }
}

impl From<ResampleQuality> for Quality {
    fn from(quality: ResampleQuality) -> Self {
        match quality {
            ResampleQuality::Fast => Self::Fast,
            ResampleQuality::Good => Self::Good,
            ResampleQuality::Best => Self::Best,
        }
    }
}

filter_params! {
    /// Converts to another sample rate.
    pub struct ResampleParams for "resample" in Level, realtime true {
        /// Rate of the output.
        rate_hz: u32 = 48000, 1000 to 768000 "Hz";
        /// How steep and clean the conversion is.
        quality: ResampleQuality = ResampleQuality::Good;
    }
}

/// See [`ResampleParams`]. Compensates its own delay: the first `process` calls give fewer frames, `finish` the rest.
pub struct Resample {
    params: ResampleParams,
    resampler: Option<Resampler>,
    output: Buffer,
    /// Part of `output` that `finish` has not given yet.
    given: usize,
    max_frames: usize,
}

impl Resample {
    /// A conversion of `params`.
    pub fn new(params: &ResampleParams) -> Self {
        let unset = Spec::new(params.rate_hz, crate::audio::ChannelLayout::MONO);
        Self { params: params.clone(), resampler: None, output: Buffer::new(unset, 0), given: 0, max_frames: 0 }
    }
}

impl Filter for Resample {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let quality = self.params.quality.into();
        let mut resampler = Resampler::new(spec.rate_hz, self.params.rate_hz, spec.channels(), quality)?;
        let out = Spec::new(self.params.rate_hz, spec.layout);
        self.max_frames = resampler.max_output_frames(max_frames);
        self.output = Buffer::new(out, self.max_frames);
        // Its queues grow on first use: let that be now, for the longest block on top of all that can be held back.
        let held = resampler.max_output_frames(0) as f64 * f64::from(spec.rate_hz) / f64::from(self.params.rate_hz);
        let mut silence = Buffer::new(spec, 0);
        silence.append_silence(max_frames + held.ceil() as usize);
        resampler.process(&silence, &mut Buffer::new(out, 0));
        self.resampler = Some(resampler);
        self.reset();
        Ok(Prepared { spec: out, max_frames: self.max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(resampler) = &mut self.resampler else { return };
        resampler.process(block, &mut self.output);
        block.copy_from(&self.output, 0, self.output.frames());
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(resampler) = &mut self.resampler else { return block.set_frames(0) };
        if self.given == 0 {
            resampler.finish(&mut self.output);
        }
        let count = (self.output.frames() - self.given).min(self.max_frames);
        block.copy_from(&self.output, self.given, count);
        self.given += count;
    }

    fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.output.set_frames(0);
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;
    use crate::filters::{FileChain, FilterSpec};

    #[test]
    fn a_tone_keeps_its_frequency_level_and_position() {
        let spec = Spec::new(44_100, ChannelLayout::MONO);
        let mut chain = FileChain::new(&["resample:rate_hz=48000".parse::<FilterSpec>().unwrap()]).unwrap();
        assert_eq!(chain.prepare(spec, 1_000).unwrap().rate_hz, 48_000);
        let tone = |n: usize, rate: f64| 0.5 * (2.0 * std::f64::consts::PI * 1_000.0 * n as f64 / rate).sin();
        let x: Vec<f32> = (0..44_100).map(|n| tone(n, 44_100.0) as f32).collect();
        let mut out: Vec<f32> = Vec::new();
        let mut take = |b: &Buffer| {
            out.extend_from_slice(b.channel(0));
            Ok(())
        };
        for piece in x.chunks(1_000) {
            chain.process(&mut Buffer::from_channels(spec, &[piece.to_vec()]), &mut take).unwrap();
        }
        chain.finish(&mut take).unwrap();
        assert_eq!(out.len(), 48_000);
        // Away from the ends, where the tone is cut off: -100 dB of full scale.
        for (n, y) in out.iter().enumerate().skip(1_000).take(46_000) {
            assert!((f64::from(*y) - tone(n, 48_000.0)).abs() < 1e-5, "{n}");
        }
    }
}
