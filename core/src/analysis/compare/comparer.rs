//! Compares two streams that lie side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bands::{FRAME, HOP, RATE_HZ};
use super::difference::{Difference, SILENT};
use super::perceptual::{Listener, Perceptual};
use super::spectral_distance::SpectralDistance;
use crate::analysis::LOUDEST;
use crate::audio::Buffer;
use crate::error::{Error, Result};

/// What [`Comparer`] finds. Ratios lie within -200 and 200 dB; 200 stands for no difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// Frames (samples per channel) that were compared, at 48 kHz.
    pub frames: u64,
    /// Those in seconds.
    pub duration_s: f64,
    /// Whether no sample differs.
    pub identical: bool,
    /// Level of the degraded signal against the reference, RMS of all channels, in dB. None: the reference is silent.
    pub level_difference_db: Option<f64>,
    /// Correlation of the waveforms, -1 to 1; near -1 the polarity is inverted. None: one of both is silent.
    pub correlation: Option<f64>,
    /// Signal to noise ratio in dB; the noise is the difference. None: the reference is silent.
    pub snr_db: Option<f64>,
    /// Scale-invariant signal to distortion ratio in dB: the SNR after the best change of level, or polarity. None: one of both is silent.
    pub si_sdr_db: Option<f64>,
    /// Mean SNR of segments of 21.3 ms, each within -10 and 35 dB; those whose reference is below -60 dBFS do not count. None: all are.
    pub segmental_snr_db: Option<f64>,
    /// Log-spectral distance in dB, from 0: root mean square over frequency, mean over the frames that are above -60 dBFS and the channels.
    /// None: all frames are below, or shorter than 43 ms.
    pub log_spectral_distance_db: Option<f64>,
    /// What a listener would notice. None: shorter than 43 ms, or the reference is silent.
    pub perceptual: Option<Perceptual>,
}

/// Compares two streams of 48 kHz that are aligned. Any split into blocks gives the same figures. Memory: about 60 kB per channel.
pub struct Comparer {
    channels: usize,
    /// Of each channel the hop before, and the one that fills: reference, degraded.
    reference: Vec<Vec<f32>>,
    degraded: Vec<Vec<f32>>,
    filled: usize,
    hops: u64,
    frames: u64,
    difference: Difference,
    distance: SpectralDistance,
    listener: Listener,
}

impl Comparer {
    /// Rate in Hz of what is compared.
    pub const RATE_HZ: u32 = RATE_HZ as u32;

    /// For so many channels, at least 1.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: no channel.
    pub fn new(channels: usize) -> Result<Self> {
        Error::check_range("channels", channels as f64, 1.0, 65_535.0, "")?;
        Ok(Self {
            channels,
            reference: vec![vec![0.0; FRAME]; channels],
            degraded: vec![vec![0.0; FRAME]; channels],
            filled: 0,
            hops: 0,
            frames: 0,
            difference: Difference::default(),
            distance: SpectralDistance::default(),
            listener: Listener::new(channels),
        })
    }

    /// Adds a block of each, of the same length. What is no number counts as silence.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when rate, channels or lengths are others.
    pub fn push(&mut self, reference: &Buffer, degraded: &Buffer) -> Result<()> {
        if reference.frames() != degraded.frames() {
            let value = format!("{} and {} frames", reference.frames(), degraded.frames());
            return Err(Error::InvalidValue { name: "block".into(), value, allowed: "as many frames of both".into() });
        }
        self.push_frames(reference, degraded, reference.frames())
    }

    /// As [`Comparer::push`], the first `frames` frames of both.
    pub(super) fn push_frames(&mut self, reference: &Buffer, degraded: &Buffer, frames: usize) -> Result<()> {
        for block in [reference, degraded] {
            if block.spec().rate_hz != Self::RATE_HZ || block.channel_count() != self.channels {
                let (rate_hz, channels) = (block.spec().rate_hz, block.channel_count());
                let value = format!("{rate_hz} Hz, {channels} channels");
                let allowed = format!("{} Hz, {} channels", Self::RATE_HZ, self.channels);
                return Err(Error::InvalidValue { name: "block".into(), value, allowed });
            }
        }
        let mut start = 0;
        while start < frames {
            let count = (HOP - self.filled).min(frames - start);
            let into = HOP + self.filled..HOP + self.filled + count;
            for (to, block) in [(&mut self.reference, reference), (&mut self.degraded, degraded)] {
                for (to, from) in to.iter_mut().zip(block.channels()) {
                    for (to, x) in to[into.clone()].iter_mut().zip(&from[start..start + count]) {
                        *to = if x.is_finite() { x.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
                    }
                }
            }
            (start, self.filled) = (start + count, self.filled + count);
            if self.filled == HOP {
                self.hop();
            }
        }
        self.frames += frames as u64;
        Ok(())
    }

    /// Looks at the hop that is full.
    fn hop(&mut self) {
        for (channel, (reference, degraded)) in self.reference.iter().zip(&self.degraded).enumerate() {
            self.difference.push(&reference[HOP..], &degraded[HOP..]);
            self.listener.listen(channel, &reference[HOP..], self.hops);
            if self.hops > 0 {
                let (reference_power, degraded_power) = self.listener.transform(channel, reference, degraded);
                let energy: f64 = reference.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                if energy > SILENT * FRAME as f64 {
                    self.distance.push(reference_power, degraded_power);
                }
            }
        }
        self.difference.end_segment();
        if self.hops > 0 {
            self.listener.push(self.hops - 1);
        }
        self.reference.iter_mut().chain(&mut self.degraded).for_each(|x| x.copy_within(HOP.., 0));
        (self.hops, self.filled) = (self.hops + 1, 0);
    }

    /// The figures of all that was pushed.
    ///
    /// # Errors
    /// [`Error::Empty`] when nothing was pushed.
    pub fn finish(mut self) -> Result<Differences> {
        if self.frames == 0 {
            return Err(Error::Empty);
        }
        // Only whole frames are looked at by the ear: a cut end sounds like a click.
        let rest = HOP..HOP + self.filled;
        for (reference, degraded) in self.reference.iter().zip(&self.degraded) {
            self.difference.push(&reference[rest.clone()], &degraded[rest.clone()]);
        }
        self.difference.end_segment();
        let difference = &self.difference;
        Ok(Differences {
            frames: self.frames,
            duration_s: self.frames as f64 / RATE_HZ,
            identical: difference.is_none(),
            level_difference_db: difference.level_difference_db(),
            correlation: difference.correlation(),
            snr_db: difference.snr_db(),
            si_sdr_db: difference.si_sdr_db(),
            segmental_snr_db: difference.segmental_snr_db(),
            log_spectral_distance_db: self.distance.mean_db(),
            perceptual: self.listener.finish(),
        })
    }
}
