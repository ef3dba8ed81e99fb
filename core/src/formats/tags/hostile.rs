//! Damaged and malicious tags: no panic, bounded time and memory. Plus the cue sheets of the corpus.

use std::path::PathBuf;

use super::round_trip::{FORMATS, file, rich};
use super::{Metadata, cue, read, to_json};
use crate::formats::{Container, Limits};

/// A small generator (xorshift64*) with a fixed seed: the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }
}

fn corpus() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus");
    let dir = PathBuf::from(std::env::var("PURESOUND_CORPUS").unwrap_or_else(|_| default.into()));
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no test corpus at {}", dir.display());
    None
}

fn read_any(bytes: &[u8], container: Container) -> Metadata {
    let mut media = std::io::Cursor::new(bytes);
    let m = read(&mut media, bytes.len() as u64, container, &Limits::default()).unwrap();
    // What was read can be shown and written.
    to_json(&m);
    m
}

/// Bit flips, overwritten runs, cuts, and repeated parts.
fn damage(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        // Mostly near the start, where the headers are.
        let range = if random.below(2) == 0 { data.len().min(512) } else { data.len() };
        let at = random.below(range);
        match random.below(6) {
            0 => data.truncate(at.max(1)),
            1 | 2 => data[at] ^= 1 << random.below(8),
            3 => data[at] = [0, 0xFF, 0x7F, 0x80][random.below(4)],
            4 => {
                let value = [0, 0xFF, 0x7F][random.below(3)];
                let end = (at + 1 + random.below(8)).min(data.len());
                data[at..end].fill(value);
            }
            _ => {
                let end = (at + random.below(64)).min(data.len());
                let part = data[at..end].to_vec();
                data.splice(at..at, part);
            }
        }
        if data.is_empty() {
            data.push(0);
        }
    }
}

fn rounds(default: usize) -> usize {
    std::env::var("PURESOUND_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

const CONTAINERS: [Container; 10] = [
    Container::Wav,
    Container::W64,
    Container::Aiff,
    Container::Caf,
    Container::Au,
    Container::Flac,
    Container::Ogg,
    Container::Mp4,
    Container::Matroska,
    Container::Other,
];

#[test]
fn damaged_files_of_ours_never_panic_and_what_is_read_can_be_written() {
    let mut random = Random(0x5EED_0001);
    for format in FORMATS {
        let (sound, _) = file(format, &rich());
        for round in 0..rounds(60) {
            let mut data = sound.clone();
            damage(&mut data, &mut random);
            let m = read_any(&data, Container::Other);
            if round % 8 == 0 {
                for target in FORMATS {
                    file(target, &m);
                }
            }
        }
    }
}

#[test]
fn damaged_files_of_the_corpus_never_panic() {
    let Some(dir) = corpus() else { return };
    let mut random = Random(0x5EED_0002);
    let mut files = 0;
    for folder in std::fs::read_dir(dir.join("metadata")).unwrap().flatten().filter(|f| f.path().is_dir()) {
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let sound = std::fs::read(entry.path()).unwrap();
            if sound.is_empty() || sound.len() > 300_000 {
                continue;
            }
            files += 1;
            for round in 0..rounds(4) {
                let mut data = sound.clone();
                damage(&mut data, &mut random);
                read_any(&data, Container::Other);
                read_any(&data, CONTAINERS[round % CONTAINERS.len()]);
            }
        }
    }
    assert!(files > 100, "{files} files");
}

#[test]
fn any_bytes_as_any_container() {
    let mut random = Random(0x5EED_0003);
    let marks: [&[u8]; 9] = [
        b"ID3\x04\0\0\0\0\x10\0",
        b"fLaC",
        b"OggS\0\x02",
        b"RIFF\0\0\0\0WAVE",
        b"FORM\0\0\0\0AIFF",
        b"caff\0\x01\0\0",
        b"\0\0\0\x08ftyp",
        b"\x1A\x45\xDF\xA3\x80",
        b".snd",
    ];
    for round in 0..rounds(400) {
        let mut data: Vec<u8> = (0..random.below(2048)).map(|_| random.below(256) as u8).collect();
        data.splice(0..0, marks[round % marks.len()].iter().copied());
        for container in CONTAINERS {
            read_any(&data, container);
        }
    }
}

#[test]
fn nested_boxes_lying_counts_and_empty_chunks_end() {
    // 6000 boxes inside each other.
    let mut nested = Vec::new();
    for depth in (1..=6000u32).rev() {
        nested.extend((depth * 8).to_be_bytes().iter().chain(b"moov").rev());
    }
    nested.reverse();
    read_any(&nested, Container::Mp4);
    // A million empty chunks, boxes, elements, pages.
    for (container, head, unit) in [
        (Container::Wav, &b"RIFF\xFF\xFF\xFF\xFFWAVE"[..], &b"LIST\0\0\0\0"[..]),
        (Container::Aiff, b"FORM\xFF\xFF\xFF\xFFAIFF", b"MARK\0\0\0\0"),
        (Container::Caf, b"caff\0\x01\0\0", b"info\0\0\0\0\0\0\0\0"),
        (Container::Mp4, b"\0\0\0\x08ftyp", b"\0\0\0\x08moov"),
        (Container::Matroska, b"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF", b"\xEC\x80"),
        (Container::Ogg, b"", b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (Container::Flac, b"fLaC", b"\x04\0\0\0"),
    ] {
        let mut data = head.to_vec();
        (0..200_000).for_each(|_| data.extend(unit));
        read_any(&data, container);
    }
    // Counts of four thousand million.
    let mut comment = b"fLaC\x84\0\0\x10\0\0\0\0\xFF\xFF\xFF\xFF\x03\0\0\0a=b".to_vec();
    comment.extend([0xFF; 8]);
    assert_eq!(read_any(&comment, Container::Flac).fields[0].key, "a");
}

#[test]
fn a_flood_of_values_is_cut_short() {
    let mut body = Vec::new();
    for i in 0..200_000u32 {
        let comment = format!("k{i}=v");
        body.extend((comment.len() as u32).to_le_bytes());
        body.extend(comment.bytes());
    }
    let mut data = b"fLaC\x84".to_vec();
    data.extend(&(body.len() as u32 + 8).to_be_bytes()[1..]);
    data.extend([0, 0, 0, 0]);
    data.extend(200_000u32.to_le_bytes());
    data.extend(body);
    let m = read_any(&data, Container::Flac);
    assert!((1000..20_000).contains(&m.fields.len()), "{}", m.fields.len());
}

#[test]
fn the_hostile_part_of_the_corpus_is_survived() {
    let Some(dir) = corpus() else { return };
    let mut todo = vec![dir.join("hostile")];
    let mut files = 0;
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let bytes = entry.metadata().unwrap().len();
            let mut media = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
            read(&mut media, bytes, Container::Other, &Limits::default()).unwrap();
            files += 1;
        }
    }
    assert!(files > 50, "{files} files");
}

#[test]
fn cue_sheets_of_the_corpus() {
    let Some(dir) = corpus() else { return };
    for entry in std::fs::read_dir(dir.join("metadata/cue")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let result = cue::parse(&String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()));
        assert_eq!(result.is_ok(), name.starts_with("good."), "{name}: {result:?}");
    }
}
