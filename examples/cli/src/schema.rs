//! `puresound schema`: JSON Schemas of what is read and written, for editors and other programs.

use pure_sound::{Error, schema};

use crate::console;
use crate::failure::Failure;

/// Print the JSON Schema of a record.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which record, such as recipe, report, preset; without a name: a list of all.
    name: Option<String>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let all = schema::all();
    let Some(name) = &args.name else {
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        return Ok(console::print(&format!("{}\n", names.join("\n")))?);
    };
    // `probe` is the command whose output it describes.
    let key = if name == "probe" { "media_info" } else { name };
    let schema = all.get(key).ok_or_else(|| Error::unknown_name("schema", name, all.keys().map(String::as_str)))?;
    Ok(console::print_json(schema, false)?)
}
