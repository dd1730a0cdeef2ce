//! Placeholder until the encoding lands.
use super::{Dimensions, Rows};
use crate::error::ParseError;
#[derive(Clone, Copy, Debug)]
pub struct Rice<'a> {
    block: &'a [u8],
}
impl<'a> Rice<'a> {
    pub(crate) const fn read(_dims: Dimensions, block: &'a [u8]) -> Self {
        Rice { block }
    }
    pub const fn rows(&self) -> RiceRows<'a> {
        RiceRows { rest: *self }
    }
}
#[derive(Clone, Copy, Debug)]
pub struct RiceRows<'a> {
    rest: Rice<'a>,
}
impl Rows for RiceRows<'_> {
    fn next_row(&mut self, _visit: impl FnMut(u16, i16)) -> Option<i32> {
        let _ = self.rest.block;
        None
    }
}
pub(crate) const fn check(
    layer: usize,
    _dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    Err(ParseError::BlockLength {
        layer,
        needed: 0,
        found: block.len(),
    })
}
#[cfg(feature = "alloc")]
pub(crate) fn write(
    _inputs: usize,
    _bias: &[i32],
    _rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    Err(super::Unfit::Operation)
}
