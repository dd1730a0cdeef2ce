//! What a container holds, layer by layer: dimensions, operations, bytes and of what.
//!
//! Every byte of a layer is counted once: as position (where weights are: columns, row lengths,
//! starts, runs), value, bias or parameter (geometry, links, the head of a block, a codebook). A packed
//! word is column and value in 16 bits, and an entropy-coded block all of it in a stream of bits: those
//! are counted where they belong, to the nearest byte.
//!
//! Beside them stands the information limit: with k of a layer's n stored weights not zero, no code
//! names their places in less than log2 C(n, k) bits on average when every choice is as likely, nor
//! their values in less than a value's bits each. Where not all are as likely (weights cluster, small
//! ones are more frequent, an order of units was chosen to suit) an encoding may go below.
//!
//! Assumes a parsed model: nothing is refused.

mod operation;
mod origin;

use std::path::Path;

use rarefy_format::{
    GEOMETRY_BYTES, HEADER_BYTES, LINKS_BYTES, Layer, LayerSpec, Model, Operation, RECORD_BYTES,
    Weights, WeightsSpec,
};
use serde::Serialize;

use super::activity::Activity;
use super::costs::{self, Core, Prediction};
use operation::{number_of, operation};
pub use origin::{LayerOrigin, origins};

/// Bytes of a block by columns before its biases.
const COLUMNS_HEAD_BYTES: usize = 4;

/// What a container holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The file.
    pub path: String,
    /// The format's version.
    pub format: u8,
    /// Its bytes.
    pub bytes: usize,
    /// Of which header, layer records and padding between blocks.
    pub overhead_bytes: usize,
    /// Of which padding.
    pub padding_bytes: usize,
    /// Inputs, one byte each.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Bytes of RAM that an inference needs beside its input and stack.
    pub arena_bytes: usize,
    /// Weights other than zero, without those known to be inserted.
    pub nonzeros: usize,
    /// Weights other than zero that deployment inserted; 0 where that is not known, as of a
    /// container without its companion.
    pub inserted_nonzeros: usize,
    /// Weights of the dense network before stripping, without those known to be inserted.
    pub total: usize,
    /// Instructions that an inference is predicted to take, from the input's bytes to the class: those
    /// of the layers and of the walk over them.
    pub instructions: Option<u64>,
    /// Whether that is an upper bound, because some layer's is.
    pub at_most: bool,
    /// The layers.
    pub layers: Vec<LayerReport>,
}

impl ModelReport {
    /// Puts instructions in place of those predicted here: those of each layer and of a whole inference,
    /// predicted from what the layers were seen to read.
    ///
    /// Does nothing where they are not of as many layers.
    pub fn predicted(&mut self, layers: &[u64], all: u64) {
        if layers.len() == self.layers.len() {
            for (layer, &instructions) in self.layers.iter_mut().zip(layers) {
                (layer.instructions, layer.at_most) = (Some(instructions), false);
            }
            (self.instructions, self.at_most) = (Some(all), false);
        }
    }
}

/// What one layer of a container holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// Place in the network, from 1.
    pub layer: usize,
    /// Its name in the architecture, where that is known; an inserted layer is called after what
    /// needs it.
    pub name: Option<String>,
    /// Whether deployment is known to have inserted it.
    pub inserted: bool,
    /// What it computes: "dense", "conv 5x5, padding 2, max 2", "max 2x2, stride 2".
    pub operation: String,
    /// The window's size along an axis; none for a dense layer.
    pub window: Option<usize>,
    /// Columns as stored: a dense layer's inputs, a convolution's channels times taps.
    pub inputs: usize,
    /// Rows as stored: units or channels.
    pub outputs: usize,
    /// Columns before stripping.
    pub original_inputs: usize,
    /// Rows before stripping.
    pub original_outputs: usize,
    /// Weights other than zero.
    pub nonzeros: usize,
    /// Of these the weights known to be inserted: all of an inserted layer, and those that read a
    /// constant channel.
    pub inserted_nonzeros: usize,
    /// Share of the weights before stripping, both without inserted ones; 0 where it never had any.
    pub density: f64,
    /// How weights are stored.
    pub encoding: &'static str,
    /// Bits that requantization drops.
    pub shift: u8,
    /// Bytes, and of what.
    pub bytes: LayerBytes,
    /// The fewest bytes, as information theory has it.
    pub limit: Limit,
    /// Instructions that an inference is predicted to spend on it.
    pub instructions: Option<u64>,
    /// Whether that is an upper bound: it skips zeros, and how many there are is not known.
    pub at_most: bool,
}

impl LayerReport {
    /// Its dimensions as stored: "98 x 195", "6 x 1 x 5 x 5", "16" for pooling.
    #[must_use]
    pub fn shape(&self) -> String {
        self.dimensions(self.outputs, self.inputs)
    }

    /// Its dimensions before stripping.
    #[must_use]
    pub fn original_shape(&self) -> String {
        self.dimensions(self.original_outputs, self.original_inputs)
    }

    fn dimensions(&self, outputs: usize, inputs: usize) -> String {
        match self.window {
            Some(_) if inputs == 0 => outputs.to_string(),
            Some(size) => {
                let channels = inputs / (size * size);
                format!("{outputs} x {channels} x {size} x {size}")
            }
            None => format!("{outputs} x {inputs}"),
        }
    }
}

/// Bytes of one layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LayerBytes {
    /// Columns, row lengths, starts, runs.
    pub positions: usize,
    /// Weights.
    pub values: usize,
    /// Biases.
    pub biases: usize,
    /// Geometry, links, the head of the block.
    pub parameters: usize,
    /// All four: the layer's block.
    pub total: usize,
}

/// Bytes that positions and values take at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Limit {
    /// log2 C(n, k) bits, for k of n stored weights that are not zero.
    pub positions: f64,
    /// The bits of a value, for each of them.
    pub values: f64,
}

/// Returns the report of `model`, which came from `path`, with the instructions that it is predicted to
/// take on `core`. `activity` says for each layer how often what it reads is not 0; without it layers
/// that skip zeros get an upper bound.
///
/// # Panics
/// When `activity` is not that of the model's layers.
pub fn report(
    model: &Model<'_>,
    path: &Path,
    core: Core,
    activity: Option<&[Activity]>,
) -> ModelReport {
    let mut layers: Vec<LayerReport> = Vec::with_capacity(model.layer_count());
    for layer in model.layers() {
        let source = number_of(&layer, layer.links().map_or(1, |links| links.source));
        let channels = match source {
            0 => usize::from(model.input().channels),
            number => layers[number - 1].original_outputs,
        };
        let activity = activity.map(|activity| &activity[layer.index()]);
        let predicted = costs::predict(&layer, core, activity);
        layers.push(layer_report(&layer, channels, predicted));
    }
    let around = costs::overhead(model, core).round() as u64;
    let predicted: Option<u64> = layers.iter().map(|layer| layer.instructions).sum();
    let bytes = model.bytes().len();
    let overhead = bytes - layers.iter().map(|layer| layer.bytes.total).sum::<usize>();
    ModelReport {
        path: path.display().to_string(),
        format: rarefy_format::VERSION,
        bytes,
        overhead_bytes: overhead,
        padding_bytes: overhead - HEADER_BYTES - RECORD_BYTES * layers.len(),
        inputs: model.inputs(),
        outputs: model.outputs(),
        arena_bytes: 4 * model.arena_words(),
        nonzeros: layers.iter().map(|layer| layer.nonzeros).sum(),
        inserted_nonzeros: 0,
        total: layers
            .iter()
            .map(|layer| layer.original_inputs * layer.original_outputs)
            .sum(),
        instructions: predicted.map(|predicted| predicted + around),
        at_most: layers.iter().any(|layer| layer.at_most),
        layers,
    }
}

/// The report of one layer, whose source had so many `channels` before stripping.
fn layer_report(layer: &Layer<'_>, channels: usize, predicted: Prediction) -> LayerReport {
    let source = layer.source().shape;
    let (window, original_inputs) = match layer.operation() {
        Operation::Dense => {
            let plane = usize::from(source.height) * usize::from(source.width);
            (None, channels * plane)
        }
        Operation::Conv { window, .. } => {
            let size = usize::from(window.size);
            (Some(size), channels * size * size)
        }
        Operation::Pool { window, .. } => (Some(window.size.into()), 0),
    };
    let nonzeros = match LayerSpec::from_layer(layer).weights {
        WeightsSpec::None => 0,
        WeightsSpec::Integers { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0).count(),
        WeightsSpec::Floats { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0.0).count(),
    };
    let stored = layer.outputs() * layer.columns();
    let original = layer.original_outputs() * original_inputs;
    let (bytes, bits) = bytes(layer);
    LayerReport {
        layer: layer.index() + 1,
        name: None,
        inserted: false,
        operation: operation(layer),
        window,
        inputs: layer.columns(),
        outputs: layer.outputs(),
        original_inputs,
        original_outputs: layer.original_outputs(),
        nonzeros,
        inserted_nonzeros: 0,
        density: nonzeros as f64 / original.max(1) as f64,
        encoding: layer.encoding().name(),
        shift: layer.shift(),
        bytes,
        limit: Limit {
            positions: choices(stored, nonzeros) / 8.0,
            values: (nonzeros * bits) as f64 / 8.0,
        },
        instructions: Some(predicted.instructions.round() as u64),
        at_most: predicted.at_most,
    }
}

/// The bytes of a layer's block by what they are for, and the bits of a stored value.
fn bytes(layer: &Layer<'_>) -> (LayerBytes, usize) {
    let block = layer.block().len();
    let biases = 4 * layer.outputs();
    let (mut bytes, bits) = match layer.weights() {
        Weights::None => (LayerBytes::default(), 0),
        Weights::Dense(dense) => (parts(0, dense.values().len(), biases, block), 8),
        Weights::Csr(csr) => {
            let positions = 2 * (csr.lengths().len() + csr.columns().len());
            (parts(positions, csr.values().len(), biases, block), 8)
        }
        Weights::Words(words) => {
            let index_bits = words.mask().count_ones() as usize;
            let pairs = words.runs().map(|run| run.length.div_ceil(2) * run.rows);
            let stream = 4 * pairs.sum::<usize>();
            let indices = (stream / 2 * index_bits + 4) / 8;
            // What else there is, but for the mask, are the heads of runs and the end.
            let positions = block - 4 - stream - biases + indices;
            let parts = parts(positions, stream - indices, biases, block);
            (parts, 16 - index_bits)
        }
        Weights::Columns(columns) => {
            let index_bits = columns.mask().count_ones() as usize;
            let mut stored = 0;
            columns.each(|_, _, _| stored += 1);
            let indices = (stored * index_bits + 4) / 8;
            // Where blocks begin, what they count, and what fills them up, is among the positions.
            let positions = block - COLUMNS_HEAD_BYTES - biases - (2 * stored - indices);
            let parts = parts(positions, 2 * stored - indices, biases, block);
            (parts, 16 - index_bits)
        }
        Weights::Rice(rice) => {
            let bits = rice.parts();
            let (values, biases) = ((bits.values + 4) / 8, (bits.biases + 4) / 8);
            let head = bits.parameters / 8;
            // What fills the last byte is among the positions.
            let positions = block.saturating_sub(head + values + biases);
            let parts = parts(positions, values, biases, block);
            (parts, rice.value_bits() as usize)
        }
        Weights::CsrF32(_) => {
            let lengths = 2 * layer.outputs();
            let stored = (block - biases - lengths) / 6;
            (parts(lengths + 2 * stored, 4 * stored, biases, block), 32)
        }
    };
    if !matches!(layer.operation(), Operation::Dense) {
        bytes.parameters += GEOMETRY_BYTES;
    }
    if layer.links().is_some() {
        bytes.parameters += LINKS_BYTES;
    }
    bytes.total = bytes.positions + bytes.values + bytes.biases + bytes.parameters;
    (bytes, bits)
}

/// The parts of a `block`; what is none of the first three is its head.
fn parts(positions: usize, values: usize, biases: usize, block: usize) -> LayerBytes {
    LayerBytes {
        positions,
        values,
        biases,
        parameters: block - positions - values - biases,
        total: block,
    }
}

/// log2 C(n, k): the bits that tell which `k` of `n`.
fn choices(n: usize, k: usize) -> f64 {
    let k = k.min(n - k);
    (1..=k)
        .map(|i| ((n - k + i) as f64 / i as f64).log2())
        .sum::<f64>()
}

#[cfg(test)]
mod tests {
    use rarefy_format::{Encoding, Margin, NetworkSpec, Pooling, Shape, SkipSpec, Window, write};

    use super::*;

    fn report_of(network: &NetworkSpec) -> ModelReport {
        let bytes = write(network).unwrap();
        let model = Model::parse(&bytes).unwrap();
        report(&model, Path::new("model.rfy"), Core::M4, None)
    }

    /// Two rows over five columns, three weights, in `encoding`.
    fn dense(encoding: Encoding) -> NetworkSpec {
        let word = |index: u16, weight: i16, bits: u32| weight << bits | index as i16;
        let rows = match encoding {
            // Three bits name five columns, one bit two rows.
            Encoding::Words => vec![
                vec![(0, word(0, 3, 3)), (4, word(4, -2, 3))],
                vec![(1, word(1, 9, 3))],
            ],
            Encoding::Columns => vec![
                vec![(0, word(0, 3, 1)), (4, word(0, -2, 1))],
                vec![(1, word(1, 9, 1))],
            ],
            _ => vec![vec![(0, 3), (4, -2)], vec![(1, 9)]],
        };
        let mut layer = LayerSpec::dense(encoding, 0, vec![7, -7], rows);
        layer.original_outputs = 4;
        NetworkSpec {
            input: Shape::flat(5),
            layers: vec![layer],
        }
    }

    #[test]
    fn every_byte_of_every_encoding_is_counted_once() {
        for (encoding, positions, values, parameters, bits) in [
            (Encoding::Dense, 0, 10, 0, 8),
            (Encoding::Csr, 4 + 6, 3, 0, 8),
            // One run for both rows, and the end; four words of 3 and 13 bits: 12 bits are nearest to 2 bytes.
            (Encoding::Words, 4 + 4 + 2, 6, 4, 13),
            // Three starts and what fills them up, the empty block, two counts, three words of 0 that fill up
            // sections; three words of 1 and 15 bits: 3 bits are nearest to no byte.
            (Encoding::Columns, 8 + 4 + 8 + 6, 6, 4, 15),
        ] {
            let report = report_of(&dense(encoding));
            let layer = &report.layers[0];
            let expected = LayerBytes {
                positions,
                values,
                biases: 8,
                parameters,
                total: positions + values + 8 + parameters,
            };
            assert_eq!(layer.bytes, expected, "{encoding:?}");
            assert_eq!(layer.nonzeros, 3, "{encoding:?}");
            assert_eq!(
                report.bytes,
                16 + 8 + layer.bytes.total + report.padding_bytes
            );
            // 120 ways to choose three of ten.
            assert!((layer.limit.positions - 120_f64.log2() / 8.0).abs() < 1e-12);
            assert_eq!(layer.limit.values, f64::from(3 * bits) / 8.0);
            assert_eq!((layer.original_outputs, layer.original_inputs), (4, 5));
            assert_eq!(layer.density, 3.0 / 20.0);
            // Of these only columns skip zeros.
            let skips = encoding == Encoding::Columns;
            assert_eq!((layer.at_most, report.at_most), (skips, skips));
            assert!(report.instructions > layer.instructions, "{encoding:?}");
        }
    }

    #[test]
    fn an_entropy_coded_block_is_cut_by_bits() {
        // One weight of each four columns, of four bits.
        let weight = |row: u16, place: u16| {
            let magnitude = (row * 5 + place * 3) % 8 + 1;
            let sign = if (row + place).is_multiple_of(3) {
                -1
            } else {
                1
            };
            (4 * place + (row * place) % 4, sign * magnitude as i16)
        };
        let row = |row: u16| (0..16).map(|place| weight(row, place)).collect();
        let rows = (0..32).map(row).collect();
        let bias = (0..32).map(|row| row * 64 - 1000).collect();
        let network = NetworkSpec {
            input: Shape::flat(64),
            layers: vec![LayerSpec::dense(Encoding::Rice, 0, bias, rows)],
        };
        let report = report_of(&network);
        let LayerReport { bytes, limit, .. } = &report.layers[0];
        assert_eq!(report.bytes, 16 + 8 + bytes.total);
        let LayerBytes {
            positions,
            values,
            biases,
            ..
        } = *bytes;
        assert_eq!(bytes.total, positions + values + biases + bytes.parameters);
        // The head, a codebook of sixteen weights, the length of the list.
        assert_eq!(bytes.parameters, 4 + 17 + 2);
        // The sizes are spread evenly, and positive ones more frequent: hardly more than four bits each.
        assert_eq!((limit.values, values), (256.0, 266));
        // A bias is a multiple of 8 from -125 to 123 of them: eight bits, and half a one for the code.
        assert_eq!(biases, 34);
        // Rows alike and weights evenly spread: less than if any choice were as likely.
        let positions = positions as f64 / limit.positions;
        assert!((0.7..1.0).contains(&positions), "{positions}");
    }

    #[test]
    fn floats_are_counted_with_their_width() {
        let mut network = dense(Encoding::CsrF32);
        network.layers[0].weights = WeightsSpec::Floats {
            bias: vec![0.5, -0.5],
            rows: vec![vec![(0, 1.5), (4, 0.0)], vec![(1, 9.0)]],
        };
        let layer = &report_of(&network).layers[0];
        let expected = LayerBytes {
            positions: 4 + 6,
            values: 12,
            biases: 8,
            parameters: 0,
            total: 30,
        };
        assert_eq!((layer.bytes, layer.nonzeros), (expected, 2));
        assert_eq!(layer.limit.values, 8.0);
    }

    #[test]
    fn maps_and_links_are_told_with_the_dimensions_before_stripping() {
        let window = |size, stride, padding| Window {
            size,
            stride,
            padding: Margin {
                top: padding,
                left: padding,
                bottom: padding,
                right: padding,
            },
        };
        let conv = |window, pooling, outputs: usize, rows: &[(u16, i16)]| LayerSpec {
            operation: Operation::Conv { window, pooling },
            original_outputs: outputs + 3,
            ..LayerSpec::dense(
                Encoding::Csr,
                4,
                vec![1; outputs],
                vec![rows.to_vec(); outputs],
            )
        };
        let mut added = conv(window(3, 1, 1), Some((Pooling::Max, 2)), 2, &[(17, 5)]);
        added.skip = Some(SkipSpec { back: 2, shift: 3 });
        let pool = LayerSpec {
            operation: Operation::Pool {
                pooling: Pooling::Average,
                window: window(2, 2, 0),
            },
            encoding: Encoding::None,
            weights: WeightsSpec::None,
            original_outputs: 5,
            ..LayerSpec::dense(Encoding::Csr, 2, vec![0; 2], Vec::new())
        };
        let network = NetworkSpec {
            input: Shape {
                channels: 1,
                height: 8,
                width: 8,
            },
            layers: vec![
                conv(window(3, 1, 1), None, 2, &[(0, 1), (8, -1)]),
                conv(window(3, 1, 1), None, 2, &[(3, 2)]),
                added,
                pool,
                LayerSpec::dense(Encoding::Dense, 0, vec![0; 3], vec![vec![(7, 1)]; 3]),
            ],
        };
        let report = report_of(&network);
        let operations: Vec<&str> = report.layers.iter().map(|l| &*l.operation).collect();
        assert_eq!(
            operations,
            [
                "conv 3x3, padding 1",
                "conv 3x3, padding 1",
                "conv 3x3, padding 1, max 2, plus layer 1",
                "average 2x2, stride 2",
                "dense",
            ]
        );
        let dimensions = |l: &LayerReport| {
            (
                (l.original_outputs, l.original_inputs),
                (l.outputs, l.inputs),
            )
        };
        let dimensions: Vec<_> = report.layers.iter().map(dimensions).collect();
        assert_eq!(
            dimensions,
            [
                ((5, 9), (2, 9)),
                ((5, 45), (2, 18)),
                ((5, 45), (2, 18)),
                ((5, 0), (2, 0)),
                // Four positions of each channel are left.
                ((3, 20), (3, 8)),
            ]
        );
        let parameters: Vec<usize> = report.layers.iter().map(|l| l.bytes.parameters).collect();
        let links = LINKS_BYTES;
        assert_eq!(
            parameters,
            [8 + links, 8 + links, 8 + links, 8 + links, links]
        );
        let blocks: usize = report.layers.iter().map(|l| l.bytes.total).sum();
        assert_eq!(report.bytes, blocks + report.overhead_bytes);
        assert_eq!(report.overhead_bytes, 16 + 5 * 8 + report.padding_bytes);
        assert_eq!(report.layers[3].limit, Limit::default());
    }
}
