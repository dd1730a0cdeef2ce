//! Detects ties: connections of equal score.
//!
//! Ties go to the lower index, which is deterministic but arbitrary. A few are harmless. If all
//! weights are zero, or so small that their scores underflow, the index alone decides.

use super::error::PruneError;
use super::ordering::Ordering;
use crate::masks::Masks;

/// Checks that the `scores` of `pruner` are not all equal.
///
/// # Errors
/// Returns an error if they are, unless there is at most one.
pub(super) fn check(pruner: &str, scores: impl IntoIterator<Item = f64>) -> Result<(), PruneError> {
    let mut scores = scores.into_iter();
    let (Some(value), Some(second)) = (scores.next(), scores.next()) else {
        return Ok(());
    };
    if second != value || scores.any(|score| score != value) {
        return Ok(());
    }
    Err(PruneError::AllTied {
        pruner: pruner.into(),
        value,
    })
}

/// Returns the number of connections that `masks` keep only by their index: their score equals
/// that of a pruned connection, of the same layer if `ordering` has a quota.
pub(super) fn kept_by_index(ordering: &Ordering, masks: &Masks) -> usize {
    let layers: Vec<(&[f64], &[bool])> = (ordering.scores().iter().zip(masks.iter()))
        .map(|(scores, mask)| (scores.as_slice(), mask.keep.as_slice()))
        .collect();
    match ordering.quota() {
        None => tied(&layers),
        Some(_) => layers.iter().map(|&layer| tied(&[layer])).sum(),
    }
}

/// Returns the number of connections that are kept only because ties go to the lower index.
/// `layers` are pairs of scores and mask, ranked together.
fn tied(layers: &[(&[f64], &[bool])]) -> usize {
    let all = || {
        let layers = layers.iter();
        layers.flat_map(|(scores, keep)| scores.iter().copied().zip(keep.iter().copied()))
    };
    let kept = || all().filter(|&(_, keep)| keep).map(|(score, _)| score);
    let lowest = kept().fold(f64::INFINITY, f64::min);
    match all().any(|(score, keep)| !keep && score == lowest) {
        true => kept().filter(|&score| score == lowest).count(),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::pruning::ordering::Rounding;
    use crate::pruning::quota::Quota;

    #[test]
    fn counts_connections_kept_only_by_index() {
        let tensors = multilayer("toy", [1, 1, 4], &[2, 2]).unwrap().prunable();
        let scores = vec![
            vec![3.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
            vec![9.0, 2.0, 1.0, 7.0],
        ];
        let global = Ordering::global(&tensors, scores.clone()).unwrap();
        // In order: 9, 7, 3, 2, five times 1, three times 0.
        for (budget, tied) in [(3, 0), (4, 0), (5, 1), (8, 4), (9, 0), (10, 1), (12, 0)] {
            assert_eq!(kept_by_index(&global, &global.prefix(budget)), tied);
        }
        let uniform = Ordering::by_quota(&tensors, scores, Quota::Uniform, Rounding::HalfToEven);
        let uniform = uniform.unwrap();
        // The first layer keeps 3 and three of its four ones, the second 9 and 7.
        let half = uniform.keeping(&[4, 2]);
        assert_eq!(kept_by_index(&uniform, &half), 3);
    }

    #[test]
    fn rejects_scores_that_are_all_equal() {
        let is_rejected = |scores: &[f64]| check("lamp", scores.iter().copied()).is_err();
        assert!(is_rejected(&[0.0, -0.0, 0.0]) && is_rejected(&[2.5, 2.5]));
        assert!(!is_rejected(&[0.0, 0.0, 1e-320]) && !is_rejected(&[1.0]) && !is_rejected(&[]));
    }
}
