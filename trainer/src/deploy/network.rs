//! The network on its way to the device, in f32: what folding makes and stripping shrinks.
//!
//! A list of layers, each after what it reads; batch norms, ReLUs, most pooling and residual
//! additions are part of a layer. The last layer is dense and gives the class scores. It takes raw
//! pixels, 0 to 255. What it computes is in [`forward`](super::forward).

use sprs::CsMat;

use super::sparse;
use crate::graph::{Pooling, Window};

/// What a layer computes from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `W x + b` of the source's elements, a map's channel first.
    Dense,
    /// A convolution of the source's map.
    Conv {
        /// The window and its padding of zeros.
        window: Window,
        /// The pooling that follows the ReLU: its kind and size. Its windows do not overlap, and
        /// positions that fill none are dropped.
        pooling: Option<(Pooling, usize)>,
    },
    /// Pooling of each channel of the source; padding is left out, of means too.
    Pool {
        /// The window.
        window: Window,
        /// What is kept of it.
        kind: Pooling,
    },
}

/// A window of `size` at every `size` positions, without padding: of one tap at 1.
pub(super) fn disjoint(size: usize) -> Window {
    Window {
        size,
        stride: size,
        before: [0; 2],
        after: [0; 2],
    }
}

/// One layer: `pooled(act(operation(source) + bias + skip))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name in the architecture, such as `fc1`; inserted layers are called after what needs them.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Sparse rows, one for each unit or channel given; a column for each element read of a dense
    /// layer, for each (channel read, tap) of a convolution, PyTorch's order. Of pooling 0 x 0.
    pub weights: CsMat<f32>,
    /// One for each row.
    pub bias: Vec<f32>,
    /// Whether max(0, ·) follows.
    pub relu: bool,
    /// The layer it reads; none for the input.
    pub source: Option<usize>,
    /// A layer before it whose output is added before the ReLU, element by element.
    pub skip: Option<usize>,
    /// The shape of its output, (channels, height, width); (units, 1, 1) of a dense layer.
    pub shape: [usize; 3],
    /// (rows, columns) before stripping; of pooling (channels, 0).
    pub original: (usize, usize),
}

/// A network of layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The input's shape, (channels, height, width).
    pub input: [usize; 3],
    /// The layers, each after its source and its skip; the last gives the class scores.
    pub layers: Vec<Layer>,
}

impl Layer {
    /// Elements of its output.
    pub fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    /// Weight columns for each channel of a source of `shape`: its positions for a dense layer, taps for a
    /// convolution, none for pooling.
    pub fn columns(&self, shape: [usize; 3]) -> usize {
        match self.operation {
            Operation::Dense => shape[1] * shape[2],
            Operation::Conv { window, .. } => window.size * window.size,
            Operation::Pool { .. } => 0,
        }
    }

    /// Whether zeros are read around the source: then a constant channel gives no constant.
    pub fn pads(&self) -> bool {
        match self.operation {
            Operation::Conv { window, .. } => [window.before, window.after] != [[0; 2]; 2],
            Operation::Dense | Operation::Pool { .. } => false,
        }
    }

    /// Whether it is pooling alone, with no weights.
    pub fn is_pool(&self) -> bool {
        matches!(self.operation, Operation::Pool { .. })
    }
}

impl Network {
    /// The shape of what `source` gives: a layer's output, or the input.
    pub fn shape(&self, source: Option<usize>) -> [usize; 3] {
        source.map_or(self.input, |layer| self.layers[layer].shape)
    }

    /// Whether `source` can give negative numbers: a layer without ReLU, or pooling of one.
    pub fn signed(&self, source: Option<usize>) -> bool {
        signed(&self.layers, source)
    }

    /// Weights stored in all layers.
    pub fn nonzeros(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.nnz()).sum()
    }

    /// The layers that read `layer`, as their source or skip.
    pub fn readers(&self, layer: usize) -> impl Iterator<Item = &Layer> {
        let reads = move |reader: &&Layer| [reader.source, reader.skip].contains(&Some(layer));
        self.layers.iter().filter(reads)
    }

    /// Whether the units (of a map: the channels) of `layer` can be reordered: not where they are class
    /// scores, nor tied to another layer's by an addition or by pooling.
    pub fn free(&self, layer: usize) -> bool {
        let own = &self.layers[layer];
        let scores = layer + 1 == self.layers.len();
        let tied = |reader: &Layer| reader.skip == Some(layer) || reader.is_pool();
        let tied = own.skip.is_some() || own.is_pool() || self.readers(layer).any(tied);
        !scores && !tied
    }

    /// Reorders the units (of a map: the channels) of `layer`, with the columns of its readers: unit `i`
    /// becomes what unit `order[i]` was. The network computes the same.
    ///
    /// # Panics
    /// When the layer is not [`free`](Self::free) or `order` is no permutation of its units.
    pub fn permute(&mut self, layer: usize, order: &[usize]) {
        assert!(self.free(layer), "the units of layer {layer} can move");
        let shape = self.layers[layer].shape;
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..shape[0]), "a permutation");
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

/// Whether `source` of one of `layers` can give negative numbers.
pub(super) fn signed(layers: &[Layer], mut source: Option<usize>) -> bool {
    while let Some(layer) = source.map(|source| &layers[source]) {
        if !layer.is_pool() {
            return !layer.relu;
        }
        source = layer.source;
    }
    false
}

/// Those of `layers` that `output` needs, each after what it reads, otherwise in the order given.
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
        let next = (0..layers.len())
            .find(ready)
            .expect("layers form no circle");
        let mut layer = layers[next].take().expect("it was ready");
        layer.source = layer.source.and_then(|source| places[source]);
        layer.skip = layer.skip.and_then(|skip| places[skip]);
        places[next] = Some(ordered.len());
        ordered.push(layer);
    }
    ordered
}
