//! Progress of a job: a bar on standard error when that is a terminal, or JSON lines on standard output.

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pure_sound::processing::{ProgressFn, Stage};
use serde_json::json;

use crate::console;
use crate::context::Context;

/// Steps of a bar that shows a fraction.
const STEPS: u64 = 1000;

/// Where progress is shown. The bar disappears with this value.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    jsonl: bool,
}

impl Progress {
    /// Progress of one file.
    pub fn of_job(context: &Context) -> Self {
        let bar = wanted(context).then(|| bar(STEPS, "{msg:<10} [{bar:32}] {percent:>3} %  {prefix}"));
        Self { bar, jsonl: context.args.jsonl }
    }

    /// What the engine calls.
    pub fn callback(&self) -> Option<ProgressFn> {
        if self.jsonl {
            return Some(Arc::new(|p| {
                let event = json!({ "event": "progress", "stage": p.stage, "fraction": p.fraction, "speed": p.speed, "eta_s": p.eta_s });
                let _ = console::print_json(&event, true);
            }));
        }
        let bar = self.bar.clone()?;
        Some(Arc::new(move |p| {
            bar.set_message(stage_name(p.stage));
            let eta = p.eta_s.map_or_else(String::new, |s| format!("{} left", console::duration(s)));
            bar.set_prefix(format!("{:.0}x  {eta}", p.speed));
            bar.set_position((p.fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that counts files.
pub fn of_files(context: &Context, count: usize) -> Option<ProgressBar> {
    wanted(context).then(|| bar(count as u64, "[{bar:32}] {pos}/{len} files  {eta} left  {wide_msg}"))
}

/// Text on standard error that is drawn over with each message.
pub fn of_text() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

/// A bar of a run of many steps.
#[cfg(feature = "jobs")]
pub fn of_run(context: &Context) -> Option<ProgressBar> {
    wanted(context).then(|| bar(STEPS, "[{bar:32}] {percent:>3} %"))
}

/// Shows the part that is done, 0 to 1.
#[cfg(feature = "jobs")]
pub fn set_part(bar: &ProgressBar, part: f64) {
    bar.set_position((part.clamp(0.0, 1.0) * STEPS as f64) as u64);
}

fn wanted(context: &Context) -> bool {
    std::io::stderr().is_terminal() && !context.args.quiet && !context.args.jsonl
}

fn bar(len: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style.progress_chars("=> "))
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Analyse => "analysing",
        Stage::Solve => "levelling",
        Stage::Encode => "encoding",
        Stage::Verify => "verifying",
        Stage::Publish => "finishing",
        _ => "working",
    }
}
