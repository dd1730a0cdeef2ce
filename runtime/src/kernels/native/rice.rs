//! Entropy-coded rows without checks.
//!
//! Instructions per inference of LeNet-300-100 at 100x (2,366 weights of 4 bits in 293 rows), with
//! the portable kernel and with this one, of which the next columns list the instructions per
//! weight, row and run of rows:
//!
//! | | portable | here | weight | row | run | code, bytes |
//! |---|---|---|---|---|---|---|
//! | Cortex-M4, M3 | 251,256 | 95,695 | 25 | 68 | 37 | 768 |
//! | Cortex-M0 | 392,156 | 186,837 | 52 | 113 | 64 | 706 |

use rarefy_format::rice::Rice;

use super::call::{RiceCall, Target};
use super::instructions::rice::rows;
use crate::kernels::output::Output;

/// Runs a dense layer. If the block lists the inputs that it uses, these are first gathered in
/// `scratch`, which may be empty otherwise. Returns `None` if a slice is too short.
#[inline(always)]
pub(crate) fn run(
    rice: Rice<'_>,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    let target = Target::new(output, usize::from(rice.outputs()))?;
    let source = source.get(..usize::from(rice.inputs()))?;
    let scratch: &mut [u8] = bytemuck::must_cast_slice_mut(scratch);
    let scratch = scratch.get_mut(..rice.selected().map_or(0, usize::from))?;
    let stream = rice.stream();
    let mut call = RiceCall {
        // The block starts with a head of four bytes, so this is not before its first byte.
        end: stream.block.as_ptr_range().end.wrapping_sub(4),
        read: 0,
        codebook: if stream.codebook.is_empty() {
            core::ptr::null()
        } else {
            stream.codebook.as_ptr()
        },
        head: stream.head,
        first_reach: stream.first_reach,
        gap_reach: stream.gap_reach,
        input: source.as_ptr(),
        store: target.store,
        output: target.start,
        left: u32::from(rice.outputs()),
        run: 0,
        // Sorted lengths grow by at least one, and the first may be 0.
        length: if stream.head >> 31 != 0 { u32::MAX } else { 0 },
        first: scratch.as_mut_ptr(),
        first_k: u32::from(rice.inputs()),
    };
    // SAFETY: `Model::parse` has decoded the same bits of the same block. So gathering the inputs
    // of a list, if there is one, copies as many bytes as `scratch` has from inside `source`; a row
    // reads bits inside the block, entries inside the codebook and activations inside `source` or
    // `scratch`; and exactly as many outputs are stored as `target` has, at least one. Every code
    // is in the four bytes that are loaded for it, and these are inside the block because its head
    // precedes the bits.
    unsafe { rows(&mut call) };
    Some(())
}
