//! Connections, and transactions on them.

use std::sync::Arc;
use std::time::Duration;

use postgres::config::Host;
use postgres::{Client, Config, GenericClient, NoTls, SimpleQueryMessage};

use super::link::{Fault, Link, Statements, failure, fault};
use crate::error::{Error, Result};
use crate::jobs::sql::Rows;
use crate::jobs::sql::store::Purpose;
use crate::jobs::table::Table;
use crate::jobs::time::{Moment, StoreTime};
use crate::services::seams::random_u64;

/// How often a transaction is run when others are in its way.
const TRIES: u32 = 20;

/// Where a store is, and who comes there.
pub(super) struct Place {
    config: Config,
    /// For messages; without the password.
    pub name: String,
    pub schema: String,
    own_time: Option<Arc<dyn StoreTime>>,
    /// Tells what this store did from what others did.
    pub origin: String,
}

impl Place {
    pub fn new(mut config: Config, schema: &str, own_time: Option<Arc<dyn StoreTime>>, origin: u64) -> Result<Self> {
        // It becomes part of statements.
        let head = |c: char| c.is_ascii_lowercase() || c == '_';
        let allowed = |c: char| head(c) || c.is_ascii_digit();
        if !schema.starts_with(head) || !schema.chars().all(allowed) || schema.len() > 48 || schema.starts_with("pg_") {
            return Err(Error::InvalidValue {
                name: "schema".into(),
                value: schema.into(),
                allowed: "a-z, 0-9 and _, at most 48, no digit first, not pg_".into(),
            });
        }
        // A server that is silent must not hold a caller for hours.
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        if config.get_application_name().is_none() {
            config.application_name("pure-sound jobs");
        }
        let host = config.get_hosts().first().map_or_else(
            || "localhost".to_owned(),
            |host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            },
        );
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
        let name = format!("PostgreSQL at {host}:{port}/{database}");
        Ok(Self { config, name, schema: schema.into(), own_time, origin: format!("{origin:016x}") })
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Client> {
        let told = |e| failure("connect", self, e);
        let mut client = self.config.connect(NoTls).map_err(told)?;
        // Locks of a client that vanished, and waits for those, come to an end.
        let settings = format!(
            "set search_path to {}; set lock_timeout = '30s'; set idle_in_transaction_session_timeout = '60s'; \
             set synchronous_commit = on",
            self.schema
        );
        client.batch_execute(&settings).map_err(told)?;
        Ok(client)
    }

    /// The name of the channel on which stores tell each other that something changed.
    pub fn channel(&self) -> String {
        format!("puresound_{}", self.schema)
    }

    /// A number for locks of this store.
    pub fn lock(&self) -> String {
        format!("hashtextextended('pure-sound jobs in {}', 0)", self.schema)
    }

    /// Begins a transaction, unless it has begun. The time, and whether jobs that come in find no rules.
    fn begin(
        &self,
        client: &mut impl GenericClient,
        begin: &str,
        purpose: Option<Purpose>,
    ) -> Result<(Moment, bool), postgres::Error> {
        // Jobs come in while rules do not change, and the other way round.
        let lock = match purpose {
            Some(Purpose::Enqueue) => format!("select pg_advisory_xact_lock_shared({});", self.lock()),
            Some(Purpose::Manage) => format!("select pg_advisory_xact_lock({});", self.lock()),
            Some(Purpose::Work) | None => String::new(),
        };
        // After the lock: what was decided while it waited is older. Most queues have no rules at all, and need not be asked scope by scope.
        let rules = if purpose == Some(Purpose::Enqueue) { "exists (select 1 from scopes)" } else { "true" };
        let time = format!("select (extract(epoch from clock_timestamp()) * 1000)::bigint, {rules}");
        let told = client.simple_query(&format!("{begin};{lock}{time}"))?;
        let row = told.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse::<u64>().ok()?, row.get(1)? == "f")),
            _ => None,
        });
        // The server's calendar is the clock of leases, too: it is the only one that all machines share.
        let (unix_ms, unruled) = row.unwrap_or_default();
        let now = match &self.own_time {
            Some(time) => time.now(),
            None => Moment { unix_ms, boot: Arc::from("postgres"), up_ms: unix_ms },
        };
        Ok((now, unruled))
    }
}

/// A connection that is made when it is needed, and made again when it is gone.
pub(super) struct Connection {
    place: Arc<Place>,
    live: Option<(Client, Statements)>,
}

/// What came of a transaction.
pub(super) struct Done<T> {
    pub value: T,
    /// It changed something.
    pub changed: bool,
    /// Somebody elsewhere may want to know.
    pub tell: bool,
}

/// How a transaction ended that did not hold.
struct Broken {
    error: Error,
    fault: Fault,
    /// Nobody knows whether it holds: the connection went while it was being committed.
    unsure: bool,
}

impl Connection {
    pub fn new(place: Arc<Place>) -> Self {
        Self { place, live: None }
    }

    /// Runs a transaction: it may be run again when others were in its way, or when the connection was gone before.
    pub fn transact<T>(
        &mut self,
        purpose: Option<Purpose>,
        work: impl Fn(&mut dyn Table, Moment) -> Result<T>,
    ) -> Result<Done<T>> {
        let (mut tries, mut fresh) = (0, false);
        loop {
            let (mut client, mut statements) = match self.live.take().filter(|(client, _)| !client.is_closed()) {
                Some(live) => live,
                None => {
                    fresh = true;
                    (self.place.connect()?, Statements::new())
                }
            };
            let broken = match once(&mut client, &mut statements, &self.place, purpose, &work) {
                Ok(done) => {
                    self.live = Some((client, statements));
                    return Ok(done);
                }
                Err(broken) => broken,
            };
            if broken.fault != Fault::Gone {
                self.live = Some((client, statements));
            }
            tries += 1;
            match broken.fault {
                Fault::Collision if tries < TRIES => {
                    // Up to 1, 2, 4, ... 64 ms, by chance, so that those who collided do not do so again.
                    let most_us = 1000 << tries.min(6);
                    std::thread::sleep(Duration::from_micros(random_u64() % most_us));
                }
                // An idle connection may have died long ago.
                Fault::Gone if !broken.unsure && !fresh => {}
                _ => return Err(broken.error),
            }
        }
    }
}

fn once<T>(
    client: &mut Client,
    statements: &mut Statements,
    place: &Place,
    purpose: Option<Purpose>,
    work: impl Fn(&mut dyn Table, Moment) -> Result<T>,
) -> Result<Done<T>, Broken> {
    let broken = |op, unsure| {
        move |error: postgres::Error| {
            let fault = fault(&error);
            Broken { error: failure(op, place, error), fault, unsure: unsure && fault == Fault::Gone }
        }
    };
    let begin = match purpose {
        Some(_) => "begin isolation level read committed",
        // One state of the tables for all that is read.
        None => "begin isolation level repeatable read read only",
    };
    let (now, unruled) = place.begin(client, begin, purpose).map_err(broken("begin", false))?;
    let mut rows = Rows::new(Link::new(client, statements, place, purpose, unruled));
    let done = work(&mut rows, now);
    let (changed, tell, seen) = (rows.database.changed.get(), rows.database.tell.get(), rows.database.fault.get());
    match done {
        Ok(value) => {
            client.batch_execute("commit").map_err(broken("commit", true))?;
            Ok(Done { value, changed, tell: tell || (changed && purpose == Some(Purpose::Manage)) })
        }
        Err(error) => {
            let back = client.batch_execute("rollback");
            let fault = if back.is_err() { Fault::Gone } else { seen.unwrap_or(Fault::Other) };
            Err(Broken { error, fault, unsure: false })
        }
    }
}

/// Runs something inside of a transaction of somebody else's.
pub(super) fn inside<T>(
    transaction: &mut postgres::Transaction<'_>,
    place: &Place,
    work: impl FnOnce(&mut dyn Table, Moment) -> Result<T>,
) -> Result<T> {
    let told = |e| failure("enqueue", place, e);
    let path: String = transaction
        .query_one("select current_setting('search_path')", &[])
        .and_then(|row| row.try_get(0))
        .map_err(told)?;
    let begin = format!("set local search_path to {}", place.schema);
    let (now, unruled) = place.begin(transaction, &begin, Some(Purpose::Enqueue)).map_err(told)?;
    let mut statements = Statements::new();
    let mut rows = Rows::new(Link::new(transaction, &mut statements, place, Some(Purpose::Enqueue), unruled));
    let done = work(&mut rows, now)?;
    transaction.execute("select set_config('search_path', $1, true)", &[&path]).map_err(told)?;
    transaction.batch_execute(&format!("notify {}, '{}'", place.channel(), place.origin)).map_err(told)?;
    Ok(done)
}
