//! Packed words without checks.
//!
//! Instructions per inference, mean over ten digits, of LeNet-300-100 pruned 100x (2,665 weights in
//! 298 rows and 52 runs), 300x (888, 168, 30) and 1000x (268, 82, 19), with the portable kernel and
//! with this one:
//!
//! | | 100x portable | here | 300x portable | here | 1000x portable | here | code, bytes |
//! |---|---|---|---|---|---|---|---|
//! | Cortex-M4 | 36,702 | 11,445 | 15,565 | 4,470 | 6,660 | 1,791 | 1,144 |
//! | Cortex-M3 | 40,116 | 14,186 | 16,859 | 5,404 | 7,140 | 2,088 | 1,362 |
//! | Cortex-M0 | 58,673 | 23,292 | 23,677 | 9,008 | 9,737 | 3,687 | 1,204 |
//!
//! On the M4, M3 and M0 a weight costs 3, 4 and 6 instructions, a row some 6, 6 and 10 more, a run
//! 4, 4 and 10: padding a row with a word of 0 to the length of its neighbours can pay off.

use rarefy_format::Words;

use super::call::Target;
use super::instructions::words::run as run_block;
use crate::kernels::blocks::WordsBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if source or output is
/// too short.
#[inline(always)]
pub(crate) fn run(words: Words<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = WordsBlock::new(words)?;
    let source = source.get(..words.inputs())?;
    // Two calls instead of one: with one, the compiler merges the branches around it and needs
    // more registers in the loop over the layers.
    match output {
        Output::Activations { words: to, shift } => {
            let target = Target::activations(to, shift, words.outputs())?;
            // SAFETY: see `run_block`'s contract: `Model::parse` has checked the block for the
            // layer's numbers of inputs and outputs, which are those of `source` and `target`.
            unsafe {
                run_block(
                    block.words.as_ptr(),
                    source.as_ptr(),
                    target.start,
                    target.store,
                );
            };
        }
        Output::Logits(logits) => {
            let target = Target::logits(logits, words.outputs())?;
            // SAFETY: as above.
            unsafe {
                run_block(
                    block.words.as_ptr(),
                    source.as_ptr(),
                    target.start,
                    target.store,
                );
            };
        }
    }
    Some(())
}
