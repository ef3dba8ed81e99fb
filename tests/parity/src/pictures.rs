//! Recommendations, comparisons, pictures and pages.

use pure_sound::Error;
use pure_sound::formats::Source;
use pure_sound::processing::{Control, Report};
use serde_json::{Map, Value, json};

use crate::operations::{argument, engine, hash_bytes, text};
use crate::{Failure, Outcome, input};

fn input_of(args: &Value, key: &str) -> Result<Source, Failure> {
    input::source(args.get(key).unwrap_or(&Value::Null))
}

pub fn classify(args: &Value) -> Outcome {
    let options = argument(args, "options")?;
    Ok(serde_json::to_value(engine(args)?.classify(input_of(args, "input")?, &options, &Control::default())?)?)
}

pub fn recommend(args: &Value) -> Outcome {
    let options = argument(args, "options")?;
    Ok(serde_json::to_value(engine(args)?.recommend(input_of(args, "input")?, &options, &Control::default())?)?)
}

pub fn compare(args: &Value) -> Outcome {
    let options = argument(args, "options")?;
    let (reference, degraded) = (input_of(args, "reference")?, input_of(args, "degraded")?);
    Ok(serde_json::to_value(engine(args)?.compare(reference, degraded, &options, &Control::default())?)?)
}

pub fn waveform_peaks(args: &Value) -> Outcome {
    let options = argument(args, "options")?;
    Ok(serde_json::to_value(engine(args)?.waveform_peaks(input_of(args, "input")?, &options, &Control::default())?)?)
}

pub fn picture(args: &Value) -> Outcome {
    let (engine, source, control) = (engine(args)?, input_of(args, "input")?, Control::default());
    let png = match text(args, "of") {
        "waveform" => engine.waveform_png(source, &argument(args, "options")?, &control)?,
        "spectrogram" => engine.spectrogram_png(source, &argument(args, "options")?, &control)?,
        other => return Err(Failure::Case(format!("a picture of '{other}'"))),
    };
    // Big-endian, in the first chunk.
    let number = |at: usize| png.get(at..at + 4).map(|b| b.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)));
    Ok(json!({ "bytes": png.len(), "sha256": hash_bytes(&png), "width": number(16), "height": number(20) }))
}

/// Which of the texts of `find` are in a page.
fn found(args: &Value, html: &str) -> Value {
    let wanted = args.get("find").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    Value::Object(wanted.map(|text| (text.to_owned(), html.contains(text).into())).collect::<Map<_, _>>())
}

pub fn page(args: &Value) -> Outcome {
    let options = argument(args, "options")?;
    let page = engine(args)?.analysis_page(input_of(args, "input")?, &options, &Control::default())?;
    Ok(json!({ "found": found(args, &page.html), "analysis": page.analysis, "check": page.check }))
}

pub fn page_of_two(args: &Value) -> Outcome {
    let (engine, control) = (engine(args)?, Control::default());
    let options = argument(args, "options")?;
    let (after, report): (Source, Option<Report>) = match args.get("request") {
        None => (input_of(args, "after")?, None),
        Some(request) => {
            let recipe = engine.recipe(request)?;
            let (report, outputs) = engine.process_to_memory(input_of(args, "before")?, &recipe, &control)?;
            let output = outputs.into_iter().next().ok_or_else(|| Error::internal("no output"))?;
            (Source::from(output), Some(report))
        }
    };
    let html = engine.comparison_page(input_of(args, "before")?, after, report.as_ref(), &options, &control)?;
    Ok(json!({ "found": found(args, &html) }))
}
