//! What of the source's metadata goes into a new file.

use super::vorbis::chapter_number;
use super::write::lose;
use super::{Field, Loss, Metadata, TagPolicy, bext, picture_privacy};

/// Fields about persons, places and machines, which [`TagPolicy::StripPrivate`] removes.
const PRIVATE: &[&str] = &[
    "location",
    "device_make",
    "device_model",
    "owner",
    "encoded_by",
    "itunes_account",
    "itunes_account_type",
    "itunes_country_id",
    "itunes_catalog_id",
    "itunes_artist_id",
    "itunes_album_id",
    "itunes_genre_id",
    "itunes_composer_id",
    "itunes_content_id",
    "purchase_date",
    "original_filename",
    "originator_reference",
    "originator",
    "umid",
    "coding_history",
    "url_payment",
    "encoding_date",
    "tagging_date",
];
/// Parts of names that say the same.
const PRIVATE_PARTS: &[&str] = &[
    "location",
    "latitude",
    "longitude",
    "gps",
    "geo_",
    "serial",
    "device",
    "owner",
    "username",
    "user_name",
    "hostname",
    "computer",
    "e-mail",
    "email",
    "account",
    "purchas",
    "transaction",
    "itunes_cddb",
    "itunpgap",
    "camera",
    "phone",
];

/// Fields about the encoder of the source: never true for the new file.
const ENCODER: &[&str] = &["encoder", "encoded_by", "length_ms", "file_type", "TSIZ", "TDLY"];

/// The metadata for a new file made from a source with `source`.
///
/// `overrides` come last: a value replaces the whole field, `None` removes it. With `level_changed`, ReplayGain, R128 and
/// BWF loudness values are dropped, because they describe another level; [`set_replay_gain`] puts new ones. What is left
/// out is listed with its reason; what the caller removes is not. Encoder fields and gapless information stay behind in
/// any case: the new file has its own.
pub fn transfer(
    source: &Metadata,
    policy: TagPolicy,
    overrides: &[(String, Option<String>)],
    level_changed: bool,
) -> (Metadata, Vec<Loss>) {
    let mut losses = Vec::new();
    let mut out = match policy {
        TagPolicy::None => {
            drop_all(source, &mut losses);
            Metadata::default()
        }
        TagPolicy::Keep => source.clone(),
        TagPolicy::StripPrivate => strip_private(source, &mut losses),
    };
    drop_stale(&mut out, level_changed, &mut losses);
    for (key, value) in overrides {
        let key = super::fields::by_name(key).unwrap_or(key);
        out.fields.retain(|f| f.key != key);
        losses.retain(|l| l.field != key);
        let mut set = |key: &str, value: &str| {
            // NUL separates values in most formats.
            let value = value.replace('\0', " ");
            out.fields.retain(|f| f.key != key);
            if !value.is_empty() {
                out.fields.push(Field { key: key.to_owned(), values: vec![value] });
            }
        };
        match value.as_deref().map(|v| (v, v.split_once('/'))) {
            None => {}
            Some((_, Some((number, total)))) if matches!(key, "track" | "disc") => {
                set(key, number);
                set(&format!("{key}_total"), total);
            }
            Some((value, _)) => set(key, value),
        }
    }
    (out, losses)
}

fn drop_all(source: &Metadata, losses: &mut Vec<Loss>) {
    const REASON: &str = "the tag policy is none";
    source.fields.iter().for_each(|f| lose(losses, &f.key, REASON));
    source.native.iter().for_each(|n| lose(losses, &n.kind, REASON));
    source.pictures.iter().take(1).for_each(|_| lose(losses, "picture", REASON));
    source.chapters.iter().take(1).for_each(|_| lose(losses, "chapter", REASON));
}

fn strip_private(source: &Metadata, losses: &mut Vec<Loss>) -> Metadata {
    const REASON: &str = "private, removed by the tag policy";
    let mut out = source.clone();
    for picture in &mut out.pictures {
        if let Some(clean) = picture_privacy::strip(&picture.data) {
            picture.data = clean;
            lose(losses, "picture", "Exif, XMP and text blocks inside the picture: private, removed by the tag policy");
        }
    }
    out.fields.retain(|f| {
        let lower = f.key.to_lowercase();
        let private = PRIVATE.contains(&f.key.as_str()) || PRIVATE_PARTS.iter().any(|p| lower.contains(p));
        if private {
            lose(losses, &f.key, REASON);
        }
        !private
    });
    // Opaque blocks may tell anything: serial numbers in iXML and bext, addresses in XMP, e-mail in POPM.
    out.native.retain(|n| {
        let harmless = n.kind.starts_with("chapter:")
            || n.kind.starts_with("flac:cuesheet")
            || matches!(n.kind.as_str(), "id3:SYLT" | "id3:MCDI" | "id3:PCNT");
        if !harmless {
            lose(losses, &n.kind, REASON);
        }
        harmless
    });
    out
}

fn is_gain(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    lower.starts_with("replaygain_") || lower.starts_with("r128_") || bext::loudness_keys().contains(&key)
        || lower.ends_with("itunnorm") // Sound Check
        || matches!(lower.as_str(), "mp3gain_minmax" | "mp3gain_album_minmax" | "mp3gain_undo")
}

/// Drops what describes the source file and not the work.
fn drop_stale(out: &mut Metadata, level_changed: bool, losses: &mut Vec<Loss>) {
    let has_chapters = !out.chapters.is_empty();
    out.fields.retain(|f| {
        let lower = f.key.to_ascii_lowercase();
        let reason = if lower.ends_with("itunsmpb") {
            "gapless information of the source; the new file has its own"
        } else if ENCODER.contains(&f.key.as_str()) {
            "describes the encoding of the source"
        } else if level_changed && is_gain(&f.key) {
            "level changed"
        } else if f.key == "cuesheet" && has_chapters {
            "carried as chapters"
        } else {
            return true;
        };
        lose(losses, &f.key, reason);
        false
    });
    out.native.retain(|n| {
        let reason = match n.kind.as_str() {
            "id3:RVA2" | "id3:RVA" | "id3:RVAD" | "id3:RGAD" | "id3:EQU2" | "id3:EQUA" if level_changed => {
                "level changed"
            }
            "id3:MLLT" | "id3:SEEK" | "id3:ASPI" | "id3:RBUF" | "id3:SIGN" | "id3:AENC" | "id3:ENCR" => {
                "describes the encoding of the source"
            }
            _ => return true,
        };
        lose(losses, &n.kind, reason);
        false
    });
    if level_changed {
        for item in out.native.iter_mut().filter(|n| n.kind == "bext") {
            if bext::set_loudness(&mut item.data, None, None) {
                lose(losses, "bext", "level changed: its loudness values are marked as not set");
            }
        }
    }
}

/// Sets the gain fields for audio of `integrated_lufs` and `true_peak_dbtp`: ReplayGain 2.0 (gain to -18 LUFS, peak as a
/// factor), `r128_track_gain` (gain to -23 LUFS in 1/256 dB, RFC 7845 section 5.2.1) when the metadata has it already,
/// and the loudness of a `bext` chunk. Silence (not finite) sets nothing. Album values, which one file cannot give, are
/// removed.
pub fn set_replay_gain(meta: &mut Metadata, integrated_lufs: f64, true_peak_dbtp: f64) {
    if !integrated_lufs.is_finite() || !true_peak_dbtp.is_finite() {
        return;
    }
    let had_r128 = meta.fields.iter().any(|f| f.key.starts_with("r128_"));
    meta.fields.retain(|f| !(f.key.starts_with("replaygain_") || f.key.starts_with("r128_")));
    let mut set = |key: &str, value: String| meta.fields.push(Field { key: key.to_owned(), values: vec![value] });
    set("replaygain_track_gain", format!("{:.2} dB", -18.0 - integrated_lufs));
    set("replaygain_track_peak", format!("{:.6}", 10f64.powf(true_peak_dbtp / 20.0)));
    if had_r128 {
        let q7_8 = ((-23.0 - integrated_lufs) * 256.0).round().clamp(-32_768.0, 32_767.0);
        set("r128_track_gain", format!("{q7_8:.0}"));
    }
    for item in meta.native.iter_mut().filter(|n| n.kind == "bext") {
        bext::set_loudness(&mut item.data, Some(integrated_lufs), Some(true_peak_dbtp));
    }
}

/// Moves the chapters for audio from which `removed_start_s` seconds were cut at the start and that is now
/// `new_length_s` long. Chapters outside are dropped; the one that the new start falls into begins at 0. Cue sheets,
/// whose times would be wrong, are dropped. The last chapter gets an end, which players want from ID3: so call this with
/// 0 too.
pub fn shift_chapters(meta: &mut Metadata, removed_start_s: f64, new_length_s: f64) {
    let old = std::mem::take(&mut meta.chapters);
    // New number of each old chapter, both from 1.
    let mut numbers = vec![None; old.len()];
    for (i, chapter) in old.iter().enumerate() {
        let end = chapter.end_s.or_else(|| old.get(i + 1).map(|next| next.start_s)).map(|e| e - removed_start_s);
        let start = chapter.start_s - removed_start_s;
        let gone = end.is_some_and(|e| e <= 0.0 && start < 0.0) || start >= new_length_s;
        if !gone {
            let mut moved = chapter.clone();
            moved.start_s = start.max(0.0);
            moved.end_s =
                chapter.end_s.map(|e| (e - removed_start_s).clamp(moved.start_s, new_length_s.max(moved.start_s)));
            meta.chapters.push(moved);
            numbers[i] = Some(meta.chapters.len());
        }
    }
    let renumber = |n: usize| n.checked_sub(1).and_then(|i| numbers.get(i).copied().flatten());
    meta.fields.retain_mut(|field| {
        let Some(n) = chapter_number(&field.key) else { return true };
        let new = renumber(n);
        field.key = format!("chapter_url:{}", new.unwrap_or(0));
        new.is_some()
    });
    meta.native.retain_mut(|item| {
        let Some((n, id)) = item.kind.strip_prefix("chapter:").and_then(|k| k.split_once('/')) else { return true };
        let new = n.parse().ok().and_then(renumber);
        item.kind = format!("chapter:{}/{id}", new.unwrap_or(0));
        new.is_some()
    });
    if let Some(last) = meta.chapters.last_mut() {
        last.end_s.get_or_insert(new_length_s.max(last.start_s));
    }
    // The last chapter of a cue sheet ends with the audio.
    let cut = old.iter().filter_map(|c| c.end_s).any(|end| end > new_length_s + removed_start_s + 0.001);
    if removed_start_s != 0.0 || cut {
        meta.fields.retain(|f| f.key != "cuesheet");
        meta.native.retain(|n| !n.kind.starts_with("flac:cuesheet"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chapter, NativeItem};
    use super::*;

    fn field(key: &str, value: &str) -> Field {
        Field { key: key.into(), values: vec![value.into()] }
    }
    fn keys(m: &Metadata) -> Vec<&str> {
        m.fields.iter().map(|f| f.key.as_str()).collect()
    }
    fn source() -> Metadata {
        Metadata {
            fields: vec![
                field("title", "T"),
                field("encoder", "LAME"),
                field("replaygain_track_gain", "-3 dB"),
                field("location", "+48+11/"),
                field("comment:iTunSMPB", " 0"),
                field("X-Serial-Number", "1"),
            ],
            native: vec![NativeItem { kind: "id3:PRIV".into(), data: vec![1] }],
            ..Metadata::default()
        }
    }

    #[test]
    fn every_field_that_does_not_go_over_is_listed() {
        for (policy, level_changed, want) in [
            (TagPolicy::Keep, false, vec!["title", "replaygain_track_gain", "location", "X-Serial-Number"]),
            (TagPolicy::Keep, true, vec!["title", "location", "X-Serial-Number"]),
            (TagPolicy::StripPrivate, true, vec!["title"]),
            (TagPolicy::None, true, vec![]),
        ] {
            let (out, losses) = transfer(&source(), policy, &[], level_changed);
            assert_eq!(keys(&out), want, "{policy:?}");
            for f in &source().fields {
                assert!(
                    keys(&out).contains(&f.key.as_str()) != losses.iter().any(|l| l.field == f.key),
                    "{} {policy:?}",
                    f.key
                );
            }
            assert!(out.native.is_empty() == losses.iter().any(|l| l.field == "id3:PRIV"));
        }
    }

    #[test]
    fn overrides_replace_and_remove() {
        let changes = [
            ("TITLE".to_owned(), Some("New".to_owned())),
            ("location".to_owned(), None),
            ("mood".to_owned(), Some("calm".to_owned())),
        ];
        let (out, losses) = transfer(&source(), TagPolicy::Keep, &changes, false);
        assert_eq!(out.fields.iter().find(|f| f.key == "title").unwrap().values, ["New"]);
        assert!(keys(&out).contains(&"mood") && !keys(&out).contains(&"location"));
        assert!(!losses.iter().any(|l| l.field == "location"));
    }

    #[test]
    fn gains_by_their_definitions() {
        let mut m = Metadata {
            fields: vec![field("r128_track_gain", "0"), field("replaygain_album_gain", "1 dB")],
            ..Metadata::default()
        };
        set_replay_gain(&mut m, -16.0, -1.0);
        let get = |k: &str| m.fields.iter().find(|f| f.key == k).map(|f| f.values[0].as_str());
        assert_eq!(get("replaygain_track_gain"), Some("-2.00 dB"));
        assert_eq!(get("replaygain_track_peak"), Some("0.891251")); // 10^(-1/20)
        assert_eq!(get("r128_track_gain"), Some("-1792")); // -7 dB * 256
        assert_eq!(get("replaygain_album_gain"), None);
    }

    #[test]
    fn chapters_follow_a_trim() {
        let ch = |start_s: f64, end_s: Option<f64>, title: &str| Chapter { start_s, end_s, title: title.into() };
        let mut m = Metadata {
            chapters: vec![
                ch(0.0, None, "gone"),
                ch(5.0, Some(15.0), "cut"),
                ch(15.0, Some(60.0), "kept"),
                ch(60.0, None, "late"),
            ],
            ..Metadata::default()
        };
        m.fields = vec![field("chapter_url:1", "a"), field("chapter_url:3", "c")];
        m.native = vec![NativeItem { kind: "chapter:2/APIC".into(), data: vec![1] }];
        shift_chapters(&mut m, 10.0, 40.0);
        assert_eq!(m.fields, [field("chapter_url:2", "c")]);
        assert_eq!(m.native[0].kind, "chapter:1/APIC");
        assert_eq!(m.chapters, [ch(0.0, Some(5.0), "cut"), ch(5.0, Some(40.0), "kept")]);
    }
}
