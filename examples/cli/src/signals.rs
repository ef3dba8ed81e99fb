//! Ctrl-C and SIGTERM: the first asks the job to stop and clean up, the second ends the program at once.

use pure_sound::processing::CancelToken;

use crate::failure::{EXIT_CANCELLED, Failure};

/// From now on, signals cancel `token`.
pub fn install(token: &CancelToken) -> Result<(), Failure> {
    let token = token.clone();
    ctrlc::set_handler(move || {
        if token.is_cancelled() {
            std::process::exit(i32::from(EXIT_CANCELLED));
        }
        token.cancel();
    })
    .map_err(|e| Failure::from(pure_sound::Error::Unavailable { what: format!("signal handler: {e}") }))
}
