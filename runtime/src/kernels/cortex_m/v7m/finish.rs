//! Macros that pool and store blocks of positions, shared by the routines of ARMv7-M and ARMv7E-M.
//!
//! A routine defines the macros of [`eight`] or [`four`] and of [`finish`], ends with
//! `rfy_finish`, and purges them with [`purge`]. Registers at `rfy_finish`: sums in r0 to r5, r8,
//! r9 (eight positions) or r0 to r3 (four), r10 block (`crate::kernels::native::call::Block`);
//! r6, r7, r11 and r12 are scratch.

/// Defines the macros for eight sums. They apply another macro to each sum or to each pair, or load
/// or store one sum per pair.
macro_rules! eight {
    () => {
        r"
.macro rfy_each_sum what
    \what r0, 0
    \what r1, 1
    \what r2, 2
    \what r3, 3
    \what r4, 4
    \what r5, 5
    \what r8, 6
    \what r9, 7
.endm
.macro rfy_each_left what
    \what r0, 0
    \what r2, 1
    \what r4, 2
    \what r8, 3
.endm
.macro rfy_each_pair what
    \what r0, r1
    \what r2, r3
    \what r4, r5
    \what r8, r9
.endm
.macro rfy_load_into_rights
    ldmia r10, {r1, r3, r5, r9}
.endm
.macro rfy_keep_lefts
    stmia r10, {r0, r2, r4, r8}
.endm
"
    };
}

/// Defines the macros for four sums. They apply another macro to each sum or to each pair, or load
/// or store one sum per pair.
macro_rules! four {
    () => {
        r"
.macro rfy_each_sum what
    \what r0, 0
    \what r1, 1
    \what r2, 2
    \what r3, 3
.endm
.macro rfy_each_left what
    \what r0, 0
    \what r2, 1
.endm
.macro rfy_each_pair what
    \what r0, r1
    \what r2, r3
.endm
.macro rfy_load_into_rights
    ldmia r10, {r1, r3}
.endm
.macro rfy_keep_lefts
    stmia r10, {r0, r2}
.endm
"
    };
}

/// Defines `rfy_finish`, which pools, shifts, clamps and stores the sums as the block states,
/// prepares the block for the row below, and returns with `pop {first-r11, pc}`.
macro_rules! finish {
    () => {
        r"
.macro rfy_larger a, b
    cmp \a, \b
    it lt
    movlt \a, \b
.endm
.macro rfy_positive a, place
    bic \a, \a, \a, asr #31
.endm
.macro rfy_add a, b
    add \a, \a, \b
.endm
.macro rfy_store a, place
    asr \a, \a, r7
    usat \a, #8, \a
    strb \a, [r6, #\place]
.endm
.macro rfy_next_row
    ldr r11, [r10, #32]
    add r6, r6, r11
    str r6, [r10, #16]
.endm
.macro rfy_finish first
    ldrd r6, r7, [r10, #16]
    ldrd r11, r12, [r10, #24]
    cmp r11, #1
    beq 11f
    bhi 13f
    rfy_each_sum rfy_store
    rfy_next_row
    pop {\first-r11, pc}
    // Max pooling: keeps the larger of two neighbours.
11: rfy_each_pair rfy_larger
    cmp r12, #0
    beq 14f
    rfy_load_into_rights
    rfy_each_pair rfy_larger
12: rfy_each_left rfy_store
    rfy_next_row
    mov r11, #0
    str r11, [r10, #28]
    pop {\first-r11, pc}
    // Average pooling: adds two neighbours, with 0 for negative ones.
13: rfy_each_sum rfy_positive
    rfy_each_pair rfy_add
    cmp r12, #0
    beq 14f
    rfy_load_into_rights
    rfy_each_pair rfy_add
    b 12b
    // Keeps the results of the first row of windows of 2 x 2.
14: rfy_keep_lefts
    mov r11, #1
    str r11, [r10, #28]
    pop {\first-r11, pc}
.endm
"
    };
}

/// Purges the macros of [`eight`] or [`four`] and of [`finish`].
macro_rules! purge {
    () => {
        r"
.purgem rfy_each_sum
.purgem rfy_each_left
.purgem rfy_each_pair
.purgem rfy_load_into_rights
.purgem rfy_keep_lefts
.purgem rfy_larger
.purgem rfy_positive
.purgem rfy_add
.purgem rfy_store
.purgem rfy_next_row
.purgem rfy_finish
"
    };
}

pub(crate) use {eight, finish, four, purge};
