//! [`Chain`]: filters in series, the real-time object given to hosts.

use std::sync::Arc;

use super::control::{ChainControl, Receiver, Target, target};
use super::driven::Driven;
use super::finite::make_finite;
use super::scaling::Scaling;
use super::spec::build_all;
use super::{Filter, FilterSpec, Prepared, registry};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

/// Time over which a parameter set by a host comes to its value, unless the host says otherwise.
pub const DEFAULT_GLIDE_MS: f64 = 20.0;

/// Filters in series.
///
/// `process` does not allocate, lock, log or panic, when all filters are real-time ([`FilterSpec::is_realtime`]). The
/// output is behind the input by [`Chain::latency_frames`]; [`super::FileChain`] compensates that for files.
///
/// Samples that are not finite become silence at the input and are counted, and so do those that overflow in the filters:
/// the output is finite.
///
/// Parameters change while it runs by [`Chain::set_parameter`], or from another thread by [`Chain::control`]. They glide
/// to their values within [`DEFAULT_GLIDE_MS`], in steps at stream positions that depend on the position of the change
/// alone: the same changes at the same positions give the same output for any block size.
pub struct Chain {
    filters: Vec<Driven>,
    /// For each spec: its stage, and where its parameters begin there.
    places: Vec<(usize, usize)>,
    targets: Arc<[Target]>,
    glide_ms: f64,
    receiver: Option<Receiver>,
    non_finite_samples: u64,
    realtime: bool,
    /// See [`Chain::scaling`].
    factors: Vec<f32>,
    prepared: Option<Prepared>,
    /// Filters already drained by `finish`.
    finished: usize,
    /// Most channels of any stage.
    max_channels: usize,
    /// Most frames of any stage.
    max_frames: usize,
    input: Spec,
}

impl Chain {
    /// A chain of `specs`, not yet prepared. An empty list passes everything through.
    ///
    /// # Errors
    /// As [`FilterSpec::validate`].
    pub fn new(specs: &[FilterSpec]) -> Result<Self> {
        let (mut filters, mut places) = (Vec::new(), Vec::new());
        for (stage, mut built) in build_all(specs)?.into_iter().enumerate() {
            let members = &specs[places.len()..][..built.first_parameters.len()];
            let numbers = members.iter().zip(&built.first_parameters).flat_map(|(spec, first)| {
                let count = registry::info(spec.name()).map_or(0, |info| info.parameters.len());
                (0..count).map(move |i| (first + i, spec.number(i).unwrap_or(f64::NAN)))
            });
            let mut values = Vec::new();
            for (index, value) in numbers {
                values.resize(values.len().max(index + 1), f64::NAN);
                values[index] = value;
            }
            built.filter.listen(values.into_iter());
            places.extend(built.first_parameters.iter().map(|first| (stage, *first)));
            filters.push(built.filter);
        }
        let mut targets = Vec::with_capacity(specs.len());
        for (spec, (stage, first)) in specs.iter().zip(&places) {
            let info = registry::info(spec.name())?;
            let free = |(index, p): (usize, &super::ParamInfo)| p.live && !filters[*stage].has_curve(first + index);
            targets.push(Target { info, free: info.parameters.iter().enumerate().map(free).collect() });
        }
        let factors = Vec::with_capacity(filters.len());
        Ok(Self {
            filters,
            places,
            targets: targets.into(),
            glide_ms: DEFAULT_GLIDE_MS,
            receiver: None,
            non_finite_samples: 0,
            factors,
            realtime: specs.iter().all(FilterSpec::is_realtime),
            prepared: None,
            finished: 0,
            max_channels: 0,
            max_frames: 0,
            input: Spec::new(48_000, ChannelLayout::MONO),
        })
    }

    /// Sets up for blocks of at most `max_frames` frames of `spec`. Allocates. May be called again; the chain is then as
    /// new.
    ///
    /// # Errors
    /// As [`Filter::prepare`]; [`Error::OutOfRange`] for no channels, no rate, or a block of 0 or more than 2^24 frames.
    pub fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        check_stream(spec, max_frames)?;
        let mut total = Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 };
        (self.max_channels, self.max_frames) = (spec.channels(), max_frames);
        let (mut latency_s, mut tail_s) = (0.0, 0.0);
        for filter in &mut self.filters {
            let stage = filter.prepare(total.spec, total.max_frames)?;
            latency_s += stage.spec.seconds(stage.latency_frames as u64);
            // What rings on goes through the filters that follow, and rings there.
            tail_s += stage.spec.seconds(stage.tail_frames as u64);
            total = stage;
            self.max_channels = self.max_channels.max(total.spec.channels());
            self.max_frames = self.max_frames.max(total.max_frames);
        }
        // Counted at the rate of the output; whole frames when no filter changes the rate.
        total.latency_frames = (latency_s * f64::from(total.spec.rate_hz)).round() as usize;
        total.tail_frames = (tail_s * f64::from(total.spec.rate_hz)).round() as usize;
        self.prepared = Some(total);
        self.input = spec;
        self.finished = 0;
        Ok(total)
    }

    /// A block that suits `process`: empty, of the input's spec, with room for every stage. Allocates.
    ///
    /// # Errors
    /// [`Error::Conflict`] before `prepare`.
    pub fn new_block(&self) -> Result<Buffer> {
        if self.prepared.is_none() {
            return Err(Error::Conflict { what: "prepare the chain before asking for its block".into() });
        }
        let widest = Spec::new(self.input.rate_hz, ChannelLayout::discrete(self.max_channels));
        let mut block = Buffer::new(widest, self.max_frames);
        block.set_spec(self.input);
        Ok(block)
    }

    /// Processes one block in place. The block must come from [`Chain::new_block`] or have as much room, and hold the
    /// spec and at most the frames that were prepared. Leaves the block alone before `prepare`.
    ///
    /// # Real-time
    /// Safe, when [`Chain::is_realtime`].
    pub fn process(&mut self, block: &mut Buffer) {
        debug_assert!(self.prepared.is_none() || block.spec() == self.input, "prepared for another spec");
        if self.prepared.is_none() {
            return;
        }
        if let Some(mut scaling) = self.scaling(block.frames()) {
            return block.channels_mut().for_each(|samples| scaling.apply(samples));
        }
        self.filters_alone(block);
    }

    /// As `process`, whatever the filters are.
    pub(super) fn filters_alone(&mut self, block: &mut Buffer) {
        self.receive();
        let mut replaced = make_finite(block);
        for filter in &mut self.filters {
            filter.process(block);
        }
        replaced += make_finite(block);
        self.non_finite_samples += replaced;
    }

    /// For hosts that have samples in memory of their own: takes the next `frames` frames as processed and gives what does it
    /// where they lie, without a copy, when all that the filters do to them is to multiply. `None` when they do more, or before
    /// `prepare`: then nothing has happened yet, and [`Chain::process`] does it. There is no limit to `frames`.
    ///
    /// # Real-time
    /// Safe.
    pub fn scaling(&mut self, frames: usize) -> Option<Scaling<'_>> {
        self.prepared?;
        self.receive();
        self.factors.clear();
        for filter in &self.filters {
            self.factors.push(filter.factor(frames)?); // as many were reserved
        }
        for filter in &mut self.filters {
            filter.skip(frames);
        }
        Some(Scaling { factors: &self.factors, non_finite_samples: &mut self.non_finite_samples })
    }

    /// Takes what the control has sent.
    fn receive(&mut self) {
        // No more than fits, so that a busy control thread cannot hold up the audio.
        for _ in 0..super::control::CONTROL_CAPACITY {
            let Some((filter, parameter, value)) = self.receiver.as_mut().and_then(Receiver::pop) else { return };
            self.set_parameter_at(filter, parameter, value);
        }
    }

    /// Sets a parameter of the filter at `filter` in the list that the chain was made of. It glides to `value` within
    /// [`Chain::set_glide_ms`]; before the first frame it is there at once. For hosts that own the chain; from another
    /// thread see [`Chain::control`].
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a filter that is not there, or a value outside the range or above what the prepared rate
    /// allows; [`Error::UnknownName`]; [`Error::InvalidValue`] for a parameter that cannot change while the filter runs;
    /// [`Error::Conflict`] for one that follows a curve.
    pub fn set_parameter(&mut self, filter: usize, name: &str, value: f64) -> Result<()> {
        let parameter = target(&self.targets, filter)?.check(name, value)?;
        let (stage, first) = self.places[filter];
        self.filters[stage].check_parameter(first + parameter, value)?;
        if self.set_parameter_at(filter, parameter, value) {
            return Ok(());
        }
        Err(Error::internal("a live parameter was refused"))
    }

    /// As [`Chain::set_parameter`] by the parameter's place in the registry
    /// ([`super::FilterInfo::parameter_index`]). The value is held to its range. False where [`Chain::set_parameter`]
    /// fails.
    ///
    /// # Real-time
    /// Safe.
    pub fn set_parameter_at(&mut self, filter: usize, parameter: usize, value: f64) -> bool {
        let (Some(target), Some((stage, first))) = (self.targets.get(filter), self.places.get(filter)) else {
            return false;
        };
        let (Some(param), Some(true)) = (target.info.parameters.get(parameter), target.free.get(parameter)) else {
            return false;
        };
        let value = value.clamp(param.min.unwrap_or(f64::MIN), param.max.unwrap_or(f64::MAX));
        let driven = &mut self.filters[*stage];
        let glide_frames = (self.glide_ms * f64::from(driven.rate_hz()) / 1000.0).round() as u64;
        driven.glide_to(first + parameter, value, glide_frames)
    }

    /// The value that a parameter which is a real number has, or is on its way to; of a curve that at its start.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a filter that is not there; [`Error::UnknownName`]; [`Error::InvalidValue`] for a
    /// parameter that is no real number.
    pub fn parameter(&self, filter: usize, name: &str) -> Result<f64> {
        let info = target(&self.targets, filter)?.info;
        let (stage, first) = self.places[filter];
        let value = self.filters[stage].target(first + info.parameter_index(name)?);
        value.filter(|v| !v.is_nan()).ok_or_else(|| Error::InvalidValue {
            name: format!("{}.{name}", info.name),
            value: name.into(),
            allowed: "parameters that are real numbers".into(),
        })
    }

    /// Sets the time over which parameters come to their values, for changes from now on. 0 to 1000 ms, default
    /// [`DEFAULT_GLIDE_MS`]. It is rounded up to a multiple of 32 frames; 0 sets values at once.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn set_glide_ms(&mut self, glide_ms: f64) -> Result<()> {
        Error::check_range("glide_ms", glide_ms, 0.0, 1000.0, "ms")?;
        self.glide_ms = glide_ms;
        Ok(())
    }

    /// A control for another thread, in place of the one that was made before. Allocates.
    pub fn control(&mut self) -> ChainControl {
        let (control, receiver) = ChainControl::pair(Arc::clone(&self.targets));
        self.receiver = Some(receiver);
        control
    }

    /// Samples that were NaN or infinite at the input, or became so in the filters, since the chain was made. They were
    /// replaced by silence.
    pub fn non_finite_samples(&self) -> u64 {
        self.non_finite_samples
    }

    /// After the last `process`: replaces the content of `block` by frames that filters held back. Call until it leaves
    /// 0 frames. Feed [`Chain::latency_frames`] of silence before, to get what is still on its way.
    pub fn finish(&mut self, block: &mut Buffer) {
        while self.finished < self.filters.len() {
            let (done, rest) = self.filters.split_at_mut(self.finished + 1);
            done[self.finished].finish(block);
            if block.frames() == 0 {
                self.finished += 1;
                continue;
            }
            for filter in rest {
                filter.process(block);
            }
            if block.frames() > 0 {
                self.non_finite_samples += make_finite(block);
                return;
            }
        }
        block.set_frames(0);
    }

    /// Forgets all signal state: as after `prepare`. Real-time safe as `process`.
    pub fn reset(&mut self) {
        self.finished = 0;
        for filter in &mut self.filters {
            filter.reset();
        }
    }

    /// Frames (of the output) by which the output is behind the input; 0 before `prepare`.
    pub fn latency_frames(&self) -> usize {
        self.prepared.map_or(0, |p| p.latency_frames)
    }

    /// Frames of sound that may follow the end of the input; 0 before `prepare`.
    pub fn tail_frames(&self) -> usize {
        self.prepared.map_or(0, |p| p.tail_frames)
    }

    /// What `prepare` told.
    pub fn prepared(&self) -> Option<Prepared> {
        self.prepared
    }

    /// True when no filter is for files only.
    pub fn is_realtime(&self) -> bool {
        self.realtime
    }

    /// Number of stages: at most that of the filters, as neighbouring equalisers become one.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// True when there are no filters.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }
}

/// Refuses streams that cannot be.
pub(super) fn check_stream(spec: Spec, max_frames: usize) -> Result<()> {
    Error::check_range("rate_hz", f64::from(spec.rate_hz), 1_000.0, 3_072_000.0, "Hz")?;
    Error::check_range("channels", spec.channels() as f64, 1.0, 1024.0, "")?;
    Error::check_range("max_frames", max_frames as f64, 1.0, 16_777_216.0, "frames")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_run_in_order_and_latencies_add_up() {
        let specs: Vec<FilterSpec> =
            ["gain:gain_db=6", "limiter", "gain:gain_db=-6", "limiter"].iter().map(|s| s.parse().unwrap()).collect();
        let mut chain = Chain::new(&specs).unwrap();
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        let one = Chain::new(&specs[1..2]).unwrap().prepare(spec, 64).unwrap().latency_frames;
        assert!(chain.new_block().is_err());
        assert_eq!(chain.prepare(spec, 64).unwrap().latency_frames, 2 * one);
        let mut block = chain.new_block().unwrap();
        let mut out = Vec::new();
        for _ in 0..40 {
            block.set_spec(spec);
            block.set_frames(64);
            block.channels_mut().for_each(|c| c.fill(0.25));
            chain.process(&mut block);
            out.extend_from_slice(block.channel(1));
        }
        assert!(out[..2 * one].iter().all(|y| *y == 0.0));
        assert!((out[2 * one] - 0.25).abs() < 1e-7); // two roundings
    }

    #[test]
    fn an_impossible_stream_is_refused() {
        let mut chain = Chain::new(&[]).unwrap();
        assert!(chain.is_empty());
        assert!(chain.prepare(Spec::new(0, ChannelLayout::MONO), 64).is_err());
        assert!(chain.prepare(Spec::new(48_000, ChannelLayout::discrete(0)), 64).is_err());
        assert!(chain.prepare(Spec::new(48_000, ChannelLayout::MONO), 0).is_err());
    }
}
