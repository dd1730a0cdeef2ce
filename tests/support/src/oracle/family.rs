//! The nested masks of a pruner, and effective pruning by bisection over them, as in the paper's
//! code.

use std::ops::RangeInclusive;

use rarefy_trainer::graph::{Graph, Prunable};
use rarefy_trainer::pruning::effective::Mode;

use super::{PerLayer, Sharing, count, effective, sharing, wanted};

/// The family of masks of one pruner: one mask per number `k` of removed weights.
pub struct Family {
    graph: Graph,
    tensors: Vec<Prunable>,
    sharing: Sharing,
    /// (tensor, element) in the order of removal: by ascending score, ties by descending index.
    removal: Vec<(usize, usize)>,
}

impl Family {
    /// Creates the family of masks that remove the weights of `graph` in ascending order of score;
    /// `sharing` divides them among the layers.
    pub fn new(graph: &Graph, sharing: Sharing, scores: &[Vec<f64>]) -> Self {
        let elements = |(tensor, scores): (usize, &Vec<f64>)| {
            (0..scores.len()).map(move |element| (tensor, element))
        };
        let mut removal: Vec<(usize, usize)> =
            scores.iter().enumerate().flat_map(elements).collect();
        removal.reverse();
        // The sort is stable, so equal scores keep the reversed order.
        removal.sort_by(|a, b| scores[a.0][a.1].partial_cmp(&scores[b.0][b.1]).unwrap());
        Self {
            graph: graph.clone(),
            tensors: graph.prunable(),
            sharing,
            removal,
        }
    }

    /// Returns the number of prunable weights.
    pub fn total(&self) -> usize {
        self.removal.len()
    }

    /// Returns how many weights each layer loses when `k` are removed, or `None` if the quota does
    /// not allow that `k`.
    pub fn removed(&self, k: usize) -> Option<Vec<usize>> {
        if self.sharing != Sharing::Global {
            return sharing::removed(self.sharing, &self.tensors, k);
        }
        let mut removed = vec![0; self.tensors.len()];
        for &(tensor, _) in &self.removal[..k] {
            removed[tensor] += 1;
        }
        Some(removed)
    }

    /// Finds the range of `k` that the quota allows, by bisection. Returns `None` if the quota
    /// allows neither removing nothing nor removing everything.
    pub fn valid(&self) -> Option<RangeInclusive<usize>> {
        let total = self.total();
        let is_valid = |k: usize| self.removed(k).is_some();
        // Finds the first of `0..end` for which `holds` returns true, or else `end`; `holds` must
        // return true for all later ones, too.
        let first = |end: usize, holds: &dyn Fn(usize) -> bool| {
            let (mut low, mut high) = (0, end);
            while low < high {
                let middle = (low + high) / 2;
                if holds(middle) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            low
        };
        match (is_valid(0), is_valid(total)) {
            (true, true) => Some(0..=total),
            (true, false) => Some(0..=first(total, &|k| !is_valid(k)) - 1),
            (false, true) => Some(first(total, &is_valid)..=total),
            (false, false) => None,
        }
    }

    /// Returns the mask that removes `k` weights.
    ///
    /// # Panics
    /// Panics if the quota does not allow that `k`.
    pub fn mask(&self, k: usize) -> PerLayer<bool> {
        let mut left = self.removed(k).expect("the quota allows it");
        let mut mask: PerLayer<bool> = self.tensors.iter().map(|t| vec![true; t.len()]).collect();
        for &(tensor, element) in &self.removal {
            if left[tensor] > 0 {
                left[tensor] -= 1;
                mask[tensor][element] = false;
            }
        }
        mask
    }

    /// Returns the effective weights of the mask that removes `k` weights.
    pub fn effective(&self, k: usize) -> PerLayer<bool> {
        effective(&self.graph, &self.mask(k), Mode::Exact)
    }

    /// Finds the largest valid `k` whose mask leaves at least `1 / compression` of all weights
    /// effective, or the smallest valid `k` if no mask does. Every `k` above the valid range counts
    /// as too sparse.
    pub fn search(&self, compression: f64) -> usize {
        let wanted = wanted(self.total(), compression);
        let valid = self.valid().expect("some budget is valid");
        let (mut low, mut high) = (*valid.start(), valid.end() + 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if count(&self.effective(middle)) >= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}
