//! What each format can hold, its defaults, and the words for what has to change.
//!
//! Default bit rates in kbit/s, chosen to be transparent for most listeners on speech and music alike; lower rates are for
//! presets to ask for:
//!
//! | channels | MP3 | AAC-LC | Opus | Vorbis |
//! |---|---|---|---|---|
//! | 1 | 128 | 96 | 80 | 96 |
//! | 2 | 192 | 160 | 128 | 160 |
//! | n > 2 | - | 64 n + 32 | 56 n + 16 | quality 0.5 |
//!
//! MP3 and AAC at 24 kHz and below take half of that: there is less to code (and MPEG-2 layer III ends at 160). Sources:
//! Opus, the recommended settings of its authors (96 to 128 for stereo music; speech is transparent from 32 to 40 mono on);
//! MP3 and AAC, the public listening tests at 128 kbit/s stereo with a step of head room.

use super::{AlacSettings, BitRate, FlacSettings, FormatSettings, LossySettings, Negotiated, PcmSample, PcmSettings};
use crate::audio::{ChannelLayout, Spec};
use crate::error::{Error, Result};
use crate::formats::SampleFormat;

/// Rates of MPEG-1, MPEG-2 and MPEG-2.5 layer III in Hz.
const MP3_RATES: &[u32] = &[8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Rates of AAC by their index in Hz (ISO/IEC 14496-3 table 1.18).
const AAC_RATES: &[u32] =
    &[8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
/// STREAMINFO has 20 bits for the rate; the frame header reaches 655,350 Hz.
const FLAC_MAX_RATE_HZ: u32 = 655_350;
/// MPEG-1 layer III bit rates in kbit/s.
pub(crate) const MP3_V1_KBPS: &[u32] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// MPEG-2 and 2.5 layer III bit rates in kbit/s.
pub(crate) const MP3_V2_KBPS: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Rates and channels that no PCM container here goes beyond.
const PCM_MAX_CHANNELS: usize = 1024;
const PCM_MAX_RATE_HZ: u32 = 4_000_000;

/// What an encoder with `settings` needs and will do for a stream of `source` with samples of `format`.
///
/// The result is complete: every field of its settings is filled in, and negotiating with them again gives the same.
///
/// # Errors
/// [`Error::OutOfRange`] and [`Error::InvalidValue`] naming the option; [`Error::Unsupported`].
pub fn negotiate(settings: &FormatSettings, source: Spec, format: SampleFormat) -> Result<Negotiated> {
    if source.channels() == 0 {
        return Err(Error::OutOfRange { name: "channels".into(), value: 0.0, min: 1.0, max: 1024.0, unit: "" });
    }
    Error::check_range("rate_hz", f64::from(source.rate_hz), 1.0, f64::from(PCM_MAX_RATE_HZ), "Hz")?;
    let mut n = Talk { source, format, spec: source, notes: Vec::new() };
    let (settings, sample_format) = match settings {
        FormatSettings::Wav(s) => n.pcm("WAV", s, FormatSettings::Wav)?,
        FormatSettings::W64(s) => n.pcm("W64", s, FormatSettings::W64)?,
        FormatSettings::Aiff(s) => n.pcm("AIFF", s, FormatSettings::Aiff)?,
        FormatSettings::Caf(s) => n.pcm("CAF", s, FormatSettings::Caf)?,
        FormatSettings::Flac(s) => n.flac(s)?,
        FormatSettings::Alac(s) => n.alac(s)?,
        FormatSettings::Mp3(s) => n.mp3(s)?,
        FormatSettings::M4a(s) => (FormatSettings::M4a(n.aac(s)?), SampleFormat::Lossy),
        FormatSettings::Adts(s) => (FormatSettings::Adts(n.aac(s)?), SampleFormat::Lossy),
        FormatSettings::Opus(s) => n.opus(s)?,
        FormatSettings::Vorbis(s) => n.vorbis(s)?,
    };
    Ok(Negotiated { spec: n.spec, sample_format, settings, notes: n.notes })
}

/// The error of a build without Vorbis.
pub(crate) fn no_vorbis() -> Error {
    Error::Unsupported {
        what: "output format",
        value: "vorbis".into(),
        hint: Some("this build has no feature `vorbis`; Opus is the better codec at any rate".into()),
    }
}

/// One negotiation.
struct Talk {
    source: Spec,
    format: SampleFormat,
    spec: Spec,
    notes: Vec<String>,
}

impl Talk {
    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The depth for a lossless format that offers `allowed` depths (ascending).
    fn bits(&mut self, name: &str, asked: Option<u8>, allowed: &[u8]) -> Result<u8> {
        if let Some(bits) = asked {
            if !allowed.contains(&bits) {
                let allowed = allowed.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
                return Err(Error::InvalidValue { name: "bits".into(), value: bits.to_string(), allowed });
            }
            self.note_depth(name, bits);
            return Ok(bits);
        }
        let largest = allowed.last().copied().unwrap_or(24);
        let bits = match self.format {
            SampleFormat::Int(b) => allowed.iter().copied().find(|a| *a >= b).unwrap_or(largest),
            _ => 24.min(largest),
        };
        self.note_depth(name, bits);
        Ok(bits)
    }

    fn note_depth(&mut self, name: &str, bits: u8) {
        match self.format {
            SampleFormat::Int(b) if b > bits => self.note(format!("{bits} bits with dither: the source has {b}")),
            SampleFormat::Int(b) if b < bits => {
                self.note(format!("{bits} bits: {name} holds the source's {b} bits in them, nothing is lost"));
            }
            SampleFormat::Int(_) => {}
            SampleFormat::Float(w) => self.note(format!("{bits} bits with dither: the source is {w}-bit float")),
            SampleFormat::Lossy => {
                self.note(format!("{bits} bits with dither: the source is lossy and has no bit depth"))
            }
        }
    }

    fn pcm(
        &mut self,
        name: &str,
        s: &PcmSettings,
        make: fn(PcmSettings) -> FormatSettings,
    ) -> Result<(FormatSettings, SampleFormat)> {
        Error::check_range("channels", self.source.channels() as f64, 1.0, PCM_MAX_CHANNELS as f64, "")?;
        let sample = match s.sample {
            Some(PcmSample::F32) => {
                match self.format {
                    SampleFormat::Int(b) if b > 24 => {
                        self.note(format!("32-bit float: holds 24 of the source's {b} bits"))
                    }
                    SampleFormat::Float(64) => self.note("32-bit float: the source has 64 bits".into()),
                    _ => {}
                }
                PcmSample::F32
            }
            Some(sample) => {
                self.note_depth(name, sample.bits());
                sample
            }
            None => match self.bits(name, None, &[16, 24, 32])? {
                16 => PcmSample::S16,
                24 => PcmSample::S24,
                _ => PcmSample::S32,
            },
        };
        let format = if sample == PcmSample::F32 { SampleFormat::Float(32) } else { SampleFormat::Int(sample.bits()) };
        Ok((make(PcmSettings { sample: Some(sample), dither: s.dither }), format))
    }

    fn flac(&mut self, s: &FlacSettings) -> Result<(FormatSettings, SampleFormat)> {
        let level = s.level.unwrap_or(5);
        Error::check_range("level", f64::from(level), 0.0, 8.0, "")?;
        let bits = self.bits("FLAC", s.bits, &[16, 24, 32])?;
        self.at_most_channels("FLAC", 8);
        if self.source.rate_hz > FLAC_MAX_RATE_HZ {
            self.rate("FLAC", &[192_000]);
        }
        Ok((
            FormatSettings::Flac(FlacSettings { level: Some(level), bits: Some(bits), dither: s.dither }),
            SampleFormat::Int(bits),
        ))
    }

    fn alac(&mut self, s: &AlacSettings) -> Result<(FormatSettings, SampleFormat)> {
        let bits = self.bits("ALAC", s.bits, &[16, 20, 24, 32])?;
        self.at_most_channels("ALAC", 8);
        if self.source.rate_hz > 384_000 {
            self.rate("ALAC in M4A", &[384_000]);
        }
        Ok((FormatSettings::Alac(AlacSettings { bits: Some(bits), dither: s.dither }), SampleFormat::Int(bits)))
    }

    fn mp3(&mut self, s: &LossySettings) -> Result<(FormatSettings, SampleFormat)> {
        self.at_most_channels("MP3", 2);
        self.rate("MP3", MP3_RATES);
        let mpeg1 = self.spec.rate_hz >= 32_000;
        let table = if mpeg1 { MP3_V1_KBPS } else { MP3_V2_KBPS };
        let (min, max) = (table[0], table[table.len() - 1]);
        let rate = match s.bit_rate {
            None => BitRate::Kbps(self.halved_below_24k(if self.spec.channels() == 1 { 128 } else { 192 })),
            Some(BitRate::Kbps(kbps)) => {
                self.check_kbps(kbps, min, max)?;
                let nearest = table.iter().copied().min_by_key(|t| t.abs_diff(kbps)).unwrap_or(kbps);
                if nearest != kbps {
                    self.note(format!("{nearest} kbit/s: the nearest that MP3 has to {kbps}"));
                }
                BitRate::Kbps(nearest)
            }
            Some(BitRate::Quality(q)) => {
                check_quality(q)?;
                if !mpeg1 {
                    let index = (f64::from(q) * (table.len() - 1) as f64).round() as usize;
                    self.note(format!("{} kbit/s constant: no variable rate below 32000 Hz", table[index]));
                    BitRate::Kbps(table[index])
                } else {
                    BitRate::Quality(q)
                }
            }
        };
        Ok((FormatSettings::Mp3(LossySettings { bit_rate: Some(rate) }), SampleFormat::Lossy))
    }

    fn aac(&mut self, s: &LossySettings) -> Result<LossySettings> {
        match self.source.channels() {
            1..=6 | 8 => {}
            7 => self.layout(ChannelLayout::SURROUND_5_1, "AAC has no layout of 7 channels"),
            n => self.layout(ChannelLayout::SURROUND_5_1, &format!("AAC has no layout of {n} channels")),
        }
        if let 3.. = self.source.channels()
            && self.spec.layout == self.source.layout
            && let Some(wanted) = aac_layout(self.source.channels())
            && wanted != self.source.layout
        {
            self.layout(wanted, "AAC's layout of that many channels");
        }
        self.rate("AAC", AAC_RATES);
        let channels = self.spec.channels() as u32;
        // ISO/IEC 14496-3, 4.5.3: 6144 bits per channel and frame of 1024.
        let max = (6144 * u64::from(channels) * u64::from(self.spec.rate_hz) / 1024 / 1000) as u32;
        let rate = match s.bit_rate {
            None => {
                let kbps = match channels {
                    1 => 96,
                    2 => 160,
                    n => 64 * n + 32,
                };
                BitRate::Kbps(self.halved_below_24k(kbps).min(max))
            }
            Some(BitRate::Kbps(kbps)) => {
                self.check_kbps(kbps, 8 * channels, max)?;
                BitRate::Kbps(kbps)
            }
            Some(BitRate::Quality(q)) => {
                check_quality(q)?;
                BitRate::Quality(q)
            }
        };
        Ok(LossySettings { bit_rate: Some(rate) })
    }

    fn opus(&mut self, s: &LossySettings) -> Result<(FormatSettings, SampleFormat)> {
        if self.source.channels() > 8 {
            self.layout(ChannelLayout::SURROUND_7_1, "Opus with speaker positions has at most 8 channels");
        } else if self.source.channels() > 2
            && let Some(wanted) = vorbis_layout(self.source.channels())
            && wanted != self.source.layout
        {
            self.layout(wanted, "Opus's layout of that many channels");
        }
        self.rate("Opus", &[48_000]);
        let channels = self.spec.channels() as u32;
        let rate = match s.bit_rate {
            None => BitRate::Kbps(match channels {
                1 => 80,
                2 => 128,
                n => 56 * n + 16,
            }),
            Some(BitRate::Kbps(kbps)) => {
                self.check_kbps(kbps, 6 * channels.div_ceil(2), 255 * channels.max(2))?;
                BitRate::Kbps(kbps)
            }
            Some(BitRate::Quality(q)) => {
                check_quality(q)?;
                // 24 to 128 kbit/s per channel, even steps on the logarithmic scale.
                let kbps = (24.0 * (128.0_f64 / 24.0).powf(f64::from(q))).round() as u32 * channels;
                self.note(format!("{kbps} kbit/s on average for quality {q}"));
                BitRate::Kbps(kbps)
            }
        };
        Ok((FormatSettings::Opus(LossySettings { bit_rate: Some(rate) }), SampleFormat::Lossy))
    }

    fn vorbis(&mut self, s: &LossySettings) -> Result<(FormatSettings, SampleFormat)> {
        if !cfg!(feature = "vorbis") {
            return Err(no_vorbis());
        }
        if self.source.channels() > 8 {
            self.layout(ChannelLayout::SURROUND_7_1, "Vorbis with speaker positions has at most 8 channels");
        } else if self.source.channels() > 2
            && let Some(wanted) = vorbis_layout(self.source.channels())
            && wanted != self.source.layout
        {
            self.layout(wanted, "Vorbis's layout of that many channels");
        }
        if self.source.rate_hz > 192_000 || self.source.rate_hz < 8000 {
            self.rate("Vorbis", &[8000, 48_000, 96_000, 192_000]);
        }
        let channels = self.spec.channels() as u32;
        let rate = match s.bit_rate {
            None if channels > 2 => BitRate::Quality(0.5),
            None => BitRate::Kbps(self.halved_below_24k(if channels == 1 { 96 } else { 160 })),
            Some(BitRate::Kbps(kbps)) => {
                self.check_kbps(kbps, 16 * channels, 250 * channels)?;
                BitRate::Kbps(kbps)
            }
            Some(BitRate::Quality(q)) => {
                check_quality(q)?;
                BitRate::Quality(q)
            }
        };
        Ok((FormatSettings::Vorbis(LossySettings { bit_rate: Some(rate) }), SampleFormat::Lossy))
    }

    fn halved_below_24k(&self, kbps: u32) -> u32 {
        if self.spec.rate_hz <= 24_000 { (kbps / 2).max(8) } else { kbps }
    }

    fn check_kbps(&self, kbps: u32, min: u32, max: u32) -> Result<()> {
        Error::check_range("bit_rate", f64::from(kbps), f64::from(min), f64::from(max), "kbit/s")
    }

    fn at_most_channels(&mut self, name: &str, max: usize) {
        if self.source.channels() > max {
            let layout = ChannelLayout::from_count(max);
            let most = ChannelLayout::from_count(max).name();
            self.layout(layout, &format!("{name} holds at most {max} channels ({most})"));
        }
    }

    fn layout(&mut self, layout: ChannelLayout, why: &str) {
        self.spec.layout = layout;
        let from = self.source.layout.name();
        self.note(format!("mixed from {from} to {}: {why}", layout.name()));
    }

    /// Chooses the rate: the source's where allowed, else the lowest allowed that keeps the band, else the highest.
    fn rate(&mut self, name: &str, allowed: &[u32]) {
        let from = self.source.rate_hz;
        if allowed.contains(&from) {
            return;
        }
        let Some(last) = allowed.last() else { return };
        // A multiple of the family (44.1 or 48) where the rate has to come down.
        let family = allowed.iter().rev().find(|a| **a < from && from.is_multiple_of(**a) && *last < from);
        let to = family.or_else(|| allowed.iter().find(|a| **a >= from)).unwrap_or(last);
        self.spec.rate_hz = *to;
        let only =
            if let [one] = allowed { format!("works at {one} Hz only") } else { format!("does not know {from} Hz") };
        self.note(format!("resampled from {from} to {to} Hz because {name} {only}"));
    }
}

fn check_quality(q: f32) -> Result<()> {
    Error::check_range("quality", f64::from(q), 0.0, 1.0, "")
}

/// Layout of the AAC channel configuration with that many channels (ISO/IEC 14496-3 table 1.19), in WAVE positions.
pub(crate) fn aac_layout(channels: usize) -> Option<ChannelLayout> {
    Some(match channels {
        1 => ChannelLayout::MONO,
        2 => ChannelLayout::STEREO,
        3 => ChannelLayout::from_mask(0x7, 3),
        4 => ChannelLayout::from_mask(0x107, 4),
        5 => ChannelLayout::from_mask(0x37, 5),
        6 => ChannelLayout::SURROUND_5_1,
        8 => ChannelLayout::SURROUND_7_1,
        _ => return None,
    })
}

/// Layout of Vorbis and of Opus mapping family 1 with that many channels (RFC 7845 section 5.1.1.2), in WAVE positions.
pub(crate) fn vorbis_layout(channels: usize) -> Option<ChannelLayout> {
    Some(match channels {
        1 => ChannelLayout::MONO,
        2 => ChannelLayout::STEREO,
        3 => ChannelLayout::from_mask(0x7, 3),
        4 => ChannelLayout::from_mask(0x33, 4),
        5 => ChannelLayout::from_mask(0x37, 5),
        6 => ChannelLayout::SURROUND_5_1,
        7 => ChannelLayout::from_mask(0x70F, 7),
        8 => ChannelLayout::SURROUND_7_1,
        _ => return None,
    })
}

/// Where each channel of Vorbis order stands in WAVE order (RFC 7845 section 5.1.1.2: front left, centre, right, then
/// sides or rears, LFE last).
pub(crate) fn vorbis_order(channels: usize) -> &'static [usize] {
    match channels {
        1 => &[0],
        2 => &[0, 1],
        3 => &[0, 2, 1],
        4 => &[0, 1, 2, 3],
        5 => &[0, 2, 1, 3, 4],
        6 => &[0, 2, 1, 4, 5, 3],
        // WAVE: FL FR FC LFE BC SL SR; Vorbis: FL FC FR SL SR BC LFE
        7 => &[0, 2, 1, 5, 6, 4, 3],
        // WAVE: FL FR FC LFE BL BR SL SR; Vorbis: FL FC FR SL SR BL BR LFE
        _ => &[0, 2, 1, 6, 7, 4, 5, 3],
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::spec;
    use super::*;

    fn default_of(name: &str, source: Spec, format: SampleFormat) -> Negotiated {
        negotiate(&FormatSettings::from_name(name).unwrap(), source, format).unwrap()
    }

    #[test]
    fn a_lossless_source_keeps_its_depth_and_eight_bits_become_sixteen() {
        for (source, want) in [(8, 16), (16, 16), (20, 24), (24, 24), (32, 32)] {
            for name in ["wav", "w64", "aiff", "caf", "flac"] {
                let n = default_of(name, spec(44_100, 2), SampleFormat::Int(source));
                assert_eq!(n.sample_format, SampleFormat::Int(want), "{name}");
                assert_eq!(n.notes.is_empty(), source == want, "{name} {source}: {:?}", n.notes);
            }
        }
        assert_eq!(default_of("alac", spec(44_100, 2), SampleFormat::Int(20)).sample_format, SampleFormat::Int(20));
        assert_eq!(default_of("flac", spec(44_100, 2), SampleFormat::Lossy).sample_format, SampleFormat::Int(24));
    }

    #[test]
    fn every_change_is_said_in_words() {
        let n = default_of("opus", spec(44_100, 2), SampleFormat::Int(16));
        assert_eq!(n.spec, spec(48_000, 2));
        assert_eq!(n.notes, ["resampled from 44100 to 48000 Hz because Opus works at 48000 Hz only"]);
        let n = default_of("mp3", spec(96_000, 6), SampleFormat::Int(24));
        assert_eq!(n.spec, spec(48_000, 2));
        assert_eq!(n.notes.len(), 2, "{:?}", n.notes);
        let n = default_of("mp3", spec(88_200, 2), SampleFormat::Int(24));
        assert_eq!(n.spec.rate_hz, 44_100);
        let n = default_of("m4a", spec(37_800, 2), SampleFormat::Int(16));
        assert_eq!(n.spec.rate_hz, 44_100);
    }

    #[test]
    fn negotiating_twice_changes_nothing() {
        for name in FormatSettings::NAMES.iter().filter(|n| **n != "vorbis") {
            for channels in 1..=9 {
                for rate in [8000, 11_025, 44_100, 48_000, 96_000, 192_000] {
                    let first = default_of(name, spec(rate, channels), SampleFormat::Float(32));
                    let again = negotiate(&first.settings, first.spec, first.sample_format).unwrap();
                    assert_eq!(
                        (&again.settings, again.spec),
                        (&first.settings, first.spec),
                        "{name} {channels} {rate}"
                    );
                }
            }
        }
    }

    #[test]
    fn range_errors_name_the_option() {
        let lossy = |bit_rate| LossySettings { bit_rate: Some(bit_rate) };
        let source = spec(44_100, 2);
        for (settings, name) in [
            (FormatSettings::Mp3(lossy(BitRate::Kbps(1000))), "bit_rate"),
            (FormatSettings::Opus(lossy(BitRate::Kbps(1))), "bit_rate"),
            (FormatSettings::M4a(lossy(BitRate::Quality(f32::NAN))), "quality"),
            (FormatSettings::Flac(FlacSettings { level: Some(9), ..Default::default() }), "level"),
            (FormatSettings::Flac(FlacSettings { bits: Some(20), ..Default::default() }), "bits"),
        ] {
            let e = negotiate(&settings, source, SampleFormat::Int(16)).unwrap_err();
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn vorbis_orders_are_permutations() {
        for n in 1..=8 {
            let mut seen = vorbis_order(n).to_vec();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }
}
