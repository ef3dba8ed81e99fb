//! First pass: decode, measure, filter, measure again, hand on.

use super::control::Stage;
use super::pipe::{BLOCK_FRAMES, BlockReceiver, BlockSender, in_blocks, pipe_bytes, two_stages};
use super::progress::Tracker;
use super::recipe::Trim;
use crate::analysis::{Analyser, Analysis, AnalysisParams};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::Result;
use crate::filters::{FileChain, FilterSpec, Finding};
use crate::formats::Decoder;
use crate::meter::{Loudness, LoudnessMeter, MeterOptions};

/// What the first pass found.
pub(crate) struct Analysed {
    pub before: Option<Loudness>,
    pub filtered: Option<Loudness>,
    /// Frames read from the input, after trimming.
    pub frames: u64,
    /// What filters found or did.
    pub findings: Vec<Finding>,
}

/// Reads the wanted part of an input, block by block.
pub(crate) struct TrimmedReader<'a> {
    decoder: &'a mut dyn Decoder,
    left: u64,
}

impl<'a> TrimmedReader<'a> {
    /// Moves to the start of `trim`.
    pub fn new(decoder: &'a mut dyn Decoder, trim: &Trim) -> Result<Self> {
        let rate = f64::from(decoder.info().spec.rate_hz);
        let start = (trim.start_s * rate).round() as u64;
        if start > 0 {
            decoder.seek(start)?;
        }
        let left = trim.end_s.map_or(u64::MAX, |end| ((end * rate).round() as u64).saturating_sub(start));
        Ok(Self { decoder, left })
    }

    fn max_frames(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK_FRAMES)
    }

    /// As [`Decoder::read`].
    pub fn read(&mut self, block: &mut Buffer) -> Result<usize> {
        let frames = self.decoder.read(block, self.max_frames())?;
        self.left -= frames as u64;
        Ok(frames)
    }

    /// As [`Decoder::read_int`].
    pub fn read_int(&mut self, block: &mut IntBuffer) -> Result<usize> {
        let frames = self.decoder.read_int(block, self.max_frames())?;
        self.left -= frames as u64;
        Ok(frames)
    }
}

/// Decodes everything once, on up to four threads: decoder and first meter, filters in two groups, second meter. Every
/// filtered block goes to `each`.
pub(crate) fn analyse(
    decoder: &mut dyn Decoder,
    trim: &Trim,
    front: &[FilterSpec],
    measure: bool,
    tracker: &Tracker<'_>,
    each: &mut dyn FnMut(&Buffer) -> Result<()>,
) -> Result<Analysed> {
    let _span = tracing::info_span!("analyse").entered();
    let spec = decoder.info().spec;
    let _blocks = tracker.memory().take(pipe_bytes(spec))?;
    if front.is_empty() && !measure {
        // Nothing to do beside decoding: a thread more would only cost copies.
        let mut reader = TrimmedReader::new(decoder, trim)?;
        let mut block = Buffer::new(spec, BLOCK_FRAMES);
        let mut frames = 0;
        while reader.read(&mut block)? > 0 {
            tracker.check()?;
            frames += block.frames() as u64;
            tracker.advance(Stage::Analyse, block.frames(), spec.rate_hz);
            each(&block)?;
        }
        return Ok(Analysed { filtered: None, before: None, frames, findings: Vec::new() });
    }
    let (first, rest) = front.split_at(split_point(front));
    let mut chain = FileChain::new(first)?;
    let between = chain.prepare(spec, BLOCK_FRAMES)?;
    let mut second_chain = FileChain::new(rest)?;
    let working = second_chain.prepare(between, BLOCK_FRAMES)?;
    let mut filtered = (measure && !front.is_empty()).then(|| new_meter(working)).transpose()?;
    let ((before, frames), ()) = two_stages::<f32, _, _>(
        |send| {
            let mut meter = measure.then(|| new_meter(spec)).transpose()?;
            let mut reader = TrimmedReader::new(decoder, trim)?;
            let mut block = Buffer::new(spec, BLOCK_FRAMES);
            let mut frames = 0;
            while reader.read(&mut block)? > 0 {
                tracker.check()?;
                if let Some(meter) = &mut meter {
                    meter.push(&block);
                }
                frames += block.frames() as u64;
                tracker.advance(Stage::Analyse, block.frames(), spec.rate_hz);
                send.send_away(&mut block)?;
            }
            Ok((meter.map(|m| m.summary()), frames))
        },
        |receive| {
            let mut out = |block: &Buffer| {
                if let Some(meter) = &mut filtered {
                    meter.push(block);
                }
                each(block)
            };
            if front.is_empty() {
                return receive.drain(&mut |block| {
                    tracker.check()?;
                    out(block)
                });
            }
            let filter = |send: BlockSender<f32>| run_chain(&mut chain, receive, &send, tracker);
            if rest.is_empty() {
                return two_stages(filter, |filtered| filtered.drain(&mut |block| out(block))).map(drop);
            }
            let both = |send: BlockSender<f32>| {
                two_stages(filter, |half| run_chain(&mut second_chain, half, &send, tracker)).map(drop)
            };
            two_stages(both, |filtered| filtered.drain(&mut |block| out(block))).map(drop)
        },
    )?;
    let mut findings = chain.take_findings();
    findings.append(&mut second_chain.take_findings());
    Ok(Analysed { filtered: filtered.map(|m| m.summary()).or(before), before, frames, findings })
}

/// Sends all blocks through `chain`, and what comes out of it to `send`.
fn run_chain(
    chain: &mut FileChain,
    receive: BlockReceiver<f32>,
    send: &BlockSender<f32>,
    tracker: &Tracker<'_>,
) -> Result<()> {
    let mut pass = |block: &Buffer| send.send(block);
    let mut work: Option<Buffer> = None;
    receive.drain(&mut |block| {
        tracker.check()?;
        if block.frames() <= BLOCK_FRAMES {
            return chain.process(block, &mut pass);
        }
        // Filters that collect frames may give more at once than the next chain takes.
        let work = work.get_or_insert_with(|| Buffer::new(block.spec(), BLOCK_FRAMES));
        in_blocks(block, work, &mut |part| chain.process(part, &mut pass))
    })?;
    chain.finish(&mut pass)
}

/// Filters up to here run on one thread, the others on another: behind the noise reduction, which takes as long as all the
/// others. Chains in series give the same samples as one; on a single core the thread would cost and bring nothing.
fn split_point(front: &[FilterSpec]) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let heavy = |filter: &FilterSpec| matches!(filter, FilterSpec::DenoiseSpectral(_) | FilterSpec::DenoiseRnn(_));
    match front.iter().position(heavy) {
        Some(index) if cores > 1 => index + 1,
        _ => front.len(),
    }
}

/// A meter with everything that reports show.
pub(crate) fn new_meter(spec: Spec) -> Result<LoudnessMeter> {
    LoudnessMeter::new(spec, MeterOptions::default())
}

/// Decodes a whole stream on a thread of its own, and hands every block to `each`, which may change it.
pub(crate) fn each_block(
    decoder: &mut dyn Decoder,
    tracker: &Tracker<'_>,
    each: &mut dyn FnMut(&mut Buffer) -> Result<()>,
) -> Result<()> {
    let stage = Stage::Analyse;
    let _span = tracing::info_span!("analyse", stage = stage.name()).entered();
    let spec = decoder.info().spec;
    let _blocks = tracker.memory().take(pipe_bytes(spec))?;
    let read = |send: BlockSender<f32>| {
        let mut block = Buffer::new(spec, BLOCK_FRAMES);
        while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {
            tracker.check()?;
            tracker.advance(stage, block.frames(), spec.rate_hz);
            send.send_away(&mut block)?;
        }
        Ok(())
    };
    two_stages::<f32, _, _>(read, |receive| receive.drain(each)).map(drop)
}

/// Decodes and analyses a whole stream on two threads.
pub(crate) fn analyse_all(
    decoder: &mut dyn Decoder,
    params: &AnalysisParams,
    tracker: &Tracker<'_>,
) -> Result<Analysis> {
    let mut kept = tracker.memory().take(0)?;
    let mut counted = 0;
    let mut analyser = Analyser::new(decoder.info().spec, params)?;
    each_block(decoder, tracker, &mut |block| {
        analyser.push(block)?;
        let bytes = analyser.kept_bytes();
        if bytes > counted {
            kept.grow(bytes - counted)?;
            counted = bytes;
        }
        Ok(())
    })?;
    analyser.finish_while(&|| tracker.check())
}

/// Decodes and measures a whole stream on two threads. `each` sees every block before it is measured.
pub(crate) fn measure_all(decoder: &mut dyn Decoder, stage: Stage, tracker: &Tracker<'_>) -> Result<(Loudness, u64)> {
    let _span = tracing::info_span!("measure", stage = stage.name()).entered();
    let spec = decoder.info().spec;
    let _blocks = tracker.memory().take(pipe_bytes(spec))?;
    let mut meter = new_meter(spec)?;
    let (frames, ()) = two_stages::<f32, _, _>(
        |send| {
            let mut block = Buffer::new(spec, BLOCK_FRAMES);
            let mut frames = 0;
            while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {
                tracker.check()?;
                frames += block.frames() as u64;
                tracker.advance(stage, block.frames(), spec.rate_hz);
                send.send_away(&mut block)?;
            }
            Ok(frames)
        },
        |receive| {
            receive.drain(&mut |block| {
                meter.push(block);
                Ok(())
            })
        },
    )?;
    Ok((meter.summary(), frames))
}
