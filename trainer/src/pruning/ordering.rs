//! Orderings: the budget at which each connection is let in.
//!
//! An ordering is what a pruner is: at budget `b` (a number of connections, 1 to N) it lets in
//! every connection with birth at most `b`. Budgets are nested, so one ordering holds the masks
//! of every compression at once. Births are worked out up to a budget and no further: pruning to a
//! hundredth ranks a hundredth of the connections.

use std::ops::RangeInclusive;

use super::quota::{self, Quota};
use super::score::Scores;
use super::sweep::Connection;
use super::{Masks, PruneError, ranking};
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
    scores: Scores,
    /// How layers share a budget; none where one order goes over the whole network.
    quota: Option<(Quota, Rounding)>,
}

impl Ordering {
    /// The order of descending `scores` over the whole network, ties by flat index: at budget `b`
    /// exactly `b` connections are in.
    ///
    /// # Errors
    /// When a score is not finite.
    pub fn global(tensors: &[Prunable], scores: Scores) -> Result<Self, PruneError> {
        Self::new(tensors, scores, None)
    }

    /// The order of descending `scores` inside each layer, the layers sharing each budget by
    /// `quota`; `rounding` says how direct pruning rounds.
    ///
    /// # Errors
    /// When a score is not finite, or the quota is not for such a network.
    pub fn by_quota(
        tensors: &[Prunable],
        scores: Scores,
        quota: Quota,
        rounding: Rounding,
    ) -> Result<Self, PruneError> {
        quota.budgets(tensors)?;
        Self::new(tensors, scores, Some((quota, rounding)))
    }

    fn new(
        tensors: &[Prunable],
        scores: Scores,
        quota: Option<(Quota, Rounding)>,
    ) -> Result<Self, PruneError> {
        check_finite(tensors, &scores)?;
        Ok(Self {
            tensors: tensors.to_vec(),
            scores,
            quota,
        })
    }

    /// The tensors that are ordered.
    pub fn tensors(&self) -> &[Prunable] {
        &self.tensors
    }

    /// The number of connections, N.
    pub fn total(&self) -> usize {
        self.scores.iter().map(Vec::len).sum()
    }

    /// The scores, one list per tensor.
    pub(super) fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The quota by which layers share a budget, if any.
    pub fn quota(&self) -> Option<Quota> {
        self.quota.map(|(quota, _)| quota)
    }

    /// The budgets at which the order is defined: where its quota is valid.
    pub fn budgets(&self) -> RangeInclusive<u32> {
        let all = 1..=self.total() as u32;
        match self.quota {
            Some((quota, _)) => quota.budgets(&self.tensors).unwrap_or(all),
            None => all,
        }
    }

    /// The connections that `budget` lets in with their births, a budget from 1 to N; for each
    /// tensor, ascending by element.
    pub fn first(&self, budget: u32) -> Vec<Vec<Connection<u32>>> {
        let born = |(element, birth): (u32, u32)| Connection {
            element,
            value: birth,
        };
        let Some((quota, _)) = self.quota else {
            let highest = ranking::highest(&slices(&self.scores), budget as usize);
            let layers = highest.into_iter().map(|layer| {
                let connections = layer.into_iter();
                connections.map(|(element, rank)| born((element, rank + 1)))
            });
            return layers.map(Iterator::collect).collect();
        };
        let births = quota.births(&self.tensors, budget);
        let layers = self.scores.iter().zip(births).map(|(scores, births)| {
            let highest = ranking::highest(&[scores], births.len()).remove(0);
            let connections = highest.into_iter();
            connections
                .map(|(element, rank)| born((element, births[rank as usize])))
                .collect()
        });
        layers.collect()
    }

    /// What budget `budget` lets in.
    pub fn prefix(&self, budget: u32) -> Masks {
        match self.quota {
            None => self.masks(ranking::above(&slices(&self.scores), budget as usize)),
            Some((quota, _)) => {
                let births = quota.births(&self.tensors, budget);
                let kept: Vec<usize> = births.iter().map(Vec::len).collect();
                self.keeping(&kept)
            }
        }
    }

    /// The mask of direct pruning to `compression`, with the paper's rounding: a global order
    /// loses `int(s N)` connections, a layer `s_l n_l` rounded (s the sparsity, `1 - 1/c`).
    ///
    /// # Errors
    /// When the quota is not valid there.
    pub fn direct(&self, compression: f64) -> Result<Masks, PruneError> {
        let sparsity = 1.0 - 1.0 / compression;
        let Some((quota, rounding)) = self.quota else {
            let total = self.total();
            return Ok(self.prefix((total - (sparsity * total as f64) as usize) as u32));
        };
        Ok(self.keeping(&shares(&self.tensors, quota, rounding, sparsity)?))
    }

    /// The mask that keeps so many of each layer, those of the highest scores.
    pub fn keeping(&self, kept: &[usize]) -> Masks {
        let layers = self.scores.iter().zip(kept);
        self.masks(layers.map(|(scores, &kept)| ranking::above(&[scores], kept).remove(0)))
    }

    /// The masks of the chosen elements of each layer.
    fn masks(&self, chosen: impl IntoIterator<Item = Vec<u32>>) -> Masks {
        let elements = chosen
            .into_iter()
            .map(|layer| layer.into_iter().map(|element| element as usize));
        Masks::of(&self.tensors, elements)
    }
}

/// Returns how many weights of each tensor direct pruning keeps by `quota` at `sparsity`.
///
/// # Errors
/// When the quota is not valid there.
pub(super) fn shares(
    tensors: &[Prunable],
    quota: Quota,
    rounding: Rounding,
    sparsity: f64,
) -> Result<Vec<usize>, PruneError> {
    let densities = quota.densities(tensors, 1.0 - sparsity)?;
    let sizes = tensors.iter().map(Prunable::len);
    let kept = sizes.zip(densities).map(|(size, density)| match rounding {
        Rounding::HalfToEven => quota::kept(size, density),
        Rounding::Truncate => size - ((1.0 - density) * size as f64) as usize,
    });
    Ok(kept.collect())
}

/// The scores of each tensor as slices.
fn slices(scores: &Scores) -> Vec<&[f64]> {
    scores.iter().map(Vec::as_slice).collect()
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
