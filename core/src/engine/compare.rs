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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Buffer, ChannelLayout, Spec};
    use crate::error::Error;
    use crate::services::seams::{Decision, Operation, Policy};

    fn recording(frames: usize) -> Source {
        let tone: Vec<f32> = (0..frames).map(|i| (i as f32 * 0.05 + (i as f32 * 0.0007).sin()).sin() * 0.3).collect();
        Source::from_audio(&Buffer::from_channels(Spec::new(16_000, ChannelLayout::MONO), &[tone])).unwrap()
    }

    /// The same bytes from a pipe.
    fn piped(source: Source) -> Source {
        let Source::Bytes(bytes) = source else { panic!("not in memory") };
        Source::Stream(Box::new(std::io::Cursor::new(bytes)))
    }

    #[test]
    fn inputs_of_any_kind_are_compared_and_told_of() {
        let engine = Engine::new().unwrap();
        let (options, control) = (CompareOptions::default(), Control::default());
        for (reference, degraded) in [
            (recording(32_000), piped(recording(32_000))),
            (piped(recording(32_000)), recording(32_000)),
            (piped(recording(32_000)), piped(recording(32_000))),
        ] {
            let got = engine.compare(reference, degraded, &options, &control).unwrap();
            assert!(got.differences.identical && got.differences.frames == 96_000, "{got:?}");
        }
        let counted = [("operation", "compare"), ("outcome", "succeeded")];
        assert_eq!(engine.metrics().value("pure_sound_operations", &counted), Some(3.0));
    }

    #[test]
    fn errors_of_either_input_are_its_own() {
        let engine = Engine::new().unwrap();
        let (options, control) = (CompareOptions::default(), Control::default());
        let nothing = || Source::from(b"no audio at all, but some bytes of text".to_vec());
        for (reference, degraded) in [(nothing(), recording(16_000)), (recording(16_000), nothing())] {
            let error = engine.compare(reference, degraded, &options, &control).unwrap_err();
            assert!(matches!(error, Error::NotAudio { .. }), "{error}");
        }
        control.cancel.cancel();
        let cancelled = engine.compare(recording(16_000), recording(16_000), &options, &control);
        assert!(matches!(cancelled, Err(Error::Cancelled)));
    }

    #[test]
    fn the_policy_is_asked_for_both() {
        struct NoSecrets;
        impl Policy for NoSecrets {
            fn decide(&self, operation: &Operation<'_>) -> Decision {
                let secret = operation.input.is_some_and(|path| path.ends_with("secret.wav"));
                if secret { Decision::Deny { reason: "secret".into() } } else { Decision::Allow }
            }
        }
        let engine = Engine::builder().policy(Arc::new(NoSecrets)).build().unwrap();
        let (options, control) = (CompareOptions::default(), Control::default());
        for (a, b) in [(Source::from("secret.wav"), recording(100)), (recording(100), Source::from("secret.wav"))] {
            assert!(matches!(engine.compare(a, b, &options, &control), Err(Error::Denied { .. })));
        }
    }
}
