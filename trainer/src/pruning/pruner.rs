//! The pruners by name: a score with the way its layers share the budget.

use std::time::Instant;

use super::ordering::Rounding;
use super::quota::Quota;
use super::score::{Scores, grasp, iterative, lamp, magnitude, random, snip, synflow};
use super::search::{self, Outcome, Target};
use super::{Ordering, PruneError, Source, Weights, bisection, ordering, ties};
use crate::graph::Graph;

/// How connections are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scoring {
    /// Not at all: everything stays.
    Dense,
    /// At random.
    Random,
    /// By |w| of a trained dense network.
    Magnitude,
    /// By LAMP of a trained dense network.
    Lamp,
    /// By SNIP at initialisation.
    Snip,
    /// By SNIP in rounds.
    SnipIterative,
    /// By SynFlow at initialisation.
    Synflow,
    /// By GraSP at initialisation.
    Grasp,
}

/// How layers share the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// One order over the whole network.
    Global,
    /// Each layer by its quota.
    Quota(Quota),
    /// As one global order of these scores leaves them.
    As(Scoring),
}

/// A pruner, such as `magnitude/igq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruner {
    name: &'static str,
    scoring: Scoring,
    sharing: Sharing,
}

/// One line of the table.
const fn pruner(name: &'static str, scoring: Scoring, sharing: Sharing) -> Pruner {
    Pruner {
        name,
        scoring,
        sharing,
    }
}

/// Every pruner Rarefy knows.
const PRUNERS: &[Pruner] = {
    use Scoring::{Dense, Grasp, Lamp, Magnitude, Random, Snip, SnipIterative, Synflow};
    use Sharing::{As, Global, Quota as By};
    &[
        pruner("dense", Dense, Global),
        pruner("random/uniform", Random, By(Quota::Uniform)),
        pruner("random/uniform+", Random, By(Quota::UniformPlus)),
        pruner("random/erk", Random, By(Quota::Erk)),
        pruner("random/igq", Random, By(Quota::Igq)),
        pruner("random/snip", Random, As(Snip)),
        pruner("random/synflow", Random, As(Synflow)),
        pruner("magnitude/global", Magnitude, Global),
        pruner("magnitude/uniform", Magnitude, By(Quota::Uniform)),
        pruner("magnitude/uniform+", Magnitude, By(Quota::UniformPlus)),
        pruner("magnitude/erk", Magnitude, By(Quota::Erk)),
        pruner("magnitude/igq", Magnitude, By(Quota::Igq)),
        pruner("lamp", Lamp, Global),
        pruner("snip", Snip, Global),
        pruner("snip/iterative", SnipIterative, Global),
        pruner("synflow", Synflow, Global),
        pruner("grasp", Grasp, Global),
    ]
};

/// What a pruner did.
#[derive(Debug, Clone)]
pub struct Pruned {
    /// What is left.
    pub outcome: Outcome,
    /// The order in which connections were let in (for this compression).
    pub ordering: Ordering,
    /// Time it took.
    pub seconds: Seconds,
    /// Connections that are kept though others of the same score are not, by their place alone;
    /// 0 where a draw or a flow decides.
    pub kept_by_index: usize,
}

impl Pruned {
    /// What casts doubt on the masks, in a sentence: that more than one connection in a hundred is
    /// kept by its place alone. `pruner` is the pruner's name.
    pub fn doubt(&self, pruner: &str) -> Option<String> {
        let kept = self.outcome.direct.nonzeros();
        (self.kept_by_index > kept / 100).then(|| {
            format!(
                "{} of the {kept} connections that {pruner} keeps have the same score as others that it does not, and are kept by their place alone: many weights are equal, zero, or too small to be scored",
                self.kept_by_index
            )
        })
    }
}

/// Time that pruning took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Seconds {
    /// To score connections.
    pub scores: f64,
    /// To find the mask of the wanted compression (for `random/synflow` with the scores of
    /// every step).
    pub search: f64,
}

impl Pruner {
    /// The pruner called `name`.
    ///
    /// # Errors
    /// When there is none; the message lists those there are.
    pub fn by_name(name: &str) -> Result<Self, PruneError> {
        PRUNERS
            .iter()
            .find(|pruner| pruner.name == name)
            .copied()
            .ok_or_else(|| PruneError::UnknownPruner { name: name.into() })
    }

    /// The names of all pruners.
    pub fn names() -> Vec<&'static str> {
        PRUNERS.iter().map(|pruner| pruner.name).collect()
    }

    /// The pruner's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it keeps everything, whatever the compression.
    pub fn is_dense(&self) -> bool {
        self.scoring == Scoring::Dense
    }

    /// Whether it ranks the weights of a trained dense network, so that one must be trained first.
    pub fn needs_dense_training(&self) -> bool {
        matches!(self.scoring, Scoring::Magnitude | Scoring::Lamp)
    }

    /// Whether it reads weights at all, trained or not.
    pub fn reads_weights(&self) -> bool {
        !matches!(self.scored_by(), Scoring::Dense | Scoring::Random)
    }

    /// Whether it reads training images.
    pub fn needs_data(&self) -> bool {
        use Scoring::{Grasp, Snip, SnipIterative};
        matches!(self.scored_by(), Snip | SnipIterative | Grasp)
    }

    /// Whether equal scores are a sign that something is wrong: not where they are drawn, nor in
    /// synflow, where a path on its own passes the same flow through each of its connections.
    fn ranks_by_score(&self) -> bool {
        use Scoring::{Dense, Random, Synflow};
        !matches!(self.scored_by(), Dense | Random | Synflow)
    }

    /// The scores that say how many connections each layer keeps.
    fn scored_by(&self) -> Scoring {
        match self.sharing {
            Sharing::As(scoring) => scoring,
            _ => self.scoring,
        }
    }

    /// Refuses what needs no scores to be seen: a quota that is not for this network, or that
    /// leaves less than `compression` asks for however it is pruned.
    ///
    /// # Errors
    /// Naming the tensor and the valid range.
    pub fn check(&self, graph: &Graph, target: Target, compression: f64) -> Result<(), PruneError> {
        let Sharing::Quota(quota) = self.sharing else {
            return Ok(());
        };
        let tensors = graph.prunable();
        let budgets = quota.budgets(&tensors)?;
        // What is effective is never more than what is direct.
        let too_dense = graph.total() as f64 / compression > f64::from(*budgets.end());
        if target == Target::Direct || too_dense {
            quota.densities(&tensors, 1.0 / compression)?;
        }
        Ok(())
    }

    /// Refuses a compression that leaves no path from input to output whatever the scores: fewer
    /// weights than the shortest path has, or a layer without any that every path goes through.
    /// What this accepts may still turn out to be disconnected.
    ///
    /// # Errors
    /// Saying how far any pruner can go.
    pub fn check_path(
        &self,
        graph: &Graph,
        target: Target,
        compression: f64,
    ) -> Result<(), PruneError> {
        let (total, shortest) = (graph.total(), graph.shortest_path());
        let refuse = |left: String| {
            let most = match target {
                Target::Effective => total as f64 / shortest as f64,
                // The last that is rounded up to as many weights.
                Target::Direct => ((100 * total).div_ceil(shortest.max(2) - 1) - 1) as f64 / 100.0,
            };
            Err(PruneError::NoPath {
                pruner: self.name,
                kind: target.name(),
                compression,
                left,
                shortest,
                most,
            })
        };
        if self.is_dense() {
            return Ok(());
        }
        let sparsity = 1.0 - 1.0 / compression;
        let left = match (target, self.sharing) {
            (Target::Direct, Sharing::Quota(quota)) => {
                let tensors = graph.prunable();
                let kept = ordering::shares(&tensors, quota, self.rounding(), sparsity)?;
                if let Some(blocked) = graph.blocked(&kept) {
                    return refuse(format!("no weight of {}", tensors[blocked].name));
                }
                kept.iter().sum()
            }
            (Target::Direct, _) => total - (sparsity * total as f64) as usize,
            (Target::Effective, _) if search::is_beyond(compression, total, shortest) => {
                (total as f64 / compression) as usize
            }
            (Target::Effective, _) => return Ok(()),
        };
        if left < shortest {
            return refuse(format!("{left} of {total} weights"));
        }
        Ok(())
    }

    /// Returns how many weights of each prunable tensor of `graph` direct pruning to `compression`
    /// keeps by this pruner's quota; none where it has no quota.
    ///
    /// # Errors
    /// When the quota is not valid there.
    pub fn shares(
        &self,
        graph: &Graph,
        compression: f64,
    ) -> Result<Option<Vec<usize>>, PruneError> {
        let Sharing::Quota(quota) = self.sharing else {
            return Ok(None);
        };
        let sparsity = 1.0 - 1.0 / compression;
        ordering::shares(&graph.prunable(), quota, self.rounding(), sparsity).map(Some)
    }

    /// Returns the highest compression of the kind `target` at which this pruner keeps a path from
    /// input to output; none where it finds none.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub fn reach(&self, source: &Source<'_>, target: Target) -> Result<Option<f64>, PruneError> {
        let graph = source.graph;
        let (total, shortest) = (graph.total() as f64, graph.shortest_path());
        let most = total / shortest as f64;
        if target == Target::Direct {
            let ordering = self.order(source, most)?;
            return Ok(Some(search::direct_reach(graph, &ordering, total)));
        }
        match self.prune(source, target, most) {
            Ok(pruned) => Ok(pruned.outcome.effective.compression()),
            Err(PruneError::TooSparse { most, .. }) => Ok(Some(most)),
            Err(PruneError::NeverConnected { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How direct pruning rounds a layer's share.
    fn rounding(&self) -> Rounding {
        match self.scoring {
            Scoring::Random => Rounding::Truncate,
            _ => Rounding::HalfToEven,
        }
    }

    /// The order in which this pruner lets connections in. That of `synflow` and `snip/iterative`
    /// is for `compression`; it goes through the masks of their rounds.
    ///
    /// # Errors
    /// When the source lacks what the pruner looks at, a score is not finite, a quota is not for
    /// such a network, the device refuses, or it is interrupted.
    pub fn order(&self, source: &Source<'_>, compression: f64) -> Result<Ordering, PruneError> {
        search::check_compression(compression)?;
        let tensors = source.graph.prunable();
        let scores = match self.sharing {
            Sharing::As(scoring) => {
                random::dealt(self.scores(scoring, source, compression)?, source.seed)
            }
            _ => self.scores(self.scoring, source, compression)?,
        };
        if self.ranks_by_score() {
            ties::check(self.name, scores.iter().flatten().copied())?;
        }
        let Sharing::Quota(quota) = self.sharing else {
            return Ordering::global(&tensors, scores);
        };
        Ordering::by_quota(&tensors, scores, quota, self.rounding())
    }

    /// Prunes to `compression` of the kind `target`. Dense keeps everything all the same.
    ///
    /// # Errors
    /// As [`Self::order`], and when the compression cannot be reached.
    pub fn prune(
        &self,
        source: &Source<'_>,
        target: Target,
        compression: f64,
    ) -> Result<Pruned, PruneError> {
        let begun = Instant::now();
        let ordering = self.order(source, compression)?;
        let scores = begun.elapsed().as_secs_f64();
        let graph = source.graph;
        let outcome = match (self.scoring, self.sharing, target) {
            (Scoring::Dense, ..) => search::prune(graph, &ordering, Target::Direct, 1.0, self.name),
            (_, Sharing::As(Scoring::Synflow), Target::Effective) => {
                self.bisect(source, compression)
            }
            _ => search::prune(graph, &ordering, target, compression, self.name),
        }?;
        let search = begun.elapsed().as_secs_f64() - scores;
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

    /// The search for `random/synflow`, whose layers' sizes are SynFlow's at every step.
    fn bisect(&self, source: &Source<'_>, compression: f64) -> Result<Outcome, PruneError> {
        let tensors = source.graph.prunable();
        let order = Ordering::global(&tensors, random::scores(&tensors, source.seed))?;
        bisection::search(
            source.graph,
            &order,
            compression,
            self.name,
            |compression| {
                let scores = self.scores(Scoring::Synflow, source, compression)?;
                let left = Ordering::global(&tensors, scores)?.direct(compression)?;
                Ok(left.iter().map(super::Mask::nonzeros).collect())
            },
        )
    }

    /// One score per weight of every prunable tensor.
    fn scores(
        &self,
        scoring: Scoring,
        source: &Source<'_>,
        compression: f64,
    ) -> Result<Scores, PruneError> {
        let tensors = source.graph.prunable();
        match scoring {
            Scoring::Dense => Ok(tensors.iter().map(|t| vec![0.0; t.len()]).collect()),
            Scoring::Random => Ok(random::scores(&tensors, source.seed)),
            Scoring::Magnitude => Ok(magnitude::scores(self.trained(source)?.values())),
            Scoring::Lamp => Ok(lamp::scores(self.trained(source)?.values())),
            Scoring::Snip | Scoring::SnipIterative | Scoring::Synflow | Scoring::Grasp => {
                let drawn;
                let kernels = match source.initial {
                    Some(kernels) => kernels,
                    None => {
                        drawn = Weights::initial(source.graph, source.seed);
                        &drawn
                    }
                };
                match scoring {
                    Scoring::Snip => snip::scores(source, kernels),
                    Scoring::SnipIterative => iterative::scores(source, kernels, compression),
                    Scoring::Synflow => synflow::scores(source, kernels.values(), compression),
                    _ => grasp::scores(source, kernels),
                }
            }
        }
    }

    /// The trained kernels.
    fn trained<'a>(&self, source: &Source<'a>) -> Result<&'a Weights, PruneError> {
        let needed = PruneError::NeedsTraining { pruner: self.name };
        source.trained.ok_or(needed)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;
    use crate::data::{Dataset, digits};
    use crate::graph::{Graph, architecture};

    /// A small network for the digits, with fewer of them.
    fn small() -> (Graph, Dataset) {
        let graph = architecture::multilayer("small", [1, 28, 28], &[20, 10]).unwrap();
        let mut data = digits::load();
        data.train = data.train.limit(300);
        (graph, data)
    }

    fn counts(masks: &crate::pruning::Masks) -> Vec<usize> {
        masks.iter().map(crate::pruning::Mask::nonzeros).collect()
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
            if pruner.name.ends_with("uniform+") {
                let refused = pruner.prune(&source, Target::Direct, 2.0);
                assert!(matches!(refused, Err(PruneError::NoConvolution { .. })));
                continue;
            }
            let name = pruner.name;
            let wanted = if pruner.is_dense() {
                total
            } else {
                total.div_ceil(8)
            };
            let direct = pruner.prune(&source, Target::Direct, 8.0).unwrap();
            let left = direct.outcome.direct.nonzeros();
            assert!(left.abs_diff(wanted) <= 2, "{name}: {left} of {wanted}");
            let effective = pruner.prune(&source, Target::Effective, 8.0).unwrap();
            let left = effective.outcome.effective.nonzeros();
            assert!(
                (wanted..wanted + 200).contains(&left),
                "{name}: {left} of {wanted}"
            );
            let again = pruner.prune(&source, Target::Effective, 8.0).unwrap();
            assert_eq!(again.outcome.direct, effective.outcome.direct, "{name}");
        }
    }

    #[test]
    fn compressions_without_a_path_are_refused_before_anything_is_scored() {
        // 784 x 20 + 20 x 10 = 15,880 weights; a path has two.
        let (graph, _) = small();
        let check = |name: &str, target, compression| {
            Pruner::by_name(name)
                .unwrap()
                .check_path(&graph, target, compression)
                .map_err(|e| e.to_string())
        };
        for name in ["lamp", "magnitude/global"] {
            for target in [Target::Direct, Target::Effective] {
                check(name, target, 7940.0).unwrap();
                let refused = check(name, target, 15_880.0).unwrap_err();
                assert!(
                    refused.contains("would keep 1 of 15880 weights"),
                    "{refused}"
                );
                assert!(refused.ends_with("compression 7940"), "{refused}");
            }
        }
        // 200 / 500 of the last layer rounds to none.
        check("magnitude/uniform", Target::Direct, 300.0).unwrap();
        let refused = check("magnitude/uniform", Target::Direct, 500.0).unwrap_err();
        assert!(refused.contains("no weight of fc2.weight"), "{refused}");
        check("magnitude/uniform", Target::Effective, 500.0).unwrap();
        check("dense", Target::Direct, 1e9).unwrap();
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
            let of = |name: &str| pruner(name).order(&source, 10.0).unwrap();
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
            let message = |source: &Source<'_>| match pruner.order(source, 2.0) {
                Ok(_) => "none".into(),
                Err(error) => error.to_string(),
            };
            let bare = message(&Source::new(&graph));
            let expected = match (pruner.needs_dense_training(), pruner.needs_data()) {
                (true, _) => "--weights",
                (_, true) => "--data",
                _ if pruner.name.ends_with("uniform+") => "convolution",
                _ => "none",
            };
            assert!(bare.contains(expected), "{}: {bare}", pruner.name);
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
            let stopped = Pruner::by_name(name).unwrap().order(&source, 5.0);
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
                snip: snip::Options { loss, samples },
                ..Source::new(&graph)
            };
            let order = Pruner::by_name("snip").unwrap().order(&source, 50.0);
            order.unwrap().direct(50.0).unwrap()
        };
        let usual = scores(None, snip::Loss::CrossEntropy);
        assert_eq!(usual, scores(Some(300), snip::Loss::CrossEntropy));
        assert_ne!(usual, scores(Some(40), snip::Loss::CrossEntropy));
        assert_ne!(usual, scores(None, snip::Loss::Reference));
    }
}
