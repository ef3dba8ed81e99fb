//! Waits until there is room for a job.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::retry::Attempt;
use super::run_events::tell;
use crate::error::{Error, Result};
use crate::events::{ResourceGranted, ResourceWaiting};
use crate::formats::{Decoder, MediaInfo, ReadOptions, Source};
use crate::processing::{Control, Cost};
use crate::resources::{Permit, Request};

/// An input that was let in.
pub(super) struct Admitted {
    pub decoder: Box<dyn Decoder>,
    pub media: MediaInfo,
    pub permit: Arc<Permit>,
    /// How much audio the job may keep in memory between measuring and encoding, in bytes.
    pub spool_memory_bytes: u64,
}

impl Engine {
    /// Opens the source of `attempt`, finds out by `cost` what the job takes, and waits until that is there. What waits holds nothing: an
    /// input that can be opened again is closed meanwhile.
    pub(super) fn admit(
        &self,
        label: &'static str,
        attempt: &mut Attempt,
        read: &ReadOptions,
        control: &Control,
        cost: &dyn Fn(&MediaInfo) -> Result<Cost>,
    ) -> Result<Admitted> {
        let Attempt { source, repeatable } = attempt;
        let again = source.again();
        let source = std::mem::replace(source, Source::Bytes(Arc::default()));
        let (mut decoder, mut media) = self.open_described(source, repeatable, read)?;
        let capacity = self.resources.capacity(control.tenant.as_ref());
        let (amounts, spool_memory_bytes) = cost(&media)?.request(self.spool_memory_bytes, &capacity);
        let max_wait_s = self.values.with(|s| s.resources.max_wait_s);
        let request = Request::new(label, amounts)
            .tenant(control.tenant.clone())
            .max_wait((max_wait_s > 0).then(|| Duration::from_secs(max_wait_s.into())))
            .cancel(&control.cancel);
        let permit = match self.resources.try_acquire(&request) {
            Err(Error::Full { .. }) => {
                let reopen = again.filter(|_| *repeatable);
                if let Some(source) = reopen {
                    drop(decoder);
                    let permit = self.wait_for(&request)?;
                    (decoder, media) = self.open_described(source, repeatable, read)?;
                    permit
                } else {
                    self.wait_for(&request)?
                }
            }
            other => other?,
        };
        Ok(Admitted { decoder, media, permit: Arc::new(permit), spool_memory_bytes })
    }

    /// Waits in line, and tells so.
    fn wait_for(&self, request: &Request) -> Result<Permit> {
        let begun = Instant::now();
        let short = self.resources.short_of(request);
        if let Some((resource, available, waiting)) = short {
            let wanted = request.amounts().get(resource);
            tell(
                &self.events,
                ResourceWaiting { pool: resource.name().into(), wanted, available, queue: waiting.saturating_add(1) },
            );
        }
        let permit = self.resources.acquire(request)?;
        if let Some((resource, ..)) = short {
            let amount = permit.amounts().get(resource);
            let waited_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tell(&self.events, ResourceGranted { pool: resource.name().into(), amount, waited_ms });
        }
        Ok(permit)
    }
}
