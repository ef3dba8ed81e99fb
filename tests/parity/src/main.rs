//! `pure-sound-parity refresh`: writes what the Rust library gives over the expected values of `cases.json`.
//! `pure-sound-parity run [WORD]`: runs the cases whose name or operation has WORD in it, and tells what differs.

use std::fmt::Write as _;
use std::process::ExitCode;

use pure_sound_parity::{cases_path, difference, load, refreshed, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let outcome = match mode.as_str() {
        "run" => run_cases(&arguments.next().unwrap_or_default()),
        "refresh" => refresh(),
        _ => Err("usage: pure-sound-parity run [WORD] | refresh".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run_cases(word: &str) -> Result<(), String> {
    let (mut count, mut differ) = (0, 0);
    for case in load()? {
        let (name, op) = (case["name"].as_str().unwrap_or(""), case["op"].as_str().unwrap_or(""));
        if !name.contains(word) && op != word {
            continue;
        }
        count += 1;
        let ran = run(&case).map_err(|e| format!("{name}: {e}"))?;
        if let Some(what) = difference(&case, &ran) {
            differ += 1;
            println!("{name}: {what}");
        }
    }
    println!("parity: {count} cases");
    if differ > 0 { Err(format!("{differ} differ")) } else { Ok(()) }
}

fn refresh() -> Result<(), String> {
    let (mut lines, mut mistakes) = (Vec::new(), String::new());
    for case in load()? {
        let name = case["name"].as_str().unwrap_or("").to_owned();
        let done = run(&case).and_then(|ran| refreshed(&case, &ran));
        let case = done.unwrap_or_else(|why| {
            let _ = writeln!(mistakes, "{name}: {why}");
            case
        });
        lines.push(serde_json::to_string(&case).map_err(|e| e.to_string())?);
    }
    let text = format!("{{\"version\": 1, \"cases\": [\n{}\n]}}\n", lines.join(",\n"));
    std::fs::write(cases_path(), text).map_err(|e| e.to_string())?;
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}
