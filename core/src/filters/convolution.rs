//! Convolution with an impulse response: a room, a loudspeaker, any linear filter.

use super::assets::AudioAsset;
use super::delay::Delay;
use super::params::{FilterParams, filter_choice, filter_params};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::dsp::convolver::Convolver;
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::{Error, Result};

filter_choice! {
    /// How the level of an impulse response is set.
    pub enum ImpulseLevel {
        Energy = "energy": "Noise comes out as loud as it goes in: the channel with the most energy gets an energy of 1.",
        Peak = "peak": "The largest sample gets the magnitude 1.",
        AsIs = "as_is": "It is taken as it is.",
    }
}

filter_params! {
    /// Gives the sound of a room or a device by its impulse response.
    pub struct ConvolutionParams for "convolution" in Effects, realtime true {
        /// Recording of the impulse response: a path, or a `data:` URL with the bytes of an audio file in base64. It has one
        /// channel for all, or as many as the sound. Another rate is converted.
        impulse: AudioAsset = AudioAsset::default();
        /// Instead of a recording: a row of samples for all channels, or one for each, at the rate of the stream.
        taps: Vec<Vec<f64>> = Vec::new();
        /// How its level is set.
        level: ImpulseLevel = ImpulseLevel::Energy;
        /// Gain of the convolved sound.
        gain_db: f64 = 0.0, -60.0 to 40.0 "dB";
        /// Silence before the convolved sound.
        pre_delay_ms: f64 = 0.0, 0.0 to 500.0 "ms";
        /// Share of the convolved sound; the rest is the input.
        mix_percent: f64 = 100.0, 0.0 to 100.0 "%";
    }
}

/// Longest impulse response.
const MAX_SECONDS: f64 = 30.0;

/// See [`ConvolutionParams`]. Without an impulse response it leaves the sound as it is. No latency; the tail is as long as
/// the impulse response.
#[derive(Debug)]
pub struct Convolution {
    params: ConvolutionParams,
    convolvers: Vec<Convolver>,
    delays: Vec<Delay>,
    work: Vec<f32>,
}

/// Frames that are worked on at once.
const PIECE_FRAMES: usize = 256;

impl Convolution {
    /// A convolution of `params`.
    pub fn new(params: &ConvolutionParams) -> Self {
        Self { params: params.clone(), convolvers: Vec::new(), delays: Vec::new(), work: Vec::new() }
    }

    /// The taps of each channel of the impulse response at the rate of `spec`.
    fn taps(&self, spec: Spec) -> Result<Vec<Vec<f32>>> {
        let invalid = |value: String, allowed: String| {
            Err(Error::InvalidValue { name: "convolution.impulse".into(), value, allowed })
        };
        let mut rows: Vec<Vec<f32>> = match self.params.impulse.audio()? {
            Some(audio) => at_rate(audio, spec.rate_hz)?,
            None => self.params.taps.iter().map(|row| row.iter().map(|x| *x as f32).collect()).collect(),
        };
        if rows.is_empty() {
            return Ok(rows);
        }
        if rows.len() != 1 && rows.len() != spec.channels() {
            return invalid(
                format!("{} channels", rows.len()),
                format!("one channel, or {} as the sound has", spec.channels()),
            );
        }
        let frames = rows.iter().map(Vec::len).max().unwrap_or(0);
        if frames as f64 > MAX_SECONDS * f64::from(spec.rate_hz) {
            return invalid(format!("{frames} frames"), format!("up to {MAX_SECONDS} s"));
        }
        if rows.iter().flatten().any(|x| !x.is_finite()) {
            return invalid("NaN or infinity".into(), "finite samples".into());
        }
        let energy = |row: &Vec<f32>| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let scale = match self.params.level {
            ImpulseLevel::Energy => rows.iter().map(energy).fold(0.0, f64::max).sqrt(),
            ImpulseLevel::Peak => f64::from(rows.iter().flatten().fold(0.0f32, |m, x| m.max(x.abs()))),
            ImpulseLevel::AsIs => 1.0,
        };
        if scale > 0.0 {
            rows.iter_mut().flatten().for_each(|x| *x = (f64::from(*x) / scale) as f32);
        }
        Ok(rows)
    }
}

/// The channels of `audio` at another rate. The sum over time stays, so that its gain at each frequency does.
fn at_rate(audio: &Buffer, rate_hz: u32) -> Result<Vec<Vec<f32>>> {
    let from_hz = audio.spec().rate_hz;
    if from_hz == rate_hz {
        return Ok(audio.channels().map(<[f32]>::to_vec).collect());
    }
    let mut resampler = Resampler::new(from_hz, rate_hz, audio.channel_count(), Quality::default())?;
    let mut out = vec![Vec::new(); audio.channel_count()];
    let mut block = Buffer::new(Spec::new(rate_hz, audio.spec().layout), resampler.max_output_frames(audio.frames()));
    let mut take = |block: &Buffer| out.iter_mut().zip(block.channels()).for_each(|(o, c)| o.extend_from_slice(c));
    resampler.process(audio, &mut block);
    take(&block);
    loop {
        resampler.finish(&mut block);
        if block.is_empty() {
            break;
        }
        take(&block);
    }
    let scale = from_hz as f32 / rate_hz as f32;
    out.iter_mut().flatten().for_each(|x| *x *= scale);
    Ok(out)
}

impl Filter for Convolution {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let rows = self.taps(spec)?;
        self.convolvers = match rows.len() {
            0 => Vec::new(),
            1 => vec![Convolver::new(&rows[0]); spec.channels()],
            _ => rows.iter().map(|row| Convolver::new(row)).collect(),
        };
        let pre_delay = (self.params.pre_delay_ms * f64::from(spec.rate_hz) / 1_000.0).round() as usize;
        self.delays = vec![Delay::new(pre_delay); self.convolvers.len()];
        self.work = vec![0.0; PIECE_FRAMES];
        let tail_frames = rows.iter().map(Vec::len).max().map_or(0, |frames| frames + pre_delay);
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let wet = (self.params.mix_percent / 100.0) as f32;
        let (dry, gain) = (1.0 - wet, wet * 10f64.powf(self.params.gain_db / 20.0) as f32);
        for ((samples, convolver), delay) in block.channels_mut().zip(&mut self.convolvers).zip(&mut self.delays) {
            for piece in samples.chunks_mut(PIECE_FRAMES) {
                let work = &mut self.work[..piece.len()];
                work.copy_from_slice(piece);
                delay.process(work);
                convolver.process(work);
                for (x, y) in piece.iter_mut().zip(work.iter()) {
                    *x = dry * *x + gain * y;
                }
            }
        }
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        // The pre-delay decides a length.
        index != 4 && self.params.set_number(index, value)
    }

    fn reset(&mut self) {
        self.convolvers.iter_mut().for_each(Convolver::reset);
        self.delays.iter_mut().for_each(Delay::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn run(params: &ConvolutionParams, spec: Spec) -> Result<Buffer> {
        let mut f = Convolution::new(params);
        f.prepare(spec, 64)?;
        let mut block = Buffer::from_channels(spec, &vec![vec![0.0; 64]; spec.channels()]);
        block.channels_mut().for_each(|c| c[3] = 1.0);
        f.process(&mut block);
        Ok(block)
    }

    #[test]
    fn an_impulse_brings_the_response_of_its_channel() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let params = ConvolutionParams {
            taps: vec![vec![0.6, 0.0, 0.8], vec![0.0, 0.5]],
            mix_percent: 50.0,
            ..ConvolutionParams::default()
        };
        let block = run(&params, spec).unwrap();
        // Half of the input and half of the response, whose largest channel has an energy of 1 already.
        assert_eq!(block.channel(0)[3..7], [0.8, 0.0, 0.4, 0.0]);
        assert_eq!(block.channel(1)[3..7], [0.5, 0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_recording_is_loaded_and_converted_to_the_rate() {
        struct Loader(Vec<String>);
        impl super::super::assets::AssetLoader for Loader {
            fn load(&mut self, place: &str) -> Result<Buffer> {
                self.0.push(place.to_owned());
                Ok(Buffer::from_channels(Spec::new(24_000, ChannelLayout::MONO), &[vec![0.0, 0.5, 1.0, 0.5, 0.0]]))
            }
        }
        let mut spec: super::super::FilterSpec =
            serde_json::from_str(r#"{"type":"convolution","impulse":"room.wav","level":"as_is"}"#).unwrap();
        let stream = Spec::new(48_000, ChannelLayout::MONO);
        let error = spec.build().unwrap().prepare(stream, 64).unwrap_err();
        assert!(error.to_string().contains("room.wav"), "{error}");
        let mut loader = Loader(Vec::new());
        spec.load_assets(&mut loader).unwrap();
        assert_eq!(loader.0, ["room.wav"]);
        let mut filter = spec.build().unwrap();
        filter.prepare(stream, 64).unwrap();
        let mut block = Buffer::from_channels(stream, &[vec![0.0; 64]]);
        block.channel_mut(0)[0] = 1.0;
        filter.process(&mut block);
        let sum: f32 = block.channel(0).iter().sum();
        // The gain at 0 Hz stays but for the ringing before the start and after the end, which is cut: 0.05 dB here.
        assert!((sum - 2.0).abs() < 0.012, "{sum}");
    }

    #[test]
    fn the_wrong_number_of_channels_is_refused() {
        let params = ConvolutionParams { taps: vec![vec![1.0]; 3], ..ConvolutionParams::default() };
        let error = run(&params, Spec::new(48_000, ChannelLayout::STEREO)).unwrap_err();
        assert!(error.to_string().contains("3 channels"), "{error}");
    }
}
