//! Another try after a failure that may pass.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Engine;
use super::run_events::tell;
use crate::config::RetrySettings;
use crate::error::Result;
use crate::events::RetryScheduled;
use crate::formats::Source;
use crate::processing::Control;
use crate::services::seams::format_uuid;

/// Pause before the try after the `failed`-th, from 1, with equal jitter: half of it is fixed, half is as `random` says.
fn pause(settings: &RetrySettings, failed: u32, random: u64) -> Duration {
    let doubled = u64::from(settings.base_ms) << (failed - 1).min(31);
    let full = doubled.min(u64::from(settings.max_ms));
    let half = full / 2;
    Duration::from_millis(half + random % (full - half + 1))
}

/// One attempt at an operation.
pub(super) struct Attempt {
    /// What to read.
    pub source: Source,
    /// Cleared when the source turns out to be one that gives its bytes only once.
    pub repeatable: bool,
}

impl Engine {
    /// Runs `operation`, and again when it failed for a reason that may pass. Every operation here begins from its source
    /// and leaves nothing behind when it fails, so a rerun is harmless. Sources that give their bytes only once have one try.
    /// `run` names the operation in events.
    pub(super) fn retrying<T>(
        &self,
        run: Option<&str>,
        source: Source,
        control: &Control,
        operation: impl Fn(&mut Attempt) -> Result<T>,
    ) -> Result<T> {
        let settings = self.values.with(|s| s.retry.clone());
        let mut again = source.again();
        let mut attempt = Attempt { source, repeatable: true };
        let mut failed = 0;
        loop {
            let error = match operation(&mut attempt) {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            failed += 1;
            let Some(source) = again.take().filter(|_| attempt.repeatable && failed < settings.attempts) else {
                return Err(error);
            };
            let delay = pause(&settings, failed, self.ids.next_id() as u64);
            let run = run.map_or_else(|| format_uuid(self.ids.next_id()), str::to_owned);
            tracing::warn!(run, %error, attempt = failed + 1, delay_ms = delay.as_millis() as u64, "tried again");
            self.retries.fetch_add(1, Ordering::Relaxed);
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            if let Some(bus) = self.observed.bus(&self.events) {
                tell(bus, RetryScheduled { run, attempt: failed + 1, delay_ms, error_code: error.code() });
            }
            self.clock.pause(delay, &control.cancel)?;
            again = source.again();
            attempt.source = source;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_random() {
        let settings = RetrySettings { attempts: 9, base_ms: 100, max_ms: 1000 };
        for (failed, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (60, 1000)] {
            let all: Vec<_> = (0..5000_u64).map(|random| pause(&settings, failed, random).as_millis()).collect();
            assert_eq!((all.iter().min(), all.iter().max()), (Some(&(full / 2)), Some(&full)), "{failed}");
        }
    }
}
