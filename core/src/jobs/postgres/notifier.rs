//! Tells other stores on the same tables that something changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::Client;

use super::connection::Place;
use super::link::failure;
use crate::error::Result;
use crate::sync::{Condvar, Mutex, lock, wait};

/// How long a store that is closed waits for its last message. Who misses one looks for himself within a second.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    /// Something changed that was not told.
    wanted: bool,
    closing: bool,
    /// The thread has nothing left to do.
    ended: bool,
}

/// Sends one message for all that changed since the last one, with a connection and in a thread of its own.
///
/// A `notify` inside of the transactions that change something would make their commits wait for each other: the server lets those that
/// have messages commit one at a time, with one flush to disk each.
#[derive(Default)]
pub(super) struct Notifier {
    state: Mutex<State>,
    changed: Condvar,
}

impl Notifier {
    /// Has the others told, soon.
    pub fn tell(&self) {
        lock(&self.state).wanted = true;
        self.changed.notify_all();
    }

    /// Ends the thread once the last message is sent; does not wait for a server that is silent.
    pub fn close(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock(&self.state);
        state.closing = true;
        self.changed.notify_all();
        while !state.ended && Instant::now() < deadline {
            state = wait(&self.changed, state, Some(deadline));
        }
    }

    /// What the thread does.
    pub fn run(self: &Arc<Self>, place: &Place) {
        let mut live = None;
        while self.next() {
            if let Err(error) = send(&mut live, place) {
                live = None;
                tracing::warn!(place = place.name, %error, "other stores were not told of a change, and will look for themselves");
            }
        }
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }

    /// Waits for something to tell; false at the end.
    fn next(&self) -> bool {
        let mut state = lock(&self.state);
        while !state.wanted && !state.closing {
            state = wait(&self.changed, state, None);
        }
        std::mem::take(&mut state.wanted)
    }
}

fn send(live: &mut Option<Client>, place: &Place) -> Result<()> {
    let mut client = match live.take().filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => {
            let mut client = place.connect()?;
            // A message that a crash of the server takes along is missed by nobody who still runs.
            client.batch_execute("set synchronous_commit = off").map_err(|e| failure("notify", place, e))?;
            client
        }
    };
    let notify = format!("notify {}, '{}'", place.channel(), place.origin);
    client.batch_execute(&notify).map_err(|e| failure("notify", place, e))?;
    *live = Some(client);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_are_one_message_and_the_last_one_is_sent_before_the_end() {
        let notifier = Notifier::default();
        notifier.tell();
        notifier.tell();
        assert!(notifier.next());
        assert!(!lock(&notifier.state).wanted, "both are in one message");
        notifier.tell();
        lock(&notifier.state).closing = true;
        assert!(notifier.next());
        assert!(!notifier.next());
    }

    #[test]
    fn closing_waits_for_no_thread_that_is_stuck() {
        // As when the server is silent: nobody ever says that the thread has ended.
        let notifier = Notifier::default();
        notifier.tell();
        notifier.close();
        assert!(!lock(&notifier.state).ended);
    }
}
