//! Blocks of positions on cores of the v7-M architecture without the DSP extension (M3).
//!
//! For each tap, a byte load and `mla` for each position: 21 instructions for eight, so 2.6 for
//! each weight and position. The taps stay as they are, with a word of 0 behind them; no tap is 0.

use core::arch::{asm, naked_asm};

use crate::kernels::convolution::Taps;

/// The routines for blocks of eight and of four positions.
pub(super) type Routines = (Routine, Routine);
/// Not called but jumped to, see [`add`].
type Routine = unsafe extern "C" fn();

/// The routines for a stride, if there are any.
pub(super) fn routines(stride: usize) -> Option<Routines> {
    match stride {
        1 => Some((every8, every4)),
        2 => Some((second8, second4)),
        _ => None,
    }
}

/// Ends the taps.
pub(super) fn arrange(taps: Taps<'_>, _stride: usize, _positions: usize) -> *const u32 {
    let (words, count, _) = taps.into_parts();
    let first = words.as_mut_ptr().wrapping_add(Taps::FRONT);
    // SAFETY: three words lie behind the taps.
    unsafe { *first.add(count) = 0 };
    first
}

/// `start` plus the taps' products, for the block of `N` (4 or 8) positions at `base`.
///
/// # Safety
///
/// `taps` as left by [`arrange`]; every byte that a tap names for one of the positions must be
/// readable.
#[inline(always)]
pub(super) unsafe fn add<const N: usize>(
    routines: Routines,
    taps: *const u32,
    base: *const u8,
    start: &[i32; 8],
) -> [i32; N] {
    let mut sums = [0; 8];
    let [s0, s1, s2, s3, s4, s5, s6, s7] = &mut sums;
    let routine = if N == 8 { routines.0 } else { routines.1 };
    // SAFETY: the routines read what the caller vouches for, write nothing but the registers
    // below, and keep the stack.
    unsafe {
        asm!("blx r0", inlateout("r0") routine => *s0, lateout("r1") *s1, lateout("r2") *s2,
            lateout("r3") *s3, lateout("r4") *s4, lateout("r5") *s5, lateout("r8") *s6,
            lateout("r9") *s7, inlateout("r10") taps => _, inlateout("r11") base => _,
            inlateout("r12") start.as_ptr() => _, lateout("lr") _);
    }
    core::array::from_fn(|lane| sums[lane])
}

/// A routine for the positions whose sums ($sum) and distances ($at) are given. In: r10 taps, r11
/// base, r12 where the sums start. Out: sums; r10, r12 and lr are lost.
macro_rules! routine {
    ($(#[$doc:meta])* $name:ident, $sums:literal; $($sum:literal $at:literal),*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "push {{r6, r7, lr}}",
                concat!("ldm r12, {{", $sums, "}}"),
                "b 3f",
                "2: add r6, r11",
                concat!($(
                    "ldrb r12, [r6, #", $at, "]\n",
                    "mla ", $sum, ", r12, r7, ", $sum, "\n",
                )*),
                "3: ldrh r6, [r10], #2",
                "ldrsh r7, [r10], #2",
                "cmp r7, #0",
                "bne 2b",
                "pop {{r6, r7, pc}}",
            );
        }
    };
}

routine! {
    /// Eight positions, stride 1.
    every8, "r0-r5, r8, r9";
    "r0" 0, "r1" 1, "r2" 2, "r3" 3, "r4" 4, "r5" 5, "r8" 6, "r9" 7
}
routine! {
    /// Four positions, stride 1.
    every4, "r0-r3"; "r0" 0, "r1" 1, "r2" 2, "r3" 3
}
routine! {
    /// Eight positions, stride 2.
    second8, "r0-r5, r8, r9";
    "r0" 0, "r1" 2, "r2" 4, "r3" 6, "r4" 8, "r5" 10, "r8" 12, "r9" 14
}
routine! {
    /// Four positions, stride 2.
    second4, "r0-r3"; "r0" 0, "r1" 2, "r2" 4, "r3" 6
}
