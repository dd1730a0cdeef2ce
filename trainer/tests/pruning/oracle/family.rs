//! The nested masks of a pruner, and effective pruning by bisection over them, as in the paper's
//! code.

use std::ops::RangeInclusive;

use rarefy_trainer::graph::{Graph, Prunable};
use rarefy_trainer::pruning::effective::Mode;

use super::{PerLayer, Sharing, count, effective, sharing, wanted};

/// The masks of a pruner, by the number `k` of weights removed.
pub(crate) struct Family {
    graph: Graph,
    tensors: Vec<Prunable>,
    sharing: Sharing,
    /// (tensor, element) in the order of removal: ascending by score, and of equal scores the
    /// highest index first.
    removal: Vec<(usize, usize)>,
}

impl Family {
    /// Returns the family of `scores` that share removals by `sharing`.
    pub(crate) fn new(graph: &Graph, sharing: Sharing, scores: &[Vec<f64>]) -> Self {
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

    /// Returns the number of weights, N.
    pub(crate) fn total(&self) -> usize {
        self.removal.len()
    }

    /// Returns the number of weights that each layer loses if `k` are removed in total; none if
    /// the quota is not valid there.
    pub(crate) fn removed(&self, k: usize) -> Option<Vec<usize>> {
        if self.sharing != Sharing::Global {
            return sharing::removed(self.sharing, &self.tensors, k);
        }
        let mut removed = vec![0; self.tensors.len()];
        for &(tensor, _) in &self.removal[..k] {
            removed[tensor] += 1;
        }
        Some(removed)
    }

    /// Returns the range of `k` at which the quota is valid, by bisection; none if there is none.
    pub(crate) fn valid(&self) -> Option<RangeInclusive<usize>> {
        let total = self.total();
        let is_valid = |k: usize| self.removed(k).is_some();
        // Finds the first of `0..end` for which `holds` is true; it is true for all after it.
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

    /// Returns the mask without `k` weights, at which the quota must be valid.
    pub(crate) fn mask(&self, k: usize) -> PerLayer<bool> {
        let mut left = self.removed(k).expect("the quota is valid");
        let mut mask: PerLayer<bool> = self.tensors.iter().map(|t| vec![true; t.len()]).collect();
        for &(tensor, element) in &self.removal {
            if left[tensor] > 0 {
                left[tensor] -= 1;
                mask[tensor][element] = false;
            }
        }
        mask
    }

    /// Returns the effective mask of the mask without `k` weights.
    pub(crate) fn effective(&self, k: usize) -> PerLayer<bool> {
        effective(&self.graph, &self.mask(k), Mode::Exact)
    }

    /// Returns the largest valid `k` whose mask has at least N / `compression` effective weights,
    /// or the smallest valid `k` if none has. Masks beyond the valid range count as too sparse.
    pub(crate) fn search(&self, compression: f64) -> usize {
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
