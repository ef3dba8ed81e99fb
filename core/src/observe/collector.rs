//! From `tracing` to records: keeps the spans that are open and knows which of them each thread is in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

use super::log::{LogLevel, LogRecord, LogSpan, Shared, now_ms};
use crate::config::REDACTED;
use crate::sync::{Mutex, lock};

/// Fields whose names contain one of these are never told. Values that are a [`Secret`](crate::config::Secret) print as `***` by
/// themselves; this is for those that somebody took out of one.
const SECRET_NAMES: [&str; 8] =
    ["secret", "password", "passphrase", "token", "api_key", "apikey", "authorization", "credential"];

/// Longest text of a field or message, in bytes. What is longer is cut: a record must not cost more than the job.
const MAX_TEXT: usize = 4096;

/// Makes each collector different from all others of the process: threads may be in spans of several engines at once. It is the
/// only thing that engines share.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Spans that this thread is in, of all collectors: collector and number, innermost last.
    static ENTERED: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

struct Open {
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
    fields: Map<String, Value>,
    handles: u64,
}

/// Receives from `tracing` for one log.
pub(super) struct Collector {
    number: u64,
    shared: Arc<Shared>,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

impl Collector {
    pub fn new(shared: Arc<Shared>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { number, shared, next: AtomicU64::new(1), open: Mutex::new(HashMap::new()) }
    }

    /// The span that this thread is in.
    fn innermost(&self) -> Option<u64> {
        ENTERED.with_borrow(|all| all.iter().rev().find(|(number, _)| *number == self.number).map(|(_, id)| *id))
    }

    /// A span and those around it, outermost first.
    fn path(&self, innermost: Option<u64>) -> Vec<LogSpan> {
        let open = lock(&self.open);
        let mut spans = Vec::new();
        let mut next = innermost;
        while let Some((id, span)) = next.and_then(|id| Some((id, open.get(&id)?))) {
            spans.push(LogSpan { id, name: span.metadata.name(), fields: span.fields.clone() });
            next = span.parent;
        }
        spans.reverse();
        spans
    }

    /// Lets go of one handle; gives the parent when it was the last.
    fn release(&self, id: u64) -> Option<Option<u64>> {
        let mut open = lock(&self.open);
        let span = open.get_mut(&id)?;
        span.handles -= 1;
        if span.handles > 0 {
            return None;
        }
        Some(open.remove(&id)?.parent)
    }
}

impl Subscriber for Collector {
    /// The level may change, so it is asked each time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.shared.filter()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.shared.filter())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let parent = match attributes.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if attributes.is_contextual() => self.innermost(),
            None => None,
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut open = lock(&self.open);
        // The parent stays as long as one of its children.
        if let Some(parent) = parent.and_then(|p| open.get_mut(&p)) {
            parent.handles += 1;
        }
        open.insert(id, Open { metadata: attributes.metadata(), parent, fields: fields.values, handles: 1 });
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = lock(&self.open).get_mut(&span.into_u64()) {
            span.fields.extend(fields.values);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let innermost = match event.parent() {
            Some(parent) => Some(parent.into_u64()),
            None if event.is_contextual() => self.innermost(),
            None => None,
        };
        self.shared.emit(&LogRecord {
            time_ms: now_ms(),
            level: LogLevel::of(*metadata.level()),
            target: metadata.target(),
            message: fields.message,
            fields: fields.values,
            spans: self.path(innermost),
        });
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|all| all.push((self.number, span.into_u64())));
    }

    fn exit(&self, span: &Id) {
        let left = (self.number, span.into_u64());
        ENTERED.with_borrow_mut(|all| {
            if let Some(at) = all.iter().rposition(|entered| *entered == left) {
                all.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = lock(&self.open).get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let Some(mut parent) = self.release(id.into_u64()) else { return false };
        while let Some(id) = parent {
            parent = self.release(id).flatten();
        }
        true
    }

    fn current_span(&self) -> Current {
        let Some(id) = self.innermost() else { return Current::none() };
        match lock(&self.open).get(&id) {
            Some(span) => Current::new(Id::from_u64(id), span.metadata),
            None => Current::none(),
        }
    }
}

/// Stands beside a collector and takes nothing.
///
/// While a process has a single subscriber, `tracing-core` asks the one of the current thread what it thinks of a new place in the
/// code; on a thread without one, the answer is kept as "nobody cares", and the collector would never hear of that place again.
/// With two it asks them all.
pub(super) struct Companion;

impl Subscriber for Companion {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Collects the fields of a span or event.
#[derive(Default)]
struct Fields {
    message: String,
    values: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        let lower = name.to_ascii_lowercase();
        let value = if SECRET_NAMES.iter().any(|s| lower.contains(s)) { REDACTED.into() } else { value };
        self.values.insert(name.to_owned(), value);
    }

    fn text(&mut self, field: &Field, text: String) {
        let text = shortened(text);
        if field.name() == "message" { self.message = text } else { self.put(field, text.into()) }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
