//! Computes the population statistics of batch norms over the training images.
//!
//! The paper's code evaluates with the statistics of each test batch, but a device that sees one
//! sample at a time cannot do that. Here the mean and biased variance of every batch norm's input
//! are computed over training images with the final masked weights, layer by layer: each layer uses
//! the statistics of the layers before it.
//!
//! The values of a batch that later nodes read are kept from one batch norm to the next, so every
//! node is computed once per image. If that takes more than [`MAX_KEPT_BYTES`], values are computed
//! again from the last node whose values fit, in the worst case from the images.

use std::collections::VecDeque;

use candle_core::{DType, Result, Tensor};

use super::combined::Combined;
use super::forward::{Values, all_readers};
use super::model::Network;
use super::operators::operand::with_slice;
use super::statistics::{Moments, Statistics};
use crate::graph::{Graph, Operation};

/// Maximum size of the values kept from one batch norm to the next: 256 MiB, or 1118 f32 values for
/// each of 60,000 images.
pub const MAX_KEPT_BYTES: usize = 1 << 28;

impl Statistics {
    /// Computes the statistics of `network` over `batches`. At every call, `batches` must return
    /// the training images from the first one on, as tensors (images, pixels).
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn compute<I: Iterator<Item = Result<Tensor>>>(
        network: &Network,
        batches: impl Fn() -> I,
    ) -> Result<Self> {
        Self::compute_within(network, batches, MAX_KEPT_BYTES)
    }

    /// Computes the statistics, keeping at most `max_bytes` of values between batch norms.
    pub(super) fn compute_within<I: Iterator<Item = Result<Tensor>>>(
        network: &Network,
        batches: impl Fn() -> I,
        max_bytes: usize,
    ) -> Result<Self> {
        let graph = network.graph();
        let mut pass = Pass {
            network,
            readers: all_readers(graph),
            sizes: frontier_sizes(graph, network.dtype()),
            max_bytes,
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
}

/// For every batch, the values of earlier nodes that node `at` and the nodes after it read.
struct Kept {
    at: usize,
    batches: VecDeque<Values>,
}

impl Kept {
    /// Returns the values of batch `batch`, or `None` after the last one. They are moved out if
    /// they are `replaced`, and copied if the next batch norm needs them too.
    fn values(&mut self, batch: usize, replaced: bool) -> Option<Values> {
        match replaced {
            true => self.batches.pop_front(),
            false => self.batches.get(batch).cloned(),
        }
    }
}

/// The state of the computation.
struct Pass<'a> {
    network: &'a Network,
    /// Last reader of each node.
    readers: Vec<Option<usize>>,
    /// For each node, the bytes per image of the earlier values that it and the nodes after it
    /// read.
    sizes: Vec<usize>,
    max_bytes: usize,
    /// Statistics of the batch norms computed so far.
    statistics: Statistics,
    kept: Option<Kept>,
    /// Number of images, once they have been counted.
    images: Option<usize>,
}

impl Pass<'_> {
    /// Computes the moments of the input of batch norm `norm`, given those of the norms before it.
    fn moments<I: Iterator<Item = Result<Tensor>>>(
        &mut self,
        norm: usize,
        batches: &impl Fn() -> I,
    ) -> Result<Moments> {
        let mut sums = Sums::new(self.network, norm);
        let from = self.kept.as_ref().map_or(0, |kept| kept.at);
        // Values are kept at the last node at which they fit.
        let images = self.images.unwrap_or(1);
        let mut keep = (from + 1..=norm)
            .rev()
            .find(|&at| self.sizes[at].saturating_mul(images) <= self.max_bytes);
        let (mut next, mut seen) = (VecDeque::new(), 0);
        let mut fresh = self.kept.is_none().then(batches);
        let at_once = self.network.batches_at_once();
        for first in (0..).step_by(at_once) {
            let mut starts = Vec::new();
            for batch in first..first + at_once {
                starts.extend(self.start(&mut fresh, batch, keep.is_some())?);
            }
            if starts.is_empty() {
                break;
            }
            let part = |start| self.part(start, from, keep, norm);
            for part in self.network.map_batches(starts, part) {
                let part = part?;
                seen += part.images;
                sums.merge(part.sums);
                next.extend(part.kept.filter(|_| keep.is_some()));
                // The first pass counts the images and may find too many of them.
                let too_many = |&at: &usize| self.sizes[at].saturating_mul(seen) > self.max_bytes;
                if fresh.is_some() && keep.as_ref().is_some_and(too_many) {
                    (keep, next) = (None, VecDeque::new());
                }
            }
        }
        self.images = Some(seen);
        if let Some(at) = keep {
            let batches = next;
            self.kept = Some(Kept { at, batches });
        }
        let moments = sums.moments()?;
        Ok(match self.network.plan() {
            None => moments,
            Some(plan) => plan.spread(&|node| self.network.parameters_of(node), norm, &moments),
        })
    }
}

/// What a batch starts from: the kept values, or its images.
type Start = (Values, Option<Tensor>);

/// The contribution of a batch to a pass.
struct Part {
    images: usize,
    sums: Sums,
    /// The values that are kept, if any are.
    kept: Option<Values>,
}

impl Pass<'_> {
    /// Returns the start of batch `batch`: the next images of `fresh`, if given, otherwise the kept
    /// values, which are moved out if `replaced`. Returns `None` after the last batch.
    fn start(
        &mut self,
        fresh: &mut Option<impl Iterator<Item = Result<Tensor>>>,
        batch: usize,
        replaced: bool,
    ) -> Result<Option<Start>> {
        match (fresh, &mut self.kept) {
            (Some(batches), _) => {
                let x = batches.next().transpose()?;
                Ok(x.map(|x| (Values::default(), Some(x))))
            }
            (None, Some(kept)) => Ok(kept.values(batch, replaced).map(|values| (values, None))),
            (None, None) => unreachable!("without kept values, the pass starts from the images"),
        }
    }

    /// Computes a batch from node `from` to the input of batch norm `norm`. If `keep` is given,
    /// copies the values that node `keep` and the nodes after it read.
    fn part(
        &self,
        (mut values, x): Start,
        from: usize,
        keep: Option<usize>,
        norm: usize,
    ) -> Result<Part> {
        let mut at = from;
        let mut advance = |values: &mut Values, to: usize| {
            let nodes = (std::mem::replace(&mut at, to), to);
            let readers = &self.readers;
            self.network
                .advance(values, nodes, x.as_ref(), &self.statistics, readers)
        };
        let mut kept = None;
        if let Some(keep) = keep {
            advance(&mut values, keep)?;
            kept = Some(values.clone());
        }
        advance(&mut values, norm)?;
        let value = values.get(self.network.graph().nodes()[norm].source());
        let mut sums = Sums::new(self.network, norm);
        let images = sums.add(value)?;
        Ok(Part { images, sums, kept })
    }
}

/// Returns, for each node, the bytes per image of the values of earlier nodes that it and the
/// nodes after it read, for values of type `dtype`.
fn frontier_sizes(graph: &Graph, dtype: DType) -> Vec<usize> {
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

/// The sums of a node's values and of their squares, per unit.
struct Sums {
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// The number of values per unit and image.
    area: usize,
    count: usize,
    /// Whether values are stored as (units, positions, images).
    images_last: bool,
    /// Moments computed on the device instead, if the network uses plain tensor operations.
    on_device: Option<Combined>,
}

impl Sums {
    /// Creates empty sums for the input of node `norm`; in a sparse network, for its live units.
    fn new(network: &Network, norm: usize) -> Self {
        let shape = &network.graph().nodes()[norm].shape;
        let (units, area) = match network.plan() {
            None => (shape[0], shape[1..].iter().product()),
            Some(plan) => plan.live_units(norm),
        };
        let zeros = vec![0.0; units];
        Self {
            sum: zeros.clone(),
            squares: zeros,
            area,
            count: 0,
            images_last: network.plan().is_some(),
            on_device: (!network.fused()).then(Combined::default),
        }
    }

    /// Adds the values of a batch. Returns the number of its images.
    fn add(&mut self, value: &Tensor) -> Result<usize> {
        let (units, area) = (self.sum.len(), self.area);
        if let Some(combined) = &mut self.on_device {
            return combined.add(value, units);
        }
        let images = value.dim(usize::from(self.images_last))?;
        self.count += images * area;
        if self.images_last {
            with_slice(value, |values| self.add_runs(values, area * images))?;
        } else if value.dtype() == DType::F32 && value.device().is_cpu() {
            with_slice(value, |values| self.add_samples(values))?;
        } else {
            let values = value.flatten_all()?.to_dtype(DType::F32)?;
            self.add_samples(&values.to_vec1()?);
        }
        Ok(images)
    }

    /// Adds `values`, which are stored sample after sample.
    fn add_samples(&mut self, values: &[f32]) {
        let (units, area) = (self.sum.len(), self.area);
        for sample in values.chunks_exact(units * area) {
            if area > 1 {
                self.add_runs(sample, area);
                continue;
            }
            let sums = self.sum.iter_mut().zip(&mut self.squares);
            for ((sum, square), &x) in sums.zip(sample) {
                *sum += f64::from(x);
                *square += f64::from(x) * f64::from(x);
            }
        }
    }

    /// Adds `length` consecutive values of each unit, in partial sums that the compiler vectorises.
    fn add_runs(&mut self, values: &[f32], length: usize) {
        const LANES: usize = 8;
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((sum, square), run) in sums.zip(values.chunks_exact(length)) {
            let (mut sums, mut squares) = ([0.0_f64; LANES], [0.0_f64; LANES]);
            for chunk in run.chunks(LANES) {
                for (lane, &x) in chunk.iter().enumerate() {
                    sums[lane] += f64::from(x);
                    squares[lane] += f64::from(x) * f64::from(x);
                }
            }
            *sum += sums.iter().sum::<f64>();
            *square += squares.iter().sum::<f64>();
        }
    }

    /// Adds the `other` sums.
    fn merge(&mut self, other: Self) {
        let (sums, squares) = (self.sum.iter_mut(), self.squares.iter_mut());
        sums.zip(other.sum).for_each(|(sum, other)| *sum += other);
        squares
            .zip(other.squares)
            .for_each(|(sum, other)| *sum += other);
        self.count += other.count;
        if let (Some(combined), Some(other)) = (&mut self.on_device, other.on_device) {
            combined.merge(other);
        }
    }

    /// Returns the mean and variance per unit.
    fn moments(&self) -> Result<Moments> {
        if let Some(combined) = &self.on_device {
            return combined.moments(self.sum.len());
        }
        let count = self.count as f64;
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / count).collect();
        let variance = self.squares.iter().zip(&mean);
        Ok(Moments::new(
            mean.iter().map(|&mean| mean as f32).collect(),
            variance
                .map(|(s, m)| (s / count - m * m).max(0.0) as f32)
                .collect(),
        ))
    }
}
