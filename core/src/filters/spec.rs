//! [`FilterSpec`]: a filter with its parameters, as recipes, presets and the command line write it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::automation::Automated;
use super::driven::Driven;
use super::params::FilterParams;
use super::registry::FilterInfo;
use super::sections::Sections;
use super::*;
use crate::error::{Error, Result};

/// Most levels of filters within filters.
pub const MAX_DEPTH: usize = 8;

/// From one list: the enum, the checks, the construction and the registry.
macro_rules! filter_specs {
    (
        sections { $($s_variant:ident($s_params:path) => $s_build:expr;)+ }
        others { $($variant:ident($params:path) => $build:expr;)+ }
    ) => {
        /// A filter with its parameters. In JSON and YAML an object whose `type` is the filter's name; parameters that
        /// are not given have their defaults.
        #[derive(Debug, Clone, PartialEq)]
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
            /// A filter with parameters that follow curves; see [`FilterSpec::with_curve`].
            Automated(Automated),
        }

        impl FilterSpec {
            /// Name of the filter in recipes.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$s_variant(_) => <$s_params>::NAME,)+
                    $(Self::$variant(_) => <$params>::NAME,)+
                    Self::Automated(a) => a.filter().name(),
                }
            }

            /// Checks all parameters against their ranges. What depends on rate and layout is checked in `prepare`.
            ///
            /// # Errors
            /// [`Error::OutOfRange`] or [`Error::InvalidValue`] for the first parameter that is not allowed;
            /// [`Error::LimitExceeded`] for filters within filters deeper than [`MAX_DEPTH`].
            pub fn validate(&self) -> Result<()> {
                check_depth(self.depth())?;
                match self {
                    $(Self::$s_variant(p) => p.check_ranges(),)+
                    $(Self::$variant(p) => p.check_ranges(),)+
                    Self::Automated(a) => a.validate(),
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
                    Self::Automated(a) => return a.boxed(),
                })
            }

            /// False when the filter, or one within it, is for files only.
            pub fn is_realtime(&self) -> bool {
                match self {
                    $(Self::$s_variant(p) => p.is_realtime(),)+
                    $(Self::$variant(p) => p.is_realtime(),)+
                    Self::Automated(a) => a.filter().is_realtime(),
                }
            }

            /// Levels of filters within filters: 1 for most.
            pub(super) fn depth(&self) -> usize {
                1 + match self {
                    $(Self::$s_variant(p) => p.depth(),)+
                    $(Self::$variant(p) => p.depth(),)+
                    Self::Automated(a) => a.filter().depth() - 1,
                }
            }

            /// The real number at `index` of the parameters; none for other types. That at the start for curves.
            pub fn number(&self, index: usize) -> Option<f64> {
                match self {
                    $(Self::$s_variant(p) => p.number(index),)+
                    $(Self::$variant(p) => p.number(index),)+
                    Self::Automated(a) => a.filter().number(index),
                }
            }

            /// Sets the real number at `index`, held to its range; false for other types.
            pub(super) fn set_number(&mut self, index: usize, value: f64) -> bool {
                match self {
                    $(Self::$s_variant(p) => p.set_number(index, value),)+
                    $(Self::$variant(p) => p.set_number(index, value),)+
                    Self::Automated(_) => false,
                }
            }

            /// The JSON object, `type` first.
            pub(super) fn to_json(&self) -> Value {
                match self {
                    $(Self::$s_variant(p) => tagged(p),)+
                    $(Self::$variant(p) => tagged(p),)+
                    Self::Automated(a) => a.to_json(),
                }
            }

            /// The filter `name` with parameters from a JSON object without `type`, whose names are known to be right.
            pub(super) fn from_params(
                name: &str,
                params: Map<String, Value>,
            ) -> std::result::Result<Self, serde_json::Error> {
                match name {
                    $(<$s_params>::NAME => <$s_params>::from_object(params).map(Self::$s_variant),)+
                    $(<$params>::NAME => <$params>::from_object(params).map(Self::$variant),)+
                    other => Err(serde::de::Error::unknown_variant(other, &[])),
                }
            }

            /// Loads the recordings that parameters name, once: see [`assets`].
            ///
            /// # Errors
            /// Those of the loader.
            pub fn load_assets(&mut self, loader: &mut dyn assets::AssetLoader) -> Result<()> {
                match self {
                    $(Self::$s_variant(p) => p.load_assets(loader),)+
                    $(Self::$variant(p) => p.load_assets(loader),)+
                    Self::Automated(a) => a.load_assets(loader),
                }
            }

            /// The filter as a cascade of sections, when it is one.
            pub(super) fn as_sections(&self) -> Option<Sections> {
                match self {
                    $(Self::$s_variant(p) => Some($s_build(p)),)+
                    _ => None,
                }
            }
        }

        fn schemas(generator: &mut SchemaGenerator) -> Vec<Schema> {
            vec![$(schema::<$s_params>(generator),)+ $(schema::<$params>(generator),)+]
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
        module: P::MODULE,
        category: P::CATEGORY,
        realtime: P::REALTIME,
        summary: P::summary(),
        parameters: P::parameters(),
    }
}

fn tagged<P: FilterParams>(params: &P) -> Value {
    let mut value = json!({ "type": P::NAME });
    if let (Value::Object(to), Ok(Value::Object(from))) = (&mut value, serde_json::to_value(params)) {
        to.extend(from);
    }
    value
}

fn check_depth(depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        let (value, max) = (depth as f64, MAX_DEPTH as f64);
        return Err(Error::LimitExceeded { limit: "levels of filters within filters", value, max });
    }
    Ok(())
}

/// Schema of one filter: that of its parameters with `type`, and with curves for what is live.
fn schema<P: FilterParams>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = P::json_schema(generator);
    let live = registry::info(P::NAME).map(|info| info.parameters.iter().filter(|p| p.live)).into_iter().flatten();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for param in live {
            let curve = generator.subschema_for::<Curve>();
            let Some(Value::Object(property)) = properties.get_mut(param.name) else { continue };
            // What describes the parameter stays where it is; what describes the number goes into the choice.
            let mut number = std::mem::take(property);
            for key in ["description", "default"] {
                property.extend(number.shift_remove_entry(key));
            }
            property.insert("anyOf".into(), json!([number, curve]));
        }
        let aliases = registry::ALIASES.iter().filter(|(_, filter)| *filter == P::NAME).map(|(alias, _)| *alias);
        let names: Vec<_> = std::iter::once(P::NAME).chain(aliases).collect();
        let tag = match names.as_slice() {
            [name] => json!({ "type": "string", "const": name }),
            names => json!({ "type": "string", "enum": names }),
        };
        properties.shift_insert(0, "type".into(), tag);
    }
    schema.insert("required".into(), json!(["type"]));
    schema
}

impl JsonSchema for FilterSpec {
    fn schema_name() -> Cow<'static, str> {
        "FilterSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let filters = schemas(generator);
        schemars::json_schema!({
            "description": "A filter with its parameters: an object whose `type` is the filter's name; parameters that are \
                            not given have their defaults. Parameters that can change while the filter runs can be curves.",
            "oneOf": filters
        })
    }
}

impl Serialize for FilterSpec {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_json().serialize(s)
    }
}

impl<'de> Deserialize<'de> for FilterSpec {
    /// Ranges are left to [`FilterSpec::validate`], so that its errors keep their type.
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        parse::read(Value::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// One filter of a chain, or several whose sections became one cascade.
pub(super) struct Built {
    pub filter: Driven,
    /// For each spec of which it was made: where its parameters begin among those of the filter.
    pub first_parameters: Vec<usize>,
}

/// Makes the filters of a chain. Neighbours that are cascades of sections become one: one pass over the samples.
///
/// # Errors
/// As [`FilterSpec::validate`].
pub(super) fn build_all(specs: &[FilterSpec]) -> Result<Vec<Built>> {
    let mut built: Vec<Built> = Vec::with_capacity(specs.len());
    let mut row: Option<(Sections, Vec<usize>)> = None;
    let close = |row: &mut Option<(Sections, Vec<usize>)>, built: &mut Vec<Built>| {
        if let Some((sections, first_parameters)) = row.take() {
            built.push(Built { filter: Driven::new(Box::new(sections)), first_parameters });
        }
    };
    for spec in specs {
        spec.validate()?;
        match (spec.as_sections(), &mut row) {
            (Some(next), Some((row, first_parameters))) => {
                first_parameters.push(row.parameter_count());
                row.append(next);
            }
            (Some(first), None) => row = Some((first, vec![0])),
            (None, _) => {
                close(&mut row, &mut built);
                let filter = match spec {
                    FilterSpec::Automated(automated) => automated.build()?,
                    plain => Driven::new(plain.build()?),
                };
                built.push(Built { filter, first_parameters: vec![0] });
            }
        }
    }
    close(&mut row, &mut built);
    Ok(built)
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
    Butterworth(butterworth::ButterworthParams) => butterworth::build;
    Chebyshev1(chebyshev1::Chebyshev1Params) => chebyshev1::build;
    Chebyshev2(chebyshev2::Chebyshev2Params) => chebyshev2::build;
    Bessel(bessel::BesselParams) => bessel::build;
    ParametricEq(parametric_eq::ParametricEqParams) => parametric_eq::build;
    GraphicEq(graphic_eq::GraphicEqParams) => graphic_eq::build;
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
    Stereo(stereo::StereoParams) => stereo::Stereo::new;
    ChannelMix(channel_mix::ChannelMixParams) => channel_mix::ChannelMix::new;
    Resample(resample::ResampleParams) => resample::Resample::new;
    Fade(fade::FadeParams) => fade::Fade::new;
    TrimSilence(trim_silence::TrimSilenceParams) => trim_silence::TrimSilence::new;
    Parallel(parallel::ParallelParams) => parallel::Parallel::new;
    MidSide(mid_side::MidSideParams) => mid_side::MidSide::new;
    Channels(channels::ChannelsParams) => channels::Channels::new;
    Sidechain(sidechain::SidechainParams) => sidechain::Sidechain::new;
    Tremolo(tremolo::TremoloParams) => tremolo::Tremolo::new;
    RingMod(ring_mod::RingModParams) => ring_mod::RingMod::new;
    Vibrato(vibrato::VibratoParams) => vibrato::Vibrato::new;
    Chorus(chorus::ChorusParams) => chorus::Chorus::new;
    Flanger(flanger::FlangerParams) => flanger::Flanger::new;
    Phaser(phaser::PhaserParams) => phaser::Phaser::new;
    Echo(echo::EchoParams) => echo::Echo::new;
    Bitcrush(bitcrush::BitcrushParams) => bitcrush::Bitcrush::new;
    Reverb(reverb::ReverbParams) => reverb::Reverb::new;
    Saturation(saturation::SaturationParams) => saturation::Saturation::new;
    Exciter(exciter::ExciterParams) => exciter::Exciter::new;
    Convolution(convolution::ConvolutionParams) => convolution::Convolution::new;
    MultibandCompressor(multiband_compressor::MultibandCompressorParams) => multiband_compressor::MultibandCompressor::new;
    TransientShaper(transient_shaper::TransientShaperParams) => transient_shaper::TransientShaper::new;
    Ducker(ducker::DuckerParams) => ducker::Ducker::new;
    Clipper(clipper::ClipperParams) => clipper::Clipper::new;
    DynamicEq(dynamic_eq::DynamicEqParams) => dynamic_eq::DynamicEq::new;
    FirEq(fir_eq::FirEqParams) => fir_eq::FirEq::new;
    Crossover(crossover::CrossoverParams) => crossover::Crossover::new;
    Pan(pan::PanParams) => pan::Pan::new;
    Balance(balance::BalanceParams) => balance::Balance::new;
    Width(width::WidthParams) => width::Width::new;
    MidSideEncode(mid_side_encode::MidSideEncodeParams) => mid_side_encode::MidSideEncode::new;
    MonoMaker(mono_maker::MonoMakerParams) => mono_maker::MonoMaker::new;
    Upmix(upmix::UpmixParams) => upmix::Upmix::new;
    Downmix(downmix::DownmixParams) => downmix::Downmix::new;
    Crossfeed(crossfeed::CrossfeedParams) => crossfeed::Crossfeed::new;
    Swap(swap::SwapParams) => swap::Swap::new;
    Remap(remap::RemapParams) => remap::Remap::new;
    PhaseInvert(phase_invert::PhaseInvertParams) => phase_invert::PhaseInvert::new;
    StereoToMono(stereo_to_mono::StereoToMonoParams) => stereo_to_mono::StereoToMono::new;
    NormalizePeak(normalize_peak::NormalizePeakParams) => normalize_peak::NormalizePeak::new;
    NormalizeRms(normalize_rms::NormalizeRmsParams) => normalize_rms::NormalizeRms::new;
    Loudness(loudness::LoudnessParams) => loudness::LoudnessFilter::new;
    ReplaygainApply(replaygain_apply::ReplaygainApplyParams) => replaygain_apply::ReplaygainApply::new;
    Dither(dither::DitherParams) => dither::DitherFilter::new;
    Trim(trim::TrimParams) => trim::Trim::new;
    Pad(pad::PadParams) => pad::Pad::new;
    Reverse(reverse::ReverseParams) => reverse::Reverse::new;
    Loop(repeat::LoopParams) => repeat::Loop::new;
    Speed(speed::SpeedParams) => speed::Speed::new;
    Tempo(tempo::TempoParams) => tempo::Tempo::new;
    Pitch(pitch::PitchParams) => pitch::Pitch::new;
    CutSilence(cut_silence::CutSilenceParams) => cut_silence::CutSilence::new;
    DelayAlign(delay_align::DelayAlignParams) => delay_align::DelayAlign::new;
    Declick(declick::DeclickParams) => declick::Declick::new;
    Decrackle(decrackle::DecrackleParams) => decrackle::Decrackle::new;
    Declip(declip::DeclipParams) => declip::Declip::new;
    Dehum(dehum::DehumParams) => dehum::Dehum::new;
    DenoiseProfile(denoise_profile::DenoiseProfileParams) => denoise_profile::DenoiseProfile::new;
    Deplosive(deplosive::DeplosiveParams) => deplosive::Deplosive::new;
    Dereverb(dereverb::DereverbParams) => dereverb::Dereverb::new;
    Concat(concat::ConcatParams) => concat::Concat::new;
    Mix(mix::MixParams) => mix::Mix::new;
    Align(align::AlignParams) => align::Align::new;
    }
}
