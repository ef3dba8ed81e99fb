//! What waits for one handler: history to replay, notices, queues; and who waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::event::{Delivery, Event, Priority};
use super::lane::{Class, Lanes, Pushed};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, lock, thread, wait};

/// How often a thread lets others run before it sleeps for want of work or room. Falling asleep and being woken costs more than
/// an event; without this a quick handler would sleep after each one (measured: 16 subscribers, five times slower).
const YIELDS: usize = 8;

/// Number in `State::running` for a notice that is no event.
const NOTICE: u64 = 0;

pub(super) struct State {
    pub lanes: Lanes,
    /// Comes first.
    pub gap: Option<Delivery>,
    /// Comes second, before everything live.
    pub replay: VecDeque<Arc<Event>>,
    /// Number of the event whose handler runs.
    pub running: Option<u64>,
    /// Highest number that was handled.
    handled: u64,
    pub closed: bool,
    idle_workers: usize,
    room_waiters: [usize; Priority::COUNT],
    idle_waiters: usize,
}

impl State {
    /// The next thing for the handler.
    fn take(&mut self) -> Option<Delivery> {
        if let Some(gap) = self.gap.take() {
            return Some(gap);
        }
        if let Some(event) = self.replay.pop_front() {
            return Some(Delivery::Event { event, replay: true });
        }
        if self.lanes.lost > 0 {
            return Some(Delivery::Lagged { lost: std::mem::take(&mut self.lanes.lost) });
        }
        self.lanes.pop().map(|event| Delivery::Event { event, replay: false })
    }

    /// True when there is something for the handler.
    pub fn has_work(&self) -> bool {
        self.gap.is_some() || !self.replay.is_empty() || self.lanes.lost > 0 || self.lanes.len() > 0
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.replay.len() + self.lanes.len()
    }

    /// True while the event of this number has not been handled.
    pub fn is_pending(&mut self, priority: Priority, sequence: u64) -> bool {
        self.gap.is_some()
            || !self.replay.is_empty()
            || self.running == Some(sequence)
            || self.lanes.front(priority).is_some_and(|front| front <= sequence)
    }

    /// Highest number up to which everything was handled: with priorities, newer events may be done before older ones.
    fn settled(&mut self) -> u64 {
        let oldest = self.replay.front().map(|e| e.sequence).into_iter().chain(self.lanes.oldest()).min();
        oldest.map_or(self.handled, |o| o - 1)
    }
}

pub(super) struct Inbox {
    state: Mutex<State>,
    /// How many events of each priority wait, readable without the lock. Rises only under the lock of the bus.
    queued: [AtomicUsize; Priority::COUNT],
    capacity: usize,
    /// Told when there is something to handle.
    work: Condvar,
    /// Told when an event left its queue, by priority.
    room: [Condvar; Priority::COUNT],
    /// Told when a handler returned.
    idle: Condvar,
}

impl Inbox {
    pub fn new(class: Class, capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: Lanes::new(class, capacity),
                gap: None,
                replay: VecDeque::new(),
                running: None,
                handled: 0,
                closed: false,
                idle_workers: 0,
                room_waiters: [0; Priority::COUNT],
                idle_waiters: 0,
            }),
            queued: Default::default(),
            capacity: capacity.max(1),
            work: Condvar::new(),
            room: Default::default(),
            idle: Condvar::new(),
        }
    }

    /// Names the inbox within this process.
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// False when the queue may be full. Under the lock of the bus a `true` stays true, because only publishers add.
    pub fn has_room(&self, priority: Priority) -> bool {
        self.queued[priority.index()].load(Ordering::Acquire) < self.capacity
    }

    /// Adds an event; none when the inbox is closed. With `true` somebody sleeps who must be woken by [`Inbox::wake_worker`].
    pub fn push(&self, event: Arc<Event>) -> Option<(Pushed, bool)> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let priority = event.priority;
        let pushed = state.lanes.push(event);
        self.count(&state, priority);
        Some((pushed, state.idle_workers > 0))
    }

    /// Wakes the one who waits for work.
    pub fn wake_worker(&self) {
        self.work.notify_one();
    }

    /// Lets others run until there may be work, but not for long. False when there is none.
    pub fn linger(&self) -> bool {
        (0..YIELDS).any(|_| {
            thread::yield_now();
            self.queued.iter().any(|q| q.load(Ordering::Acquire) > 0)
        })
    }

    /// Notes an event that a suspended subscriber does not get.
    pub fn skip(&self) {
        self.lock().lanes.lost += 1;
    }

    fn count(&self, state: &State, priority: Priority) {
        self.queued[priority.index()].store(state.lanes.queued(priority), Ordering::Release);
    }

    /// Takes the next delivery and notes that its handler runs.
    pub fn begin(&self, state: &mut State) -> Option<Delivery> {
        let delivery = self.next(state)?;
        state.running = Some(delivery.event().map_or(NOTICE, |e| e.sequence));
        Some(delivery)
    }

    /// Takes the next delivery.
    pub fn next(&self, state: &mut State) -> Option<Delivery> {
        let delivery = state.take()?;
        if let Delivery::Event { event, replay: false } = &delivery {
            let p = event.priority.index();
            self.count(state, event.priority);
            if state.room_waiters[p] > 0 {
                self.room[p].notify_one();
            }
        }
        Some(delivery)
    }

    /// Notes that the handler returned; the number up to which everything is settled.
    pub fn finish(&self, state: &mut State) -> u64 {
        if let Some(sequence) = state.running.take() {
            state.handled = state.handled.max(sequence);
        }
        if state.idle_waiters > 0 {
            self.idle.notify_all();
        }
        state.settled()
    }

    /// Tells those who wait for an empty inbox that something was taken by polling.
    pub fn taken(&self, state: &State) {
        if state.idle_waiters > 0 {
            self.idle.notify_all();
        }
    }

    /// Waits for something to handle.
    pub fn wait_work<'a>(&self, mut state: MutexGuard<'a, State>, deadline: Option<Instant>) -> MutexGuard<'a, State> {
        state.idle_workers += 1;
        state = wait(&self.work, state, deadline);
        state.idle_workers -= 1;
        state
    }

    /// Waits for a handler to return.
    pub fn wait_idle<'a>(&self, mut state: MutexGuard<'a, State>, deadline: Option<Instant>) -> MutexGuard<'a, State> {
        state.idle_waiters += 1;
        state = wait(&self.idle, state, deadline);
        state.idle_waiters -= 1;
        state
    }

    /// Waits until there is room for this priority, the inbox is closed, `stop` says so, or the time is over (false).
    pub fn wait_room(&self, priority: Priority, deadline: Instant, stop: impl Fn() -> bool) -> bool {
        for _ in 0..YIELDS {
            if self.has_room(priority) || Instant::now() >= deadline {
                break;
            }
            thread::yield_now();
        }
        let p = priority.index();
        let mut state = self.lock();
        loop {
            if state.closed || state.lanes.has_room(priority) || stop() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            state.room_waiters[p] += 1;
            state = wait(&self.room[p], state, Some(deadline));
            state.room_waiters[p] -= 1;
        }
    }

    /// Hands the wake-up on when the one who was woken did not take the room.
    pub fn pass_room(&self, priority: Priority) {
        let state = self.lock();
        if state.room_waiters[priority.index()] > 0 && state.lanes.has_room(priority) {
            self.room[priority.index()].notify_one();
        }
    }

    /// Wakes everybody to look at their condition again.
    pub fn wake_all(&self) {
        let _state = self.lock();
        self.work.notify_all();
        self.room.iter().for_each(Condvar::notify_all);
        self.idle.notify_all();
    }

    /// Closes: nothing more is taken in or handed out.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.gap = None;
        state.replay.clear();
        state.lanes.clear();
        drop(state);
        self.wake_all();
    }
}
