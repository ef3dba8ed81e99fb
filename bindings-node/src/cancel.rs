//! Cancellation from JavaScript, progress to it.

use std::sync::Arc;

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pure_sound::Error;
use pure_sound::processing::{CancelToken, Control, Progress};

use crate::promise::json;

/// Cancels the calls that it was given to.
#[napi]
#[derive(Default)]
pub struct Cancel {
    token: CancelToken,
}

#[napi]
impl Cancel {
    /// One that is not cancelled.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels. The calls end within one block.
    #[napi]
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// The core's token.
    pub fn token(&self) -> CancelToken {
        self.token.clone()
    }
}

impl Drop for Cancel {
    /// `index.js` holds it until the call is over. So when it goes before, the JavaScript environment ended: nobody waits any more.
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// Hears of progress as JSON, and of the end as an empty text.
pub type ProgressCallback = ThreadsafeFunction<String, (), String, Status, false, false>;

/// The two, as a call has them.
pub struct Reins {
    token: CancelToken,
    tenant: Option<Arc<str>>,
    progress: Option<Arc<ProgressCallback>>,
}

impl Reins {
    /// Of a call with `cancel`, that tells `progress`.
    pub fn new(cancel: &Cancel, progress: Option<ProgressCallback>) -> Self {
        Self { token: cancel.token(), tenant: None, progress: progress.map(Arc::new) }
    }

    /// The same on behalf of `tenant`.
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.tenant = tenant.map(Arc::from);
        self
    }

    /// Runs `work` with the core's form of them. What fails after a cancel was cancelled, whatever the failure looks like: the
    /// source of bytes is cut off then, too.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn drive<T>(self, work: impl FnOnce(&Control) -> pure_sound::Result<T>) -> pure_sound::Result<T> {
        let mut control = Control { cancel: self.token, tenant: self.tenant, ..Control::default() };
        if let Some(callback) = &self.progress {
            let callback = Arc::clone(callback);
            control.progress = Some(Arc::new(move |progress: &Progress| {
                if let Ok(text) = json(progress) {
                    callback.call(text, ThreadsafeFunctionCallMode::NonBlocking);
                }
            }));
        }
        let outcome = control.cancel.check().and_then(|()| pure_sound::guarded(|| work(&control)));
        // After all others in the same queue: so the last progress is told before the promise settles.
        if let Some(callback) = self.progress {
            callback.call(String::new(), ThreadsafeFunctionCallMode::NonBlocking);
        }
        match outcome {
            Err(Error::Io { .. }) if control.cancel.is_cancelled() => Err(Error::Cancelled),
            other => other,
        }
    }
}
