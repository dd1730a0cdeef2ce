//! Orderings: the budget at which each connection is let in.
//!
//! An ordering is what a pruner is: at budget `b` (a number of connections, 1 to N) it lets in
//! every connection with birth at most `b`. Budgets are nested, so one ordering holds the masks
//! of every compression at once.

use super::quota::{self, Quota};
use super::score::Scores;
use super::{Masks, PruneError};
use crate::graph::Prunable;

/// How many weights direct pruning removes from a layer, from the fraction to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Half to even, as layer-wise magnitude pruning of the paper's code does.
    HalfToEven,
    /// Towards zero, as its random pruning does.
    Truncate,
}

/// The order in which a pruner lets connections in.
#[derive(Debug, Clone)]
pub struct Ordering {
    tensors: Vec<Prunable>,
    births: Vec<Vec<u32>>,
    layers: Option<Layers>,
}

/// What layer-wise orderings need beyond births for direct pruning.
#[derive(Debug, Clone)]
struct Layers {
    /// The place of each connection inside its layer, from 0.
    ranks: Vec<Vec<u32>>,
    quota: Quota,
    rounding: Rounding,
}

impl Ordering {
    /// The order of descending `scores` over the whole network, ties by flat index: at budget `b`
    /// exactly `b` connections are in.
    ///
    /// # Errors
    /// When a score is not finite.
    pub fn global(tensors: &[Prunable], scores: &Scores) -> Result<Self, PruneError> {
        check_finite(tensors, scores)?;
        let flat: Vec<f64> = scores.iter().flatten().copied().collect();
        let mut places = ranks(&flat).into_iter().map(|rank| rank + 1);
        let births = scores
            .iter()
            .map(|tensor| places.by_ref().take(tensor.len()).collect());
        Ok(Self {
            tensors: tensors.to_vec(),
            births: births.collect(),
            layers: None,
        })
    }

    /// The order of descending `scores` inside each layer, the layers sharing each budget by
    /// `quota`; `rounding` says how direct pruning rounds.
    ///
    /// # Errors
    /// When a score is not finite.
    pub fn by_quota(
        tensors: &[Prunable],
        scores: &Scores,
        quota: Quota,
        rounding: Rounding,
    ) -> Result<Self, PruneError> {
        check_finite(tensors, scores)?;
        let ranks: Vec<Vec<u32>> = scores.iter().map(|tensor| ranks(tensor)).collect();
        let by_rank = quota.births(&sizes(tensors));
        let births = ranks
            .iter()
            .zip(by_rank)
            .map(|(ranks, by_rank)| ranks.iter().map(|&rank| by_rank[rank as usize]).collect());
        let births = births.collect();
        let layers = Some(Layers {
            ranks,
            quota,
            rounding,
        });
        Ok(Self {
            tensors: tensors.to_vec(),
            births,
            layers,
        })
    }

    /// The tensors that are ordered.
    pub fn tensors(&self) -> &[Prunable] {
        &self.tensors
    }

    /// The birth of every connection, a budget from 1 to N, in the tensors' layouts.
    pub fn births(&self) -> &[Vec<u32>] {
        &self.births
    }

    /// The number of connections, N.
    pub fn total(&self) -> usize {
        self.births.iter().map(Vec::len).sum()
    }

    /// What budget `budget` lets in.
    pub fn prefix(&self, budget: u32) -> Masks {
        Masks::from_fn(&self.tensors, |tensor, element| {
            self.births[tensor][element] <= budget
        })
    }

    /// The mask of direct pruning to `compression`, with the paper's rounding: a global order
    /// loses `int(s N)` connections, a layer `s_l n_l` rounded (s the sparsity, `1 - 1/c`).
    pub fn direct(&self, compression: f64) -> Masks {
        let sparsity = 1.0 - 1.0 / compression;
        let Some(Layers {
            ranks,
            quota,
            rounding,
        }) = &self.layers
        else {
            let total = self.total();
            return self.prefix((total - (sparsity * total as f64) as usize) as u32);
        };
        let sizes = sizes(&self.tensors);
        let densities = quota.densities(&sizes, 1.0 - sparsity);
        let kept: Vec<usize> = sizes
            .iter()
            .zip(densities)
            .map(|(&size, density)| match rounding {
                Rounding::HalfToEven => quota::kept(size, density),
                Rounding::Truncate => size - ((1.0 - density) * size as f64) as usize,
            })
            .collect();
        Masks::from_fn(&self.tensors, |tensor, element| {
            (ranks[tensor][element] as usize) < kept[tensor]
        })
    }
}

/// The number of weights of each tensor.
fn sizes(tensors: &[Prunable]) -> Vec<usize> {
    tensors.iter().map(Prunable::len).collect()
}

/// The place of each element by descending score, ties by index.
fn ranks(scores: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        scores[b as usize]
            .total_cmp(&scores[a as usize])
            .then(a.cmp(&b))
    });
    let mut ranks = vec![0; scores.len()];
    for (rank, element) in order.into_iter().enumerate() {
        ranks[element as usize] = rank as u32;
    }
    ranks
}

/// Refuses scores that are NaN or infinite, naming the first.
fn check_finite(tensors: &[Prunable], scores: &Scores) -> Result<(), PruneError> {
    for (tensor, scores) in tensors.iter().zip(scores) {
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            let value = scores[index];
            return Err(PruneError::NotFinite {
                tensor: tensor.name.clone(),
                index,
                value,
            });
        }
    }
    Ok(())
}
