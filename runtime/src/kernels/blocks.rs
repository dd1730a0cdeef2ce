//! Weight blocks as the kernels read them: the container's bytes as aligned elements.
//!
//! Each constructor returns `None` if the container is not aligned to 4 bytes.

#[cfg(feature = "columns")]
use rarefy_format::Columns;
#[cfg(feature = "csr")]
use rarefy_format::Csr;
#[cfg(feature = "dense")]
use rarefy_format::Dense;
#[cfg(feature = "words")]
use rarefy_format::Words;

/// The block of a layer in packed words.
#[cfg(feature = "words")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordsBlock<'m> {
    /// The mask that extracts the column of a word; then the runs; then the number 34.
    ///
    /// A run is its head, the length of its rows if that exceeds 14 words, and its rows. A row is
    /// its bias (`i32`) and its words, two per `u32`, the first in the low half. A row of an odd
    /// number of words ends with a word of 0, which adds nothing.
    pub(crate) words: &'m [u32],
}

#[cfg(feature = "words")]
impl<'m> WordsBlock<'m> {
    /// Returns the block of `words`.
    #[inline(always)]
    pub(crate) fn new(words: Words<'m>) -> Option<WordsBlock<'m>> {
        Some(WordsBlock {
            words: bytemuck::try_cast_slice(words.block()).ok()?,
        })
    }
}

/// The block of a layer in columns.
#[cfg(feature = "columns")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnsBlock<'m> {
    /// The initial value of each row's sum.
    pub(crate) bias: &'m [i32],
    /// The index in `pairs` of the header of each pair of inputs.
    pub(crate) starts: &'m [u16],
    /// The pairs, each a header and three sections.
    ///
    /// The header counts the rows that read both inputs (bits 31 to 22), only the first (21 to 11)
    /// and only the second (10 to 0). The first section has a `u32` per row, with the word of the
    /// first input in the low half and that of the second in the high half. The other two sections
    /// have a word per row, two per `u32`, and start with a word of 0 if the number of rows is odd.
    pub(crate) pairs: &'m [u32],
    /// The mask that extracts the row of a word.
    pub(crate) mask: u16,
}

#[cfg(feature = "columns")]
impl<'m> ColumnsBlock<'m> {
    /// Returns the block of `columns`.
    #[inline(always)]
    pub(crate) fn new(columns: Columns<'m>) -> Option<ColumnsBlock<'m>> {
        Some(ColumnsBlock {
            bias: bytemuck::try_cast_slice(columns.bias()).ok()?,
            starts: bytemuck::try_cast_slice(columns.starts()).ok()?,
            pairs: bytemuck::try_cast_slice(columns.blocks()).ok()?,
            mask: columns.mask() as u16,
        })
    }
}

/// The block of a layer in compressed sparse rows.
#[cfg(feature = "csr")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsrBlock<'m> {
    /// The initial value of each row's sum.
    pub(crate) bias: &'m [i32],
    /// The number of weights per row.
    pub(crate) lengths: &'m [u16],
    /// The input that each weight reads, row by row.
    pub(crate) columns: &'m [u16],
    /// The weights, row by row.
    pub(crate) values: &'m [i8],
}

#[cfg(feature = "csr")]
impl<'m> CsrBlock<'m> {
    /// Returns the block of `csr`.
    #[inline(always)]
    pub(crate) fn new(csr: Csr<'m>) -> Option<CsrBlock<'m>> {
        Some(CsrBlock {
            bias: bytemuck::try_cast_slice(csr.bias()).ok()?,
            lengths: bytemuck::try_cast_slice(csr.lengths()).ok()?,
            columns: bytemuck::try_cast_slice(csr.columns()).ok()?,
            values: bytemuck::must_cast_slice(csr.values()),
        })
    }
}

/// The block of a dense layer.
#[cfg(feature = "dense")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct DenseBlock<'m> {
    /// The initial value of each row's sum.
    pub(crate) bias: &'m [i32],
    /// The weights, row by row.
    pub(crate) weights: &'m [i8],
}

#[cfg(feature = "dense")]
impl<'m> DenseBlock<'m> {
    /// Returns the block of `dense`.
    #[inline(always)]
    pub(crate) fn new(dense: Dense<'m>) -> Option<DenseBlock<'m>> {
        Some(DenseBlock {
            bias: bytemuck::try_cast_slice(dense.bias()).ok()?,
            weights: bytemuck::must_cast_slice(dense.values()),
        })
    }
}
