//! Population statistics of batch norms: what they normalise by when deployed.
//!
//! The paper's code evaluates with the statistics of each test batch, which no device with one
//! sample at a time can do. Here mean and (biased) variance of every batch norm's input are taken
//! over training images with the final masked weights, layer by layer: each layer's are computed
//! with those of the layers before it already in place.
//!
//! What a batch norm and the nodes after it read of a batch is kept until the next one's turn, so
//! that every node is computed once per image. Where that would take more than [`KEPT`] bytes, the
//! pass begins again where the last that did fit ended, in the worst case at the images.

use std::collections::VecDeque;

use candle_core::{DType, Result, Tensor};

use super::forward::{Values, all_readers};
use super::model::Network;
use super::moments::{Moments, Sums};
use super::state::State;
use crate::graph::{Graph, Operation};

/// The most bytes of values kept from one batch norm to the next, 256 MiB: of 60,000 images those
/// of 1118 units in f32.
pub const KEPT: usize = 1 << 28;

/// The moments of every batch norm of a graph, by node.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics(Vec<Moments>);

impl Statistics {
    /// Computes the statistics of `network` over `batches`, a function that returns the tensors
    /// (rows, elements) of the training images from the first each time it is called.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn compute<I: Iterator<Item = Result<Tensor>>>(
        network: &Network,
        batches: impl Fn() -> I,
    ) -> Result<Self> {
        Self::compute_within(network, batches, KEPT)
    }

    /// The same, keeping at most `most` bytes of values between batch norms.
    pub(super) fn compute_within<I: Iterator<Item = Result<Tensor>>>(
        network: &Network,
        batches: impl Fn() -> I,
        most: usize,
    ) -> Result<Self> {
        let graph = network.graph();
        let mut pass = Pass {
            network,
            readers: all_readers(graph),
            sizes: frontiers(graph, network.dtype()),
            most,
            statistics: Self(vec![Moments::default(); graph.nodes().len()]),
            kept: None,
            images: None,
        };
        for (index, node) in graph.nodes().iter().enumerate() {
            if node.operation == Operation::BatchNorm {
                pass.statistics.0[index] = pass.moments(index, &batches)?;
            }
        }
        Ok(pass.statistics)
    }

    /// The statistics that `state` holds for `graph` under PyTorch's names, none where one is
    /// missing.
    pub fn of_state(graph: &Graph, state: &State) -> Option<Self> {
        let moments = graph.nodes().iter().map(|node| {
            if node.operation != Operation::BatchNorm {
                return Some(Moments::default());
            }
            let values = |kind: &str| {
                let array = state.0.get(&format!("{}.{kind}", node.name));
                array.map(|array| array.values.clone())
            };
            Some(Moments {
                mean: values("running_mean")?,
                variance: values("running_var")?,
            })
        });
        moments.collect::<Option<_>>().map(Self)
    }

    /// The moments of batch norm `node` (empty for other nodes).
    pub fn of(&self, node: usize) -> &Moments {
        &self.0[node]
    }

    /// Adds them to `state` as `NAME.running_mean` and `NAME.running_var`, as PyTorch calls them.
    pub fn add_to(&self, network: &Network, state: &mut State) {
        for (node, moments) in network.graph().nodes().iter().zip(&self.0) {
            if node.operation == Operation::BatchNorm {
                let (mean, variance) = (moments.mean.clone(), moments.variance.clone());
                state.insert(
                    format!("{}.running_mean", node.name),
                    vec![mean.len()],
                    mean,
                );
                state.insert(
                    format!("{}.running_var", node.name),
                    vec![variance.len()],
                    variance,
                );
            }
        }
    }
}

/// What is read of each batch from node `at` on.
struct Kept {
    at: usize,
    batches: VecDeque<Values>,
}

impl Kept {
    /// The values of batch `batch`, none after the last; they go where later ones take their place,
    /// and stay for the next norm where those would not fit.
    fn values(&mut self, batch: usize, replaced: bool) -> Option<Values> {
        match replaced {
            true => self.batches.pop_front(),
            false => self.batches.get(batch).cloned(),
        }
    }
}

/// The computation of a network's statistics, under way.
struct Pass<'a> {
    network: &'a Network,
    /// The last reader of each node.
    readers: Vec<Option<usize>>,
    /// Bytes read of one image from each node on.
    sizes: Vec<usize>,
    most: usize,
    /// Those of the batch norms that are done.
    statistics: Statistics,
    kept: Option<Kept>,
    /// How many images there are, once they have been counted.
    images: Option<usize>,
}

impl Pass<'_> {
    /// The moments of what batch norm `norm` reads, those of the norms before it known.
    fn moments<I: Iterator<Item = Result<Tensor>>>(
        &mut self,
        norm: usize,
        batches: &impl Fn() -> I,
    ) -> Result<Moments> {
        let node = &self.network.graph().nodes()[norm];
        let mut sums = Sums::new(&node.shape);
        let from = self.kept.as_ref().map_or(0, |kept| kept.at);
        // Where to keep values: as late as they fit.
        let images = self.images.unwrap_or(1);
        let mut keep = (from + 1..=norm)
            .rev()
            .find(|&at| self.sizes[at].saturating_mul(images) <= self.most);
        let (mut next, mut seen) = (VecDeque::new(), 0);
        let mut fresh = self.kept.is_none().then(batches);
        for batch in 0.. {
            let (mut values, x) = match (&mut fresh, &mut self.kept) {
                (Some(batches), _) => match batches.next() {
                    Some(x) => (Values::default(), Some(x?)),
                    None => break,
                },
                (None, Some(kept)) => match kept.values(batch, keep.is_some()) {
                    Some(values) => (values, None),
                    None => break,
                },
                (None, None) => unreachable!("values are kept where batches are not made"),
            };
            let mut at = from;
            let mut advance = |values: &mut Values, to: usize| {
                let nodes = (std::mem::replace(&mut at, to), to);
                let readers = &self.readers;
                self.network
                    .advance(values, nodes, x.as_ref(), &self.statistics, readers)
            };
            if let Some(keep) = keep {
                advance(&mut values, keep)?;
                next.push_back(values.clone());
            }
            advance(&mut values, norm)?;
            let value = values.get(node.source());
            seen += value.dim(0)?;
            sums.add(value)?;
            // The images are counted by the first pass, which may find them too many.
            let too_many = |&at: &usize| self.sizes[at].saturating_mul(seen) > self.most;
            if fresh.is_some() && keep.as_ref().is_some_and(too_many) {
                (keep, next) = (None, VecDeque::new());
            }
        }
        self.images = Some(seen);
        if let Some(at) = keep {
            let batches = next;
            self.kept = Some(Kept { at, batches });
        }
        Ok(sums.moments())
    }
}

/// For each node the bytes that it and the nodes after it read of one image, of values of type
/// `dtype`.
fn frontiers(graph: &Graph, dtype: DType) -> Vec<usize> {
    let nodes = graph.nodes();
    let mut ends = vec![0; nodes.len() + 1];
    let mut sizes = Vec::with_capacity(nodes.len());
    let mut size = 0;
    for (index, reader) in all_readers(graph).into_iter().enumerate() {
        size -= ends[index];
        sizes.push(size);
        if let Some(reader) = reader {
            let bytes = nodes[index].shape.iter().product::<usize>() * dtype.size_in_bytes();
            size += bytes;
            ends[reader + 1] += bytes;
        }
    }
    sizes
}
