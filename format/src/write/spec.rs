//! Networks to write, as plain numbers, and the conversion of parsed models to them.

use alloc::vec;
use alloc::vec::Vec;

use crate::encoding::{Encoding, Rows, Weights};
use crate::layer::Layer;
use crate::model::Model;
use crate::operation::Operation;
use crate::shape::Shape;

/// A network to write.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// The shape of its input, with at most 255 channels and 255 rows.
    pub input: Shape,
    /// Its layers, from input to output.
    pub layers: Vec<LayerSpec>,
}

/// One layer to write.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// The operation.
    pub operation: Operation,
    /// The encoding of the weights; [`Encoding::None`] for pooling.
    pub encoding: Encoding,
    /// The number of rows (units or channels).
    pub outputs: usize,
    /// The number of rows before stripping, at least `outputs`.
    pub original_outputs: usize,
    /// The shift for [`crate::requantize`], 0..=31; 0 for the last layer.
    pub shift: u8,
    /// The distance to the source, in layers: 1 is the previous layer.
    pub source: usize,
    /// The map that is added before requantization.
    pub skip: Option<SkipSpec>,
    /// Biases and weights.
    pub weights: WeightsSpec,
}

/// A map that a layer adds to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipSpec {
    /// The distance to the map, in layers.
    pub back: usize,
    /// Its left shift, 0..=31.
    pub shift: u8,
}

/// The biases and weights of a layer.
///
/// A row is a list of (column, weight) with strictly increasing columns. A column is the index of
/// an input of a dense layer, or `(channel * height + y) * width + x` in a convolution, whose
/// window has this height and width.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightsSpec {
    /// No weights: a pooling layer.
    None,
    /// Integers, exactly as an engine multiplies them: for [`Encoding::Words`] and
    /// [`Encoding::Columns`], whole words whose low bits are the column or row (see
    /// [`crate::pack_word`]).
    Integers {
        /// One bias per row, in units of the accumulator, including the rounding term.
        bias: Vec<i32>,
        /// The rows.
        rows: Vec<Vec<(u16, i16)>>,
    },
    /// Floats, for [`Encoding::CsrF32`].
    Floats {
        /// One bias per row.
        bias: Vec<f32>,
        /// The rows.
        rows: Vec<Vec<(u16, f32)>>,
    },
}

impl LayerSpec {
    /// Returns a dense layer that reads the previous layer.
    #[must_use]
    pub fn dense(
        encoding: Encoding,
        shift: u8,
        bias: Vec<i32>,
        rows: Vec<Vec<(u16, i16)>>,
    ) -> Self {
        LayerSpec {
            operation: Operation::Dense,
            encoding,
            outputs: bias.len(),
            original_outputs: bias.len(),
            shift,
            source: 1,
            skip: None,
            weights: WeightsSpec::Integers { bias, rows },
        }
    }

    /// Copies a parsed layer.
    #[must_use]
    pub fn from_layer(layer: &Layer<'_>) -> LayerSpec {
        let links = layer.links();
        LayerSpec {
            operation: layer.operation(),
            encoding: layer.encoding(),
            outputs: layer.outputs(),
            original_outputs: layer.original_outputs(),
            shift: layer.shift(),
            source: links.map_or(1, |links| usize::from(links.source)),
            skip: layer.skip().zip(links).map(|((_, shift), links)| SkipSpec {
                back: usize::from(links.skip),
                shift,
            }),
            weights: WeightsSpec::from_layer(layer),
        }
    }
}

impl WeightsSpec {
    /// Copies the weights of a parsed layer.
    fn from_layer(layer: &Layer<'_>) -> WeightsSpec {
        match layer.weights() {
            Weights::None => WeightsSpec::None,
            Weights::Dense(dense) => integers(dense.rows()),
            Weights::Csr(csr) => integers(csr.rows()),
            Weights::Words(words) => integers(words.rows()),
            Weights::Rice(rice) => integers(rice.each()),
            Weights::Columns(columns) => {
                let bias = columns.bias().iter().copied().map(i32::from_le_bytes);
                let mut rows = vec![Vec::new(); layer.outputs()];
                columns.each(|column, row, weight| rows[usize::from(row)].push((column, weight)));
                WeightsSpec::Integers {
                    bias: bias.collect(),
                    rows,
                }
            }
            Weights::CsrF32(mut csr) => {
                let (mut bias, mut rows) = (Vec::new(), Vec::new());
                while let Some((this, row)) = csr.next_row() {
                    bias.push(this);
                    // Columns of a container fit 16 bits.
                    rows.push(
                        row.map(|(column, weight)| (column as u16, weight))
                            .collect(),
                    );
                }
                WeightsSpec::Floats { bias, rows }
            }
        }
    }

    /// Returns the number of stored weights.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            WeightsSpec::None => 0,
            WeightsSpec::Integers { rows, .. } => rows.iter().map(Vec::len).sum(),
            WeightsSpec::Floats { rows, .. } => rows.iter().map(Vec::len).sum(),
        }
    }

    /// Returns whether no weights are stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Collects all rows that `from` has left.
fn integers(mut from: impl Rows) -> WeightsSpec {
    let (mut bias, mut rows) = (Vec::new(), Vec::new());
    loop {
        let mut row = Vec::new();
        let Some(this) = from.next_row(|column, weight| row.push((column, weight))) else {
            return WeightsSpec::Integers { bias, rows };
        };
        bias.push(this);
        rows.push(row);
    }
}

impl NetworkSpec {
    /// Copies a parsed model.
    #[must_use]
    pub fn from_model(model: &Model<'_>) -> NetworkSpec {
        NetworkSpec {
            input: model.input(),
            layers: model
                .layers()
                .map(|layer| LayerSpec::from_layer(&layer))
                .collect(),
        }
    }
}
