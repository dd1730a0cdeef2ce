//! Why an encoding cannot represent a layer.

use core::fmt;

use crate::error::RiceError;

/// Why an encoding cannot represent a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// A weight that is out of range, or a word that is 0 or whose low bits are not its index.
    Weight(i16),
    /// A row (or pair of columns) with more weights than its fields can state.
    Row(usize),
    /// More columns (or rows) than indices can number.
    Columns(usize),
    /// A layer that the `rice` encoding cannot represent.
    Rice(RiceError),
    /// An operation or a type of weights that the encoding does not support.
    Operation,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Weight(weight) => {
                write!(f, "the weight {weight} is out of range or not a valid word")
            }
            Unfit::Row(length) => write!(
                f,
                "{length} weights are too many for one row or pair of columns"
            ),
            Unfit::Columns(count) => {
                write!(f, "{count} columns or rows are too many for its indices")
            }
            Unfit::Rice(error) => write!(f, "{error}"),
            Unfit::Operation => write!(
                f,
                "it does not support this operation or this type of weights"
            ),
        }
    }
}
