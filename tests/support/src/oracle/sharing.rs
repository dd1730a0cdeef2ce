//! Quotas in exact integers: how many weights each layer loses (paper, section 4, and its published
//! code).
//!
//! `k` of `N` weights are removed. Every quota except ideal gas is piecewise linear in `k`, so a
//! layer loses a rational number of weights, rounded half to even.

use rarefy_trainer::graph::Prunable;

use super::ideal_gas;

/// The division of the removed weights among layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One order over the whole network.
    Global,
    /// The same fraction of every layer.
    Uniform,
    /// Nothing of the first tensor, at most four fifths of the last, and the same fraction of each
    /// of the others.
    UniformPlus,
    /// Erdős–Rényi: weights are kept in proportion to the sum of the dimensions, and the surplus
    /// of a layer is passed to the one before it.
    Erk,
    /// Ideal gas: the same force acts on all layers.
    Igq,
}

/// Returns how many weights each of `tensors` loses when `k` are removed, or `None` if the quota
/// would take fewer than 0 or more than all weights of a layer, or does not suit the network.
///
/// # Panics
/// Panics for [`Sharing::Global`], which is not a quota.
pub fn removed(sharing: Sharing, tensors: &[Prunable], k: usize) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let total: usize = sizes.iter().sum();
    match sharing {
        Sharing::Global => panic!("a global order has no quota"),
        Sharing::Uniform => Some(sizes.iter().map(|n| half_to_even(k * n, total)).collect()),
        Sharing::UniformPlus => uniform_plus(tensors, &sizes, k),
        Sharing::Erk => erk(tensors, &sizes, k),
        Sharing::Igq => Some(ideal_gas::removed(&sizes, k)),
    }
}

/// Applies the quota uniform+.
///
/// If D weights follow the first tensor, all later layers lose the fraction `k / D` until a fifth
/// of the last layer remains. From then on the last layer, of `n_L` weights, stays as it is, and
/// those between first and last together lose `k - 4/5 n_L` weights.
fn uniform_plus(tensors: &[Prunable], sizes: &[usize], k: usize) -> Option<Vec<usize>> {
    if tensors[0].shape.len() < 3 {
        return None;
    }
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let total: usize = sizes.iter().sum();
    let (after, between) = (total - first, total - first - last);
    let is_capped = 5 * k > 4 * after;
    if is_capped && 5 * k > 5 * between + 4 * last {
        return None;
    }
    let of = |(place, &n): (usize, &usize)| {
        if place == 0 {
            0
        } else if !is_capped {
            half_to_even(n * k, after)
        } else if place + 1 == sizes.len() {
            half_to_even(4 * n, 5)
        } else {
            half_to_even(n * (5 * k - 4 * last), 5 * between)
        }
    };
    Some(sizes.iter().enumerate().map(of).collect())
}

/// Applies the quota ERK.
///
/// A layer keeps `(N - k) d / D` weights, where `d` is the sum of its dimensions and `D` the sum of
/// all layers' `d`. From the last layer to the first, a layer that would keep more than all of its
/// weights passes the surplus on to the layer before it.
fn erk(tensors: &[Prunable], sizes: &[usize], k: usize) -> Option<Vec<usize>> {
    let dimensions: Vec<usize> = tensors.iter().map(|t| t.shape.iter().sum()).collect();
    let all: usize = dimensions.iter().sum();
    let kept: usize = sizes.iter().sum::<usize>() - k;
    let mut removed = vec![0; sizes.len()];
    let mut surplus = 0_i128;
    for layer in (0..sizes.len()).rev() {
        let fraction =
            sizes[layer] as i128 * all as i128 - kept as i128 * dimensions[layer] as i128 + surplus;
        surplus = fraction.min(0);
        removed[layer] = half_to_even(fraction.max(0) as usize, all);
    }
    (surplus == 0).then_some(removed)
}

/// Divides two integers, rounding half to even.
pub fn half_to_even(numerator: usize, denominator: usize) -> usize {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

#[test]
fn quotas_match_hand_computed_cases() {
    let tensor = |shape: &[usize]| Prunable {
        name: "toy.weight".into(),
        shape: shape.to_vec(),
        node: 0,
    };
    assert_eq!([5, 7, 6].map(|n| half_to_even(n, 2)), [2, 4, 3]);

    // Layers of 2, 40, 20 and 10 weights: 35 of the last 70 are half of each of these layers.
    let plus = [[2, 1, 1, 1], [20, 2, 1, 1], [20, 1, 1, 1], [10, 1, 1, 1]].map(|s| tensor(&s));
    let at = |k| removed(Sharing::UniformPlus, &plus, k);
    assert_eq!(at(35).unwrap(), [0, 20, 10, 5]);
    assert_eq!(at(56).unwrap(), [0, 32, 16, 8]);
    // If 65 are removed, the last layer loses 8 of 10, and the others lose 38 of 40 and 19 of 20.
    assert_eq!(at(65).unwrap(), [0, 38, 19, 8]);
    assert_eq!(at(68).unwrap(), [0, 40, 20, 8]);
    assert_eq!(at(69), None);
    let dense = [[2, 3], [3, 1], [1, 1]].map(|s| tensor(&s));
    assert_eq!(removed(Sharing::UniformPlus, &dense, 3), None);

    // Layers of 60, 8 and 4 weights, with dimensions that sum to 16, 6 and 4. If 26 weights remain,
    // they keep 16, 6 and 4. If 39 remain, they would keep 24, 9 and 6: the last layer passes on 2,
    // and the second then 3.
    let erk = [[6, 10], [4, 2], [2, 2]].map(|s| tensor(&s));
    assert_eq!(removed(Sharing::Erk, &erk, 72 - 26).unwrap(), [44, 2, 0]);
    assert_eq!(removed(Sharing::Erk, &erk, 72 - 39).unwrap(), [33, 0, 0]);
    assert_eq!(removed(Sharing::Erk, &erk, 0).unwrap(), [0, 0, 0]);
    // In the reverse order, the first layer cannot take the surplus.
    let erk = [[2, 2], [4, 2], [6, 10]].map(|s| tensor(&s));
    assert_eq!(removed(Sharing::Erk, &erk, 72 - 26).unwrap(), [0, 2, 44]);
    assert_eq!(removed(Sharing::Erk, &erk, 72 - 27), None);
}
