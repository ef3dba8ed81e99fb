//! The Broadcast Wave `bext` chunk (EBU Tech 3285 version 2): read into fields, built from them, and its loudness.

use super::Metadata;
use super::bytes::Cursor;
use super::collect::Collector;
use super::text;

/// Bytes before the coding history.
const FIXED_LEN: usize = 602;
/// Loudness value that means "not set".
const UNSET: i16 = 0x7FFF;
/// Offset of the version, and of the first of the five loudness values.
const VERSION_AT: usize = 346;
const LOUDNESS_AT: usize = 412;

/// Text parts: key, offset, length.
const TEXTS: [(&str, usize, usize); 5] = [
    ("description", 0, 256),
    ("originator", 256, 32),
    ("originator_reference", 288, 32),
    ("origination_date", 320, 10),
    ("origination_time", 330, 8),
];
/// The loudness values in order, in hundredths.
const LOUDNESS: [&str; 5] = [
    "bext_loudness_lufs",
    "bext_loudness_range_lu",
    "bext_max_true_peak_dbtp",
    "bext_max_momentary_lufs",
    "bext_max_short_term_lufs",
];

/// Reads the chunk's parts as fields. The chunk itself is kept apart as a native item.
pub(super) fn parse(data: &[u8], c: &mut Collector) {
    for (key, at, len) in TEXTS {
        if let Some(part) = data.get(at..at + len) {
            c.add(key, text::fixed(part));
        }
    }
    let mut cur = Cursor::new(data.get(338..).unwrap_or(&[]));
    let (Some(low), Some(high), Some(version)) = (cur.u32_le(), cur.u32_le(), cur.u16_le()) else { return };
    let reference = u64::from(high) << 32 | u64::from(low);
    if reference > 0 {
        c.add("time_reference", reference.to_string());
    }
    if let Some(umid) = cur.take(64).filter(|u| version >= 1 && u.iter().any(|b| *b != 0)) {
        c.add("umid", umid.iter().map(|b| format!("{b:02x}")).collect::<String>());
    }
    if version >= 2 {
        for key in LOUDNESS {
            let value = cur.u16_le().map(|v| v as i16);
            if let Some(v) = value.filter(|v| *v != UNSET) {
                c.add(key, format!("{:.2}", f64::from(v) / 100.0));
            }
        }
    }
    if let Some(history) = data.get(FIXED_LEN..) {
        c.add("coding_history", text::fixed(history));
    }
}

/// True for a key that [`parse`] makes.
pub(super) fn is_part(key: &str) -> bool {
    TEXTS.iter().any(|t| t.0 == key)
        || LOUDNESS.contains(&key)
        || matches!(key, "time_reference" | "umid" | "coding_history")
}

/// The keys whose whole values the chunk `data` holds.
pub(super) fn holds(data: &[u8], key: &str, values: &[String]) -> bool {
    let mut c = Collector::default();
    parse(data, &mut c);
    values.len() == 1 && c.first(key) == Some(values[0].as_str())
}

/// A version 2 chunk from the fields that came from one. `None` when there are none. A description alone is no reason
/// for a chunk.
pub(super) fn build(meta: &Metadata) -> Option<Vec<u8>> {
    let get = |key: &str| meta.fields.iter().find(|f| f.key == key).and_then(|f| f.values.first()).map(String::as_str);
    if !meta.fields.iter().any(|f| is_part(&f.key) && f.key != "description") {
        return None;
    }
    let mut data = vec![0u8; FIXED_LEN];
    for (key, at, len) in TEXTS {
        let value = text::truncate(get(key).unwrap_or(""), len);
        data[at..at + value.len()].copy_from_slice(value.as_bytes());
    }
    let reference: u64 = get("time_reference").and_then(|v| v.parse().ok()).unwrap_or(0);
    data[338..346].copy_from_slice(&reference.to_le_bytes());
    data[VERSION_AT] = 2;
    let umid = get("umid").unwrap_or("");
    if umid.len() == 128 && umid.is_ascii() {
        for i in 0..64 {
            data[348 + i] = u8::from_str_radix(&umid[2 * i..2 * i + 2], 16).unwrap_or(0);
        }
    }
    for (i, key) in LOUDNESS.iter().enumerate() {
        let value = get(key).and_then(|v| v.parse::<f64>().ok()).filter(|v| v.abs() < 327.0);
        let value = value.map_or(UNSET, |v| (v * 100.0).round() as i16);
        data[LOUDNESS_AT + 2 * i..LOUDNESS_AT + 2 * i + 2].copy_from_slice(&value.to_le_bytes());
    }
    data.extend(get("coding_history").unwrap_or("").bytes());
    Some(data)
}

/// Sets the loudness values of a chunk of version 2 or later: integrated and true peak where given, else "not set".
/// Returns false when the chunk has none.
pub(super) fn set_loudness(data: &mut [u8], integrated_lufs: Option<f64>, true_peak_dbtp: Option<f64>) -> bool {
    let version = data.get(VERSION_AT..VERSION_AT + 2).map_or(0, |v| u16::from_le_bytes([v[0], v[1]]));
    let Some(values) = data.get_mut(LOUDNESS_AT..LOUDNESS_AT + 10).filter(|_| version >= 2) else { return false };
    let code = |v: Option<f64>| v.filter(|v| v.abs() < 327.0).map_or(UNSET, |v| (v * 100.0).round() as i16);
    let new = [code(integrated_lufs), UNSET, code(true_peak_dbtp), UNSET, UNSET];
    let new: Vec<u8> = new.iter().flat_map(|v| v.to_le_bytes()).collect();
    let changed = *values != new[..];
    values.copy_from_slice(&new);
    changed
}

/// The keys of the loudness values.
pub(super) fn loudness_keys() -> &'static [&'static str] {
    &LOUDNESS
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    #[test]
    fn built_from_fields_and_read_back() {
        let field = |key: &str, value: &str| Field { key: key.into(), values: vec![value.into()] };
        let umid = "06".repeat(64);
        let fields = vec![
            field("description", "Rain"),
            field("originator", "Recorder"),
            field("origination_date", "2020-01-02"),
            field("time_reference", "12345678901"),
            field("umid", &umid),
            field("bext_loudness_lufs", "-23.00"),
            field("bext_max_true_peak_dbtp", "-1.25"),
            field("coding_history", "A=PCM,F=48000\r\n"),
        ];
        let mut data = build(&Metadata { fields: fields.clone(), ..Metadata::default() }).unwrap();
        let mut c = Collector::default();
        parse(&data, &mut c);
        let got = c.finish().fields;
        for f in &fields {
            let found = got.iter().find(|g| g.key == f.key).unwrap();
            assert_eq!(found.values[0].trim_end(), f.values[0].trim_end());
        }
        assert!(set_loudness(&mut data, Some(-16.0), None));
        let mut c = Collector::default();
        parse(&data, &mut c);
        assert_eq!((c.first("bext_loudness_lufs"), c.first("bext_max_true_peak_dbtp")), (Some("-16.00"), None));
        parse(&data[..100], &mut Collector::default());
    }
}
