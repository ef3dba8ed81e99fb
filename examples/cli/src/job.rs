//! Options that describe a job, and the [`Recipe`] they make: preset, then recipe file, then options; later wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use pure_sound::audio::ChannelLayout;
use pure_sound::filters::FilterSpec;
use pure_sound::formats::encode::{BitRate, Dither, PcmSample};
use pure_sound::formats::tags::TagPolicy;
use pure_sound::formats::{FormatSettings, Limits, ReadOptions};
use pure_sound::processing::{LevelTarget, Output, Overwrite, Recipe, Verify};
use pure_sound::{Engine, Error};
use serde_json::Value;

use crate::failure::Failure;

/// True peak ceiling of `--loudness` without a preset, in dBTP: EBU R 128 recommendation h.
const DEFAULT_TRUE_PEAK_DBTP: f64 = -1.0;

/// How to read the input.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct ReadArgs {
    /// Audio track of a file with several, from 0.
    #[arg(long, value_name = "N")]
    pub track: Option<u32>,
    /// Fail at the first damage instead of decoding around it.
    #[arg(long)]
    pub fail_on_damage: bool,
    /// Limit while reading, such as max_seconds=3600 (max_bytes, max_seconds, max_channels, max_rate_hz,
    /// max_alloc_bytes, max_wall_seconds).
    #[arg(long, value_name = "NAME=VALUE")]
    pub limit: Vec<String>,
}

impl ReadArgs {
    /// The options for the library; `base` holds what a recipe says.
    pub fn options(&self, base: ReadOptions) -> Result<ReadOptions, Failure> {
        let mut options = base;
        options.track = self.track.or(options.track);
        options.strict |= self.fail_on_damage;
        let mut limits = serde_json::to_value(&options.limits).map_err(|e| Error::internal(e.to_string()))?;
        for text in &self.limit {
            let (name, value) = split_pair("limit", text)?;
            let known = limits.as_object_mut().ok_or_else(|| Error::internal("limits are no object"))?;
            if !known.contains_key(name) {
                return Err(Error::unknown_name("limit", name, known.keys().map(String::as_str)).into());
            }
            let number: Value = serde_json::from_str(value).map_err(|_| invalid(name, value, "a number"))?;
            known.insert(name.into(), number);
        }
        options.limits = serde_json::from_value::<Limits>(limits)
            .map_err(|e| invalid("limit", &self.limit.join(" "), &format!("numbers that fit: {e}")))?;
        Ok(options)
    }
}

/// What happens to the sound.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Sound")]
pub struct SoundArgs {
    /// Preset to start from; 'puresound presets' lists them.
    #[arg(long, short, value_name = "NAME")]
    pub preset: Option<String>,
    /// Recipe in JSON or YAML; its fields go over those of the preset.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Filter to add after those of the preset, such as highpass:cutoff_hz=80; 'puresound filters' lists them.
    #[arg(long, short, value_name = "SPEC")]
    pub filter: Vec<String>,
    /// Leave out the filters of the preset.
    #[arg(long)]
    pub no_preset_filters: bool,
    /// Integrated loudness to meet, in LUFS.
    #[arg(long, short, value_name = "LUFS", allow_negative_numbers = true, conflicts_with = "keep_level")]
    pub loudness: Option<f64>,
    /// Highest true peak, in dBTP.
    #[arg(long, value_name = "DBTP", allow_negative_numbers = true, conflicts_with = "keep_level")]
    pub true_peak: Option<f64>,
    /// Leave the level as it is, whatever the preset says.
    #[arg(long)]
    pub keep_level: bool,
    /// Use the input from here, in seconds.
    #[arg(long, value_name = "S")]
    pub trim_start: Option<f64>,
    /// Use the input up to here, in seconds.
    #[arg(long, value_name = "S")]
    pub trim_end: Option<f64>,
}

/// What is written.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct WriteArgs {
    /// Format of the outputs instead of the one their extension tells: wav, w64, aiff, caf, flac, alac, mp3, m4a, adts,
    /// opus, vorbis.
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Sample rate, in Hz.
    #[arg(long, short, value_name = "HZ")]
    pub rate: Option<u32>,
    /// Channels: mono, stereo, 5.1, ... or a number.
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<String>,
    /// Bit rate of lossy formats, in kbit/s for all channels together.
    #[arg(long, short, value_name = "KBPS", conflicts_with = "quality")]
    pub bitrate: Option<u32>,
    /// Variable bit rate of lossy formats: 0 (smallest) to 1 (best).
    #[arg(long, value_name = "Q")]
    pub quality: Option<f32>,
    /// Sample format of lossless outputs.
    #[arg(long, value_name = "BITS")]
    pub bits: Option<Bits>,
    /// Effort of FLAC, 0 (fast) to 8 (small).
    #[arg(long, value_name = "LEVEL")]
    pub compression: Option<u8>,
    /// Noise that is added when bits are dropped.
    #[arg(long, value_name = "KIND")]
    pub dither: Option<DitherArg>,
    /// What to do with tags, pictures and chapters.
    #[arg(long, value_name = "POLICY")]
    pub tags: Option<TagsArg>,
    /// Tag to set, such as title=Interview; an empty value removes the tag.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// Do not decode and measure what was written.
    #[arg(long)]
    pub no_verify: bool,
    /// Fail when an output exists.
    #[arg(long)]
    pub no_overwrite: bool,
}

/// Sample formats of lossless outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    #[value(name = "16")]
    B16,
    #[value(name = "20")]
    B20,
    #[value(name = "24")]
    B24,
    #[value(name = "32")]
    B32,
    Float,
}

/// Kinds of dither.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DitherArg {
    None,
    Tpdf,
    Shaped,
}

/// Tag policies.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TagsArg {
    Keep,
    StripPrivate,
    None,
}

impl SoundArgs {
    /// The recipe of preset, recipe file and options, without input and outputs.
    pub fn recipe(&self, engine: &Engine) -> Result<Recipe, Failure> {
        let mut request = match &self.recipe {
            Some(path) => read_recipe(path)?,
            None => Value::Object(serde_json::Map::new()),
        };
        if let Some(name) = &self.preset {
            request["preset"] = name.as_str().into();
        }
        let mut recipe = engine.recipe(&request)?;
        self.over(&mut recipe)?;
        Ok(recipe)
    }

    /// Puts the options over a recipe that was made from a preset.
    pub fn over(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        if self.no_preset_filters {
            recipe.filters.clear();
        }
        for spec in &self.filter {
            recipe.filters.push(FilterSpec::parse(spec)?);
        }
        self.apply_level(recipe)?;
        if let Some(start) = self.trim_start {
            recipe.trim.start_s = start;
        }
        recipe.trim.end_s = self.trim_end.or(recipe.trim.end_s);
        Ok(())
    }

    fn apply_level(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        if self.keep_level {
            recipe.level = None;
        }
        if let Some(integrated_lufs) = self.loudness {
            let true_peak_dbtp = recipe.level.map_or(DEFAULT_TRUE_PEAK_DBTP, |l| l.true_peak_dbtp());
            recipe.level = Some(LevelTarget::Loudness { integrated_lufs, true_peak_dbtp });
        }
        if let Some(peak) = self.true_peak {
            match &mut recipe.level {
                Some(LevelTarget::Loudness { true_peak_dbtp, .. } | LevelTarget::Rms { true_peak_dbtp, .. }) => {
                    *true_peak_dbtp = peak;
                }
                None => return Err(Failure::conflict("--true-peak needs --loudness or a preset with a level")),
            }
        }
        Ok(())
    }
}

fn read_recipe(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", Some(path), e))?;
    // YAML contains JSON: one parser serves both.
    let value: Value = serde_saphyr::from_str(&text)
        .map_err(|e| invalid(&format!("recipe {}", path.display()), &e.to_string(), "JSON or YAML"))?;
    if !value.is_object() {
        return Err(invalid(&format!("recipe {}", path.display()), "no object", "fields of a recipe").into());
    }
    Ok(value)
}

impl WriteArgs {
    /// Puts the options over `recipe`, with these outputs (those of the recipe when there are none).
    pub fn apply(&self, recipe: &mut Recipe, outputs: &[PathBuf]) -> Result<(), Failure> {
        recipe.rate_hz = self.rate.or(recipe.rate_hz);
        if let Some(name) = &self.layout {
            let layout = ChannelLayout::parse(name)
                .ok_or_else(|| invalid("layout", name, "mono, stereo, 5.1, 7.1, ... or a number of channels"))?;
            recipe.layout = Some(layout);
        }
        if let Some(policy) = self.tags {
            recipe.tags = match policy {
                TagsArg::Keep => TagPolicy::Keep,
                TagsArg::StripPrivate => TagPolicy::StripPrivate,
                TagsArg::None => TagPolicy::None,
            };
        }
        recipe.set_tags.append(&mut self.set_tags()?);
        if self.no_verify {
            recipe.verify = Verify::None;
        }
        if self.no_overwrite {
            recipe.overwrite = Overwrite::Refuse;
        }
        if !outputs.is_empty() {
            recipe.outputs = outputs.iter().map(Output::new).collect();
        }
        self.apply_formats(recipe)
    }

    /// The format that `--format` names.
    pub fn named_format(&self) -> Result<Option<FormatSettings>, Failure> {
        let Some(name) = &self.format else {
            return Ok(None);
        };
        let format = FormatSettings::from_name(name)
            .ok_or_else(|| Error::unknown_name("output format", name, FormatSettings::NAMES.iter().copied()))?;
        Ok(Some(format))
    }

    /// The extension that `--format` gives to outputs in a folder.
    pub fn extension(&self) -> Result<String, Failure> {
        let format = self.named_format()?.ok_or_else(|| Error::InvalidValue {
            name: "format".into(),
            value: String::new(),
            allowed: format!("--format with one of {}", FormatSettings::NAMES.join(", ")),
        })?;
        // `--format m4b` keeps its extension; a format name that is no extension (alac, adts) gets the usual one.
        let named = self.format.as_deref().unwrap_or_default().to_ascii_lowercase();
        let keeps = matches!(named.as_str(), "m4b" | "mp4" | "aif" | "oga" | "rf64");
        Ok(if keeps { named } else { format.extension().to_owned() })
    }

    fn set_tags(&self) -> Result<BTreeMap<String, Option<String>>, Failure> {
        let pair = |text: &String| {
            let (key, value) = split_pair("tag", text)?;
            Ok((key.to_lowercase(), (!value.is_empty()).then(|| value.to_owned())))
        };
        self.tag.iter().map(pair).collect()
    }

    /// Settings of every output; an option that no output can use is refused.
    fn apply_formats(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        let defaults = &recipe.format_defaults;
        let named = self.named_format()?;
        let mut options = [
            ("--bitrate", self.bitrate.is_some()),
            ("--quality", self.quality.is_some()),
            ("--bits", self.bits.is_some()),
            ("--compression", self.compression.is_some()),
            ("--dither", self.dither.is_some()),
        ];
        if named.is_none() && !options.iter().any(|(_, given)| *given) {
            return Ok(());
        }
        for output in &mut recipe.outputs {
            let mut format = match &named {
                // A recipe's settings of that format hold whether the name or the option chose it.
                Some(format) => defaults.iter().find(|d| d.name() == format.name()).unwrap_or(format).clone(),
                None => output.format(defaults)?,
            };
            for used in self.apply_settings(&mut format)? {
                if let Some(option) = options.iter_mut().find(|(name, _)| *name == used) {
                    option.1 = false;
                }
            }
            output.format = Some(format);
        }
        match options.iter().find(|(_, unused)| *unused) {
            Some((name, _)) if !recipe.outputs.is_empty() => {
                Err(Failure::conflict(format!("{name} means nothing for the chosen output formats")))
            }
            _ => Ok(()),
        }
    }

    /// Puts the options that `format` knows into it and names them.
    fn apply_settings(&self, format: &mut FormatSettings) -> Result<Vec<&'static str>, Failure> {
        let dither = self.dither.map(|d| match d {
            DitherArg::None => Dither::None,
            DitherArg::Tpdf => Dither::Tpdf,
            DitherArg::Shaped => Dither::Shaped,
        });
        match format {
            FormatSettings::Wav(s) | FormatSettings::W64(s) | FormatSettings::Aiff(s) | FormatSettings::Caf(s) => {
                s.sample = match self.bits {
                    None => s.sample,
                    Some(Bits::B16) => Some(PcmSample::S16),
                    Some(Bits::B24) => Some(PcmSample::S24),
                    Some(Bits::B32) => Some(PcmSample::S32),
                    Some(Bits::Float) => Some(PcmSample::F32),
                    Some(Bits::B20) => return Err(invalid("bits", "20", "16, 24, 32 or float for this format").into()),
                };
                s.dither = dither.unwrap_or(s.dither);
                Ok(vec!["--bits", "--dither"])
            }
            FormatSettings::Flac(s) => {
                s.bits = self.integer_bits(&[16, 24, 32])?.or(s.bits);
                s.level = self.compression.or(s.level);
                s.dither = dither.unwrap_or(s.dither);
                Ok(vec!["--bits", "--compression", "--dither"])
            }
            FormatSettings::Alac(s) => {
                s.bits = self.integer_bits(&[16, 20, 24, 32])?.or(s.bits);
                s.dither = dither.unwrap_or(s.dither);
                Ok(vec!["--bits", "--dither"])
            }
            FormatSettings::Mp3(s)
            | FormatSettings::M4a(s)
            | FormatSettings::Adts(s)
            | FormatSettings::Opus(s)
            | FormatSettings::Vorbis(s) => {
                let rate = self.bitrate.map(BitRate::Kbps).or(self.quality.map(BitRate::Quality));
                s.bit_rate = rate.or(s.bit_rate);
                Ok(vec!["--bitrate", "--quality"])
            }
        }
    }

    fn integer_bits(&self, allowed: &[u8]) -> Result<Option<u8>, Failure> {
        let bits = match self.bits {
            None => return Ok(None),
            Some(Bits::B16) => 16,
            Some(Bits::B20) => 20,
            Some(Bits::B24) => 24,
            Some(Bits::B32) => 32,
            Some(Bits::Float) => 0,
        };
        if allowed.contains(&bits) {
            return Ok(Some(bits));
        }
        let list: Vec<String> = allowed.iter().map(u8::to_string).collect();
        let value = if bits == 0 { "float".to_owned() } else { bits.to_string() };
        Err(invalid("bits", &value, &format!("{} for this format", list.join(", "))).into())
    }
}

/// The two sides of `NAME=VALUE`.
pub fn split_pair<'a>(name: &str, text: &'a str) -> Result<(&'a str, &'a str), Error> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value.trim())),
        _ => Err(invalid(name, text, "NAME=VALUE")),
    }
}

fn invalid(name: &str, value: &str, allowed: &str) -> Error {
    Error::InvalidValue { name: name.into(), value: value.into(), allowed: allowed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loudness_keeps_the_presets_peak_and_true_peak_needs_a_level() {
        let mut recipe = Recipe::default();
        let args = SoundArgs { true_peak: Some(-3.0), ..SoundArgs::default() };
        assert!(args.apply_level(&mut recipe).is_err());
        recipe.level = Some(LevelTarget::Rms { rms_dbfs: -20.0, true_peak_dbtp: -3.5 });
        SoundArgs { loudness: Some(-16.0), ..SoundArgs::default() }.apply_level(&mut recipe).unwrap();
        assert_eq!(recipe.level, Some(LevelTarget::Loudness { integrated_lufs: -16.0, true_peak_dbtp: -3.5 }));
    }

    #[test]
    fn an_option_that_no_output_can_use_is_refused() {
        let args = WriteArgs { bitrate: Some(96), ..WriteArgs::default() };
        let mut recipe = Recipe::default();
        let error = args.apply(&mut recipe, &["a.wav".into()]).unwrap_err();
        assert!(matches!(error, Failure::Engine(Error::Conflict { .. })), "{error:?}");
        args.apply(&mut recipe, &["a.wav".into(), "b.opus".into()]).unwrap();
        let FormatSettings::Opus(opus) = recipe.outputs[1].format(&[]).unwrap() else { panic!("not Opus") };
        assert_eq!(opus.bit_rate, Some(BitRate::Kbps(96)));
    }

    #[test]
    fn limits_are_checked_by_name() {
        let args = ReadArgs { limit: vec!["max_seconds=60".into()], ..ReadArgs::default() };
        assert_eq!(args.options(ReadOptions::default()).unwrap().limits.max_seconds, Some(60.0));
        for bad in ["max_secs=60", "max_seconds", "max_seconds=x", "max_bytes=-1"] {
            let args = ReadArgs { limit: vec![bad.into()], ..ReadArgs::default() };
            assert!(args.options(ReadOptions::default()).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_set_and_removed() {
        let args = WriteArgs { tag: vec!["Title=A = B".into(), "comment=".into()], ..WriteArgs::default() };
        let tags = args.set_tags().unwrap();
        assert_eq!(tags["title"], Some("A = B".into()));
        assert_eq!(tags["comment"], None);
    }
}
