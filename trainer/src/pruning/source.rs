//! What a pruner may look at, and how it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use candle_core::Device;

use super::score::snip;
use super::{Kernels, PruneError};
use crate::data::Dataset;
use crate::graph::Graph;

/// What a pruner may look at. Begin with [`Source::new`] and add what there is.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The architecture.
    pub graph: &'a Graph,
    /// The weights before training, which SNIP, SynFlow and GraSP rank; where there are none, those
    /// that training from `seed` starts from.
    pub initial: Option<&'a Kernels>,
    /// The weights of the trained dense network, which magnitude and LAMP rank.
    pub trained: Option<&'a Kernels>,
    /// The data, whose training images SNIP and GraSP read.
    pub data: Option<&'a Dataset>,
    /// Where gradients are computed.
    pub device: &'a Device,
    /// The seed of everything random.
    pub seed: u64,
    /// How SNIP looks at them.
    pub snip: snip::Options,
    /// Told how many steps of how many are done, by pruners that take long.
    pub progress: &'a dyn Fn(usize, usize),
    /// Raised to stop.
    pub stop: &'a AtomicBool,
}

impl<'a> Source<'a> {
    /// A source with nothing but the architecture.
    pub fn new(graph: &'a Graph) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            graph,
            initial: None,
            trained: None,
            data: None,
            device: &Device::Cpu,
            seed: 0,
            snip: snip::Options::default(),
            progress: &|_, _| {},
            stop: &NEVER,
        }
    }

    /// The data, for `reader`.
    ///
    /// # Errors
    /// When there is none, or it does not fit the architecture.
    pub(super) fn data(&self, reader: &'static str) -> Result<&'a Dataset, PruneError> {
        let data = self.data.ok_or(PruneError::NeedsData { reader })?;
        fits(self.graph, data).map_err(PruneError::Data)?;
        Ok(data)
    }

    /// Tells that `done` steps of `all` are done.
    ///
    /// # Errors
    /// When it is time to stop.
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

/// The most nodes of a network that gradients are taken of: they are followed by recursion, and
/// these fit the stack of a process (8 MiB) twice.
const MOST_NODES: usize = 10_000;

/// Checks that images and classes of `data` are those that `graph` takes, and that gradients can be
/// taken of it.
///
/// # Errors
/// Saying what is apart, or that the network is too deep.
pub fn fits(graph: &Graph, data: &Dataset) -> Result<(), String> {
    let nodes = graph.nodes().len();
    if nodes > MOST_NODES {
        return Err(format!(
            "{} is too deep for gradients: with batch norms, ReLUs and additions it has {nodes} layers, and they are taken of at most {MOST_NODES}; give it fewer layers",
            graph.name()
        ));
    }
    if data.train.shape().as_slice() != graph.input_shape() {
        return Err(format!(
            "dataset {} has images of {:?} (channels, height, width), but {} takes {:?}",
            data.name,
            data.train.shape(),
            graph.name(),
            graph.input_shape()
        ));
    }
    if data.classes > graph.classes() {
        return Err(format!(
            "dataset {} has {} classes, but {} tells only {} apart",
            data.name,
            data.classes,
            graph.name(),
            graph.classes()
        ));
    }
    Ok(())
}
