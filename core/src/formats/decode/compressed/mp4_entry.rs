//! The sample description of a track in MP4 and QuickTime: which codec, with which set-up data.

use super::bytes::{Bytes, be};
use super::codec::{CodecConfig, Kind};
use super::mp4_boxes::BoxAt;
use super::pcm::{Coding, PcmFormat};
use crate::error::{Error, Result};

/// A decoded sample description.
#[derive(Debug, Clone, Default)]
pub(super) struct SampleEntry {
    pub config: CodecConfig,
    /// For uncompressed and simple codings: (bytes, PCM frames) of the smallest unit.
    pub unit: Option<(u64, u64)>,
    /// Mean bit rate in bit/s by the decoder configuration; 0 unknown.
    pub bit_rate: u64,
}

/// Reads the first entry of `stsd` that is audio.
///
/// # Errors
/// [`Error::Unsupported`] with the codec's name.
pub(super) fn read_stsd(bytes: &mut Bytes, stsd: &BoxAt) -> Result<SampleEntry> {
    let missing = || Error::malformed("MP4 sample description", stsd.start, "no entry");
    let entry = BoxAt::at(bytes, stsd.body + 8, stsd.end)?.ok_or_else(missing)?;
    let h = bytes.window(entry.body, 64)?.to_vec();
    if h.len() < 28 || entry.end < entry.body + 28 {
        return Err(missing());
    }
    let version = be(&h[8..10]);
    let mut channels = be(&h[16..18]) as usize;
    let mut bits = be(&h[18..20]) as u8;
    let mut rate_hz = be(&h[24..26]) as u32;
    let mut flags = None;
    let mut frames_per_packet = 0;
    let mut children = 28;
    if version == 1 && h.len() >= 44 {
        frames_per_packet = be(&h[28..32]);
        // QuickTime has 16 more bytes; ISO files with version 1 have not.
        let here = BoxAt::at(bytes, entry.body + 44, entry.end)?;
        let plausible = here.is_some_and(|b| b.kind.iter().all(|c| c.is_ascii_graphic() || *c == b' ' || *c == 0xA9));
        if plausible || entry.end <= entry.body + 44 + 8 {
            children = 44;
        }
    } else if version == 2 && h.len() >= 64 {
        rate_hz = f64::from_be_bytes(<[u8; 8]>::try_from(&h[32..40]).unwrap_or_default()) as u32;
        channels = be(&h[40..44]) as usize;
        bits = be(&h[48..52]).min(64) as u8;
        flags = Some(be(&h[52..56]));
        children = 64;
    }
    let mut b = EntryBoxes { bytes, entry, children };
    let mut out =
        SampleEntry { config: CodecConfig { rate_hz, channels, ..CodecConfig::default() }, ..SampleEntry::default() };
    let little = b.find(b"enda")?.is_some_and(|e| e.get(1) == Some(&1));
    let pcm_c = b.find(b"pcmC")?;
    out.config.kind = match &entry.kind {
        b"mp4a" | b"enca" if entry.kind == *b"enca" => {
            return Err(Error::unsupported("encrypted audio", "enca"));
        }
        b"mp4a" => return b.mp4a(out),
        b".mp3" | b"ms\0U" | b"mp3 " => Kind::Mpeg,
        b"alac" => {
            let cookie = b.find(b"alac")?.unwrap_or_default();
            // A full box: version and flags before the cookie.
            out.config.extra = cookie.get(4..).unwrap_or(&[]).to_vec();
            Kind::Alac
        }
        b"Opus" => {
            out.config.extra = opus_head(&b.find(b"dOps")?.unwrap_or_default());
            Kind::Opus
        }
        b"fLaC" => {
            let d = b.find(b"dfLa")?.unwrap_or_default();
            out.config.extra = d.get(8..42).unwrap_or(&[]).to_vec();
            Kind::Flac
        }
        b"sowt" => Kind::Pcm(PcmFormat::int(bits, false)),
        b"twos" | b"NONE" if bits > 8 => Kind::Pcm(PcmFormat::int(bits, !little)),
        b"twos" => Kind::Pcm(PcmFormat::int(8, false)),
        b"raw " | b"NONE" if bits > 8 => Kind::Pcm(PcmFormat::int(bits, !little)),
        b"raw " | b"NONE" => Kind::Pcm(PcmFormat { coding: Coding::Unsigned, ..PcmFormat::int(8, false) }),
        b"in24" => Kind::Pcm(PcmFormat::int(24, !little)),
        b"in32" => Kind::Pcm(PcmFormat::int(32, !little)),
        b"fl32" => Kind::Pcm(PcmFormat::float(32, !little)),
        b"fl64" => Kind::Pcm(PcmFormat::float(64, !little)),
        b"alaw" => Kind::Pcm(PcmFormat::law(Coding::ALaw)),
        b"ulaw" => Kind::Pcm(PcmFormat::law(Coding::MuLaw)),
        b"ipcm" | b"fpcm" => {
            // ISO/IEC 23003-5: flags bit 0 is little endian, then the sample size.
            let c = pcm_c.filter(|c| c.len() >= 6).ok_or_else(missing)?;
            let big = c[4] & 1 == 0;
            if entry.kind == *b"fpcm" {
                Kind::Pcm(PcmFormat::float(c[5], big))
            } else {
                Kind::Pcm(PcmFormat::int(c[5], big))
            }
        }
        b"lpcm" => lpcm(bits, flags.unwrap_or(if bits > 8 { 0xE } else { 0x8 })),
        b"ima4" => Kind::ImaQt,
        other => {
            let name = match other {
                b"ac-3" => "AC-3".into(),
                b"ec-3" => "E-AC-3".into(),
                b"ac-4" => "AC-4".into(),
                b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "DTS".into(),
                b"samr" | b"sawb" => "AMR".into(),
                b"QDM2" | b"QDMC" => "QDesign Music".into(),
                b"MAC3" | b"MAC6" => "MACE".into(),
                o => String::from_utf8_lossy(o).into_owned(),
            };
            return Err(Error::unsupported("codec", name));
        }
    };
    out.unit = match out.config.kind {
        Kind::Pcm(f) => Some((u64::from(f.bytes) * channels as u64, 1)),
        Kind::ImaQt => Some((34 * channels as u64, if frames_per_packet > 0 { frames_per_packet } else { 64 })),
        _ => None,
    };
    if out.unit.is_some_and(|(bytes, frames)| bytes == 0 || frames == 0) {
        return Err(Error::malformed(
            "MP4 sample description",
            entry.start,
            format!("{channels} channels, {bits} bits"),
        ));
    }
    Ok(out)
}

/// Linear PCM by CoreAudio's format flags: 1 float, 2 big endian, 4 signed integer.
fn lpcm(bits: u8, flags: u64) -> Kind {
    let big = flags & 2 != 0;
    if flags & 1 != 0 {
        return Kind::Pcm(PcmFormat::float(bits, big));
    }
    let coding = if flags & 4 != 0 || bits > 8 { Coding::Signed } else { Coding::Unsigned };
    Kind::Pcm(PcmFormat { coding, ..PcmFormat::int(bits, big) })
}

/// OpusHead from the content of a `dOps` box, whose fields are the same in big endian.
pub(super) fn opus_head(d: &[u8]) -> Vec<u8> {
    if d.len() < 11 {
        return Vec::new();
    }
    let mut head = b"OpusHead\x01".to_vec();
    head.push(d[1]);
    head.extend([d[3], d[2]]);
    head.extend(d[4..8].iter().rev());
    head.extend([d[9], d[8], d[10]]);
    head.extend(&d[11..]);
    head
}

struct EntryBoxes<'a> {
    bytes: &'a mut Bytes,
    entry: BoxAt,
    children: u64,
}

impl EntryBoxes<'_> {
    /// Content of a child of the entry, or of a `wave` box in it.
    fn find(&mut self, kind: &[u8; 4]) -> Result<Option<Vec<u8>>> {
        let direct = self.entry.child(self.bytes, kind, self.children)?;
        let found = match direct {
            Some(b) => Some(b),
            None => match self.entry.child(self.bytes, b"wave", self.children)? {
                Some(wave) => wave.child(self.bytes, kind, 0)?,
                None => None,
            },
        };
        match found {
            Some(b) => b.content(self.bytes).map(Some),
            None => Ok(None),
        }
    }

    fn mp4a(mut self, mut out: SampleEntry) -> Result<SampleEntry> {
        let esds = self.find(b"esds")?.unwrap_or_default();
        let d = parse_esds(esds.get(4..).unwrap_or(&[]));
        out.bit_rate = d.bit_rate;
        out.config.kind = match d.object {
            0x40 | 0x66..=0x68 | 0 => {
                out.config.extra = d.info;
                Kind::Aac
            }
            0x69 | 0x6B => Kind::Mpeg,
            0xDD => return Err(Error::unsupported("codec", "Vorbis in MP4")),
            0xA5 => return Err(Error::unsupported("codec", "AC-3")),
            0xA6 => return Err(Error::unsupported("codec", "E-AC-3")),
            0xA9 => return Err(Error::unsupported("codec", "DTS")),
            o => return Err(Error::unsupported("codec", format!("MPEG-4 object type 0x{o:02X}"))),
        };
        // MPEG layers I to III may also be named by an AudioSpecificConfig (object types 32 to 34).
        if let Some(c) = super::aac_config::AacConfig::parse(&out.config.extra)
            && matches!(c.object_type, 32..=34)
        {
            out.config.kind = Kind::Mpeg;
            out.config.extra.clear();
        }
        Ok(out)
    }
}

/// What matters of an elementary stream descriptor.
#[derive(Default)]
pub(super) struct Esds {
    pub object: u8,
    pub bit_rate: u64,
    /// Decoder specific info.
    pub info: Vec<u8>,
}

/// ES_Descriptor (ISO/IEC 14496-1 7.2.6.5): object type, mean bit rate, decoder specific info.
pub(super) fn parse_esds(mut d: &[u8]) -> Esds {
    let mut out = Esds::default();
    // At most: ES descriptor, decoder config, decoder specific info; others are stepped over.
    for _ in 0..16 {
        let Some((&tag, rest)) = d.split_first() else { break };
        let mut len = 0usize;
        let mut at = 0;
        while let Some(b) = rest.get(at).filter(|_| at < 4) {
            at += 1;
            len = len << 7 | usize::from(b & 0x7F);
            if b & 0x80 == 0 {
                break;
            }
        }
        let body = rest.get(at..).unwrap_or(&[]);
        match tag {
            3 => {
                let flags = body.get(2).copied().unwrap_or(0);
                let url = if flags & 0x40 != 0 { 1 + usize::from(body.get(3).copied().unwrap_or(0)) } else { 0 };
                let skip = 3 + if flags & 0x80 != 0 { 2 } else { 0 } + url + if flags & 0x20 != 0 { 2 } else { 0 };
                d = body.get(skip..).unwrap_or(&[]);
            }
            4 => {
                out.object = body.first().copied().unwrap_or(0);
                out.bit_rate = body.get(9..13).map_or(0, be);
                d = body.get(13..).unwrap_or(&[]);
            }
            5 => {
                out.info = body.get(..len.min(body.len())).unwrap_or(&[]).to_vec();
                break;
            }
            _ => d = body.get(len..).unwrap_or(&[]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_with_long_and_short_lengths() {
        let mut d = vec![3, 0x80, 0x80, 0x80, 0x22, 0, 1, 0, 4, 0x14, 0x40, 0x15, 0, 0, 0];
        d.extend([0, 1, 0xF4, 0, 0, 1, 0xF4, 0, 5, 2, 0x12, 0x10, 6, 1, 2]);
        let e = parse_esds(&d);
        assert_eq!((e.object, e.bit_rate, e.info), (0x40, 128_000, vec![0x12, 0x10]));
    }

    #[test]
    fn dops_becomes_opus_head() {
        let head = opus_head(&[0, 2, 0x01, 0x38, 0, 0, 0xBB, 0x80, 0xFF, 0x00, 0]);
        let head = super::super::opus::OpusHead::parse(&head).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.gain, head.family), (2, 312, -256, 0));
    }
}
