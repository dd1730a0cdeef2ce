//! Columns without checks.
//!
//! Instructions per inference, mean over 100 digits, of LeNet-300-100 pruned 10x: as packed words
//! ([`super::words`]), and as columns with the portable kernel (opt-level "s") and with this one.
//! The network has 25,676 weights in columns. A digit visits 168 pairs of inputs, with 3,273 words
//! for rows that read both inputs and 5,646 for rows that read one.
//!
//! | | words | columns, portable | here | code, bytes |
//! |---|---|---|---|---|
//! | Cortex-M4 | 96,245 | 131,205 | 48,707 | 1,316 |
//! | Cortex-M3 | 123,373 | 161,801 | 65,643 | 1,650 |
//! | Cortex-M0 | 186,439 | 261,756 | 103,031 | 798 |
//!
//! On the M4 a word costs 4 instructions besides its load, whether its row reads both inputs or one
//! (M3: 7 and 5, M0: 12 and 7), a pair about 18, the section of an input 8, a row 4, and an input 1
//! to 4. On the M4, rounds of 16 `u32` instead of 8 for rows that read one input save 0.8 % of the
//! instructions and take 320 bytes of code.

use core::ops::Range;

use rarefy_format::Columns;

use super::call::{ColumnsCall, Store};
use super::instructions::columns::run as run_block;
use crate::kernels::blocks::ColumnsBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if source or output is
/// too short.
#[inline(always)]
pub(crate) fn run(columns: Columns<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = ColumnsBlock::new(columns)?;
    let input = source.get(columns.inputs())?.as_ptr_range();
    // Two calls instead of one: with one, the compiler merges the branches around it and needs
    // more registers in the loop over the layers.
    match output {
        Output::Activations { words, shift } => {
            let sums = bytemuck::must_cast_slice_mut(words).get_mut(..block.bias.len())?;
            let call = call(block, input, sums, Store::of(shift));
            // SAFETY: `Model::parse` has checked starts, pairs and words for the layer's numbers
            // of inputs and outputs, which are those of `input` and `sums`. There is a bias per
            // row.
            unsafe { run_block(&call, call.store.is_logits()) };
        }
        Output::Logits(logits) => {
            let sums = logits.get_mut(..block.bias.len())?;
            let call = call(block, input, sums, Store::LOGITS);
            // SAFETY: as above.
            unsafe { run_block(&call, call.store.is_logits()) };
        }
    }
    Some(())
}

/// Returns the arguments of the assembly.
#[inline(always)]
fn call(
    block: ColumnsBlock<'_>,
    input: Range<*const u8>,
    sums: &mut [i32],
    store: Store,
) -> ColumnsCall {
    ColumnsCall {
        sums: sums.as_mut_ptr(),
        bias: block.bias.as_ptr(),
        rows: sums.len(),
        // A sum has four bytes.
        mask: u32::from(block.mask) << 2,
        pairs: block.pairs.as_ptr(),
        starts: block.starts.as_ptr(),
        input: input.start,
        end: input.end,
        store,
    }
}
