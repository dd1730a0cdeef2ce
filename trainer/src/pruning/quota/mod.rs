//! Quotas: the density of each layer at an overall density (paper, section 4).
//!
//! A quota has three aspects:
//! - [`Quota::densities`]: the density of each layer at an overall density;
//! - [`Quota::budgets`]: the budgets, in connections, at which the quota is valid;
//! - [`Quota::births`]: the smallest budget at which a layer keeps more than `r` connections.
//!
//! Counts are rounded as in the paper's code: a layer of `n` weights at density `d` loses
//! `(1 - d) n` of them, rounded half to even.
//!
//! All quotas here are monotone: no layer shrinks as the budget grows, so the masks of growing
//! budgets are nested. The module of each quota says why. A quota that is not monotone has no
//! births.

pub mod erk;
pub mod erk_rigl;
pub mod igq;
pub mod uniform;
pub mod uniform_plus;

use std::ops::RangeInclusive;

use super::error::PruneError;
use super::hundredths;
use crate::graph::Prunable;

/// The rounding error allowed for densities below 0 or above 1.
const TOLERANCE: f64 = 1e-12;

/// A named quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The same density in every layer.
    Uniform,
    /// The same density, except for a dense first layer and a last layer that keeps at least a
    /// fifth.
    UniformPlus,
    /// Connections in proportion to the sum of the layer's dimensions.
    Erk,
    /// The same, except that layers whose density would exceed 1 are dense, as in RigL.
    ErkRigl,
    /// Ideal gas: one force compresses all layers.
    Igq,
}

impl Quota {
    /// All quotas.
    pub const ALL: [Quota; 5] = [
        Quota::Uniform,
        Quota::UniformPlus,
        Quota::Erk,
        Quota::ErkRigl,
        Quota::Igq,
    ];

    /// Returns the quota's name.
    pub fn name(self) -> &'static str {
        match self {
            Quota::Uniform => "uniform",
            Quota::UniformPlus => "uniform+",
            Quota::Erk => "erk",
            Quota::ErkRigl => "erk-rigl",
            Quota::Igq => "igq",
        }
    }

    /// Returns the quota called `name`.
    ///
    /// # Errors
    /// Returns an error that lists all quotas if there is none of that name.
    pub fn by_name(name: &str) -> Result<Self, PruneError> {
        Self::ALL
            .into_iter()
            .find(|quota| quota.name() == name)
            .ok_or_else(|| PruneError::UnknownQuota {
                name: name.into(),
                known: Self::ALL.map(Self::name).to_vec(),
            })
    }

    /// Returns the density of each of `tensors` at the overall `density`, in (0, 1].
    ///
    /// # Errors
    /// Returns an error if the quota does not apply to the network, or if the density of a layer
    /// is below 0 or above 1. The latter error names the layer and the compressions at which the
    /// quota is valid.
    pub fn densities(self, tensors: &[Prunable], density: f64) -> Result<Vec<f64>, PruneError> {
        let mut densities = self.shares(tensors, density)?;
        if let Some(layer) = densities.iter().position(|&density| !is_valid(density)) {
            let (least, most) = self.compressions(tensors)?;
            return Err(PruneError::InvalidQuota {
                quota: self.name(),
                compression: 1.0 / density,
                tensor: tensors[layer].name.clone(),
                share: 100.0 * densities[layer],
                least,
                most,
            });
        }
        for density in &mut densities {
            *density = density.clamp(0.0, 1.0);
        }
        Ok(densities)
    }

    /// Returns the lowest and the highest direct compression, with two decimals, at which the quota
    /// is valid. The highest leaves at least one connection.
    ///
    /// # Errors
    /// Returns an error if the quota does not apply to the network.
    fn compressions(self, tensors: &[Prunable]) -> Result<(f64, f64), PruneError> {
        let (start, end) = self.budgets(tensors)?.into_inner();
        let total = total(tensors) as f64;
        let hundredths = |budget: u32| 100.0 * total / f64::from(budget);
        let is_valid_at = |compression: f64| {
            let shares = self.shares(tensors, 1.0 / compression);
            shares.is_ok_and(|shares| shares.into_iter().all(is_valid))
        };
        let most = match start {
            1 => total,
            _ => hundredths::last(
                hundredths(start).floor() as u64,
                hundredths(start - 1).ceil() as u64,
                is_valid_at,
            ),
        };
        // The lowest valid compression is 0.01 above the last invalid one.
        let least = match end {
            end if f64::from(end) == total => 1.0,
            _ => {
                let low = hundredths(end + 1).floor() as u64;
                let high = hundredths(end).ceil() as u64;
                let last = hundredths::last(low, high, |compression| !is_valid_at(compression));
                ((100.0 * last).round() + 1.0) / 100.0
            }
        };
        Ok((least, most))
    }

    /// Returns the budgets, in connections, at which the quota is valid.
    ///
    /// # Errors
    /// Returns an error if the quota does not apply to the network.
    pub fn budgets(self, tensors: &[Prunable]) -> Result<RangeInclusive<u32>, PruneError> {
        let total = total(tensors);
        let valid = |budget: u32| -> Result<bool, PruneError> {
            let shares = self.shares(tensors, f64::from(budget) / total as f64)?;
            Ok(shares.into_iter().all(is_valid))
        };
        // Returns the last valid budget on the way from `good`, which is valid, to `bad`, which is
        // not.
        let edge = |mut good: u32, mut bad: u32| -> Result<u32, PruneError> {
            while good.abs_diff(bad) > 1 {
                let middle = good.midpoint(bad);
                *(if valid(middle)? { &mut good } else { &mut bad }) = middle;
            }
            Ok(good)
        };
        let (least, most) = (1, total as u32);
        // The quota is valid at one end at least, so at most one bound must be searched for.
        if !valid(least)? {
            return Ok(edge(most, least)?..=most);
        }
        if !valid(most)? {
            return Ok(least..=edge(least, most)?);
        }
        Ok(least..=most)
    }

    /// Returns, for each of `tensors` and each rank `r`, the smallest valid budget (in
    /// connections) at which the layer keeps more than `r` weights. Births above `budget` are left
    /// out, so a layer has as many births as it keeps weights at `budget`; they are ascending.
    pub fn births(self, tensors: &[Prunable], budget: u32) -> Vec<Vec<u32>> {
        let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
        match self {
            Quota::Uniform => uniform::births(&sizes, budget),
            Quota::Igq => igq::births(&sizes, budget),
            Quota::UniformPlus | Quota::Erk | Quota::ErkRigl => self.inverted(tensors, budget),
        }
    }

    /// Evaluates the quota's formula: the density of each layer, valid or not.
    fn shares(self, tensors: &[Prunable], density: f64) -> Result<Vec<f64>, PruneError> {
        match self {
            Quota::Uniform => Ok(uniform::densities(tensors.len(), density)),
            Quota::Igq => {
                let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
                Ok(igq::densities(&sizes, density))
            }
            Quota::Erk => Ok(erk::densities(tensors, density)),
            Quota::ErkRigl => Ok(erk_rigl::densities(tensors, density)),
            Quota::UniformPlus if uniform_plus::is_for(tensors) => {
                Ok(uniform_plus::densities(tensors, density))
            }
            Quota::UniformPlus => Err(PruneError::NoConvolution { quota: self.name() }),
        }
    }

    /// Computes births by numerically inverting the layer sizes as functions of the budget.
    fn inverted(self, tensors: &[Prunable], budget: u32) -> Vec<Vec<u32>> {
        let Ok(valid) = self.budgets(tensors) else {
            return vec![Vec::new(); tensors.len()];
        };
        let total = total(tensors) as f64;
        let range = *valid.start()..=budget.min(*valid.end());
        let births_of = |layer: usize| {
            let size_at = |budget: u32| {
                let shares = self.shares(tensors, f64::from(budget) / total);
                let share = shares.map_or(0.0, |shares| shares[layer].clamp(0.0, 1.0));
                kept(tensors[layer].len(), share)
            };
            inverse(size_at, range.clone())
        };
        (0..tensors.len()).map(births_of).collect()
    }
}

/// Returns, for each rank `r` below `size_at(budgets.end())`, the first of `budgets` at which the
/// layer size, `size_at(budget)`, exceeds `r`. Sizes must not decrease.
///
/// The search for a birth starts at the previous birth. Its first step is the last gap between
/// births.
fn inverse(size_at: impl Fn(u32) -> usize, budgets: RangeInclusive<u32>) -> Vec<u32> {
    let (first, last) = budgets.into_inner();
    let most = if last < first { 0 } else { size_at(last) };
    let (mut at, mut gap) = (first, 1);
    let mut births = Vec::new();
    for rank in 0..most {
        let mut low = at;
        if size_at(low) <= rank {
            let mut high = low.saturating_add(gap).min(last);
            while size_at(high) <= rank {
                low = high;
                high = high.saturating_add(gap).min(last);
                gap = gap.saturating_mul(2);
            }
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                *(if size_at(middle) > rank {
                    &mut high
                } else {
                    &mut low
                }) = middle;
            }
            gap = high - at;
            at = high;
        }
        births.push(at);
    }
    births
}

/// Checks whether `density` is between 0 and 1, up to rounding errors.
fn is_valid(density: f64) -> bool {
    (-TOLERANCE..=1.0 + TOLERANCE).contains(&density)
}

/// Returns the number of weights of all `tensors`, N.
fn total(tensors: &[Prunable]) -> usize {
    tensors.iter().map(Prunable::len).sum()
}

/// Returns the number of weights that a layer of `size` keeps at `density`:
/// `size - (1 - density) size`, where the number removed is rounded half to even.
pub fn kept(size: usize, density: f64) -> usize {
    let removed = (1.0 - density) * size as f64;
    // The rounding error of `density` must not decide a tie.
    let nearest = (2.0 * removed).round() / 2.0;
    let at_half = (removed - nearest).abs() < 1e-14 * size as f64;
    size - (if at_half { nearest } else { removed }).round_ties_even() as usize
}

/// Checks whether exactly `kept + 1/2` connections of a layer of `size` round up to `kept + 1`, as
/// they do if the number of removed connections is then even.
fn half_rounds_up(size: usize, kept: usize) -> bool {
    (size - kept - 1).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENET: [usize; 3] = [235_200, 30_000, 1_000];

    /// Returns tensors of the given shapes.
    pub(super) fn tensors(shapes: &[&[usize]]) -> Vec<Prunable> {
        let of = |(node, shape): (usize, &&[usize])| Prunable {
            name: format!("layer{node}.weight"),
            shape: shape.to_vec(),
            node,
        };
        shapes.iter().enumerate().map(of).collect()
    }

    /// Computes births by their definition, one budget after another.
    fn naive_births(quota: Quota, tensors: &[Prunable], most: u32) -> Vec<Vec<u32>> {
        let total = total(tensors) as f64;
        let mut births: Vec<Vec<u32>> = vec![Vec::new(); tensors.len()];
        let valid = quota.budgets(tensors).unwrap();
        for budget in *valid.start()..=most.min(*valid.end()) {
            let densities = quota.densities(tensors, f64::from(budget) / total).unwrap();
            for ((born, tensor), density) in births.iter_mut().zip(tensors).zip(densities) {
                let size = kept(tensor.len(), density);
                assert!(size >= born.len(), "{} is not monotone", quota.name());
                born.resize(size, budget);
            }
        }
        births
    }

    #[test]
    fn births_are_the_smallest_budgets_by_definition() {
        for shapes in [
            &[&[3, 2][..], &[2, 2], &[2, 1]][..],
            &[&[10, 5], &[7, 1], &[6, 5], &[1, 1]],
            &[&[4, 1, 3, 3], &[6, 4, 3, 3], &[20, 24], &[10, 20]],
            &[&[3, 1, 5, 5], &[2, 3, 1, 1], &[4, 50]],
            &[&[84, 56], &[30, 20], &[8, 5]],
        ] {
            let tensors = tensors(shapes);
            let total = total(&tensors);
            for quota in Quota::ALL {
                if quota.budgets(&tensors).is_err() {
                    continue;
                }
                for most in [total, total / 3, total / 20 + 1, 1] {
                    let found = quota.births(&tensors, most as u32);
                    let expected = naive_births(quota, &tensors, most as u32);
                    for ((found, expected), tensor) in found.iter().zip(&expected).zip(&tensors) {
                        let label = format!("{} {shapes:?} to {most}", quota.name());
                        assert!(found.is_sorted(), "{label}");
                        // At an exact tie, (1 - d) n falls on either side in floating point,
                        // whereas the closed form decides in integers: they differ by one budget
                        // at most.
                        let tie = |rank: usize| {
                            (total * (2 * rank + 1)).is_multiple_of(2 * tensor.len())
                                && quota == Quota::Uniform
                        };
                        let ranks = found.len().max(expected.len());
                        for rank in 0..ranks {
                            let found = found.get(rank).copied().unwrap_or(most as u32 + 1);
                            let expected = expected.get(rank).copied().unwrap_or(most as u32 + 1);
                            assert!(
                                found.abs_diff(expected) <= u32::from(tie(rank)),
                                "{label}: rank {rank} is born at {found}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn igq_has_the_published_densities() {
        let tensors = tensors(&[&[300, 784], &[100, 300], &[10, 100]]);
        for (compression, expected) in [
            (10.0, [0.0644, 0.3507, 0.9419]),
            (100.0, [0.00462, 0.0351, 0.5218]),
            (1000.0, [3.89e-4, 0.00304, 0.0839]),
        ] {
            let densities = Quota::Igq.densities(&tensors, 1.0 / compression).unwrap();
            for (density, expected) in densities.iter().zip(expected) {
                assert!(
                    (density / expected - 1.0).abs() < 2e-3,
                    "{compression}: {densities:?}"
                );
            }
            let sum: f64 = densities.iter().zip(LENET).map(|(d, n)| d * n as f64).sum();
            assert!((sum - 266_200.0 / compression).abs() < 1e-6, "{sum}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_quota_names_layer_and_valid_range() {
        let convolutions = tensors(&[&[6, 3, 5, 5], &[16, 6, 5, 5], &[120, 400], &[10, 120]]);
        let error = Quota::Erk.densities(&convolutions, 0.9).unwrap_err();
        assert!(error.to_string().contains("layer0.weight"), "{error}");
        let valid = Quota::Erk.budgets(&convolutions).unwrap();
        let total = total(&convolutions) as f64;
        let at = |budget: u32| Quota::Erk.densities(&convolutions, f64::from(budget) / total);
        assert!(at(*valid.end()).is_ok() && at(valid.end() + 1).is_err());
        let dense = tensors(&[&[300, 784], &[100, 300], &[10, 100]]);
        let error = Quota::UniformPlus.densities(&dense, 0.1).unwrap_err();
        assert!(error.to_string().contains("convolution"), "{error}");
    }

    #[test]
    fn the_error_for_an_unknown_quota_suggests_a_known_one() {
        let error = Quota::by_name("igp").unwrap_err();
        assert!(error.to_string().contains("did you mean igq?"), "{error}");
    }
}
