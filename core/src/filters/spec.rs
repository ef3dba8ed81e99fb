//! [`FilterSpec`]: a filter with its parameters, as recipes, presets and the command line write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::params::{FilterParams, ParamInfo, ParamKind};
use super::registry::FilterInfo;
use super::sections::Sections;
use super::*;
use crate::error::{Error, Result};

/// From one list: the enum, the checks, the construction and the registry.
macro_rules! filter_specs {
    (
        sections { $($s_variant:ident($s_params:path) => $s_build:expr;)+ }
        others { $($variant:ident($params:path) => $build:expr;)+ }
    ) => {
        /// A filter with its parameters. In JSON and YAML an object whose `type` is the filter's name; parameters that
        /// are not given have their defaults.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum FilterSpec {
            $(
                #[allow(missing_docs)] // the parameter struct says it
                $s_variant($s_params),
            )+
            $(
                #[allow(missing_docs)] // the parameter struct says it
                $variant($params),
            )+
        }

        impl FilterSpec {
            /// Name of the filter in recipes.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$s_variant(_) => <$s_params>::NAME,)+
                    $(Self::$variant(_) => <$params>::NAME,)+
                }
            }

            /// Checks all parameters against their ranges. What depends on rate and layout is checked in `prepare`.
            ///
            /// # Errors
            /// [`Error::OutOfRange`] or [`Error::InvalidValue`] for the first parameter that is not allowed.
            pub fn validate(&self) -> Result<()> {
                match self {
                    $(Self::$s_variant(p) => p.check_ranges(),)+
                    $(Self::$variant(p) => p.check_ranges(),)+
                }
            }

            /// Makes the filter, not yet prepared.
            ///
            /// # Errors
            /// As [`FilterSpec::validate`].
            pub fn build(&self) -> Result<Box<dyn Filter>> {
                self.validate()?;
                Ok(match self {
                    $(Self::$s_variant(p) => Box::new($s_build(p)),)+
                    $(Self::$variant(p) => Box::new($build(p)),)+
                })
            }

            /// False when the filter is for files only.
            pub fn is_realtime(&self) -> bool {
                match self {
                    $(Self::$s_variant(_) => <$s_params>::REALTIME,)+
                    $(Self::$variant(_) => <$params>::REALTIME,)+
                }
            }

            /// The filter as a cascade of sections, when it is one.
            fn as_sections(&self) -> Option<Sections> {
                match self {
                    $(Self::$s_variant(p) => Some($s_build(p)),)+
                    _ => None,
                }
            }
        }

        /// All filters, in the order of the list.
        pub(super) fn all() -> Vec<FilterInfo> {
            vec![$(info::<$s_params>(),)+ $(info::<$params>(),)+]
        }
    };
}

fn info<P: FilterParams>() -> FilterInfo {
    FilterInfo {
        name: P::NAME,
        category: P::CATEGORY,
        realtime: P::REALTIME,
        summary: P::summary(),
        parameters: P::parameters(),
    }
}

/// Makes the filters of a chain. Neighbours that are cascades of sections become one: one pass over the samples.
///
/// # Errors
/// As [`FilterSpec::validate`].
pub(super) fn build_all(specs: &[FilterSpec]) -> Result<Vec<Box<dyn Filter>>> {
    let mut filters: Vec<Box<dyn Filter>> = Vec::with_capacity(specs.len());
    let mut row: Option<Sections> = None;
    for spec in specs {
        spec.validate()?;
        match (spec.as_sections(), &mut row) {
            (Some(next), Some(row)) => row.append(next),
            (Some(first), None) => row = Some(first),
            (None, _) => {
                filters.extend(row.take().map(|r| Box::new(r) as Box<dyn Filter>));
                filters.push(spec.build()?);
            }
        }
    }
    filters.extend(row.map(|r| Box::new(r) as Box<dyn Filter>));
    Ok(filters)
}

filter_specs! {
    sections {
    DcBlocker(dc_blocker::DcBlockerParams) => dc_blocker::build;
    Highpass(highpass::HighpassParams) => highpass::build;
    Lowpass(lowpass::LowpassParams) => lowpass::build;
    Bandpass(bandpass::BandpassParams) => bandpass::build;
    LowShelf(low_shelf::LowShelfParams) => low_shelf::build;
    HighShelf(high_shelf::HighShelfParams) => high_shelf::build;
    PeakEq(peak_eq::PeakEqParams) => peak_eq::build;
    TiltEq(tilt_eq::TiltEqParams) => tilt_eq::build;
    Notch(notch::NotchParams) => notch::build;
    Allpass(allpass::AllpassParams) => allpass::build;
    }
    others {
    Gain(gain::GainParams) => gain::Gain::new;
    Compressor(compressor::CompressorParams) => compressor::Compressor::new;
    Limiter(limiter::LimiterParams) => limiter::Limiter::new;
    Gate(gate::GateParams) => gate::Gate::new;
    Expander(expander::ExpanderParams) => expander::Expander::new;
    DeEsser(de_esser::DeEsserParams) => de_esser::DeEsser::new;
    Leveler(leveler::LevelerParams) => leveler::Leveler::new;
    DenoiseSpectral(denoise_spectral::DenoiseSpectralParams) => denoise_spectral::DenoiseSpectral::new;
    DenoiseRnn(denoise_rnn::DenoiseRnnParams) => denoise_rnn::DenoiseRnn::new;
    Declick(declick::DeclickParams) => declick::Declick::new;
    Decrackle(decrackle::DecrackleParams) => decrackle::Decrackle::new;
    Declip(declip::DeclipParams) => declip::Declip::new;
    Dehum(dehum::DehumParams) => dehum::Dehum::new;
    DenoiseProfile(denoise_profile::DenoiseProfileParams) => denoise_profile::DenoiseProfile::new;
    Deplosive(deplosive::DeplosiveParams) => deplosive::Deplosive::new;
    Dereverb(dereverb::DereverbParams) => dereverb::Dereverb::new;
    Stereo(stereo::StereoParams) => stereo::Stereo::new;
    ChannelMix(channel_mix::ChannelMixParams) => channel_mix::ChannelMix::new;
    Resample(resample::ResampleParams) => resample::Resample::new;
    Fade(fade::FadeParams) => fade::Fade::new;
    TrimSilence(trim_silence::TrimSilenceParams) => trim_silence::TrimSilence::new;
    }
}

impl FilterSpec {
    /// Parses the short form of the command line: `highpass`, `highpass:cutoff_hz=80,order=4`, or the JSON object.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for filters and parameters that do not exist, with the closest that does;
    /// [`Error::InvalidValue`] for text that is not a value of the parameter's type; [`Error::OutOfRange`].
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text).map_err(|e| Error::InvalidValue {
                name: "filter".into(),
                value: shorten(text),
                allowed: format!("a JSON object ({e})"),
            })?;
            return Self::from_json(value);
        }
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let info = registry::find(name.trim())?;
        let mut object = Map::new();
        object.insert("type".into(), Value::from(info.name));
        for pair in rest.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| Error::InvalidValue {
                name: info.name.into(),
                value: pair.into(),
                allowed: "name=value pairs between commas".into(),
            })?;
            let param = info.parameter(key.trim())?;
            if object.contains_key(param.name) {
                return Err(Error::Conflict { what: format!("{}.{} is given twice", info.name, param.name) });
            }
            object.insert(param.name.into(), parse_value(&info, param, value.trim())?);
        }
        Self::from_json(Value::Object(object))
    }

    /// Takes a JSON object with `type`. Serde alone would do it, but names no suggestions.
    ///
    /// # Errors
    /// As [`FilterSpec::parse`].
    pub fn from_json(value: Value) -> Result<Self> {
        let invalid = |value: String, allowed: &str| Error::InvalidValue {
            name: "filter".into(),
            value: shorten(&value),
            allowed: allowed.into(),
        };
        let Value::Object(object) = &value else {
            return Err(invalid(value.to_string(), "an object with a `type`"));
        };
        let Some(name) = object.get("type").and_then(Value::as_str) else {
            return Err(invalid(value.to_string(), "an object whose `type` is the name of a filter"));
        };
        let info = registry::find(name)?;
        for (key, value) in object.iter().filter(|(key, _)| *key != "type") {
            check_type(&info, info.parameter(key)?, value)?;
        }
        let spec: Self =
            serde_json::from_value(value.clone()).map_err(|e| invalid(value.to_string(), &e.to_string()))?;
        spec.validate()?;
        Ok(spec)
    }
}

/// What a parameter accepts, in words.
fn allowed(param: &ParamInfo) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
    match (param.kind, param.min, param.max) {
        (ParamKind::Number, Some(min), Some(max)) => format!("a number from {min} to {max}{unit}"),
        (ParamKind::Integer, Some(min), Some(max)) => format!("a whole number from {min} to {max}{unit}"),
        (ParamKind::Boolean, ..) => "true, false".into(),
        (ParamKind::Choice, ..) => param.choices.join(", "),
        (ParamKind::Layout, ..) => "mono, stereo, 2.1, quad, 5.0, 5.1, 7.1, a channel count".into(),
        (ParamKind::Matrix, ..) => "rows of numbers, as in [[0.5, 0.5]]".into(),
        (ParamKind::List, ..) => "a list".into(),
        (ParamKind::Text, ..) => "text".into(),
        _ => "a number".into(),
    }
}

fn invalid_value(info: &FilterInfo, param: &ParamInfo, value: &str) -> Error {
    Error::InvalidValue {
        name: format!("{}.{}", info.name, param.name),
        value: shorten(value),
        allowed: allowed(param),
    }
}

/// Text of the command line to a JSON value of the parameter's type.
fn parse_value(info: &FilterInfo, param: &ParamInfo, text: &str) -> Result<Value> {
    let value = match param.kind {
        ParamKind::Number => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        ParamKind::Integer => text.parse::<i64>().ok().map(Value::from),
        ParamKind::Boolean => text.parse::<bool>().ok().map(Value::from),
        ParamKind::Choice => param.choices.contains(&text).then(|| Value::from(text)),
        ParamKind::Layout | ParamKind::Text => Some(Value::from(text)),
        ParamKind::Matrix | ParamKind::List => serde_json::from_str(text).ok(),
    };
    value.ok_or_else(|| invalid_value(info, param, text))
}

/// Checks the JSON type of a value, and whole numbers against the range (serde would only say "invalid u32").
fn check_type(info: &FilterInfo, param: &ParamInfo, value: &Value) -> Result<()> {
    let fits = match param.kind {
        ParamKind::Number => value.is_number(),
        ParamKind::Integer => value.is_i64() || value.is_u64(),
        ParamKind::Boolean => value.is_boolean(),
        ParamKind::Choice => value.as_str().is_some_and(|s| param.choices.contains(&s)),
        ParamKind::Layout => value.as_str().is_some_and(|s| crate::audio::ChannelLayout::parse(s).is_some()),
        ParamKind::Matrix | ParamKind::List => value.is_array(),
        ParamKind::Text => value.is_string(),
    };
    if !fits {
        return Err(invalid_value(info, param, value.as_str().unwrap_or(&value.to_string())));
    }
    if let (Some(number), Some(min), Some(max)) = (value.as_f64(), param.min, param.max)
        && !(number >= min && number <= max)
    {
        let name = format!("{}.{}", info.name, param.name);
        return Err(Error::OutOfRange { name, value: number, min, max, unit: param.unit });
    }
    Ok(())
}

/// Keeps error messages short whatever was given.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.to_owned();
    }
    text.chars().take(57).chain("...".chars()).collect()
}

impl std::str::FromStr for FilterSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_say_the_same() {
        let want = FilterSpec::Highpass(highpass::HighpassParams { cutoff_hz: 100.0, order: 4 });
        assert_eq!(FilterSpec::parse("highpass:cutoff_hz=100,order=4").unwrap(), want);
        assert_eq!(FilterSpec::parse(" highpass : order = 4 , cutoff_hz = 1e2 ").unwrap(), want);
        assert_eq!(FilterSpec::parse(r#"{"type":"highpass","cutoff_hz":100,"order":4}"#).unwrap(), want);
        let json = serde_json::to_value(&want).unwrap();
        assert_eq!(json, serde_json::json!({"type": "highpass", "cutoff_hz": 100.0, "order": 4}));
        assert_eq!(serde_json::from_value::<FilterSpec>(json).unwrap(), want);
        assert_eq!(FilterSpec::parse("gain").unwrap(), FilterSpec::Gain(gain::GainParams::default()));
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let says = |text: &str| FilterSpec::parse(text).unwrap_err().to_string();
        assert_eq!(says("highpas"), "unknown filter 'highpas', did you mean 'highpass'?");
        assert_eq!(
            says("highpass:cutof_hz=3"),
            "unknown filter parameter 'highpass.cutof_hz', did you mean 'cutoff_hz'?"
        );
        assert_eq!(
            says("highpass:cutoff_hz=x"),
            "highpass.cutoff_hz: 'x' is not valid, allowed: a number from 5 to 90000 Hz"
        );
        assert_eq!(says("highpass:cutoff_hz=1"), "highpass.cutoff_hz is 1 Hz, allowed is 5 to 90000 Hz");
        assert_eq!(
            says("highpass:order=2.5"),
            "highpass.order: '2.5' is not valid, allowed: a whole number from 1 to 12"
        );
        assert_eq!(says("highpass:order=-1"), "highpass.order is -1, allowed is 1 to 12");
        assert_eq!(
            says(r#"{"type":"gain","gain_db":"loud"}"#),
            "gain.gain_db: 'loud' is not valid, allowed: a number from -120 to 60 dB"
        );
        assert_eq!(says("gain:gain_db=1,gain_db=2"), "gain.gain_db is given twice");
        for text in ["", ":", "{", "[]", "{}", "gain:x", "gain:=", "gain:gain_db=nan", "gain:gain_db=inf", "\u{0}"] {
            assert!(FilterSpec::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn serde_refuses_unknown_parameters() {
        assert!(serde_json::from_str::<FilterSpec>(r#"{"type":"gain","gian_db":1}"#).is_err());
    }
}
