//! Blocks of positions on cores of the v6-M architecture (M0).
//!
//! For each tap, `ldrb`, `muls` and `add` for each position: 29 instructions for eight, so 3.6 for
//! each weight and position. Four of the sums are in high registers, which can be added to. The
//! taps stay as they are, with a word of 0 behind them; no tap is 0.

use core::arch::naked_asm;

use crate::kernels::convolution::Taps;

/// The routines for blocks of eight and of four positions.
pub(super) type Routines = (Routine, Routine);
/// Adds to the sums: taps, base, sums.
type Routine = unsafe extern "C" fn(*const u32, *const u8, *mut i32);

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
    let mut sums: [i32; N] = core::array::from_fn(|lane| start[lane]);
    let routine = if N == 8 { routines.0 } else { routines.1 };
    // SAFETY: the routines read what the caller vouches for, and `N` sums.
    unsafe { routine(taps, base, sums.as_mut_ptr()) };
    sums
}

/// Adds a tap's products to the sums: r3 pointer, r1 weight, r2 scratch.
macro_rules! products {
    ($($sum:literal $at:literal),*) => {
        concat!($(
            "ldrb r2, [r3, #", $at, "]\n",
            "muls r2, r1, r2\n",
            "add ", $sum, ", r2\n",
        )*)
    };
}

/// A routine for eight positions at the given distances.
macro_rules! eight {
    ($(#[$doc:meta])* $name:ident; $a:literal $b:literal $c:literal $d:literal
        $e:literal $f:literal $g:literal $h:literal) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: *const u32, base: *const u8, sums: *mut i32) {
            naked_asm!(
                "push {{r2, r4-r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r4-r7}}",
                "mov r12, r1",
                "ldm r2!, {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "ldm r2!, {{r4-r7}}",
                "b 3f",
                "2: uxth r3, r3",
                "add r3, r12",
                products!("r8" $a, "r9" $b, "r10" $c, "r11" $d, "r4" $e, "r5" $f, "r6" $g, "r7" $h),
                "3: ldm r0!, {{r3}}",
                "asrs r1, r3, #16",
                "bne 2b",
                "ldr r2, [sp, #16]",
                "mov r0, r8",
                "mov r1, r9",
                "mov r3, r10",
                "stm r2!, {{r0, r1, r3}}",
                "mov r3, r11",
                "stm r2!, {{r3, r4, r5, r6, r7}}",
                "pop {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r2, r4-r7, pc}}",
            );
        }
    };
}

/// A routine for four positions at the given distances.
macro_rules! four {
    ($(#[$doc:meta])* $name:ident; $a:literal $b:literal $c:literal $d:literal) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: *const u32, base: *const u8, sums: *mut i32) {
            naked_asm!(
                "push {{r2, r4-r7, lr}}",
                "mov r12, r1",
                "ldm r2!, {{r4-r7}}",
                "b 3f",
                "2: uxth r3, r3",
                "add r3, r12",
                products!("r4" $a, "r5" $b, "r6" $c, "r7" $d),
                "3: ldm r0!, {{r3}}",
                "asrs r1, r3, #16",
                "bne 2b",
                "ldr r2, [sp]",
                "stm r2!, {{r4-r7}}",
                "pop {{r2, r4-r7, pc}}",
            );
        }
    };
}

eight! {
    /// Eight positions, stride 1.
    every8; 0 1 2 3 4 5 6 7
}
four! {
    /// Four positions, stride 1.
    every4; 0 1 2 3
}
eight! {
    /// Eight positions, stride 2.
    second8; 0 2 4 6 8 10 12 14
}
four! {
    /// Four positions, stride 2.
    second4; 0 2 4 6
}
