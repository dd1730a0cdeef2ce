//! The errors of [`crate::write()`].

use core::fmt;

use super::sums::SumRange;
use crate::encoding::Unfit;
use crate::error::ParseError;
use crate::record::MAX_BLOCK_BYTES;

/// Why a layer cannot be written. The messages complete the sentence "layer 3 cannot be written:
/// ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
)]
pub enum SpecError {
    /// A list whose length is not the number of outputs.
    List {
        name: &'static str,
        expected: usize,
        found: usize,
    },
    /// A column that is not above the one before it.
    Order(u16),
    /// A column that does not exist.
    Column { column: u16, columns: usize },
    /// More than 65,535 outputs, or taps of a channel.
    Outputs(usize),
    /// A block that is longer than a record can state.
    Length(usize),
    /// A source or skip that does not exist or is too far back.
    Link(usize),
    /// A window without values, or a stride, padding or fused pooling that a geometry cannot state.
    Window,
    /// A window that does not fit its source, or an output without values.
    Shape,
    /// A place in the arena that links cannot state.
    Place(usize),
    /// A row whose sum could overflow 32 bits.
    Overflow { row: usize, range: SumRange },
    /// An encoding that cannot represent the layer.
    Unfit(Unfit),
}

impl SpecError {
    /// Adds the layer at fault.
    pub(super) fn of(self, layer: usize) -> WriteError {
        WriteError::Layer { layer, error: self }
    }
}

impl fmt::Display for SpecError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::List { name, expected, found } => write!(f, "it has {found} {name}, but {expected} outputs"),
            SpecError::Order(column) => write!(f, "column {column} is not above the one before it in its row"),
            SpecError::Column { column, columns } => write!(f, "it has a weight in column {column}, but only {columns} columns"),
            SpecError::Outputs(found) => write!(f, "it has {found} outputs or taps, but a container allows at most 65535"),
            SpecError::Length(found) => write!(f, "it takes {found} bytes, but a container allows at most {MAX_BLOCK_BYTES} per layer"),
            SpecError::Link(back) => write!(f, "it refers {back} layers back, but links reach 1 to 15 layers, and not beyond the input"),
            SpecError::Window => write!(f, "its window is empty, its stride or padding exceeds 15, or its fused pooling exceeds 63"),
            SpecError::Shape => write!(f, "its window does not fit the map that it reads, or its output is empty"),
            SpecError::Place(place) => write!(f, "its output would begin at word {place} of the arena, but a container allows at most word 65535"),
            SpecError::Overflow { row, range } => write!(f, "the sum of row {row} ranges from {} to {}, which overflows 32 bits: scale its weights down", range.least, range.most),
            SpecError::Unfit(unfit) => write!(f, "its encoding cannot represent it: {unfit}"),
        }
    }
}

/// Why [`crate::write()`] rejected a network. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
)]
pub enum WriteError {
    /// A layer that cannot be written.
    Layer { layer: usize, error: SpecError },
    /// An input whose shape the header cannot state.
    Input { channels: u16, height: u16 },
    /// An arena whose size the header cannot state.
    ArenaTooLarge { found: usize, max: usize },
    /// A container that [`crate::Model::parse`] would reject.
    Refused(ParseError),
}

impl fmt::Display for WriteError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            WriteError::Layer { layer, error } => write!(f, "layer {layer} cannot be written: {error}"),
            WriteError::Input { channels, height } => write!(f, "the input has {channels} channels of {height} rows, but a container allows at most 255 of each"),
            WriteError::ArenaTooLarge { found, max } => write!(f, "the model needs an arena of {found} words, but a container allows at most {max}"),
            WriteError::Refused(ref error) => write!(f, "no reader would accept the container: {error}"),
        }
    }
}

impl core::error::Error for SpecError {}

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
