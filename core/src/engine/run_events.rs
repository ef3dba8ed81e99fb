//! Tells the bus of an engine about one run of a recipe: when it starts, each stage it enters, how it ends. Never per block.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::events::{EventBus, Outcome, Payload, ProcessFinished, ProcessStage, ProcessStarted};
use crate::processing::{Report, Stage};
use crate::services::seams::format_uuid;

/// One run.
pub(super) struct RunEvents<'a> {
    bus: Option<&'a EventBus>,
    run: String,
    outputs: usize,
    begun: Instant,
    started: AtomicBool,
    publishing: OnceLock<Instant>,
    publish_s: OnceLock<f64>,
}

impl<'a> RunEvents<'a> {
    /// The run `id` of a recipe with so many outputs. Nothing is told yet, and without a bus nothing ever.
    pub fn new(bus: Option<&'a EventBus>, id: u128, outputs: usize) -> Self {
        Self {
            bus,
            run: format_uuid(id),
            outputs,
            begun: Instant::now(),
            started: AtomicBool::new(false),
            publishing: OnceLock::new(),
            publish_s: OnceLock::new(),
        }
    }

    /// Identifier of the run.
    pub fn id(&self) -> &str {
        &self.run
    }

    /// How long the outputs took to get their names, when it came to that.
    pub fn publish_s(&self) -> Option<f64> {
        self.publish_s.get().copied()
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
        if stage == Stage::Publish {
            self.publishing.get_or_init(Instant::now);
        }
        self.publish(ProcessStage { run: self.run.clone(), stage: stage.name().into(), fraction });
    }

    /// Tells how it ended. A run whose input could not even be opened has started, too.
    pub fn finished(&self, result: &Result<Report>) {
        self.started(None);
        if let Some(since) = self.publishing.get() {
            self.publish_s.get_or_init(|| since.elapsed().as_secs_f64());
        }
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
        if let Some(bus) = self.bus {
            tell(bus, payload);
        }
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
