//! What an engine counts, says and answers about itself: the calls of its facade run through here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::part_metrics::watch;
use super::run_events::RunEvents;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{Error, ErrorCode, Result};
use crate::events::EventBus;
use crate::formats::FormatSettings;
use crate::observe::{Counter, Family, Gauge, HealthChecks, Histogram, Label, Log, Metrics};
use crate::processing::{Report, Stage};
use crate::resources::ResourcePool;
use crate::services::seams::Clock;

/// A call of the facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    Probe,
    Tags,
    Measure,
    Quality,
    Analyse,
    Classify,
    Compare,
    Picture,
    Decode,
    Plan,
    Process,
    Encode,
}

impl Call {
    const ALL: [Self; 13] = [
        Self::Open,
        Self::Probe,
        Self::Tags,
        Self::Measure,
        Self::Quality,
        Self::Analyse,
        Self::Classify,
        Self::Compare,
        Self::Picture,
        Self::Decode,
        Self::Plan,
        Self::Process,
        Self::Encode,
    ];

    /// As policies and metrics know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Probe => "probe",
            Self::Tags => "tags",
            Self::Measure => "measure",
            Self::Quality => "quality",
            Self::Analyse => "analyse",
            Self::Classify => "classify",
            Self::Compare => "compare",
            Self::Picture => "picture",
            Self::Decode => "decode",
            Self::Plan => "plan",
            Self::Process => "process",
            Self::Encode => "encode",
        }
    }
}

const OUTCOMES: [&str; 3] = ["succeeded", "failed", "cancelled"];
const STAGES: [Stage; 5] = [Stage::Analyse, Stage::Solve, Stage::Encode, Stage::Verify, Stage::Publish];

/// From what a probe takes to a day's recording on a slow machine, in seconds.
const TIME_BUCKETS: [f64; 14] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];
/// Seconds of audio per second: below 1 is too slow for a live stream.
const SPEED_BUCKETS: [f64; 11] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// The figures that are counted, those of fixed labels ready to use.
struct Figures {
    ended: Family<Counter>,
    errors: Family<Counter>,
    times: [Arc<Histogram>; Call::ALL.len()],
    running: [Arc<Gauge>; Call::ALL.len()],
    audio_s: Arc<Counter>,
    speed: Arc<Histogram>,
    stages: [Arc<Histogram>; STAGES.len()],
    outputs: Family<Counter>,
    attempts: Arc<Counter>,
    missed: Arc<Counter>,
    damaged: Arc<Counter>,
}

impl Figures {
    fn register(metrics: &Metrics) -> Result<Self> {
        let operation = || Label::one_of("operation", Call::ALL.map(Call::name));
        let ended = metrics.counter(
            "pure_sound_operations",
            "Calls of the engine that ended, by how they ended.",
            [operation(), Label::one_of("outcome", OUTCOMES)],
        )?;
        for name in Call::ALL.map(Call::name) {
            OUTCOMES.iter().for_each(|outcome| drop(ended.with(&[name, outcome])));
        }
        let errors = metrics.counter(
            "pure_sound_operation_errors",
            "Calls of the engine that failed, by the name of the error.",
            [operation(), Label::one_of("error", ErrorCode::ALL.iter().map(|code| code.name()))],
        )?;
        let times = metrics.histogram(
            "pure_sound_operation_duration_seconds",
            "How long calls of the engine took.",
            &TIME_BUCKETS,
            [operation()],
        )?;
        let running =
            metrics.gauge("pure_sound_operations_running", "Calls of the engine that run now.", [operation()])?;
        let speed = metrics.histogram(
            "pure_sound_process_realtime_factor",
            "Seconds of audio that a run processed per second.",
            &SPEED_BUCKETS,
            [],
        )?;
        let stages = metrics.histogram(
            "pure_sound_process_stage_duration_seconds",
            "How long the stages of successful runs took, all outputs together.",
            &TIME_BUCKETS,
            [Label::one_of("stage", STAGES.map(Stage::name))],
        )?;
        let audio =
            metrics.counter("pure_sound_process_audio_seconds", "Audio that was processed successfully.", [])?;
        let outputs = metrics.counter(
            "pure_sound_process_outputs",
            "Files that runs have written.",
            [Label::one_of("format", FormatSettings::NAMES.iter().copied())],
        )?;
        outputs.start();
        let single = |name: &str, help: &str| Ok::<_, Error>(metrics.counter(name, help, [])?.with(&[]));
        Ok(Self {
            ended,
            errors,
            times: Call::ALL.map(|o| times.with(&[o.name()])),
            running: Call::ALL.map(|o| running.with(&[o.name()])),
            audio_s: audio.with(&[]),
            speed: speed.with(&[]),
            stages: STAGES.map(|s| stages.with(&[s.name()])),
            outputs,
            attempts: single(
                "pure_sound_process_encodes",
                "How often outputs were encoded; more than once is a correction.",
            )?,
            missed: single("pure_sound_process_targets_missed", "Outputs whose level target could not be met.")?,
            damaged: single("pure_sound_process_damaged_inputs", "Inputs with damage that was decoded around.")?,
        })
    }
}

/// Counts a call as running until it is dropped, also by a panic.
struct Running<'a>(&'a Gauge);

impl<'a> Running<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.add(1.0);
        Self(gauge)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

/// The parts of an engine that are looked at.
pub(super) struct Watched<'a> {
    pub bus: &'a EventBus,
    pub config: Option<&'a Config>,
    pub clock: Arc<dyn Clock>,
    pub resources: &'a ResourcePool,
    pub retries: &'a Arc<AtomicU64>,
    pub cache: Option<&'a Cache>,
    pub temp_dir: Option<&'a Path>,
    /// Whether calls are counted and told.
    pub on: bool,
}

/// Metrics, health and log of one engine.
pub(super) struct Observed {
    pub metrics: Metrics,
    pub health: HealthChecks,
    pub log: Arc<Log>,
    /// None: nothing is counted or told.
    figures: Option<Figures>,
}

impl Observed {
    pub fn new(parts: &Watched<'_>) -> Result<Self> {
        let metrics = Metrics::default();
        let health = HealthChecks::new(Some(parts.bus.clone()), Arc::clone(&parts.clock));
        let log = Arc::<Log>::default();
        metrics.info("pure_sound_build", "The library.", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let figures = Figures::register(&metrics)?;
        watch(parts, &metrics, &health, &log)?;
        Ok(Self { metrics, health, log, figures: parts.on.then_some(figures) })
    }

    /// The bus, when it is to be told of runs.
    pub fn bus<'a>(&self, bus: &'a EventBus) -> Option<&'a EventBus> {
        self.figures.as_ref().map(|_| bus)
    }

    /// Runs one call of the facade.
    pub fn operation<T>(&self, operation: Call, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.log.scope(|| match &self.figures {
            None => work(),
            Some(figures) => {
                let span = tracing::error_span!("call", operation = operation.name());
                let _entered = span.enter();
                figures.count(operation, None, work)
            }
        })
    }

    /// Runs a recipe.
    pub fn run(&self, events: &RunEvents<'_>, work: impl FnOnce() -> Result<Report>) -> Result<Report> {
        self.log.scope(|| {
            let Some(figures) = &self.figures else { return work() };
            // At the level of errors, so that whatever is told can be found by the run that it belongs to.
            let span = tracing::error_span!("run", id = events.id());
            let _entered = span.enter();
            let result = figures.count(Call::Process, Some(events.id()), work);
            match &result {
                Ok(report) => figures.note(report, events.publish_s()),
                Err(Error::Cancelled) => tracing::info!("cancelled"),
                Err(error) => tracing::error!(code = error.code(), error = error.name(), "failed: {error}"),
            }
            result
        })
    }
}

impl Figures {
    fn count<T>(&self, operation: Call, run: Option<&str>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let index = operation as usize;
        let running = Running::new(&self.running[index]);
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        drop(running);
        match run {
            Some(run) => self.times[index].observe_of(seconds, run),
            None => self.times[index].observe(seconds),
        }
        let outcome = match &result {
            Ok(_) => OUTCOMES[0],
            Err(Error::Cancelled) => OUTCOMES[2],
            Err(error) => {
                self.errors.with(&[operation.name(), error.name()]).inc();
                OUTCOMES[1]
            }
        };
        self.ended.with(&[operation.name(), outcome]).inc();
        result
    }

    /// Counts what a run did.
    fn note(&self, report: &Report, publish_s: Option<f64>) {
        let timing = &report.timing;
        let audio_s = report.input.duration.map_or(0.0, |d| report.input.spec.seconds(d.frames));
        self.audio_s.add(audio_s);
        for output in &report.outputs {
            self.outputs.with(&[output.encoder.settings.name()]).inc();
            if output.target_met == Some(false) {
                self.missed.inc();
            }
        }
        if !report.damage.is_none() {
            self.damaged.inc();
        }
        if report.from_cache {
            // Its times and encodes are those of the run that made it.
            return;
        }
        self.attempts.add(report.outputs.iter().map(|output| f64::from(output.attempts)).sum());
        self.speed.observe(timing.realtime_factor);
        let known = [timing.analyse_s, timing.solve_s, timing.encode_s, timing.verify_s];
        for (stage, seconds) in self.stages.iter().zip(known.into_iter().chain(publish_s)) {
            stage.observe(seconds);
        }
    }
}
