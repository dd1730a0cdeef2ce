//! The coded stream.

use rarefy_format::Rice;

use super::{Output, rows};

#[inline(never)]
pub(crate) fn run(rice: Rice<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    rows::run(rice.rows(), source, output)
}
