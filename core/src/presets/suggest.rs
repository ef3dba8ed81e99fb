//! Which preset fits a recording, from what was measured.
//!
//! The rules are the table below and nothing else: each adds points to a preset when a fact lies in a range, and says why. Speech and music
//! are told apart by the classifier of content, when it was asked, and by what else the quality report knows (band, channels, noise in the
//! pauses, dynamics); so this is a hint and no verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::ContentClass;
use crate::analysis::quality::QualityReport;

/// What rules can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Number of channels.
    Channels,
    /// Integrated loudness in LUFS.
    IntegratedLufs,
    /// Level of the quietest parts in dBFS.
    NoiseFloorDbfs,
    /// How much those sound like noise, 0 to 1; 0.56 is white noise, notes are near 0.
    FloorFlatness,
    /// Highest frequency with sound, in Hz.
    BandwidthHz,
    /// Level of the difference of the two channels against both, in dB; -120 for none.
    SideDb,
    /// Dynamic range in dB, as of the TT meter.
    DrDb,
    /// Level of mains hum in dBFS.
    HumDbfs,
    /// Length in seconds.
    DurationS,
    /// Sound against noise in dB.
    SnrDb,
    /// Silence before the sound in seconds.
    SilenceAtStartS,
    /// Silence after the sound in seconds.
    SilenceAtEndS,
    /// Share of what is not silent that is speech, over music or not, 0 to 1; or how sure a host is of it.
    Speech,
    /// Share of what is not silent that is music alone, 0 to 1; or how sure a host is of it.
    Music,
}

use Fact::{BandwidthHz, Channels, DrDb, DurationS, FloorFlatness, HumDbfs, Music, NoiseFloorDbfs, SideDb, Speech};

/// Measured facts; what could not be measured is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts(Vec<(Fact, f64)>);

impl Facts {
    /// Facts that a host has measured itself. What is not finite is left out.
    pub fn new(facts: impl IntoIterator<Item = (Fact, f64)>) -> Self {
        Self(facts.into_iter().filter(|(_, value)| value.is_finite()).collect())
    }

    /// What a quality report says.
    pub fn of(report: &QualityReport) -> Self {
        let m = &report.measurements;
        let channels = report.spec.channels();
        // Two channels without any difference have no level of it.
        let side_db = (channels == 2).then(|| m.side_db.unwrap_or(-120.0));
        let heard = report.content.as_ref().filter(|content| content.silence_ratio < 1.0);
        let share = |class: fn(ContentClass) -> bool| heard.map(|content| content.share(class));
        let all = [
            (Speech, share(|class| matches!(class, ContentClass::Speech | ContentClass::SpeechOverMusic))),
            (Music, share(|class| class == ContentClass::Music)),
            (Channels, Some(channels as f64)),
            (Fact::IntegratedLufs, Some(report.loudness.integrated_lufs)),
            (NoiseFloorDbfs, m.noise_floor_dbfs),
            (FloorFlatness, m.floor_flatness),
            (BandwidthHz, m.bandwidth_hz),
            (SideDb, side_db),
            (DrDb, m.dr_db),
            (HumDbfs, m.hum_dbfs),
            (DurationS, Some(m.duration_s)),
            (Fact::SnrDb, m.snr_db),
            (Fact::SilenceAtStartS, Some(m.silence_at_start_s)),
            (Fact::SilenceAtEndS, Some(m.silence_at_end_s)),
        ];
        Self::new(all.into_iter().filter_map(|(fact, value)| Some((fact, value?))))
    }

    /// These facts with another one, which replaces what was known of it.
    #[must_use]
    pub fn with(mut self, fact: Fact, value: f64) -> Self {
        self.0.retain(|(known, _)| *known != fact);
        self.0.extend(value.is_finite().then_some((fact, value)));
        self
    }

    /// One fact.
    pub fn get(&self, fact: Fact) -> Option<f64> {
        self.0.iter().find(|(f, _)| *f == fact).map(|(_, value)| *value)
    }
}

/// A row of the table.
struct Rule(&'static str, Fact, f64, f64, u32, &'static str);

const ANY: f64 = f64::INFINITY;

/// Preset, fact, from, to (both included), points, why.
#[rustfmt::skip]
const RULES: [Rule; 26] = [
    // Who knows what it is knows more than all that follows together.
    Rule("podcast",      Speech,         0.5,    ANY, 20, "speech"),
    Rule("podcast_mono", Speech,         0.5,    ANY, 20, "speech"),
    Rule("voice_note",   Speech,         0.5,    ANY, 20, "speech"),
    Rule("speech_clean", Speech,         0.5,    ANY, 20, "speech"),
    Rule("music_master", Music,          0.5,    ANY, 20, "music"),
    Rule("streaming",    Music,          0.5,    ANY, 20, "music"),
    Rule("podcast",      Channels,       2.0,    2.0, 1, "two channels"),
    Rule("podcast",      SideDb,       -30.0,  -12.0, 1, "a voice in the middle with a little room around it"),
    Rule("podcast",      FloorFlatness,  0.42,   1.0, 1, "pauses with noise in them: speech"),
    Rule("podcast",      DrDb,          10.0,    ANY, 1, "uneven, as voices are before they are levelled"),
    Rule("podcast_mono", Channels,       1.0,    1.0, 2, "one channel: at -19 LUFS it is as loud as two at -16"),
    Rule("podcast_mono", SideDb,        -ANY,  -30.0, 3, "two channels with the same sound: one is enough"),
    Rule("podcast_mono", FloorFlatness,  0.42,   1.0, 1, "pauses with noise in them: speech"),
    Rule("podcast_mono", DrDb,          10.0,    ANY, 1, "uneven, as voices are before they are levelled"),
    Rule("podcast_mono", DurationS,     90.0,    ANY, 1, "longer than a message"),
    Rule("voice_note",   Channels,       1.0,    1.0, 2, "one channel"),
    Rule("voice_note",   BandwidthHz,    0.0, 9000.0, 2, "a narrow band, as of a telephone: a small file loses nothing"),
    Rule("voice_note",   NoiseFloorDbfs, -50.0,  ANY, 1, "noise that needs a strong clean-up"),
    Rule("voice_note",   DurationS,      0.0,   90.0, 1, "as short as a message"),
    Rule("speech_clean", HumDbfs,      -65.0,    ANY, 2, "mains hum, which its high-pass weakens"),
    Rule("speech_clean", NoiseFloorDbfs, -45.0,  ANY, 1, "noise in the pauses"),
    Rule("music_master", SideDb,       -12.0,    ANY, 2, "wide: instruments in their places"),
    Rule("music_master", BandwidthHz, 12000.0,   ANY, 1, "the whole band"),
    Rule("music_master", FloorFlatness,  0.0,   0.42, 1, "the quiet parts are notes and not noise"),
    Rule("streaming",    SideDb,       -12.0,    ANY, 2, "wide: music or a mixed programme"),
    Rule("streaming",    DrDb,           0.0,    8.0, 1, "dense already: only the level is missing"),
];

/// Why a preset was suggested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SuggestionReason")]
pub struct Reason {
    /// What was looked at.
    pub fact: Fact,
    /// What was measured.
    pub value: f64,
    /// What that counts.
    pub points: u32,
    /// What it means.
    pub because: String,
}

/// A preset that may fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    /// Its name.
    pub preset: String,
    /// Sum of the points of its reasons.
    pub points: u32,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// The presets that fit these facts, the best first; those with equal points in the order of the table. Without a single fact that speaks
/// for one: none.
pub fn suggest(facts: &Facts) -> Vec<Suggestion> {
    let mut found: Vec<Suggestion> = Vec::new();
    for Rule(preset, fact, from, to, points, because) in &RULES {
        let Some(value) = facts.get(*fact).filter(|value| (*from..=*to).contains(value)) else { continue };
        let reason = Reason { fact: *fact, value, points: *points, because: (*because).to_owned() };
        match found.iter_mut().find(|s| s.preset == *preset) {
            Some(suggestion) => {
                suggestion.points += points;
                suggestion.reasons.push(reason);
            }
            None => found.push(Suggestion { preset: (*preset).into(), points: *points, reasons: vec![reason] }),
        }
    }
    found.sort_by_key(|s| std::cmp::Reverse(s.points));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::PresetStore;

    fn best(facts: &[(Fact, f64)]) -> String {
        suggest(&Facts::new(facts.iter().copied())).first().map_or_else(String::new, |s| s.preset.clone())
    }

    #[test]
    fn every_rule_names_a_preset_and_a_range_that_can_hold() {
        let store = PresetStore::built_in().unwrap();
        for Rule(preset, fact, from, to, points, because) in &RULES {
            assert!(store.get(preset).is_ok(), "{preset}");
            assert!(from <= to && *points > 0 && !because.is_empty(), "{preset} {fact:?}");
        }
    }

    #[test]
    fn typical_recordings_get_what_is_made_for_them() {
        let room = (FloorFlatness, 0.5);
        assert_eq!(
            best(&[(Channels, 1.0), room, (DrDb, 13.0), (BandwidthHz, 16_000.0), (DurationS, 1800.0)]),
            "podcast_mono"
        );
        assert_eq!(best(&[(Channels, 2.0), (SideDb, -20.0), room, (DrDb, 13.0)]), "podcast");
        assert_eq!(best(&[(Channels, 2.0), (SideDb, -120.0), room, (DrDb, 13.0)]), "podcast_mono");
        assert_eq!(best(&[(Channels, 1.0), (BandwidthHz, 3500.0), (DurationS, 12.0)]), "voice_note");
        let mix = [(Channels, 2.0), (SideDb, -8.0), (BandwidthHz, 18_000.0), (FloorFlatness, 0.2), (DrDb, 12.0)];
        assert_eq!(best(&mix), "music_master");
        assert_eq!(best(&[(Channels, 2.0), (SideDb, -8.0), (DrDb, 5.0)]), "streaming");
        assert_eq!(best(&[]), "");
        // Who knows what it is outweighs what the sound looks like.
        let dense = [(Channels, 2.0), (SideDb, -8.0), (DrDb, 5.0), (Speech, 1.0)];
        assert_eq!(best(&dense), "podcast");
        assert_eq!(best(&[(Channels, 1.0), room, (Music, 1.0)]), "music_master");
        let message = [(Channels, 1.0), (BandwidthHz, 3500.0), (DurationS, 12.0), (NoiseFloorDbfs, -40.0)];
        assert_eq!(best(&message.into_iter().chain([(Music, 1.0)]).collect::<Vec<_>>()), "music_master");
        assert_eq!(best(&message.into_iter().chain([(Speech, 1.0)]).collect::<Vec<_>>()), "voice_note");
        assert_eq!(best(&[(SideDb, f64::NAN)]), "", "what was not measured speaks for nothing");
    }

    #[test]
    fn reasons_carry_what_was_measured() {
        let all = suggest(&Facts::new([(HumDbfs, -50.0)]));
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].preset.as_str(), all[0].points), ("speech_clean", 2));
        assert_eq!((all[0].reasons[0].fact, all[0].reasons[0].value), (HumDbfs, -50.0));
    }
}
