//! [`FileChain`]: filters in series for files, with latency compensated.

use super::chain::check_stream;
use super::driven::Driven;
use super::finite::make_finite;
use super::spec::build_all;
use super::{Filter, FilterSpec, Finding};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

/// One filter and what is left of its latency.
struct Stage {
    filter: Driven,
    input: Spec,
    /// Most frames of one block at the input.
    max_frames: usize,
    latency_frames: usize,
    /// Frames still to be dropped at the start.
    to_drop: usize,
}

/// Filters in series for files: length and position of the output equal the input's, unless a filter changes them on
/// purpose. Of each stage the first `latency_frames` frames are dropped, and as many of silence follow the input.
pub struct FileChain {
    stages: Vec<Stage>,
    work: Buffer,
    input: Spec,
    max_frames: usize,
    finished: bool,
    non_finite_samples: u64,
}

/// Takes a block of output.
type Sink<'a> = &'a mut dyn FnMut(&Buffer) -> Result<()>;

impl FileChain {
    /// A chain of `specs`, not yet prepared. An empty list passes everything through.
    ///
    /// # Errors
    /// As [`FilterSpec::validate`].
    pub fn new(specs: &[FilterSpec]) -> Result<Self> {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        let stages = build_all(specs)?
            .into_iter()
            .map(|mut built| {
                built.filter.for_file();
                Stage { filter: built.filter, input: unset, max_frames: 0, latency_frames: 0, to_drop: 0 }
            })
            .collect();
        Ok(Self {
            stages,
            work: Buffer::new(unset, 0),
            input: unset,
            max_frames: 0,
            finished: false,
            non_finite_samples: 0,
        })
    }

    /// Sets up for blocks of at most `max_frames` frames of `spec`, and tells rate and layout of the output. May be
    /// called again; the chain is then as new.
    ///
    /// # Errors
    /// As [`super::Chain::prepare`].
    pub fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Spec> {
        check_stream(spec, max_frames)?;
        let (mut at, mut frames) = (spec, max_frames);
        let (mut channels, mut room) = (spec.channels(), max_frames);
        for stage in &mut self.stages {
            let prepared = stage.filter.prepare(at, frames)?;
            (stage.input, stage.max_frames) = (at, frames);
            (stage.latency_frames, stage.to_drop) = (prepared.latency_frames, prepared.latency_frames);
            (at, frames) = (prepared.spec, prepared.max_frames);
            (channels, room) = (channels.max(at.channels()), room.max(frames));
        }
        self.work = Buffer::new(Spec::new(spec.rate_hz, ChannelLayout::discrete(channels)), room);
        (self.input, self.max_frames, self.finished) = (spec, max_frames, false);
        Ok(at)
    }

    /// Sum of the latencies in seconds: how much later output appears than input goes in.
    pub fn latency_s(&self) -> f64 {
        self.stages.iter().map(|s| s.input.seconds(s.latency_frames as u64)).sum()
    }

    /// Feeds one block; `out` is called with each block of output that is ready, none or more. The block is left as it
    /// was.
    ///
    /// # Errors
    /// Whatever `out` returns; [`Error::Io`] when a filter that spools to a file cannot; [`Error::Conflict`] for a block
    /// that was not prepared for, or after `finish`.
    pub fn process(&mut self, block: &mut Buffer, out: Sink) -> Result<()> {
        if self.finished || block.spec() != self.input || block.frames() > self.max_frames {
            return Err(Error::Conflict {
                what: format!(
                    "a block of {} frames of {:?} for a chain prepared for {} frames of {:?}{}",
                    block.frames(),
                    block.spec(),
                    self.max_frames,
                    self.input,
                    if self.finished { " and finished" } else { "" }
                ),
            });
        }
        if self.stages.is_empty() {
            return if block.is_empty() { Ok(()) } else { out(block) };
        }
        self.work.copy_from(block, 0, block.frames());
        self.non_finite_samples += make_finite(&mut self.work);
        self.push(0, out)
    }

    /// Samples of the input that were NaN or infinite, since the chain was made. They were replaced by silence, unless
    /// there is no filter at all.
    pub fn non_finite_samples(&self) -> u64 {
        self.non_finite_samples
    }

    /// Ends the stream: `out` gets all that is still on its way.
    ///
    /// # Errors
    /// As [`FileChain::process`].
    pub fn finish(&mut self, out: Sink) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        for index in 0..self.stages.len() {
            let (input, max_frames) = (self.stages[index].input, self.stages[index].max_frames);
            let mut left = self.stages[index].latency_frames;
            while left > 0 {
                let frames = left.min(max_frames.max(1));
                self.work.set_spec(input);
                self.work.set_frames(frames);
                self.work.channels_mut().for_each(|c| c.fill(0.0));
                self.push(index, out)?;
                left -= frames;
            }
            loop {
                let stage = &mut self.stages[index];
                self.work.set_spec(input);
                stage.filter.finish(&mut self.work);
                take_error(stage)?;
                if self.work.is_empty() {
                    break;
                }
                self.push(index + 1, out)?;
            }
        }
        Ok(())
    }

    /// What the filters found since the last call, filter by filter. Times are those of each filter's input.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.stages.iter_mut().flat_map(|stage| stage.filter.take_findings()).collect()
    }

    /// Forgets all signal state: as after `prepare`.
    pub fn reset(&mut self) {
        self.finished = false;
        for stage in &mut self.stages {
            stage.filter.reset();
            stage.to_drop = stage.latency_frames;
        }
    }

    /// Sends the content of `work` through the stages from `first`.
    fn push(&mut self, first: usize, out: Sink) -> Result<()> {
        for stage in &mut self.stages[first..] {
            if self.work.is_empty() {
                return Ok(());
            }
            stage.filter.process(&mut self.work);
            take_error(stage)?;
            let drop = stage.to_drop.min(self.work.frames());
            if drop > 0 {
                self.work.drop_front(drop);
                stage.to_drop -= drop;
            }
        }
        if self.work.is_empty() { Ok(()) } else { out(&self.work) }
    }
}

fn take_error(stage: &mut Stage) -> Result<()> {
    stage.filter.take_error().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_compensated_for_any_length_and_block() {
        let specs: Vec<FilterSpec> = ["limiter", "gain:gain_db=0", "limiter", "denoise_spectral:reduction_db=0"]
            .iter()
            .map(|s| s.parse().unwrap())
            .collect();
        let spec = Spec::new(8_000, ChannelLayout::STEREO);
        for frames in [0usize, 1, 5, 100, 3_000] {
            let planes: Vec<Vec<f32>> =
                (0..2).map(|c| (0..frames).map(|n| ((n * 7 + c * 3) % 19) as f32 / 40.0).collect()).collect();
            let mut input = Buffer::from_channels(spec, &planes);
            for block in [1usize, 64, 4_096] {
                let mut chain = FileChain::new(&specs).unwrap();
                assert_eq!(chain.prepare(spec, block).unwrap(), spec);
                let mut got: Vec<Vec<f32>> = vec![Vec::new(); 2];
                let mut take = |b: &Buffer| {
                    got.iter_mut().zip(b.channels()).for_each(|(g, c)| g.extend_from_slice(c));
                    Ok(())
                };
                let mut at = 0;
                let mut part = Buffer::new(spec, block);
                while at < frames {
                    let count = block.min(frames - at);
                    part.copy_from(&input, at, count);
                    chain.process(&mut part, &mut take).unwrap();
                    at += count;
                }
                chain.finish(&mut take).unwrap();
                for (g, want) in got.iter().zip(&planes) {
                    assert_eq!(g.len(), frames);
                    // Overlap-add in f32: a few units in the last place of 0.5.
                    assert!(g.iter().zip(want).all(|(a, b)| (a - b).abs() < 2e-6), "{frames} {block}");
                }
                assert!(chain.process(&mut input, &mut |_| Ok(())).is_err(), "finished");
            }
        }
    }

    #[test]
    fn an_empty_chain_passes_blocks_and_errors_of_the_sink_come_back() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let mut chain = FileChain::new(&[]).unwrap();
        chain.prepare(spec, 16).unwrap();
        let mut block = Buffer::from_channels(spec, &[vec![0.5; 16]]);
        let mut seen = 0;
        chain
            .process(&mut block, &mut |b| {
                seen += b.frames();
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, 16);
        let error = chain.process(&mut block, &mut |_| Err(Error::Cancelled)).unwrap_err();
        assert!(matches!(error, Error::Cancelled));
    }
}
