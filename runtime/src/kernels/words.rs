//! Packed words.

use rarefy_format::Words;

use super::{Output, rows};

#[inline(never)]
pub(crate) fn run(words: Words<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    rows::run(words.rows(), source, output)
}
