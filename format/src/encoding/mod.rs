//! How a layer's weights are stored: one module an encoding, each with its sections, its validation
//! and (feature `alloc`) its writing. A kernel in `rarefy-runtime` belongs to each.

pub(crate) mod csr;
pub(crate) mod dense;

use crate::error::ParseError;
use crate::layer::Record;
use crate::sections::Sections;
use csr::Csr;
use dense::Dense;

/// The encodings this version of the format knows, by their code in a layer record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Encoding {
    /// Every weight, row by row. Code 0.
    Dense,
    /// Compressed sparse rows. Code 1.
    Csr,
}

impl Encoding {
    /// The name used on command lines and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Csr => "csr",
        }
    }

    /// The code in a layer record.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Encoding::Dense => 0,
            Encoding::Csr => 1,
        }
    }

    /// The encoding with this code, if this version knows it.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Encoding> {
        match code {
            0 => Some(Encoding::Dense),
            1 => Some(Encoding::Csr),
            _ => None,
        }
    }
}

/// The weights of one layer, borrowed from the container.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Weights<'a> {
    /// Compressed sparse rows.
    Csr(Csr<'a>),
    /// Every weight, row by row.
    Dense(Dense<'a>),
}

impl<'a> Weights<'a> {
    /// Cuts the sections of a layer with this record; says nothing yet about what is in them.
    #[inline(always)]
    pub(crate) fn read(
        layer: usize,
        record: &Record,
        sections: &mut Sections<'a>,
    ) -> Result<Self, ParseError> {
        match record.encoding {
            Encoding::Dense => Dense::read(layer, record, sections).map(Weights::Dense),
            Encoding::Csr => Csr::read(layer, record, sections).map(Weights::Csr),
        }
    }

    /// Checks what is in the sections: all that a kernel relies on.
    pub(crate) fn validate(
        &self,
        layer: usize,
        record: &Record,
        bias: &[i32],
    ) -> Result<(), ParseError> {
        match self {
            Weights::Dense(dense) => dense.validate(layer, record, bias),
            Weights::Csr(csr) => csr.validate(layer, record, bias),
        }
    }

    /// The encoding these weights are stored in.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match self {
            Weights::Csr(_) => Encoding::Csr,
            Weights::Dense(_) => Encoding::Dense,
        }
    }

    /// The stored values, in the order of the container.
    #[must_use]
    pub const fn values(&self) -> &'a [i8] {
        match self {
            Weights::Csr(csr) => csr.values(),
            Weights::Dense(dense) => dense.values(),
        }
    }
}

/// Refuses a row whose accumulator could leave 32 bits for some input: `|bias| + 255 * sum |weight|
/// + round` must fit an `i32`. All partial sums, in whatever order, then fit too.
pub(crate) fn check_row(
    layer: usize,
    row: usize,
    bias: i32,
    values: &[i8],
    rounding: i32,
) -> Result<(), ParseError> {
    // At most 65,535 weights of at most 128: the sum fits, and so does 255 times it.
    let weights: u32 = values
        .iter()
        .map(|value| u32::from(value.unsigned_abs()))
        .sum();
    let bound = (weights * 255)
        .saturating_add(bias.unsigned_abs())
        .saturating_add(rounding.unsigned_abs());
    if bound > i32::MAX as u32 {
        return Err(ParseError::AccumulatorOverflow {
            layer,
            row,
            bound,
            max: i32::MAX as u32,
        });
    }
    Ok(())
}
