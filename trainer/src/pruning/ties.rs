//! Connections that a score does not tell apart.
//!
//! Of equal scores the lower index goes first, which is repeatable and means nothing. A few ties do
//! no harm; where all weights are zero, or so small that scores vanish, nothing else decides.

use super::{Masks, Ordering, PruneError};

/// Checks that `scores` are not all the same.
///
/// # Errors
/// When they are, and there is more than one; `pruner` is whose they are.
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

/// How many of the connections that `masks` keep have the same score as one that they do not, of the
/// same layer where the order goes by layers.
pub(super) fn kept_by_index(ordering: &Ordering, masks: &Masks) -> usize {
    let layers: Vec<(&[f64], &[bool])> = (ordering.scores().iter().zip(masks.iter()))
        .map(|(scores, mask)| (scores.as_slice(), mask.keep.as_slice()))
        .collect();
    match ordering.quota() {
        None => tied(&layers),
        Some(_) => layers.iter().map(|&layer| tied(&[layer])).sum(),
    }
}

/// The same of `layers`, scores and what is kept, that are one order.
fn tied(layers: &[(&[f64], &[bool])]) -> usize {
    let all = || {
        let layers = layers.iter();
        layers.flat_map(|(scores, keep)| scores.iter().copied().zip(keep.iter().copied()))
    };
    let kept = || all().filter(|&(_, keep)| keep).map(|(score, _)| score);
    let least = kept().fold(f64::INFINITY, f64::min);
    match all().any(|(score, keep)| !keep && score == least) {
        true => kept().filter(|&score| score == least).count(),
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
    fn what_is_kept_by_its_place_is_counted() {
        let tensors = multilayer("toy", [1, 1, 4], &[2, 2]).unwrap().prunable();
        let scores = vec![
            vec![3.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
            vec![9.0, 2.0, 1.0, 7.0],
        ];
        let global = Ordering::global(&tensors, scores.clone()).unwrap();
        // 9, 7, 3, 2, then five of 1, then three of 0.
        for (budget, tied) in [(3, 0), (4, 0), (5, 1), (8, 4), (9, 0), (10, 1), (12, 0)] {
            assert_eq!(kept_by_index(&global, &global.prefix(budget)), tied);
        }
        let uniform = Ordering::by_quota(&tensors, scores, Quota::Uniform, Rounding::HalfToEven);
        let uniform = uniform.unwrap();
        // Four of the first layer, of them three of the four ones; two of the second.
        let half = uniform.keeping(&[4, 2]);
        assert_eq!(kept_by_index(&uniform, &half), 3);
    }

    #[test]
    fn scores_that_are_all_the_same_are_refused() {
        let refused = |scores: &[f64]| check("lamp", scores.iter().copied()).is_err();
        assert!(refused(&[0.0, -0.0, 0.0]) && refused(&[2.5, 2.5]));
        assert!(!refused(&[0.0, 0.0, 1e-320]) && !refused(&[1.0]) && !refused(&[]));
    }
}
