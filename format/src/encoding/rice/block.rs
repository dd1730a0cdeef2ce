//! The view of a checked block.

use super::bits::Bits;
use super::parameters::{FIRST_SPREAD, GAP_SPREAD, Parameters, SELECTED, reach};
use super::rows::{Rows, Stream};
use super::selection::Selection;
use crate::encoding::rows::Dimensions;

/// A checked block.
#[derive(Clone, Copy, Debug)]
pub struct Rice<'a> {
    pub(super) block: &'a [u8],
    pub(super) inputs: u16,
    pub(super) outputs: u16,
    pub(super) selected: Option<u16>,
}

impl<'a> Rice<'a> {
    /// Returns a view of a block that [`Rice::check`] accepted. A view of any other block returns
    /// wrong numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        let selected = match Parameters::read(block) {
            Ok(parameters) if parameters.is(SELECTED) => Some(parameters.columns),
            _ => None,
        };
        Rice {
            block,
            inputs: dims.inputs as u16,
            outputs: dims.outputs as u16,
            selected,
        }
    }

    /// Returns the number of inputs.
    #[must_use]
    pub const fn inputs(&self) -> u16 {
        self.inputs
    }

    /// Returns the number of outputs, which is the number of rows.
    #[must_use]
    pub const fn outputs(&self) -> u16 {
        self.outputs
    }

    /// Returns the number of inputs in the list of used inputs, if the block has such a list.
    ///
    /// The columns of rows then index this list, and a kernel needs this many bytes of memory to
    /// gather these inputs.
    #[must_use]
    pub const fn selected(&self) -> Option<u16> {
        self.selected
    }

    /// Returns a reader of the used inputs, which precede the rows.
    #[must_use]
    #[inline]
    pub const fn selection(&self) -> Selection<'a> {
        // `check` has read the same parameters, so `selected` matches them.
        let listed = self.selected.is_some();
        Selection::new(Bits::new(self.block), listed, self.inputs as u32)
    }

    /// Returns a reader of the rows, whose columns index the used inputs.
    #[must_use]
    #[inline]
    pub const fn rows(&self) -> Rows<'a> {
        self.selection().rows()
    }

    /// Returns the block and its parameters, for a kernel that reads the bits itself.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub const fn stream(&self) -> Stream<'a> {
        let parameters = match Parameters::read(self.block) {
            Ok(read) => read,
            Err(_) => Parameters::EMPTY,
        };
        let columns = match self.selected {
            Some(columns) => columns as u32,
            None => self.inputs as u32,
        };
        Stream {
            block: self.block,
            head: parameters.head,
            codebook: parameters.codebook,
            first_reach: reach(columns, parameters.get(FIRST_SPREAD)),
            gap_reach: reach(columns, parameters.get(GAP_SPREAD)),
        }
    }
}
