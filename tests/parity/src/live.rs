//! The objects that take and give blocks.

use std::path::Path;

use pure_sound::audio::{Buffer, Spec};
use pure_sound::dsp::resampler::{Quality, Resampler};
use pure_sound::filters::{Chain, FilterSpec};
use pure_sound::formats::FormatSettings;
use pure_sound::formats::tags::Metadata;
use pure_sound::meter::{LoudnessMeter, MeterOptions};
use pure_sound::processing::{EncodeTarget, Overwrite};
use pure_sound::{Error, Result};
use serde_json::{Value, json};

use crate::operations::{argument, encoded, engine, hash_samples, options};
use crate::{Failure, Outcome, input, signal};

fn number(args: &Value, key: &str, default: usize) -> usize {
    args.get(key).and_then(Value::as_u64).map_or(default, |n| n as usize)
}

/// Calls `each` with the blocks of `audio`: of `block_frames` frames, shorter where one of `borders` comes first. With the place
/// of the block.
fn in_blocks(
    audio: &Buffer,
    block_frames: usize,
    borders: &[usize],
    each: &mut dyn FnMut(usize, &Buffer) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut block = Buffer::new(audio.spec(), block_frames);
    let mut at = 0;
    while at < audio.frames() {
        let mut end = (at + block_frames).min(audio.frames());
        if let Some(border) = borders.iter().copied().filter(|b| *b > at).min() {
            end = end.min(border);
        }
        block.copy_from(audio, at, end - at);
        each(at, &block)?;
        at = end;
    }
    Ok(())
}

/// Filters as a case writes them: objects, or text in the short form.
fn filter_specs(args: &Value) -> Result<Vec<FilterSpec>> {
    let list = args.get("filters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter()
        .map(|filter| match filter {
            Value::String(text) => FilterSpec::parse(text),
            other => FilterSpec::from_json(other.clone()),
        })
        .collect()
}

struct Change {
    at_frame: usize,
    filter: usize,
    parameter: String,
    value: f64,
}

fn changes(args: &Value) -> Vec<Change> {
    let list = args.get("changes").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|change| Change {
            at_frame: number(change, "at_frame", 0),
            filter: number(change, "filter", 0),
            parameter: change["parameter"].as_str().unwrap_or("").to_owned(),
            value: change["value"].as_f64().unwrap_or(f64::NAN),
        })
        .collect()
}

pub fn chain(args: &Value) -> Outcome {
    let audio = signal::make(&args["signal"])?;
    let block_frames = number(args, "block_frames", 480);
    let max_frames = number(args, "max_frames", block_frames);
    let mut chain = Chain::new(&filter_specs(args)?)?;
    chain.prepare(audio.spec(), max_frames)?;
    let changes = changes(args);
    let mut done = Vec::new();
    let mut hashes = Vec::new();
    for again in [false, true] {
        if again {
            if args.get("reset") != Some(&Value::Bool(true)) {
                break;
            }
            chain.reset();
            done.clear();
        }
        pass(&mut chain, &audio, block_frames.min(max_frames), &changes, &mut done)?;
        if args.get("finish") == Some(&Value::Bool(true)) {
            loop {
                let mut block = chain.new_block()?;
                chain.finish(&mut block);
                if block.frames() == 0 {
                    break;
                }
                done.push(block);
            }
        }
        hashes.push(hash_samples(&done));
    }
    let mut result = json!({
        "frames": done.iter().map(Buffer::frames).sum::<usize>(),
        "latency_frames": chain.latency_frames(),
        "tail_frames": chain.tail_frames(),
        "sha256": hashes[0],
    });
    if let Some(again) = hashes.get(1) {
        result["again"] = json!(again);
    }
    Ok(result)
}

/// Sends all of `audio` through `chain`.
fn pass(
    chain: &mut Chain,
    audio: &Buffer,
    block_frames: usize,
    changes: &[Change],
    done: &mut Vec<Buffer>,
) -> Result<(), Failure> {
    let borders: Vec<usize> = changes.iter().map(|c| c.at_frame).collect();
    in_blocks(audio, block_frames, &borders, &mut |at, block| {
        for change in changes.iter().filter(|c| c.at_frame == at) {
            chain.set_parameter(change.filter, &change.parameter, change.value)?;
        }
        let mut work = chain.new_block()?;
        work.copy_from(block, 0, block.frames());
        chain.process(&mut work);
        done.push(work);
        Ok(())
    })
}

pub fn meter(args: &Value) -> Outcome {
    let audio = signal::make(&args["signal"])?;
    let options: MeterOptions = argument(args, "options")?;
    let mut meter = LoudnessMeter::new(audio.spec(), options)?;
    in_blocks(&audio, number(args, "block_frames", 480), &[], &mut |_, block| {
        meter.push(block);
        Ok(())
    })?;
    // Not finite is null.
    Ok(json!({
        "momentary_lufs": meter.momentary_lufs(),
        "short_term_lufs": meter.short_term_lufs(),
        "integrated_lufs": meter.integrated_lufs(),
        "summary": meter.summary(),
    }))
}

pub fn resample(args: &Value) -> Outcome {
    let audio = signal::make(&args["signal"])?;
    let (rate_hz, to_rate_hz) = (audio.spec().rate_hz, number(args, "to_rate_hz", 0) as u32);
    let quality = match args.get("quality").and_then(Value::as_str) {
        None => Quality::default(),
        Some(name) => serde_json::from_value(json!(name)).map_err(|_| Error::InvalidValue {
            name: "quality".into(),
            value: name.into(),
            allowed: "fast, good, best".into(),
        })?,
    };
    let mut resampler = Resampler::new(rate_hz, to_rate_hz, audio.channel_count(), quality)?;
    let mut done = Vec::new();
    let out = || Buffer::new(Spec::new(to_rate_hz, audio.spec().layout), 0);
    in_blocks(&audio, number(args, "block_frames", 480), &[], &mut |_, block| {
        let mut output = out();
        resampler.process(block, &mut output);
        done.push(output);
        Ok(())
    })?;
    loop {
        let mut output = out();
        resampler.finish(&mut output);
        if output.frames() == 0 {
            break;
        }
        done.push(output);
    }
    Ok(json!({ "frames": done.iter().map(Buffer::frames).sum::<usize>(), "sha256": hash_samples(&done) }))
}

pub fn stream_decode(args: &Value) -> Outcome {
    let source = input::source(args.get("input").unwrap_or(&Value::Null))?;
    let mut decoder = engine(args)?.open(source, &options(args)?)?;
    if let Some(frame) = args.get("seek").and_then(Value::as_u64) {
        decoder.seek(frame)?;
    }
    let max_frames = number(args, "max_frames", 4096);
    let mut left = number(args, "limit_frames", usize::MAX);
    let mut done = Vec::new();
    loop {
        let mut block = Buffer::new(decoder.info().spec, max_frames);
        if left == 0 || decoder.read(&mut block, max_frames.min(left))? == 0 {
            break;
        }
        left -= block.frames();
        done.push(block);
    }
    Ok(json!({
        "info": decoder.info(),
        "frames": done.iter().map(Buffer::frames).sum::<usize>(),
        "sha256": hash_samples(&done),
        "damage": decoder.damage(),
    }))
}

pub fn stream_encode(args: &Value) -> Outcome {
    let audio = signal::make(&args["signal"])?;
    let engine = engine(args)?;
    let format: Option<FormatSettings> = argument(args, "format")?;
    let metadata: Metadata = argument(args, "metadata")?;
    let path = args.get("path").and_then(Value::as_str).map(Path::new);
    let target = path.map_or(EncodeTarget::Memory, |p| EncodeTarget::Path(p, Overwrite::Replace));
    let mut encoder = engine.encoder(target, format.as_ref(), audio.spec(), &metadata)?;
    let abort_at = number(args, "abort_at_frame", usize::MAX);
    in_blocks(&audio, number(args, "block_frames", 480), &[], &mut |at, block| {
        if at < abort_at {
            encoder.write(block)?;
        }
        Ok(())
    })?;
    if abort_at < audio.frames() {
        drop(encoder);
        return Ok(json!({ "aborted": true }));
    }
    let (told, bytes) = encoder.finish()?;
    let bytes = match (bytes, path) {
        (Some(bytes), _) => bytes,
        (None, Some(path)) => std::fs::read(path)?,
        (None, None) => return Err(Failure::Case("an encoder to memory without bytes".into())),
    };
    Ok(encoded(&told, &bytes))
}
