//! The last events, for those who come late.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;

/// A ring bounded by count and bytes.
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl History {
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, max_events, max_bytes }
    }

    /// Adds an event; the oldest go until both bounds hold. Numbers must rise without holes.
    pub fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.bytes;
        self.events.push_back(event);
        self.trim();
    }

    /// Sets new bounds.
    pub fn resize(&mut self, max_events: usize, max_bytes: usize) {
        (self.max_events, self.max_bytes) = (max_events, max_bytes);
        self.trim();
    }

    fn trim(&mut self) {
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(old) = self.events.pop_front() else { break };
            self.bytes -= old.bytes;
        }
    }

    /// Number of the oldest event that is kept.
    pub fn oldest(&self) -> Option<u64> {
        self.events.front().map(|e| e.sequence)
    }

    /// All kept events from `sequence` on.
    pub fn since(&self, sequence: u64) -> impl Iterator<Item = &Arc<Event>> {
        let skip = self.oldest().map_or(0, |oldest| sequence.saturating_sub(oldest));
        self.events.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
