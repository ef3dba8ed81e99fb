//! What a detector says: a verdict with its evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a verdict matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A fact worth knowing; nothing is wrong by itself.
    Info,
    /// Probably a fault, or a risk in use.
    Warning,
    /// A fault that is heard, or that most receivers refuse.
    Error,
}

/// The verdicts that can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// Samples that are no numbers.
    NonFinite,
    /// Nothing but digital silence.
    Silent,
    /// Flat tops at the extreme of a channel, at full scale or below it.
    Clipping,
    /// A constant added to the sound.
    DcOffset,
    /// Mains hum, 50 or 60 Hz and harmonics.
    Hum,
    /// Noise close to the signal.
    Noise,
    /// Short impulses.
    Clicks,
    /// Jumps of the waveform, as of a bad edit.
    Discontinuities,
    /// Digital silence inside of sound, with abrupt edges.
    DropOuts,
    /// Begins in the middle of sound.
    StartsCut,
    /// Ends in the middle of sound.
    EndsCut,
    /// The sound fills only a part of the band that the rate allows.
    NarrowBand,
    /// Went through a lossy codec.
    LossyOrigin,
    /// Made from a lower sample rate.
    Upsampled,
    /// The samples use fewer bits than they are stored with.
    FakeBitDepth,
    /// The two channels are each other's inverse.
    PhaseInverted,
    /// Much is lost when the two channels are added.
    MonoIncompatible,
    /// Two channels with the same sound.
    FalseStereo,
    /// One channel is much louder.
    ChannelImbalance,
    /// A channel without sound beside others with it.
    SilentChannel,
    /// Silence before the sound.
    SilenceAtStart,
    /// Silence after the sound.
    SilenceAtEnd,
    /// Little difference between loud and soft.
    LowDynamicRange,
    /// Recorded in a room that goes on sounding.
    Reverberant,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Begin in seconds.
    pub start_s: f64,
    /// End in seconds.
    pub end_s: f64,
    /// Channel, from 0; none: all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<u32>,
}

/// One verdict with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What was found.
    pub name: VerdictName,
    /// How much it matters.
    pub severity: Severity,
    /// The measured value.
    pub value: f64,
    /// The value from which the verdict is given.
    pub threshold: f64,
    /// Unit of both.
    pub unit: String,
    /// One sentence: what was measured and what it means.
    pub explanation: String,
    /// Where, in order of time; at most [`MAX_SPANS`]. Empty: everywhere.
    pub times: Vec<Span>,
    /// How often it was found, also what `times` has no room for.
    pub occurrences: u64,
}

/// Time stamps that a verdict carries at most.
pub const MAX_SPANS: usize = 100;

impl Verdict {
    /// A verdict for the whole recording. What is not finite in `value` becomes the largest or smallest number of use, as JSON has no infinity.
    pub(super) fn new(
        name: VerdictName,
        severity: Severity,
        (value, threshold, unit): (f64, f64, &str),
        explanation: String,
    ) -> Self {
        let value = if value.is_nan() { 0.0 } else { value.clamp(-1e9, 1e9) };
        Self { name, severity, value, threshold, unit: unit.into(), explanation, times: Vec::new(), occurrences: 1 }
    }

    /// The same with places; `occurrences` may be more than there are.
    pub(super) fn at(mut self, mut times: Vec<Span>, occurrences: u64) -> Self {
        times.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.channel.cmp(&b.channel)));
        times.truncate(MAX_SPANS);
        self.times = times;
        self.occurrences = occurrences;
        self
    }
}
