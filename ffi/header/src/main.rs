//! Makes `include/puresound.h` from the sources of the C interface.
//!
//! `pure-sound-header` writes it; `pure-sound-header --check` tells whether the one that is there is fresh.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The files of the interface in the order of the header: what comes later uses what comes before.
const SOURCES: &[&str] = &[
    "status",
    "error",
    "text",
    "user",
    "about",
    "audio",
    "chain",
    "meter",
    "resampler",
    "call",
    "input",
    "outputs",
    "engine",
    "quality",
    "pictures",
    "events",
    "jobs",
    "observe",
    "decoder",
    "encoder",
];

/// The introduction of the header.
const PREAMBLE: &str = include_str!("preamble.h");
/// Macros, after the includes.
const MACROS: &str = include_str!("macros.h");

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(_) => {
            eprintln!("usage: pure-sound-header [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("include/puresound.h");
    let text = header(&root.join("ffi"))?;
    if !check {
        return std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()));
    }
    let there = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    if there == text { Ok(()) } else { Err("include/puresound.h is not fresh: run tests/update-generated".into()) }
}

/// The text of the header, from the crate in `ffi`.
fn header(ffi: &Path) -> Result<String, String> {
    let mut config = cbindgen::Config::from_file(ffi.join("cbindgen.toml"))?;
    config.header = Some(PREAMBLE.trim_end().to_owned());
    let abi = constant(ffi, "ABI_VERSION")?;
    let macros = MACROS.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@ABI@", &abi);
    config.after_includes = Some(format!("\n{}", macros.trim_end()));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(ffi.join(format!("src/{source}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().map_err(|e| e.to_string())?.write(&mut bytes);
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    // "# Safety" is a heading of Rust; in C it is what the caller must see to.
    let text = text.replace(" * # Safety\n", " * The caller sees to it:\n").replace('`', "'");
    Ok(text.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
}

/// The number of a constant in `about.rs`.
fn constant(ffi: &Path, name: &str) -> Result<String, String> {
    let path: PathBuf = ffi.join("src/about.rs");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let start = format!("pub const {name}: u32 = ");
    let found = text.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix(';'));
    found.map(str::to_owned).ok_or_else(|| format!("no {name} in {}", path.display()))
}
