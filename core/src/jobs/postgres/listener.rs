//! Hears what other stores did to the same tables.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;

use super::connection::Place;
use super::link::failure;
use crate::error::Result;
use crate::jobs::bell::Bell;

/// How often the database is looked at, in case that a message did not come.
const POLL: Duration = Duration::from_secs(1);

/// A connection that hears.
pub(super) fn listen(place: &Place) -> Result<Client> {
    let mut client = place.connect()?;
    client.batch_execute(&format!("listen {}", place.channel())).map_err(|e| failure("listen", place, e))?;
    Ok(client)
}

/// Rings `bell` whenever another store has changed something, until `closing`.
pub(super) fn run(client: Client, place: &Place, bell: &Bell, closing: &AtomicBool) {
    let mut live = Some(client);
    let mut seen = None;
    while !closing.load(Ordering::Acquire) {
        let Some(client) = &mut live else {
            live = listen(place).ok();
            match live {
                // Whatever happened meanwhile was not heard.
                Some(_) => bell.ring(),
                None => std::thread::sleep(POLL),
            }
            continue;
        };
        match heard(client, place, &mut seen) {
            Ok(true) => bell.ring(),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(place = place.name, error = &error as &dyn std::error::Error, "the job store went away");
                live = None;
            }
        }
    }
}

/// Waits for a message, at most for a moment. Whether something may have changed.
fn heard(client: &mut Client, place: &Place, seen: &mut Option<String>) -> Result<bool, postgres::Error> {
    let mut notifications = client.notifications();
    let mut waiting = notifications.timeout_iter(POLL);
    let mut silent = true;
    while let Some(message) = waiting.next()? {
        silent = false;
        if message.payload() != place.origin {
            return Ok(true);
        }
    }
    drop(waiting);
    drop(notifications);
    if !silent {
        return Ok(false);
    }
    // Another text whenever any transaction that writes has begun or ended.
    let snapshot: String = client.query_one("select pg_current_snapshot()::text", &[])?.try_get(0)?;
    let changed = seen.as_ref().is_some_and(|before| *before != snapshot);
    *seen = Some(snapshot);
    Ok(changed)
}
