//! From a recipe and the headers of its input to a decided job: which filters run where, at which rate, and why.

use super::cost::spool_bytes;
use super::recipe::{LevelTarget, Recipe, Verify};
use super::report::{Plan, PlannedOutput, Step};
use crate::audio::Spec;
use crate::error::{Error, Result};
use crate::filters::channel_mix::ChannelMixParams;
use crate::filters::resample::ResampleParams;
use crate::filters::{FileChain, FilterSpec};
use crate::formats::encode::{Dither, Negotiated, PcmSample, negotiate};
use crate::formats::{FormatSettings, SampleFormat, StreamInfo};

use super::pipe::BLOCK_FRAMES;

/// How the samples travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Exact integers from decoder to encoders.
    Copy,
    /// Once through the filters into the encoders.
    Direct,
    /// Filtered, measured and spooled; then gain, limiter, encoders.
    Levelled,
}

/// Everything that is decided before the first sample.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub route: Route,
    /// Filters before the measurement, with the conversions that all outputs share.
    pub front: Vec<FilterSpec>,
    /// Rate and layout after `front`.
    pub working: Spec,
    pub outputs: Vec<JobOutput>,
    pub steps: Vec<Step>,
    pub latency_s: f64,
}

/// One output of a [`Job`].
#[derive(Debug, Clone)]
pub(crate) struct JobOutput {
    pub negotiated: Negotiated,
    /// Conversions that only this output needs, before gain and limiter.
    pub back: Vec<FilterSpec>,
}

impl Job {
    /// Decides everything for an input of `stream`.
    pub fn decide(recipe: &Recipe, stream: &StreamInfo) -> Result<Self> {
        recipe.validate()?;
        let mut steps = vec![Step {
            what: format!("decode {:?} in {:?}", stream.codec, stream.container).to_lowercase(),
            why: format!("{} Hz, {}", stream.spec.rate_hz, stream.spec.layout.name()),
        }];
        if stream.delay_frames + stream.padding_frames > 0 {
            steps.push(Step {
                what: format!("drop {} + {} frames", stream.delay_frames, stream.padding_frames),
                why: "the input's encoder added them".into(),
            });
        }
        let mut front = recipe.filters.clone();
        for filter in &front {
            steps.push(Step { what: format!("filter {filter}"), why: "recipe".into() });
        }
        let mut probe = FileChain::new(&front)?;
        let filtered = probe.prepare(stream.spec, BLOCK_FRAMES)?;
        let latency_s = probe.latency_s();

        let wanted = Spec::new(recipe.rate_hz.unwrap_or(filtered.rate_hz), recipe.layout.unwrap_or(filtered.layout));
        let touched = !front.is_empty() || recipe.level.is_some() || wanted != stream.spec;
        let mut negotiated = Vec::new();
        for output in &recipe.outputs {
            let asked = output.format(&recipe.format_defaults)?;
            let mut n = negotiate(&asked, wanted, stream.sample_format)?;
            let changed = touched || n.spec != stream.spec;
            if !changed && keeps_bits(&n, stream.sample_format) {
                set_dither(&mut n.settings, Dither::None);
            } else if let Some(dither) = dither_of(&asked) {
                set_dither(&mut n.settings, dither);
            }
            negotiated.push(n);
        }
        let common = match negotiated.first() {
            Some(first) if negotiated.iter().all(|n| n.spec == first.spec) => first.spec,
            _ => wanted,
        };
        let conversions = conversions_between(filtered, common);
        for filter in &conversions {
            steps.push(Step { what: format!("filter {filter}"), why: conversion_reason(recipe, filter).into() });
        }
        front.extend(conversions);

        let exact = front.is_empty()
            && recipe.level.is_none()
            && matches!(stream.sample_format, SampleFormat::Int(_))
            && negotiated
                .iter()
                .all(|n| n.spec == stream.spec && keeps_bits(n, stream.sample_format) && is_lossless(n));
        if recipe.bit_exact && !exact {
            return Err(Error::Conflict {
                what: format!(
                    "bit_exact is not possible: the input is {:?} and every output must be lossless with at least its bits, rate and channels",
                    stream.sample_format
                ),
            });
        }
        let route = match (exact, recipe.level) {
            (true, _) if !negotiated.is_empty() => Route::Copy,
            (_, Some(_)) => Route::Levelled,
            _ => Route::Direct,
        };
        push_level_steps(&mut steps, recipe, route);
        let outputs = negotiated
            .into_iter()
            .zip(&recipe.outputs)
            .map(|(negotiated, output)| {
                let why = if negotiated.notes.is_empty() { "as asked".into() } else { negotiated.notes.join("; ") };
                steps.push(Step {
                    what: format!("encode {} to {}", negotiated.settings.name(), output.path.display()),
                    why,
                });
                JobOutput { back: conversions_between(common, negotiated.spec), negotiated }
            })
            .collect();
        if recipe.verify == Verify::Full && !recipe.outputs.is_empty() {
            steps.push(Step {
                what: "verify".into(),
                why: "decode what was written, measure it, and encode again if it misses the target".into(),
            });
        }
        Ok(Self { route, front, working: common, outputs, steps, latency_s })
    }

    /// The public form of the decisions.
    pub fn plan(&self, recipe: &Recipe, stream: &StreamInfo, spool_budget_bytes: u64) -> Plan {
        let spool_bytes = match (self.route, stream.duration) {
            (Route::Levelled, Some(d)) => Some(spool_bytes(stream.spec.seconds(d.frames), self.working)),
            (Route::Levelled, None) => None,
            _ => Some(0),
        };
        Plan {
            input: stream.clone(),
            steps: self.steps.clone(),
            working: self.working,
            latency_s: self.latency_s,
            bit_exact: self.route == Route::Copy,
            spool_bytes,
            spool_memory_bytes: spool_bytes.unwrap_or(u64::MAX).min(spool_budget_bytes),
            outputs: self
                .outputs
                .iter()
                .zip(&recipe.outputs)
                .map(|(o, r)| PlannedOutput { path: r.path.clone(), encoder: o.negotiated.clone() })
                .collect(),
        }
    }
}

fn push_level_steps(steps: &mut Vec<Step>, recipe: &Recipe, route: Route) {
    match recipe.level {
        Some(LevelTarget::Loudness { integrated_lufs, true_peak_dbtp }) => steps.push(Step {
            what: format!("gain and limiter to {integrated_lufs} LUFS, at most {true_peak_dbtp} dBTP"),
            why: "level target; the gain is solved so that the limited result meets it".into(),
        }),
        Some(LevelTarget::Rms { rms_dbfs, true_peak_dbtp }) => steps.push(Step {
            what: format!("gain and limiter to {rms_dbfs} dB RMS, at most {true_peak_dbtp} dBTP"),
            why: "level target; the gain is solved so that the limited result meets it".into(),
        }),
        None if route == Route::Copy => {
            steps.push(Step { what: "copy samples".into(), why: "nothing changes them: bit-exact".into() });
        }
        None => {}
    }
}

/// Filters that turn `from` into `to`. Channels are reduced before resampling and added after: less work.
pub(crate) fn conversions_between(from: Spec, to: Spec) -> Vec<FilterSpec> {
    let mix = (from.layout != to.layout)
        .then(|| FilterSpec::ChannelMix(ChannelMixParams { to: to.layout, ..ChannelMixParams::default() }));
    let resample = (from.rate_hz != to.rate_hz)
        .then(|| FilterSpec::Resample(ResampleParams { rate_hz: to.rate_hz, ..ResampleParams::default() }));
    if to.channels() <= from.channels() {
        mix.into_iter().chain(resample).collect()
    } else {
        resample.into_iter().chain(mix).collect()
    }
}

fn conversion_reason(recipe: &Recipe, filter: &FilterSpec) -> &'static str {
    match filter {
        FilterSpec::Resample(_) if recipe.rate_hz.is_some() => "recipe's rate_hz",
        FilterSpec::ChannelMix(_) if recipe.layout.is_some() => "recipe's layout",
        _ => "the output format needs it",
    }
}

fn is_lossless(n: &Negotiated) -> bool {
    n.settings.is_lossless()
}

/// True when every sample of `source` fits the output's samples exactly.
fn keeps_bits(n: &Negotiated, source: SampleFormat) -> bool {
    match (source, n.sample_format) {
        (SampleFormat::Int(have), SampleFormat::Int(room)) => have <= room,
        (SampleFormat::Int(have), SampleFormat::Float(_)) => have <= 24,
        _ => false,
    }
}

fn dither_of(settings: &FormatSettings) -> Option<Dither> {
    match settings {
        FormatSettings::Wav(s) | FormatSettings::W64(s) | FormatSettings::Aiff(s) | FormatSettings::Caf(s) => {
            (s.sample != Some(PcmSample::F32)).then_some(s.dither)
        }
        FormatSettings::Flac(s) => Some(s.dither),
        FormatSettings::Alac(s) => Some(s.dither),
        _ => None,
    }
}

fn set_dither(settings: &mut FormatSettings, dither: Dither) {
    match settings {
        FormatSettings::Wav(s) | FormatSettings::W64(s) | FormatSettings::Aiff(s) | FormatSettings::Caf(s) => {
            s.dither = dither;
        }
        FormatSettings::Flac(s) => s.dither = dither,
        FormatSettings::Alac(s) => s.dither = dither,
        _ => {}
    }
}
