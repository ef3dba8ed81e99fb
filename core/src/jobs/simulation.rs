//! Many lives of a store with workers that crash, sleep and lie, from seeds: the same seed gives the same life, on every kind of store.
//!
//! After each step the store is compared with what must hold whatever happened: what was acknowledged is there, a job is in the
//! hands of one worker, what is over stays over, counters and limits are kept, the best available job goes first, a lost lease
//! changes nothing. At the end all faults stop, and every job must come to its end.

use std::collections::BTreeMap;

use serde_json::json;

use super::bench::{Kind, World, error, file, mix};
use super::*;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % sides
    }
}

/// A worker, and the job that it believes to have.
#[derive(Default)]
struct Worker {
    hands: Option<Claimed>,
}

const WORKERS: usize = 4;
const QUEUE_LIMIT: u32 = 2;

struct Life {
    world: World,
    dice: Dice,
    workers: Vec<Worker>,
    /// Who may write for a job: the last lease given out.
    newest: BTreeMap<JobId, Lease>,
    /// Every acknowledged job, and how often its end "succeeded" was acknowledged.
    completed: BTreeMap<JobId, u32>,
    /// What happened, as a number.
    trace: u64,
}

impl Life {
    fn new(kind: Kind, seed: u64) -> Self {
        let world = World::with(kind, None);
        world
            .store
            .set_limits(&Scope::Queue("narrow".into()), Limits { max_running: Some(QUEUE_LIMIT), rate: None })
            .unwrap();
        let workers = (0..WORKERS).map(|_| Worker::default()).collect();
        Self { world, dice: Dice(seed), workers, newest: BTreeMap::new(), completed: BTreeMap::new(), trace: seed }
    }

    fn happened(&mut self, what: u64) {
        self.trace = mix(self.trace ^ what.wrapping_add(0x51ed));
    }

    fn enqueue(&mut self) {
        let key = self.dice.roll(12);
        let spec = JobSpec {
            queue: if self.dice.roll(3) == 0 { "narrow" } else { "default" }.into(),
            priority: self.dice.roll(3) as i32 - 1,
            run_at_ms: (self.dice.roll(4) == 0).then(|| self.world.now_ms() + 500),
            unique: (key < 6).then(|| Unique {
                key: format!("u{key}"),
                window_ms: None,
                replace: self.dice.0 & 1 == 0,
            }),
            max_attempts: 3,
            max_crashes: 2,
            timeout_total_ms: (self.dice.roll(10) == 0).then_some(60_000),
            ..JobSpec::new("k", json!(self.dice.0))
        };
        let made = self.world.store.enqueue(vec![spec]).unwrap()[0];
        self.happened(made.id.0 as u64);
        if made.duplicate {
            assert!(!self.world.state(made.id).is_over(), "a duplicate of what is over");
        } else {
            assert!(self.completed.insert(made.id, 0).is_none());
        }
    }

    fn claim(&mut self, worker: usize) {
        let request = ClaimRequest { lease_ms: 1000, ..ClaimRequest::new(format!("w{worker}")) };
        let running = self.running_in("narrow");
        let best = self.best(running >= u64::from(QUEUE_LIMIT));
        let claimed = self.world.store.claim(&request).unwrap();
        // A job whose time is up goes before others and is ended instead of given out.
        if let (Some(claimed), Some(best)) = (&claimed, best) {
            assert_eq!(claimed.job.id, best, "the best available one goes first");
        }
        assert!(claimed.is_some() || best.is_none(), "there was one to give");
        self.happened(claimed.as_ref().map_or(0, |c| c.job.id.0 as u64));
        if let Some(claimed) = claimed {
            assert_eq!(self.completed[&claimed.job.id], 0, "what is done is not given out");
            self.newest.insert(claimed.job.id, claimed.lease);
            // What it had before it forgets, as one that was started anew.
            self.workers[worker].hands = Some(claimed);
        }
    }

    fn jobs(&self) -> Vec<Job> {
        self.world.store.list(&JobFilter { limit: 10_000, ..JobFilter::default() }).unwrap()
    }

    fn running_in(&self, queue: &str) -> u64 {
        self.jobs().iter().filter(|j| j.spec.queue == queue && j.status.state.is_leased()).count() as u64
    }

    /// The job that has to go first, by the words of the specification.
    fn best(&self, narrow_is_full: bool) -> Option<JobId> {
        let now = self.world.now_ms();
        let jobs = self.jobs();
        let ready = jobs.iter().filter(|j| {
            j.status.state == JobState::Available
                && j.status.deadline_ms.is_none_or(|at| at > now)
                && !(narrow_is_full && j.spec.queue == "narrow")
        });
        ready.min_by_key(|j| (-j.spec.priority, j.status.run_at_ms, j.id)).map(|j| j.id)
    }

    /// A worker does something with what it believes to have.
    fn work(&mut self, worker: usize) {
        let Some(claimed) = self.workers[worker].hands.clone() else { return self.claim(worker) };
        let (id, lease, store) = (claimed.job.id, claimed.lease, &self.world.store);
        let before = self.world.job(id);
        let roll = self.dice.roll(12);
        let through = match roll {
            0..=2 => store.beat(&lease, Some(0.1)).unwrap().map(drop),
            3 => store.publish(&lease, &file("out")).unwrap(),
            4..=6 => store.complete(&lease, Some(json!(worker))).unwrap(),
            7 => store.fail(&lease, &error(FailureClass::Transient)).unwrap().map(drop),
            8 => store.fail(&lease, &error(FailureClass::Permanent)).unwrap().map(drop),
            9 => store.hand_back(&lease).unwrap(),
            // It is gone, and its job with it.
            10 => {
                self.workers[worker].hands = None;
                return self.happened(10);
            }
            // It sleeps and still believes.
            _ => return self.happened(11),
        };
        self.happened(roll * 2 + u64::from(through.is_some()));
        if through.is_some() {
            assert_eq!(self.newest.get(&id), Some(&lease), "only the newest lease writes");
            assert!(before.status.state.is_leased());
            if (4..=6).contains(&roll) {
                *self.completed.get_mut(&id).unwrap() += 1;
            }
        } else {
            assert_eq!(self.world.job(id), before, "a lost lease changes nothing");
        }
        if through.is_none() || roll > 3 {
            self.workers[worker].hands = None;
        }
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0..=3 => self.enqueue(),
            4..=13 => {
                let worker = self.dice.roll(WORKERS as u64) as usize;
                self.work(worker);
            }
            14 | 15 => {
                let ms = [1, 100, 400, 1000, 3000][self.dice.roll(5) as usize];
                self.world.pass(ms);
            }
            16 => {
                let ms = self.dice.roll(20_000) as i64 - 10_000;
                self.world.step_calendar(ms);
            }
            17 => {
                let swept = self.world.store.sweep().unwrap();
                self.happened(swept.orphans.len() as u64 * 64 + swept.overdue.len() as u64);
            }
            18 => {
                let some = self.some_job();
                if let Some(id) = some {
                    let outcome = self.world.store.cancel(id, "enough").unwrap();
                    self.happened(outcome as u64);
                }
            }
            _ => match self.dice.roll(4) {
                0 => {
                    self.world.reboot();
                    self.workers.iter_mut().for_each(|w| w.hands = None);
                }
                _ => {
                    if let Some(id) = self.some_job() {
                        let again = self.world.store.retry(id).is_ok();
                        self.happened(u64::from(again));
                    }
                }
            },
        }
        self.check();
    }

    fn some_job(&mut self) -> Option<JobId> {
        let nth = self.dice.roll(self.completed.len().max(1) as u64) as usize;
        self.completed.keys().nth(nth).copied()
    }

    /// What holds at every moment.
    fn check(&self) {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), self.completed.len(), "what was acknowledged is there, and nothing else");
        let mut keys = Vec::new();
        for job in &jobs {
            let status = &job.status;
            let done = self.completed[&job.id];
            assert_eq!(done, u32::from(status.state == JobState::Succeeded), "done once, and then for good");
            assert!(status.attempts <= job.spec.max_attempts && status.crashes <= job.spec.max_crashes);
            assert_eq!(status.holder.is_some(), status.state.is_leased());
            if let Some(holder) = &status.holder {
                assert_eq!(self.newest[&job.id].token, holder.token);
            }
            keys.extend(job.spec.unique.as_ref().filter(|_| !status.state.is_over()).map(|u| &u.key));
        }
        let active = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), active, "one job for each key");
        assert!(self.running_in("narrow") <= u64::from(QUEUE_LIMIT));
    }

    /// All faults stop: everything comes to its end, and in a bounded number of rounds.
    fn finish(mut self) -> u64 {
        self.workers.iter_mut().for_each(|w| w.hands = None);
        for _ in 0..2_000 {
            if self.jobs().iter().all(|j| j.status.state.is_over()) {
                return mix(self.trace ^ self.completed.values().map(|n| u64::from(*n)).sum::<u64>());
            }
            self.claim(0);
            match self.workers[0].hands.take() {
                Some(claimed) => {
                    assert_eq!(self.world.store.complete(&claimed.lease, None).unwrap(), Some(()));
                    *self.completed.get_mut(&claimed.job.id).unwrap() += 1;
                }
                None => self.world.pass(1000),
            }
            self.world.store.sweep().unwrap();
            self.check();
        }
        panic!("some jobs never came to an end: {:?}", self.jobs().iter().find(|j| !j.status.state.is_over()));
    }
}

fn life(kind: Kind, seed: u64, steps: usize) -> u64 {
    let mut life = Life::new(kind, seed);
    for _ in 0..steps {
        life.step();
    }
    life.finish()
}

/// Seeds to run: `PURESOUND_SEEDS` for the long form.
fn seeds(few: u64) -> u64 {
    std::env::var("PURESOUND_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

#[test]
fn nothing_is_lost_and_nothing_done_twice_in_any_life() {
    for seed in 0..seeds(400) {
        let told = std::panic::catch_unwind(|| life(Kind::Memory, seed, 100));
        assert!(told.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_seed_replays_and_all_stores_live_the_same_life() {
    for seed in 0..seeds(400) / 40 {
        let first = life(Kind::Memory, seed, 100);
        for kind in Kind::all() {
            assert_eq!(life(kind, seed, 100), first, "{kind:?}, seed {seed}");
        }
    }
}
