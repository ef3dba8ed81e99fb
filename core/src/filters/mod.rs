//! Filters: one file each, one trait, one registry.
//!
//! [`FilterSpec`] says which filter with which parameters; [`Chain`] runs some in series for hosts in real time,
//! [`FileChain`] for files; [`registry`] lists them all.

pub mod allpass;
pub mod automation;
pub mod bandpass;
#[cfg(test)]
mod battery;
mod branch;
pub mod cells;
pub mod chain;
pub mod channel_mix;
pub mod channels;
pub mod compressor;
pub mod control;
pub mod curve;
pub mod dc_blocker;
pub mod de_esser;
pub mod delay;
pub mod denoise_rnn;
pub mod denoise_spectral;
mod driven;
pub mod examples;
pub mod expander;
pub mod fade;
pub mod fifo;
pub mod file_chain;
mod finite;
pub mod gain;
pub mod gate;
pub mod high_shelf;
pub mod highpass;
pub mod leveler;
pub mod limiter;
pub mod low_shelf;
pub mod lowpass;
pub mod math;
pub mod mid_side;
pub mod notch;
pub mod parallel;
pub mod params;
mod parse;
pub mod peak_eq;
pub mod registry;
pub mod resample;
pub mod sections;
pub mod sidechain;
pub mod spec;
pub mod stereo;
mod text;
pub mod tilt_eq;
pub mod trim_silence;

pub use automation::Automated;
pub use chain::Chain;
pub use control::ChainControl;
pub use curve::{Curve, CurveShape};
pub use file_chain::FileChain;
pub use params::{Category, ParamInfo, ParamKind};
pub use registry::{FilterInfo, filters};
pub use spec::FilterSpec;

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

/// An audio processor with state.
///
/// Any split of a stream into blocks gives the same output. After `reset` a filter behaves as new.
pub trait Filter: Send {
    /// Sets up for blocks of at most `max_frames` frames of `spec`. May allocate; the only call that can fail.
    ///
    /// # Errors
    /// A parameter that does not fit `spec` (such as a cut-off above the Nyquist frequency), an unsupported layout.
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared>;

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

    /// Forgets all signal state. Parameters stay as they were set last.
    fn reset(&mut self);
}
