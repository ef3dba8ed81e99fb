//! Prints the files of `configs/` that are made from the code: `cargo run --example config_files -- default|schema`.
//! `tests/update-generated` writes them.

use pure_sound::config::{Settings, default_yaml, settings_schema};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("default") => print!("{}", default_yaml::<Settings>()),
        Some("schema") => println!("{:#}", settings_schema()),
        _ => {
            eprintln!("usage: config_files default|schema");
            std::process::exit(2);
        }
    }
}
