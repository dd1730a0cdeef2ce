//! Compressed sparse rows: for each row gather the inputs its columns name.
//!
//! The loop itself is in [`super::unchecked::gather`].

use rarefy_format::{Csr, requantize};

use super::Output;
use super::unchecked::gather;

// A function of its own: inlined into the engine it would share its registers with it.
#[inline(never)]
pub(crate) fn run(csr: Csr<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    match output {
        Output::Bytes { words, shift } => {
            let bytes = bytemuck::must_cast_slice_mut(words);
            gather::run(csr, source, |sum| requantize(sum, shift), bytes)
        }
        Output::Sums(sums) => gather::run(csr, source, |sum| sum, sums),
    }
}
