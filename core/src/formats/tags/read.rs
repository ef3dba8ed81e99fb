//! Reading the metadata of a file of any container.

use super::super::{Container, Limits, MediaSource};
use super::bytes::Input;
use super::collect::Collector;
use super::{Metadata, aiff, apev2, au, caf, flac, id3v1, id3v2, matroska, mp4, ogg, riff};
use crate::error::Result;

/// Reads the tags, pictures and chapters of `media`, `bytes` long. With [`Container::Other`] the container is found by
/// content. Damaged tags give what is readable of them, never an error; memory is bounded by
/// `limits.max_alloc_bytes`. The position of `media` afterwards is not defined.
///
/// Where a file has several tags, the first of these that has a field gives it: ID3v2 or the container's own, APEv2,
/// ID3v1.
///
/// # Errors
/// None at present; the result leaves room for a failing medium.
pub fn read(media: &mut dyn MediaSource, bytes: u64, container: Container, limits: &Limits) -> Result<Metadata> {
    let mut input = Input::new(media, bytes, limits);
    let mut c = Collector::default();
    // ID3v2 may stand in front of anything.
    let start = id3v2::read_chain(&mut input, 0, &mut c);
    let container =
        if container == Container::Other || start > 0 { sniff(&mut input, start, container) } else { container };
    let mut own = Collector::default();
    match container {
        Container::Wav | Container::Rifx | Container::Rf64 | Container::Bw64 | Container::W64 => {
            riff::read(&mut input, &mut own)
        }
        Container::Aiff | Container::Aifc => aiff::read(&mut input, &mut own),
        Container::Caf => caf::read(&mut input, &mut own),
        Container::Au => au::read(&mut input, &mut own),
        Container::Flac => flac::read(&mut input, start, &mut own),
        Container::Ogg => ogg::read(&mut input, start, &mut own),
        Container::Mp4 => mp4::read(&mut input, &mut own),
        Container::Matroska | Container::WebM => matroska::read(&mut input, &mut own),
        Container::Other => dsf(&mut input, &mut own),
        Container::MpegAudio | Container::Adts | Container::Latm | Container::WavPack => {}
    }
    if container == Container::Flac && start > 0 {
        // FLAC's own comments outrank a foreign tag in front.
        let id3 = std::mem::replace(&mut c, own);
        c.merge(id3.finish());
    } else {
        c.merge(own.finish());
    }
    if has_trailing_tags(container) {
        trailing(&mut input, &mut c);
    }
    Ok(c.finish())
}

fn has_trailing_tags(container: Container) -> bool {
    use Container::{Adts, Flac, Latm, MpegAudio, Other, WavPack};
    matches!(container, Adts | Flac | Latm | MpegAudio | Other | WavPack)
}

/// Tags at the end: ID3v1 and Lyrics3 last, APEv2 before them, an ID3v2.4 tag with footer before or instead.
fn trailing(input: &mut Input<'_>, c: &mut Collector) {
    let mut v1 = Collector::default();
    let mut end = id3v1::read(input, input.len, &mut v1);
    let mut ape = Collector::default();
    end = apev2::read_before(input, end, &mut ape);
    if let Some(footer) = end.checked_sub(10).and_then(|at| input.array::<10>(at)).filter(|f| f.starts_with(b"3DI")) {
        // The footer repeats the header under another mark.
        let mut header = footer;
        header[..3].copy_from_slice(b"ID3");
        if let Some(at) = id3v2::tag_len(&header).and_then(|len| end.checked_sub(len)) {
            id3v2::read_chain(input, at, c);
        }
    }
    if ape.is_missing("title") && input.array::<8>(0).is_some_and(|h| h.starts_with(b"APETAGEX")) {
        apev2::read_at(input, 0, &mut ape);
    }
    c.merge(ape.finish());
    c.merge(v1.finish());
}

/// DSF: the header points to an ID3v2 tag at the end.
fn dsf(input: &mut Input<'_>, c: &mut Collector) {
    let Some(head) = input.array::<28>(0).filter(|h| h.starts_with(b"DSD ")) else { return };
    let at = u64::from_le_bytes(head[20..28].try_into().unwrap_or_default());
    if at > 0 {
        id3v2::read_chain(input, at, c);
    }
}

/// Container by content at `start`; `fallback` when nothing is recognised.
fn sniff(input: &mut Input<'_>, start: u64, fallback: Container) -> Container {
    let head = input.up_to(start, 12);
    match &head[..] {
        [b'R', b'I', b'F', b'F', ..] => Container::Wav,
        [b'R', b'I', b'F', b'X', ..] => Container::Rifx,
        [b'R', b'F', b'6', b'4', ..] => Container::Rf64,
        [b'B', b'W', b'6', b'4', ..] => Container::Bw64,
        [b'r', b'i', b'f', b'f', ..] => Container::W64,
        [b'F', b'O', b'R', b'M', ..] => Container::Aiff,
        [b'c', b'a', b'f', b'f', ..] => Container::Caf,
        [b'.', b's', b'n', b'd', ..] | [b'd', b'n', b's', b'.', ..] => Container::Au,
        [b'f', b'L', b'a', b'C', ..] => Container::Flac,
        [b'O', b'g', b'g', b'S', ..] => Container::Ogg,
        [_, _, _, _, b'f', b't', b'y', b'p' | b'e', ..] | [_, _, _, _, b'm', b'o', b'o', b'v', ..] => Container::Mp4,
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Container::Matroska,
        [b'w', b'v', b'p', b'k', ..] => Container::WavPack,
        _ => fallback,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Field, write};
    use super::*;

    fn tag(key: &str, value: &str) -> Vec<u8> {
        let fields = vec![Field { key: key.into(), values: vec![value.into()] }];
        write::id3v2(&Metadata { fields, ..Metadata::default() }).bytes
    }
    fn get(file: Vec<u8>, container: Container, key: &str) -> Option<String> {
        let len = file.len() as u64;
        let m = read(&mut std::io::Cursor::new(file), len, container, &Limits::default()).unwrap();
        m.fields.into_iter().find(|f| f.key == key).map(|f| f.values.join("|"))
    }

    #[test]
    fn the_first_tag_with_a_field_gives_it() {
        let mut v1 = b"TAGOld title".to_vec();
        v1.resize(128, 0);
        v1[33..36].copy_from_slice(b"Old");
        let file = [tag("title", "New"), tag("title", "Second"), tag("album", "Album"), b"\xFF\xFBaudio".to_vec(), v1]
            .concat();
        for (key, value) in [("title", "New"), ("album", "Album"), ("artist", "Old")] {
            assert_eq!(get(file.clone(), Container::MpegAudio, key).as_deref(), Some(value));
        }
    }

    #[test]
    fn tags_at_the_end_with_footer_and_in_dsf() {
        let mut footed = tag("title", "End");
        footed[5] = 0x10;
        let mut footer = footed[..10].to_vec();
        footer[..3].copy_from_slice(b"3DI");
        let file = [b"\xFF\xFBaudio".to_vec(), footed, footer].concat();
        assert_eq!(get(file, Container::Adts, "title").as_deref(), Some("End"));
        let dsf = [&b"DSD \x1C\0\0\0\0\0\0\0"[..], &[0; 8], &28u64.to_le_bytes(), &tag("title", "DSF")].concat();
        assert_eq!(get(dsf, Container::Other, "title").as_deref(), Some("DSF"));
    }

    #[test]
    fn id3_before_flac_ranks_below_the_comments() {
        let comments = write::vorbis_comment(
            &Metadata {
                fields: vec![Field { key: "title".into(), values: vec!["Own".into()] }],
                ..Metadata::default()
            },
            "",
        );
        let mut flac = b"fLaC\x84\0\0".to_vec();
        flac.push(comments.bytes.len() as u8);
        flac.extend(comments.bytes);
        assert_eq!(get([tag("title", "Foreign"), flac].concat(), Container::Flac, "title").as_deref(), Some("Own"));
    }
}
