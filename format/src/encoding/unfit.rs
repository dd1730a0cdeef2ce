//! Why an encoding cannot represent a layer.

use core::fmt;

use crate::error::RiceError;

/// Why an encoding cannot represent a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// A weight out of range, or a word whose low bits are not its index.
    Weight(i16),
    /// A row (or column) that is too long for its fields.
    Row(usize),
    /// More columns (or rows) than index bits can name.
    Columns(usize),
    /// A layer that the `rice` encoding cannot represent.
    Rice(RiceError),
    /// An operation that the encoding does not support.
    Operation,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Weight(weight) => write!(f, "the weight {weight} is out of range"),
            Unfit::Row(length) => write!(f, "a row of {length} weights is too long"),
            Unfit::Columns(count) => write!(f, "its index bits cannot name {count} units"),
            Unfit::Rice(error) => write!(f, "{error}"),
            Unfit::Operation => write!(f, "it does not support this operation"),
        }
    }
}
