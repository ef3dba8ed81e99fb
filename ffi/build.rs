//! Gives the shared library its SONAME, `libpuresound.so.N` with N the number of the binary interface, and keeps it in memory once it
//! was loaded: its threads and thread-locals may outlive a `dlclose`.

use std::process::ExitCode;

const PLACE: &str = "src/about.rs";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={PLACE}");
    let text = std::fs::read_to_string(PLACE).unwrap_or_default();
    let abi = text.lines().find_map(|l| l.strip_prefix("pub const ABI_VERSION: u32 = ")?.strip_suffix(';'));
    let Some(abi) = abi else {
        println!("cargo::error=no ABI_VERSION in {PLACE}");
        return ExitCode::FAILURE;
    };
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os.ends_with("bsd")) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpuresound.so.{abi}");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    ExitCode::SUCCESS
}
