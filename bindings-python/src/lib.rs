//! The Python extension `pure_sound._native`: conversions between Python and the crate `pure-sound`, nothing else.
//!
//! Records and options cross as JSON text; samples cross as numpy arrays of float32 that are neither copied nor converted.
//! Whatever may last longer than some microseconds runs without the interpreter's lock. The package around it
//! (`python/pure_sound`) adds what is idiomatic: keywords, exceptions, iterators, awaitable forms, display.

// Border crate: numpy hands over raw memory. Each use says why it is sound.
#![allow(unsafe_code)]

mod chain;
mod decoder;
mod encoder;
mod engine;
mod errors;
mod events;
mod fork;
mod jobs;
mod meter;
mod observe;
mod pictures;
mod resampler;
mod run;
mod samples;
mod sources;
mod tables;

use pyo3::prelude::*;

/// Conversions to the Rust crate. Use the package `pure_sound`, which is built on this.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::chain::Chain;
    #[pymodule_export]
    use crate::decoder::Decoder;
    #[pymodule_export]
    use crate::encoder::Encoder;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::events::{Poller, Subscription};
    #[pymodule_export]
    use crate::jobs::Jobs;
    #[pymodule_export]
    use crate::meter::Meter;
    #[pymodule_export]
    use crate::observe::shut_logs;
    #[pymodule_export]
    use crate::pictures::{
        analysis_page, classify, compare, comparison_page, recommend, spectrogram_png, waveform_peaks, waveform_png,
    };
    #[pymodule_export]
    use crate::resampler::Resampler;
    #[pymodule_export]
    use crate::run::CancelToken;
    #[pymodule_export]
    use crate::tables::{error_table, filters, panic_for_tests, schema, version};
}
