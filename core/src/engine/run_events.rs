//! Tells the bus of an engine about one run of a recipe: when it starts, each stage it enters, how it ends. Never per block.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::events::{EventBus, Outcome, Payload, ProcessFinished, ProcessStage, ProcessStarted};
use crate::processing::{Report, Stage};
use crate::services::seams::format_uuid;

/// One run.
pub(super) struct RunEvents<'a> {
    bus: &'a EventBus,
    run: String,
    outputs: usize,
    begun: Instant,
    started: AtomicBool,
}

impl<'a> RunEvents<'a> {
    /// The run `id` of a recipe with so many outputs. Nothing is told yet.
    pub fn new(bus: &'a EventBus, id: u128, outputs: usize) -> Self {
        Self { bus, run: format_uuid(id), outputs, begun: Instant::now(), started: AtomicBool::new(false) }
    }

    /// Tells that the run starts, once.
    pub fn started(&self, duration_s: Option<f64>) {
        if !self.started.swap(true, Ordering::Relaxed) {
            let outputs = u32::try_from(self.outputs).unwrap_or(u32::MAX);
            self.publish(ProcessStarted { run: self.run.clone(), duration_s, outputs });
        }
    }

    /// Tells that a stage is entered.
    pub fn stage(&self, stage: Stage, fraction: f64) {
        self.publish(ProcessStage { run: self.run.clone(), stage: stage.name().into(), fraction });
    }

    /// Tells how it ended. A run whose input could not even be opened has started, too.
    pub fn finished(&self, result: &Result<Report>) {
        self.started(None);
        let (outcome, error) = match result {
            Ok(_) => (Outcome::Succeeded, None),
            Err(error @ Error::Cancelled) => (Outcome::Cancelled, Some(error)),
            Err(error) => (Outcome::Failed, Some(error)),
        };
        let audio_s = result.as_ref().ok().and_then(|report| {
            let frames = report.input.duration?.frames;
            Some(report.input.spec.seconds(frames))
        });
        self.publish(ProcessFinished {
            run: self.run.clone(),
            outcome,
            error_code: error.map(Error::code),
            error: error.map(ToString::to_string),
            audio_s: audio_s.unwrap_or(0.0),
            wall_s: self.begun.elapsed().as_secs_f64(),
        });
    }

    fn publish<P: Payload>(&self, payload: P) {
        tell(self.bus, payload);
    }

    /// Its identifier.
    pub fn id(&self) -> &str {
        &self.run
    }
}

/// A job does not fail because somebody could not be told of it.
pub(super) fn tell<P: Payload>(bus: &EventBus, payload: P) {
    let key = payload.key().map(str::to_owned);
    match bus.publish(payload) {
        // A host that has shut the bus down does not want to hear.
        Ok(_) | Err(Error::Closed { .. }) => {}
        Err(error) => tracing::warn!(topic = P::TOPIC, key, %error, "not everybody could be told"),
    }
}
