//! `puresound tags`: tags, pictures and chapters of a file.

use std::path::PathBuf;

use pure_sound::formats::ReadOptions;
use pure_sound::formats::tags::{self, Metadata};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::stdio;

/// Show tags, pictures and chapters.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let options = args.read.options(ReadOptions::default())?;
    let metadata = context.engine()?.tags(stdio::source(&args.input)?, &options)?;
    if context.is_json() {
        console::print_json(&tags::to_json(&metadata), context.args.jsonl)?;
    } else {
        console::print(&text(&metadata))?;
    }
    Ok(())
}

/// Tags in columns; empty when there are none.
pub fn text(metadata: &Metadata) -> String {
    let mut rows = Vec::new();
    for field in &metadata.fields {
        for (i, value) in field.values.iter().enumerate() {
            let key = if i == 0 { console::clean(&field.key) } else { String::new() };
            rows.push(vec![format!("  {key}"), console::clean(value)]);
        }
    }
    for picture in &metadata.pictures {
        let size = console::size(picture.data.len() as u64);
        let text = format!("{}, type {}, {size} {}", picture.mime, picture.kind, picture.description);
        rows.push(vec!["  picture".into(), console::clean(text.trim_end())]);
    }
    for chapter in &metadata.chapters {
        let text = format!("{} {}", console::duration(chapter.start_s), chapter.title);
        rows.push(vec!["  chapter".into(), console::clean(&text)]);
    }
    for item in &metadata.native {
        rows.push(vec![format!("  {}", console::clean(&item.kind)), console::size(item.data.len() as u64)]);
    }
    console::columns(&rows, &[])
}
