//! Blocks of positions of a convolution, in Rust. RISC-V runs these, too: the compiler keeps all
//! sums in registers.

use crate::kernels::geometry::Convolution;
use crate::kernels::native::call::{Block, Routines};
use crate::kernels::taps::Taps;

/// Returns the routines for a geometry of stride 1 or 2.
pub(crate) fn routines(geometry: &Convolution) -> Routines {
    let (eight, four) = match geometry.stride {
        1 => (positions::<8, 1> as _, positions::<4, 1> as _),
        _ => (positions::<8, 2> as _, positions::<4, 2> as _),
    };
    Routines { eight, four }
}

/// Terminates the taps with a word of 0 and returns the address of the first one. Returns `None` if
/// there is no room for that word.
pub(crate) fn arrange(taps: Taps<'_>) -> Option<*const u32> {
    let (words, single) = taps.into_parts()?;
    *words.get_mut(single.end)? = 0;
    Some(words.as_ptr().wrapping_add(single.start))
}

/// Computes `COUNT` positions.
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
unsafe extern "C" fn positions<const COUNT: usize, const STRIDE: usize>(
    mut taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    // SAFETY: the caller guarantees the starting values, the taps up to the word of 0, and the
    // bytes that they read; `block` is borrowed for this call.
    unsafe {
        let mut sums = [0; COUNT];
        for (position, sum) in sums.iter_mut().enumerate() {
            *sum = *start.add(position);
        }
        // No other tap has a weight of 0.
        while *taps != 0 {
            let (weight, offset) = (*taps as i32 >> 16, *taps as usize & 0xffff);
            let source = base.add(offset);
            for (position, sum) in sums.iter_mut().enumerate() {
                let x = i32::from(*source.add(position * STRIDE));
                *sum = sum.wrapping_add(weight.wrapping_mul(x));
            }
            taps = taps.add(1);
        }
        let block = &mut *block;
        for (to, sum) in block.sums.iter_mut().zip(sums) {
            *to = sum;
        }
    }
}
