//! Standard output that survives a closed pipe (`| head`), and text in columns.

use std::io::{self, Write};

use pure_sound::Error;
use serde::Serialize;

use crate::context::Context;

/// Prints text. When nobody reads any more, that is not an error.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    allow_closed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a value as JSON with a line end; `compact` for JSON lines.
pub fn print_json(value: &impl Serialize, compact: bool) -> Result<(), Error> {
    let text = if compact { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    let text = text.map_err(|e| Error::internal(format!("result as JSON: {e}")))?;
    print(&(text + "\n"))
}

/// Says on standard error what was done, unless that is not wanted.
pub fn note(context: &Context, text: &str) {
    if !context.args.quiet && !context.is_json() {
        // Standard error may be closed: `eprintln!` would panic.
        let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    }
}

/// Turns "nobody reads" into success.
pub fn allow_closed(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::io("write to standard output", None, e)),
        _ => Ok(()),
    }
}

/// Rows in aligned columns, two spaces apart; the last column is not padded. Columns named in `right` are flush right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c].saturating_sub(cell.chars().count()));
            if c > 0 {
                line.push_str("  ");
            }
            if right.contains(&c) {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Seconds as `1:02:03.4`.
pub fn duration(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round().max(0.0) as u64;
    let (h, m, s, t) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    if h > 0 { format!("{h}:{m:02}:{s:02}.{t}") } else { format!("{m}:{s:02}.{t}") }
}

/// Bytes as `1.23 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Control characters of tags and file names would move the cursor or worse: they become `?`.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "1.0".into(), "x".into()], vec!["long".into(), "-10.0".into(), "y".into()]];
        assert_eq!(columns(&rows, &[1]), "a       1.0  x\nlong  -10.0  y\n");
    }

    #[test]
    fn durations_and_sizes_read_well() {
        assert_eq!(duration(0.04), "0:00.0");
        assert_eq!(duration(3723.44), "1:02:03.4");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_234_567), "1.23 MB");
        assert_eq!(clean("a\x1b[2Jb\n"), "a?[2Jb?");
    }
}
