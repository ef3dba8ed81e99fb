//! Long calls: progress out, cancellation in.

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use pure_sound::Result;
use pure_sound::processing::{CancelToken, Control, Progress};

use crate::error::{entry, psnd_error};
use crate::handle::{self, Object};
use crate::status::psnd_status;
use crate::structs::{self, Versioned};
use crate::text::{c_string, give, wanted};
use crate::user::{UserData, psnd_destroy_fn};

/// Cancels running calls from any thread.
#[allow(non_camel_case_types)]
pub type psnd_cancel = u64;

struct Cancel(CancelToken);

impl Object for Cancel {
    const TAG: u8 = 2;
    const NAME: &'static str = "cancel";
}

/// How far a call is. Belongs to the library; valid during the callback.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Debug)]
pub struct psnd_progress {
    /// `sizeof(psnd_progress)` of the library.
    pub struct_size: usize,
    /// What is being done: `analyse`, `solve`, `encode`, `verify`, `publish`.
    pub stage: *const c_char,
    /// Share of the whole call that is done, 0 to 1; never falls.
    pub fraction: f64,
    /// Seconds of audio handled for each second of time, in this stage.
    pub speed: f64,
    /// Estimated seconds until the end; negative while it is not known.
    pub eta_s: f64,
}

/// Hears how far a call is, at most about 20 times a second; 0 to go on, anything else cancels
/// the call, and its token. Called from threads of the
/// call, one at a time. May call any function of this library.
#[allow(non_camel_case_types)]
pub type psnd_progress_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, progress: *const psnd_progress) -> i32>;

/// Borders of a long call with its caller; NULL in its place for none. Fill it in from `PSND_CALL_INIT`.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct psnd_call {
    /// `sizeof(psnd_call)`.
    pub struct_size: usize,
    /// Cancels the call; 0 for none.
    pub cancel: psnd_cancel,
    /// Hears about progress, or NULL.
    pub progress: psnd_progress_fn,
    /// Given to `progress`.
    pub user_data: *mut c_void,
    /// Called when the library is done with `user_data`: before the call returns.
    pub destroy: psnd_destroy_fn,
}

// SAFETY: `repr(C)`, the size comes first, zeros are NULL and 0.
unsafe impl Versioned for psnd_call {
    const NAME: &'static str = "call";
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// One at a time, and never back.
struct Heard {
    callback: unsafe extern "C" fn(*mut c_void, *const psnd_progress) -> i32,
    fraction: Mutex<f64>,
    /// The callback said to stop: it is not called again.
    stopped: AtomicBool,
    user: Arc<UserData>,
}

impl Heard {
    fn tell(&self, progress: &Progress, cancel: &CancelToken) {
        // While one thread is in the callback, what others have to tell is dropped: nobody waits for a host.
        let mut last = match self.fraction.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if progress.fraction < *last || self.stopped.load(Ordering::Relaxed) {
            return;
        }
        *last = progress.fraction;
        let stage: CString = c_string(progress.stage.name());
        let told = psnd_progress {
            struct_size: size_of::<psnd_progress>(),
            stage: stage.as_ptr(),
            fraction: progress.fraction,
            speed: progress.speed,
            eta_s: progress.eta_s.unwrap_or(-1.0),
        };
        // SAFETY: the host's function with its pointer; the struct lives until it returns.
        if unsafe { (self.callback)(self.user.pointer(), &raw const told) } != 0 {
            self.stopped.store(true, Ordering::Relaxed);
            cancel.cancel();
        }
    }
}

/// What a long call was given.
pub struct Call {
    /// For the engine.
    pub control: Control,
    /// Dropped with this, at the end of the call.
    _user: Option<Arc<UserData>>,
}

impl Call {
    /// Reads `given`; its `user_data` is taken over as soon as the struct could be read.
    ///
    /// # Errors
    /// [`pure_sound::Error::OutOfRange`] for a wrong `struct_size`; [`pure_sound::Error::InvalidHandle`].
    ///
    /// # Safety
    /// `given` is NULL or a valid struct.
    pub unsafe fn read(given: *const psnd_call) -> Result<Self> {
        // SAFETY: the caller's promise.
        let Some(call) = (unsafe { structs::read(given)? }) else {
            return Ok(Self { control: Control::default(), _user: None });
        };
        let user = Arc::new(UserData::new(call.user_data, call.destroy));
        let cancel = if call.cancel == 0 { CancelToken::new() } else { handle::get::<Cancel>(call.cancel)?.0.clone() };
        let mut control = Control { cancel, ..Control::default() };
        if let Some(callback) = call.progress {
            let fraction = Mutex::new(0.0);
            let heard = Heard { callback, fraction, stopped: AtomicBool::new(false), user: Arc::clone(&user) };
            let cancel = control.cancel.clone();
            control.progress = Some(Arc::new(move |progress| heard.tell(progress, &cancel)));
        }
        Ok(Self { control, _user: Some(user) })
    }
}

/// Makes a token that cancels the calls it is given to.
///
/// # Safety
/// `out_cancel` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_cancel_new(out_cancel: *mut psnd_cancel, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        wanted("out_cancel", out_cancel)?;
        let token = handle::insert(Cancel(CancelToken::new()))?;
        // SAFETY: the caller's promise.
        unsafe { give("out_cancel", out_cancel, token) }
    })
}

/// Asks the calls of this token to stop: those that run do within one block and give `PSND_STATUS_CANCELLED`, and so do those to
/// come.
///
/// # Safety
/// `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_cancel_cancel(cancel: psnd_cancel, out_error: *mut *mut psnd_error) -> psnd_status {
    entry(out_error, || {
        handle::get::<Cancel>(cancel)?.0.cancel();
        Ok(())
    })
}

/// Whether it was asked.
///
/// # Safety
/// `out_cancelled` is writable; `out_error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psnd_cancel_is_cancelled(
    cancel: psnd_cancel,
    out_cancelled: *mut bool,
    out_error: *mut *mut psnd_error,
) -> psnd_status {
    entry(out_error, || {
        let cancelled = handle::get::<Cancel>(cancel)?.0.is_cancelled();
        // SAFETY: the caller's promise.
        unsafe { give("out_cancelled", out_cancelled, cancelled) }
    })
}

/// Frees a token. Calls that it was given to are not touched. 0 is fine.
#[unsafe(no_mangle)]
pub extern "C" fn psnd_cancel_free(cancel: psnd_cancel) -> psnd_status {
    entry(std::ptr::null_mut(), || handle::free::<Cancel>(cancel))
}
