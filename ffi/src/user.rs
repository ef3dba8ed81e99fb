//! What belongs to the host: its pointer, and the function that it wants called when the pointer is not used any more.

use std::ffi::c_void;

/// Called exactly once with the `user_data` that was given beside it, when the library is done with it: also when the call that
/// took it failed. May be called from any thread, and may call any function of this library.
#[allow(non_camel_case_types)]
pub type psnd_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A host's pointer; its `destroy` is called when this is dropped.
pub struct UserData {
    pointer: *mut c_void,
    destroy: psnd_destroy_fn,
}

// SAFETY: what stands behind the pointer is the host's matter: the interface says from which threads it is used.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    /// Takes over the pointer.
    pub fn new(pointer: *mut c_void, destroy: psnd_destroy_fn) -> Self {
        Self { pointer, destroy }
    }

    /// For a callback.
    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy.take() {
            // SAFETY: the host gave the two together, and this is the only call.
            unsafe { destroy(self.pointer) };
        }
    }
}
