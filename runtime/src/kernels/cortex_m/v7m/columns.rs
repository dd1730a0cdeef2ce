//! Columns on ARMv7-M and later: cores with the DSP extension (`v7em`, such as Cortex-M4) and
//! without it (`v7m`, such as Cortex-M3).
//!
//! A row that reads both inputs of a pair takes four instructions: `and` (the row), `ldr` (its
//! sum), `smlad` (multiply both undecoded half words, add both products), `str`. A row that reads
//! one input takes the same with `smlabb` or `smlatb`. Without the DSP extension they take seven
//! and five. To reduce the overhead:
//!
//! - the input is searched for nonzero bytes by words: four zeros take three instructions;
//! - a section is processed in rounds of 16 `u32`, and a jump into the first round accounts for
//!   the remainder, down to half a `u32`;
//! - four `u32` are loaded by one `ldmia`;
//! - the rounds of a section are counted down in the topmost bits of the header, where a borrow
//!   ends the loop; a shift moves the next count there. The sections of the two inputs share code.
//!
//! Registers: r0 sums, r1 mask (times 4), r2 the pair's activations, a half each (M3: the first),
//! r3 section, r4 and r5 scratch, r6 to r9 words, r10 header (during the search: address of the
//! last two words), r11 input, r12 distance from an input to its start, less 4 for the word after
//! it (M3, in a pair: the second activation). Stack, by offset: 0: the pairs; 4: the address of
//! the last two words; 8: that of the last two bytes; 12: the call; 16: `logits`.

use core::arch::naked_asm;

use crate::kernels::native::call::ColumnsCall;

/// Defines `rfy_dsp` as 1: the core has the DSP extension.
#[cfg(cortex_m = "v7em")]
macro_rules! dsp {
    () => {
        r"
.set rfy_dsp, 1
"
    };
}
/// Defines `rfy_dsp` as 0: the core has no DSP extension.
#[cfg(cortex_m = "v7m")]
macro_rules! dsp {
    () => {
        r"
.set rfy_dsp, 0
"
    };
}

/// Runs a layer. Reads each activation once. For pairs whose activations are not both 0, reads the
/// start, the header, and the sections of the activations that are not 0, and updates a sum for
/// each word. Finally requantizes the sums in place, unless `logits` is 1.
///
/// # Safety
///
/// 1. The fields of `call` must be valid, with `rows` sums and biases; `logits` must be 1 if and
///    only if `store` is [`Store::LOGITS`](crate::kernels::native::call::Store::LOGITS).
/// 2. There must be a start for every two activations, and for a last one without a partner: the
///    index of a header that is followed by its three sections.
/// 3. The masked value of each word must be below `rows`, and the same for both words of a row that
///    reads both inputs.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn run(call: *const ColumnsCall, logits: u32) {
    naked_asm!(
        cpu!(),
        dsp!(),
        r"
.macro rfy_both word
    and r4, r1, \word, lsl #2
    ldr r5, [r0, r4]
.if rfy_dsp
    smlad r5, \word, r2, r5
.else
    sxth lr, \word
    mla r5, lr, r2, r5
    asr \word, \word, #16
    mla r5, \word, r12, r5
.endif
    str r5, [r0, r4]
.endm
.macro rfy_low word
    and r4, r1, \word, lsl #2
    ldr r5, [r0, r4]
.if rfy_dsp
    smlabb r5, \word, r2, r5
.else
    sxth lr, \word
    mla r5, lr, r2, r5
.endif
    str r5, [r0, r4]
.endm
.macro rfy_high word
    and r4, r1, \word, lsr #14
    ldr r5, [r0, r4]
.if rfy_dsp
    smlatb r5, \word, r2, r5
.else
    asr \word, \word, #16
    mla r5, \word, r2, r5
.endif
    str r5, [r0, r4]
.endm
.macro rfy_four first
.Lrfy_both_\first\()4:
    ldmia r3!, {r6-r9}
    rfy_both r6
.Lrfy_both_\first\()3:
    rfy_both r7
.Lrfy_both_\first\()2:
    rfy_both r8
.Lrfy_both_\first\()1:
    rfy_both r9
.endm
.macro rfy_eight first
.Lrfy_one_\first\()8:
    ldmia r3!, {r6-r9}
    rfy_low r6
.Lrfy_one_\first\()7:
    rfy_high r6
.Lrfy_one_\first\()6:
    rfy_low r7
.Lrfy_one_\first\()5:
    rfy_high r7
.Lrfy_one_\first\()4:
    rfy_low r8
.Lrfy_one_\first\()3:
    rfy_high r8
.Lrfy_one_\first\()2:
    rfy_low r9
.Lrfy_one_\first\()1:
    rfy_high r9
.endm
.macro rfy_enter section, place, words:vararg
.Lrfy_\section\()_enter_\place:
    ldmia r3!, {\words}
    b .Lrfy_\section\()_\place
.endm
.macro rfy_enter_one section, place
.Lrfy_\section\()_enter_\place:
    ldr r9, [r3], #4
    b .Lrfy_\section\()_\place
.endm
.macro rfy_entry section, label
    .short (.Lrfy_\section\()_\label - .Lrfy_\section\()_table) / 2
.endm
.macro rfy_entries section, labels:vararg
.irp label, \labels
    rfy_entry \section, \label
.endr
.endm
.macro rfy_store sum
    asr \sum, \sum, r10
    usat \sum, #8, \sum
    strb \sum, [r1], #1
.endm

    push {r0, r1, r4-r11, lr}
    sub sp, sp, #12
    // Each sum starts with its bias.
    ldmia r0, {r0, r2, r3}
    mov r1, r0
    b 2f
1:  ldmia r2!, {r4-r11}
    stmia r1!, {r4-r11}
2:  subs r3, r3, #8
    bge 1b
    adds r3, r3, #8
    b 2f
1:  ldr r4, [r2], #4
    str r4, [r1], #4
2:  subs r3, r3, #1
    bge 1b
    ldr r2, [sp, #12]
    adds r2, r2, #12
    ldmia r2, {r1-r3, r11, r12}
    sub r10, r12, #7
    sub r4, r12, #1
    strd r2, r10, [sp]
    str r4, [sp, #8]
    sub r12, r3, r11
    sub r12, r12, #4

.Lrfy_columns_search:
    cmp r11, r10
    bhs .Lrfy_columns_tail
1:  ldr r2, [r11], #4
    cbnz r2, 2f
    ldr r2, [r11], #4
    cmp r2, #0
    beq .Lrfy_columns_search
2:  uxth r2, r2
    cbz r2, 3f
    ldrh r3, [r12, r11]
    bl .Lrfy_columns_block
3:  ldrh r2, [r11, #-2]
    cbz r2, 4f
    add r4, r12, r11
    ldrh r3, [r4, #2]
    bl .Lrfy_columns_block
4:  ldr r10, [sp, #4]
    cmp r11, r10
    blo 1b
    b .Lrfy_columns_tail

    // The last bytes, at most 7. The last one may have no partner.
1:  ldrb r2, [r11], #2
    b 3f
2:  ldrh r2, [r11], #2
3:  cmp r2, #0
    beq .Lrfy_columns_tail
    add r4, r12, r11
    ldrh r3, [r4, #2]
    bl .Lrfy_columns_block
.Lrfy_columns_tail:
    ldr r4, [sp, #8]
    cmp r11, r4
    blo 2b
    beq 1b

    ldrd r2, r3, [sp, #12]
    cbnz r3, 3f
    ldr r3, [r2, #8]
    ldr r10, [r2, #32]
    mov r1, r0
    b 2f
1:  ldmia r0!, {r4-r9}
    rfy_store r4
    rfy_store r5
    rfy_store r6
    rfy_store r7
    rfy_store r8
    rfy_store r9
2:  subs r3, r3, #6
    bge 1b
    adds r3, r3, #6
    b 2f
1:  ldr r4, [r0], #4
    rfy_store r4
2:  subs r3, r3, #1
    bge 1b
3:  add sp, sp, #20
    pop {r4-r11, pc}

.Lrfy_columns_block:
    ldr r4, [sp]
.if rfy_dsp
    orr r2, r2, r2, lsl #8
    uxtb16 r2, r2
.else
    push {r12, lr}
    lsr r12, r2, #8
    uxtb r2, r2
.endif
    add r3, r4, r3, lsl #2
    ldr r10, [r3], #4
    ubfx r5, r10, #22, #4
    tbh [pc, r5, lsl #1]
.Lrfy_both_table:
    rfy_entries both, end, enter_1, enter_2, enter_3, 4
    rfy_entries both, enter_11, enter_12, enter_13, 14
    rfy_entries both, enter_21, enter_22, enter_23, 24
    rfy_entries both, enter_31, enter_32, enter_33
1:
    rfy_four 3
    rfy_four 2
    rfy_four 1
    rfy_four
.Lrfy_both_end:
    subs r10, r10, #16 << 22
    bcs 1b
    lsl r10, r10, #10
.if rfy_dsp
    lsls r4, r2, #16
.else
    cmp r2, #0
.endif
    bne 2f
    // The first is 0, so the second is not.
    lsr r4, r10, #21
    adds r4, r4, #1
    lsrs r4, r4, #1
    add r3, r3, r4, lsl #2
.if rfy_dsp
    lsr r2, r2, #16
.else
    mov r2, r12
    mov r12, #0
.endif
    lsl r10, r10, #11
2:  ubfx r5, r10, #21, #5
    tbh [pc, r5, lsl #1]
.Lrfy_one_table:
    rfy_entries one, end, enter_1, enter_2, enter_3, enter_4, enter_5, enter_6, enter_7, 8
    rfy_entries one, enter_11, enter_12, enter_13, enter_14, enter_15, enter_16, enter_17, 18
    rfy_entries one, enter_21, enter_22, enter_23, enter_24, enter_25, enter_26, enter_27, 28
    rfy_entries one, enter_31, enter_32, enter_33, enter_34, enter_35, enter_36, enter_37
1:
    rfy_eight 3
    rfy_eight 2
    rfy_eight 1
    rfy_eight
.Lrfy_one_end:
    subs r10, r10, #32 << 21
    bcs 1b
.if rfy_dsp
    lsrs r2, r2, #16
    lsl r10, r10, #11
    bne 2b
    bx lr
.else
    movs r2, r12
    mov r12, #0
    lsl r10, r10, #11
    bne 2b
    pop {r12, pc}
.endif
.irp place, ,1,2,3
    rfy_enter_one both, \place\()1
    rfy_enter both, \place\()2, r8, r9
    rfy_enter both, \place\()3, r7, r8, r9
.endr
.irp place, ,1,2,3
    rfy_enter_one one, \place\()1
    rfy_enter_one one, \place\()2
    rfy_enter one, \place\()3, r8, r9
    rfy_enter one, \place\()4, r8, r9
    rfy_enter one, \place\()5, r7, r8, r9
    rfy_enter one, \place\()6, r7, r8, r9
    rfy_enter one, \place\()7, r6, r7, r8, r9
.endr

.purgem rfy_both
.purgem rfy_low
.purgem rfy_high
.purgem rfy_four
.purgem rfy_eight
.purgem rfy_enter
.purgem rfy_enter_one
.purgem rfy_entry
.purgem rfy_entries
.purgem rfy_store
",
        options(raw),
    );
}
