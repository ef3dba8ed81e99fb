//! The audio track of a Matroska file: its codec and what has to be known to decode it.

use super::aac_config::AacConfig;
use super::bytes::be;
use super::codec::{CodecConfig, Kind};
use super::mkv_ebml::{children, float, lace_sizes};
use super::pcm::{Coding, PcmFormat};

/// The audio track that is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    pub number: u64,
    pub config: CodecConfig,
    pub codec_delay_ns: u64,
    /// Bytes that were stripped from every packet.
    pub stripped: Vec<u8>,
    pub default: bool,
    /// Bytes of one PCM frame.
    pub pcm_frame: usize,
    pub error: Option<(&'static str, String)>,
}

/// An audio TrackEntry; None for other kinds.
pub(super) fn read_track(d: &[u8]) -> Option<Track> {
    let mut t = Track { default: true, ..Track::default() };
    let (mut kind, mut codec, mut private) = (0, "", &[][..]);
    let (mut rate, mut output_rate, mut channels, mut bits) = (8000.0, 0.0, 1, 0);
    for (id, d) in children(d) {
        let uint = if d.len() <= 8 { be(d) } else { 0 };
        match id {
            0xD7 => t.number = uint,
            0x83 => kind = uint,
            0x88 => t.default = uint != 0,
            0x86 => codec = std::str::from_utf8(d).unwrap_or("").trim_end_matches('\0'),
            0x63A2 => private = d,
            0x56AA => t.codec_delay_ns = uint,
            0xE1 => {
                for (id, d) in children(d) {
                    match id {
                        0xB5 => rate = float(d),
                        0x78B5 => output_rate = float(d),
                        0x9F if d.len() <= 8 => channels = be(d).min(255) as usize,
                        0x6264 if d.len() <= 8 => bits = be(d).min(64) as u8,
                        _ => {}
                    }
                }
            }
            0x6D80 => read_encodings(d, &mut t),
            _ => {}
        }
    }
    if kind != 2 {
        return None;
    }
    let clean = |r: f64| if r.is_finite() && r > 0.0 && r < 4e9 { r as u32 } else { 0 };
    t.config = CodecConfig { rate_hz: clean(rate), channels, extra: private.to_vec(), ..CodecConfig::default() };
    if let Err(e) = set_codec(&mut t, codec, private, bits, clean(output_rate)) {
        t.error = t.error.or(Some(e));
    }
    Some(t)
}

/// ContentEncodings: header stripping is undone, anything else refused.
fn read_encodings(d: &[u8], t: &mut Track) {
    for (_, encoding) in children(d).filter(|(id, _)| *id == 0x6240) {
        for (id, d) in children(encoding) {
            match id {
                0x5034 => {
                    let algorithm =
                        children(d).find(|(id, _)| *id == 0x4254).map_or(0, |(_, d)| be(&d[..d.len().min(8)]));
                    if algorithm == 3 {
                        t.stripped = children(d).find(|(id, _)| *id == 0x4255).map_or(Vec::new(), |(_, d)| d.to_vec());
                    } else {
                        t.error = Some(("compression of Matroska blocks", algorithm.to_string()));
                    }
                }
                0x5035 => t.error = Some(("encrypted audio", "Matroska".into())),
                _ => {}
            }
        }
    }
}

fn set_codec(
    t: &mut Track,
    codec: &str,
    private: &[u8],
    bits: u8,
    output_rate: u32,
) -> Result<(), (&'static str, String)> {
    let refuse = |value: &str| Err(("codec", value.to_owned()));
    let broken = || ("Matroska CodecPrivate of", codec.to_owned());
    t.config.kind = match codec {
        "A_OPUS" | "A_OPUS/EXPERIMENTAL" => Kind::Opus,
        "A_VORBIS" => {
            t.config.extra = unlace_vorbis(private).ok_or_else(broken)?;
            Kind::Vorbis
        }
        "A_FLAC" => {
            t.config.extra = private.get(8..42).ok_or_else(broken)?.to_vec();
            Kind::Flac
        }
        "A_ALAC" => Kind::Alac,
        "A_MPEG/L1" | "A_MPEG/L2" | "A_MPEG/L3" => {
            t.config.extra.clear();
            Kind::Mpeg
        }
        "A_PCM/INT/LIT" | "A_PCM/INT/BIG" => {
            let big = codec.ends_with("BIG");
            let format = PcmFormat::int(bits.clamp(1, 64), big);
            Kind::Pcm(if bits <= 8 { PcmFormat { coding: Coding::Unsigned, ..format } } else { format })
        }
        "A_PCM/FLOAT/IEEE" => Kind::Pcm(PcmFormat::float(if bits == 64 { 64 } else { 32 }, false)),
        "A_MS/ACM" => return set_acm(t, private),
        c if c.starts_with("A_AAC") => {
            if private.is_empty() {
                t.config.extra = old_aac(c, t.config.rate_hz, t.config.channels, output_rate).ok_or_else(broken)?;
            }
            Kind::Aac
        }
        c if c.starts_with("A_AC3") => return refuse("AC-3"),
        "A_EAC3" => return refuse("E-AC-3"),
        c if c.starts_with("A_DTS") => return refuse("DTS"),
        "A_TRUEHD" | "A_MLP" => return refuse("TrueHD"),
        "" => return refuse("none given"),
        c => return refuse(c),
    };
    if let Kind::Pcm(f) = t.config.kind {
        t.pcm_frame = usize::from(f.bytes) * t.config.channels;
    }
    Ok(())
}

/// A WAVEFORMATEX as CodecPrivate.
fn set_acm(t: &mut Track, d: &[u8]) -> Result<(), (&'static str, String)> {
    let word = |at: usize| d.get(at..at + 2).map_or(0, |w| u16::from_le_bytes([w[0], w[1]]));
    let (tag, bits) = (word(0), word(14).min(64) as u8);
    t.config.kind = match tag {
        1 if bits <= 8 => Kind::Pcm(PcmFormat { coding: Coding::Unsigned, ..PcmFormat::int(8, false) }),
        1 => Kind::Pcm(PcmFormat::int(bits, false)),
        3 => Kind::Pcm(PcmFormat::float(bits, false)),
        6 => Kind::Pcm(PcmFormat::law(Coding::ALaw)),
        7 => Kind::Pcm(PcmFormat::law(Coding::MuLaw)),
        0x50 | 0x55 => Kind::Mpeg,
        0xFF => Kind::Aac,
        t => return Err(("codec", format!("WAVE format tag 0x{t:04X}"))),
    };
    t.config.extra = if tag == 0xFF { d.get(18..).unwrap_or(&[]).to_vec() } else { Vec::new() };
    if let Kind::Pcm(f) = t.config.kind {
        t.pcm_frame = usize::from(f.bytes) * t.config.channels;
    }
    Ok(())
}

/// Identification and set-up header out of the Xiph lacing of all three.
fn unlace_vorbis(d: &[u8]) -> Option<Vec<u8>> {
    let (header, sizes) = lace_sizes(1, d).filter(|(_, s)| s.len() == 3)?;
    let setup_at = header + sizes[0] + sizes[1];
    let ident = d.get(header..header + super::vorbis::IDENT_BYTES)?;
    Some([ident, d.get(setup_at..)?].concat())
}

/// AudioSpecificConfig for the old codec ids, such as `A_AAC/MPEG4/LC/SBR`.
fn old_aac(id: &str, rate_hz: u32, channels: usize, _output_rate: u32) -> Option<Vec<u8>> {
    let profile = match id {
        _ if id.contains("/MAIN") => 0,
        _ if id.contains("/SSR") => 2,
        _ if id.contains("/LTP") => 3,
        _ => 1,
    };
    // SBR is found in the packets.
    let index = AacConfig::rate_index(rate_hz)?;
    let config = match channels {
        n @ 1..=6 => n as u32,
        8 => 7,
        _ => return None,
    };
    AacConfig::of_adts(profile, index, config)
}
