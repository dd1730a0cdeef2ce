//! A network to write, in numbers and independent of how they will be stored; and the one that a
//! container holds, for writing it again.

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
    /// What it reads: at most 255 channels and rows.
    pub input: Shape,
    /// Its layers, from the input to the output.
    pub layers: Vec<LayerSpec>,
}

/// One layer to write.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// What it computes.
    pub operation: Operation,
    /// How its weights are stored; [`Encoding::None`] for pooling.
    pub encoding: Encoding,
    /// Rows: units or channels.
    pub outputs: usize,
    /// Rows before stripping, at least `outputs`.
    pub original_outputs: usize,
    /// Bits that [`crate::requantize`] shifts out, 0..=31; 0 for the last layer.
    pub shift: u8,
    /// How many layers back the source is: 1 is the layer before.
    pub source: usize,
    /// The map added before the shift.
    pub skip: Option<SkipSpec>,
    /// Biases and weights.
    pub weights: WeightsSpec,
}

/// A map that a layer adds to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipSpec {
    /// How many layers back it is.
    pub back: usize,
    /// Its shift to the left, 0..=31.
    pub shift: u8,
}

/// The biases and weights of a layer. A row is a list of (column, weight), columns rising; a column is
/// an input of a dense layer, of a convolution `(channel * size + y) * size + x`.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightsSpec {
    /// None: pooling.
    None,
    /// Integers. The weights are those that are multiplied: for [`Encoding::Words`] and
    /// [`Encoding::Columns`] whole words, their low bits the column or row.
    Integers {
        /// One bias a row, in units of the accumulator, with the rounding.
        bias: Vec<i32>,
        /// The rows.
        rows: Vec<Vec<(u16, i16)>>,
    },
    /// Floats, for [`Encoding::CsrF32`].
    Floats {
        /// One bias a row.
        bias: Vec<f32>,
        /// The rows.
        rows: Vec<Vec<(u16, f32)>>,
    },
}

impl LayerSpec {
    /// A dense layer that reads the one before.
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

    /// A copy of a layer that has been read.
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

    /// Weights stored.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            WeightsSpec::None => 0,
            WeightsSpec::Integers { rows, .. } => rows.iter().map(Vec::len).sum(),
            WeightsSpec::Floats { rows, .. } => rows.iter().map(Vec::len).sum(),
        }
    }

    /// Whether no weight is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All rows of integers.
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
    /// A copy of a model that has been read.
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
