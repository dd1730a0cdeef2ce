//! The network during deployment, in f32: folding builds it and stripping shrinks it.
//!
//! Layers are listed in topological order. Batch norms, ReLUs, most pooling and residual additions
//! are part of a layer. The last layer is dense and returns the class scores. The input is raw
//! pixels, 0 to 255. [`forward`](super::forward) computes the network.

use std::ops::Range;

use sprs::CsMat;

use super::sparse;
use crate::graph::{Pooling, Window};

/// What a layer computes from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `W x`, where `x` holds the source's elements, channel-major.
    Dense,
    /// A convolution over the source's map.
    Conv {
        /// The window and its zero padding.
        window: Window,
        /// The pooling after the ReLU: its kind and window size. Windows do not overlap; positions
        /// that do not fill a window are dropped.
        pooling: Option<(Pooling, usize)>,
    },
    /// Pooling of each channel of the source; padding is excluded, from means too.
    Pool {
        /// The window.
        window: Window,
        /// The reduction over the window.
        kind: Pooling,
    },
}

/// Returns a square window of `size` with stride `size` and no padding; a size of 1 is a single
/// tap.
pub(super) fn disjoint(size: usize) -> Window {
    Window {
        size: [size; 2],
        stride: [size; 2],
        before: [0; 2],
        after: [0; 2],
    }
}

/// Returns the positions along `axis` (0 for rows, 1 for columns) of a map of `size` that the
/// window of the output position `output` covers, excluding padding.
pub(super) fn covered(
    window: Window,
    axis: usize,
    output: usize,
    size: [usize; 2],
) -> Range<usize> {
    let first = output * window.stride[axis];
    let end = (first + window.size[axis]).min(size[axis] + window.before[axis]);
    first.saturating_sub(window.before[axis])..end - window.before[axis]
}

/// One layer: `pooled(act(operation(source) + bias + skip))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The name in the architecture, such as `fc1`. Inserted layers are named after the layer that
    /// needs them plus one of the `INSERTED` suffixes.
    pub name: String,
    /// The operation.
    pub operation: Operation,
    /// Sparse weights: one row per output unit or channel; one column per source element for a
    /// dense layer, per (source channel, tap) for a convolution, in PyTorch's order. 0 x 0 for
    /// pooling.
    pub weights: CsMat<f32>,
    /// One bias per row.
    pub bias: Vec<f32>,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// The upper bound of the ReLU, at which a ReLU6 clips; infinite if there is none.
    pub ceiling: f32,
    /// The index of the layer that is read; `None` for the network's input.
    pub source: Option<usize>,
    /// The index of an earlier layer whose output is added element-wise before the ReLU.
    pub skip: Option<usize>,
    /// The output shape, (channels, height, width); (units, 1, 1) for a dense layer.
    pub shape: [usize; 3],
    /// The (rows, columns) of the weights before stripping; (channels, 0) for pooling.
    pub original: (usize, usize),
}

/// Suffixes that name inserted layers: they are appended to the name of the layer that needs them.
const INSERTED: [&str; 5] = [".input", ".output", ".source1", ".source2", ".skip"];

/// Returns the layer of the architecture that the layer called `name` was inserted for, or `name`
/// itself if it was not inserted.
pub(super) fn name_in_architecture(name: &str) -> &str {
    let owner = INSERTED.iter().find_map(|suffix| name.strip_suffix(suffix));
    owner.unwrap_or(name)
}

/// A network of layers in topological order.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The input shape, (channels, height, width).
    pub input: [usize; 3],
    /// The layers, each after its source and its skip; the last returns the class scores.
    pub layers: Vec<Layer>,
}

impl Layer {
    /// Returns the number of output elements.
    pub fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the number of weight columns per channel of a source of `shape`: positions for a
    /// dense layer, taps for a convolution, 0 for pooling.
    pub fn columns(&self, shape: [usize; 3]) -> usize {
        match self.operation {
            Operation::Dense => shape[1] * shape[2],
            Operation::Conv { window, .. } => window.taps(),
            Operation::Pool { .. } => 0,
        }
    }

    /// Returns whether the layer reads zero padding. If so, a constant source channel does not
    /// yield a constant sum.
    pub fn pads(&self) -> bool {
        match self.operation {
            Operation::Conv { window, .. } => window.pads(),
            Operation::Dense | Operation::Pool { .. } => false,
        }
    }

    /// Returns whether the layer is stand-alone pooling, without weights.
    pub fn is_pool(&self) -> bool {
        matches!(self.operation, Operation::Pool { .. })
    }
}

impl Network {
    /// Returns the output shape of layer `source`, or the input shape for `None`.
    pub fn shape(&self, source: Option<usize>) -> [usize; 3] {
        source.map_or(self.input, |layer| self.layers[layer].shape)
    }

    /// Returns whether `layer` is the last layer, which returns the class scores.
    pub fn is_last(&self, layer: usize) -> bool {
        layer + 1 == self.layers.len()
    }

    /// Returns whether the output of `source` can be negative, as that of a layer without a ReLU
    /// can, and that of pooling over one.
    pub fn signed(&self, source: Option<usize>) -> bool {
        signed(&self.layers, source)
    }

    /// Returns the number of stored weights in all layers.
    pub fn nonzeros(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.nnz()).sum()
    }

    /// Returns the layers that read `layer` as their source or skip.
    pub fn readers(&self, layer: usize) -> impl Iterator<Item = &Layer> {
        let reads = move |reader: &&Layer| [reader.source, reader.skip].contains(&Some(layer));
        self.layers.iter().filter(reads)
    }

    /// Returns whether the units (channels, for a map) of `layer` can be reordered. Class scores
    /// cannot, nor can units tied to another layer's by an addition or by pooling.
    pub fn can_reorder(&self, layer: usize) -> bool {
        let own = &self.layers[layer];

        let tied = |reader: &Layer| reader.skip == Some(layer) || reader.is_pool();
        let tied = own.skip.is_some() || own.is_pool() || self.readers(layer).any(tied);
        !self.is_last(layer) && !tied
    }

    /// Reorders the units (channels, for a map) of `layer` and the columns of its readers: the new
    /// unit `i` is the former unit `order[i]`. The network's function is unchanged.
    ///
    /// # Panics
    /// Panics if the units [cannot be reordered](Self::can_reorder), or if `order` is not a
    /// permutation of them.
    pub fn permute(&mut self, layer: usize, order: &[usize]) {
        assert!(
            self.can_reorder(layer),
            "the units of layer {layer} cannot be reordered"
        );
        let shape = self.layers[layer].shape;
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert!(
            sorted.into_iter().eq(0..shape[0]),
            "the order is not a permutation"
        );
        let Layer { weights, bias, .. } = &mut self.layers[layer];
        let every: Vec<usize> = (0..weights.cols()).collect();
        *weights = sparse::select(weights, order, &every);
        *bias = order.iter().map(|&unit| bias[unit]).collect();
        for reader in &mut self.layers {
            if reader.source == Some(layer) {
                let rows: Vec<usize> = (0..reader.weights.rows()).collect();
                let columns = sparse::blocks(order, reader.columns(shape));
                reader.weights = sparse::select(&reader.weights, &rows, &columns);
            }
        }
    }
}

/// Returns whether the output of `source`, one of `layers` or the input, can be negative.
pub(super) fn signed(layers: &[Layer], mut source: Option<usize>) -> bool {
    while let Some(layer) = source.map(|source| &layers[source]) {
        if !layer.is_pool() {
            return !layer.relu;
        }
        source = layer.source;
    }
    false
}

/// Returns the upper bound of the output of `source`, one of `layers` or the input, that a ReLU
/// imposes; infinite if there is none.
pub(super) fn bound(layers: &[Layer], mut source: Option<usize>) -> f32 {
    while let Some(layer) = source.map(|source| &layers[source]) {
        if !layer.is_pool() {
            return layer.ceiling;
        }
        source = layer.source;
    }
    f32::INFINITY
}

/// Returns the layers that `output` depends on, in topological order. Where that order leaves a
/// choice, the given order is kept.
pub(super) fn in_order(layers: Vec<Layer>, output: usize) -> Vec<Layer> {
    let mut needed = vec![false; layers.len()];
    let mut open = vec![output];
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut needed[index], true) {
            open.extend(layers[index].source.into_iter().chain(layers[index].skip));
        }
    }
    let mut layers: Vec<Option<Layer>> = layers.into_iter().map(Some).collect();
    let (mut places, mut ordered) = (vec![None; layers.len()], Vec::new());
    let placed = |places: &[Option<usize>], layer: &Layer| {
        let mut reads = layer.source.into_iter().chain(layer.skip);
        reads.all(|source| places[source].is_some())
    };
    while places[output].is_none() {
        let ready = |index: &usize| {
            let layer = layers[*index].as_ref();
            needed[*index] && layer.is_some_and(|layer| placed(&places, layer))
        };
        let next = (0..layers.len()).find(ready).expect("layers form no cycle");
        let mut layer = layers[next].take().expect("it was ready");
        layer.source = layer.source.and_then(|source| places[source]);
        layer.skip = layer.skip.and_then(|skip| places[skip]);
        places[next] = Some(ordered.len());
        ordered.push(layer);
    }
    ordered
}
