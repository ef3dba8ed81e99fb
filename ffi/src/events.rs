//! Events of an engine: by a callback, or by asking.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pure_sound::Result;
use pure_sound::events::{Poller, Priority, SubscribeOptions, Subscription};

use crate::engine::{delivery_json, engine, psnd_engine};
use crate::error::{entry, psnd_error};
use crate::handle::{self, Object};
use crate::status::psnd_status;
use crate::text::{self, c_string, give, give_json, null, wanted};
use crate::user::{UserData, psnd_destroy_fn};

/// A callback that hears events.
#[allow(non_camel_case_types)]
pub type psnd_subscription = u64;

/// Events that wait to be asked for. May be used by several threads; each event goes to one of them.
#[allow(non_camel_case_types)]
pub type psnd_poller = u64;

/// Hears an event, as JSON: an object with `type`: `event` (then `topic`, `sequence`, `time_ms`, `payload`, ...), `lagged` when it was
/// too slow and lost some, or `gap`. Called from a thread of the library, one at a time. May call any function of this library, also
/// free its own subscription; then this call is the last.
#[allow(non_camel_case_types)]
pub type psnd_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event_json: *const c_char)>;

struct Heard {
    /// Taken out when the subscription is freed. A callback that runs has a clone, so the host's pointer is good until it returns.
    user: Arc<Mutex<Option<Arc<UserData>>>>,
    subscription: Mutex<Option<Subscription>>,
}

impl Object for Heard {
    const TAG: u8 = 5;
    const NAME: &'static str = "subscription";
}

impl Heard {
    /// Ends it: when this returns, the callback does not run and will not, unless this is called from it.
    fn end(&self) {
        let subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Waits for the callback, so without the lock.
        drop(subscription);
        let user = self.user.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Calls `destroy`, which may do anything.
        drop(user);
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.end();
    }
}

struct Asked(Poller);

impl Object for Asked {
    const TAG: u8 = 6;
    const NAME: &'static str = "poller";
}

/// Calls `callback` for each event from now on whose topic fits `pattern`, such as `process.*` or `*`. Free the subscription to end it.
///
/// # Safety
/// `pattern` ends with a NUL; `out_subscription` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_subscribe(
    engine: psnd_engine,
    pattern: *const c_char,
    callback: psnd_event_fn,
    user_data: *mut c_void,
    destroy: psnd_destroy_fn,
    out_subscription: *mut psnd_subscription,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    let user = UserData::new(user_data, destroy);
    entry(out_error, || {
        let user = Arc::new(Mutex::new(Some(Arc::new(user))));
        wanted("out_subscription", out_subscription)?;
        let callback = callback.ok_or_else(|| null("callback"))?;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        let pattern = unsafe { text::required("pattern", pattern)? };
        let theirs = Arc::clone(&user);
        let subscription = engine.0.events().subscribe(SubscribeOptions::new(pattern), move |delivery| {
            let user = theirs.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(user) = user {
                let event = c_string(delivery_json(delivery)?.to_string());
                // SAFETY: the host's function with its pointer, which `user` keeps.
                unsafe { callback(user.pointer(), event.as_ptr()) };
            }
            Ok(())
        })?;
        let heard = Heard { user, subscription: Mutex::new(Some(subscription)) };
        // SAFETY: as above.
        unsafe { give("out_subscription", out_subscription, handle::insert(heard)?) }
    })
}

/// What a subscription did so far, as JSON: `delivered`, `failed`, `lost`, `waiting`, ...
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_subscription_stats(
    subscription: psnd_subscription,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let heard = handle::get::<Heard>(subscription)?;
        let stats = {
            let inner = heard.subscription.lock().unwrap_or_else(PoisonError::into_inner);
            inner.as_ref().map(Subscription::stats)
        };
        let stats = stats.ok_or(pure_sound::Error::Closed { what: "subscription" })?;
        // SAFETY: the caller's promise.
        unsafe { give_json("out_json", out_json, &stats) }
    })
}

/// Ends a subscription. When this returns, its callback does not run any more and `destroy` was called. From within the callback:
/// that call is the last, and `destroy` is called after it. Two callbacks that free each other's subscription wait for each other:
/// free them elsewhere. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_subscription_free(subscription: psnd_subscription) -> psnd_status {
    entry(std::ptr::null_mut(), || {
        if subscription == 0 {
            return Ok(());
        }
        let heard = handle::get::<Heard>(subscription)?;
        handle::free::<Heard>(subscription)?;
        // Here and not with its last user, so that this call is the one that waits.
        heard.end();
        Ok(())
    })
}

/// Keeps events from now on whose topic fits `pattern`, until they are asked for: for hosts that must not be called from threads
/// which are not theirs.
///
/// # Safety
/// `pattern` ends with a NUL; `out_poller` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_poll(
    engine: psnd_engine,
    pattern: *const c_char,
    out_poller: *mut psnd_poller,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_poller", out_poller)?;
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        let pattern = unsafe { text::required("pattern", pattern)? };
        let poller = engine.0.events().poll(SubscribeOptions::new(pattern))?;
        // SAFETY: as above.
        unsafe { give("out_poller", out_poller, handle::insert(Asked(poller))?) }
    })
}

/// The next event, as for `psnd_event_fn`, the most urgent first; waits for it at most `timeout_ms`. `*out_json` is NULL when there is
/// none. Free it by `psnd_string_free`.
///
/// # Safety
/// `out_json` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_poller_next(
    poller: psnd_poller,
    timeout_ms: u32,
    out_json: *mut *mut c_char,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        wanted("out_json", out_json)?;
        let poller = handle::get::<Asked>(poller)?;
        let delivery = match timeout_ms {
            0 => poller.0.try_next(),
            _ => poller.0.next(Duration::from_millis(u64::from(timeout_ms))),
        };
        match delivery {
            // SAFETY: the caller's promise.
            None => unsafe { give("out_json", out_json, std::ptr::null_mut()) },
            // SAFETY: as above.
            Some(delivery) => unsafe { give_json("out_json", out_json, &delivery_json(&delivery)?) },
        }
    })
}

/// Frees a poller. Who waits in it gets what comes until its time is over. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_poller_free(poller: psnd_poller) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<Asked>(poller))
}

/// Publishes an event of the host's own: any topic such as `host.started`, and any JSON as its payload. `*out_sequence` is its number;
/// NULL when it is not wanted.
///
/// # Safety
/// Text ends with a NUL; `out_sequence` and `out_error` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_engine_publish(
    engine: psnd_engine,
    topic: *const c_char,
    payload_json: *const c_char,
    out_sequence: *mut u64,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let engine = self::engine(engine)?;
        // SAFETY: the caller's promise.
        let (topic, payload) = unsafe { (text::required("topic", topic)?, text::json("payload", payload_json)?) };
        let payload = payload.ok_or_else(|| null("payload"))?;
        let sequence: Result<u64> = engine.0.events().publish_json(topic, 1, Priority::Normal, None, payload);
        let sequence = sequence?;
        // SAFETY: as above.
        if out_sequence.is_null() { Ok(()) } else { unsafe { give("out_sequence", out_sequence, sequence) } }
    })
}
