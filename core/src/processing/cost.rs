//! What a job will take, estimated before it starts.

use super::job::{Job, Route};
use super::pipe::pipe_bytes;
use crate::audio::Spec;
use crate::formats::StreamInfo;
use crate::resources::Amounts;

/// Memory of a job beside its blocks: filters, meters, decoder tables, stacks. Measured on two hours of stereo with the
/// noise reduction of a preset, and rounded up.
const JOB_BYTES: u64 = 16 << 20;

/// Memory of an analysis: 16,384 frames that wait for the loudest take 9 MB, tables and histograms 2 MB, the rest is for lists.
const ANALYSIS_BYTES: u64 = 24 << 20;

/// Largest piece of audio that an encoder works on in one thread, with what it makes of it: 1024 AAC packets are 4 MiB.
const PIECE_BYTES: u64 = 6 << 20;

/// Threads of the first pass: decoder, two groups of filters, meter.
const ANALYSE_THREADS: u64 = 4;

/// What a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// What it cannot do without.
    pub least: Amounts,
    /// Audio between measuring and encoding, in bytes; none when the length is not known.
    pub spool_bytes: Option<u64>,
}

impl Cost {
    /// What [`measure`](super::measure) takes.
    pub fn of_measuring(stream: &StreamInfo) -> Self {
        let memory_bytes = JOB_BYTES / 2 + pipe_bytes(stream.spec);
        Self { least: Amounts { memory_bytes, threads: 2, files: 1, temp_disk_bytes: 0 }, spool_bytes: Some(0) }
    }

    /// The same with so much more memory.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.least.memory_bytes += bytes;
        self
    }

    /// What [`analyse_features`](super::analyse_features) takes; series are counted while they grow.
    pub fn of_analysing(stream: &StreamInfo) -> Self {
        let memory_bytes = JOB_BYTES + ANALYSIS_BYTES + pipe_bytes(stream.spec);
        Self { least: Amounts { memory_bytes, threads: 2, files: 1, temp_disk_bytes: 0 }, spool_bytes: Some(0) }
    }

    /// What [`compare_all`](crate::analysis::compare::compare_all) takes, where the degraded input is like the reference and the first
    /// `kept_s` seconds of both are kept at 48 kHz.
    pub fn of_comparing(stream: &StreamInfo, kept_s: f64) -> Self {
        // Buffers grow by doubling; the search for the offset has spectra and the correlation of one channel.
        let kept = (kept_s * 48_000.0) as u64 * 4 * (4 * stream.spec.channels() as u64 + 6);
        let memory_bytes = JOB_BYTES + 2 * pipe_bytes(stream.spec) + kept;
        Self { least: Amounts { memory_bytes, threads: 1, files: 2, temp_disk_bytes: 0 }, spool_bytes: Some(0) }
    }

    /// What `job` takes on an input of `stream`, on an engine with so many threads.
    pub fn of(job: &Job, stream: &StreamInfo, threads: usize) -> Self {
        let outputs = job.outputs.len() as u64;
        // Outputs run next to each other: all of them on the direct routes, as many as there are threads on the levelled one.
        let lanes = if job.route == Route::Levelled { outputs.min(threads.max(1) as u64) } else { outputs };
        let widest = job.outputs.iter().map(|o| pipe_bytes(o.negotiated.spec)).max().unwrap_or(0);
        let working = pipe_bytes(job.working);
        let pieces = (threads as u64 + 1) * PIECE_BYTES;
        let lane = 3 * working.max(widest) + if job.outputs.iter().any(|o| !is_plain(o)) { pieces } else { 0 };
        let least = Amounts {
            memory_bytes: JOB_BYTES + pipe_bytes(stream.spec) + 3 * working + lanes * lane,
            threads: match job.route {
                Route::Copy => 2,
                Route::Direct => ANALYSE_THREADS + 2 * lanes,
                Route::Levelled => ANALYSE_THREADS.max(3 * lanes),
            },
            // The input and what it names, a spool, and each output twice: written, and read back.
            files: 3 + 2 * outputs,
            temp_disk_bytes: 0,
        };
        let spool_bytes = match (job.route, stream.duration) {
            (Route::Levelled, Some(d)) => Some(spool_bytes(stream.spec.seconds(d.frames), job.working)),
            (Route::Levelled, None) => None,
            _ => Some(0),
        };
        Self { least, spool_bytes }
    }

    /// All that is asked for when so much of the spool is kept in memory, out of a pool from which one can get `capacity`: gives
    /// that and the memory for the spool. Who could use more threads, files or memory for the spool than there will ever be is
    /// content with less; results do not depend on it.
    pub fn request(&self, spool_memory_bytes: u64, capacity: &Amounts) -> (Amounts, u64) {
        let least = &self.least;
        let room = capacity.memory_bytes.saturating_sub(least.memory_bytes);
        let in_memory = self.spool_bytes.unwrap_or(u64::MAX).min(spool_memory_bytes).min(room);
        let amounts = Amounts {
            memory_bytes: least.memory_bytes.saturating_add(in_memory),
            threads: least.threads.min(capacity.threads),
            files: least.files.min(capacity.files),
            // An unknown length begins with nothing and takes more as it comes.
            temp_disk_bytes: self.spool_bytes.unwrap_or(0).saturating_sub(in_memory),
        };
        (amounts, in_memory)
    }
}

/// Bytes of `seconds` of audio as planar f32.
pub(crate) fn spool_bytes(seconds: f64, spec: Spec) -> u64 {
    (seconds * f64::from(spec.rate_hz)) as u64 * spec.channels() as u64 * 4
}

/// True for samples that are written as they come.
fn is_plain(output: &super::job::JobOutput) -> bool {
    use crate::formats::FormatSettings::{Aiff, Caf, W64, Wav};
    matches!(output.negotiated.settings, Wav(_) | W64(_) | Aiff(_) | Caf(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spool_gives_way_and_the_rest_does_not() {
        let least = Amounts { memory_bytes: 100, threads: 6, files: 5, temp_disk_bytes: 0 };
        let cost = Cost { least, spool_bytes: Some(1000) };
        let (asked, spool) = cost.request(300, &Amounts::UNLIMITED);
        assert_eq!((asked.memory_bytes, asked.temp_disk_bytes, asked.threads, spool), (400, 700, 6, 300));
        let small = Amounts { memory_bytes: 150, threads: 2, files: 9, temp_disk_bytes: 10_000 };
        let (asked, spool) = cost.request(300, &small);
        assert_eq!(
            (asked.memory_bytes, asked.temp_disk_bytes, asked.threads, asked.files, spool),
            (150, 950, 2, 5, 50)
        );
        // Less than it cannot do without: asked for all the same, so that it is refused.
        let (asked, spool) = cost.request(300, &Amounts { memory_bytes: 99, ..small });
        assert_eq!((asked.memory_bytes, spool), (100, 0));
        let (asked, spool) = Cost { spool_bytes: None, ..cost }.request(300, &small);
        assert_eq!((asked.memory_bytes, asked.temp_disk_bytes, spool), (150, 0, 50));
    }
}
