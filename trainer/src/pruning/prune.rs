//! Pruning with a named pruner.

use std::time::Instant;

use super::bisection;
use super::compression::{Compression, Target};
use super::error::PruneError;
use super::ordering::Ordering;
use super::pruner::{Pruner, Scoring, Sharing};
use super::score::{Scores, grasp, iterative, lamp, magnitude, random, snip, synflow};
use super::search::{self, Outcome};
use super::source::Source;
use super::ties;
use super::weights::Weights;
use crate::masks::Mask;

/// The result of pruning.
#[derive(Debug, Clone)]
pub struct Pruned {
    /// The masks.
    pub outcome: Outcome,
    /// The ordering of connections that the masks are taken from, for this compression.
    pub ordering: Ordering,
    /// The time that pruning took.
    pub seconds: Seconds,
    /// The number of connections kept only by their index, because pruned connections have the
    /// same score; 0 if scores are random or by SynFlow.
    pub kept_by_index: usize,
}

impl Pruned {
    /// Returns a warning if more than one in a hundred of the kept connections is kept only by its
    /// index. `pruner` is the pruner's name.
    pub fn doubt(&self, pruner: &str) -> Option<String> {
        let kept = self.outcome.direct.nonzeros();
        (self.kept_by_index > kept / 100).then(|| {
            format!(
                "{} of the {kept} connections that {pruner} keeps have the same score as pruned ones and are kept only by their index: many weights are equal, zero, or too small to be scored",
                self.kept_by_index
            )
        })
    }
}

/// The time that pruning took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Seconds {
    /// The time for scoring.
    pub scores: f64,
    /// The time for finding the mask of the requested compression. For `random/synflow` this
    /// includes the scores of every step.
    pub search: f64,
}

impl Pruner {
    /// Prunes to `compression`; `target` says which weights count as remaining. The pruner `dense`
    /// keeps everything regardless.
    ///
    /// # Errors
    /// Returns an error as [`Self::order`] does, and if the compression cannot be reached.
    pub fn prune(
        &self,
        source: &Source<'_>,
        target: Target,
        compression: Compression,
    ) -> Result<Pruned, PruneError> {
        let start = Instant::now();
        let ordering = self.order(source, compression)?;
        let scores = start.elapsed().as_secs_f64();
        let graph = source.graph;
        let prune =
            |target, compression| search::prune(graph, &ordering, target, compression, self.name());
        let outcome = match (self.sharing(), target) {
            _ if self.is_dense() => prune(Target::Direct, Compression::NONE),
            (Sharing::As(Scoring::Synflow), Target::Effective) => self.bisect(source, compression),
            _ => prune(target, compression),
        }?;
        let search = start.elapsed().as_secs_f64() - scores;
        let kept_by_index = match self.ranks_by_score() {
            true => ties::kept_by_index(&ordering, &outcome.direct),
            false => 0,
        };
        Ok(Pruned {
            kept_by_index,
            outcome,
            ordering,
            seconds: Seconds { scores, search },
        })
    }

    /// Returns the order in which connections enter the pruner's masks.
    ///
    /// The order of `synflow` and `snip/iterative` depends on `compression`: it contains the masks
    /// of their rounds.
    ///
    /// # Errors
    /// Returns an error if the source lacks an input of the pruner, if its dataset does not fit
    /// the architecture, if the scores cannot be ranked (all are equal or zero, or one is not
    /// finite), if the quota does not apply to the network, if the device fails, or if the pruner
    /// is interrupted.
    pub fn order(
        &self,
        source: &Source<'_>,
        compression: Compression,
    ) -> Result<Ordering, PruneError> {
        let tensors = source.graph.prunable();
        let scores = match self.sharing() {
            Sharing::As(scoring) => {
                random::dealt(self.scores(scoring, source, compression)?, source.seed)
            }
            _ => self.scores(self.scoring(), source, compression)?,
        };
        if self.ranks_by_score() {
            ties::check(self.name(), scores.iter().flatten().copied())?;
        }
        let ordering = match self.sharing() {
            Sharing::Quota(quota) => Ordering::by_quota(&tensors, scores, quota, self.rounding())?,
            _ => Ordering::global(&tensors, scores)?,
        };
        Ok(ordering.limited(source.limits))
    }

    /// Returns the highest compression of the kind `target` at which this pruner keeps a path from
    /// input to output; `None` if it finds no path at all.
    ///
    /// # Errors
    /// Returns an error as [`Self::order`] does.
    pub fn reach(&self, source: &Source<'_>, target: Target) -> Result<Option<f64>, PruneError> {
        let graph = source.graph;
        let most = Compression::of(graph.total(), graph.shortest_path());
        if target == Target::Direct {
            let ordering = self.order(source, most)?;
            let beyond = graph.total() as f64;
            return Ok(Some(search::direct_reach(graph, &ordering, beyond)));
        }
        match self.prune(source, target, most) {
            Ok(pruned) => Ok(pruned.outcome.effective.compression()),
            Err(PruneError::TooSparse { most, .. }) => Ok(Some(most)),
            Err(PruneError::NeverConnected { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Searches by bisection for `random/synflow`, which takes new layer sizes from SynFlow at
    /// every step.
    fn bisect(&self, source: &Source<'_>, compression: Compression) -> Result<Outcome, PruneError> {
        let tensors = source.graph.prunable();
        let order = Ordering::global(&tensors, random::scores(&tensors, source.seed))?;
        bisection::search(
            source.graph,
            &order,
            compression,
            self.name(),
            |compression| {
                let scores = self.scores(Scoring::Synflow, source, compression)?;
                let left = Ordering::global(&tensors, scores)?.direct(compression)?;
                Ok(left.iter().map(Mask::nonzeros).collect())
            },
        )
    }

    /// Computes the score of every weight of every prunable tensor.
    fn scores(
        &self,
        scoring: Scoring,
        source: &Source<'_>,
        compression: Compression,
    ) -> Result<Scores, PruneError> {
        let tensors = source.graph.prunable();
        match scoring {
            Scoring::Dense => Ok(tensors.iter().map(|t| vec![0.0; t.len()]).collect()),
            Scoring::Random => Ok(random::scores(&tensors, source.seed)),
            Scoring::Magnitude => Ok(magnitude::scores(self.trained(source)?.values())),
            Scoring::Lamp => Ok(lamp::scores(self.trained(source)?.values())),
            Scoring::Snip | Scoring::SnipIterative | Scoring::Synflow | Scoring::Grasp => {
                let drawn;
                let weights = match source.initial {
                    Some(weights) => weights,
                    None => {
                        drawn = Weights::initial(source.graph, source.seed);
                        &drawn
                    }
                };
                match scoring {
                    Scoring::Snip => snip::scores(source, weights),
                    Scoring::SnipIterative => iterative::scores(source, weights, compression),
                    Scoring::Synflow => synflow::scores(source, weights.values(), compression),
                    _ => grasp::scores(source, weights),
                }
            }
        }
    }

    /// Returns the trained weights.
    ///
    /// # Errors
    /// Returns an error if the source has none.
    fn trained<'a>(&self, source: &Source<'a>) -> Result<&'a Weights, PruneError> {
        source.trained.ok_or(PruneError::NeedsTraining {
            pruner: self.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;
    use crate::data::{Dataset, digits};
    use crate::graph::{Graph, architecture};
    use crate::masks::Masks;
    use crate::pruning::loss::Loss;
    use crate::pruning::pruner::PRUNERS;
    use crate::pruning::source::SnipOptions;

    /// Returns a compression ratio.
    fn to(ratio: f64) -> Compression {
        Compression::new(ratio).unwrap()
    }

    /// Returns a small network for the digits, and the dataset with 300 training images.
    fn small() -> (Graph, Dataset) {
        let graph = architecture::multilayer("small", [1, 28, 28], &[20, 10]).unwrap();
        let mut data = digits::load();
        data.train = data.train.limit(300);
        (graph, data)
    }

    fn counts(masks: &Masks) -> Vec<usize> {
        masks.iter().map(Mask::nonzeros).collect()
    }

    #[test]
    fn every_pruner_reaches_either_compression_the_same_way_each_time() {
        let (graph, data) = small();
        let trained = Weights::initial(&graph, 9);
        let source = Source {
            trained: Some(&trained),
            data: Some(&data),
            ..Source::new(&graph)
        };
        let total = graph.total();
        for pruner in PRUNERS {
            if pruner.name().ends_with("uniform+") {
                let refused = pruner.prune(&source, Target::Direct, to(2.0));
                assert!(matches!(refused, Err(PruneError::NoConvolution { .. })));
                continue;
            }
            let name = pruner.name();
            let wanted = if pruner.is_dense() {
                total
            } else {
                total.div_ceil(8)
            };
            let direct = pruner.prune(&source, Target::Direct, to(8.0)).unwrap();
            let left = direct.outcome.direct.nonzeros();
            assert!(left.abs_diff(wanted) <= 2, "{name}: {left} of {wanted}");
            let effective = pruner.prune(&source, Target::Effective, to(8.0)).unwrap();
            let left = effective.outcome.effective.nonzeros();
            assert!(
                (wanted..wanted + 200).contains(&left),
                "{name}: {left} of {wanted}"
            );
            let again = pruner.prune(&source, Target::Effective, to(8.0)).unwrap();
            assert_eq!(again.outcome.direct, effective.outcome.direct, "{name}");
        }
    }

    #[test]
    fn random_takes_the_layer_sizes_of_another_but_not_its_weights() {
        let (graph, data) = small();
        let source = Source {
            data: Some(&data),
            ..Source::new(&graph)
        };
        for other in ["snip", "synflow"] {
            let pruner = |name: &str| Pruner::by_name(name).unwrap();
            let of = |name: &str| pruner(name).order(&source, to(10.0)).unwrap();
            let (other, random) = (of(other), of(&format!("random/{other}")));
            for budget in [1, 50, 800, 1600, 9000, graph.total() as u32] {
                let (other, random) = (other.prefix(budget), random.prefix(budget));
                assert_eq!(counts(&other), counts(&random));
                assert_eq!(
                    other == random,
                    budget as usize == graph.total(),
                    "{budget}"
                );
            }
        }
    }

    #[test]
    fn what_a_pruner_needs_and_has_not_is_named() {
        let (graph, mut data) = small();
        data.classes = 11;
        for pruner in PRUNERS {
            let message = |source: &Source<'_>| match pruner.order(source, to(2.0)) {
                Ok(_) => "none".into(),
                Err(error) => error.to_string(),
            };
            let bare = message(&Source::new(&graph));
            let expected = match (pruner.needs_dense_training(), pruner.needs_data()) {
                (true, _) => "weights of a trained",
                (_, true) => "provide a dataset",
                _ if pruner.name().ends_with("uniform+") => "convolution",
                _ => "none",
            };
            assert!(bare.contains(expected), "{}: {bare}", pruner.name());
            if pruner.needs_data() {
                let strange = message(&Source {
                    data: Some(&data),
                    ..Source::new(&graph)
                });
                assert!(strange.contains("11 classes"), "{strange}");
            }
        }
    }

    #[test]
    fn long_scores_tell_how_far_they_are_and_stop_when_asked() {
        let (graph, data) = small();
        for name in ["snip", "snip/iterative", "synflow", "grasp"] {
            let (stop, told) = (AtomicBool::new(false), Cell::new(0));
            let progress = |done: usize, of: usize| {
                assert!(done < of, "{name}");
                told.set(told.get() + 1);
                stop.store(done > 0, Relaxed);
            };
            let source = Source {
                data: Some(&data),
                progress: &progress,
                stop: &stop,
                ..Source::new(&graph)
            };
            let stopped = Pruner::by_name(name).unwrap().order(&source, to(5.0));
            assert!(matches!(stopped, Err(PruneError::Interrupted)), "{name}");
            assert!(told.get() >= 2, "{name}");
        }
    }

    #[test]
    fn snip_looks_at_the_images_it_is_given_with_the_loss_it_is_given() {
        let (graph, data) = small();
        let scores = |samples, loss| {
            let source = Source {
                data: Some(&data),
                snip: SnipOptions { loss, samples },
                ..Source::new(&graph)
            };
            let order = Pruner::by_name("snip").unwrap().order(&source, to(50.0));
            order.unwrap().direct(to(50.0)).unwrap()
        };
        let usual = scores(None, Loss::CrossEntropy);
        assert_eq!(usual, scores(Some(300), Loss::CrossEntropy));
        assert_ne!(usual, scores(Some(40), Loss::CrossEntropy));
        assert_ne!(usual, scores(None, Loss::Reference));
    }
}
