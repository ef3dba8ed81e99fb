//! No filter that says it is real-time allocates or releases memory in `process` and `reset`, counted by the allocator.
#![allow(clippy::unwrap_used)] // a failed helper is a failed test

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::filters::{Chain, FilterSpec, filters};

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

#[test]
fn real_time_filters_do_not_allocate() {
    let mut seen = 0;
    for info in filters().iter().filter(|f| f.realtime) {
        for (rate_hz, channels) in [(44_100, 2), (48_000, 1), (48_000, 2), (16_000, 6)] {
            let spec = Spec::new(rate_hz, ChannelLayout::from_count(channels));
            let mut chain = Chain::new(&[FilterSpec::parse(info.name).unwrap()]).unwrap();
            assert!(chain.is_realtime());
            if chain.prepare(spec, 512).is_err() {
                continue; // the filter does not take this layout
            }
            let mut block = chain.new_block().unwrap();
            let mut seed = 1;
            let count = counted(|| {
                for n in 0..200 {
                    fill(&mut block, spec, [512, 1, 333, 64, 512][n % 5], &mut seed);
                    chain.process(&mut block);
                }
                chain.reset();
                fill(&mut block, spec, 512, &mut seed);
                chain.process(&mut block);
            });
            assert_eq!(count, 0, "{} at {rate_hz} Hz, {channels} channels", info.name);
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} cases ran");
}
