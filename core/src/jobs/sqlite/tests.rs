//! What is special to files.

use serde_json::json;

use super::*;
use crate::jobs::JobStore;
use crate::jobs::bench::{do_each_job_once, spec, unique, wake_each_other};

fn open(path: &Path) -> Result<SqliteStore> {
    SqliteStore::open(path, &SqliteOptions::default())
}

#[test]
fn what_was_enqueued_is_there_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let id = open(&path).unwrap().enqueue(vec![unique("a")]).unwrap()[0].id;
    let store = open(&path).unwrap();
    assert_eq!(store.get(id).unwrap().spec, unique("a"));
    assert!(store.enqueue(vec![unique("a")]).unwrap()[0].duplicate);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn two_stores_share_a_file_and_wake_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let (a, b) = (open(&path).unwrap(), open(&path).unwrap());
    wake_each_other(&a, &b);
}

#[test]
fn many_stores_and_threads_do_each_job_once_and_nobody_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let stores: Vec<_> = (0..3).map(|_| open(&path).unwrap()).collect();
    do_each_job_once(&stores);
}

#[test]
fn a_backup_is_a_store_as_of_then_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("jobs.db"), folder.path().join("copy.db"));
    let store = open(&path).unwrap();
    let first = store.enqueue(vec![spec()]).unwrap()[0].id;
    store.back_up(&copy).unwrap();
    let second = store.enqueue(vec![spec()]).unwrap()[0].id;
    let restored = open(&copy).unwrap();
    assert!(restored.get(first).is_ok() && restored.get(second).is_err());
    assert!(matches!(store.back_up(&copy), Err(Error::Conflict { .. })));
    assert!(matches!(store.back_up(&folder.path().join("no/x.db")), Err(Error::NotFound { .. } | Error::Io { .. })));
}

#[test]
fn files_of_others_of_the_future_and_of_nobody_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("create table t (x)").unwrap();
    assert!(matches!(open(&other), Err(Error::Malformed { .. })));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, and quite long enough to be taken for one ".repeat(100)).unwrap();
    assert!(matches!(open(&text), Err(Error::Malformed { .. })));
    let newer = folder.path().join("newer.db");
    drop(open(&newer).unwrap());
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open(&newer), Err(Error::Unsupported { .. })));
    assert!(matches!(open(&folder.path().join("no/jobs.db")), Err(Error::NotFound { .. })));
    assert!(std::fs::read_to_string(&text).unwrap().ends_with("taken for one "), "nothing was written to it");
}

#[test]
fn a_full_file_refuses_cleanly_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).unwrap();
    let kept = store.enqueue(vec![spec()]).unwrap()[0].id;
    let limit = |pages: i64| {
        store
            .write_raw(move |db| db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)))
            .unwrap();
    };
    // SQLite refuses to grow beyond this as it does when the disk is full.
    limit(40);
    let large = || JobSpec::new("k", json!("x".repeat(500_000)));
    let error = store.enqueue(vec![large()]).unwrap_err();
    let Error::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(store.list(&JobFilter::default()).unwrap().len(), 1);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    limit(1_000_000);
    store.enqueue(vec![large()]).unwrap();
    assert_eq!(store.claim(&ClaimRequest::new("w")).unwrap().unwrap().job.id, kept);
}

#[test]
fn one_refused_request_does_not_spoil_those_that_share_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db")).unwrap();
    store.set_gate(&Scope::Queue("closed".into()), Gate::Draining).unwrap();
    std::thread::scope(|scope| {
        for n in 0..40 {
            let store = &store;
            scope.spawn(move || {
                // Refused when its first part is written already.
                let bad = JobSpec { queue: "closed".into(), ..spec() };
                let specs = if n % 2 == 0 { vec![spec()] } else { vec![spec(), bad] };
                for _ in 0..10 {
                    match store.enqueue(specs.clone()) {
                        Ok(_) => assert_eq!(n % 2, 0),
                        Err(error) => assert!(n % 2 == 1 && matches!(error, Error::Conflict { .. }), "{error:?}"),
                    }
                }
            });
        }
    });
    let jobs = store.list(&JobFilter { limit: 1000, ..JobFilter::default() }).unwrap();
    assert_eq!(jobs.len(), 200);
    assert!(jobs.iter().all(|job| store.history(job.id).unwrap().len() == 1));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_transaction_has_seen_is_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("jobs.db")).unwrap();
    let queue = Scope::Queue("default".into());
    // All in one transaction: each sees what those before it did.
    let (first, none, second) = store
        .call({
            let options = store.options.clone();
            move |rows| {
                let mut rules = Rules::new(rows, &options);
                let later = options.time.now().unix_ms + 3_600_000;
                let request = |run_at_ms| Request::all([JobSpec { run_at_ms, ..spec() }]).unwrap();
                rules.enqueue(&request(Some(later)))?;
                assert!(rules.claim(&ClaimRequest::new("w"))?.is_none(), "not before its time");
                rules.enqueue(&request(None))?;
                rules.enqueue(&request(Some(1)))?;
                let first = rules.claim(&ClaimRequest::new("w"))?;
                rules.set_gate(&queue, Gate::Paused)?;
                let none = rules.claim(&ClaimRequest::new("w"))?;
                rules.set_gate(&queue, Gate::Open)?;
                Ok((first, none, rules.claim(&ClaimRequest::new("w"))?))
            }
        })
        .unwrap();
    assert!(first.is_some() && none.is_none() && second.is_some());
    assert_eq!(store.stats().unwrap().states[&JobState::Running], 2);
}

#[test]
fn the_tables_go_to_another_version_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let options = SqliteOptions::default();
    drop(open(&path).unwrap());
    SqliteStore::migrate(&path, &options, 0).unwrap();
    let tables = |path: &Path| -> i64 {
        let db = Connection::open(path).unwrap();
        db.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(tables(&path), 0);
    assert!(matches!(SqliteStore::migrate(&path, &options, 99), Err(Error::Unsupported { .. })));
    assert!(open(&path).unwrap().list(&JobFilter::default()).unwrap().is_empty(), "and forth");
}
