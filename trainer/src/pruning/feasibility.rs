//! Checks a compression without computing scores, so that an impossible request fails at once.

use super::compression::{Compression, Target};
use super::error::PruneError;
use super::ordering;
use super::pruner::{Pruner, Sharing};
use crate::graph::Graph;

impl Pruner {
    /// Checks that the pruner's quota, if it has one, applies to `graph` and is valid at
    /// `compression`. An effective compression is rejected only if it takes more connections than
    /// the quota can keep.
    ///
    /// # Errors
    /// Returns an error if the quota does not apply to `graph`, or one that names the tensor and
    /// the valid compressions if it is not valid at `compression`.
    pub fn check(
        &self,
        graph: &Graph,
        target: Target,
        compression: Compression,
    ) -> Result<(), PruneError> {
        let Sharing::Quota(quota) = self.sharing() else {
            return Ok(());
        };
        let tensors = graph.prunable();
        let budgets = quota.budgets(&tensors)?;
        // A mask never has more effective connections than connections.
        let is_too_dense = compression.share_of(graph.total()) > f64::from(*budgets.end());
        if target == Target::Direct || is_too_dense {
            quota.densities(&tensors, compression.density())?;
        }
        Ok(())
    }

    /// Checks that `compression` can leave a path from input to output: that it keeps at least as
    /// many weights as the shortest path has and, in direct pruning by a quota, weights in every
    /// layer that all paths cross.
    ///
    /// A compression that passes can still turn out to disconnect the network.
    ///
    /// # Errors
    /// Returns an error that states the highest compression possible for any pruner, or the error
    /// of [`Self::shares`].
    pub fn check_path(
        &self,
        graph: &Graph,
        target: Target,
        compression: Compression,
    ) -> Result<(), PruneError> {
        if self.is_dense() {
            return Ok(());
        }
        let (total, shortest) = (graph.total(), graph.shortest_path());
        let left = match target {
            Target::Direct => {
                let kept = self.shares(graph, compression)?;
                if let Some(blocked) = kept.as_ref().and_then(|kept| graph.blocked(kept)) {
                    let tensor = &graph.prunable()[blocked].name;
                    let left = format!("no weight of {tensor}");
                    return Err(self.no_path(graph, target, compression, left));
                }
                kept.map_or_else(
                    || total - (compression.sparsity() * total as f64) as usize,
                    |kept| kept.iter().sum(),
                )
            }
            Target::Effective if compression.is_beyond(total, shortest) => {
                return Err(self.no_path(graph, target, compression, String::new()));
            }
            Target::Effective => return Ok(()),
        };
        if left < shortest {
            let left = left.to_string();
            return Err(self.no_path(graph, target, compression, left));
        }
        Ok(())
    }

    /// Returns the error for a `compression` that leaves no path; `left` says in words what it
    /// would keep, or is empty.
    fn no_path(
        &self,
        graph: &Graph,
        target: Target,
        compression: Compression,
        left: String,
    ) -> PruneError {
        let (total, shortest) = (graph.total(), graph.shortest_path());
        PruneError::NoPath {
            pruner: self.name(),
            target,
            compression: compression.get(),
            left,
            shortest,
            total,
            most: match target {
                Target::Effective => total as f64 / shortest as f64,
                // The highest compression, with two decimals, at which the number of weights is
                // rounded up to `shortest`.
                Target::Direct => ((100 * total).div_ceil(shortest.max(2) - 1) - 1) as f64 / 100.0,
            },
        }
    }

    /// Returns the number of weights of each prunable tensor of `graph` that direct pruning to
    /// `compression` keeps by this pruner's quota; `None` if it has no quota.
    ///
    /// # Errors
    /// Returns an error if the quota is not valid at this compression.
    pub fn shares(
        &self,
        graph: &Graph,
        compression: Compression,
    ) -> Result<Option<Vec<usize>>, PruneError> {
        let Sharing::Quota(quota) = self.sharing() else {
            return Ok(None);
        };
        let tensors = graph.prunable();
        ordering::shares(&tensors, quota, self.rounding(), compression.sparsity()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture;

    #[test]
    fn compressions_without_a_path_are_rejected_before_scoring() {
        // 784 x 20 + 20 x 10 = 15,880 weights; a path has two of them.
        let graph = architecture::multilayer("small", [1, 28, 28], &[20, 10]).unwrap();
        let check = |name: &str, target, ratio| {
            let compression = Compression::new(ratio).unwrap();
            Pruner::by_name(name)
                .unwrap()
                .check_path(&graph, target, compression)
                .map_err(|e| e.to_string())
        };
        for name in ["lamp", "magnitude/global"] {
            // Direct pruning rounds the number of removed weights down, so it keeps two weights up
            // to a compression of 15,879.99.
            for (target, most) in [(Target::Direct, 15_879.99), (Target::Effective, 7940.0)] {
                check(name, target, most).unwrap();
                let rejected = check(name, target, 15_880.0).unwrap_err();
                let needs = "a path from input to output needs 2 of 15880 weights";
                assert!(rejected.contains(needs), "{rejected}");
                let keeps = rejected.contains("would keep 1, but");
                assert_eq!(keeps, target == Target::Direct, "{rejected}");
                let reach = format!("compression than {most}: choose a lower compression");
                assert!(rejected.ends_with(&reach), "{rejected}");
            }
        }
        // Of the 200 weights of the last layer, 200 / 500 rounds to none.
        check("magnitude/uniform", Target::Direct, 300.0).unwrap();
        let rejected = check("magnitude/uniform", Target::Direct, 500.0).unwrap_err();
        assert!(rejected.contains("no weight of fc2.weight"), "{rejected}");
        check("magnitude/uniform", Target::Effective, 500.0).unwrap();
        check("dense", Target::Direct, 1e9).unwrap();
    }
}
