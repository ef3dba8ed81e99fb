//! Comparing an input with its reference.

use std::cell::RefCell;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::admission::Admitted;
use super::observed::Call;
use crate::analysis::compare::{ALIGN_S, CompareParams, Comparison, compare_all};
use crate::error::Result;
use crate::formats::{MediaInfo, ReadOptions, Source};
use crate::processing::progress::Tracker;
use crate::processing::{Control, Cost, Stage};

/// What [`Engine::compare`] is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareOptions {
    /// How to read both inputs.
    pub read: ReadOptions,
    /// How to compare them.
    pub compare: CompareParams,
}

impl Engine {
    /// Tells how far a recording lies off its reference: signal to noise ratios, log-spectral distance, and what a listener would notice.
    /// Both are decoded once, converted to 48 kHz and aligned; memory does not grow with their length. Waits while the budgets have no
    /// room for it.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`] and of [`crate::resources::ResourcePool::acquire`]; [`crate::Error::InvalidValue`] for different
    /// numbers of channels without `mix_to_mono`; [`crate::Error::OutOfRange`] for parameters; [`crate::Error::Empty`];
    /// [`crate::Error::Cancelled`]; [`crate::Error::Denied`] by the policy.
    pub fn compare(
        &self,
        reference: Source,
        degraded: Source,
        options: &CompareOptions,
        control: &Control,
    ) -> Result<Comparison> {
        self.observed.operation(Call::Compare, || {
            options.compare.validate()?;
            let name = Call::Compare.name();
            self.ask_policy(name, &reference, &[], Some(control))?;
            self.ask_policy(name, &degraded, &[], Some(control))?;
            let read = self.read_options(&options.read);
            let kept_s = ALIGN_S + options.compare.max_offset_s;
            let other = RefCell::new(degraded);
            self.retrying(None, reference, control, |attempt| {
                let cost = |media: &MediaInfo| Ok(Cost::of_comparing(&media.stream, kept_s));
                let Admitted { decoder: mut reference, permit, .. } =
                    self.admit(name, attempt, &read, control, &cost)?;
                // What can be opened again stays for another attempt.
                let again = other.borrow().again();
                attempt.repeatable &= again.is_some();
                let degraded = other.replace(again.unwrap_or_else(|| Source::Bytes(Arc::default())));
                let (mut degraded, _) = self.open_described(degraded, &mut attempt.repeatable, &read)?;
                let (rate_hz, duration) = (reference.info().spec.rate_hz, reference.info().duration);
                let tracker = Tracker::for_reading(control, rate_hz, duration.map(|d| d.frames));
                let tick = |frames: usize| {
                    tracker.advance(Stage::Analyse, frames, rate_hz);
                    tracker.check()
                };
                let comparison =
                    compare_all(&mut *reference, &mut *degraded, &options.compare, &tick, &|_| tracker.check())?;
                drop(permit);
                tracker.done();
                Ok(comparison)
            })
        })
    }
}
