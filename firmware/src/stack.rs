//! How deep the stack has been: paint what is free, run, look how far the paint is gone.
//!
//! Assumes one stack that grows down from `_stack_start` to `_stack_end`, the end of the
//! static data (cortex-m-rt's layout), and thread mode on the main stack pointer.

use core::arch::asm;
use core::ptr;

const PAINT: u32 = 0x5afe_c0de;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Address just above the stack.
fn top() -> usize {
    (&raw const _stack_start).addr()
}

/// Lowest address of the stack.
fn bottom() -> usize {
    (&raw const _stack_end).addr()
}

/// Bytes from the top of memory to the end of the static data: what the stack may take.
pub fn capacity() -> usize {
    top() - bottom()
}

/// Bytes that the caller and its callers have on the stack.
#[inline(always)]
pub fn depth() -> usize {
    let pointer: usize;
    // SAFETY: copies a register and nothing else.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    top() - pointer
}

/// Paints everything below the stack pointer.
#[inline(never)]
pub fn paint() {
    // One piece of assembly, so that no push of the compiler's can come between reading the
    // stack pointer and painting up to it.
    //
    // SAFETY: [bottom, sp) is RAM between the end of all statics and the stack pointer, so no
    // Rust object lives there: the stack grows down, thread mode runs on it, Arm's ABI has no
    // red zone below the pointer, and an interrupt's frame there exists only while its handler
    // runs and is never painted over meanwhile. The addresses are valid and aligned: both
    // ends come from the linker script's word-aligned layout. When nothing is free the loop
    // ends before its first store. Registers are declared; flags may change; memory may too
    // (no `nomem`).
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
            // A register that kept the paint could be pushed and pass for untouched stack.
            "movs {paint}, #0",
            address = inout(reg) bottom() => _,
            end = out(reg) _,
            paint = inout(reg) PAINT => _,
            options(nostack),
        );
    }
}

/// Bytes from the top of the stack to the lowest byte written since `paint`, to the next
/// multiple of 8; `None` when the very last word is gone, so the stack may have run into the static data.
#[inline(never)]
pub fn peak() -> Option<usize> {
    let top = top();
    let mut address = bottom();
    while address < top {
        // SAFETY: [bottom, top) is the stack's RAM, word-aligned by the linker script. The loop
        // ends at the first word that is not paint, so it reads what `paint` wrote and at most
        // the words just above; RAM reads as some value whoever wrote it, a volatile read has
        // no effect on it, and the value is only compared.
        if unsafe { ptr::with_exposed_provenance::<u32>(address).read_volatile() } != PAINT {
            break;
        }
        address += 4;
    }
    // Arm's ABI moves the stack pointer by 8 bytes at a time: a word that was taken but never
    // written, as padding is, looks untouched.
    if address == bottom() {
        None
    } else {
        Some((top - address).next_multiple_of(8))
    }
}
