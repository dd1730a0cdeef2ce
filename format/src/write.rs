//! Writing containers, on the host.
//!
//! [`write()`] lays the bytes out and lets [`Model::parse`] judge them, so that nothing leaves it
//! that a device would refuse. It refuses by itself only what it could not lay out: dimensions that
//! do not fit their fields and lists whose lengths disagree.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::arena::arena_words_of;
use crate::encoding::{Encoding, Weights};
use crate::error::ParseError;
use crate::header::{
    CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_ARENA_WORDS, MAX_LAYERS, VERSION, container_checksum,
};
use crate::layer::{Activation, Layer, Record};
use crate::model::Model;

/// One layer to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// Inputs of the stored layer, 1..=65535.
    pub inputs: usize,
    /// Outputs of the stored layer, 1..=65535.
    pub outputs: usize,
    /// Inputs before stripping, at least `inputs`.
    pub original_inputs: usize,
    /// Outputs before stripping, at least `outputs`.
    pub original_outputs: usize,
    /// [`Activation::Linear`] for the last layer, [`Activation::Relu`] for all others.
    pub activation: Activation,
    /// Bits that [`crate::requantize`] shifts out, 0..=31; 0 for the last layer.
    pub shift: u8,
    /// One bias an output, in units of the accumulator.
    pub bias: Vec<i32>,
    /// The weights, and with them the encoding.
    pub weights: WeightsSpec,
}

/// The weights of a layer to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsSpec {
    /// Compressed sparse rows.
    Csr {
        /// Weights stored for each output row.
        row_lengths: Vec<u16>,
        /// The input each weight reads, row by row, strictly increasing inside a row.
        columns: Vec<u16>,
        /// The weights, as many as columns.
        values: Vec<i8>,
    },
    /// Every weight.
    Dense {
        /// The weights, row-major: `outputs` rows of `inputs` values.
        values: Vec<i8>,
    },
}

impl WeightsSpec {
    /// The encoding these weights will be stored in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match self {
            WeightsSpec::Csr { .. } => Encoding::Csr,
            WeightsSpec::Dense { .. } => Encoding::Dense,
        }
    }

    fn values(&self) -> &[i8] {
        match self {
            WeightsSpec::Csr { values, .. } | WeightsSpec::Dense { values } => values,
        }
    }
}

impl LayerSpec {
    /// A copy of a layer that has been read, for writing it again or in another encoding.
    #[must_use]
    pub fn from_layer(layer: &Layer<'_>) -> LayerSpec {
        let weights = match layer.weights() {
            Weights::Csr(csr) => WeightsSpec::Csr {
                row_lengths: csr.row_lengths().to_vec(),
                columns: csr.columns().to_vec(),
                values: csr.values().to_vec(),
            },
            Weights::Dense(dense) => WeightsSpec::Dense {
                values: dense.values().to_vec(),
            },
        };
        LayerSpec {
            inputs: layer.inputs(),
            outputs: layer.outputs(),
            original_inputs: layer.original_inputs(),
            original_outputs: layer.original_outputs(),
            activation: layer.activation(),
            shift: layer.shift(),
            bias: layer.bias().to_vec(),
            weights,
        }
    }

    /// The same layer with its weights stored dense.
    ///
    /// # Errors
    ///
    /// When the lists disagree with the dimensions or with one another.
    pub fn to_dense(&self, layer: usize) -> Result<LayerSpec, WriteError> {
        self.check_lists(layer)?;
        let WeightsSpec::Csr {
            row_lengths,
            columns,
            values,
        } = &self.weights
        else {
            return Ok(self.clone());
        };
        let mut dense = vec![0; self.inputs * self.outputs];
        let mut weights = columns.iter().zip(values);
        for (row, &length) in dense.chunks_exact_mut(self.inputs.max(1)).zip(row_lengths) {
            for (&column, &value) in weights.by_ref().take(usize::from(length)) {
                let Some(place) = row.get_mut(usize::from(column)) else {
                    let (column, inputs) = (usize::from(column), self.inputs);
                    return Err(WriteError::Column {
                        layer,
                        column,
                        inputs,
                    });
                };
                *place = value;
            }
        }
        Ok(LayerSpec {
            weights: WeightsSpec::Dense { values: dense },
            ..self.clone()
        })
    }

    /// The same layer with its weights stored as compressed sparse rows, zeros left out.
    ///
    /// # Errors
    ///
    /// When the lists disagree with the dimensions or with one another.
    pub fn to_csr(&self, layer: usize) -> Result<LayerSpec, WriteError> {
        let WeightsSpec::Dense { values: dense } = self.to_dense(layer)?.weights else {
            return Ok(self.clone());
        };
        self.record(layer)?;
        let (mut row_lengths, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for row in dense.chunks_exact(self.inputs.max(1)) {
            let before = values.len();
            for (column, &value) in row.iter().enumerate().filter(|&(_, &value)| value != 0) {
                columns.push(column as u16);
                values.push(value);
            }
            row_lengths.push((values.len() - before) as u16);
        }
        Ok(LayerSpec {
            weights: WeightsSpec::Csr {
                row_lengths,
                columns,
                values,
            },
            ..self.clone()
        })
    }

    fn record(&self, layer: usize) -> Result<Record, WriteError> {
        let dimension = |name, found: usize| {
            u16::try_from(found).map_err(|_| WriteError::TooLarge {
                layer,
                name,
                found,
                max: usize::from(u16::MAX),
            })
        };
        let stored = self.weights.values().len();
        Ok(Record {
            encoding: self.weights.encoding(),
            activation: self.activation,
            shift: self.shift,
            inputs: dimension("inputs", self.inputs)?,
            outputs: dimension("outputs", self.outputs)?,
            original_inputs: dimension("original inputs", self.original_inputs)?,
            original_outputs: dimension("original outputs", self.original_outputs)?,
            stored: u32::try_from(stored).map_err(|_| WriteError::TooLarge {
                layer,
                name: "stored weights",
                found: stored,
                max: u32::MAX as usize,
            })?,
        })
    }

    /// Checks that every list is as long as the dimensions and the other lists say.
    fn check_lists(&self, layer: usize) -> Result<(), WriteError> {
        let check = |name, found: usize, expected: usize| {
            if found == expected {
                Ok(())
            } else {
                Err(WriteError::ListLength {
                    layer,
                    name,
                    expected,
                    found,
                })
            }
        };
        check("bias", self.bias.len(), self.outputs)?;
        match &self.weights {
            WeightsSpec::Csr {
                row_lengths,
                columns,
                values,
            } => {
                check("row lengths", row_lengths.len(), self.outputs)?;
                check("values", values.len(), columns.len())
            }
            WeightsSpec::Dense { values } => check(
                "values",
                values.len(),
                self.inputs.saturating_mul(self.outputs),
            ),
        }
    }
}

/// Writes a container with these layers, from the input to the output.
///
/// # Errors
///
/// When a dimension does not fit its field, when lists disagree in length, and whenever
/// [`Model::parse`] would refuse the result.
pub fn write(layers: &[LayerSpec]) -> Result<Vec<u8>, WriteError> {
    if layers.len() > MAX_LAYERS {
        return Err(ParseError::LayerCount {
            found: layers.len(),
            max: MAX_LAYERS,
        }
        .into());
    }
    // Words, so that the bytes lie on the boundary that `parse` asks for.
    let mut container = Container {
        words: vec![0; HEADER_BYTES / 4],
    };
    for (index, layer) in layers.iter().enumerate() {
        container.section(&layer.record(index)?.to_bytes());
    }
    for (index, layer) in layers.iter().enumerate() {
        layer.check_lists(index)?;
        container.section(&layer.bias);
        match &layer.weights {
            WeightsSpec::Csr {
                row_lengths,
                columns,
                values,
            } => {
                container.section(row_lengths);
                container.section(columns);
                container.section(values);
            }
            WeightsSpec::Dense { values } => container.section(values),
        }
    }
    let arena_words = arena_words_of(layers.iter().map(|layer| layer.outputs));
    container.finish(arena_words, layers.len())
}

struct Container {
    words: Vec<u32>,
}

impl Container {
    /// Appends a section and its padding.
    fn section<T: bytemuck::NoUninit>(&mut self, elements: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        self.words.extend(bytes.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        }));
    }

    /// Fills in the header and lets the parser judge.
    fn finish(mut self, arena_words: usize, layers: usize) -> Result<Vec<u8>, WriteError> {
        let length = self.words.len().saturating_mul(4);
        let Ok(stated) = u32::try_from(length) else {
            return Err(WriteError::TooLong { found: length });
        };
        if arena_words > MAX_ARENA_WORDS {
            return Err(WriteError::ArenaTooLarge {
                found: arena_words,
                max: MAX_ARENA_WORDS,
            });
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = VERSION;
        bytes[4..8].copy_from_slice(&stated.to_le_bytes());
        bytes[12..15].copy_from_slice(&(arena_words as u32).to_le_bytes()[..3]);
        bytes[15] = layers as u8;
        let checksum = container_checksum(bytes);
        bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
        Model::parse(bytes)?;
        Ok(bytes.to_vec())
    }
}

/// Why [`write()`] refused. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's sentence says what they are"
)]
pub enum WriteError {
    /// A number that does not fit its field of the layer record.
    TooLarge {
        layer: usize,
        name: &'static str,
        found: usize,
        max: usize,
    },
    /// A list of another length than the dimensions or another list say.
    ListLength {
        layer: usize,
        name: &'static str,
        expected: usize,
        found: usize,
    },
    /// A column that is not an input of the layer.
    Column {
        layer: usize,
        column: usize,
        inputs: usize,
    },
    /// A container of 4 GiB or more.
    TooLong { found: usize },
    /// An arena that the header cannot state.
    ArenaTooLarge { found: usize, max: usize },
    /// A container that would be refused.
    Refused(ParseError),
}

impl fmt::Display for WriteError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            WriteError::TooLarge { layer, name, found, max } => write!(f, "layer {layer} has {found} {name} where the container holds at most {max}"),
            WriteError::ListLength { layer, name, expected, found } => write!(f, "layer {layer} has {found} entries of {name} where {expected} are needed"),
            WriteError::Column { layer, column, inputs } => write!(f, "layer {layer} has a weight in column {column} of {inputs}"),
            WriteError::TooLong { found } => write!(f, "the container would have {found} bytes where less than 4 GiB is allowed"),
            WriteError::ArenaTooLarge { found, max } => write!(f, "the model would need an arena of {found} words where the container can state at most {max}"),
            WriteError::Refused(ref error) => write!(f, "the model cannot be written: {error}"),
        }
    }
}

impl core::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            WriteError::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ParseError> for WriteError {
    fn from(error: ParseError) -> Self {
        WriteError::Refused(error)
    }
}
