//! Is there a place to write to, and how much?

use std::io::Write;
use std::path::Path;

use crate::services::Health;

/// Below this, somebody should look: about ten minutes of stereo at 48 kHz in a spool, and the outputs, in bytes.
const FEW_BYTES: u64 = 512 << 20;
/// Below this, a job cannot be expected to end well, in bytes.
const TOO_FEW_BYTES: u64 = 64 << 20;

/// Writes a little file in `folder` and removes it.
pub fn check_writable(folder: &Path) -> Health {
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(b"pure-sound")?;
        file.flush()
    });
    match written {
        Ok(()) => Health::pass(),
        Err(error) => Health::fail(format!("cannot write to {}: {error}", folder.display())),
    }
}

/// The room that is left where `folder` is, for users without privileges. Passes without a figure where the system does not tell.
pub fn check_free_bytes(folder: &Path) -> Health {
    match free_bytes(folder) {
        Ok(None) => Health::pass(),
        Ok(Some(free)) => judge(free),
        Err(error) => Health::fail(format!("cannot ask for the room in {}: {error}", folder.display())),
    }
}

fn judge(free: u64) -> Health {
    let health = match free {
        0..TOO_FEW_BYTES => Health::fail(format!("less than {} MiB are left", TOO_FEW_BYTES >> 20)),
        TOO_FEW_BYTES..FEW_BYTES => Health::warn(format!("less than {} MiB are left", FEW_BYTES >> 20)),
        _ => Health::pass(),
    };
    health.observed(free as f64, "bytes")
}

#[cfg(target_os = "linux")]
fn free_bytes(folder: &Path) -> std::io::Result<Option<u64>> {
    let room = rustix::fs::statvfs(folder)?;
    Ok(Some(room.f_bavail.saturating_mul(room.f_frsize)))
}

#[cfg(not(target_os = "linux"))]
fn free_bytes(_: &Path) -> std::io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::HealthStatus;

    #[test]
    fn a_folder_that_is_there_passes_and_one_that_is_not_fails() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_writable(dir.path()), Health::pass());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        let none = dir.path().join("none");
        assert_eq!(check_writable(&none).status, HealthStatus::Fail);
        assert!(!check_writable(&none).note.unwrap().is_empty());
        if cfg!(target_os = "linux") {
            assert!(check_free_bytes(dir.path()).observed.unwrap() > 0.0);
            assert_eq!(check_free_bytes(&none).status, HealthStatus::Fail);
        }
    }

    #[test]
    fn little_room_is_told() {
        let status = |mib: u64| judge(mib << 20).status;
        let (fail, warn, pass) = (HealthStatus::Fail, HealthStatus::Warn, HealthStatus::Pass);
        assert_eq!([0, 63, 64, 511, 512].map(status), [fail, fail, warn, warn, pass]);
    }
}
