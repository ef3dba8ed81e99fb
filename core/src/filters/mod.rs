//! Filters: one file each, one trait, one registry.
//!
//! [`FilterSpec`] says which filter with which parameters; [`Chain`] runs some in series for hosts in real time,
//! [`FileChain`] for files; [`registry`] lists them all.

pub mod align;
pub mod allpass;
mod ar;
pub mod assets;
pub mod automation;
pub mod balance;
pub mod bandpass;
#[cfg(test)]
mod battery;
pub mod bessel;
pub mod bitcrush;
mod branch;
pub mod butterworth;
pub mod cells;
pub mod chain;
pub mod channel_list;
pub mod channel_mix;
pub mod channels;
pub mod chebyshev1;
pub mod chebyshev2;
pub mod chorus;
mod clicks;
pub mod clipper;
pub mod compressor;
pub mod concat;
pub mod control;
pub mod convolution;
pub mod crossfade;
pub mod crossfeed;
pub mod crossover;
pub mod curve;
pub mod cut_silence;
pub mod dc_blocker;
pub mod de_esser;
pub mod declick;
pub mod declip;
pub mod decrackle;
pub mod dehum;
pub mod delay;
pub mod delay_align;
pub mod denoise_profile;
pub mod denoise_rnn;
pub mod denoise_spectral;
pub mod deplosive;
pub mod dereverb;
mod detector;
pub mod dither;
pub mod downmix;
mod driven;
pub mod ducker;
pub mod dynamic_eq;
pub mod echo;
pub mod examples;
pub mod exciter;
pub mod expander;
pub mod fade;
pub mod fifo;
pub mod file_chain;
#[cfg(test)]
mod file_testing;
mod finite;
pub mod fir_eq;
pub mod flanger;
pub mod fractional_delay;
pub mod gain;
mod gain_computer;
pub mod gate;
pub mod graphic_eq;
pub mod high_shelf;
pub mod highpass;
pub mod iir_band;
pub mod join;
pub mod leveler;
pub mod lfo;
pub mod limiter;
pub mod loudness;
pub mod low_shelf;
pub mod lowpass;
pub mod math;
pub mod mid_side;
pub mod mid_side_encode;
pub mod mix;
pub mod modulated_delay;
pub mod mono_maker;
pub mod multiband_compressor;
mod normalize;
pub mod normalize_peak;
pub mod normalize_rms;
pub mod notch;
pub mod pad;
pub mod pan;
pub mod parallel;
pub mod parametric_eq;
pub mod params;
mod parse;
pub mod peak_eq;
pub mod phase_invert;
pub mod phaser;
pub mod pitch;
pub mod recording;
pub mod registry;
pub mod remap;
pub mod repeat;
pub mod replaygain_apply;
pub mod resample;
pub mod reverb;
pub mod reverse;
pub mod ring_mod;
pub mod saturation;
mod scaling;
pub mod sections;
pub mod sidechain;
pub mod spec;
pub mod speed;
pub mod stereo;
pub mod stereo_to_mono;
mod stft;
pub mod swap;
pub mod tape;
pub mod tempo;
mod text;
pub mod tilt_eq;
pub mod transient_shaper;
pub mod tremolo;
mod trigger;
pub mod trim;
pub mod trim_silence;
pub mod upmix;
pub mod vibrato;
pub mod whole_file;
pub mod width;
mod windows;

pub use automation::Automated;
pub use chain::Chain;
pub use control::ChainControl;
pub use curve::{Curve, CurveShape};
pub use file_chain::FileChain;
pub use params::{Category, ParamInfo, ParamKind};
pub use registry::{FilterInfo, filters};
pub use scaling::Scaling;
pub use spec::FilterSpec;

use std::borrow::Cow;

use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// What a filter needs and gives for a stream, told by [`Filter::prepare`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prepared {
    /// Rate and layout of the output.
    pub spec: Spec,
    /// Most frames that one `process` or `finish` leaves in the block, for the `max_frames` that was prepared.
    pub max_frames: usize,
    /// Frames by which the output is behind the input. Filters that change the number of frames (resample, trim)
    /// compensate themselves and say 0.
    pub latency_frames: usize,
    /// Frames of sound that may follow the end of the input (reverb, echo); 0 for most.
    pub tail_frames: usize,
}

/// Something that a filter found in a file, or did to it, for the report.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Name of the filter.
    pub filter: Cow<'static, str>,
    /// What it is, such as `cut`.
    pub what: Cow<'static, str>,
    /// Where it begins, in seconds of the filter's input.
    pub start_s: f64,
    /// Where it ends, in seconds of the filter's input.
    pub end_s: f64,
}

/// An audio processor with state.
///
/// Any split of a stream into blocks gives the same output. After `reset` a filter behaves as new.
pub trait Filter: Send {
    /// Sets up for blocks of at most `max_frames` frames of `spec`. May allocate; the only call that can fail.
    ///
    /// # Errors
    /// A parameter that does not fit `spec` (such as a cut-off above the Nyquist frequency), an unsupported layout.
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared>;

    /// Says before `prepare` that the stream is a file, where latency costs nothing: a filter may look ahead further than it
    /// would live.
    fn for_file(&mut self) {}

    /// Processes one block in place. Filters that change rate, layout or length change those of the block; its storage
    /// must have been reserved for [`Prepared::spec`] and [`Prepared::max_frames`] as well as for the input.
    ///
    /// Real-time safe unless the filter's documentation says it is for files only.
    fn process(&mut self, block: &mut Buffer);

    /// After the last `process`: replaces the content of `block` by frames that were held back. Call until it leaves 0
    /// frames. Latency is not handled here: the caller feeds `latency_frames` of silence.
    fn finish(&mut self, block: &mut Buffer) {
        block.set_frames(0);
    }

    /// What went wrong since the last call. Only filters for files that spool to disk have anything to tell.
    fn take_error(&mut self) -> Option<Error> {
        None
    }

    /// As `process`, with the dynamics controlled by `key`, which has as many frames and the same rate. Filters without a
    /// detector ignore the key.
    fn process_keyed(&mut self, block: &mut Buffer, _key: &Buffer) {
        self.process(block);
    }

    /// Changes the parameter at `index` (its place in the registry) from the next frame on. False when it cannot change
    /// while the filter runs: no real number, or one that decides sizes or latency. Holds `value` to its range.
    /// Real-time safe.
    fn set_parameter(&mut self, _index: usize, _value: f64) -> bool {
        false
    }

    /// As [`Filter::set_parameter`], for a value that goes on a straight line from `from` to `to` over the next `frames`
    /// frames. Filters that can follow it sample by sample do; by default it is `from` for all of them, and the caller
    /// gives the next value after at most [`curve::CONTROL_FRAMES`] frames. Real-time safe.
    fn ramp_parameter(&mut self, index: usize, from: f64, _to: f64, _frames: usize) -> bool {
        self.set_parameter(index, from)
    }

    /// Checks a value for the parameter at `index` against what the range does not say, such as the Nyquist frequency of
    /// the stream that is prepared. Where this fails [`Filter::set_parameter`] holds to the nearest that is possible.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    fn check_parameter(&self, _index: usize, _value: f64) -> Result<()> {
        Ok(())
    }

    /// The factor that each sample is multiplied by until the next change of a parameter, when that is all that the filter does,
    /// without state. Real-time safe.
    fn factor(&self) -> Option<f32> {
        None
    }

    /// What was found since the last call, in order of time. Only some filters for files have anything to tell.
    fn take_findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }

    /// Forgets all signal state. Parameters stay as they were set last.
    fn reset(&mut self);
}
