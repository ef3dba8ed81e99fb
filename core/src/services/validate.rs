//! Checks of the graph of services, before anything is made.

use std::collections::{HashMap, HashSet};

use super::builder::Registration;
use super::key::{Key, Lifetime};
use crate::error::{Problem, closest};

/// Longest chain of services that need each other. Making a chain uses the stack.
const MAX_DEPTH: usize = 200;

type Graph = HashMap<Key, Registration>;

/// Everything that is wrong.
pub(super) fn check(graph: &Graph, ambiguous: &[Key]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |kind: &str, path: String, message: String| {
        problems.push(Problem { place: kind.into(), path, message });
    };
    for key in ambiguous.iter().collect::<HashSet<_>>() {
        add("ambiguous", key.to_string(), "is registered more than once".into());
    }
    let mut sorted: Vec<&Registration> = graph.values().collect();
    sorted.sort_by_cached_key(|r| r.key.to_string());
    for registration in &sorted {
        for needed in registration.dependencies.iter().filter(|d| !d.optional && !graph.contains_key(&d.key)) {
            add("missing", registration.key.to_string(), format!("needs {}{}", needed.key, hint(graph, &needed.key)));
        }
        if registration.lifetime == Lifetime::Singleton {
            for path in captives(graph, registration) {
                add(
                    "captive",
                    registration.key.to_string(),
                    format!("is for all but would hold on to a scope: {path}"),
                );
            }
        }
    }
    let mut walk = Walk { graph, depth: HashMap::new(), path: Vec::new(), circles: Vec::new() };
    for registration in &sorted {
        let depth = walk.visit(&registration.key);
        if depth > MAX_DEPTH && walk.circles.is_empty() {
            add(
                "depth",
                registration.key.to_string(),
                format!("is at the end of a chain of {depth}, allowed is {MAX_DEPTH}"),
            );
            break;
        }
    }
    for circle in walk.circles {
        add("cycle", circle[0].to_string(), chain(&circle));
    }
    problems.sort();
    problems
}

fn chain(keys: &[&Key]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}

/// What the needed service may have been meant to be.
fn hint(graph: &Graph, key: &Key) -> String {
    let same_type: Vec<String> = graph.keys().filter(|k| k.is_like(key)).map(ToString::to_string).collect();
    let wanted = key.to_string();
    let known = if same_type.is_empty() { graph.keys().map(ToString::to_string).collect() } else { same_type };
    let found =
        closest(&wanted, known.iter().map(String::as_str)).or_else(|| (known.len() == 1).then(|| known[0].clone()));
    found.map_or_else(|| ", which is not registered".into(), |k| format!(", which is not registered; there is {k}"))
}

/// The scoped services that a singleton would keep, each with the way to it. The way leads through transients only: a
/// singleton on it is told by itself.
fn captives(graph: &Graph, singleton: &Registration) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<Vec<&Key>> = vec![vec![&singleton.key]];
    while let Some(path) = stack.pop() {
        let Some(registration) = path.last().and_then(|k| graph.get(k)) else { continue };
        for needed in registration.dependencies.iter().filter_map(|d| graph.get(&d.key)) {
            if !seen.insert(&needed.key) {
                continue;
            }
            let mut path = path.clone();
            path.push(&needed.key);
            match needed.lifetime {
                Lifetime::Scoped => found.push(chain(&path)),
                Lifetime::Transient => stack.push(path),
                Lifetime::Singleton => {}
            }
        }
    }
    found
}

/// Depth-first walk that finds a circle behind every edge that leads back.
struct Walk<'a> {
    graph: &'a Graph,
    /// Length of the longest chain from a service that is done.
    depth: HashMap<&'a Key, usize>,
    path: Vec<&'a Key>,
    circles: Vec<Vec<&'a Key>>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, key: &'a Key) -> usize {
        if let Some(depth) = self.depth.get(key) {
            return *depth;
        }
        if let Some(at) = self.path.iter().position(|k| *k == key) {
            let mut circle = self.path[at..].to_vec();
            circle.push(key);
            self.circles.push(circle);
            return 0;
        }
        let Some(registration) = self.graph.get(key) else { return 0 };
        // Deeper than what can be reported anyhow: the walk itself uses the stack.
        if self.path.len() > MAX_DEPTH {
            return MAX_DEPTH + 1;
        }
        self.path.push(key);
        let deepest = registration.dependencies.iter().map(|d| self.visit(&d.key)).max().unwrap_or(0);
        self.path.pop();
        self.depth.insert(key, deepest + 1);
        deepest + 1
    }
}
