//! Quotas: how an overall density is shared among the layers.
//!
//! A quota answers two questions: the density of each layer at an overall density
//! ([`Quota::densities`]), and, since budgets of the search are whole numbers of connections, the
//! smallest overall budget at which a layer holds more than `r` connections ([`Quota::births`]).
//! Counts are rounded as the paper's code rounds them: a layer of `n` weights at density `d` loses
//! `(1 - d) n` weights, rounded half to even. Both of today's quotas are monotone: as the budget
//! grows no layer shrinks, which is what makes the masks nested. A quota that redistributes (ERK,
//! uniform+) has to show that before it may offer births.

pub mod igq;
pub mod uniform;

use super::PruneError;

/// The quotas by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The same density everywhere.
    Uniform,
    /// Ideal gas: all layers under the same pressure.
    Igq,
}

impl Quota {
    /// All quotas.
    pub const ALL: [Quota; 2] = [Quota::Uniform, Quota::Igq];

    /// The quota's name.
    pub fn name(self) -> &'static str {
        match self {
            Quota::Uniform => "uniform",
            Quota::Igq => "igq",
        }
    }

    /// The quota called `name`.
    ///
    /// # Errors
    /// When there is none; the message lists those there are.
    pub fn by_name(name: &str) -> Result<Self, PruneError> {
        Self::ALL
            .into_iter()
            .find(|quota| quota.name() == name)
            .ok_or_else(|| PruneError::UnknownQuota {
                name: name.into(),
                known: Self::ALL.map(Quota::name).join(", "),
            })
    }

    /// The density of each layer, given the layers' `sizes` in weights and the overall `density`
    /// in (0, 1].
    pub fn densities(self, sizes: &[usize], density: f64) -> Vec<f64> {
        match self {
            Quota::Uniform => uniform::densities(sizes, density),
            Quota::Igq => igq::densities(sizes, density),
        }
    }

    /// For each layer and each `r` below its size, the smallest overall budget (in connections)
    /// at which the layer holds more than `r`: never falling within a layer, at most N.
    pub fn births(self, sizes: &[usize]) -> Vec<Vec<u32>> {
        match self {
            Quota::Uniform => uniform::births(sizes),
            Quota::Igq => igq::births(sizes),
        }
    }
}

/// How many weights a layer of `size` keeps at `density`: what is left after removing
/// `(1 - density) size`, rounded half to even.
pub fn kept(size: usize, density: f64) -> usize {
    size - ((1.0 - density) * size as f64).round_ties_even() as usize
}

/// Whether exactly `kept + 1/2` connections round to more than `kept` in a layer of `size`: the
/// number removed is rounded to even.
fn half_rounds_up(size: usize, kept: usize) -> bool {
    (size - kept - 1).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENET: [usize; 3] = [235_200, 30_000, 1_000];

    /// Births as the definition says, one budget at a time.
    fn naive_births(quota: Quota, sizes: &[usize]) -> Vec<Vec<u32>> {
        let total: usize = sizes.iter().sum();
        let mut births: Vec<Vec<u32>> = vec![Vec::new(); sizes.len()];
        for budget in 1..=total {
            let densities = quota.densities(sizes, budget as f64 / total as f64);
            for ((born, &size), density) in births.iter_mut().zip(sizes).zip(densities) {
                let now = kept(size, density);
                assert!(now >= born.len(), "{} shrinks a layer", quota.name());
                born.resize(now, budget as u32);
            }
        }
        births
    }

    #[test]
    fn births_are_the_smallest_budgets() {
        for sizes in [
            &[6, 4, 2][..],
            &[50, 7, 30, 1],
            &[300, 200, 17],
            &[4704, 600, 40],
        ] {
            for quota in Quota::ALL {
                let (found, expected) = (quota.births(sizes), naive_births(quota, sizes));
                let total: usize = sizes.iter().sum();
                for ((found, expected), &size) in found.iter().zip(&expected).zip(sizes) {
                    assert_eq!(found.len(), expected.len());
                    assert!(found.is_sorted());
                    for (rank, (found, expected)) in found.iter().zip(expected).enumerate() {
                        // At an exact tie (1 - d) n falls on either side in floating point, where
                        // the closed form decides in whole numbers: one budget apart at most.
                        let tie = (total * (2 * rank + 1)).is_multiple_of(2 * size);
                        let allowed = u32::from(tie && quota == Quota::Uniform);
                        assert!(
                            found.abs_diff(*expected) <= allowed,
                            "{} {sizes:?}",
                            quota.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn igq_has_the_published_densities() {
        for (compression, expected) in [
            (10.0, [0.0644, 0.3507, 0.9419]),
            (100.0, [0.00462, 0.0351, 0.5218]),
            (1000.0, [3.89e-4, 0.00304, 0.0839]),
        ] {
            let densities = Quota::Igq.densities(&LENET, 1.0 / compression);
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
    fn an_unknown_quota_lists_the_known() {
        let error = Quota::by_name("igp").unwrap_err();
        assert!(error.to_string().contains("uniform, igq"), "{error}");
    }
}
