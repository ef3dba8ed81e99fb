//! Takes the log and the current span of one thread to another.

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Span, dispatcher};

use super::log::in_sink;

/// Where records of a thread go, and the span they belong to. Threads of a job run their work in that of the thread that started
/// them; without it, their records would go nowhere and belong to nothing.
#[derive(Clone)]
pub(crate) struct Carrier(Option<(Dispatch, Span)>);

impl Carrier {
    /// That of this thread. Costs one look at an atomic when nobody listens.
    pub fn here() -> Self {
        let listening = LevelFilter::current() != LevelFilter::OFF && !in_sink();
        Self(listening.then(|| (dispatcher::get_default(Dispatch::clone), Span::current())))
    }

    /// Runs `work` in it.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            // In a sink: a thread that waits there for others may be handed their work.
            Some(_) if in_sink() => work(),
            None => work(),
            Some((dispatch, span)) => dispatcher::with_default(dispatch, || span.in_scope(work)),
        }
    }
}
