//! The main stack of a Cortex-M core, from `_stack_start` down to `_stack_end`, in the layout of
//! cortex-m-rt.

use core::arch::asm;

/// The alignment of a stack frame, in bytes.
pub(crate) const ALIGNMENT: usize = 8;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Returns the address just above the stack.
#[inline(always)]
pub(crate) fn top() -> usize {
    (&raw const _stack_start).addr()
}

/// Returns the lowest address of the stack.
#[inline(always)]
pub(crate) fn bottom() -> usize {
    (&raw const _stack_end).addr()
}

/// Returns the stack pointer.
#[inline(always)]
pub(crate) fn pointer() -> usize {
    let pointer: usize;
    // SAFETY: the assembly only copies a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Stores `paint` in the words from `start` up to the stack pointer.
///
/// # Safety
///
/// `start` must be a multiple of 4, and the memory from there to the stack pointer must be RAM in
/// which no Rust object lives.
#[inline(always)]
pub(crate) unsafe fn paint(start: usize, paint: u32) {
    // One block of assembly, so that the compiler cannot push anything between reading the stack
    // pointer and painting up to it.
    //
    // SAFETY: the caller guarantees that the memory is free. An interrupt's frame there exists
    // only while its handler runs and is never painted over meanwhile. The linker script aligns
    // the initial stack pointer. If nothing is free, the loop ends before its first store. All
    // registers are declared as operands, and the compiler must assume that flags and memory
    // change: neither `preserves_flags` nor `nomem` is given.
    unsafe {
        asm!(
            "mov {end}, sp",
            "b 3f",
            "2:",
            "str {paint}, [{address}]",
            "adds {address}, {address}, #4",
            "3:",
            "cmp {address}, {end}",
            "blo 2b",
            // If the register kept the paint, pushing it would look like untouched stack.
            "movs {paint}, #0",
            address = inout(reg) start => _,
            end = out(reg) _,
            paint = inout(reg) paint => _,
            options(nostack),
        );
    }
}
