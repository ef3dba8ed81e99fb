//! The table of what is recommended. Everything that is decided is decided here: thresholds stand in the rows, with where they come from.

use crate::analysis::quality::{Severity, VerdictName};
use crate::presets::Fact;

/// When a rule holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// This verdict was given, at least that severe. Its thresholds are in `docs/quality.md`.
    Verdict(VerdictName, Severity),
    /// As [`When::Verdict`], and it was found at least so often.
    Often(VerdictName, u64),
    /// A measurement is at least so much.
    AtLeast(Fact, f64),
}

/// A filter that mends something.
pub(super) struct FilterRule {
    pub when: When,
    /// The filter as on a command line. `{hum_hz}` and `{reduction_db}` are filled in, see [`reduction_db`].
    pub filter: &'static str,
    /// Filters that do the same: when the preset has one of them, nothing is added.
    pub covered_by: &'static [&'static str],
    /// What it does.
    pub because: &'static str,
    /// Where threshold and parameters come from.
    pub source: &'static str,
}

use Severity::{Info, Warning};
use VerdictName as V;

/// In the order in which the filters have to come: polarity before anything that mixes channels, what is restored from single samples before
/// what smears them, offset and hum before the noise is learnt, the ends last.
#[rustfmt::skip]
pub(super) const FILTERS: [FilterRule; 9] = [
    FilterRule {
        when: When::Verdict(V::PhaseInverted, Warning),
        filter: "phase_invert:channels=[2]", covered_by: &[],
        because: "turns the second channel round, so that the two do not cancel each other",
        source: "correlation below -0.9: quality verdict",
    },
    FilterRule {
        when: When::Verdict(V::Clipping, Warning),
        filter: "declip", covered_by: &[],
        because: "puts back the peaks that were cut off",
        source: "flat tops at the extreme: quality verdict; parameters are the defaults of the filter",
    },
    FilterRule {
        // Single impulses may be of lips, keys or drums: one is found in the clean speech of examples/media.
        when: When::Often(V::Clicks, 3),
        filter: "declick", covered_by: &[],
        because: "replaces clicks by what the sound around them lets expect",
        source: "three of them: house choice, as single ones are found in clean recordings (docs/quality.md)",
    },
    FilterRule {
        when: When::Verdict(V::DcOffset, Info),
        filter: "dc_blocker", covered_by: &["dc_blocker", "highpass"],
        because: "removes the offset, which takes room from the peaks",
        source: "0.0015 of full scale: quality verdict; 10 Hz lies below all hearing",
    },
    FilterRule {
        when: When::Verdict(V::Hum, Warning),
        filter: "dehum:mains={hum_hz}", covered_by: &[],
        because: "removes the hum and its harmonics",
        source: "steady lines at 50 or 60 Hz above -85 dBFS: quality verdict",
    },
    FilterRule {
        when: When::Verdict(V::Noise, Warning),
        filter: "denoise_spectral:reduction_db={reduction_db}", covered_by: &["denoise_rnn", "denoise_profile"],
        because: "lowers the steady noise",
        source: "less than 20 dB under the sound: quality verdict; as much as is missing to 30 dB, at most 18 (beyond 20 speech loses its breath: documentation of the filter), in music at most 8 (house choice: reverberation goes as well)",
    },
    FilterRule {
        when: When::AtLeast(Fact::SilenceAtStartS, 3.0),
        filter: "trim_silence:threshold_dbfs=-60,padding_ms=300,end=false", covered_by: &["trim_silence", "cut_silence"],
        because: "takes away the silence before the sound, but for 0.3 s",
        source: "3 s below -60 dBFS: house choice, longer than a pause for effect",
    },
    FilterRule {
        when: When::AtLeast(Fact::SilenceAtEndS, 3.0),
        filter: "trim_silence:threshold_dbfs=-60,padding_ms=300,start=false", covered_by: &["trim_silence", "cut_silence"],
        because: "takes away the silence after the sound, but for 0.3 s",
        source: "3 s below -60 dBFS: house choice, longer than the end of a reverberation",
    },
    FilterRule {
        // In speech only, and only when no verdict on noise was given before.
        when: When::AtLeast(Fact::NoiseFloorDbfs, -50.0),
        filter: "denoise_spectral:reduction_db={reduction_db}", covered_by: &["denoise_spectral", "denoise_rnn", "denoise_profile"],
        because: "lowers the noise in the pauses",
        source: "-50 dBFS: house choice, 10 dB over the floor that ACX allows (-60 dB RMS)",
    },
];

/// Best distance of sound and noise that is aimed at, in dB, and the most that is taken away from noise in speech and in music.
pub(super) const WANTED_SNR_DB: f64 = 30.0;
pub(super) const MOST_REDUCTION_DB: f64 = 18.0;
pub(super) const MOST_REDUCTION_MUSIC_DB: f64 = 8.0;

/// How much noise is to be taken away, in dB: what is missing, between 6 (less is hardly heard) and the most that the sound bears.
pub(super) fn reduction_db(snr_db: Option<f64>, music: bool) -> f64 {
    let most = if music { MOST_REDUCTION_MUSIC_DB } else { MOST_REDUCTION_DB };
    (WANTED_SNR_DB - snr_db.unwrap_or(WANTED_SNR_DB / 2.0)).clamp(6.0, most).round()
}

/// When two channels are one too many.
#[rustfmt::skip]
pub(super) const TO_MONO: [(When, &str, &str); 2] = [
    (When::Verdict(V::FalseStereo, Warning), "both channels have the same sound: one is enough, at half of the bit rate", "difference 60 dB below them: quality verdict"),
    (When::Verdict(V::SilentChannel, Warning), "one channel has no sound: listeners would hear one side only", "60 dB softer: quality verdict"),
];

/// A codec with its bit rate.
pub(super) struct OutputRule {
    /// Whether the content is music; none: either.
    pub music: Option<bool>,
    /// Whether the output has one channel; none: either.
    pub mono: Option<bool>,
    /// Largest bandwidth in Hz.
    pub bandwidth_hz: f64,
    /// The format that is recommended.
    pub format: &'static str,
    /// kbit/s for Opus, MP3 and AAC when one of these is written; 0: that of the library, transparent for most listeners.
    pub kbps: [u32; 3],
    pub because: &'static str,
    pub source: &'static str,
}

const ANY: f64 = f64::INFINITY;

/// The first row that holds decides; the last one always does.
#[rustfmt::skip]
pub(super) const OUTPUTS: [OutputRule; 5] = [
    OutputRule {
        music: Some(false), mono: Some(true), bandwidth_hz: 9_000.0, format: "opus", kbps: [24, 48, 48],
        because: "speech of a narrow band: more bits would carry nothing",
        source: "as the preset voice_note; 9 kHz: the wide band of telephony (8 kHz) with some room",
    },
    OutputRule {
        music: Some(false), mono: Some(true), bandwidth_hz: ANY, format: "opus", kbps: [48, 64, 64],
        because: "speech in one channel",
        source: "house choice: between 24 kbit/s, where Opus begins to be full-band, and 80, the library's for anything",
    },
    OutputRule {
        music: Some(false), mono: Some(false), bandwidth_hz: ANY, format: "opus", kbps: [72, 128, 112],
        because: "speech with room around it",
        source: "house choice: one and a half times that of one channel, more where a codec shares less between channels",
    },
    OutputRule {
        music: Some(true), mono: None, bandwidth_hz: ANY, format: "flac", kbps: [0, 256, 192],
        because: "music: a lossless file first, from which any other can be made",
        source: "house choice; lossy rates are those at which codecs are held to be transparent",
    },
    OutputRule {
        music: None, mono: None, bandwidth_hz: ANY, format: "opus", kbps: [0, 0, 0],
        because: "what it is was not found out: rates that do for anything",
        source: "defaults of the library",
    },
];

/// What no filter mends: the verdict, and what can be done by hand.
#[rustfmt::skip]
pub(super) const ADVICE: [(VerdictName, &str); 14] = [
    (V::NonFinite, "the file was damaged or made by a faulty program: make it again from its source"),
    (V::Silent, "there is nothing to process: look at the recording chain"),
    (V::DropOuts, "what is missing cannot be put back: take another copy or cut around it"),
    (V::Discontinuities, "joins that click: fade over a few milliseconds where it was cut"),
    (V::StartsCut, "begins in the middle of sound: take more from the source, or use the filter fade"),
    (V::EndsCut, "ends in the middle of sound: take more from the source, or use the filter fade"),
    (V::NarrowBand, "the upper part of the band is empty: a better copy may exist; a lower sample rate loses nothing"),
    (V::LossyOrigin, "probably decoded from a lossy file: look for the original before it is coded again"),
    (V::Upsampled, "made from a lower sample rate: that rate is enough for an archive"),
    (V::FakeBitDepth, "the words are longer than what is in them: 16 bits are enough"),
    (V::MonoIncompatible, "much is lost when it is heard on one loudspeaker: listen in mono; the filter stereo_to_mono keeps it"),
    (V::ChannelImbalance, "one channel is louder: if that is not meant, the filter balance evens it"),
    (V::Reverberant, "the room is heard: record closer to the microphone, or where curtains and furniture take the sound"),
    (V::LowDynamicRange, "it was made very even before: do not compress it again"),
];
