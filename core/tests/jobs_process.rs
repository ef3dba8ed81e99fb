//! Jobs that run recipes, on a real engine and real files.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pure_sound::Engine;
use pure_sound::jobs::*;
use serde_json::json;

/// A tenth of a second of a square wave: 16 bits, mono, 8 kHz.
fn wav() -> Vec<u8> {
    let samples: Vec<u8> =
        (0..800_i16).flat_map(|n| (if n / 10 % 2 == 0 { 4000 } else { -4000_i16 }).to_le_bytes()).collect();
    let mut bytes = Vec::new();
    let size = u32::try_from(samples.len()).unwrap();
    bytes.extend(b"RIFF");
    bytes.extend((36 + size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    bytes.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
    bytes.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    bytes.extend(samples);
    bytes
}

struct Bench {
    folder: tempfile::TempDir,
    store: Arc<dyn JobStore>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in.wav"), wav()).unwrap();
        Self { folder, store: Arc::new(MemoryStore::default()) }
    }

    fn output(&self) -> std::path::PathBuf {
        self.folder.path().join("out.flac")
    }

    fn enqueue(&self, input: &Path) -> JobId {
        let payload = json!({ "input": input, "output": self.output() });
        self.store.enqueue(vec![JobSpec::new(PROCESS, payload)]).unwrap()[0].id
    }

    fn good(&self) -> JobId {
        self.enqueue(&self.folder.path().join("in.wav"))
    }

    /// Works until the job is over.
    fn work(&self, id: JobId) -> Job {
        let engine = Arc::new(Engine::new().unwrap());
        let handler: Arc<dyn JobHandler> = Arc::new(ProcessHandler::new(engine));
        let handlers = JobHandlers::from([(PROCESS.to_owned(), handler)]);
        // A short lease: sweeps come often.
        let options = WorkerOptions { lease_ms: 3000, ..WorkerOptions::default() };
        let _pool = WorkerPool::start(Arc::clone(&self.store), handlers, None, options).unwrap();
        let mut seen = 0;
        loop {
            let job = self.store.get(id).unwrap();
            if job.status.state.is_over() {
                return job;
            }
            seen = self.store.wait(seen, Duration::from_secs(1)).unwrap();
        }
    }

    /// A worker that noted its output and vanished.
    fn vanish_after_noting(&self, file: &Published) {
        let request = ClaimRequest { lease_ms: 100, ..ClaimRequest::new("ghost") };
        let claimed = self.store.claim(&request).unwrap().unwrap();
        assert_eq!(self.store.publish(&claimed.lease, file).unwrap(), Some(()));
    }

    fn noted(&self, bytes: &[u8]) -> Published {
        Published {
            path: self.output().to_str().unwrap().to_owned(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        }
    }
}

#[test]
fn an_output_is_noted_with_its_digest_and_is_there() {
    let bench = Bench::new();
    let job = bench.work(bench.good());
    assert_eq!(job.status.state, JobState::Succeeded, "{:?}", job.status.error);
    let bytes = std::fs::read(bench.output()).unwrap();
    assert_eq!(job.status.published, [bench.noted(&bytes)]);
    assert_eq!(job.status.result.unwrap()["skipped"], json!(false));
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn an_output_that_a_vanished_worker_published_is_left_alone() {
    let bench = Bench::new();
    let id = bench.good();
    // Any content does: it is compared with what was noted, not made again.
    std::fs::write(bench.output(), b"published").unwrap();
    bench.vanish_after_noting(&bench.noted(b"published"));
    let job = bench.work(id);
    assert_eq!((job.status.state, job.status.crashes), (JobState::Succeeded, 1));
    assert_eq!(job.status.result.unwrap()["skipped"], json!(true));
    assert_eq!(std::fs::read(bench.output()).unwrap(), b"published");
}

#[test]
fn an_output_that_was_noted_and_is_not_there_as_noted_is_made_again() {
    for there in [None, Some(&b"something else"[..])] {
        let bench = Bench::new();
        let id = bench.good();
        if let Some(bytes) = there {
            std::fs::write(bench.output(), bytes).unwrap();
        }
        bench.vanish_after_noting(&bench.noted(b"published"));
        let job = bench.work(id);
        assert_eq!(job.status.state, JobState::Succeeded, "{:?}", job.status.error);
        let bytes = std::fs::read(bench.output()).unwrap();
        assert!(bytes.starts_with(b"fLaC"));
        assert_eq!(job.status.published, [bench.noted(&bytes)]);
    }
}

#[test]
fn what_is_no_audio_is_dead_at_once_and_leaves_nothing() {
    let bench = Bench::new();
    let bad = bench.folder.path().join("bad.wav");
    std::fs::write(&bad, b"no audio at all").unwrap();
    let job = bench.work(bench.enqueue(&bad));
    assert_eq!((job.status.state, job.status.claims), (JobState::Dead, 1));
    assert_eq!(job.status.error.unwrap().name, "NOT_AUDIO");
    assert!(!bench.output().exists());
}

#[test]
fn a_recipe_without_outputs_is_refused() {
    let bench = Bench::new();
    let payload = json!({ "input": bench.folder.path().join("in.wav") });
    let id = bench.store.enqueue(vec![JobSpec::new(PROCESS, payload)]).unwrap()[0].id;
    let job = bench.work(id);
    assert_eq!(job.status.error.unwrap().name, "INVALID_VALUE");
}
