//! Live objects behind numbers. A handle is never a pointer, so that one which is stale, of another type, or no handle at all is an
//! error and not undefined behaviour.
//!
//! A handle is a u64: `0xA5` (8 bits), type (8 bits), generation of the slot (24 bits), slot (24 bits). 0 is never a handle.
//! Looking one up takes one compare-and-swap in the slot and no lock, so it may be done on an audio thread. While a call works on
//! an object it counts as its user; an object that is freed meanwhile is no longer found, and goes when its last user is done. A
//! slot whose generations are used up is not used again.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pure_sound::{Error, Result};

const MAGIC: u64 = 0xA5;
const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 24;
const TAG_BITS: u32 = 8;
const MAX_GENERATION: u64 = (1 << GENERATION_BITS) - 1;

/// Slots of the first chunk; each further chunk doubles what is there.
const FIRST_CHUNK: usize = 256;
/// Chunks: 256 slots and 16 doublings are 2^24.
const CHUNKS: usize = 17;

/// A kind of object.
pub trait Object: Send + Sync + 'static {
    /// Its number in handles.
    const TAG: u8;
    /// Its name in errors.
    const NAME: &'static str;
}

/// What a slot holds: a `Box<T>` without its type, and how to drop it.
#[derive(Clone, Copy)]
struct Held {
    tag: u8,
    pointer: *mut (),
    drop: unsafe fn(*mut ()),
}

struct Slot {
    /// Generation (24 bits), whether an object is there (1), how many calls use it (32).
    state: AtomicU64,
    held: UnsafeCell<Option<Held>>,
}

const ALIVE: u64 = 1 << 32;
const USERS: u64 = ALIVE - 1;

// SAFETY: `held` is written by who puts an object in (before it is alive: nobody else reads) and by who takes it out (after it is
// dead and without users: nobody else reads). What it points to is `Send + Sync`.
unsafe impl Sync for Slot {}
// SAFETY: as above.
unsafe impl Send for Slot {}

fn generation_of(state: u64) -> u64 {
    state >> 33
}

static TABLE: [OnceLock<Box<[Slot]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static FREE: Mutex<Free> = Mutex::new(Free { slots: VecDeque::new(), used: 0 });

/// Slots that may be used again, the longest unused first, and how many were used so far.
struct Free {
    slots: VecDeque<usize>,
    used: usize,
}

/// Chunk of a slot and its place there. Chunk 0 has 256 slots, chunk n as many as all before.
fn place(slot: usize) -> (usize, usize) {
    if slot < FIRST_CHUNK {
        return (0, slot);
    }
    let chunk = (slot / FIRST_CHUNK).ilog2() as usize + 1;
    (chunk, slot - (FIRST_CHUNK << (chunk - 1)))
}

fn chunk_slots(chunk: usize) -> usize {
    if chunk == 0 { FIRST_CHUNK } else { FIRST_CHUNK << (chunk - 1) }
}

fn slot_at(slot: usize) -> Option<&'static Slot> {
    let (chunk, index) = place(slot);
    TABLE.get(chunk)?.get()?.get(index)
}

fn invalid<T: Object>(handle: u64) -> Error {
    Error::InvalidHandle { what: T::NAME, handle }
}

/// Slot and generation that `handle` names, when it can be one of a `T`.
fn decode<T: Object>(handle: u64) -> Option<(usize, u64)> {
    let tag = handle >> (SLOT_BITS + GENERATION_BITS);
    if tag != MAGIC << TAG_BITS | u64::from(T::TAG) {
        return None;
    }
    let slot = (handle & ((1 << SLOT_BITS) - 1)) as usize;
    Some((slot, handle >> SLOT_BITS & MAX_GENERATION))
}

/// Puts `object` behind a new handle.
///
/// # Errors
/// [`Error::Full`] with 2^24 objects.
pub fn insert<T: Object>(object: T) -> Result<u64> {
    let slot = {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        match free.slots.pop_front() {
            Some(slot) => slot,
            None if free.used < 1 << SLOT_BITS => {
                free.used += 1;
                free.used - 1
            }
            None => return Err(Error::Full { what: "table of handles".into(), max: 1 << SLOT_BITS }),
        }
    };
    let (chunk, index) = place(slot);
    let empty = || Slot { state: AtomicU64::new(1 << 33), held: UnsafeCell::new(None) };
    let chunk = TABLE[chunk].get_or_init(|| std::iter::repeat_with(empty).take(chunk_slots(chunk)).collect());
    let place = &chunk[index];
    unsafe fn drop_box<T>(pointer: *mut ()) {
        // SAFETY: made by `Box::into_raw` for a `T` below, and dropped once: see `end`.
        drop(unsafe { Box::from_raw(pointer.cast::<T>()) });
    }
    let held = Held { tag: T::TAG, pointer: Box::into_raw(Box::new(object)).cast(), drop: drop_box::<T> };
    // SAFETY: the slot came from the free list or is new: it is dead, has no users, and is ours alone.
    unsafe { *place.held.get() = Some(held) };
    let generation = generation_of(place.state.load(Ordering::Relaxed));
    place.state.store(generation << 33 | ALIVE, Ordering::Release);
    let tag = MAGIC << TAG_BITS | u64::from(T::TAG);
    Ok(tag << (SLOT_BITS + GENERATION_BITS) | generation << SLOT_BITS | slot as u64)
}

/// One user of a slot; the last one out of a dead slot ends it.
struct Users(&'static Slot, usize);

impl Drop for Users {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(1, Ordering::AcqRel);
        if before & ALIVE == 0 && before & USERS == 1 {
            end(self.0, self.1);
        }
    }
}

/// An object in use. It stays at least as long.
pub struct Used<T: Object> {
    users: Users,
    object: *const T,
}

impl<T: Object> Deref for Used<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the object lives while it has users, and this is one; it is only shared.
        unsafe { &*self.object }
    }
}

/// The object behind `handle`.
///
/// # Errors
/// [`Error::InvalidHandle`].
pub fn get<T: Object>(handle: u64) -> Result<Used<T>> {
    let found = decode::<T>(handle).and_then(|(number, generation)| Some((slot_at(number)?, number, generation)));
    let (slot, number, generation) = found.ok_or_else(|| invalid::<T>(handle))?;
    let mut state = slot.state.load(Ordering::Relaxed);
    loop {
        if generation_of(state) != generation || state & ALIVE == 0 {
            return Err(invalid::<T>(handle));
        }
        match slot.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    let users = Users(slot, number);
    // SAFETY: alive with us as a user, so nobody writes `held`.
    let held = unsafe { *slot.held.get() };
    match held {
        // The type once more: who makes up a handle may have taken the number of another type.
        Some(held) if held.tag == T::TAG => Ok(Used { users, object: held.pointer.cast::<T>() }),
        _ => {
            drop(users);
            Err(invalid::<T>(handle))
        }
    }
}

/// Frees the object behind `handle`. It is gone when this returns, or when the last call that uses it returns. 0 is fine.
///
/// # Errors
/// [`Error::InvalidHandle`]: nothing was freed.
pub fn free<T: Object>(handle: u64) -> Result<()> {
    if handle == 0 {
        return Ok(());
    }
    let used = get::<T>(handle)?;
    if used.users.0.state.fetch_and(!ALIVE, Ordering::AcqRel) & ALIVE == 0 {
        // Another thread was faster.
        return Err(invalid::<T>(handle));
    }
    Ok(())
}

/// Drops the object of a slot that is dead and has no users, and makes the slot free.
fn end(slot: &'static Slot, number: usize) {
    // SAFETY: dead and without users: `get` does not touch it any more, and only the last user comes here.
    let held = unsafe { (*slot.held.get()).take() };
    let generation = generation_of(slot.state.load(Ordering::Relaxed)) + 1;
    slot.state.store(generation << 33, Ordering::Release);
    if generation < MAX_GENERATION {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).slots.push_back(number);
    }
    if let Some(held) = held {
        // SAFETY: made by `insert`, taken out above: dropped once.
        unsafe { (held.drop)(held.pointer) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Thing(Arc<AtomicUsize>, usize);
    impl Object for Thing {
        const TAG: u8 = 200;
        const NAME: &'static str = "thing";
    }
    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    struct Other;
    impl Object for Other {
        const TAG: u8 = 201;
        const NAME: &'static str = "other";
    }

    #[test]
    fn places_fill_the_chunks_without_holes() {
        let mut expected = (0, 0);
        for slot in 0..1 << 20 {
            if expected.1 == chunk_slots(expected.0) {
                expected = (expected.0 + 1, 0);
            }
            assert_eq!(place(slot), expected, "{slot}");
            expected.1 += 1;
        }
        assert_eq!(place((1 << 24) - 1), (CHUNKS - 1, chunk_slots(CHUNKS - 1) - 1));
    }

    #[test]
    fn stale_foreign_and_invented_handles_are_refused() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let handle = insert(Thing(Arc::clone(&dropped), 7)).unwrap();
        assert_eq!(get::<Thing>(handle).unwrap().1, 7);
        assert!(get::<Other>(handle).is_err());
        // The same slot and generation under the other type.
        assert!(get::<Other>(handle ^ (200 ^ 201) << 48).is_err());
        assert!(free::<Other>(handle).is_err());
        for wrong in [1, u64::MAX, handle ^ 1 << 63, handle + 1, handle ^ 1 << 30, !handle] {
            assert!(matches!(get::<Thing>(wrong), Err(Error::InvalidHandle { .. })), "{wrong:x}");
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        free::<Thing>(handle).unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(free::<Thing>(handle).is_err() && get::<Thing>(handle).is_err());
        free::<Thing>(0).unwrap();
    }

    #[test]
    fn an_object_in_use_goes_with_its_last_user() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let handle = insert(Thing(Arc::clone(&dropped), 1)).unwrap();
        let (first, second) = (get::<Thing>(handle).unwrap(), get::<Thing>(handle).unwrap());
        free::<Thing>(handle).unwrap();
        assert!(get::<Thing>(handle).is_err());
        drop(first);
        assert_eq!((second.1, dropped.load(Ordering::SeqCst)), (1, 0));
        drop(second);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }

    /// Random calls beside a plain map of what should be there.
    #[test]
    fn ten_thousand_random_calls_agree_with_a_model() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        let mut seed = 1_u32;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % below
        };
        for n in 0..10_000 {
            match next(4) {
                0 => alive.push((insert(Thing(Arc::clone(&dropped), n)).unwrap(), n)),
                1 if !alive.is_empty() => {
                    let (handle, _) = alive.swap_remove(next(alive.len()));
                    free::<Thing>(handle).unwrap();
                    dead.push(handle);
                }
                2 if !alive.is_empty() => {
                    let (handle, n) = alive[next(alive.len())];
                    assert_eq!(get::<Thing>(handle).unwrap().1, n);
                }
                _ if !dead.is_empty() => {
                    let handle = dead[next(dead.len())];
                    assert!(get::<Thing>(handle).is_err() && free::<Thing>(handle).is_err());
                }
                _ => {}
            }
            assert_eq!(dropped.load(Ordering::SeqCst), dead.len());
        }
        alive.into_iter().for_each(|(handle, _)| free::<Thing>(handle).unwrap());
    }

    #[test]
    fn threads_that_free_and_use_the_same_handles_agree_on_who_frees() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let handles: Vec<u64> = (0..2000).map(|n| insert(Thing(Arc::clone(&dropped), n)).unwrap()).collect();
        let freed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for (n, handle) in handles.iter().enumerate() {
                        if let Ok(thing) = get::<Thing>(*handle) {
                            assert_eq!(thing.1, n);
                        }
                        if free::<Thing>(*handle).is_ok() {
                            freed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!((freed.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (2000, 2000));
    }
}
