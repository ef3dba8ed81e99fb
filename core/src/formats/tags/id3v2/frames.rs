//! What each ID3v2 frame means.

use super::super::bytes::Cursor;
use super::super::collect::{Collector, normal_mime};
use super::super::{Picture, fields, genres, text};
use super::Frame;

/// The date frames of ID3v2.3, which 2.4 joined into `TDRC`.
#[derive(Default)]
pub(super) struct LegacyDates {
    year: Option<String>,
    /// `DDMM`
    day: Option<String>,
    /// `HHMM`
    time: Option<String>,
}

impl LegacyDates {
    /// Adds `date` from `TYER`, `TDAT` and `TIME`, unless there is one.
    pub fn finish(self, c: &mut Collector) {
        let Some(mut date) = self.year else { return };
        let digits = |s: &Option<String>| s.clone().filter(|s| s.len() == 4 && s.bytes().all(|b| b.is_ascii_digit()));
        if date.len() == 4
            && let Some(day) = digits(&self.day)
        {
            date = format!("{date}-{}-{}", &day[2..], &day[..2]);
            if let Some(time) = digits(&self.time) {
                date = format!("{date}T{}:{}", &time[..2], &time[2..]);
            }
        }
        if c.is_missing("date") {
            c.add("date", date);
        }
    }
}

/// Adds what `frame` says.
pub(super) fn collect(frame: &Frame<'_>, c: &mut Collector, dates: &mut LegacyDates) {
    let body = &frame.body[..];
    let done = match frame.id.as_str() {
        "TXXX" => txxx(body, c),
        "TCON" => {
            for value in text_values(body) {
                genres::parse_tcon(&value).into_iter().for_each(|g| c.add("genre", g));
            }
            Some(())
        }
        "TRCK" => pair(body, "track", "track_total", c),
        "TPOS" => pair(body, "disc", "disc_total", c),
        "MVIN" => pair(body, "movement_number", "movement_total", c),
        "TYER" | "TDAT" | "TIME" => {
            let value = text_values(body).into_iter().next();
            match frame.id.as_str() {
                "TYER" => dates.year = value,
                "TDAT" => dates.day = value,
                _ => dates.time = value,
            }
            Some(())
        }
        "TIPL" | "TMCL" => people(body, c),
        "COMM" => language_text(body, "comment", c),
        "USLT" => language_text(body, "lyrics", c),
        "WXXX" => wxxx(body, c),
        "APIC" => apic(body, false, c),
        "APIC:2" => apic(body, true, c),
        "UFID" => ufid(body, c),
        "CHAP" => chap(body, c),
        "CTOC" => ctoc(body, c),
        "PCST" => {
            c.add("podcast", "1");
            Some(())
        }
        // Apple writes these podcast frames as text, whatever their first letter.
        "GRP1" | "MVNM" | "WFED" | "TCAT" | "TKWD" | "TGID" | "TDES" if body[0] <= 3 => {
            let key = if frame.id == "GRP1" { "grouping" } else { fields::by_id3(&frame.id).unwrap_or("grouping") };
            text_values(body).into_iter().for_each(|v| c.add(key, v));
            Some(())
        }
        id if id.starts_with('T') && id.len() == 4 => {
            let key = fields::by_id3(id).unwrap_or(id);
            text_values(body).into_iter().for_each(|v| c.add(key, v));
            Some(())
        }
        id if id.starts_with('W') && id.len() == 4 => {
            let key = fields::by_id3(id).unwrap_or(id);
            c.add(key, text::latin1(Cursor::new(body).until_nul()));
            Some(())
        }
        _ => None,
    };
    if done.is_none() {
        c.native(format!("id3:{}", frame.id), body);
    }
}

/// Text frame: encoding byte, then values separated by NUL.
pub(super) fn text_values(body: &[u8]) -> Vec<String> {
    let Some((encoding, rest)) = body.split_first() else { return Vec::new() };
    if *encoding > 3 {
        // No encoding byte at all, as some programs write.
        return vec![text::utf8_or_latin1(body)];
    }
    split_values(rest, *encoding)
}

fn split_values(mut data: &[u8], encoding: u8) -> Vec<String> {
    let mut out = Vec::new();
    // The byte order mark of the first value holds for those without one.
    let big_endian = encoding == 2 || data.starts_with(&[0xFE, 0xFF]);
    while !data.is_empty() {
        let (part, rest) = split_nul(data, encoding);
        let value = decode(part, encoding, big_endian);
        if !value.is_empty() {
            out.push(value);
        }
        data = rest;
    }
    out
}

/// Splits at the terminator of the encoding; the second part is what follows it.
fn split_nul(data: &[u8], encoding: u8) -> (&[u8], &[u8]) {
    if matches!(encoding, 1 | 2) {
        let end = data.chunks_exact(2).position(|u| u == [0, 0]);
        return end.map_or((data, &[]), |i| (&data[..2 * i], &data[2 * i + 2..]));
    }
    let end = data.iter().position(|b| *b == 0);
    end.map_or((data, &[]), |i| (&data[..i], &data[i + 1..]))
}

fn decode(data: &[u8], encoding: u8, big_endian: bool) -> String {
    match encoding {
        0 => text::latin1(data),
        1 | 2 => text::utf16(data, big_endian),
        _ => text::utf8(data),
    }
}

fn pair(body: &[u8], number: &str, total: &str, c: &mut Collector) -> Option<()> {
    text_values(body).into_iter().take(1).for_each(|v| c.add_pair(number, total, &v));
    Some(())
}

fn txxx(body: &[u8], c: &mut Collector) -> Option<()> {
    let (encoding, rest) = body.split_first().filter(|(e, _)| **e <= 3)?;
    let big_endian = *encoding == 2 || rest.starts_with(&[0xFE, 0xFF]);
    let (name, rest) = split_nul(rest, *encoding);
    let name = decode(name, *encoding, big_endian);
    let values = if *encoding == 1 && !rest.starts_with(&[0xFF, 0xFE]) && !rest.starts_with(&[0xFE, 0xFF]) && big_endian
    {
        split_values(rest, 2)
    } else {
        split_values(rest, *encoding)
    };
    let name = if name.trim().is_empty() { "TXXX" } else { name.trim() };
    values.into_iter().for_each(|v| c.add_named(name, v));
    Some(())
}

/// `COMM` and `USLT`: language, description, text. A description becomes part of the key: `comment:description`.
fn language_text(body: &[u8], key: &str, c: &mut Collector) -> Option<()> {
    let mut cur = Cursor::new(body);
    let encoding = cur.u8().filter(|e| *e <= 3)?;
    let language: [u8; 3] = cur.array()?;
    let big_endian = encoding == 2 || cur.rest().starts_with(&[0xFE, 0xFF]);
    let (description, rest) = split_nul(cur.rest(), encoding);
    let description = decode(description, encoding, big_endian);
    // Several values are separated as in other text frames, though no specification says so.
    let values = split_values(rest, if encoding == 1 && big_endian { 2 } else { encoding });
    let description = description.trim();
    if description.is_empty() {
        let usual = [b"eng", b"XXX", b"xxx", b"und", b"\0\0\0", b"   "].contains(&&language);
        if !usual && language.iter().all(u8::is_ascii_alphabetic) && c.is_missing(key) {
            c.add(&format!("{key}_language"), text::latin1(&language).to_ascii_lowercase());
        }
        values.into_iter().for_each(|v| c.add(key, v));
    } else {
        values.into_iter().for_each(|v| c.add(&format!("{key}:{description}"), v));
    }
    Some(())
}

fn wxxx(body: &[u8], c: &mut Collector) -> Option<()> {
    let (encoding, rest) = body.split_first().filter(|(e, _)| **e <= 3)?;
    let (description, url) = split_nul(rest, *encoding);
    let description = decode(description, *encoding, *encoding == 2);
    let key = if description.trim().is_empty() { "url".to_owned() } else { format!("url:{}", description.trim()) };
    let url = if url.starts_with(&[0xFF, 0xFE]) {
        text::utf16(url, false)
    } else {
        text::utf8_or_latin1(Cursor::new(url).until_nul())
    };
    c.add(&key, url);
    Some(())
}

fn apic(body: &[u8], v22: bool, c: &mut Collector) -> Option<()> {
    c.picture(picture(body, v22)?);
    Some(())
}

fn picture(body: &[u8], v22: bool) -> Option<Picture> {
    let mut cur = Cursor::new(body);
    let encoding = cur.u8().filter(|e| *e <= 3)?;
    let mime = if v22 { text::latin1(cur.take(3)?) } else { text::latin1(cur.until_nul()) };
    let kind = cur.u8()?;
    let (description, data) = split_nul(cur.rest(), encoding);
    if data.is_empty() {
        return None;
    }
    let description = decode(description, encoding, encoding == 2);
    Some(Picture { kind, mime: normal_mime(&mime, data), description, data: data.to_vec() })
}

fn ufid(body: &[u8], c: &mut Collector) -> Option<()> {
    let mut cur = Cursor::new(body);
    if cur.until_nul() != b"http://musicbrainz.org" {
        return None;
    }
    let id = std::str::from_utf8(cur.rest()).ok()?;
    c.add("musicbrainz_track_id", id);
    Some(())
}

/// Pairs of role and name.
fn people(body: &[u8], c: &mut Collector) -> Option<()> {
    let (encoding, rest) = body.split_first().filter(|(e, _)| **e <= 3)?;
    // Empty parts must stay, or roles and names change places.
    let mut parts = Vec::new();
    let mut data = rest;
    let big_endian = *encoding == 2 || data.starts_with(&[0xFE, 0xFF]);
    while !data.is_empty() && parts.len() < 4096 {
        let (part, next) = split_nul(data, *encoding);
        parts.push(decode(part, *encoding, big_endian));
        data = next;
    }
    for pair in parts.chunks(2) {
        let [role, name] = pair else { break };
        let known =
            fields::FIELDS.iter().find(|d| d.id3.strip_prefix("TIPL:").is_some_and(|r| r.eq_ignore_ascii_case(role)));
        match known {
            Some(d) => c.add(d.key, name.as_str()),
            None if role.trim().is_empty() => c.add("performer", name.as_str()),
            None => c.add(&format!("performer:{}", role.trim()), name.as_str()),
        }
    }
    Some(())
}

fn chap(body: &[u8], c: &mut Collector) -> Option<()> {
    let mut cur = Cursor::new(body);
    cur.until_nul();
    let (start, end) = (cur.u32_be()?, cur.u32_be()?);
    cur.take(8)?; // byte offsets
    let mut title = String::new();
    let mut extra = Vec::new();
    let mut urls = Collector::default();
    for_each_sub(cur.rest(), &mut |f| match f.id.as_str() {
        "TIT2" => title = text_values(&f.body).into_iter().next().unwrap_or_default(),
        // The description says that this is a link, or nothing.
        "WXXX" if urls.is_empty() => drop(wxxx(&f.body, &mut urls)),
        id => extra.push((id.to_owned(), f.body.to_vec())),
    });
    // All ones: not stated.
    let end = (end != u32::MAX).then(|| f64::from(end) / 1000.0);
    c.chapter(f64::from(start) / 1000.0, end, title);
    for field in urls.finish().fields {
        field.values.into_iter().for_each(|url| c.chapter_url(url));
    }
    extra.into_iter().for_each(|(id, data)| c.chapter_frame(&id, &data));
    Some(())
}

/// The table of contents only orders the chapters; what else it says is kept to be reported.
fn ctoc(body: &[u8], c: &mut Collector) -> Option<()> {
    let mut cur = Cursor::new(body);
    cur.until_nul();
    cur.u8()?;
    for _ in 0..cur.u8()? {
        cur.until_nul();
    }
    let mut extra = Vec::new();
    for_each_sub(cur.rest(), &mut |f| extra.push((format!("id3:CTOC/{}", f.id), f.body.to_vec())));
    extra.into_iter().for_each(|(kind, data)| c.native(kind, &data));
    Some(())
}

/// Embedded frames do not nest: a chapter inside a chapter is kept as bytes, so depth is bounded.
fn for_each_sub(body: &[u8], f: &mut dyn FnMut(Frame<'_>)) {
    // The version is not known here; 2.3 and 2.4 differ for sizes of 128 and more, where the lookahead decides.
    super::for_each_frame(body, 4, false, f);
}

#[cfg(test)]
mod tests {
    use super::super::super::Metadata;
    use super::*;

    fn one(id: &str, body: &[u8]) -> Metadata {
        let mut c = Collector::default();
        let mut dates = LegacyDates::default();
        collect(&Frame { id: id.into(), body: body.into() }, &mut c, &mut dates);
        dates.finish(&mut c);
        c.finish()
    }
    fn get(m: &Metadata, key: &str) -> String {
        m.fields.iter().find(|f| f.key == key).map_or_else(String::new, |f| f.values.join("|"))
    }

    #[test]
    fn values_separate_at_nul_in_every_encoding() {
        assert_eq!(text_values(b"\x00a\0b\xE9"), ["a", "b\u{e9}"]);
        assert_eq!(text_values(b"\x01\xFF\xFEa\0\0\0\xFF\xFEb\0\0\0"), ["a", "b"]);
        assert_eq!(text_values(b"\x01\xFE\xFF\0a\0\0\0b"), ["a", "b"]);
        assert_eq!(text_values(b"\x02\0a\0\0\0b"), ["a", "b"]);
        assert_eq!(text_values(b"\x03a\0\xC3\xA9\0"), ["a", "\u{e9}"]);
        assert_eq!(text_values(b"plain"), ["plain"]);
    }

    #[test]
    fn comments_keep_language_and_description() {
        let m = one("COMM", b"\x00deu\0Hallo");
        assert_eq!((get(&m, "comment").as_str(), get(&m, "comment_language").as_str()), ("Hallo", "deu"));
        let m = one("COMM", b"\x00engiTunNORM\0 0000");
        assert_eq!(get(&m, "comment:iTunNORM"), " 0000");
    }

    #[test]
    fn chapters_people_and_unknown_frames() {
        let mut chap = b"c1\0".to_vec();
        chap.extend([0, 0, 3, 232, 0, 0, 7, 208]);
        chap.extend([0xFF; 8]);
        chap.extend(b"TIT2\0\0\0\x03\0\0\x03ab");
        chap.extend(b"WXXX\0\0\0\x03\0\0\x03\0u");
        let m = one("CHAP", &chap);
        assert_eq!((m.chapters[0].start_s, m.chapters[0].end_s, m.chapters[0].title.as_str()), (1.0, Some(2.0), "ab"));
        assert_eq!(get(&m, "chapter_url:1"), "u");
        let m = one("TIPL", b"\x03producer\0P\0guitar\0G");
        assert_eq!((get(&m, "producer").as_str(), get(&m, "performer:guitar").as_str()), ("P", "G"));
        assert_eq!(one("PRIV", b"o\0x").native[0].data, b"o\0x");
    }
}
