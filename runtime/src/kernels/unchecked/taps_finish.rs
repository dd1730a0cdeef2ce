//! The end of a routine for blocks of positions, for the v7-M cores: pools, shifts, clamps, stores, and
//! leaves the block ready for the one below.

/// The larger of each pair, in the first of the two.
macro_rules! larger {
    ($($a:literal $b:literal),*) => {
        concat!($("cmp ", $a, ", ", $b, "\nit lt\nmovlt ", $a, ", ", $b, "\n"),*)
    };
}

/// Each at least 0.
macro_rules! positive {
    ($($a:literal),*) => { concat!($("bic ", $a, ", ", $a, ", ", $a, ", asr #31\n"),*) };
}

/// The sum of each pair, in the first of the two.
macro_rules! added {
    ($($a:literal $b:literal),*) => { concat!($("add ", $a, ", ", $b, "\n"),*) };
}

/// Stores each, shifted by r7 and clamped, at its place behind r6.
macro_rules! stored {
    ($($a:literal $at:literal),*) => {
        concat!($(
            "asr ", $a, ", r7\nusat ", $a, ", #8, ", $a, "\nstrb ", $a, ", [r6, #", $at, "]\n"
        ),*)
    };
}

/// Finishes the sums, of which `left` and `right` are the neighbours, as the block at r10
/// says (`super::Block`), and returns by `pop`. Needs r6, r7, r11 and r12.
macro_rules! finish {
    ($($sum:literal $at:literal),*;
     left $lefts:literal right $rights:literal: $($left:literal $right:literal $pair:literal),*;
     $pop:literal) => {
        concat!(
            "ldrd r6, r7, [r10, #16]\n",
            "ldrd r11, r12, [r10, #24]\n",
            "cmp r11, #1\n",
            "beq 11f\n",
            "bhi 12f\n",
            $crate::kernels::unchecked::taps::finish::stored!($($sum $at),*),
            "ldr r11, [r10, #32]\n",
            "add r6, r11\n",
            "str r6, [r10, #16]\n",
            $pop, "\n",
            "11:\n",
            $crate::kernels::unchecked::taps::finish::larger!($($left $right),*),
            "cmp r12, #0\n",
            "beq 14f\n",
            "ldm r10, {{", $rights, "}}\n",
            $crate::kernels::unchecked::taps::finish::larger!($($left $right),*),
            "13:\n",
            $crate::kernels::unchecked::taps::finish::stored!($($left $pair),*),
            "ldr r11, [r10, #32]\n",
            "add r6, r11\n",
            "str r6, [r10, #16]\n",
            "mov r11, #0\n",
            "str r11, [r10, #28]\n",
            $pop, "\n",
            "12:\n",
            $crate::kernels::unchecked::taps::finish::positive!($($sum),*),
            $crate::kernels::unchecked::taps::finish::added!($($left $right),*),
            "cmp r12, #0\n",
            "beq 14f\n",
            "ldm r10, {{", $rights, "}}\n",
            $crate::kernels::unchecked::taps::finish::added!($($left $right),*),
            "b 13b\n",
            "14: stm r10, {{", $lefts, "}}\n",
            "mov r11, #1\n",
            "str r11, [r10, #28]\n",
            $pop, "\n",
        )
    };
}

/// [`finish`] for eight sums.
macro_rules! finish8 {
    ($pop:literal) => {
        $crate::kernels::unchecked::taps::finish::finish!(
            "r0" 0, "r1" 1, "r2" 2, "r3" 3, "r4" 4, "r5" 5, "r8" 6, "r9" 7;
            left "r0, r2, r4, r8" right "r1, r3, r5, r9":
                "r0" "r1" 0, "r2" "r3" 1, "r4" "r5" 2, "r8" "r9" 3;
            $pop
        )
    };
}

/// [`finish`] for four sums.
macro_rules! finish4 {
    ($pop:literal) => {
        $crate::kernels::unchecked::taps::finish::finish!(
            "r0" 0, "r1" 1, "r2" 2, "r3" 3;
            left "r0, r2" right "r1, r3": "r0" "r1" 0, "r2" "r3" 1;
            $pop
        )
    };
}

pub(super) use {added, finish, finish4, finish8, larger, positive, stored};
