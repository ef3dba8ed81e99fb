//! The queues of one subscriber: one per priority, each bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Priority};

/// What happens when a subscriber is slower than its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Nothing is lost: who publishes waits until there is room, at most so long, and then fails with
    /// [`Error::Full`](crate::Error::Full), in which case nobody gets the event.
    Lossless {
        /// Longest wait.
        wait: Duration,
    },
    /// Only the newest event of each topic and key is kept: for gauges and progress. When there are more keys than room,
    /// the oldest event is dropped and told as [`Delivery::Lagged`](super::Delivery::Lagged).
    Latest,
    /// The oldest event is dropped and told as [`Delivery::Lagged`](super::Delivery::Lagged).
    Lossy,
}

/// What `push` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Added,
    Replaced,
    DroppedOldest,
}

type LatestKey = (Arc<str>, Option<Arc<str>>);

/// A queue. An event that was replaced by a newer one leaves a hole, so that the order of the rest stays.
#[derive(Default)]
struct Lane {
    slots: VecDeque<Option<Arc<Event>>>,
    /// Absolute index of the first slot.
    base: u64,
    live: usize,
    /// Where the event of a key stands; for [`Class::Latest`] only.
    latest: HashMap<LatestKey, u64>,
}

impl Lane {
    fn pop(&mut self, keyed: bool) -> Option<Arc<Event>> {
        loop {
            let slot = self.slots.pop_front()?;
            self.base += 1;
            if let Some(event) = slot {
                self.live -= 1;
                if keyed {
                    self.latest.remove(&latest_key(&event));
                }
                return Some(event);
            }
        }
    }

    /// The oldest event. Holes before it go.
    fn front(&mut self) -> Option<&Arc<Event>> {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        self.slots.front()?.as_ref()
    }

    /// Makes a hole where an older event of this key stands.
    fn forget(&mut self, key: &LatestKey) -> bool {
        let Some(at) = self.latest.get(key) else { return false };
        if let Some(slot) = usize::try_from(at - self.base).ok().and_then(|i| self.slots.get_mut(i)) {
            *slot = None;
            self.live -= 1;
        }
        true
    }

    /// Closes the holes when they are more than the events.
    fn compact(&mut self) {
        if self.slots.len() <= 16 + 2 * self.live {
            return;
        }
        self.slots.retain(Option::is_some);
        for (i, event) in self.slots.iter().enumerate() {
            if let Some(event) = event {
                self.latest.insert(latest_key(event), self.base + i as u64);
            }
        }
    }
}

fn latest_key(event: &Event) -> LatestKey {
    (Arc::clone(&event.topic), event.key.clone())
}

/// All queues of a subscriber.
pub(super) struct Lanes {
    class: Class,
    capacity: usize,
    lanes: [Lane; Priority::COUNT],
    /// Dropped and not told yet.
    pub lost: u64,
}

impl Lanes {
    /// Queues of `capacity` events for each priority, at least one.
    pub fn new(class: Class, capacity: usize) -> Self {
        Self { class, capacity: capacity.max(1), lanes: Default::default(), lost: 0 }
    }

    /// How many events of this priority wait.
    pub fn queued(&self, priority: Priority) -> usize {
        self.lanes[priority.index()].live
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|l| l.live).sum()
    }

    /// True when an event of this priority fits without a loss.
    pub fn has_room(&self, priority: Priority) -> bool {
        self.queued(priority) < self.capacity
    }

    /// Adds an event. For [`Class::Lossless`] the caller has made sure that there is room.
    pub fn push(&mut self, event: Arc<Event>) -> Pushed {
        let keyed = self.class == Class::Latest;
        let lane = &mut self.lanes[event.priority.index()];
        let mut done = Pushed::Added;
        if keyed {
            let key = latest_key(&event);
            if lane.forget(&key) {
                done = Pushed::Replaced;
            }
            lane.latest.insert(key, lane.base + lane.slots.len() as u64);
        }
        lane.slots.push_back(Some(event));
        lane.live += 1;
        if lane.live > self.capacity {
            lane.pop(keyed);
            self.lost += 1;
            done = Pushed::DroppedOldest;
        }
        if keyed {
            lane.compact();
        }
        done
    }

    /// Takes the oldest event of the highest priority.
    pub fn pop(&mut self) -> Option<Arc<Event>> {
        let keyed = self.class == Class::Latest;
        self.lanes.iter_mut().rev().filter(|l| l.live > 0).find_map(|l| l.pop(keyed))
    }

    /// Number of the oldest event of this priority.
    pub fn front(&mut self, priority: Priority) -> Option<u64> {
        self.lanes[priority.index()].front().map(|e| e.sequence)
    }

    /// Number of the oldest event of all.
    pub fn oldest(&mut self) -> Option<u64> {
        self.lanes.iter_mut().filter_map(|l| l.front().map(|e| e.sequence)).min()
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        self.lanes = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{JsonPayload, OVERHEAD_BYTES};
    use super::*;
    use proptest::prelude::*;

    const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    fn event(sequence: u64, priority: Priority, key: u8) -> Arc<Event> {
        Arc::new(Event {
            sequence,
            time_ms: 0,
            topic: "t".into(),
            version: 1,
            priority,
            key: (key > 0).then(|| key.to_string().into()),
            bytes: OVERHEAD_BYTES,
            payload: Box::new(JsonPayload(serde_json::Value::Null)),
        })
    }

    proptest! {
        /// Against plain vectors, for all classes: the same events in the same order, the same count of losses.
        #[test]
        fn lanes_equal_the_model(
            class in 0..3_u8, capacity in 1..5_usize,
            steps in prop::collection::vec((any::<bool>(), 0..4_usize, 0..4_u8), 0..200),
        ) {
            let class = [Class::Lossy, Class::Latest, Class::Lossless { wait: Duration::ZERO }][class as usize];
            let mut lanes = Lanes::new(class, capacity);
            let mut model: [Vec<Arc<Event>>; 4] = Default::default();
            let mut lost = 0;
            for (sequence, (push, p, key)) in steps.into_iter().enumerate() {
                let priority = PRIORITIES[p];
                if push {
                    if matches!(class, Class::Lossless { .. }) && !lanes.has_room(priority) {
                        prop_assert_eq!(model[p].len(), capacity);
                        continue;
                    }
                    let event = event(sequence as u64, priority, key);
                    if class == Class::Latest { model[p].retain(|e| e.key != event.key); }
                    model[p].push(Arc::clone(&event));
                    if model[p].len() > capacity { model[p].remove(0); lost += 1; }
                    lanes.push(event);
                } else {
                    let want = model.iter_mut().rev().find(|l| !l.is_empty()).map(|l| l.remove(0).sequence);
                    prop_assert_eq!(lanes.pop().map(|e| e.sequence), want);
                }
                prop_assert_eq!(lanes.len(), model.iter().map(Vec::len).sum::<usize>());
                prop_assert_eq!(lanes.oldest(), model.iter().flatten().map(|e| e.sequence).min());
                prop_assert_eq!(lanes.front(priority), model[p].first().map(|e| e.sequence));
                prop_assert_eq!(lanes.lost, lost);
            }
        }
    }

    #[test]
    fn holes_of_replaced_events_do_not_pile_up() {
        let mut lanes = Lanes::new(Class::Latest, 4);
        for sequence in 0..100_000 {
            lanes.push(event(sequence, Priority::Low, 1 + (sequence % 3) as u8));
        }
        assert_eq!(lanes.len(), 3);
        // 16 + 2 * live, the bound of `compact`, and the one that was just pushed.
        assert!(lanes.lanes[0].slots.len() <= 16 + 2 * 3 + 1, "{}", lanes.lanes[0].slots.len());
        assert_eq!(lanes.lanes[0].latest.len(), 3);
    }
}
