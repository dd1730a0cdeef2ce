//! The stack of a RISC-V hart, from `_stack_start` down to `__estack`, in the layout of riscv-rt.

use core::arch::asm;

/// The alignment of a stack frame, in bytes.
pub(crate) const ALIGNMENT: usize = 16;

unsafe extern "C" {
    static _stack_start: u32;
    static __estack: u32;
}

/// Returns the address just above the stack.
#[inline(always)]
pub(crate) fn top() -> usize {
    (&raw const _stack_start).addr()
}

/// Returns the lowest address of the stack.
#[inline(always)]
pub(crate) fn bottom() -> usize {
    (&raw const __estack).addr()
}

/// Returns the stack pointer.
#[inline(always)]
pub(crate) fn pointer() -> usize {
    let pointer: usize;
    // SAFETY: the assembly only copies a register.
    unsafe { asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
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
    // SAFETY: the caller guarantees that the memory is free; no interrupt is enabled. If nothing
    // is free, the loop ends before its first store. All registers are declared as operands, and
    // the compiler must assume that memory changes.
    unsafe {
        asm!(
            "j 3f",
            "2:",
            "sw {paint}, 0({address})",
            "addi {address}, {address}, 4",
            "3:",
            "bltu {address}, sp, 2b",
            // If the register kept the paint, pushing it would look like untouched stack.
            "li {paint}, 0",
            address = inout(reg) start => _,
            paint = inout(reg) paint => _,
            options(nostack),
        );
    }
}
