//! How a layer's weights are stored.
//!
//! Each encoding has a module with the layout of its block, its check, its view, and (feature
//! `alloc`) its writer. Each has a kernel in `rarefy-runtime`.

pub(crate) mod columns;
pub(crate) mod csr;
pub(crate) mod csr_f32;
pub(crate) mod dense;
mod parts;
pub mod rice;
mod rows;
#[cfg(feature = "alloc")]
mod unfit;
pub(crate) mod words;

pub use parts::BlockParts;
pub(crate) use rows::Dimensions;
pub use rows::Rows;
#[cfg(feature = "alloc")]
pub use unfit::Unfit;

use crate::error::ParseError;
use columns::Columns;
use csr::Csr;
use csr_f32::CsrF32;
use dense::Dense;
use rice::Rice;
use words::Words;

/// The encodings of format version 1. A layer record states their codes.
// Exhaustive on purpose: a new encoding breaks the build of every engine and tool that does not
// handle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Encoding {
    /// Every weight, row by row. Code 0.
    Dense,
    /// Compressed sparse rows. Code 1.
    Csr,
    /// Weight and column packed into 16 bits, rows grouped by length. Code 2.
    Words,
    /// Weight and row packed into 16 bits, column by column. Code 3.
    Columns,
    /// An entropy-coded bit stream. Code 4.
    Rice,
    /// Compressed sparse rows of 32-bit floats. Code 5.
    CsrF32,
    /// No weights: a pooling layer. Code 15.
    None,
}

impl Encoding {
    /// All encodings that store weights.
    pub const ALL: [Encoding; 6] = [
        Encoding::Dense,
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Rice,
        Encoding::CsrF32,
    ];

    /// Returns the name used on command lines, in tables, and for the crates' features.
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

    /// Returns the code in a layer record.
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

    /// Returns the encoding with this code, if format version 1 defines it and this build reads it.
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

    /// Returns the alignment of a block in this encoding, in bytes.
    #[must_use]
    pub const fn alignment(self) -> usize {
        alignment(self.code())
    }
}

/// Returns the alignment in bytes of a block in the encoding with this code, even if this build
/// does not read it.
pub(crate) const fn alignment(code: u8) -> usize {
    if code == 4 || code == 15 { 1 } else { 4 }
}

/// The weights and biases of one layer, borrowed from the container.
// Exhaustive for the same reason as `Encoding`.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Every weight.
    Dense(Dense<'a>),
    /// Compressed sparse rows.
    Csr(Csr<'a>),
    /// Packed words by row.
    Words(Words<'a>),
    /// Packed words by column.
    Columns(Columns<'a>),
    /// An entropy-coded bit stream.
    Rice(Rice<'a>),
    /// Compressed sparse rows of floats.
    CsrF32(CsrF32<'a>),
    /// No weights: a pooling layer.
    None,
}

impl<'a> Weights<'a> {
    /// Returns a view of a `block` that [`check`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
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

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        match self {
            Weights::Dense(dense) => dense.nonzeros(),
            Weights::Csr(csr) => csr.nonzeros(),
            Weights::Words(words) => words.nonzeros(),
            Weights::Columns(columns) => columns.nonzeros(),
            Weights::Rice(rice) => rice.nonzeros(),
            Weights::CsrF32(csr) => csr.nonzeros(),
            Weights::None => 0,
        }
    }

    /// Returns the sizes of the parts of the biases and weights.
    #[must_use]
    pub fn parts(&self) -> BlockParts {
        match self {
            Weights::Dense(dense) => dense.parts(),
            Weights::Csr(csr) => csr.parts(),
            Weights::Words(words) => words.parts(),
            Weights::Columns(columns) => columns.parts(),
            Weights::Rice(rice) => rice.block_parts(),
            Weights::CsrF32(csr) => csr.parts(),
            Weights::None => BlockParts::default(),
        }
    }
}

/// Checks everything in a block that kernels rely on. Returns the length of the longest row, or 0
/// for `columns` and pooling.
#[inline(always)]
pub(crate) const fn check(
    layer: usize,
    encoding: Encoding,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    // `Encoding::from_code` has already rejected encodings that this build does not read. Testing
    // the features here only keeps the checks of those encodings from being linked.
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
