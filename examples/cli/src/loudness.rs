//! `puresound loudness`: measuring without writing.

use std::path::PathBuf;

use pure_sound::formats::ReadOptions;
use pure_sound::meter::Loudness;
use serde_json::{Value, json};

use crate::console;
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{report, stdio};

/// Measure loudness (ITU-R BS.1770-5, EBU R 128), true peak and levels.
///
/// With --json, one file gives one object, several files give an object with a list 'files'.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to read; - is standard input.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let engine = context.engine()?;
    let options = args.read.options(ReadOptions::default())?;
    let mut measured = Vec::new();
    let mut failed = 0;
    for input in &args.input {
        let progress = Progress::of_job(context);
        let result = stdio::source(input)
            .and_then(|source| Ok(engine.measure(source, &options, &context.control(&progress))?));
        drop(progress);
        match result {
            Err(Failure::Engine(error))
                if args.input.len() > 1 && failure::exit_code(&error) != failure::EXIT_CANCELLED =>
            {
                failed += 1;
                measured.push((input, Err(error)));
            }
            result => measured.push((input, Ok(result?))),
        }
    }
    if context.is_json() {
        console::print_json(&to_json(&measured), context.args.jsonl)?;
    } else {
        console::print(&text(&measured))?;
    }
    if failed > 0 {
        return Err(Failure::Partial(format!("{failed} of {} files could not be measured", args.input.len())));
    }
    Ok(())
}

type Measured<'a> = (&'a PathBuf, Result<Loudness, pure_sound::Error>);

fn to_json(measured: &[Measured<'_>]) -> Value {
    if let [(_, Ok(loudness))] = measured {
        return with_short_names(loudness);
    }
    let files: Vec<Value> = measured
        .iter()
        .map(|(path, result)| match result {
            Ok(loudness) => json!({ "path": path, "loudness": loudness }),
            Err(error) => json!({ "path": path, "error": failure::to_json(error) }),
        })
        .collect();
    json!({ "files": files })
}

/// The measurement, and its main figures again under the names without unit that scripts around other meters look for.
fn with_short_names(loudness: &Loudness) -> Value {
    let mut value = json!(loudness);
    for (short, long) in [
        ("integrated", "integrated_lufs"),
        ("range", "range_lu"),
        ("true_peak", "true_peak_dbtp"),
        ("max_momentary", "max_momentary_lufs"),
        ("max_short_term", "max_short_term_lufs"),
    ] {
        value[short] = value[long].clone();
    }
    value
}

fn text(measured: &[Measured<'_>]) -> String {
    let name = |path: &PathBuf| console::clean(&path.display().to_string());
    if let [(_, Ok(loudness))] = measured {
        let rows: Vec<Vec<String>> = report::QUANTITIES
            .iter()
            .map(|(key, label, unit)| vec![(*label).into(), report::quantity(loudness, key), (*unit).into()])
            .collect();
        return console::columns(&rows, &[1]);
    }
    let mut rows = vec![vec!["LUFS".into(), "LU".into(), "dBTP".into(), "file".into()]];
    for (path, result) in measured {
        rows.push(match result {
            Ok(l) => vec![
                report::quantity(l, "integrated_lufs"),
                report::quantity(l, "range_lu"),
                report::quantity(l, "true_peak_dbtp"),
                name(path),
            ],
            Err(error) => vec![String::new(), String::new(), String::new(), format!("{}: {error}", name(path))],
        });
    }
    console::columns(&rows, &[0, 1, 2])
}
