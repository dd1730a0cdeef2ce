//! Random small networks and weights.

use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::pruning::{Masks, Ordering, Pruner, score};
use rarefy_trainer::random::Random;

use crate::oracle::{self, Family, PerLayer, Sharing};

/// Every pruner with the way its layers share.
pub(crate) const PRUNERS: [(&str, Sharing); 4] = [
    ("magnitude/global", Sharing::Global),
    ("magnitude/igq", Sharing::Igq),
    ("random/uniform", Sharing::Uniform),
    ("random/igq", Sharing::Igq),
];

/// 2 to 5 dense layers of 1 to `most` units.
pub(crate) fn widths(random: &mut Random, most: u64) -> Vec<usize> {
    let layers = 2 + random.below(4);
    // Narrow networks are where bottlenecks and ties are: let the ceiling vary too.
    let most = 1 + random.below(most);
    (0..=layers)
        .map(|_| 1 + random.below(most) as usize)
        .collect()
}

/// The graph of dense layers of `widths`, the input first.
pub(crate) fn graph(widths: &[usize]) -> Graph {
    architecture::multilayer("sample", [1, 1, widths[0]], &widths[1..]).unwrap()
}

/// Weights for a network of `widths`: all different, or of few values so that many tie.
pub(crate) fn weights(random: &mut Random, widths: &[usize]) -> PerLayer<f32> {
    let levels = [0, 3, 20][random.below(3) as usize];
    let mut draw = || match levels {
        0 => random.normal() as f32,
        _ => random.below(levels) as f32 - 1.0,
    };
    oracle::sizes(widths)
        .iter()
        .map(|&size| (0..size).map(|_| draw()).collect())
        .collect()
}

/// One pruner on one network: the trainer's ordering and the oracle's family of the same scores.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) widths: Vec<usize>,
    pub(crate) graph: Graph,
    pub(crate) ordering: Ordering,
    pub(crate) family: Family,
}

impl Sample {
    pub(crate) fn draw(seed: u64, most: u64, pruner: (&'static str, Sharing)) -> Self {
        let (name, sharing) = pruner;
        let mut random = Random::stream(seed, "pruning sample");
        let widths = widths(&mut random, most);
        let graph = graph(&widths);
        let weights = weights(&mut random, &widths);
        let ordering = Pruner::by_name(name)
            .unwrap()
            .order(&graph, &weights, seed)
            .unwrap();
        let scores = if name.starts_with("random") {
            score::random::scores(&graph.prunable(), seed)
        } else {
            let magnitudes = |layer: &Vec<f32>| layer.iter().map(|w| f64::from(w.abs())).collect();
            weights.iter().map(magnitudes).collect()
        };
        let family = Family::new(&widths, sharing, &scores);
        Self {
            name,
            widths,
            graph,
            ordering,
            family,
        }
    }

    /// Every pruner on `networks` networks.
    pub(crate) fn all(networks: u64, most: u64) -> impl Iterator<Item = Self> {
        (0..networks).flat_map(move |seed| {
            PRUNERS
                .into_iter()
                .map(move |pruner| Self::draw(seed, most, pruner))
        })
    }

    /// What to say when this sample fails.
    pub(crate) fn label(&self) -> String {
        format!("{} on {:?}", self.name, self.widths)
    }
}

/// The bits of `masks`.
pub(crate) fn bits(masks: &Masks) -> PerLayer<bool> {
    masks.iter().map(|mask| mask.keep.clone()).collect()
}

/// `bits` as masks of `graph`.
pub(crate) fn masks(graph: &Graph, bits: &[Vec<bool>]) -> Masks {
    Masks::from_fn(&graph.prunable(), |tensor, element| bits[tensor][element])
}
