//! The inputs of a pruner: the architecture, weights, data and options that it may read.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use candle_core::Device;

use super::error::PruneError;
use super::loss::Loss;
use super::weights::Weights;
use crate::data::Dataset;
use crate::graph::Graph;
use crate::masks::Masks;

/// The options of SNIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnipOptions {
    /// The loss whose gradient is taken.
    pub loss: Loss,
    /// The number of images in total; by default the number that the paper's code reads.
    pub samples: Option<usize>,
}

/// Limits on what a pruner keeps. `random/synflow` ignores them when pruning to an effective
/// compression.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits<'a> {
    /// The connections that compete to be kept; all others are pruned already. By default all
    /// compete.
    pub within: Option<&'a Masks>,
    /// The indices of the prunable tensors that are kept whole.
    pub dense: &'a [usize],
}

/// The inputs of a pruner. Start from [`Source::new`] and add what is available.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The architecture.
    pub graph: &'a Graph,
    /// The weights before training, which SNIP, SynFlow and GraSP rank; by default those at which
    /// training from `seed` starts.
    pub initial: Option<&'a Weights>,
    /// The weights of the trained dense network, which magnitude and LAMP rank.
    pub trained: Option<&'a Weights>,
    /// The dataset, whose training images SNIP and GraSP read.
    pub data: Option<&'a Dataset>,
    /// The device that computes gradients.
    pub device: &'a Device,
    /// The seed of all random draws.
    pub seed: u64,
    /// The options of SNIP.
    pub snip: SnipOptions,
    /// The connections that may be kept.
    pub limits: Limits<'a>,
    /// Called by slow pruners with the steps done and the steps in total.
    pub progress: &'a dyn Fn(usize, usize),
    /// Set to interrupt the pruner.
    pub stop: &'a AtomicBool,
}

impl<'a> Source<'a> {
    /// Creates a source that holds only the architecture.
    pub fn new(graph: &'a Graph) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            graph,
            initial: None,
            trained: None,
            data: None,
            device: &Device::Cpu,
            seed: 0,
            snip: SnipOptions::default(),
            limits: Limits::default(),
            progress: &|_, _| {},
            stop: &NEVER,
        }
    }

    /// Returns the dataset that the score `reader` needs.
    ///
    /// # Errors
    /// Returns an error if there is none, or if it does not fit the architecture.
    pub(super) fn data(&self, reader: &'static str) -> Result<&'a Dataset, PruneError> {
        let data = self.data.ok_or(PruneError::NeedsData { reader })?;
        fits(self.graph, data)?;
        match data.reading.has_labels() {
            true => Ok(data),
            false => Err(PruneError::Data(format!(
                "dataset {} has no labels, but {reader} computes the gradients of a loss: give the labels of its samples",
                data.name
            ))),
        }
    }

    /// Reports that `done` steps of `all` are done.
    ///
    /// # Errors
    /// Returns an error if `stop` is set.
    pub(super) fn step(&self, done: usize, all: usize) -> Result<(), PruneError> {
        (self.progress)(done, all);
        if self.stop.load(Relaxed) {
            Err(PruneError::Interrupted)
        } else {
            Ok(())
        }
    }
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("graph", &self.graph.name())
            .field("seed", &self.seed)
            .field("snip", &self.snip)
            .finish_non_exhaustive()
    }
}

/// The largest number of nodes for which gradients are computed. Backpropagation recurses over the
/// nodes; for this many it takes at most half of a process's stack of 8 MiB.
const MOST_NODES: usize = 10_000;

/// Checks that `data` fits the input and the classes of `graph`, and that gradients of `graph` can
/// be computed.
///
/// # Errors
/// Returns an error if they do not fit, or if the network is too deep.
pub fn fits(graph: &Graph, data: &Dataset) -> Result<(), PruneError> {
    let nodes = graph.nodes().len();
    if nodes > MOST_NODES {
        return Err(PruneError::TooDeep {
            network: graph.name().into(),
            nodes,
            most: MOST_NODES,
        });
    }
    if data.train.shape().as_slice() != graph.input_shape() {
        return Err(PruneError::Data(format!(
            "dataset {} has {} of {:?} (channels, height, width), but {} expects {:?}",
            data.name,
            data.noun(),
            data.train.shape(),
            graph.name(),
            graph.input_shape()
        )));
    }
    if data.has_targets() && data.classes != graph.classes() {
        return Err(PruneError::Data(format!(
            "dataset {} has {} targets per sample, but {} has {} outputs: give the last layer as many units",
            data.name,
            data.classes,
            graph.name(),
            graph.classes()
        )));
    }
    if data.classes > graph.classes() {
        return Err(PruneError::Data(format!(
            "dataset {} has {} classes, but {} has only {} outputs",
            data.name,
            data.classes,
            graph.name(),
            graph.classes()
        )));
    }
    Ok(())
}
