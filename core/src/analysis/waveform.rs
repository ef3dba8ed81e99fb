//! Waveform peaks for drawing: the smallest and largest sample of each stretch, and the file formats of BBC's audiowaveform.
//!
//! JSON and binary (`.dat`), version 2, as audiowaveform's *Waveform data file format* describes them: little-endian header of version,
//! flags (bit 0: 8 bits), sample rate, samples per pixel, length, channels; then per pixel and channel the minimum and the maximum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// Parameters of peaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeakParams {
    /// Frames per pixel. 2 to 1048576, default 256.
    pub samples_per_pixel: u32,
    /// Whether all channels are mixed to one. Default false.
    pub mono: bool,
    /// When there would be more pixels, two become one and `samples_per_pixel` doubles. At least 2; default: no limit.
    pub max_pixels: Option<u32>,
}

impl Default for PeakParams {
    fn default() -> Self {
        Self { samples_per_pixel: 256, mono: false, max_pixels: None }
    }
}

/// Peaks of a recording. Samples are 16-bit: 1.0 is 32768, what is beyond -32768..=32767 is clipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peaks {
    /// Sample rate in Hz.
    pub rate_hz: u32,
    /// Frames per pixel; the last pixel may have less.
    pub samples_per_pixel: u32,
    /// Number of channels.
    pub channels: u16,
    /// Minimum and maximum of channel 0, of channel 1, ..., then the next pixel.
    pub data: Vec<i16>,
}

impl Peaks {
    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.data.len() / (2 * usize::from(self.channels.max(1)))
    }

    /// A coarser level: `factor` pixels become one. A factor of 0 counts as 1.
    pub fn coarser(&self, factor: u32) -> Self {
        let factor = factor.max(1);
        let stride = 2 * usize::from(self.channels.max(1));
        let mut data = Vec::with_capacity(self.data.len() / factor as usize + stride);
        for group in self.data.chunks(stride * factor as usize) {
            for at in 0..stride {
                let column = group.iter().skip(at).step_by(stride).copied();
                data.push(if at % 2 == 0 { column.min() } else { column.max() }.unwrap_or(0));
            }
        }
        Self { samples_per_pixel: self.samples_per_pixel.saturating_mul(factor), data, ..*self }
    }

    /// Values of 8 or 16 bits; 8 bits are 16 divided by 256 towards zero.
    fn scaled(&self, bits: u8) -> Result<impl Iterator<Item = i16>> {
        if bits != 8 && bits != 16 {
            return Err(Error::InvalidValue {
                name: "bits".into(),
                value: bits.to_string(),
                allowed: "8 or 16".into(),
            });
        }
        Ok(self.data.iter().map(move |v| if bits == 8 { v / 256 } else { *v }))
    }

    /// audiowaveform's JSON, version 2, with 8 or 16 bits.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for other bits.
    pub fn to_json(&self, bits: u8) -> Result<Value> {
        Ok(json!({
            "version": 2,
            "channels": self.channels,
            "sample_rate": self.rate_hz,
            "samples_per_pixel": self.samples_per_pixel,
            "bits": bits,
            "length": self.pixels(),
            "data": self.scaled(bits)?.collect::<Vec<i16>>(),
        }))
    }

    /// audiowaveform's binary format (`.dat`), version 2, with 8 or 16 bits.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for other bits.
    pub fn to_dat(&self, bits: u8) -> Result<Vec<u8>> {
        let values = self.scaled(bits)?;
        let length = u32::try_from(self.pixels()).unwrap_or(u32::MAX);
        let header = [2, u32::from(bits == 8), self.rate_hz, self.samples_per_pixel, length, self.channels.into()];
        let mut bytes: Vec<u8> = header.iter().flat_map(|v| v.to_le_bytes()).collect();
        for value in values {
            let [low, high] = value.to_le_bytes();
            bytes.push(low);
            if bits == 16 {
                bytes.push(high);
            }
        }
        Ok(bytes)
    }
}

/// Collects peaks of a stream.
#[derive(Debug)]
pub struct WaveformPeaks {
    peaks: Peaks,
    mono: bool,
    max_values: usize,
    /// Extremes of the pixel that is being filled, and how many frames it has.
    open: Vec<(f32, f32)>,
    filled: u32,
    mixed: Vec<f32>,
}

impl WaveformPeaks {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the parameters.
    pub fn new(spec: Spec, params: &PeakParams) -> Result<Self> {
        Error::check_range("samples_per_pixel", params.samples_per_pixel.into(), 2.0, 1_048_576.0, "frames")?;
        if let Some(max) = params.max_pixels {
            Error::check_range("max_pixels", max.into(), 2.0, f64::from(u32::MAX), "")?;
        }
        let channels = if params.mono { 1 } else { spec.channels() };
        let peaks = Peaks {
            rate_hz: spec.rate_hz,
            samples_per_pixel: params.samples_per_pixel,
            channels: u16::try_from(channels).unwrap_or(u16::MAX),
            data: Vec::new(),
        };
        let max_values = params.max_pixels.map_or(usize::MAX, |max| (max as usize).saturating_mul(2 * channels));
        let open = vec![EMPTY; channels];
        Ok(Self { peaks, mono: params.mono, max_values, open, filled: 0, mixed: Vec::new() })
    }

    /// Adds a block.
    pub fn push(&mut self, block: &Buffer) {
        if self.mono {
            let mut mixed = std::mem::take(&mut self.mixed);
            super::mix_to_mono(block, &mut mixed);
            self.fill(&[&mixed]);
            self.mixed = mixed;
        } else {
            let channels: Vec<&[f32]> = block.channels().collect();
            self.fill(&channels);
        }
    }

    fn fill(&mut self, channels: &[&[f32]]) {
        let frames = channels.first().map_or(0, |c| c.len());
        let mut at = 0;
        while at < frames {
            let count = (frames - at).min((self.peaks.samples_per_pixel - self.filled) as usize);
            for (open, channel) in self.open.iter_mut().zip(channels) {
                let (mut low, mut high) = *open;
                for x in &channel[at..at + count] {
                    low = if *x < low { *x } else { low };
                    high = if *x > high { *x } else { high };
                }
                *open = (low, high);
            }
            self.filled += count as u32;
            at += count;
            if self.filled == self.peaks.samples_per_pixel {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        for (low, high) in &mut self.open {
            // NaN in all of a pixel leaves it empty: it is drawn as silence.
            let (min, max) = if *low <= *high { (*low, *high) } else { (0.0, 0.0) };
            self.peaks.data.extend([to_16(min), to_16(max)]);
            (*low, *high) = EMPTY;
        }
        self.filled = 0;
        if self.peaks.data.len() >= self.max_values && self.peaks.samples_per_pixel <= u32::MAX / 2 {
            self.halve();
        }
    }

    /// Two pixels become one. A pixel that is left over goes on being filled.
    fn halve(&mut self) {
        let stride = 2 * self.open.len();
        let before = self.peaks.samples_per_pixel;
        let left = self.peaks.pixels() % 2 == 1;
        let rest = if left { self.peaks.data.split_off(self.peaks.data.len() - stride) } else { Vec::new() };
        self.peaks = self.peaks.coarser(2);
        if left {
            for (open, pair) in self.open.iter_mut().zip(rest.chunks(2)) {
                *open = (f32::from(pair[0]) / 32768.0, f32::from(pair[1]) / 32768.0);
            }
            self.filled = before;
        }
    }

    /// Memory of the peaks so far in bytes.
    pub fn kept_bytes(&self) -> u64 {
        2 * self.peaks.data.capacity() as u64
    }

    /// The peaks of all that was pushed.
    pub fn finish(mut self) -> Peaks {
        if self.filled > 0 {
            self.max_values = usize::MAX;
            self.close();
        }
        self.peaks
    }
}

const EMPTY: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

/// `as` saturates at the ends of the range.
fn to_16(sample: f32) -> i16 {
    (sample * 32768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn collect(params: &PeakParams, channels: &[Vec<f32>], block: usize) -> Peaks {
        let spec = Spec::new(48_000, if channels.len() == 2 { ChannelLayout::STEREO } else { ChannelLayout::MONO });
        let mut peaks = WaveformPeaks::new(spec, params).unwrap();
        for start in (0..channels[0].len()).step_by(block) {
            let end = (start + block).min(channels[0].len());
            let part: Vec<Vec<f32>> = channels.iter().map(|c| c[start..end].to_vec()).collect();
            peaks.push(&Buffer::from_channels(spec, &part));
        }
        peaks.finish()
    }

    #[test]
    fn extremes_of_each_pixel_for_any_block_size() {
        let left: Vec<f32> = (0..10).map(|i| i as f32 / 32768.0).collect();
        let right: Vec<f32> = (0..10).map(|i| -2.0 * i as f32 / 32768.0).collect();
        for block in [1, 3, 100] {
            let params = PeakParams { samples_per_pixel: 4, ..PeakParams::default() };
            let peaks = collect(&params, &[left.clone(), right.clone()], block);
            assert_eq!(peaks.data, [0, 3, -6, 0, 4, 7, -14, -8, 8, 9, -18, -16]);
            assert_eq!(peaks.coarser(2).data, [0, 7, -14, 0, 8, 9, -18, -16]);
            let mono = collect(&PeakParams { mono: true, ..params }, &[left.clone(), right.clone()], block);
            assert_eq!(mono.data, [-2, 0, -4, -2, -5, -4]); // -i / 2, halves away from zero
        }
    }

    #[test]
    fn a_limit_doubles_the_pixels_and_equals_a_coarser_one() {
        let signal: Vec<f32> = (0..1003).map(|i| ((i * 37) % 101) as f32 / 101.0 - 0.5).collect();
        for max in [2, 3, 5, 7, 20] {
            let limited = PeakParams { samples_per_pixel: 4, max_pixels: Some(max), mono: false };
            let got = collect(&limited, std::slice::from_ref(&signal), 17);
            assert!(got.pixels() <= max as usize + 1, "{max}: {}", got.pixels());
            let plain = PeakParams { samples_per_pixel: got.samples_per_pixel, ..PeakParams::default() };
            assert_eq!(got, collect(&plain, std::slice::from_ref(&signal), 1003));
        }
    }

    #[test]
    fn the_example_of_the_format_description_comes_out() {
        let data: Vec<i16> = [-65, 63, -66, 64, -40, 41, -39, 45, -55, 43, -55, 44].iter().map(|v| v * 256).collect();
        let peaks = Peaks { rate_hz: 48_000, samples_per_pixel: 512, channels: 2, data };
        let text = r#"{"version":2,"channels":2,"sample_rate":48000,"samples_per_pixel":512,"bits":8,"length":3,"data":[-65,63,-66,64,-40,41,-39,45,-55,43,-55,44]}"#;
        assert_eq!(peaks.to_json(8).unwrap().to_string(), text);
        let dat = peaks.to_dat(8).unwrap();
        let header = [2u8, 0, 0, 0, 1, 0, 0, 0, 0x80, 0xBB, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0];
        assert_eq!(dat[..24], header);
        assert_eq!(dat[24..28], [191, 63, 190, 64]);
        assert_eq!(dat.len(), 24 + 12);
        assert_eq!(peaks.to_dat(16).unwrap().len(), 24 + 24);
        assert!(peaks.to_json(12).is_err());
    }

    #[test]
    fn what_is_too_loud_is_clipped_and_nan_is_nothing() {
        let peaks = collect(&PeakParams::default(), &[vec![1.5, -3.0, f32::NAN]], 8);
        assert_eq!(peaks.data, [-32768, 32767]);
        assert_eq!(collect(&PeakParams::default(), &[vec![f32::NAN; 4]], 8).data, [0, 0]);
    }
}
