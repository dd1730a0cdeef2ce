//! Orderings of connections by birth.
//!
//! Every pruner is an ordering: its mask at budget `b`, a number of connections from 1 to N, holds
//! every connection whose birth is at most `b`. Masks of growing budgets are nested, so one
//! ordering stands for the masks of all compressions. Births are computed only up to a given
//! budget: pruning to a compression of 100 ranks one connection in a hundred.

use std::ops::RangeInclusive;

use super::compression::Compression;
use super::error::PruneError;
use super::paths::Connection;
use super::quota::{self, Quota};
use super::ranking;
use super::score::Scores;
use super::source::Limits;
use crate::graph::Prunable;
use crate::masks::Masks;

/// The rounding of the number of weights that direct pruning removes from a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Half to even: layer-wise magnitude pruning in the paper's code.
    HalfToEven,
    /// Toward zero: random pruning in the paper's code.
    Truncate,
}

/// The order in which connections enter a pruner's masks as the budget grows.
#[derive(Debug, Clone)]
pub struct Ordering {
    tensors: Vec<Prunable>,
    scores: Scores,
    /// The quota of the layers and its rounding; `None` for one order over the whole network.
    quota: Option<(Quota, Rounding)>,
    /// The connections that compete; `None` for all.
    within: Option<Masks>,
    /// Per tensor, whether it is kept whole.
    dense: Vec<bool>,
}

impl Ordering {
    /// Creates the order of descending `scores` over the whole network. Ties go to the lower
    /// tensor and flat index, so the mask at budget `b` has exactly `b` connections.
    ///
    /// # Errors
    /// Returns an error if a score is not finite.
    pub fn global(tensors: &[Prunable], scores: Scores) -> Result<Self, PruneError> {
        Self::new(tensors, scores, None)
    }

    /// Creates the order of descending `scores` within each layer, where `quota` divides each
    /// budget among the layers. `rounding` applies only to [direct pruning](Self::direct).
    ///
    /// # Errors
    /// Returns an error if a score is not finite, or if the quota does not apply to the network.
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
            within: None,
            dense: vec![false; tensors.len()],
        })
    }

    /// Restricts the order to `limits`. Tensors that are kept whole come first; connections that
    /// do not compete are in no mask.
    #[must_use]
    pub(super) fn limited(mut self, limits: Limits<'_>) -> Self {
        if let Some(within) = limits.within {
            for (scores, mask) in self.scores.iter_mut().zip(within.iter()) {
                let pruned = scores
                    .iter_mut()
                    .zip(&mask.keep)
                    .filter(|(_, keep)| !**keep);
                pruned.for_each(|(score, _)| *score = f64::MIN);
            }
            self.within = Some(within.clone());
        }
        for &tensor in limits.dense {
            let kept = self.scores[tensor].iter_mut();
            kept.filter(|score| **score > f64::MIN)
                .for_each(|score| *score = f64::MAX);
            self.dense[tensor] = true;
        }
        self
    }

    /// Checks whether the connection `element` of `tensor` competes.
    fn competes(&self, tensor: usize, element: u32) -> bool {
        let within = self.within.as_ref();
        within.is_none_or(|masks| masks.get(tensor).keep[element as usize])
    }

    /// Returns the births of every tensor by `quota`, up to `budget`. A tensor that is kept whole
    /// is born at the lowest budget.
    fn births(&self, quota: Quota, budget: u32) -> Vec<Vec<u32>> {
        let mut births = quota.births(&self.tensors, budget);
        let least = *self.budgets().start();
        for (tensor, births) in births.iter_mut().enumerate() {
            if self.dense[tensor] {
                *births = vec![least; self.scores[tensor].len()];
            }
        }
        births
    }

    /// Returns the prunable tensors that are ordered.
    pub fn tensors(&self) -> &[Prunable] {
        &self.tensors
    }

    /// Returns the number of connections, N.
    pub fn total(&self) -> usize {
        self.scores.iter().map(Vec::len).sum()
    }

    /// Returns the scores, one list per tensor, row-major.
    pub(super) fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Returns the quota of the layers; `None` for one order over the whole network.
    pub fn quota(&self) -> Option<Quota> {
        self.quota.map(|(quota, _)| quota)
    }

    /// Returns the budgets at which the order is defined: those at which its quota is valid.
    pub fn budgets(&self) -> RangeInclusive<u32> {
        let all = 1..=self.total() as u32;
        match self.quota {
            Some((quota, _)) => quota.budgets(&self.tensors).unwrap_or(all),
            None => all,
        }
    }

    /// Returns the connections in the mask at `budget` (1 to N) with their births: one list per
    /// tensor, ascending by element.
    pub fn first(&self, budget: u32) -> Vec<Vec<Connection<u32>>> {
        let born = |(element, birth): (u32, u32)| Connection {
            element,
            value: birth,
        };
        let Some((quota, _)) = self.quota else {
            let highest = ranking::highest(&slices(&self.scores), budget as usize);
            let layers = highest.into_iter().enumerate().map(|(tensor, layer)| {
                let connections = layer.into_iter();
                connections
                    .filter(|&(element, _)| self.competes(tensor, element))
                    .map(|(element, rank)| born((element, rank + 1)))
                    .collect()
            });
            return layers.collect();
        };
        let births = self.births(quota, budget);
        let layers = self.scores.iter().zip(births).enumerate();
        let layers = layers.map(|(tensor, (scores, births))| {
            let highest = ranking::highest(&[scores], births.len()).remove(0);
            let connections = highest.into_iter();
            connections
                .filter(|&(element, _)| self.competes(tensor, element))
                .map(|(element, rank)| born((element, births[rank as usize])))
                .collect()
        });
        layers.collect()
    }

    /// Returns the mask at `budget` (1 to N).
    pub fn prefix(&self, budget: u32) -> Masks {
        match self.quota {
            None => self.masks(ranking::above(&slices(&self.scores), budget as usize)),
            Some((quota, _)) => {
                let births = self.births(quota, budget);
                let kept: Vec<usize> = births.iter().map(Vec::len).collect();
                self.keeping(&kept)
            }
        }
    }

    /// Returns the mask of direct pruning to `compression`, rounded as in the paper's code: at
    /// sparsity `s = 1 - 1/compression`, a global order removes `int(s N)` connections, and a
    /// quota removes `s_l n_l` of the `n_l` weights of layer `l`, rounded. If a quota's order
    /// keeps tensors whole, the mask is that of the lowest budget at which at least `N - int(s N)`
    /// connections are kept.
    ///
    /// # Errors
    /// Returns an error if the quota is not valid at this compression.
    pub fn direct(&self, compression: Compression) -> Result<Masks, PruneError> {
        let sparsity = compression.sparsity();
        let Some((quota, rounding)) = self.quota else {
            let total = self.total();
            return Ok(self.prefix((total - (sparsity * total as f64) as usize) as u32));
        };
        let shares = shares(&self.tensors, quota, rounding, sparsity)?;
        if !self.dense.contains(&true) {
            return Ok(self.keeping(&shares));
        }
        let wanted = self.total() - (sparsity * self.total() as f64) as usize;
        let (mut low, mut high) = self.budgets().into_inner();
        while low < high {
            let middle = low + (high - low) / 2;
            let kept: usize = self.births(quota, middle).iter().map(Vec::len).sum();
            match kept < wanted {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(self.prefix(low))
    }

    /// Returns the mask that keeps the `kept[l]` highest scores of each layer `l`.
    pub fn keeping(&self, kept: &[usize]) -> Masks {
        let layers = self.scores.iter().zip(kept);
        self.masks(layers.map(|(scores, &kept)| ranking::above(&[scores], kept).remove(0)))
    }

    /// Returns the masks that keep those of the `chosen` elements of each layer that compete.
    fn masks(&self, chosen: impl IntoIterator<Item = Vec<u32>>) -> Masks {
        let elements = chosen.into_iter().enumerate().map(|(tensor, layer)| {
            let competing = layer.into_iter();
            competing
                .filter(move |&element| self.competes(tensor, element))
                .map(|element| element as usize)
        });
        Masks::of(&self.tensors, elements)
    }
}

/// Returns the number of weights of each tensor that direct pruning by `quota` keeps at the
/// overall `sparsity`.
///
/// # Errors
/// Returns an error if the quota is not valid at this sparsity.
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

/// Returns the scores of each tensor as a slice.
fn slices(scores: &Scores) -> Vec<&[f64]> {
    scores.iter().map(Vec::as_slice).collect()
}

/// Checks that no score is NaN or infinite.
///
/// # Errors
/// Returns an error that names the first such score.
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
