//! The cases of a run, which its seed determines.

use std::collections::HashSet;

use rarefy_format::write;

use super::cases::{self, Case, Origin};
use super::corpus::{self, Picker};
use super::coverage::{self, Coverage};
use super::{large, mutate, networks};

/// Maximum number of random networks that are searched for paths that no earlier case takes.
const NETWORKS: u64 = 20_000;
/// Length of the longest section of a layer in `columns`: two rounds of every kernel.
const SECTIONS: usize = 80;
/// Bytes of a batch that are reserved for one more case of any size.
const SPARE: usize = 1 << 20;

/// An endless source of cases: first those that cover the kernels, then mutants.
pub(crate) struct Source<'a> {
    seed: u64,
    /// Remaining covering cases, in reverse order.
    covering: Vec<Case>,
    picker: Picker<'a>,
    /// Number of the next mutant.
    next: u64,
    /// Containers of all cases so far.
    seen: HashSet<Vec<u8>>,
}

impl<'a> Source<'a> {
    /// Selects the covering cases: the corpus, networks made for the purpose, and random networks
    /// until every path through the kernels is taken.
    pub(crate) fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Source<'a> {
        let (mut covering, mut coverage, wanted) =
            (Vec::new(), Coverage::default(), coverage::all());
        for (index, bytes) in corpus.iter().enumerate() {
            covering.extend(Case::new(Origin::Corpus(index), bytes));
        }
        let sections = write(&networks::sections(SECTIONS)).expect("it fits a container");
        covering.extend(Case::new(Origin::Sections, &sections));
        for (index, network) in large::networks().iter().enumerate() {
            let bytes = write(network).expect("it fits a container");
            covering.push(Case::new(Origin::Large(index), &bytes).expect("it fits a yard"));
        }
        for case in &covering {
            coverage.add(case);
        }
        for number in 0..NETWORKS {
            if coverage.missing().is_empty() {
                break;
            }
            let bytes = write(&networks::any(number));
            let case = bytes
                .ok()
                .and_then(|bytes| Case::new(Origin::Network(number), &bytes));
            if let Some(case) = case.filter(|case| coverage.gains(case, &wanted)) {
                coverage.add(&case);
                covering.push(case);
            }
        }
        covering.reverse();
        Source {
            seed,
            covering,
            picker: Picker::new(corpus, 60),
            next: 0,
            seen: HashSet::new(),
        }
    }

    /// Returns the number of remaining covering cases.
    pub(crate) fn covering(&self) -> usize {
        self.covering.len()
    }

    /// Returns the number of mutants so far, including rejected ones.
    pub(crate) fn mutants(&self) -> u64 {
        self.next
    }

    /// Returns the next case, whose container differs from all earlier ones.
    fn next(&mut self) -> Case {
        loop {
            let case = self.covering.pop().or_else(|| self.mutant());
            if let Some(case) = case
                && self.seen.insert(case.container.to_vec())
            {
                return case;
            }
        }
    }

    /// Returns the next mutant, if its container is accepted.
    fn mutant(&mut self) -> Option<Case> {
        let mut random = corpus::random(self.seed, self.next);
        let origin = Origin::Mutant(self.seed, self.next);
        self.next += 1;
        let bytes = mutate::container(&mut random, |random| self.picker.pick(random));
        Case::new(origin, &bytes)
    }

    /// Returns the next `count` cases, or fewer if they fill a batch.
    pub(crate) fn batch(&mut self, count: usize) -> Vec<Case> {
        let (mut cases, mut bytes) = (Vec::new(), SPARE);
        while cases.len() < count && bytes < cases::BATCH_BYTES {
            let case = self.next();
            bytes += case.len();
            cases.push(case);
        }
        cases
    }
}
