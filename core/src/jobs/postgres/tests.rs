//! What is special to a server, against a real one.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};

use serde_json::json;

use super::*;
use crate::jobs::bench::database::Schema;
use crate::jobs::bench::{do_each_job_once, spec, unique, wake_each_other};
use crate::jobs::sql::migrations::Migration;
use crate::jobs::{JobStore, MachineTime};
use crate::services::seams::Clock;
use crate::sync::lock;

/// A test with a schema of its own; says so and ends without a server.
macro_rules! with_schema {
    ($($name:ident |$schema:ident| $body:block)*) => {
        $(#[test]
        fn $name() {
            let Some($schema) = Schema::new(stringify!($name)) else { return };
            let $schema = &$schema;
            $body
        })*
    };
}

/// Refuses and cuts connections when told to: the server that is away.
struct Wire {
    port: u16,
    up: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    /// A way to `server`.
    fn new(server: &str) -> Self {
        let config = Config::from_str(server).unwrap();
        let Some(postgres::config::Host::Tcp(host)) = config.get_hosts().first().cloned() else {
            panic!("PURESOUND_TEST_POSTGRES has to name a host for this")
        };
        let target = (host, config.get_ports().first().copied().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (up, open) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (is_up, all) = (Arc::clone(&up), Arc::clone(&open));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                if !is_up.load(Ordering::SeqCst) {
                    continue; // dropped: the client sees it closed
                }
                let far = TcpStream::connect(&target).unwrap();
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                lock(&all).extend([near, far]);
            }
        });
        Self { port, up, open }
    }

    fn cut(&self) {
        for stream in lock(&self.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn set(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
        self.cut();
    }

    /// As `server`, by this way.
    fn address(&self, server: &str) -> String {
        let config = Config::from_str(server).unwrap();
        let mut text = format!("host=127.0.0.1 port={}", self.port);
        for (name, value) in [("user", config.get_user()), ("dbname", config.get_dbname())] {
            text.extend(value.map(|value| format!(" {name}={value}")));
        }
        text.extend(config.get_password().map(|p| format!(" password={}", String::from_utf8_lossy(p))));
        text
    }
}

/// A calendar that stands in the past.
struct Past;

impl Clock for Past {
    fn unix_ms(&self) -> u64 {
        1000
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

with_schema! {
    what_was_enqueued_is_there_after_closing |schema| {
        let id = schema.open().enqueue(vec![unique("a")]).unwrap()[0].id;
        let store = schema.open();
        assert_eq!(store.get(id).unwrap().spec, unique("a"));
        assert!(store.enqueue(vec![unique("a")]).unwrap()[0].duplicate);
    }

    two_stores_wake_each_other |schema| {
        wake_each_other(&schema.open(), &schema.open());
    }

    many_stores_and_threads_do_each_job_once |schema| {
        let stores: Vec<_> = (0..3).map(|_| schema.open()).collect();
        do_each_job_once(&stores);
    }

    limits_hold_between_stores |schema| {
        let stores: Vec<_> = (0..3).map(|_| schema.open()).collect();
        let scope = Scope::Queue("default".into());
        stores[0].set_limits(&scope, Limits { max_running: Some(2), rate: None }).unwrap();
        stores[0].enqueue((0..60).map(|n| JobSpec::new("k", json!(n))).collect()).unwrap();
        let (running, most, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for store in stores.iter().chain(&stores) {
                scope.spawn(|| {
                    while done.load(Ordering::SeqCst) < 60 {
                        let Some(claimed) = store.claim(&ClaimRequest::new("w")).unwrap() else { continue };
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        running.fetch_sub(1, Ordering::SeqCst);
                        assert_eq!(store.complete(&claimed.lease, None).unwrap(), Some(()));
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at once");
    }

    one_of_many_gets_a_unique_key |schema| {
        let stores: Vec<_> = (0..3).map(|_| schema.open()).collect();
        let (made, names) = (AtomicU64::new(0), Mutex::new(std::collections::BTreeSet::new()));
        std::thread::scope(|scope| {
            for store in stores.iter().chain(&stores) {
                scope.spawn(|| {
                    // Keys in both orders: transactions meet each other half way.
                    for n in 0..8 {
                        let keys = if n % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                        for told in store.enqueue(keys.map(unique).to_vec()).unwrap() {
                            made.fetch_add(u64::from(!told.duplicate), Ordering::SeqCst);
                            lock(&names).insert(told.id);
                        }
                    }
                });
            }
        });
        assert_eq!((made.into_inner(), lock(&names).len()), (2, 2));
    }

    sweepers_share_what_is_left_behind |schema| {
        let stores: Vec<_> = (0..3).map(|_| schema.open()).collect();
        stores[0].enqueue((0..30).map(|n| JobSpec::new("k", json!(n))).collect()).unwrap();
        let request = ClaimRequest { lease_ms: 100, ..ClaimRequest::new("gone") };
        while stores[0].claim(&request).unwrap().is_some() {}
        std::thread::sleep(Duration::from_millis(150));
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(|| lock(&found).extend(store.sweep().unwrap().orphans));
            }
        });
        let crashes: Vec<_> = stores[0].list(&JobFilter::default()).unwrap().iter().map(|j| j.status.crashes).collect();
        assert_eq!((lock(&found).len(), crashes), (30, vec![1; 30]), "each is taken back once");
    }

    the_time_is_the_servers |schema| {
        let mut options = schema.options();
        options.store.time = Arc::new(MachineTime::new(Arc::new(Past)));
        assert_eq!(options.store.time.now().unix_ms, 1000);
        let store = PostgresStore::open(&schema.server, &options).unwrap();
        let id = store.enqueue(vec![spec()]).unwrap()[0].id;
        let created = store.get(id).unwrap().status.created_ms as i64;
        let sql = "select (extract(epoch from now()) * 1000)::bigint";
        let now: i64 = schema.client().query_one(sql, &[]).unwrap().get(0);
        // The job was made in the same test, which takes less than a minute.
        assert!((0..60_000).contains(&(now - created)), "{created} and {now}");
    }

    a_server_that_comes_back_is_used_again |schema| {
        let wire = Wire::new(&schema.server);
        let store = PostgresStore::open(&wire.address(&schema.server), &schema.options()).unwrap();
        let first = store.enqueue(vec![spec()]).unwrap()[0].id;
        wire.cut();
        // What was idle is made anew, and nobody notices.
        assert_eq!(store.list(&JobFilter::default()).unwrap().len(), 1);
        let seen = store.wait(u64::MAX, Duration::ZERO).unwrap();
        wire.set(false);
        for _ in 0..3 {
            let Err(Error::Unavailable { what }) = store.enqueue(vec![spec()]) else { panic!("the server is away") };
            assert!(what.starts_with("PostgreSQL at 127.0.0.1:"), "{what}");
            assert!(matches!(store.list(&JobFilter::default()), Err(Error::Unavailable { .. })));
        }
        wire.set(true);
        assert_eq!(store.claim(&ClaimRequest::new("w")).unwrap().unwrap().job.id, first, "and nothing else was made");
        // Who waits hears again of what others do.
        schema.open().enqueue(vec![spec()]).unwrap();
        assert_ne!(store.wait(seen, Duration::from_secs(600)).unwrap(), seen);
    }

    sessions_that_the_server_ends_are_made_anew |schema| {
        let store = schema.open();
        let lease = { store.enqueue(vec![spec()]).unwrap(); store.claim(&ClaimRequest::new("w")).unwrap().unwrap().lease };
        schema.client().execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
                where pid <> pg_backend_pid() and query like '%' || $1 || '%' or query = 'commit'", &[&schema.name],
        ).unwrap();
        assert_eq!(store.complete(&lease, None).unwrap(), Some(()), "the lease is in the tables, not in the session");
    }

    jobs_come_in_with_the_callers_transaction_or_not_at_all |schema| {
        let store = schema.open();
        let seen = store.wait(u64::MAX, Duration::ZERO).unwrap();
        let mut client = schema.client();
        client.batch_execute(&format!("set search_path to pg_catalog; create table {}.mine (n bigint)", schema.name)).unwrap();
        for commit in [false, true] {
            let mut transaction = client.transaction().unwrap();
            transaction.execute(&format!("insert into {}.mine values (1)", schema.name), &[]).unwrap();
            let made = store.enqueue_in(&mut transaction, vec![spec(), unique("u")]).unwrap();
            assert_eq!(made.len(), 2);
            let path: String = transaction.query_one("show search_path", &[]).unwrap().get(0);
            assert_eq!(path, "pg_catalog", "as it was");
            assert!(store.list(&JobFilter::default()).unwrap().is_empty(), "not yet");
            if commit { transaction.commit().unwrap() } else { transaction.rollback().unwrap() }
            assert_eq!(store.list(&JobFilter::default()).unwrap().len(), if commit { 2 } else { 0 });
        }
        assert_ne!(schema.open().wait(u64::MAX, Duration::ZERO).unwrap(), u64::MAX);
        let _ = store.wait(seen, Duration::from_secs(1)).unwrap();
        let bad = JobSpec { kind: String::new(), ..spec() };
        let mut transaction = client.transaction().unwrap();
        assert!(matches!(store.enqueue_in(&mut transaction, vec![bad]), Err(Error::InvalidValue { .. })));
    }

    tables_of_the_future_and_of_others_are_refused |schema| {
        drop(schema.open());
        let refused = || PostgresStore::open(&schema.server, &schema.options()).map(drop).unwrap_err();
        let mut client = schema.client();
        client.batch_execute(&format!("update {}.puresound_version set version = 99", schema.name)).unwrap();
        assert!(matches!(refused(), Error::Unsupported { value, .. } if value == "99"));
        client.batch_execute(&format!("drop table {}.puresound_version", schema.name)).unwrap();
        assert!(matches!(refused(), Error::Malformed { .. }));
    }

    tables_go_to_another_version_and_back |schema| {
        const NEXT: [Migration; 2] = [
            Migration { up: schema::MIGRATIONS[0].up, down: schema::MIGRATIONS[0].down },
            Migration { up: "alter table jobs add column extra text", down: "alter table jobs drop column extra" },
        ];
        let id = schema.open().enqueue(vec![spec()]).unwrap()[0].id;
        let there = place(&schema.server, &schema.options()).unwrap();
        let go = |to| schema::migrate(&mut there.connect().unwrap(), &there, &NEXT, Some(to));
        go(2).unwrap();
        assert!(matches!(PostgresStore::open(&schema.server, &schema.options()), Err(Error::Unsupported { .. })));
        go(1).unwrap();
        assert_eq!(schema.open().get(id).unwrap().id, id, "what was there is there");
        PostgresStore::migrate(&schema.server, &schema.options(), 0).unwrap();
        assert!(schema.open().list(&JobFilter::default()).unwrap().is_empty());
        assert!(matches!(PostgresStore::migrate(&schema.server, &schema.options(), 9), Err(Error::Unsupported { .. })));
    }

    a_migration_that_fails_leaves_what_was_there |schema| {
        const BROKEN: [Migration; 2] = [
            Migration { up: schema::MIGRATIONS[0].up, down: schema::MIGRATIONS[0].down },
            Migration { up: "drop table history; select no_such_thing()", down: "" },
        ];
        let id = schema.open().enqueue(vec![spec()]).unwrap()[0].id;
        let there = place(&schema.server, &schema.options()).unwrap();
        assert!(schema::migrate(&mut there.connect().unwrap(), &there, &BROKEN, None).is_err());
        assert_eq!(schema.open().history(id).unwrap().len(), 1);
    }

    errors_say_who_refused |schema| {
        let with = |name: &str, value: &str| {
            let parts: Vec<_> = schema.server.split(' ').filter(|p| !p.starts_with(&format!("{name}="))).collect();
            format!("{} {name}={value}", parts.join(" "))
        };
        let refused = |server: &str| PostgresStore::open(server, &schema.options()).map(drop).unwrap_err();
        assert!(matches!(refused(&with("dbname", "no_such_database")), Error::NotFound { .. }));
        assert!(matches!(refused(&with("user", "nobody_here")), Error::Denied { .. }));
        assert!(matches!(refused(&with("sslmode", "require")), Error::Unsupported { .. }));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(matches!(refused(&with("port", &free.to_string())), Error::Unavailable { .. }));
    }
}

#[test]
fn what_is_no_connection_is_refused_without_telling_the_password() {
    let options = PostgresOptions::default();
    for text in ["", "postgres://u:secret@h:notaport/d", "password=secret what=1"] {
        let error = PostgresStore::open(text, &options).map(drop).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert!(
            matches!(error, Error::InvalidValue { .. } | Error::Unavailable { .. } | Error::Malformed { .. }),
            "{error:?}"
        );
    }
    for schema in ["", "A", "a-b", "1a", "pg_x", "a\"b", &"x".repeat(49)] {
        let options = PostgresOptions { schema: schema.into(), ..PostgresOptions::default() };
        let error = PostgresStore::open("host=localhost user=u", &options).map(drop).unwrap_err();
        assert!(matches!(error, Error::InvalidValue { .. }), "{schema}: {error:?}");
    }
    let options = PostgresOptions { connections: 0, ..PostgresOptions::default() };
    assert!(matches!(PostgresStore::open("host=h user=u", &options), Err(Error::OutOfRange { .. })));
}
