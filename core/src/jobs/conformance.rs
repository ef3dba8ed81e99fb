//! What every store must do. Each case runs over each kind of store.

use serde_json::json;

use super::bench::{Kind, World, error, file, spec, unique};
use super::*;
use crate::error::Error;

/// Puts a job into a state, with the lease that it has or had.
fn in_state(world: &World, state: JobState) -> (JobId, Option<Lease>) {
    let later = (state == JobState::Scheduled).then(|| world.now_ms() + 3_600_000);
    let id = world.add(JobSpec { run_at_ms: later, ..unique("key") });
    if state.is_waiting() {
        return (id, None);
    }
    let lease = world.take().lease;
    let done = match state {
        JobState::Publishing => world.store.publish(&lease, &file("a")).unwrap(),
        JobState::Succeeded => world.store.complete(&lease, None).unwrap(),
        JobState::Cancelled => world.store.fail(&lease, &error(FailureClass::Cancelled)).unwrap().map(drop),
        JobState::Dead => world.store.fail(&lease, &error(FailureClass::Permanent)).unwrap().map(drop),
        _ => Some(()),
    };
    assert_eq!((done, world.state(id)), (Some(()), state));
    (id, Some(lease))
}

const OPERATIONS: [&str; 15] = [
    "claim",
    "beat",
    "publish",
    "complete",
    "fail transient",
    "fail permanent",
    "fail retry after",
    "fail cancelled",
    "hand back",
    "lease over",
    "reboot",
    "cancel",
    "retry",
    "enqueue the same key",
    "purge",
];

/// Where `operation` takes a job that is in `state`, by SERVICES 1.1; none when it is gone.
fn expected(state: JobState, operation: &str) -> Option<JobState> {
    use JobState::{Available, Cancelled, Dead, Publishing, Running, Scheduled, Succeeded};
    Some(match operation {
        "claim" if state == Available => Running,
        "publish" if state.is_leased() => Publishing,
        "complete" if state.is_leased() => Succeeded,
        "fail transient" | "fail retry after" if state.is_leased() => Scheduled,
        "fail permanent" if state.is_leased() => Dead,
        "fail cancelled" if state.is_leased() => Cancelled,
        "hand back" | "lease over" | "reboot" if state.is_leased() => Available,
        "cancel" if state.is_waiting() => Cancelled,
        "retry" if matches!(state, Dead | Cancelled) => Available,
        "purge" if state.is_over() => return None,
        _ => state,
    })
}

fn every_operation_in_every_state(kind: Kind) -> usize {
    let mut cases = 0;
    for state in JobState::ALL {
        for operation in OPERATIONS {
            let world = World::new(kind);
            let (id, lease) = in_state(&world, state);
            let held = lease.unwrap_or(Lease { job: id, token: 1, ttl_ms: 30_000 });
            let store = &*world.store;
            let before = world.job(id);
            let steps = store.history(id).unwrap().len();
            // Whether a write by lease was let through; others say how they ended themselves.
            let through = match operation {
                "claim" => world.claim().map(drop),
                "beat" => store.beat(&held, Some(0.5)).unwrap().map(drop),
                "publish" => store.publish(&held, &file("b")).unwrap(),
                "complete" => store.complete(&held, Some(json!(1))).unwrap(),
                "fail transient" => store.fail(&held, &error(FailureClass::Transient)).unwrap().map(drop),
                "fail permanent" => store.fail(&held, &error(FailureClass::Permanent)).unwrap().map(drop),
                "fail retry after" => store.fail(&held, &error(FailureClass::RetryAfter(50))).unwrap().map(drop),
                "fail cancelled" => store.fail(&held, &error(FailureClass::Cancelled)).unwrap().map(drop),
                "hand back" => store.hand_back(&held).unwrap(),
                "lease over" => {
                    world.pass(30_000);
                    assert_eq!(store.sweep().unwrap().orphans.len(), usize::from(state.is_leased()));
                    None
                }
                "reboot" => {
                    world.reboot();
                    store.sweep().unwrap();
                    None
                }
                "cancel" => {
                    let outcome = match state {
                        s if s.is_waiting() => CancelOutcome::Cancelled,
                        s if s.is_leased() => CancelOutcome::Asked,
                        _ => CancelOutcome::Over,
                    };
                    assert_eq!(store.cancel(id, "why").unwrap(), outcome);
                    None
                }
                "retry" => {
                    let refused = matches!(store.retry(id), Err(Error::Conflict { .. }));
                    assert_eq!(refused, !matches!(state, JobState::Dead | JobState::Cancelled), "{state:?}");
                    None
                }
                "enqueue the same key" => {
                    let made = store.enqueue(vec![unique("key")]).unwrap()[0];
                    assert_eq!((made.duplicate, made.id == id), (!state.is_over(), !state.is_over()), "{state:?}");
                    None
                }
                _ => {
                    world.pass(1);
                    assert_eq!(
                        store.purge(world.now_ms(), &JobFilter::default()).unwrap(),
                        usize::from(state.is_over())
                    );
                    None
                }
            };
            let by_lease =
                matches!(operation, "beat" | "publish" | "complete" | "hand back") || operation.starts_with("fail");
            if by_lease {
                assert_eq!(through.is_some(), state.is_leased(), "{kind:?}: {operation} in {state:?}");
                if !state.is_leased() {
                    assert_eq!(world.job(id), before, "a lost lease changes nothing");
                }
            }
            match expected(state, operation) {
                None => assert!(matches!(store.get(id), Err(Error::UnknownName { .. }))),
                Some(after) => {
                    assert_eq!(world.state(id), after, "{kind:?}: {operation} in {state:?}");
                    let history = store.history(id).unwrap();
                    let last = history.last().unwrap();
                    assert_eq!(last.to, after);
                    if after != state {
                        assert_eq!((history.len(), last.from), (steps + 1, Some(state)));
                    }
                    assert_eq!(world.job(id).status.holder.is_some(), after.is_leased());
                    assert_eq!(world.job(id).status.finished_ms.is_some(), after.is_over());
                }
            }
            cases += 1;
        }
    }
    cases
}

#[test]
fn the_table_of_states_and_operations_holds() {
    for kind in Kind::all() {
        assert_eq!(every_operation_in_every_state(kind), 105);
    }
}

/// Each case is a test of its own, over every kind of store.
macro_rules! cases {
    ($($name:ident $(($ageing:expr))? |$world:ident| $body:block)*) => {
        $(#[test]
        fn $name() {
            for kind in Kind::all() {
                #[allow(unused_mut, unused_assignments)]
                let mut ageing: Option<u64> = None;
                $(ageing = $ageing;)?
                let $world = &World::with(kind, ageing);
                $body
            }
        })*
        /// How many there are.
        const NAMED: usize = [$(stringify!($name)),*].len();
    };
}

#[test]
fn there_are_enough_cases() {
    const { assert!(NAMED + 105 >= 120, "too few cases") };
}

/// The payloads in the order in which they are claimed.
fn order(world: &World) -> Vec<i64> {
    std::iter::from_fn(|| world.claim()).map(|c| c.job.spec.payload.as_i64().unwrap()).collect()
}

fn numbered(n: i64) -> JobSpec {
    JobSpec { payload: json!(n), ..spec() }
}

fn max_running(n: u32) -> Limits {
    Limits { max_running: Some(n), rate: None }
}

fn every_minute(missed: MissedTicks) -> Schedule {
    Schedule { name: "minutely".into(), cron: "* * * * *".into(), spec: JobSpec::new("k", json!("tick")), missed }
}

cases! {
    an_empty_store_has_nothing_to_do |w| {
        assert_eq!(w.claim(), None);
        assert_eq!(w.store.sweep().unwrap(), Swept::default());
        assert_eq!(w.store.stats().unwrap(), Stats::default());
        assert!(w.store.list(&JobFilter::default()).unwrap().is_empty());
    }
    a_job_comes_back_as_it_went_in |w| {
        let wanted = JobSpec {
            payload: json!({ "text": "ü\u{1f600}\n\"", "list": [1, -2.5, null, true], "big": u64::MAX }),
            queue: "q".into(), tenant: Some("t".into()), priority: -7, max_attempts: 9, max_crashes: 2,
            timeout_run_ms: Some(5), timeout_queue_ms: Some(6), timeout_total_ms: Some(7_000),
            backoff: Backoff { base_ms: 1, max_ms: 2 }, ..unique("u")
        };
        let id = w.add(wanted.clone());
        assert_eq!(w.job(id).spec, wanted);
        assert_eq!(w.take().job.spec, wanted);
    }
    jobs_of_one_call_are_added_all_or_none |w| {
        let bad = JobSpec { kind: String::new(), ..spec() };
        assert!(matches!(w.store.enqueue(vec![spec(), bad]), Err(Error::InvalidValue { .. })));
        w.store.set_gate(&Scope::Queue("closed".into()), Gate::Draining).unwrap();
        let refused = JobSpec { queue: "closed".into(), ..spec() };
        assert!(matches!(w.store.enqueue(vec![spec(), unique("a"), refused]), Err(Error::Conflict { .. })));
        assert!(w.store.list(&JobFilter::default()).unwrap().is_empty());
        assert!(!w.store.enqueue(vec![unique("a")]).unwrap()[0].duplicate, "nothing of the refused call is left");
    }
    equal_jobs_go_in_the_order_of_their_making |w| {
        w.store.enqueue((0..20).map(numbered).collect()).unwrap();
        assert_eq!(order(w), (0..20).collect::<Vec<_>>());
    }
    a_higher_priority_goes_first |w| {
        for (n, priority) in [(0, 0), (1, 5), (2, -5), (3, 5), (4, 100), (5, -100)] {
            w.add(JobSpec { priority, ..numbered(n) });
        }
        assert_eq!(order(w), [4, 1, 3, 0, 2, 5]);
    }
    an_earlier_start_goes_before_an_earlier_making |w| {
        let at = w.now_ms();
        for (n, run_at) in [(0, at + 30), (1, at + 10), (2, at + 20), (3, at)] {
            w.add(JobSpec { run_at_ms: Some(run_at), ..numbered(n) });
        }
        w.pass(30);
        assert_eq!(order(w), [3, 1, 2, 0]);
    }
    strict_priorities_may_starve_others |w| {
        w.add(JobSpec { priority: 0, ..numbered(0) });
        w.pass(86_400_000);
        w.add(JobSpec { priority: 1, ..numbered(1) });
        assert_eq!(order(w), [1, 0]);
    }
    ageing_ones_do_not (Some(60_000)) |w| {
        w.add(JobSpec { priority: 0, ..numbered(0) });
        w.pass(59_000);
        w.add(JobSpec { priority: 1, ..numbered(1) });
        w.pass(2_000);
        w.add(JobSpec { priority: 1, ..numbered(2) });
        // One step is worth a minute: 1 has an advantage of 60 s over 0 and came 59 s later, 2 came 61 s later.
        assert_eq!(order(w), [1, 0, 2]);
    }
    a_schedule_is_kept |w| {
        let id = w.add(JobSpec { run_at_ms: Some(w.now_ms() + 1000), ..spec() });
        assert_eq!((w.claim(), w.state(id)), (None, JobState::Scheduled));
        w.pass(999);
        assert_eq!(w.claim(), None);
        w.pass(1);
        assert_eq!(w.state(id), JobState::Available, "also before anybody has looked");
        assert_eq!(w.take().job.id, id);
    }
    a_schedule_makes_a_job_at_each_tick_and_none_twice |w| {
        // The world begins at midnight.
        let begun = w.now_ms();
        let status = w.store.set_schedule(every_minute(MissedTicks::Once)).unwrap();
        assert_eq!((status.next_ms, status.last_ms, status.made), (Some(begun + 60_000), None, 0));
        w.pass(59_999);
        assert_eq!(w.claim(), None);
        for n in 1..=3 {
            w.pass(if n == 1 { 1 } else { 60_000 });
            let job = w.take().job;
            assert_eq!((job.status.run_at_ms, job.spec.payload), (begun + n * 60_000, json!("tick")));
            assert!(w.store.history(job.id).unwrap()[0].why.as_ref().unwrap().contains("minutely"));
            assert_eq!(w.claim(), None, "one tick, one job");
        }
        // A calendar that goes back lives through the same minutes, not through the same ticks.
        w.step_calendar(-150_000);
        for _ in 0..5 {
            w.pass(30_000);
            assert_eq!(w.claim(), None);
        }
        w.pass(60_000);
        assert_eq!(w.take().job.status.run_at_ms, begun + 240_000);
        assert_eq!(w.store.schedules().unwrap()[0].made, 4);
    }
    of_missed_ticks_none_one_or_all_are_made_up_for |w| {
        for (missed, late_ms, ticks) in [
            (MissedTicks::Skip, 90_000, vec![]),
            (MissedTicks::Skip, 0, vec![5]),
            (MissedTicks::Once, 90_000, vec![5]),
            (MissedTicks::All, 90_000, vec![1, 2, 3, 4, 5]),
        ] {
            let begun = w.now_ms().next_multiple_of(86_400_000);
            w.step_calendar((begun - w.now_ms()) as i64);
            w.store.remove_schedule("s").unwrap();
            let hourly = Schedule { name: "s".into(), cron: "0 * * * *".into(), ..every_minute(missed) };
            w.store.set_schedule(hourly).unwrap();
            w.pass(5 * 3_600_000 + late_ms);
            let made: Vec<_> = std::iter::from_fn(|| w.claim()).map(|c| (c.job.status.run_at_ms - begun) / 3_600_000).collect();
            assert_eq!(made, ticks, "{missed:?}, {late_ms} ms late");
            assert_eq!(w.store.schedules().unwrap()[0].next_ms, Some(begun + 6 * 3_600_000));
        }
    }
    a_sweep_ticks_too |w| {
        w.store.set_schedule(every_minute(MissedTicks::Once)).unwrap();
        w.pass(60_000);
        w.store.sweep().unwrap();
        assert_eq!(w.store.list(&JobFilter::default()).unwrap().len(), 1);
    }
    a_schedule_with_a_unique_key_waits_for_its_last_job |w| {
        let mut schedule = every_minute(MissedTicks::All);
        schedule.spec = unique("one at a time");
        w.store.set_schedule(schedule).unwrap();
        w.pass(60_000);
        let lease = w.take().lease;
        w.pass(29_000);
        w.store.beat(&lease, None).unwrap();
        w.pass(29_000);
        w.store.beat(&lease, None).unwrap();
        w.pass(2_000);
        assert_eq!(w.claim(), None, "the one of before still runs");
        w.store.complete(&lease, None).unwrap();
        w.pass(60_000);
        w.take();
        assert_eq!(w.store.schedules().unwrap()[0].made, 2);
    }
    a_schedule_is_replaced_and_removed |w| {
        w.store.set_schedule(every_minute(MissedTicks::Once)).unwrap();
        w.pass(30_000);
        let mut changed = every_minute(MissedTicks::All);
        changed.spec.priority = 3;
        let status = w.store.set_schedule(changed.clone()).unwrap();
        assert_eq!((status.schedule, status.next_ms), (changed, Some(w.now_ms() + 30_000)));
        let daily = Schedule { cron: "@daily".into(), ..every_minute(MissedTicks::Once) };
        assert_eq!(w.store.set_schedule(daily).unwrap().next_ms, Some(w.now_ms() - 30_000 + 86_400_000));
        assert_eq!(w.store.schedules().unwrap().len(), 1);
        assert!(w.store.remove_schedule("minutely").unwrap() && !w.store.remove_schedule("minutely").unwrap());
        w.pass(86_400_000);
        assert_eq!((w.claim(), w.store.schedules().unwrap()), (None, vec![]));
        let bad = Schedule { cron: "every day".into(), ..every_minute(MissedTicks::Once) };
        assert!(matches!(w.store.set_schedule(bad), Err(Error::InvalidValue { .. })));
    }
    a_draining_scope_takes_no_ticks_and_others_go_on |w| {
        w.store.set_schedule(every_minute(MissedTicks::All)).unwrap();
        let other = w.add(JobSpec { queue: "other".into(), run_at_ms: Some(w.now_ms() + 1), ..spec() });
        w.store.set_gate(&Scope::Queue("default".into()), Gate::Draining).unwrap();
        w.pass(120_000);
        assert_eq!(w.take().job.id, other);
        w.store.set_gate(&Scope::Queue("default".into()), Gate::Open).unwrap();
        assert_eq!(w.claim(), None);
        w.pass(60_000);
        w.take();
    }
    a_job_is_given_to_one_worker |w| {
        w.add(spec());
        assert!(w.claim().is_some());
        assert_eq!(w.claim(), None);
    }
    a_claim_counts_and_names_its_worker |w| {
        w.add(spec());
        let job = w.take().job;
        assert_eq!((job.status.claims, job.status.attempts, job.status.crashes), (1, 0, 0));
        assert_eq!(job.status.holder.unwrap().worker, "w");
    }
    workers_get_the_queues_that_they_serve |w| {
        w.add(JobSpec { queue: "a".into(), ..numbered(0) });
        w.add(JobSpec { queue: "b".into(), ..numbered(1) });
        let request = |queues: &[&str]| ClaimRequest { queues: queues.iter().map(|q| (*q).into()).collect(), ..ClaimRequest::new("w") };
        assert_eq!(w.store.claim(&request(&["c"])).unwrap(), None);
        assert_eq!(w.store.claim(&request(&["c", "b"])).unwrap().unwrap().job.spec.payload, json!(1));
        assert_eq!(w.store.claim(&request(&["b"])).unwrap(), None);
        assert_eq!(w.store.claim(&request(&[])).unwrap().unwrap().job.spec.payload, json!(0));
    }
    workers_get_the_kinds_that_they_know |w| {
        w.add(spec());
        let request = |kind: &str| ClaimRequest { kinds: vec![kind.into()], ..ClaimRequest::new("w") };
        assert_eq!(w.store.claim(&request("other")).unwrap(), None);
        assert!(w.store.claim(&request("k")).unwrap().is_some());
    }
    odd_claims_are_refused |w| {
        for lease_ms in [0, 99, 86_400_001] {
            let request = ClaimRequest { lease_ms, ..ClaimRequest::new("w") };
            assert!(matches!(w.store.claim(&request), Err(Error::OutOfRange { .. })));
        }
        assert!(matches!(w.store.claim(&ClaimRequest::new("")), Err(Error::InvalidValue { .. })));
    }
    a_beat_renews_the_lease |w| {
        w.add(spec());
        let lease = w.take().lease;
        for _ in 0..10 {
            w.pass(29_999);
            assert!(w.store.beat(&lease, None).unwrap().is_some());
            assert!(w.store.sweep().unwrap().orphans.is_empty());
        }
        w.pass(30_000);
        assert_eq!(w.store.beat(&lease, None).unwrap(), None);
    }
    progress_never_goes_back |w| {
        let id = w.add(spec());
        let lease = w.take().lease;
        for (told, kept) in [(0.5, 0.5), (0.2, 0.5), (f64::NAN, 0.5), (7.0, 1.0), (-1.0, 1.0)] {
            w.store.beat(&lease, Some(told)).unwrap();
            assert_eq!(w.job(id).status.progress, kept, "{told}");
        }
    }
    a_new_try_begins_at_0 |w| {
        w.add(spec());
        let lease = w.take().lease;
        w.store.beat(&lease, Some(0.5)).unwrap();
        w.store.hand_back(&lease).unwrap();
        assert_eq!(w.take().job.status.progress, 0.0);
    }
    a_late_worker_can_do_nothing |w| {
        let id = w.add(spec());
        let old = w.take().lease;
        w.pass(30_000);
        w.store.sweep().unwrap();
        let new = w.take().lease;
        assert_ne!(old.token, new.token);
        assert_eq!(w.store.publish(&old, &file("a")).unwrap(), None);
        assert_eq!(w.store.complete(&old, None).unwrap(), None);
        assert_eq!(w.store.fail(&old, &error(FailureClass::Permanent)).unwrap(), None);
        assert_eq!(w.store.hand_back(&old).unwrap(), None);
        assert_eq!(w.store.beat(&old, None).unwrap(), None);
        assert_eq!(w.state(id), JobState::Running);
        assert_eq!(w.store.complete(&new, None).unwrap(), Some(()));
    }
    a_lease_is_over_before_anybody_has_swept |w| {
        w.add(spec());
        let lease = w.take().lease;
        w.pass(30_000);
        assert_eq!(w.store.complete(&lease, None).unwrap(), None);
    }
    steps_of_the_calendar_do_not_touch_leases |w| {
        w.add(spec());
        let lease = w.take().lease;
        for step in [3_600_000, -7_200_000] {
            w.step_calendar(step);
            assert!(w.store.sweep().unwrap().orphans.is_empty());
            assert!(w.store.beat(&lease, None).unwrap().is_some());
        }
    }
    a_restart_of_the_machine_ends_leases_at_once |w| {
        let id = w.add(spec());
        let lease = w.take().lease;
        w.reboot();
        assert_eq!(w.store.beat(&lease, None).unwrap(), None);
        assert_eq!(w.store.sweep().unwrap().orphans, [(id, JobState::Available)]);
    }
    a_vanished_worker_is_a_crash_and_no_attempt |w| {
        let id = w.add(spec());
        w.take();
        w.pass(30_000);
        w.store.sweep().unwrap();
        let status = w.job(id).status;
        assert_eq!((status.crashes, status.attempts), (1, 0));
        assert_eq!(w.take().job.status.claims, 2);
    }
    a_poisonous_job_is_dead_after_its_crashes_and_its_neighbours_are_not_charged |w| {
        let poison = w.add(JobSpec { priority: 1, ..spec() });
        let neighbours: Vec<_> = (0..5).map(|_| w.add(spec())).collect();
        for _ in 0..3 {
            assert_eq!(w.take().job.id, poison);
            w.pass(30_000);
            w.store.sweep().unwrap();
        }
        let job = w.job(poison);
        assert_eq!((job.status.state, job.status.crashes), (JobState::Dead, 3));
        assert!(job.status.error.unwrap().message.contains("vanished (3 of 3)"));
        for id in neighbours {
            assert_eq!((w.take().job.id, w.job(id).status.crashes, w.job(id).status.attempts), (id, 0, 0));
        }
    }
    failures_pause_longer_each_time |w| {
        let id = w.add(JobSpec { backoff: Backoff { base_ms: 1000, max_ms: 5000 }, max_attempts: 10, ..spec() });
        for full in [1000, 2000, 4000, 5000, 5000] {
            let lease = w.take().lease;
            assert_eq!(w.store.fail(&lease, &error(FailureClass::Transient)).unwrap(), Some(JobState::Scheduled));
            let pause = w.job(id).status.run_at_ms - w.now_ms();
            assert!((full / 2..=full).contains(&pause), "{pause} of {full}");
            w.pass(pause);
        }
    }
    the_last_failure_is_the_death |w| {
        let id = w.add(JobSpec { max_attempts: 2, ..spec() });
        for state in [JobState::Scheduled, JobState::Dead] {
            assert_eq!(w.store.fail(&w.take().lease, &error(FailureClass::Transient)).unwrap(), Some(state));
            w.pass(2000);
        }
        assert_eq!(w.job(id).status.error, Some(error(FailureClass::Transient)));
    }
    a_stated_pause_is_kept |w| {
        let id = w.add(spec());
        w.store.fail(&w.take().lease, &error(FailureClass::RetryAfter(12_345))).unwrap();
        assert_eq!(w.job(id).status.run_at_ms, w.now_ms() + 12_345);
        w.pass(12_345);
        // A year at most is believed.
        w.store.fail(&w.take().lease, &error(FailureClass::RetryAfter(u64::MAX))).unwrap();
        assert_eq!(w.job(id).status.run_at_ms, w.now_ms() + 31_536_000_000);
    }
    a_hand_back_costs_nothing_and_keeps_the_place |w| {
        let id = w.add(numbered(0));
        w.pass(10);
        w.add(numbered(1));
        w.store.hand_back(&w.take().lease).unwrap();
        let status = w.job(id).status;
        assert_eq!((status.attempts, status.crashes), (0, 0));
        assert_eq!(order(w), [0, 1]);
    }
    a_result_is_kept |w| {
        let id = w.add(spec());
        w.store.complete(&w.take().lease, Some(json!({ "a": [1, 2] }))).unwrap();
        let status = w.job(id).status;
        assert_eq!((status.result, status.progress), (Some(json!({ "a": [1, 2] })), 1.0));
    }
    a_result_that_is_too_large_is_refused_and_the_job_still_held |w| {
        w.add(spec());
        let lease = w.take().lease;
        let large = json!("x".repeat(MAX_DOCUMENT_BYTES));
        assert!(matches!(w.store.complete(&lease, Some(large)), Err(Error::LimitExceeded { .. })));
        assert_eq!(w.store.complete(&lease, None).unwrap(), Some(()));
    }
    a_job_is_completed_and_the_next_one_given_together |w| {
        let ids: Vec<_> = (0..2).map(|_| w.add(spec())).collect();
        // The first one makes room for the second.
        w.store.set_limits(&Scope::All, Limits { max_running: Some(1), rate: None }).unwrap();
        let (old, request) = (w.take().lease, ClaimRequest::new("w"));
        let (done, next) = w.store.complete_and_claim(&old, Some(json!(1)), &request).unwrap();
        let next = next.unwrap();
        assert_eq!((done, w.state(ids[0]), w.job(ids[0]).status.result), (Some(()), JobState::Succeeded, Some(json!(1))));
        assert_eq!((next.job.id, w.state(ids[1])), (ids[1], JobState::Running));
        let large = json!("x".repeat(MAX_DOCUMENT_BYTES));
        let refused = w.store.complete_and_claim(&next.lease, Some(large), &request);
        assert!(matches!(refused, Err(Error::LimitExceeded { .. })));
        assert_eq!(w.state(ids[1]), JobState::Running, "still held");
        assert_eq!(w.store.complete_and_claim(&next.lease, None, &request).unwrap(), (Some(()), None));
        // Who lost a lease writes nothing, and may go on with something else.
        let third = w.add(spec());
        let (done, next) = w.store.complete_and_claim(&next.lease, Some(json!(2)), &request).unwrap();
        assert_eq!((done, next.unwrap().job.id), (None, third));
        assert_eq!(w.job(ids[1]).status.result, None);
    }
    published_files_are_noted_once_each |w| {
        let id = w.add(spec());
        let lease = w.take().lease;
        for path in ["a", "b", "a"] {
            w.store.publish(&lease, &file(path)).unwrap();
        }
        let paths: Vec<_> = w.job(id).status.published.into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["b", "a"]);
    }
    what_was_published_outlives_the_worker |w| {
        w.add(spec());
        w.store.publish(&w.take().lease, &file("a")).unwrap();
        w.pass(30_000);
        w.store.sweep().unwrap();
        assert_eq!(w.take().job.status.published, [file("a")]);
    }
    a_running_job_hears_that_it_should_stop |w| {
        let id = w.add(spec());
        let lease = w.take().lease;
        assert_eq!(w.store.beat(&lease, None).unwrap().unwrap().cancel, None);
        w.store.cancel(id, "not needed").unwrap();
        w.store.cancel(id, "again").unwrap();
        assert_eq!(w.store.beat(&lease, None).unwrap().unwrap().cancel.as_deref(), Some("not needed"));
        w.store.fail(&lease, &error(FailureClass::Cancelled)).unwrap();
        assert_eq!(w.state(id), JobState::Cancelled);
        assert_eq!(w.store.history(id).unwrap().last().unwrap().why.as_deref(), Some("not needed"));
    }
    a_wish_to_stop_that_comes_too_late_loses_nothing |w| {
        let id = w.add(spec());
        let lease = w.take().lease;
        w.store.cancel(id, "").unwrap();
        assert_eq!(w.store.complete(&lease, None).unwrap(), Some(()));
        assert_eq!(w.state(id), JobState::Succeeded);
    }
    what_should_stop_is_not_tried_again |w| {
        for end in 0..3 {
            let id = w.add(spec());
            let lease = w.take().lease;
            w.store.cancel(id, "").unwrap();
            match end {
                0 => drop(w.store.fail(&lease, &error(FailureClass::Transient)).unwrap()),
                1 => drop(w.store.hand_back(&lease).unwrap()),
                _ => {
                    w.pass(30_000);
                    w.store.sweep().unwrap();
                }
            }
            assert_eq!(w.state(id), JobState::Cancelled, "{end}");
        }
    }
    a_retry_by_hand_begins_anew |w| {
        let id = w.add(JobSpec { max_attempts: 1, ..spec() });
        w.store.fail(&w.take().lease, &error(FailureClass::Transient)).unwrap();
        w.store.retry(id).unwrap();
        assert_eq!(w.job(id).status.attempts, 0);
        assert_eq!(w.take().job.id, id);
    }
    a_retry_does_not_break_a_unique_key |w| {
        let id = w.add(unique("a"));
        w.store.cancel(id, "").unwrap();
        w.add(unique("a"));
        assert!(matches!(w.store.retry(id), Err(Error::Conflict { .. })));
    }
    unknown_jobs_are_told |w| {
        let id = JobId(99);
        for result in [w.store.get(id).map(drop), w.store.retry(id), w.store.cancel(id, "").map(drop), w.store.history(id).map(drop), w.store.batch(id).map(drop)] {
            assert!(matches!(result, Err(Error::UnknownName { .. })));
        }
    }
    a_unique_key_is_free_again_when_its_job_is_over |w| {
        let first = w.add(unique("a"));
        assert!(w.store.enqueue(vec![unique("a")]).unwrap()[0].duplicate);
        w.store.complete(&w.take().lease, None).unwrap();
        assert_ne!(w.add(unique("a")), first);
    }
    a_window_counts_jobs_that_succeeded_in_it |w| {
        let spec = || JobSpec { unique: Some(Unique { key: "a".into(), window_ms: Some(1000), replace: false }), ..spec() };
        let first = w.add(spec());
        w.store.complete(&w.take().lease, None).unwrap();
        w.pass(1000);
        assert_eq!(w.store.enqueue(vec![spec()]).unwrap()[0], Enqueued { id: first, duplicate: true, replaced: false });
        w.pass(1);
        let second = w.add(spec());
        w.store.fail(&w.take().lease, &error(FailureClass::Permanent)).unwrap();
        assert_ne!(w.add(spec()), second, "one that failed does not count");
    }
    a_new_request_replaces_one_that_waits_and_not_one_that_runs |w| {
        let newer = |n| JobSpec { payload: json!(n), priority: 3, unique: Some(Unique { key: "a".into(), window_ms: None, replace: true }), ..spec() };
        let id = w.add(unique("a"));
        assert_eq!(w.store.enqueue(vec![newer(2)]).unwrap()[0], Enqueued { id, duplicate: true, replaced: true });
        assert_eq!(w.take().job.spec, newer(2));
        assert_eq!(w.store.enqueue(vec![newer(3)]).unwrap()[0], Enqueued { id, duplicate: true, replaced: false });
        assert_eq!(w.job(id).spec, newer(2));
    }
    duplicates_within_one_call_are_found |w| {
        let made = w.store.enqueue(vec![unique("a"), unique("b"), unique("a")]).unwrap();
        assert_eq!((made[2].id, made[2].duplicate, made[1].duplicate), (made[0].id, true, false));
    }
    a_wait_that_is_too_long_is_the_death |w| {
        let id = w.add(JobSpec { timeout_queue_ms: Some(1000), ..spec() });
        w.pass(1000);
        assert_eq!(w.claim(), None);
        assert_eq!(w.job(id).status.error.unwrap().name, "LIMIT_EXCEEDED");
        let other = w.add(JobSpec { timeout_queue_ms: Some(1000), ..spec() });
        w.pass(1000);
        assert_eq!(w.store.sweep().unwrap().overdue, [other]);
    }
    a_wait_counts_from_when_it_could_have_started |w| {
        let id = w.add(JobSpec { timeout_queue_ms: Some(1000), run_at_ms: Some(w.now_ms() + 5000), ..spec() });
        w.pass(5999);
        assert_eq!(w.take().job.id, id);
    }
    the_total_time_counts_from_the_request_and_over_all_tries |w| {
        let id = w.add(JobSpec { timeout_total_ms: Some(10_000), ..spec() });
        let lease = w.take().lease;
        assert!(!w.store.beat(&lease, None).unwrap().unwrap().overdue);
        w.pass(10_000);
        assert!(w.store.beat(&lease, None).unwrap().unwrap().overdue);
        w.store.fail(&lease, &error(FailureClass::RetryAfter(0))).unwrap();
        assert_eq!((w.claim(), w.state(id)), (None, JobState::Dead));
    }
    a_paused_scope_keeps_its_jobs |w| {
        for (scope, other) in [
            (Scope::Queue("default".into()), JobSpec { queue: "x".into(), ..spec() }),
            (Scope::Kind("k".into()), JobSpec { kind: "x".into(), ..spec() }),
            (Scope::Tenant("t".into()), spec()),
        ] {
            w.store.set_gate(&scope, Gate::Paused).unwrap();
            let id = w.add(JobSpec { tenant: Some("t".into()), ..spec() });
            let free = w.add(other);
            assert_eq!(w.take().job.id, free, "{scope}");
            assert_eq!(w.claim(), None);
            w.store.set_gate(&scope, Gate::Open).unwrap();
            assert_eq!(w.take().job.id, id);
        }
    }
    all_can_be_paused |w| {
        w.add(spec());
        w.store.set_gate(&Scope::All, Gate::Paused).unwrap();
        assert_eq!(w.claim(), None);
        w.store.set_gate(&Scope::All, Gate::Open).unwrap();
        assert!(w.claim().is_some());
    }
    what_runs_goes_on_while_paused |w| {
        w.add(spec());
        let lease = w.take().lease;
        w.store.set_gate(&Scope::All, Gate::Paused).unwrap();
        assert!(w.store.beat(&lease, None).unwrap().is_some());
        assert_eq!(w.store.complete(&lease, None).unwrap(), Some(()));
    }
    a_draining_scope_takes_nothing_and_finishes_what_it_has |w| {
        w.add(spec());
        w.store.set_gate(&Scope::Kind("k".into()), Gate::Draining).unwrap();
        assert!(matches!(w.store.enqueue(vec![spec()]), Err(Error::Conflict { .. })));
        assert!(w.claim().is_some());
    }
    only_so_many_run_at_once |w| {
        for scope in [Scope::Queue("default".into()), Scope::Kind("k".into()), Scope::Tenant("t".into()), Scope::All] {
            w.store.set_limits(&scope, max_running(2)).unwrap();
            w.store.enqueue(vec![JobSpec { tenant: Some("t".into()), ..spec() }; 4]).unwrap();
            let leases = [w.take().lease, w.take().lease];
            assert_eq!(w.claim(), None, "{scope}");
            w.store.complete(&leases[0], None).unwrap();
            let third = w.take().lease;
            assert_eq!(w.claim(), None);
            w.store.publish(&third, &file("a")).unwrap();
            assert_eq!(w.claim(), None, "what publishes still runs");
            for lease in [leases[1], third] {
                w.store.complete(&lease, None).unwrap();
            }
            w.store.complete(&w.take().lease, None).unwrap();
            w.store.set_limits(&scope, Limits::default()).unwrap();
        }
    }
    a_full_tenant_does_not_hold_up_others |w| {
        w.store.set_limits(&Scope::Tenant("a".into()), max_running(1)).unwrap();
        let of = |tenant: &str, n| JobSpec { tenant: Some(tenant.into()), ..numbered(n) };
        w.store.enqueue(vec![of("a", 0), of("a", 1), of("b", 2), numbered(3)]).unwrap();
        assert_eq!(order(w), [0, 2, 3]);
    }
    a_rate_is_kept_and_not_moved_by_the_calendar |w| {
        let rate = Some(Rate { jobs: 2, per_ms: 1000, burst: 2 });
        w.store.set_limits(&Scope::Kind("k".into()), Limits { max_running: None, rate }).unwrap();
        w.store.enqueue((0..10).map(numbered).collect()).unwrap();
        assert_eq!(order(w), [0, 1]);
        w.step_calendar(3_600_000);
        assert_eq!(order(w), [0; 0]);
        w.pass(499);
        assert_eq!(order(w), [0; 0]);
        w.pass(1);
        assert_eq!(order(w), [2]);
        w.pass(10_000);
        assert_eq!(order(w), [3, 4], "a pause earns the burst and no more");
    }
    a_claim_that_is_refused_uses_up_no_rate |w| {
        w.store.set_limits(&Scope::All, Limits { max_running: None, rate: Some(Rate { jobs: 1, per_ms: 1000, burst: 1 }) }).unwrap();
        w.store.set_gate(&Scope::Kind("k".into()), Gate::Paused).unwrap();
        w.add(spec());
        assert_eq!(w.claim(), None);
        w.store.set_gate(&Scope::Kind("k".into()), Gate::Open).unwrap();
        assert!(w.claim().is_some());
    }
    rules_are_listed_and_gates_and_limits_do_not_disturb_each_other |w| {
        let scope = Scope::Queue("q".into());
        w.store.set_limits(&scope, max_running(3)).unwrap();
        w.store.set_gate(&scope, Gate::Paused).unwrap();
        w.store.set_gate(&Scope::All, Gate::Draining).unwrap();
        let all = w.store.scopes().unwrap();
        let told: Vec<_> = all.iter().map(|r| (r.scope.as_str(), r.gate, r.limits.max_running)).collect();
        assert_eq!(told, [("all", Gate::Draining, None), ("queue:q", Gate::Paused, Some(3))]);
    }
    odd_rates_are_refused |w| {
        let rate = Some(Rate { jobs: 0, per_ms: 1, burst: 1 });
        assert!(matches!(w.store.set_limits(&Scope::All, Limits { max_running: None, rate }), Err(Error::OutOfRange { .. })));
    }
    a_batch_tells_how_far_it_is |w| {
        let (id, made) = w.store.enqueue_batch("tuesday", json!({ "from": "a" }), vec![spec(); 4]).unwrap();
        assert_eq!(made.len(), 4);
        w.store.complete(&w.take().lease, None).unwrap();
        w.store.fail(&w.take().lease, &error(FailureClass::Permanent)).unwrap();
        w.take();
        w.add(spec());
        let batch = w.store.batch(id).unwrap();
        assert_eq!((batch.name.as_str(), &batch.data, batch.total(), batch.over()), ("tuesday", &json!({ "from": "a" }), 4, 2));
        assert_eq!(batch.states[&JobState::Running], 1);
        let listed = w.store.list(&JobFilter { batch: Some(id), ..JobFilter::default() }).unwrap();
        assert_eq!(listed.len(), 4);
    }
    the_newest_batch_comes_first |w| {
        for name in ["a", "b", "c"] {
            w.store.enqueue_batch(name, json!(null), vec![spec()]).unwrap();
        }
        let names: Vec<_> = w.store.batches(2).unwrap().into_iter().map(|b| b.name).collect();
        assert_eq!(names, ["c", "b"]);
    }
    a_batch_that_is_refused_is_not_there |w| {
        let bad = JobSpec { queue: String::new(), ..spec() };
        assert!(w.store.enqueue_batch("x", json!(null), vec![spec(), bad]).is_err());
        assert!(w.store.batches(10).unwrap().is_empty());
    }
    lists_are_filtered_and_paged |w| {
        for n in 0..5 {
            w.add(JobSpec { queue: format!("q{}", n % 2), tenant: (n == 3).then(|| "t".into()), ..numbered(n) });
        }
        w.add(JobSpec { kind: "other".into(), unique: unique("u").unique, ..numbered(5) });
        let numbers = |filter: JobFilter| -> Vec<i64> {
            w.store.list(&filter).unwrap().iter().map(|j| j.spec.payload.as_i64().unwrap()).collect()
        };
        let all = JobFilter::default();
        assert_eq!(numbers(JobFilter { queue: Some("q0".into()), ..all.clone() }), [0, 2, 4]);
        assert_eq!(numbers(JobFilter { tenant: Some("t".into()), ..all.clone() }), [3]);
        assert_eq!(numbers(JobFilter { kind: Some("other".into()), ..all.clone() }), [5]);
        assert_eq!(numbers(JobFilter { unique_key: Some("u".into()), ..all.clone() }), [5]);
        w.take();
        assert_eq!(numbers(JobFilter { states: vec![JobState::Running], ..all.clone() }), [0]);
        let page = w.store.list(&JobFilter { limit: 4, ..all.clone() }).unwrap();
        assert_eq!(numbers(JobFilter { after: page.last().map(|j| j.id), ..all }), [4, 5]);
    }
    stats_count_by_state_and_queue |w| {
        w.store.enqueue(vec![JobSpec { queue: "a".into(), ..spec() }, spec(), spec()]).unwrap();
        w.pass(700);
        w.take();
        let stats = w.store.stats().unwrap();
        assert_eq!((stats.states[&JobState::Available], stats.states[&JobState::Running]), (2, 1));
        assert_eq!(stats.queues["a"][&JobState::Running], 1);
        assert_eq!(stats.oldest_ms, Some(700));
    }
    a_purge_takes_old_ends_only |w| {
        let ids: Vec<_> = (0..3).map(|_| w.add(spec())).collect();
        w.store.complete(&w.take().lease, None).unwrap();
        let before = w.now_ms() + 1;
        w.pass(10);
        w.store.complete(&w.take().lease, None).unwrap();
        let all = JobFilter::default();
        assert_eq!(w.store.purgeable(before, &all).unwrap(), 1);
        assert_eq!(w.store.purge(before, &all).unwrap(), 1);
        assert!(w.store.get(ids[0]).is_err() && w.store.get(ids[1]).is_ok() && w.store.get(ids[2]).is_ok());
        w.store.complete(&w.take().lease, None).unwrap();
        w.pass(1);
        assert_eq!(w.store.purgeable(w.now_ms(), &JobFilter { limit: 1, ..all.clone() }).unwrap(), 2);
        assert_eq!(w.store.purge(w.now_ms(), &JobFilter { limit: 1, ..all }).unwrap(), 1, "not more than asked for");
    }
    a_purge_takes_what_its_filter_says |w| {
        let ends = |queue: &str, class: FailureClass| {
            let id = w.add(JobSpec { queue: queue.into(), ..spec() });
            w.store.fail(&w.take().lease, &error(class)).unwrap();
            id
        };
        let dead = ends("a", FailureClass::Permanent);
        let cancelled = ends("a", FailureClass::Cancelled);
        let other = ends("b", FailureClass::Permanent);
        w.pass(1);
        let filter = JobFilter { states: vec![JobState::Dead], queue: Some("a".into()), ..JobFilter::default() };
        assert_eq!(w.store.purgeable(w.now_ms(), &filter).unwrap(), 1);
        assert_eq!(w.store.purge(w.now_ms(), &filter).unwrap(), 1);
        assert!(w.store.get(dead).is_err() && w.store.get(cancelled).is_ok() && w.store.get(other).is_ok());
        assert!(matches!(w.store.history(dead), Err(Error::UnknownName { .. })), "its life is forgotten, too");
    }
    a_purge_leaves_batches_that_are_not_over |w| {
        let (batch, _) = w.store.enqueue_batch("both", json!(null), vec![spec(), spec()]).unwrap();
        w.store.complete(&w.take().lease, None).unwrap();
        w.pass(1);
        let all = JobFilter::default();
        assert_eq!((w.store.purgeable(w.now_ms(), &all).unwrap(), w.store.purge(w.now_ms(), &all).unwrap()), (0, 0));
        w.store.complete(&w.take().lease, None).unwrap();
        w.pass(1);
        assert_eq!(w.store.purge(w.now_ms(), &JobFilter { limit: 1, ..all.clone() }).unwrap(), 1);
        assert_eq!(w.store.batch(batch).unwrap().total(), 1, "it goes with the last one");
        assert_eq!(w.store.purge(w.now_ms(), &all).unwrap(), 1);
        assert!(w.store.batch(batch).is_err() && w.store.batches(10).unwrap().is_empty());
    }
    the_history_tells_the_whole_life |w| {
        let id = w.add(spec());
        w.store.fail(&w.take().lease, &error(FailureClass::Transient)).unwrap();
        w.pass(2000);
        w.store.complete(&w.take().lease, None).unwrap();
        let steps: Vec<_> = w.store.history(id).unwrap().into_iter().map(|h| (h.to, h.claim)).collect();
        use JobState::{Available, Running, Scheduled, Succeeded};
        assert_eq!(steps, [(Available, 0), (Running, 1), (Scheduled, 1), (Running, 2), (Succeeded, 2)]);
    }
    whoever_waits_is_woken_by_a_change |w| {
        let seen = w.store.wait(u64::MAX, std::time::Duration::ZERO).unwrap();
        assert_eq!(w.store.wait(seen, std::time::Duration::from_millis(1)).unwrap(), seen, "nothing has happened");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| w.store.wait(seen, std::time::Duration::from_secs(600)).unwrap());
            w.add(spec());
            assert_ne!(waiting.join().unwrap(), seen);
        });
    }
    many_threads_do_each_job_once |w| {
        w.store.enqueue((0..200).map(numbered).collect()).unwrap();
        let done = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| while let Some(claimed) = w.claim() {
                    assert_eq!(w.store.complete(&claimed.lease, None).unwrap(), Some(()));
                    done.lock().unwrap().push(claimed.job.id);
                });
            }
        });
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        done.dedup();
        assert_eq!(done.len(), 200);
        assert_eq!(w.store.stats().unwrap().states[&JobState::Succeeded], 200);
    }
}
