//! Where each step of a run stands, and what may begin: a function of what is over, and of nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use super::graph::Graph;

/// Where a step stands, for one file when it is in a `fan_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Has not begun.
    Open,
    /// Has a job that is not over.
    Going,
    /// Its result is there.
    Done,
    /// Its job was given up.
    Failed,
    /// Its job was stopped.
    Cancelled,
    /// Will not be done: what it needs is not there, or no branch took it.
    Skipped,
}

impl Cell {
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Open | Self::Going)
    }
}

/// A step and the number of its file; 0 outside of a `fan_out`.
pub(super) type At = (usize, usize);

/// All steps of a run.
#[derive(Debug, Clone)]
pub(super) struct Board {
    graph: Arc<Graph>,
    /// By step, then by file. Steps in a `fan_out` have no file until it is known which there are.
    cells: Vec<Vec<Cell>>,
    /// Per step: how many of its cells are not over.
    left: Vec<usize>,
    /// Steps that a branch took.
    taken: HashMap<At, Vec<String>>,
    /// Cells that have not begun.
    open: Vec<At>,
}

impl Board {
    pub fn new(graph: Arc<Graph>) -> Self {
        let cells: Vec<Vec<Cell>> =
            graph.nodes.iter().map(|node| vec![Cell::Open; usize::from(node.parent.is_none())]).collect();
        let left = cells.iter().map(Vec::len).collect();
        let open = (0..cells.len()).filter(|index| !cells[*index].is_empty()).map(|index| (index, 0)).collect();
        Self { graph, cells, left, taken: HashMap::new(), open }
    }

    /// Where a step stands; open when there is none such yet.
    pub fn get(&self, (node, item): At) -> Cell {
        self.cells.get(node).and_then(|row| row.get(item)).copied().unwrap_or(Cell::Open)
    }

    /// Every step, in the order of the definition, file by file.
    pub fn all(&self) -> impl Iterator<Item = (At, Cell)> {
        let rows = self.cells.iter().enumerate();
        rows.flat_map(|(node, row)| row.iter().enumerate().map(move |(item, cell)| ((node, item), *cell)))
    }

    /// How many steps there are, as far as that is known.
    pub fn total(&self) -> usize {
        self.cells.iter().map(Vec::len).sum()
    }

    /// How many steps are over.
    pub fn over(&self) -> usize {
        self.total() - self.left.iter().sum::<usize>()
    }

    /// Puts a step where it stands now.
    pub fn set(&mut self, (node, item): At, cell: Cell) {
        let Some(now) = self.cells.get_mut(node).and_then(|row| row.get_mut(item)) else { return };
        match (now.is_over(), cell.is_over()) {
            (false, true) => self.left[node] -= 1,
            (true, false) => self.left[node] += 1,
            _ => {}
        }
        *now = cell;
    }

    /// Tells which files a `fan_out` has.
    pub fn list(&mut self, fan: usize, items: usize) {
        for child in self.graph.nodes[fan].children.clone() {
            if self.cells[child].is_empty() {
                self.cells[child] = vec![Cell::Open; items];
                self.left[child] = items;
                self.open.extend((0..items).map(|item| (child, item)));
            }
        }
        // File by file, so that the first ones are ready early.
        self.open.sort_unstable_by_key(|(node, item)| (self.graph.nodes[*node].parent.unwrap_or(*node), *item, *node));
    }

    /// Tells which steps a branch took.
    pub fn take(&mut self, branch: At, then: Vec<String>) {
        self.taken.insert(branch, then);
    }

    /// True when the steps inside of a `fan_out` are over.
    pub fn is_inside_over(&self, fan: usize) -> bool {
        self.graph.nodes[fan].children.iter().all(|child| self.left[*child] == 0)
    }

    /// Where `node` stands for one who looks at it from `viewer`.
    fn seen(&self, node: usize, viewer: At) -> (At, Cell) {
        let beside = self.graph.nodes[node].parent.is_some();
        let at = (node, if beside { viewer.1 } else { 0 });
        match self.get(at) {
            Cell::Done if !self.is_inside_over(node) => (at, Cell::Going),
            cell => (at, cell),
        }
    }

    /// Skips what has to be skipped, and names all that may begin, and what was skipped.
    pub fn settle(&mut self) -> (Vec<At>, Vec<At>) {
        let mut skipped = Vec::new();
        loop {
            let mut ready = Vec::new();
            let mut again = false;
            let open = std::mem::take(&mut self.open);
            for at in open {
                if self.get(at) != Cell::Open {
                    continue;
                }
                match self.decide(at) {
                    Decision::Wait => {}
                    Decision::Begin => ready.push(at),
                    Decision::Skip => {
                        self.set(at, Cell::Skipped);
                        skipped.push(at);
                        again = true;
                        continue;
                    }
                }
                self.open.push(at);
            }
            if !again {
                return (ready, skipped);
            }
        }
    }

    fn decide(&self, at: At) -> Decision {
        let node = &self.graph.nodes[at.0];
        let cell = |other: &usize| self.seen(*other, at).1;
        if node.waits.iter().any(|other| !cell(other).is_over()) {
            return Decision::Wait;
        }
        let id = &node.step.id;
        let takes = |branch: &usize| {
            let (place, cell) = self.seen(*branch, at);
            cell == Cell::Done && self.taken.get(&place).is_some_and(|then| then.contains(id))
        };
        let untaken = !node.branches.is_empty() && !node.branches.iter().any(takes);
        let starved = node.groups.iter().any(|group| !group.iter().any(|other| cell(other) == Cell::Done));
        let pointless = !node.after.is_empty() && node.after.iter().all(|other| cell(other) == Cell::Skipped);
        if untaken || starved || pointless { Decision::Skip } else { Decision::Begin }
    }
}

enum Decision {
    Wait,
    Begin,
    Skip,
}

#[cfg(test)]
mod tests {
    use super::super::definition::Workflow;
    use super::*;

    fn board(steps: &str) -> Board {
        let (graph, problems) = Graph::new(&Workflow::from_text(&format!("name: a\nsteps:\n{steps}")).unwrap());
        assert!(problems.is_empty(), "{problems:?}");
        Board::new(Arc::new(graph))
    }

    impl Board {
        fn at(&self, id: &str, item: usize) -> At {
            (self.graph.find(id).unwrap(), item)
        }

        fn ready(&mut self) -> Vec<String> {
            let (ready, _) = self.settle();
            ready.iter().map(|(node, item)| format!("{}{item}", self.graph.id(*node))).collect()
        }

        fn put(&mut self, id: &str, item: usize, cell: Cell) {
            self.set(self.at(id, item), cell);
        }

        fn state(&self, id: &str, item: usize) -> Cell {
            self.get(self.at(id, item))
        }
    }

    const DIAMOND: &str = "
  - {id: m, type: measure, input: x}
  - id: b
    type: branch
    cases: [{name: c, when: {value: steps.m.rms_dbfs, less_than: 0}, then: [p]}]
    otherwise: [q]
  - {id: p, type: store, files: x, to: y}
  - {id: q, type: store, files: x, to: y}
  - {id: s, type: store, files: '${steps.p.path | steps.q.path}', to: y}
  - {id: n, type: notify, message: '${steps.p.path}'}
  - {id: o, type: notify, message: end, after: [n, s]}
";

    #[test]
    fn one_arm_of_a_branch_goes_on_and_what_needs_the_other_is_skipped() {
        let mut board = board(DIAMOND);
        assert_eq!(board.ready(), ["m0"]);
        board.put("m", 0, Cell::Going);
        assert!(board.ready().is_empty());
        board.put("m", 0, Cell::Done);
        assert_eq!(board.ready(), ["b0"]);
        board.put("b", 0, Cell::Done);
        board.take(board.at("b", 0), vec!["q".into()]);
        assert_eq!(board.ready(), ["q0"]);
        assert_eq!((board.state("p", 0), board.state("n", 0)), (Cell::Skipped, Cell::Skipped));
        board.put("q", 0, Cell::Done);
        assert_eq!(board.ready(), ["s0"], "one of the alternatives is there");
        board.put("s", 0, Cell::Done);
        assert_eq!(board.ready(), ["o0"], "only what comes after nothing but skipped steps is skipped");
        board.put("o", 0, Cell::Done);
        assert_eq!((board.over(), board.total()), (7, 7));
    }

    #[test]
    fn what_uses_a_result_that_failed_is_skipped_and_what_only_comes_after_it_is_not() {
        let mut board = board(
            "  - {id: a, type: measure, input: x, on_failure: continue}\n  - {id: b, type: notify, message: '${steps.a.file}'}\n  - {id: c, type: notify, message: m, after: [a]}\n  - {id: d, type: notify, message: m, after: [b]}",
        );
        board.put("a", 0, Cell::Failed);
        assert_eq!(board.ready(), ["c0"]);
        assert_eq!((board.state("b", 0), board.state("d", 0)), (Cell::Skipped, Cell::Skipped));
    }

    #[test]
    fn files_go_their_way_alone_and_what_follows_waits_for_all() {
        let mut board = board(
            "  - {id: m, type: measure, input: x}
  - id: f
    type: fan_out
    files: x
    steps:
      - {id: p, type: store, files: '${item}', to: '${steps.m.file}'}
      - {id: q, type: store, files: '${steps.p.path}', to: z}
  - {id: s, type: store, files: '${steps.f.outputs}', to: z}",
        );
        assert_eq!(board.ready(), ["m0"], "the fan_out waits for what its steps need");
        board.put("m", 0, Cell::Done);
        assert_eq!(board.ready(), ["f0"]);
        board.put("f", 0, Cell::Done);
        board.list(board.at("f", 0).0, 2);
        assert_eq!(board.ready(), ["p0", "p1"]);
        board.put("p", 0, Cell::Done);
        board.put("p", 1, Cell::Failed);
        assert_eq!(board.ready(), ["q0"]);
        assert_eq!(board.state("q", 1), Cell::Skipped);
        board.put("q", 0, Cell::Done);
        assert_eq!(board.ready(), ["s0"]);
    }

    #[test]
    fn a_fan_out_of_nothing_is_over_at_once() {
        let mut board = board(
            "  - {id: f, type: fan_out, files: x, allow_empty: true, steps: [{id: p, type: measure, input: '${item}'}]}\n  - {id: s, type: notify, message: '${steps.f.count}'}",
        );
        board.put("f", 0, Cell::Done);
        board.list(board.at("f", 0).0, 0);
        assert_eq!(board.ready(), ["s0"]);
    }
}
