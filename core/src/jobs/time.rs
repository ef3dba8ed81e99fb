//! The time of a job store: calendar time for schedules, and a clock for leases that no step of the calendar can move.

use std::sync::Arc;

use crate::services::seams::{Clock, SystemClock};

/// A moment, as a store sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01 UTC. May step in either direction.
    pub unix_ms: u64,
    /// Which start of the machine `up_ms` counts from. Leases of another start are over.
    pub boot: Arc<str>,
    /// Milliseconds since that start, sleep included; never goes back, and is the same for all processes of the machine.
    pub up_ms: u64,
}

/// Tells a job store the time.
pub trait StoreTime: Send + Sync {
    /// Now.
    fn now(&self) -> Moment;
}

/// The time of this machine: `CLOCK_BOOTTIME` and the kernel's boot identifier on Linux. Elsewhere the calendar, of one boot that never
/// ends: there a step of the calendar moves leases, too.
pub struct MachineTime {
    clock: Arc<dyn Clock>,
    boot: Arc<str>,
}

impl Default for MachineTime {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::default()))
    }
}

impl MachineTime {
    /// Takes calendar time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let boot = if cfg!(target_os = "linux") {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
        } else {
            String::new()
        };
        Self { clock, boot: boot.trim().into() }
    }
}

impl std::fmt::Debug for MachineTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineTime").field("boot", &self.boot).finish_non_exhaustive()
    }
}

impl StoreTime for MachineTime {
    fn now(&self) -> Moment {
        let unix_ms = self.clock.unix_ms();
        #[cfg(target_os = "linux")]
        let up_ms = {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
        };
        #[cfg(not(target_os = "linux"))]
        let up_ms = unix_ms;
        Moment { unix_ms, boot: Arc::clone(&self.boot), up_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_machine_does_not_go_back_and_all_agree_on_its_boot() {
        let (a, b) = (MachineTime::default(), MachineTime::default());
        let (first, second) = (a.now(), b.now());
        assert!(second.up_ms >= first.up_ms);
        assert_eq!(first.boot, second.boot);
        assert!(!cfg!(target_os = "linux") || first.boot.len() == 36, "a UUID: {}", first.boot);
    }
}
