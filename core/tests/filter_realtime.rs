//! No filter that says it is real-time allocates or releases memory in `process` and `reset`, counted by the allocator, or
//! logs, counted by a subscriber. For system calls see `filter_syscalls.rs`.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec, examples, filters};

struct Counting;

thread_local! {
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

fn note() {
    // Not counted while the thread ends and its cell is gone.
    let _ = COUNT.try_with(|c| c.set(c.get().map(|n| n + 1)));
}

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        note();
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and releases on this thread while `work` runs.
fn counted(work: impl FnOnce()) -> u64 {
    COUNT.with(|c| c.set(Some(0)));
    work();
    COUNT.with(|c| c.replace(None)).unwrap_or(0)
}

fn fill(block: &mut Buffer, spec: Spec, frames: usize, seed: &mut u32) {
    block.set_spec(spec);
    block.set_frames(frames);
    for channel in block.channels_mut() {
        for x in channel {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *x = (*seed >> 8) as f32 / 8_388_608.0 - 1.0;
        }
    }
}

#[test]
fn the_counter_counts() {
    assert!(counted(|| drop(std::hint::black_box(vec![1u8; 100]))) == 2);
}

/// Counts what is logged.
struct Log(Arc<AtomicU64>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0.fetch_add(1, Ordering::Relaxed);
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Allocations of a chain of one filter at one stream and block size; none when it does not take the stream.
fn allocations(spec: &FilterSpec, live: &[(usize, f64)], stream: Spec, frames: usize, rounds: usize) -> Option<u64> {
    let mut chain = Chain::new(std::slice::from_ref(spec)).unwrap();
    assert!(chain.is_realtime());
    chain.prepare(stream, frames).ok()?;
    let mut block = chain.new_block().unwrap();
    let mut control = chain.control();
    let mut seed = 1;
    Some(counted(|| {
        for round in 0..rounds {
            if round == 1 {
                for (index, value) in live {
                    assert!(control.set_parameter_at(0, *index, *value) && chain.set_parameter_at(0, *index, *value));
                }
            }
            // Every fifth block is shorter.
            fill(&mut block, stream, if round % 5 == 4 { frames.div_ceil(2) } else { frames }, &mut seed);
            chain.process(&mut block);
        }
        chain.reset();
        fill(&mut block, stream, frames, &mut seed);
        chain.process(&mut block);
    }))
}

#[test]
fn real_time_filters_do_not_allocate_or_log() {
    let events = Arc::new(AtomicU64::new(0));
    let _guard = tracing::subscriber::set_default(Log(Arc::clone(&events)));
    tracing::info!("the counter counts");
    assert_eq!(events.swap(0, Ordering::Relaxed), 1);
    let mut seen = 0;
    for info in filters().iter().filter(|f| f.realtime) {
        let spec = FilterSpec::parse(examples::example(info.name)).unwrap();
        let params = info.parameters.iter().enumerate().filter(|(_, p)| p.live);
        let live: Vec<_> = params.map(|(index, p)| (index, p.max.unwrap_or(0.0))).collect();
        // Every rate with every channel count at one block size, every block size at one stream.
        let rates = [8_000, 16_000, 44_100, 48_000, 96_000, 192_000];
        let streams = rates.into_iter().flat_map(|rate| (1..=8).map(move |channels| (rate, channels, 64, 12)));
        let blocks = [(1, 400), (7, 100), (64, 60), (480, 12), (4_096, 5)];
        for (rate_hz, channels, frames, rounds) in streams.chain(blocks.map(|(b, n)| (48_000, 2, b, n))) {
            let stream = Spec::new(rate_hz, ChannelLayout::from_count(channels));
            if let Some(count) = allocations(&spec, &live, stream, frames, rounds) {
                assert_eq!(count, 0, "{} at {rate_hz} Hz, {channels} channels, blocks of {frames}", info.name);
                seen += 1;
            }
        }
        assert_eq!(events.load(Ordering::Relaxed), 0, "{} logs", info.name);
    }
    assert!(seen > 600, "only {seen} cases ran");
}

#[test]
fn curves_do_not_allocate() {
    let text = r#"{"type":"parallel","mix_percent":[[0,0],[0.1,100]],"branches":[{"filters":[
        {"type":"highpass","cutoff_hz":{"points":[[0,50],[0.02,500],[0.03,80]],"shape":"hold"}},
        {"type":"gain","gain_db":[[0,-60],[0.05,0]]}]}]}"#;
    let spec = FilterSpec::parse(text).unwrap();
    for frames in [1, 64, 500] {
        let stream = Spec::new(48_000, ChannelLayout::STEREO);
        assert_eq!(allocations(&spec, &[(1, 6.0)], stream, frames, 6_000 / frames), Some(0));
    }
}
