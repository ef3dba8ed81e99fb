//! What the registry promises. Random graphs are compared with a model that knows nothing but sets.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Problem};

const LONG: Duration = Duration::from_secs(60);
const LIFETIMES: [Lifetime; 3] = [Lifetime::Singleton, Lifetime::Scoped, Lifetime::Transient];

struct Node;

fn key(n: usize) -> Key {
    Key::named::<Node>(n.to_string())
}

/// A graph of named nodes: lifetime of each, what it needs, whether it can do without.
#[derive(Debug, Clone)]
struct Random {
    nodes: Vec<(usize, Vec<(usize, bool)>)>,
    /// Nodes that are registered a second time.
    twice: BTreeSet<usize>,
}

fn random() -> impl Strategy<Value = Random> {
    // Needs point up to two nodes past the end, so that some are missing.
    (1..8_usize).prop_flat_map(|n| {
        let needs = prop::collection::vec((0..n + 2, prop::bool::weighted(0.3)), 0..3);
        let twice = prop::collection::btree_set(0..n, 0..2).prop_filter("rare", |t| t.len() < 2);
        (prop::collection::vec((0..3_usize, needs), n), twice).prop_map(|(nodes, twice)| Random { nodes, twice })
    })
}

impl Random {
    fn builder(&self) -> ServiceBuilder {
        let mut builder = ServiceBuilder::new();
        for (n, (lifetime, needs)) in self.nodes.iter().enumerate() {
            let needs: Vec<_> =
                needs.iter().map(|(to, optional)| Dependency { key: key(*to), optional: *optional }).collect();
            for _ in 0..1 + usize::from(self.twice.contains(&n)) {
                let asks = needs.clone();
                builder.register(Registration::new(key(n), LIFETIMES[*lifetime], needs.clone(), move |r| {
                    for need in &asks {
                        r.get_optional::<Node>(&need.key)?;
                    }
                    Ok(Made::new(Arc::new(Node)))
                }));
            }
        }
        builder
    }

    /// Who can reach whom, over existing nodes; `through` limits the nodes in between.
    fn reach(&self, through: impl Fn(usize) -> bool) -> Vec<Vec<bool>> {
        let n = self.nodes.len();
        let mut reach = vec![vec![false; n]; n];
        for (from, (_, needs)) in self.nodes.iter().enumerate() {
            needs.iter().filter(|(to, _)| *to < n).for_each(|(to, _)| reach[from][*to] = true);
        }
        for middle in (0..n).filter(|m| through(*m)) {
            for from in 0..n {
                for to in 0..n {
                    reach[from][to] |= reach[from][middle] && reach[middle][to];
                }
            }
        }
        reach
    }

    /// (kind, service) of everything that is wrong; `cycle` names no service, for a circle has no first.
    fn model(&self) -> BTreeSet<(String, String)> {
        let n = self.nodes.len();
        let mut wrong = BTreeSet::new();
        let mut add = |kind: &str, node: Option<usize>| {
            wrong.insert((kind.to_owned(), node.map_or(String::new(), |n| key(n).to_string())))
        };
        for (node, (_, needs)) in self.nodes.iter().enumerate() {
            if needs.iter().any(|(to, optional)| *to >= n && !optional) {
                add("missing", Some(node));
            }
        }
        let all = self.reach(|_| true);
        if (0..n).any(|i| all[i][i]) {
            add("cycle", None);
        }
        let transients = self.reach(|m| self.nodes[m].0 == 2);
        for i in (0..n).filter(|i| self.nodes[*i].0 == 0) {
            if (0..n).any(|j| self.nodes[j].0 == 1 && transients[i][j]) {
                add("captive", Some(i));
            }
        }
        for node in &self.twice {
            add("ambiguous", Some(*node));
        }
        wrong
    }
}

fn problems(result: Result<(), Error>) -> Vec<Problem> {
    match result {
        Ok(()) => Vec::new(),
        Err(Error::Invalid { problems, .. }) => problems,
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// G24: what the checks refuse is what the model refuses, no more and no less; and what they let pass can be made.
    #[test]
    fn g24_checks_equal_the_model(graph in random()) {
        let found = problems(graph.builder().validate());
        let got: BTreeSet<_> = found.iter()
            .map(|p| (p.place.clone(), if p.place == "cycle" { String::new() } else { p.path.clone() })).collect();
        prop_assert_eq!(&got, &graph.model());
        for circle in found.iter().filter(|p| p.place == "cycle") {
            let names: Vec<&str> = circle.message.split(" -> ").collect();
            prop_assert!(names.len() >= 2 && names[0] == names[names.len() - 1], "{}", circle);
            for pair in names.windows(2) {
                let id = |name: &str| name.split('\'').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap();
                prop_assert!(graph.nodes[id(pair[0])].1.iter().any(|(to, _)| *to == id(pair[1])), "{}", circle);
            }
        }
        if found.is_empty() {
            let services = graph.builder().build().unwrap();
            let scope = services.scope();
            for n in 0..graph.nodes.len() {
                prop_assert!(scope.get_key::<Node>(&key(n)).is_ok());
            }
        }
    }
}

type Log = Arc<Mutex<Vec<String>>>;

/// A service that writes down its life.
struct Part {
    name: &'static str,
    log: Log,
}

fn part(builder: &mut ServiceBuilder, name: &'static str, lifetime: Lifetime, needs: &[&'static str], log: &Log) {
    let needs: Vec<_> = needs.iter().map(|n| Dependency { key: Key::named::<Part>(*n), optional: false }).collect();
    let (asks, log) = (needs.clone(), Arc::clone(log));
    builder.register(Registration::new(Key::named::<Part>(name), lifetime, needs, move |r| {
        for need in &asks {
            r.get::<Part>(&need.key)?;
        }
        log.lock().unwrap().push(format!("+{name}"));
        let part = Arc::new(Part { name, log: Arc::clone(&log) });
        let (stop, health) = (Arc::clone(&part), Arc::clone(&part));
        Ok(Made::new(part).with_health(move || Health::warn(health.name)).with_stop(move || {
            stop.log.lock().unwrap().push(format!("-{}", stop.name));
            match stop.name {
                "panics" => panic!("no"),
                "fails" => Err(Error::internal("no")),
                "hangs" => {
                    std::thread::sleep(LONG);
                    Ok(())
                }
                _ => Ok(()),
            }
        }))
    }));
}

#[test]
fn services_end_in_reverse_and_one_that_fails_stops_nobody() {
    let (mut builder, log) = (ServiceBuilder::new(), Log::default());
    part(&mut builder, "base", Lifetime::Singleton, &[], &log);
    part(&mut builder, "panics", Lifetime::Singleton, &["base"], &log);
    part(&mut builder, "hangs", Lifetime::Singleton, &["panics"], &log);
    part(&mut builder, "fails", Lifetime::Singleton, &["hangs"], &log);
    part(&mut builder, "unused", Lifetime::Singleton, &["fails"], &log);
    let services = builder.build().unwrap();
    services.get_named::<Part>("fails").unwrap();
    assert_eq!(services.health().len(), 4);
    let ended = services.shutdown(Duration::from_millis(100));
    let outcomes: Vec<_> = ended.iter().map(|d| (d.service.as_str(), &d.outcome)).collect();
    let failed = |s: &str| StopOutcome::Failed(s.into());
    assert_eq!(
        outcomes,
        [
            ("Part 'fails'", &failed("internal error: no")),
            ("Part 'hangs'", &StopOutcome::TimedOut),
            ("Part 'panics'", &failed("panic")),
            ("Part 'base'", &StopOutcome::Stopped),
        ]
    );
    assert_eq!(*log.lock().unwrap(), ["+base", "+panics", "+hangs", "+fails", "-fails", "-hangs", "-panics", "-base"]);
    assert_eq!(services.get_named::<Part>("base").err().unwrap().name(), "CLOSED");
    assert_eq!(services.get_named::<Part>("unused").err().unwrap().name(), "CLOSED");
    assert!(services.shutdown(LONG).is_empty());
}

#[test]
fn scopes_have_their_own_and_share_what_is_for_all() {
    let (mut builder, log) = (ServiceBuilder::new(), Log::default());
    part(&mut builder, "one", Lifetime::Singleton, &[], &log);
    part(&mut builder, "job", Lifetime::Scoped, &["one"], &log);
    part(&mut builder, "each", Lifetime::Transient, &["job"], &log);
    let services = builder.build().unwrap();
    let (a, b) = (services.scope(), services.scope());
    let get = |scope: &Scope, name: &'static str| scope.get_key::<Part>(&Key::named::<Part>(name)).unwrap();
    assert!(Arc::ptr_eq(&get(&a, "job"), &get(&a, "job")));
    assert!(!Arc::ptr_eq(&get(&a, "job"), &get(&b, "job")));
    assert!(Arc::ptr_eq(&get(&a, "one"), &get(&b, "one")));
    assert!(!Arc::ptr_eq(&get(&a, "each"), &get(&a, "each")));
    assert_eq!(services.get_named::<Part>("job").err().unwrap().name(), "CONFLICT");
    assert_eq!(services.get_named::<Part>("each").err().unwrap().name(), "CONFLICT");
    assert_eq!(a.end(LONG).len(), 1);
    drop(b);
    assert_eq!(*log.lock().unwrap(), ["+one", "+job", "+job", "+each", "+each", "-job", "-job"]);
}

/// G24, second half.
#[test]
fn g24_one_construction_under_64_threads() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&made);
    let mut builder = ServiceBuilder::new();
    builder.factory(Lifetime::Singleton, move |(): ()| {
        std::thread::yield_now();
        Ok(Arc::new(counter.fetch_add(1, Ordering::SeqCst)))
    });
    let services = builder.build().unwrap();
    let start = Barrier::new(64);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                start.wait();
                assert_eq!(*services.get::<u32>().unwrap(), 0);
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn a_constructor_that_fails_or_panics_is_tried_again() {
    let tries = Arc::new(AtomicU32::new(0));
    let mut builder = ServiceBuilder::new();
    builder.factory(Lifetime::Singleton, move |(): ()| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Error::Unavailable { what: "disk".into() }),
        1 => panic!("oh"),
        n => Ok(Arc::new(n)),
    });
    let services = builder.build().unwrap();
    assert_eq!(services.get::<u32>().unwrap_err().name(), "UNAVAILABLE");
    let error = services.get::<u32>().unwrap_err();
    assert_eq!(error.to_string(), "internal error: the constructor of u32 panicked: oh");
    assert_eq!(*services.get::<u32>().unwrap(), 2);
}

trait Speak: Send + Sync {
    fn word(&self) -> &'static str;
}
struct Dog;
impl Service for Dog {
    type Needs = ();
    fn build((): ()) -> Result<Self, Error> {
        Ok(Self)
    }
}
impl Speak for Dog {
    fn word(&self) -> &'static str {
        "wau"
    }
}
struct Main;
impl Name for Main {
    const NAME: &'static str = "main";
}
/// Asks for one thing of each kind.
struct House {
    word: &'static str,
    cat: bool,
    number: u64,
}
impl Service for House {
    type Needs = (Arc<dyn Speak>, Option<Arc<String>>, Named<u64, Main>);
    fn build((speaker, cat, number): Self::Needs) -> Result<Self, Error> {
        Ok(Self { word: speaker.word(), cat: cat.is_some(), number: *number.service })
    }
    fn health(&self) -> Health {
        Health::pass().observed(1.0, "dogs")
    }
}

#[test]
fn services_are_put_together_by_type_and_a_child_replaces_parts() {
    let mut builder = ServiceBuilder::new();
    builder.add_as::<dyn Speak, Dog>(|dog| dog).add::<House>();
    let wrong = problems(builder.validate());
    assert_eq!(wrong[0].to_string(), "missing: House: needs u64 'main', which is not registered");
    builder.fallback(|b| {
        b.instance_named("main", Arc::new(7_u64)).instance_named("other", Arc::new(8_u64));
    });
    let services = builder.clone().build().unwrap();
    let house = services.get::<House>().unwrap();
    assert_eq!((house.word, house.cat, house.number), ("wau", false, 7));
    assert_eq!(services.health().iter().find(|h| h.service == "House").unwrap().health.observed, Some(1.0));
    // The host's own comes instead of the fallback, before or after it.
    builder.instance_named("main", Arc::new(9_u64));
    assert_eq!(builder.build().unwrap().get::<House>().unwrap().number, 9);
    let mut child = services.child();
    child.instance(Arc::new("cat".to_owned())).instance_named("main", Arc::new(1_u64));
    let other = child.build().unwrap().get::<House>().unwrap();
    assert_eq!((other.cat, other.number), (true, 1));
    assert_eq!(services.get::<House>().unwrap().number, 7);
    let error = services.get_named::<u64>("mian").unwrap_err();
    assert_eq!(error.to_string(), "unknown service 'u64 'mian'', did you mean 'u64 'main''?");
}

#[test]
fn what_was_not_stated_is_not_given_and_chains_have_an_end() {
    let mut builder = ServiceBuilder::new();
    builder.instance(Arc::new(7_u64));
    builder.register(Registration::new(Key::of::<Node>(), Lifetime::Transient, Vec::new(), |r| {
        r.get::<u64>(&Key::of::<u64>())?;
        Ok(Made::new(Arc::new(Node)))
    }));
    let error = builder.build().unwrap().get::<Node>().err().unwrap();
    assert_eq!(error.to_string(), "internal error: Node asks for u64 without stating it");
    let chain = |n: usize| {
        let nodes = (0..n).map(|i| (2, if i + 1 < n { vec![(i + 1, false)] } else { Vec::new() })).collect();
        Random { nodes, twice: BTreeSet::new() }
    };
    assert!(chain(200).builder().build().unwrap().get_key::<Node>(&key(0)).is_ok());
    assert_eq!(problems(chain(201).builder().validate())[0].place, "depth");
    assert_eq!(problems(chain(20_000).builder().validate())[0].place, "depth");
}
