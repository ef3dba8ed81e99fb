//! Cue sheets as text (CDRWIN user's guide, appendix A; the checks follow the Red Book and libFLAC).

use super::Chapter;
use crate::error::{Error, Result};

/// Frames per second of CD addresses.
const CD_FRAMES_PER_S: u64 = 75;

/// A cue sheet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CueSheet {
    /// Media catalog number, 13 digits; empty when not stated.
    pub catalog: String,
    /// Title of the disc.
    pub title: String,
    /// Performer of the disc.
    pub performer: String,
    /// Tracks in order.
    pub tracks: Vec<CueTrack>,
}

/// A track of a cue sheet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CueTrack {
    /// 1 to 99.
    pub number: u8,
    /// True for `AUDIO`.
    pub is_audio: bool,
    /// Title.
    pub title: String,
    /// Performer.
    pub performer: String,
    /// Recording code; empty when not stated.
    pub isrc: String,
    /// Index number and position in seconds, ascending.
    pub indices: Vec<(u8, f64)>,
}

impl CueSheet {
    /// The tracks as chapters: each begins at its index 1 and ends where the next begins.
    pub fn chapters(&self) -> Vec<Chapter> {
        let start = |t: &CueTrack| t.indices.iter().find(|(n, _)| *n == 1).map_or(0.0, |(_, s)| *s);
        let named = |t: &CueTrack| if t.title.is_empty() { format!("Track {:02}", t.number) } else { t.title.clone() };
        let ends = self.tracks.iter().skip(1).map(|t| Some(start(t))).chain([None]);
        self.tracks.iter().zip(ends).map(|(t, end_s)| Chapter { start_s: start(t), end_s, title: named(t) }).collect()
    }
}

/// Parses a cue sheet.
///
/// # Errors
/// [`Error::Malformed`] with the line, for commands in the wrong place, numbers out of range or out of order, and
/// missing parts.
pub fn parse(sheet: &str) -> Result<CueSheet> {
    let mut parser = Parser::default();
    for (i, line) in sheet.trim_start_matches('\u{feff}').lines().enumerate() {
        parser
            .line(line.trim())
            .map_err(|what| Error::malformed("cue sheet", None, format!("line {}: {what}", i + 1)))?;
    }
    parser.finish_track().and_then(|()| parser.finish()).map_err(|what| Error::malformed("cue sheet", None, what))
}

#[derive(Default)]
struct Parser {
    sheet: CueSheet,
    track: Option<CueTrack>,
    files: usize,
}

impl Parser {
    fn line(&mut self, line: &str) -> std::result::Result<(), String> {
        let (command, rest) = word(line);
        match command.to_ascii_uppercase().as_str() {
            "CATALOG" => self.catalog(&word(rest).0),
            "FILE" => {
                self.files += 1;
                Ok(())
            }
            "TRACK" => self.new_track(rest),
            "INDEX" => self.index(rest),
            "ISRC" => self.isrc(&word(rest).0),
            "TITLE" => {
                let title = word(rest).0;
                *self.track.as_mut().map_or(&mut self.sheet.title, |t| &mut t.title) = title;
                Ok(())
            }
            "PERFORMER" => {
                let performer = word(rest).0;
                *self.track.as_mut().map_or(&mut self.sheet.performer, |t| &mut t.performer) = performer;
                Ok(())
            }
            "REM" => flac_remark(rest),
            // FLAGS, PREGAP, POSTGAP, SONGWRITER, CDTEXTFILE and what programs invent: nothing about positions.
            _ => Ok(()),
        }
    }

    fn catalog(&mut self, number: &str) -> std::result::Result<(), String> {
        if !self.sheet.catalog.is_empty() {
            return Err("a second CATALOG".into());
        }
        if number.len() != 13 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("CATALOG '{number}' is not 13 digits"));
        }
        self.sheet.catalog = number.to_owned();
        Ok(())
    }

    fn new_track(&mut self, rest: &str) -> std::result::Result<(), String> {
        self.finish_track()?;
        let (number, rest) = word(rest);
        let kind = word(rest).0;
        let number: u8 =
            number.parse().ok().filter(|n| (1..=99).contains(n)).ok_or(format!("TRACK '{number}' is not 1 to 99"))?;
        if kind.is_empty() {
            return Err(format!("TRACK {number} has no type"));
        }
        if self.sheet.tracks.last().is_some_and(|last| last.number >= number) {
            return Err(format!("TRACK {number} is out of order"));
        }
        self.track = Some(CueTrack { number, is_audio: kind.eq_ignore_ascii_case("AUDIO"), ..CueTrack::default() });
        Ok(())
    }

    fn index(&mut self, rest: &str) -> std::result::Result<(), String> {
        let (number, rest) = word(rest);
        let time = word(rest).0;
        let number: u8 = number.parse().ok().filter(|n| *n <= 99).ok_or(format!("INDEX '{number}' is not 0 to 99"))?;
        let seconds = address(&time).ok_or(format!("'{time}' is not mm:ss:ff"))?;
        let previous = self.sheet.tracks.last().and_then(|t| t.indices.last()).map(|(_, s)| *s);
        // Positions begin anew with each FILE.
        let previous = previous.filter(|_| self.files <= 1);
        let track = self.track.as_mut().ok_or("INDEX before TRACK")?;
        match track.indices.last() {
            None if number > 1 => return Err("the first INDEX is neither 00 nor 01".into()),
            Some((last, _)) if number != last + 1 => return Err(format!("INDEX {number} after {last}")),
            Some((_, at)) if seconds <= *at && self.files <= 1 => {
                return Err(format!("INDEX {number} does not lie after the one before"));
            }
            None if previous.is_some_and(|p| seconds <= p) => {
                return Err(format!("INDEX {number} does not lie after the track before"));
            }
            _ => {}
        }
        track.indices.push((number, seconds));
        Ok(())
    }

    fn isrc(&mut self, code: &str) -> std::result::Result<(), String> {
        let track = self.track.as_mut().ok_or("ISRC before TRACK")?;
        if !track.indices.is_empty() {
            return Err("ISRC after INDEX".into());
        }
        if !track.isrc.is_empty() {
            return Err("a second ISRC".into());
        }
        let plain: String = code.chars().filter(|c| *c != '-').collect();
        let good = plain.len() == 12
            && plain
                .bytes()
                .enumerate()
                .all(|(i, b)| if i < 5 { b.is_ascii_alphanumeric() } else { b.is_ascii_digit() });
        if !good {
            return Err(format!("'{code}' is not an ISRC"));
        }
        track.isrc = plain;
        Ok(())
    }

    fn finish_track(&mut self) -> std::result::Result<(), String> {
        if let Some(track) = self.track.take() {
            if !track.indices.iter().any(|(n, _)| *n == 1) {
                return Err(format!("TRACK {} has no INDEX 01", track.number));
            }
            self.sheet.tracks.push(track);
        }
        Ok(())
    }

    fn finish(self) -> std::result::Result<CueSheet, String> {
        if self.sheet.tracks.is_empty() {
            return Err("no TRACK".into());
        }
        Ok(self.sheet)
    }
}

/// `REM FLAC__lead-in offset` and `REM FLAC__lead-out 170 offset`, as the flac tool writes.
fn flac_remark(rest: &str) -> std::result::Result<(), String> {
    let mut words = rest.split_whitespace();
    let what = words.next().unwrap_or("");
    let offset =
        |w: Option<&str>| w.and_then(|w| w.parse::<u64>().ok()).map(|_| ()).ok_or(format!("{what} without an offset"));
    match what {
        "FLAC__lead-in" => offset(words.next()),
        "FLAC__lead-out" => match words.next() {
            Some("170") => offset(words.next()),
            other => Err(format!("{what} of track {}", other.unwrap_or("(none)"))),
        },
        _ => Ok(()),
    }
}

/// `mm:ss:ff` with 75 frames per second; minutes may exceed 99 in sheets for files.
fn address(s: &str) -> Option<f64> {
    let parts: Vec<u64> = s.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let [m, s, f] = parts[..] else { return None };
    (m < 1_000_000 && s < 60 && f < CD_FRAMES_PER_S).then(|| (m * 60 + s) as f64 + f as f64 / CD_FRAMES_PER_S as f64)
}

/// The first word, in quotes or not, and what follows.
fn word(s: &str) -> (String, &str) {
    let s = s.trim_start();
    if let Some(quoted) = s.strip_prefix('"') {
        let (inner, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
        return (inner.to_owned(), rest);
    }
    let end = s.find(char::is_whitespace).unwrap_or(s.len());
    (s[..end].to_owned(), &s[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_become_chapters() {
        let sheet = "FILE \"a b.wav\" WAVE\r\n TRACK 01 AUDIO\r\n  TITLE \"One two\"\r\n  INDEX 01 00:00:00\r\n TRACK 02 AUDIO\r\n  INDEX 00 01:00:00\r\n  INDEX 01 01:02:15\r\n";
        let chapters = parse(sheet).unwrap().chapters();
        assert_eq!(chapters[0].title, "One two");
        assert_eq!((chapters[1].start_s, chapters[0].end_s), (62.2, Some(62.2)));
        assert!(parse("TRACK 01 AUDIO").is_err());
        assert!(parse("INDEX 01 00:00:00").is_err());
    }
}
