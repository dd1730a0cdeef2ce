//! The rows of a block, with columns that index the layer's own inputs.

use super::block::Rice;
use super::rows::Rows as RiceRows;
use crate::encoding::rows::Rows;

/// The remaining rows of a [`Rice`], whose columns index the layer's inputs.
///
/// This is slower than [`RiceRows`] if the block has a list of used inputs, which is read again for
/// each row.
#[derive(Clone, Debug)]
pub struct RiceReader<'a> {
    rice: Rice<'a>,
    rows: RiceRows<'a>,
    left: u16,
}

impl<'a> Rice<'a> {
    /// Returns an iterator over the rows, whose columns index the layer's inputs.
    #[must_use]
    pub const fn each(&self) -> RiceReader<'a> {
        RiceReader {
            rice: *self,
            rows: self.rows(),
            left: self.outputs(),
        }
    }
}

impl Rows for RiceReader<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        self.left = self.left.checked_sub(1)?;
        let bias = self.rows.start();
        if self.rice.selected().is_none() {
            self.rows
                .weights(|column, weight| visit(column as u16, weight as i16));
            return Some(bias);
        }
        let mut selection = self.rice.selection();
        // In the current run, which ends at index `end` of the list, the input at an index of the
        // list is the layer's input at that index plus `shift`.
        let (mut end, mut shift) = (0, 0);
        self.rows.weights(|column, weight| {
            while column >= end {
                let Some((start, length)) = selection.next_run() else {
                    break;
                };
                shift = start.wrapping_sub(end);
                end += length;
            }
            visit(column.wrapping_add(shift) as u16, weight as i16);
        });
        Some(bias)
    }
}
