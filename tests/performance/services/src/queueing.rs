//! Ten recordings of two hours on a small budget of memory: they wait for each other instead of failing.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Instant;

use pure_sound::Engine;
use pure_sound::config::Settings;
use pure_sound::formats::Source;
use pure_sound::processing::{Control, LevelTarget, Output, Recipe, Verify};

use crate::{line, status_kib};

const FILES: usize = 10;
const RATE_HZ: u32 = 8000;

/// A WAV, 16 bit mono, that is made up while it is read.
struct Lazy {
    header: Vec<u8>,
    bytes: u64,
    at: u64,
}

impl Lazy {
    fn new(seconds: u64) -> Self {
        let data = seconds * u64::from(RATE_HZ) * 2;
        let mut header = b"RIFF".to_vec();
        header.extend((36 + data as u32).to_le_bytes());
        header.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        header.extend(RATE_HZ.to_le_bytes());
        header.extend((RATE_HZ * 2).to_le_bytes());
        header.extend(b"\x02\0\x10\0data");
        header.extend((data as u32).to_le_bytes());
        Self { bytes: header.len() as u64 + data, header, at: 0 }
    }
}

impl Read for Lazy {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = to.len().min((self.bytes - self.at) as usize);
        for (n, byte) in (self.at..).zip(&mut to[..count]) {
            // A triangle of 100 Hz; the header is even, so samples begin at even places.
            let phase = (n / 2 % 80) as i32;
            let sample = (phase - 40).abs() * 800 - 16_000;
            *byte = self.header.get(n as usize).copied().unwrap_or((sample as i16).to_le_bytes()[(n % 2) as usize]);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Lazy {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.bytes.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        }
        .min(self.bytes);
        Ok(self.at)
    }
}

/// Files of `minutes` on a budget of `memory_mib` of which each could use a third for its audio alone.
pub fn run(minutes: u64, memory_mib: u32) -> bool {
    let mut settings = Settings::default();
    (settings.resources.memory_mib, settings.spool.memory_mib) = (memory_mib, memory_mib / 3);
    let built = Engine::builder().settings(settings).build();
    let (Ok(engine), Ok(dir)) = (built, tempfile::tempdir()) else {
        println!("G27 queueing: FAIL: no engine");
        return false;
    };
    let begun = Instant::now();
    let before_kib = status_kib("VmRSS:").unwrap_or(0);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..FILES)
            .map(|n| {
                let recipe = Recipe {
                    outputs: vec![Output::new(dir.path().join(format!("{n}.wav")))],
                    level: Some(LevelTarget::Loudness { integrated_lufs: -23.0, true_peak_dbtp: -1.0 }),
                    verify: Verify::None,
                    ..Recipe::default()
                };
                let engine = &engine;
                scope.spawn(move || {
                    let source = Source::Seekable(Box::new(Lazy::new(minutes * 60)));
                    engine.process_source(source, &recipe, &Control::default()).map(drop)
                })
            })
            .collect();
        jobs.into_iter()
            .map(|j| j.join().map_or("panic".into(), |r| r.err().map_or(String::new(), |e| e.to_string())))
            .filter(|e| !e.is_empty())
            .collect()
    });
    let usage = engine.resources().usage();
    let memory = &usage.resources[0];
    let budget = memory.budget.unwrap_or(0);
    println!(
        "G27 {FILES} recordings of {minutes} minutes on {memory_mib} MiB: {} waited, {} s together, {:.1} s in all, most granted at once {} MiB",
        usage.waited,
        usage.waited_ms / 1000,
        begun.elapsed().as_secs_f64(),
        memory.peak >> 20
    );
    if let Some(peak_kib) = status_kib("VmHWM:") {
        println!("G27 resident memory of the process: {} MiB before, at most {} MiB", before_kib >> 10, peak_kib >> 10);
    }
    for error in &failed {
        println!("G27 {error}");
    }
    let good = [
        line("G27", "recordings that failed", failed.len(), "0", failed.is_empty()),
        line("G27", "recordings that had to wait", usage.waited, "> 0", usage.waited > 0),
        line("G27", "granted above the budget", memory.peak.saturating_sub(budget), "0", memory.peak <= budget),
    ];
    good.iter().all(|g| *g)
}
