//! Every pair of formats: what a file says is kept, or is listed as lost. Never silently gone.

use proptest::prelude::*;

use super::write::{self, Serialized};
use super::{Chapter, Field, Loss, Metadata, NativeItem, Picture, read};
use crate::formats::{Container, Limits};

/// Formats that are written, with a minimal file around the serialised metadata.
pub(super) const FORMATS: [&str; 9] = ["mp3", "flac", "flac_blocks", "vorbis", "opus", "m4a", "wav", "aiff", "caf"];

/// A file of `format` that holds `meta`, and what it does not hold.
pub(super) fn file(format: &str, meta: &Metadata) -> (Vec<u8>, Vec<Loss>) {
    match format {
        "mp3" => {
            let Serialized { bytes, losses } = write::id3v2(meta);
            ([bytes, vec![0xFF, 0xFB, 0x90, 0x64]].concat(), losses)
        }
        "flac" => {
            let Serialized { bytes, losses } = write::vorbis_comment(meta, "test");
            let blocks = std::iter::once((4, bytes)).chain(write::flac_pictures(meta).into_iter().map(|b| (6, b)));
            (flac_file(blocks.collect()), losses)
        }
        "flac_blocks" => {
            let out = write::flac_blocks(meta, "test", 48_000);
            (flac_file(out.blocks), out.losses)
        }
        "vorbis" => {
            let Serialized { bytes, losses } = write::vorbis_comment_with_pictures(meta, "test");
            let packets = [b"\x01vorbis".to_vec(), [&b"\x03vorbis"[..], &bytes, &[1]].concat(), b"\x05vorbis".to_vec()];
            (ogg_pages(&packets), losses)
        }
        "opus" => {
            let Serialized { bytes, losses } = write::opus_comment(meta, "test");
            let head = [&b"OpusHead\x01\x02\0\0"[..], &48_000u32.to_le_bytes(), &[0; 3]].concat();
            (ogg_pages(&[head, [&b"OpusTags"[..], &bytes].concat()]), losses)
        }
        "m4a" => {
            let Serialized { bytes, losses } = write::ilst(meta);
            let boxed = |kind: &[u8], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat();
            let moov = boxed(b"moov", &boxed(b"udta", &bytes));
            ([boxed(b"ftyp", b"M4A \0\0\0\0"), moov].concat(), losses)
        }
        "wav" => {
            let out = write::riff_chunks_at(meta, Some(48_000));
            let mut body =
                b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xBB\0\0\0\x77\x01\0\x02\0\x10\0data\x02\0\0\0\0\0".to_vec();
            for (id, data) in &out.chunks {
                body.extend(id);
                body.extend((data.len() as u32).to_le_bytes());
                body.extend(data);
                body.extend(vec![0; data.len() % 2]);
            }
            ([&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat(), out.losses)
        }
        "aiff" => {
            let out = write::aiff_chunks(meta);
            let mut body = b"AIFF".to_vec();
            for (id, data) in &out.chunks {
                body.extend(id);
                body.extend((data.len() as u32).to_be_bytes());
                body.extend(data);
                body.extend(vec![0; data.len() % 2]);
            }
            ([&b"FORM"[..], &(body.len() as u32).to_be_bytes(), &body].concat(), out.losses)
        }
        _ => {
            let Serialized { bytes, losses } = write::caf_info(meta);
            ([&b"caff\0\x01\0\0info"[..], &(bytes.len() as i64).to_be_bytes(), &bytes].concat(), losses)
        }
    }
}

fn flac_file(blocks: Vec<(u8, Vec<u8>)>) -> Vec<u8> {
    let mut out = b"fLaC\0\0\0\x22".to_vec();
    out.extend([0; 34]);
    let last = blocks.len() - 1;
    for (i, (kind, body)) in blocks.into_iter().enumerate() {
        out.push(kind | if i == last { 0x80 } else { 0 });
        out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend(body);
    }
    out
}

/// One packet per run of pages, as Opus headers are laid out.
fn ogg_pages(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        let mut sizes = vec![255u8; packet.len() / 255];
        sizes.push((packet.len() % 255) as u8);
        let mut rest = &packet[..];
        for lacing in sizes.chunks(255) {
            out.extend(b"OggS\0");
            out.push(if i == 0 { 2 } else { 0 });
            out.extend([0; 20]);
            out.push(lacing.len() as u8);
            out.extend(lacing);
            let n: usize = lacing.iter().map(|b| usize::from(*b)).sum();
            out.extend(&rest[..n]);
            rest = &rest[n..];
        }
    }
    out
}

pub(super) fn read_back(bytes: Vec<u8>) -> Metadata {
    let len = bytes.len() as u64;
    read(&mut std::io::Cursor::new(bytes), len, Container::Other, &Limits::default()).unwrap()
}

/// What `source` says and neither `copy` nor `losses` do.
pub(super) fn silently_gone(source: &Metadata, copy: &Metadata, losses: &[Loss]) -> Vec<String> {
    let lost = |field: &str| losses.iter().any(|l| l.field == field);
    let mut gone = Vec::new();
    for field in &source.fields {
        let found = copy.fields.iter().find(|f| f.key == field.key);
        let same = |a: &str, b: &str| a == b || (a.parse::<u64>().is_ok() && a.parse::<u64>() == b.parse::<u64>());
        let kept = |v: &String| found.is_some_and(|f| f.values.iter().any(|w| same(v, w)));
        if !lost(&field.key) && !field.values.iter().all(kept) {
            gone.push(format!("{} {:?} is {:?}", field.key, field.values, found.map(|f| &f.values)));
        }
    }
    for p in &source.pictures {
        if !lost("picture") && !copy.pictures.contains(p) {
            gone.push(format!("picture {}", p.kind));
        }
    }
    let close = |a: f64, b: f64| (a - b).abs() <= 0.001; // milliseconds in ID3 and Vorbis
    for (i, c) in source.chapters.iter().enumerate() {
        let found = copy.chapters.get(i).is_some_and(|d| {
            let next = source.chapters.get(i + 1).map(|n| n.start_s);
            // Stated, or the start of the next, or the end of the file.
            let end = match (c.end_s, d.end_s.or(next)) {
                (Some(a), Some(b)) => close(a, b),
                (Some(_), None) => i + 1 == source.chapters.len(),
                (None, _) => true,
            };
            close(c.start_s, d.start_s) && c.title == d.title && end
        });
        if !lost("chapter") && !found {
            gone.push(format!("chapter {i}: {c:?} is {:?}", copy.chapters.get(i)));
        }
    }
    for n in &source.native {
        if !lost(&n.kind) && !copy.native.contains(n) {
            gone.push(format!("native {}", n.kind));
        }
    }
    gone
}

fn field(key: &str, values: &[&str]) -> Field {
    Field { key: key.into(), values: values.iter().map(|v| (*v).to_owned()).collect() }
}

pub(super) fn rich() -> Metadata {
    let mut fields: Vec<Field> = super::canonical_keys().map(|key| field(key, &[&format!("Wert für {key}")])).collect();
    let mut set = |key: &str, values: &[&str]| {
        fields.retain(|f| f.key != key);
        fields.push(field(key, values));
    };
    set("artist", &["Erste", "二番目", "Third / Fourth"]);
    set("genre", &["Rock", "17", "(4)Odd"]);
    set("track", &["03"]);
    set("track_total", &["12"]);
    set("disc", &["1"]);
    set("disc_total", &["2"]);
    set("bpm", &["127.5"]);
    set("compilation", &["1"]);
    set("podcast", &["1"]);
    set("comment", &["one", "two"]);
    set("comment_language", &["deu"]);
    set("lyrics_language", &["fra"]);
    set("comment:iTunNORM", &[" 00000001"]);
    set("lyrics:karaoke", &["la la"]);
    set("url:blog", &["https://example.org/ä"]);
    set("performer:guitar", &["G. One", "G. Two"]);
    set("chapter_url:2", &["https://example.org/2"]);
    set("chapter_url:77", &["beyond"]);
    set("My Own Name", &["a", "b"]);
    set("schön=", &["illegal in Vorbis"]);
    set("org.example:thing", &["x"]);
    set("\u{a9}xyq", &["atom"]);
    set("IFOO", &["info"]);
    set("trailing", &["blanks  "]);
    set("title", &["ends in a blank "]);
    set("time_reference", &["48000"]);
    set("umid", &[&"ab".repeat(64)]);
    set("bext_loudness_lufs", &["-23.00"]);
    set("description", &[&"long ".repeat(100)]);
    // These are reserved for structures with a meaning of their own.
    fields.retain(|f| f.key != "cuesheet");
    let picture = |kind: u8, mime: &str, description: &str, data: &[u8]| Picture {
        kind,
        mime: mime.into(),
        description: description.into(),
        data: data.to_vec(),
    };
    Metadata {
        fields,
        pictures: vec![
            picture(3, "image/png", "", b"\x89PNG front"),
            picture(4, "image/jpeg", "hinten", b"\xFF\xD8\xFF back"),
            picture(17, "image/gif", "a bright coloured fish", b"GIF89a fish"),
        ],
        chapters: vec![
            Chapter { start_s: 0.0, end_s: Some(10.5), title: "Anfang".into() },
            Chapter { start_s: 10.5, end_s: Some(20.0), title: "Middle".into() },
            Chapter { start_s: 30.25, end_s: None, title: String::new() },
        ],
        native: [
            ("ixml", &b"<BWFXML/>"[..]),
            ("id3:PRIV", b"owner\0data"),
            ("id3:GEOB", b"\0a/b\0\0\0x"),
            ("id3:RVA", b"old"),
            ("chapter:1/APIC", b"\x03image/png\0\x03\0\x89PNG"),
            ("riff:cart", b"cart"),
            ("riff:smpl", b"loops"),
            ("flac:application", b"testdata"),
            ("flac:cuesheet:44100", b"offsets for another rate"),
            ("flac:block:99", b"unknown"),
            ("mp4:Xtra", b"xtra"),
        ]
        .map(|(kind, data)| NativeItem { kind: kind.into(), data: data.to_vec() })
        .into(),
    }
}

#[test]
fn nothing_is_silently_gone_between_any_two_formats() {
    let source = rich();
    for a in FORMATS {
        let (bytes, losses) = file(a, &source);
        let first = read_back(bytes);
        assert_eq!(silently_gone(&source, &first, &losses), Vec::<String>::new(), "into {a}");
        for b in FORMATS {
            let (bytes, losses) = file(b, &first);
            let second = read_back(bytes);
            assert_eq!(silently_gone(&first, &second, &losses), Vec::<String>::new(), "{a} to {b}");
        }
    }
}

#[test]
fn losses_are_few_and_only_what_formats_cannot_say() {
    // Everything with free-form names keeps all text.
    for format in FORMATS {
        let (_, losses) = file(format, &rich());
        let text: Vec<&Loss> = losses.iter().filter(|l| rich().fields.iter().any(|f| f.key == l.field)).collect();
        let allowed = |field: &str| {
            matches!(field, "schön=" | "\u{a9}xyq") || (format == "opus" && field.starts_with("replaygain_"))
        };
        assert!(text.iter().all(|l| allowed(&l.field)), "{format}: {text:?}");
    }
}

/// 64 random cases, or as many as the environment says.
fn cases() -> u32 {
    std::env::var("PURESOUND_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(64)
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof!["[^\\x00]{1,20}", "[0-9/() .]{1,8}"].prop_filter("blank values say nothing", |v| !v.trim().is_empty())
}

/// The same through an independent reader.
#[test]
fn lofty_reads_what_was_written() {
    use lofty::config::ParseOptions;
    use lofty::file::FileType;
    use lofty::prelude::*;
    use lofty::probe::Probe;

    let mut meta = rich();
    meta.fields
        .retain(|f| matches!(f.key.as_str(), "album" | "album_artist" | "composer" | "isrc" | "track" | "track_total"));
    meta.fields.push(field("title", &["Größe"]));
    meta.fields.push(field("artist", &["Erste", "二番目"]));
    meta.native.clear();
    meta.chapters.clear();
    let types = [
        ("mp3", FileType::Mpeg),
        ("flac", FileType::Flac),
        ("vorbis", FileType::Vorbis),
        ("opus", FileType::Opus),
        ("m4a", FileType::Mp4),
        ("wav", FileType::Wav),
        ("aiff", FileType::Aiff),
    ];
    for (format, file_type) in types {
        let bytes = file(format, &meta).0;
        let probe = Probe::with_file_type(std::io::Cursor::new(bytes), file_type);
        let read = probe.options(ParseOptions::new().read_properties(false)).read().unwrap();
        let tag = read.primary_tag().unwrap();
        assert_eq!(tag.title().as_deref(), Some("Größe"), "{format}");
        assert_eq!(tag.get_strings(ItemKey::TrackArtist).collect::<Vec<_>>(), ["Erste", "二番目"], "{format}");
        for (key, value) in [
            (ItemKey::AlbumTitle, "Wert für album"),
            (ItemKey::AlbumArtist, "Wert für album_artist"),
            (ItemKey::Composer, "Wert für composer"),
            (ItemKey::Isrc, "Wert für isrc"),
        ] {
            assert_eq!(tag.get_string(key), Some(value), "{format}");
        }
        assert_eq!((tag.track(), tag.track_total()), (Some(3), Some(12)), "{format}");
        let pictures: Vec<&[u8]> = tag.pictures().iter().map(|p| p.data()).collect();
        let want: Vec<&[u8]> = meta.pictures.iter().map(|p| &p.data[..]).collect();
        assert_eq!(pictures, want, "{format}");
    }
}

fn keys() -> impl Strategy<Value = String> {
    let canonical: Vec<&'static str> = super::canonical_keys().filter(|k| *k != "cuesheet").collect();
    prop_oneof![
        3 => proptest::sample::select(canonical).prop_map(str::to_owned),
        1 => "[A-Za-z0-9 _:=/#ß©.-]{1,12}".prop_filter("read under another name", |k| {
            super::fields::by_name(k.trim()).is_none() && k.trim() == k && !k.is_empty()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_silently_gone_for_random_fields(
        list in proptest::collection::vec((keys(), proptest::collection::vec(values(), 1..4)), 0..8),
    ) {
        let mut source = Metadata::default();
        for (key, mut values) in list {
            if matches!(key.as_str(), "track" | "disc" | "movement_number") {
                // A slash separates the total there, and readers split it off.
                values.iter_mut().for_each(|v| *v = format!("A{}", v.replace('/', "")));
            }
            if !source.fields.iter().any(|f| f.key == key) {
                source.fields.push(Field { key, values });
            }
        }
        for format in FORMATS {
            let (bytes, losses) = file(format, &source);
            let gone = silently_gone(&source, &read_back(bytes), &losses);
            prop_assert!(gone.is_empty(), "{}: {:?}", format, gone);
        }
    }
}
