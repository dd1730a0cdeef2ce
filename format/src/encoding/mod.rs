//! How a layer's weights are stored: one module an encoding, each with its block, its check, its rows
//! and (feature `alloc`) its writing. A kernel in `rarefy-runtime` belongs to each.

pub(crate) mod columns;
pub(crate) mod csr;
pub(crate) mod csr_f32;
pub(crate) mod dense;
pub mod rice;
pub(crate) mod words;

use crate::error::ParseError;
use columns::Columns;
use csr::Csr;
use csr_f32::CsrF32;
use dense::Dense;
use rice::Rice;
use words::Words;

/// The encodings of format 1, by their code in a layer record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Encoding {
    /// Every weight, row by row. Code 0.
    Dense,
    /// Compressed sparse rows. Code 1.
    Csr,
    /// Weight and column in 16 bits, rows of a length together. Code 2.
    Words,
    /// Weight and row in 16 bits, column by column. Code 3.
    Columns,
    /// A stream of bits: coded gaps, few-bit values. Code 4.
    Rice,
    /// Compressed sparse rows of 32-bit floats. Code 5.
    CsrF32,
    /// No weights: a pooling layer. Code 15.
    None,
}

impl Encoding {
    /// All that hold weights.
    pub const ALL: [Encoding; 6] = [
        Encoding::Dense,
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Rice,
        Encoding::CsrF32,
    ];

    /// The name used on command lines, in tables, and as feature of the crates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Csr => "csr",
            Encoding::Words => "words",
            Encoding::Columns => "columns",
            Encoding::Rice => "rice",
            Encoding::CsrF32 => "csr-f32",
            Encoding::None => "none",
        }
    }

    /// The code in a layer record.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Encoding::Dense => 0,
            Encoding::Csr => 1,
            Encoding::Words => 2,
            Encoding::Columns => 3,
            Encoding::Rice => 4,
            Encoding::CsrF32 => 5,
            Encoding::None => 15,
        }
    }

    /// The encoding with this code, if format 1 knows it and this build reads it.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Encoding> {
        match code {
            0 if cfg!(feature = "dense") => Some(Encoding::Dense),
            1 if cfg!(feature = "csr") => Some(Encoding::Csr),
            2 if cfg!(feature = "words") => Some(Encoding::Words),
            3 if cfg!(feature = "columns") => Some(Encoding::Columns),
            4 if cfg!(feature = "rice") => Some(Encoding::Rice),
            5 if cfg!(feature = "csr-f32") => Some(Encoding::CsrF32),
            15 if cfg!(feature = "maps") => Some(Encoding::None),
            _ => None,
        }
    }

    /// The boundary on which a block in this encoding begins, in bytes.
    #[must_use]
    pub const fn alignment(self) -> usize {
        alignment(self.code())
    }
}

/// The boundary of a block in the encoding with this code, also of one that is not known here.
pub(crate) const fn alignment(code: u8) -> usize {
    if code == 4 || code == 15 { 1 } else { 4 }
}

/// What an encoding knows of its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Columns: every column of a weight is below this.
    pub inputs: usize,
    /// Rows.
    pub outputs: usize,
}

/// The weights and biases of one layer, borrowed from the container.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Every weight.
    Dense(Dense<'a>),
    /// Compressed sparse rows.
    Csr(Csr<'a>),
    /// Packed words.
    Words(Words<'a>),
    /// Packed words by column.
    Columns(Columns<'a>),
    /// A stream of bits.
    Rice(Rice<'a>),
    /// Compressed sparse rows of floats.
    CsrF32(CsrF32<'a>),
    /// A pooling layer.
    None,
}

impl<'a> Weights<'a> {
    /// The view of a `block` that [`check`] accepted; of any other it is harmless nonsense.
    #[inline(always)]
    pub(crate) const fn read(encoding: Encoding, dims: Dimensions, block: &'a [u8]) -> Self {
        match encoding {
            Encoding::Dense => Weights::Dense(Dense::read(dims, block)),
            Encoding::Csr => Weights::Csr(Csr::read(dims, block)),
            Encoding::Words => Weights::Words(Words::read(dims, block)),
            Encoding::Columns => Weights::Columns(Columns::read(dims, block)),
            Encoding::Rice => Weights::Rice(Rice::read(dims, block)),
            Encoding::CsrF32 => Weights::CsrF32(CsrF32::read(dims, block)),
            Encoding::None => Weights::None,
        }
    }
}

/// Checks all that a kernel relies on; gives the length of the longest row.
#[inline(always)]
pub(crate) const fn check(
    layer: usize,
    encoding: Encoding,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    // What this build does not read, `Encoding::from_code` has refused: here it is only not linked.
    match encoding {
        Encoding::Dense if cfg!(feature = "dense") => dense::check(layer, dims, block),
        Encoding::Csr if cfg!(feature = "csr") => csr::check(layer, dims, block),
        Encoding::Words if cfg!(feature = "words") => words::check(layer, dims, block),
        Encoding::Columns if cfg!(feature = "columns") => columns::check(layer, dims, block),
        Encoding::Rice if cfg!(feature = "rice") => rice::check(layer, dims, block),
        Encoding::CsrF32 if cfg!(feature = "csr-f32") => csr_f32::check(layer, dims, block),
        _ if block.is_empty() => Ok(0),
        _ => Err(ParseError::BlockLength {
            layer,
            needed: 0,
            found: block.len(),
        }),
    }
}

/// Weights that can be read row by row: the seam between the encodings and all that works on each of
/// them (the direct convolution, the reference, the report).
pub trait Rows {
    /// Tells each weight of the next row to `visit` as (column, weight), and gives the row's bias;
    /// `None` behind the last row.
    fn next_row(&mut self, visit: impl FnMut(u16, i16)) -> Option<i32>;
}

/// Why an encoding does not hold a layer.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A weight that it cannot write.
    Weight(i16),
    /// A row (or column) too long for its fields.
    Row(usize),
    /// More columns (or rows) than its index bits name.
    Columns(usize),
    /// A bias that it cannot write.
    Bias(i32),
    /// A row that the entropy-coded encoding cannot write.
    Rice(rice::RiceError),
    /// A kind of layer that it is not for.
    Operation,
}

#[cfg(feature = "alloc")]
impl core::fmt::Display for Unfit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Unfit::Weight(weight) => write!(f, "it cannot write the weight {weight}"),
            Unfit::Row(length) => write!(f, "a row of {length} weights is too long for it"),
            Unfit::Columns(count) => write!(f, "its words cannot name {count} units"),
            Unfit::Bias(bias) => write!(f, "it cannot write the bias {bias}"),
            Unfit::Rice(error) => write!(f, "{error}"),
            Unfit::Operation => write!(f, "it is not for this kind of layer"),
        }
    }
}
