//! `puresound probe`: what a file is.

use std::fmt::Write as _;
use std::path::PathBuf;

use pure_sound::formats::{MediaInfo, ReadOptions};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::{report, stdio, tags};

/// Tell what a file is: container, codec, length, tags, damage. Recognised by content, not by name.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let options = args.read.options(ReadOptions::default())?;
    let info = context.engine()?.probe(stdio::source(&args.input)?, &options)?;
    if context.is_json() {
        console::print_json(&info, context.args.jsonl)?;
    } else {
        let name = console::clean(&args.input.display().to_string());
        console::print(&format!("{name}\n{}", text(&info)))?;
    }
    Ok(())
}

fn text(info: &MediaInfo) -> String {
    let stream = &info.stream;
    let mut rows = vec![
        vec!["format".into(), format!("{} in {}", report::name_of(&stream.codec), report::name_of(&stream.container))],
        vec!["sound".into(), report::spec_text(stream.spec)],
        vec!["samples".into(), report::sample_text(stream.sample_format)],
    ];
    if let Some(d) = stream.duration {
        let kind = if d.exact { "exact" } else { "estimated" };
        let time = console::duration(stream.spec.seconds(d.frames));
        rows.push(vec!["length".into(), format!("{time}, {} frames ({kind})", d.frames)]);
    }
    if stream.delay_frames > 0 || stream.padding_frames > 0 {
        let text =
            format!("{} frames at the start, {} at the end, removed", stream.delay_frames, stream.padding_frames);
        rows.push(vec!["encoder padding".into(), text]);
    }
    if let Some(kbps) = stream.bit_rate_kbps {
        rows.push(vec!["bit rate".into(), format!("{kbps:.0} kbit/s")]);
    }
    if let Some(bytes) = info.bytes {
        rows.push(vec!["size".into(), console::size(bytes)]);
    }
    let mut text = console::columns(&indent(rows), &[]);
    let tags = tags::text(&info.metadata);
    if !tags.is_empty() {
        let _ = write!(text, "\n{tags}");
    }
    text + &report::damage_text(&info.damage)
}

fn indent(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.into_iter()
        .map(|mut r| {
            r[0].insert_str(0, "  ");
            r
        })
        .collect()
}
