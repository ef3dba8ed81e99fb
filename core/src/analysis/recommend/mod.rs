//! What to do with a recording, from what was measured: a preset, filters with parameters, channels, codec and bit rate, each with its reason
//! and the measurement behind it.
//!
//! The preset comes from [`suggest`], the rest from the table in `rules.rs`; nothing is decided elsewhere. A recommendation holds a whole
//! recipe, so that it can be looked at, changed and run.

mod rules;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::ContentClass;
use super::quality::{QualityReport, Verdict};
use crate::audio::ChannelLayout;
use crate::error::{Error, Result};
use crate::filters::FilterSpec;
use crate::formats::encode::{BitRate, LossySettings};
use crate::formats::{FormatSettings, ReadOptions};
use crate::presets::{Fact, Facts, PresetStore, Suggestion, suggest};
use crate::processing::{LevelTarget, Recipe};
use rules::{ADVICE, FILTERS, OUTPUTS, TO_MONO, When, reduction_db};

/// What a recording is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentHint {
    /// People who speak.
    Speech,
    /// Music.
    Music,
}

/// What [`crate::Engine::recommend`] is to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecommendOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// What it is, when that is known; default: what is heard.
    pub content: Option<ContentHint>,
}

/// A measurement behind a recommendation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Verdict or measurement, as in the report of quality.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// From where on the rule holds.
    pub threshold: f64,
    /// Unit of both; empty: none.
    pub unit: String,
    /// Where the threshold comes from.
    pub source: String,
}

/// A filter that mends something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedFilter {
    /// The filter with its parameters.
    pub filter: FilterSpec,
    /// The same as on a command line.
    pub text: String,
    /// What it does.
    pub because: String,
    /// What was measured.
    pub evidence: Evidence,
    /// True when the preset does it already, so that it was not added.
    pub in_preset: bool,
}

/// One channel instead of two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedLayout {
    /// The channels.
    pub layout: ChannelLayout,
    /// Why.
    pub because: String,
    /// What was measured.
    pub evidence: Evidence,
}

/// Codec and bit rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedOutput {
    /// The format that fits best.
    pub format: FormatSettings,
    /// The settings to use when one of these formats is written.
    pub formats: Vec<FormatSettings>,
    /// Why.
    pub because: String,
    /// Where the figures come from.
    pub source: String,
    /// Bandwidth in Hz that was looked at, when it could be measured.
    pub bandwidth_hz: Option<f64>,
}

/// Something that no filter mends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// What was found.
    pub evidence: Evidence,
    /// What it means: the explanation of the verdict.
    pub explanation: String,
    /// What to do.
    pub what_to_do: String,
}

/// What to do with a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommendation {
    /// What it is: as the caller said, else as was heard, else as the preset is for; none when nothing speaks for either.
    pub content: Option<ContentHint>,
    /// The preset, with the facts that speak for it.
    pub preset: Suggestion,
    /// Other presets that were possible, the best first.
    pub other_presets: Vec<Suggestion>,
    /// How far the level is from what the preset asks for: `integrated_lufs`, with the target as threshold. None for silence.
    pub level: Option<Evidence>,
    /// Filters, in their order.
    pub filters: Vec<RecommendedFilter>,
    /// Channels, when they should be others.
    pub layout: Option<RecommendedLayout>,
    /// Codec and bit rate.
    pub output: RecommendedOutput,
    /// What has to be done by hand.
    pub advice: Vec<Advice>,
    /// All of it as a recipe, without input and outputs.
    pub recipe: Recipe,
}

/// The preset when nothing speaks for another one: it touches nothing but the level.
const FALLBACK: &str = "streaming";

/// What to do with a recording of which `report` is known.
///
/// # Errors
/// [`Error::UnknownName`] when a preset of the library was taken away; [`Error::Internal`] when a row of the table makes no filter.
pub fn recommend(
    report: &QualityReport,
    content: Option<ContentHint>,
    presets: &PresetStore,
) -> Result<Recommendation> {
    let mut facts = Facts::of(report);
    if let Some(content) = content {
        let speech = if content == ContentHint::Speech { 1.0 } else { 0.0 };
        facts = facts.with(Fact::Speech, speech).with(Fact::Music, 1.0 - speech);
    }
    // One that sets no level is only the beginning of another one.
    let levels = |s: &Suggestion| presets.get(&s.preset).is_ok_and(|preset| preset.recipe.level.is_some());
    let mut possible = suggest(&facts).into_iter().filter(levels).collect::<Vec<_>>().into_iter();
    let preset = possible.next().unwrap_or(Suggestion { preset: FALLBACK.into(), points: 0, reasons: Vec::new() });
    let content = content.or_else(|| heard(report)).or_else(|| content_of(presets, &preset));
    let mut recipe = presets.recipe(&preset.preset, &serde_json::json!({}))?;
    let filters = filters(report, &facts, content, &mut recipe)?;
    let layout = layout(report, &facts, &mut recipe);
    let output = output(report, content, &mut recipe)?;
    let level = recipe.level.as_ref().and_then(|target| level(report, target, &preset.preset));
    let advice = ADVICE.iter().filter_map(|(name, what_to_do)| {
        let verdict = report.verdict(*name)?;
        let explanation = verdict.explanation.clone();
        Some(Advice { evidence: of_verdict(verdict, "quality verdict"), explanation, what_to_do: (*what_to_do).into() })
    });
    let advice = advice.collect();
    Ok(Recommendation {
        content,
        preset,
        other_presets: possible.collect(),
        level,
        filters,
        layout,
        output,
        advice,
        recipe,
    })
}

/// What was heard, when that is speech or music.
fn heard(report: &QualityReport) -> Option<ContentHint> {
    match report.content.as_ref()?.class {
        ContentClass::Speech | ContentClass::SpeechOverMusic => Some(ContentHint::Speech),
        ContentClass::Music => Some(ContentHint::Music),
        ContentClass::Noise | ContentClass::Silence | ContentClass::Unknown => None,
    }
}

/// What a preset is made for.
fn content_of(presets: &PresetStore, suggestion: &Suggestion) -> Option<ContentHint> {
    if suggestion.points == 0 {
        return None;
    }
    match presets.get(&suggestion.preset).ok()?.category.as_str() {
        "podcast" | "speech" | "audiobook" => Some(ContentHint::Speech),
        "music" => Some(ContentHint::Music),
        _ => None,
    }
}

/// What makes a rule hold.
fn holds(when: When, report: &QualityReport, facts: &Facts, source: &str) -> Option<Evidence> {
    match when {
        When::Verdict(name, least) => {
            report.verdict(name).filter(|v| v.severity >= least).map(|v| of_verdict(v, source))
        }
        When::Often(name, least) => {
            let verdict = report.verdict(name).filter(|v| v.occurrences >= least)?;
            let (value, threshold) = (verdict.occurrences as f64, least as f64);
            Some(Evidence { name: name_of(name), value, threshold, unit: "times".into(), source: source.into() })
        }
        When::AtLeast(fact, threshold) => {
            let value = facts.get(fact).filter(|value| *value >= threshold)?;
            let name = name_of(fact);
            let unit = if name.ends_with("_s") {
                "s"
            } else if name.ends_with("_dbfs") {
                "dBFS"
            } else {
                ""
            };
            Some(Evidence { name, value, threshold, unit: unit.into(), source: source.into() })
        }
    }
}

fn of_verdict(verdict: &Verdict, source: &str) -> Evidence {
    Evidence {
        name: name_of(verdict.name),
        value: verdict.value,
        threshold: verdict.threshold,
        unit: verdict.unit.clone(),
        source: source.into(),
    }
}

/// A name as in JSON.
fn name_of(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The filters of all rows that hold, put into `recipe`: in the place of one of the same kind, else before those of the preset.
fn filters(
    report: &QualityReport,
    facts: &Facts,
    content: Option<ContentHint>,
    recipe: &mut Recipe,
) -> Result<Vec<RecommendedFilter>> {
    let music = content == Some(ContentHint::Music);
    let of_preset: Vec<&'static str> = recipe.filters.iter().map(FilterSpec::name).collect();
    let mut found: Vec<RecommendedFilter> = Vec::new();
    let mut added = 0;
    for rule in &FILTERS {
        let Some(evidence) = holds(rule.when, report, facts, rule.source) else { continue };
        // Notes that fade look like a floor of noise: only in speech the floor is one.
        if content != Some(ContentHint::Speech) && matches!(rule.when, When::AtLeast(Fact::NoiseFloorDbfs, _)) {
            continue;
        }
        let hum_hz = report.measurements.hum_hz.unwrap_or(50.0);
        let text = rule.filter.replace("{hum_hz}", if hum_hz < 55.0 { "50" } else { "60" });
        let text = text.replace("{reduction_db}", &reduction_db(report.measurements.snr_db, music).to_string());
        let filter = FilterSpec::parse(&text).map_err(|e| Error::internal(format!("rule {text}: {e}")))?;
        if found.iter().any(|other| other.filter.name() == filter.name()) {
            // Both ends are silent: one filter for both.
            merge_trims(&mut found, &filter, recipe)?;
            continue;
        }
        let in_preset = of_preset.iter().any(|name| rule.covered_by.contains(name));
        if !in_preset {
            match recipe.filters.iter().position(|other| other.name() == filter.name()) {
                Some(index) => recipe.filters[index] = stronger(&recipe.filters[index], &filter),
                None => {
                    recipe.filters.insert(added, filter.clone());
                    added += 1;
                }
            }
        }
        found.push(RecommendedFilter { filter, text, because: rule.because.into(), evidence, in_preset });
    }
    Ok(found)
}

/// Of two filters of the noise the one that takes away more; else the second.
fn stronger(ours: &FilterSpec, theirs: &FilterSpec) -> FilterSpec {
    match (ours, theirs) {
        (FilterSpec::DenoiseSpectral(a), FilterSpec::DenoiseSpectral(b)) if a.reduction_db > b.reduction_db => {
            ours.clone()
        }
        _ => theirs.clone(),
    }
}

fn merge_trims(found: &mut [RecommendedFilter], second: &FilterSpec, recipe: &mut Recipe) -> Result<()> {
    let FilterSpec::TrimSilence(_) = second else { return Ok(()) };
    for rule in found.iter_mut().filter(|rule| rule.filter.name() == second.name()) {
        rule.text = rule.text.replace(",end=false", "");
        rule.because = "takes away the silence before and after the sound, but for 0.3 s".into();
        rule.filter = FilterSpec::parse(&rule.text)?;
        for filter in recipe.filters.iter_mut().filter(|filter| filter.name() == second.name() && !rule.in_preset) {
            *filter = rule.filter.clone();
        }
    }
    Ok(())
}

fn layout(report: &QualityReport, facts: &Facts, recipe: &mut Recipe) -> Option<RecommendedLayout> {
    if report.spec.channels() != 2 {
        return None;
    }
    let (because, evidence) =
        TO_MONO.iter().find_map(|(when, because, source)| Some((because, holds(*when, report, facts, source)?)))?;
    recipe.layout = Some(ChannelLayout::MONO);
    Some(RecommendedLayout { layout: ChannelLayout::MONO, because: (*because).into(), evidence })
}

fn output(report: &QualityReport, content: Option<ContentHint>, recipe: &mut Recipe) -> Result<RecommendedOutput> {
    let music = content.map(|content| content == ContentHint::Music);
    let mono = recipe.layout.map_or(report.spec.channels(), |layout| layout.channels()) == 1;
    let bandwidth_hz = report.measurements.bandwidth_hz;
    let rule = OUTPUTS.iter().find(|rule| {
        rule.music.is_none_or(|wanted| music == Some(wanted))
            && rule.mono.is_none_or(|wanted| mono == wanted)
            && (rule.bandwidth_hz == f64::INFINITY || bandwidth_hz.is_some_and(|hz| hz <= rule.bandwidth_hz))
    });
    let rule = rule.ok_or_else(|| Error::internal("no rule for the output"))?;
    let lossy = |kbps: u32| LossySettings { bit_rate: Some(BitRate::Kbps(kbps)) };
    let [opus, mp3, m4a] = rule.kbps;
    let mut formats = Vec::new();
    // What a preset says about a format is more than a rule of thumb.
    let known = |name: &str| recipe.format_defaults.iter().any(|format| format.name() == name);
    for (kbps, format) in [
        (opus, FormatSettings::Opus(lossy(opus))),
        (mp3, FormatSettings::Mp3(lossy(mp3))),
        (m4a, FormatSettings::M4a(lossy(m4a))),
    ] {
        if kbps > 0 && !known(format.name()) {
            formats.push(format);
        }
    }
    recipe.format_defaults.extend(formats.iter().cloned());
    let formats = recipe.format_defaults.clone();
    let plain = FormatSettings::from_name(rule.format).ok_or_else(|| Error::internal("format of a rule"))?;
    let format = formats.iter().find(|format| format.name() == rule.format).cloned().unwrap_or(plain);
    Ok(RecommendedOutput { format, formats, because: rule.because.into(), source: rule.source.into(), bandwidth_hz })
}

fn level(report: &QualityReport, target: &LevelTarget, preset: &str) -> Option<Evidence> {
    let (name, value, threshold, unit) = match target {
        LevelTarget::Loudness { integrated_lufs, .. } => {
            ("integrated_lufs", report.loudness.integrated_lufs, *integrated_lufs, "LUFS")
        }
        LevelTarget::Rms { rms_dbfs, .. } => ("rms_dbfs", report.loudness.rms_dbfs, *rms_dbfs, "dBFS"),
    };
    let source = format!("target of the preset {preset}");
    value.is_finite().then(|| Evidence { name: name.into(), value, threshold, unit: unit.into(), source })
}
