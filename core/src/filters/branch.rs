//! [`Branch`]: filters in series within another filter, for routing.

use super::assets::AssetLoader;
use super::delay::Delay;
use super::driven::Driven;
use super::params::{Category, ParamKind, ParamValue};
use super::spec::build_all;
use super::{Filter, FilterSpec, registry};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

impl ParamValue for Vec<FilterSpec> {
    const KIND: ParamKind = ParamKind::List;

    fn is_realtime(&self) -> bool {
        self.iter().all(FilterSpec::is_realtime)
    }

    fn depth(&self) -> usize {
        self.iter().map(FilterSpec::depth).max().unwrap_or(0)
    }

    fn check_parts(&self, name: &str) -> Result<()> {
        check_filters(name, self)
    }

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.iter_mut().try_for_each(|filter| filter.load_assets(loader))
    }
}

/// Channel numbers, from 1.
impl ParamValue for Vec<u32> {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        check_channels(name, self)
    }
}

/// Most filters of one list.
const MAX_FILTERS: usize = 64;
/// Highest channel number.
const MAX_CHANNELS: f64 = 1024.0;

/// Checks filters within a filter; errors name the place.
pub(super) fn check_filters(name: &str, specs: &[FilterSpec]) -> Result<()> {
    Error::check_range(name, specs.len() as f64, 0.0, MAX_FILTERS as f64, "filters")?;
    for (index, spec) in specs.iter().enumerate() {
        spec.validate().map_err(|mut error| {
            if let Error::OutOfRange { name: inner, .. } | Error::InvalidValue { name: inner, .. } = &mut error {
                *inner = format!("{name}[{index}].{inner}");
            }
            error
        })?;
    }
    Ok(())
}

/// Checks channel numbers: from 1, none twice.
pub(super) fn check_channels(name: &str, numbers: &[u32]) -> Result<()> {
    for (n, number) in numbers.iter().enumerate() {
        Error::check_range(&format!("{name}[{n}]"), f64::from(*number), 1.0, MAX_CHANNELS, "")?;
        if numbers[..n].contains(number) {
            return Err(Error::Conflict { what: format!("{name}: channel {number} is given twice") });
        }
    }
    Ok(())
}

/// Indices from 0 of the channels `numbers` of a stream; all when there are none.
pub(super) fn indices(name: &str, numbers: &[u32], spec: Spec) -> Result<Vec<usize>> {
    if numbers.is_empty() {
        return Ok((0..spec.channels()).collect());
    }
    for number in numbers {
        Error::check_range(name, f64::from(*number), 1.0, spec.channels() as f64, "")?;
    }
    Ok(numbers.iter().map(|n| *n as usize - 1).collect())
}

/// Copies channels of `from` to those of `to`, in order.
pub(super) fn gather(from: &Buffer, indices: &[usize], to: &mut Buffer) {
    to.set_frames(from.frames());
    for (channel, index) in to.channels_mut().zip(indices) {
        channel.copy_from_slice(from.channel(*index));
    }
}

/// The way back of [`gather`].
pub(super) fn scatter(from: &Buffer, indices: &[usize], to: &mut Buffer) {
    for (channel, index) in from.channels().zip(indices) {
        to.channel_mut(*index).copy_from_slice(channel);
    }
}

/// Delays for all channels of a stream.
pub(super) fn delays(channels: usize, frames: usize) -> Vec<Delay> {
    vec![Delay::new(frames); channels]
}

/// One or several filters that became one.
struct Stage {
    filter: Driven,
    name: &'static str,
    /// Keeps a key in time with what leaves this stage.
    key_delays: Vec<Delay>,
}

/// Filters in series on a block of its own.
///
/// They must keep rate, channels and the number of frames; what a stage does to the length in spite of that is cut or
/// filled with silence, and told by `take_error`.
pub(super) struct Branch {
    specs: Vec<FilterSpec>,
    stages: Vec<Stage>,
    align: Vec<Delay>,
    /// What goes in and comes out.
    pub block: Buffer,
    spec: Spec,
    pub latency_frames: usize,
    pub tail_frames: usize,
    error: Option<Error>,
}

impl Branch {
    /// Filters that were checked by [`check_filters`], not yet prepared.
    pub fn new(specs: &[FilterSpec]) -> Self {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        Self {
            specs: specs.to_vec(),
            stages: Vec::new(),
            align: Vec::new(),
            block: Buffer::new(spec, 0),
            spec,
            latency_frames: 0,
            tail_frames: 0,
            error: None,
        }
    }

    /// Makes and prepares the filters. `key_channels` is the number of channels of the key that `process` will get.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a filter that changes rate, channels or length; whatever a filter's `prepare` says.
    pub fn prepare(&mut self, name: &str, spec: Spec, max_frames: usize, key_channels: usize) -> Result<()> {
        let refuse = |filter: &str, what| Error::Unsupported {
            what,
            value: format!("{filter} in {name}"),
            hint: Some("put it before or after the filter that holds the branch".into()),
        };
        for spec in &self.specs {
            // Filters for files alone either keep the length, as a slow noise reduction does, or have it as their purpose
            // or look ahead over all of it: those are of time and level.
            let info = registry::info(spec.name())?;
            if !info.realtime && matches!(info.category, Category::Time | Category::Level) {
                return Err(refuse(info.name, "change of the length within a branch"));
            }
        }
        let mut stages = Vec::with_capacity(self.specs.len());
        let mut names = self.specs.iter().map(FilterSpec::name);
        let (mut at, mut channels) = (spec, spec.channels());
        (self.latency_frames, self.tail_frames) = (0, 0);
        for mut built in build_all(&self.specs)? {
            let filter_name = names.next().unwrap_or_default();
            names.by_ref().take(built.first_parameters.len() - 1).for_each(drop);
            let prepared = built.filter.prepare(at, max_frames)?;
            if prepared.spec.rate_hz != spec.rate_hz {
                return Err(refuse(filter_name, "change of the rate within a branch"));
            }
            if prepared.max_frames != max_frames {
                return Err(refuse(filter_name, "change of the length within a branch"));
            }
            (at, channels) = (prepared.spec, channels.max(prepared.spec.channels()));
            self.latency_frames += prepared.latency_frames;
            self.tail_frames += prepared.tail_frames;
            let key_delays = delays(key_channels, prepared.latency_frames);
            stages.push(Stage { filter: built.filter, name: filter_name, key_delays });
        }
        if at.channels() != spec.channels() {
            let last = self.specs.last().map_or("", FilterSpec::name);
            return Err(refuse(last, "change of the number of channels within a branch"));
        }
        self.block = Buffer::new(Spec::new(spec.rate_hz, ChannelLayout::discrete(channels)), max_frames);
        (self.stages, self.spec, self.error) = (stages, spec, None);
        self.align = delays(spec.channels(), 0);
        self.block.set_spec(spec);
        Ok(())
    }

    /// Delays the output, so that the latency is `latency_frames` in all.
    pub fn align_to(&mut self, latency_frames: usize) {
        self.align = delays(self.spec.channels(), latency_frames - self.latency_frames);
    }

    /// Takes over all channels of `block`.
    pub fn take(&mut self, block: &Buffer) {
        self.block.copy_from(block, 0, block.frames());
    }

    /// Runs the filters on `self.block`. A key is delayed along with the sound.
    pub fn process(&mut self, mut key: Option<&mut Buffer>) {
        let frames = self.block.frames();
        for stage in &mut self.stages {
            match &mut key {
                Some(key) => {
                    stage.filter.process_keyed(&mut self.block, key);
                    key.channels_mut().zip(&mut stage.key_delays).for_each(|(c, d)| d.process(c));
                }
                None => stage.filter.process(&mut self.block),
            }
            if self.block.frames() != frames {
                let got = self.block.frames().min(frames);
                self.block.set_frames(frames);
                self.block.channels_mut().for_each(|c| c[got..].fill(0.0));
                if self.error.is_none() {
                    self.error = Some(Error::Unsupported {
                        what: "change of the length within a branch",
                        value: stage.name.into(),
                        hint: None,
                    });
                }
            }
        }
        if self.block.channel_count() != self.spec.channels() {
            self.block.set_spec(self.spec);
            self.block.set_frames(frames);
        }
        self.block.channels_mut().zip(&mut self.align).for_each(|(c, d)| d.process(c));
    }

    /// Ready for the next block, with the channels of the stream.
    pub fn clear(&mut self) {
        self.block.set_spec(self.spec);
    }

    /// The first error of a filter since the last call.
    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take().or_else(|| self.stages.iter_mut().find_map(|s| s.filter.take_error()))
    }

    /// Forgets all signal state.
    pub fn reset(&mut self) {
        for stage in &mut self.stages {
            stage.filter.reset();
            stage.key_delays.iter_mut().for_each(Delay::reset);
        }
        self.align.iter_mut().for_each(Delay::reset);
        self.clear();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Chain, Prepared};
    use super::*;

    /// Noise of `channels` channels, each its own.
    pub fn noise(spec: Spec, frames: usize) -> Buffer {
        let plane = |c: usize| {
            let hash = |i: u32| (i.wrapping_mul(2_654_435_761) ^ i >> 7).wrapping_mul(40_503 + c as u32 * 2);
            (0..frames as u32).map(|i| ((hash(i) >> 8) as f32 / 8_388_608.0 - 1.0) * 0.5).collect::<Vec<f32>>()
        };
        Buffer::from_channels(spec, &(0..spec.channels()).map(plane).collect::<Vec<_>>())
    }

    /// Output of one filter in one block, and what it told.
    pub fn run(text: &str, input: &Buffer) -> (Buffer, Prepared) {
        let mut chain = Chain::new(&[FilterSpec::parse(text).unwrap()]).unwrap();
        let prepared = chain.prepare(input.spec(), input.frames()).unwrap();
        let mut block = chain.new_block().unwrap();
        block.copy_from(input, 0, input.frames());
        chain.process(&mut block);
        (block, prepared)
    }

    pub fn stereo() -> Spec {
        Spec::new(48_000, ChannelLayout::STEREO)
    }

    #[test]
    fn what_a_branch_cannot_hold_is_refused_by_name() {
        let says = |filters: &str| {
            let spec = FilterSpec::parse(&format!(r#"{{"type":"mid_side","mid":[{filters}]}}"#))?;
            Chain::new(&[spec])?.prepare(stereo(), 64)
        };
        let text = |filters: &str| says(filters).unwrap_err().to_string();
        assert_eq!(
            text(r#"{"type":"trim_silence"}"#),
            "unsupported change of the length within a branch: trim_silence in mid_side.mid (put it before or after the \
             filter that holds the branch)"
        );
        assert!(text(r#"{"type":"gain"},{"type":"resample","rate_hz":32000}"#).contains("change of the rate"));
        assert!(text(r#"{"type":"channel_mix","to":"stereo"}"#).contains("number of channels"));
        assert!(says(r#"{"type":"channel_mix","to":"stereo"},{"type":"channel_mix","to":"mono"}"#).is_ok());
        assert_eq!(
            text(r#"{"type":"gain"},{"type":"gain","gain_db":99}"#),
            "mid_side.mid[1].gain.gain_db is 99 dB, allowed is -120 to 60 dB"
        );
        assert!(text(r#"{"type":"gian"}"#).contains("did you mean 'gain'?"));
    }

    #[test]
    fn filters_nest_to_a_limit() {
        let nested = |levels: usize| {
            let (mut text, mut end) = (String::new(), String::new());
            for _ in 1..levels {
                text += r#"{"type":"mid_side","mid":["#;
                end += "]}";
            }
            text += r#"{"type":"gain"}"#;
            FilterSpec::parse(&(text + &end))
        };
        let spec = nested(8).unwrap();
        assert_eq!(spec.depth(), 8);
        let back: FilterSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(back, spec);
        assert!(matches!(nested(9), Err(Error::LimitExceeded { value: 9.0, max: 8.0, .. })));
        assert!(matches!(nested(60), Err(Error::LimitExceeded { .. })));
        assert!(nested(2_000).is_err(), "the JSON reader's own limit");
        assert!(!FilterSpec::parse(r#"{"type":"mid_side","mid":[{"type":"denoise_rnn"}]}"#).unwrap().is_realtime());
        assert!(spec.is_realtime());
    }

    #[test]
    fn a_key_stays_in_time_with_the_sound() {
        let specs = [FilterSpec::parse("limiter").unwrap(), FilterSpec::parse("gain").unwrap()];
        let mut branch = Branch::new(&specs);
        branch.prepare("test", stereo(), 1_000, 2).unwrap();
        branch.align_to(branch.latency_frames);
        let input = noise(stereo(), 1_000);
        let mut key = input.clone();
        branch.take(&input);
        branch.process(Some(&mut key));
        // Below the ceiling the limiter is a delay: sound and key are the same again.
        assert!(branch.latency_frames > 0);
        assert!(branch.block.channels().eq(key.channels()));
    }
}
