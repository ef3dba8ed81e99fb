//! Prints the tags of a file as the JSON that `puresound tags IN --json` prints.

use pure_sound::formats::{Container, Limits, Source, tags};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: tags_json IN")?;
    let limits = Limits::default();
    let (mut media, bytes) = Source::from(path.as_str()).open(&limits)?;
    let metadata = tags::read(&mut *media, bytes, Container::Other, &limits)?;
    println!("{}", serde_json::to_string_pretty(&tags::to_json(&metadata))?);
    Ok(())
}
