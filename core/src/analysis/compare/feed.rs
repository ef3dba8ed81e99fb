//! One of the two inputs: decoded, converted to 48 kHz, and kept until the other is as far.

use super::comparer::Comparer;
use crate::analysis::mix_to_mono;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::Result;
use crate::formats::Decoder;

/// Frames that are decoded at a time.
const BLOCK_FRAMES: usize = 8_192;

/// Called with the frames of each block that was decoded; an error ends the work.
pub(crate) type Tick<'a> = dyn Fn(usize) -> Result<()> + 'a;

/// One input.
pub(super) struct Feed<'a> {
    decoder: &'a mut dyn Decoder,
    tick: &'a Tick<'a>,
    resampler: Option<Resampler>,
    to_mono: bool,
    mono: Vec<f32>,
    block: Buffer,
    converted: Buffer,
    /// At 48 kHz, not yet used.
    pub ready: Buffer,
    /// Frames that are dropped before more is kept.
    skip: usize,
    gain: f32,
    /// Frames that were decoded, at the own rate.
    pub frames: u64,
    ended: bool,
}

impl<'a> Feed<'a> {
    pub fn new(decoder: &'a mut dyn Decoder, to_mono: bool, tick: &'a Tick<'a>) -> Result<Self> {
        let own = decoder.info().spec;
        let to_mono = to_mono && own.channels() > 1;
        let layout = if to_mono { ChannelLayout::MONO } else { own.layout };
        let resampler = (own.rate_hz != Comparer::RATE_HZ)
            .then(|| Resampler::new(own.rate_hz, Comparer::RATE_HZ, layout.channels(), Quality::Good))
            .transpose()?;
        Ok(Self {
            decoder,
            tick,
            resampler,
            to_mono,
            mono: Vec::new(),
            block: Buffer::new(own, BLOCK_FRAMES),
            converted: Buffer::new(Spec::new(Comparer::RATE_HZ, layout), 0),
            ready: Buffer::new(Spec::new(Comparer::RATE_HZ, layout), 0),
            skip: 0,
            gain: 1.0,
            frames: 0,
            ended: false,
        })
    }

    /// Channels of what is ready.
    pub fn channels(&self) -> usize {
        self.ready.channel_count()
    }

    /// Decodes until `frames` are ready, or the end.
    pub fn fill(&mut self, frames: usize) -> Result<()> {
        while !self.ended && self.ready.frames() < frames {
            if self.read()? == 0 {
                self.ended = true;
                if let Some(resampler) = &mut self.resampler {
                    resampler.finish(&mut self.converted);
                    keep(&mut self.ready, &self.converted, &mut self.skip, self.gain);
                }
                break;
            }
            if self.to_mono {
                mix_to_mono(&self.block, &mut self.mono);
                let (rate_hz, frames) = (self.block.spec().rate_hz, self.block.frames());
                self.block.reserve(Spec::new(rate_hz, ChannelLayout::MONO), BLOCK_FRAMES);
                self.block.set_frames(frames);
                self.block.channel_mut(0).copy_from_slice(&self.mono);
            }
            let source = match &mut self.resampler {
                Some(resampler) => {
                    resampler.process(&self.block, &mut self.converted);
                    &self.converted
                }
                None => &self.block,
            };
            keep(&mut self.ready, source, &mut self.skip, self.gain);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<usize> {
        let count = self.decoder.read(&mut self.block, BLOCK_FRAMES)?;
        (self.tick)(count)?;
        self.frames += count as u64;
        Ok(count)
    }

    /// Drops `frames` frames, those that are ready first.
    pub fn skip(&mut self, frames: usize) {
        let now = frames.min(self.ready.frames());
        self.ready.drop_front(now);
        self.skip += frames - now;
    }

    /// Multiplies what is ready, and all that comes.
    pub fn amplify(&mut self, gain: f32) {
        self.gain *= gain;
        self.ready.channels_mut().flatten().for_each(|x| *x *= gain);
    }

    /// Decodes the rest, to know how much there is.
    pub fn drain(&mut self) -> Result<()> {
        while !self.ended {
            self.ended = self.read()? == 0;
        }
        Ok(())
    }
}

/// Appends what is not to be skipped.
fn keep(ready: &mut Buffer, from: &Buffer, skip: &mut usize, gain: f32) {
    let skipped = (*skip).min(from.frames());
    *skip -= skipped;
    let before = ready.frames();
    ready.append(from, skipped, from.frames() - skipped);
    if gain != 1.0 {
        ready.channels_mut().for_each(|channel| channel[before..].iter_mut().for_each(|x| *x *= gain));
    }
}
