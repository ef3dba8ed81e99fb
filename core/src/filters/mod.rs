//! Filters: one file each, one trait, one registry.
//!
//! [`FilterSpec`] says which filter with which parameters; [`Chain`] runs some in series for hosts in real time,
//! [`FileChain`] for files; [`registry`] lists them all.

pub mod allpass;
mod ar;
pub mod bandpass;
#[cfg(test)]
mod battery;
pub mod cells;
pub mod chain;
pub mod channel_mix;
mod clicks;
pub mod compressor;
pub mod dc_blocker;
pub mod de_esser;
pub mod declick;
pub mod declip;
pub mod decrackle;
pub mod dehum;
pub mod delay;
pub mod denoise_profile;
pub mod denoise_rnn;
pub mod denoise_spectral;
pub mod deplosive;
pub mod dereverb;
pub mod expander;
pub mod fade;
pub mod fifo;
pub mod file_chain;
pub mod gain;
pub mod gate;
pub mod high_shelf;
pub mod highpass;
pub mod leveler;
pub mod limiter;
pub mod low_shelf;
pub mod lowpass;
pub mod math;
pub mod notch;
pub mod params;
pub mod peak_eq;
pub mod registry;
pub mod resample;
pub mod sections;
pub mod spec;
pub mod stereo;
mod stft;
mod text;
pub mod tilt_eq;
pub mod trim_silence;
mod windows;

pub use chain::Chain;
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

    /// Forgets all signal state. Parameters stay as they were set last.
    fn reset(&mut self);
}
