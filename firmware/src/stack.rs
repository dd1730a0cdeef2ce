//! Measures the stack depth: paints free memory, runs the code, and looks for the lowest
//! overwritten word.
//!
//! Assumes one stack that grows down from `_stack_start` to `_stack_end`, the end of the static
//! data (cortex-m-rt's layout), and thread mode on the main stack pointer.
//!
//! Only a [`Window`] below the stack pointer is painted: a board may have megabytes of RAM, which
//! an emulator takes longer to paint than to run a network. If the window is overwritten too far
//! down, the caller widens it and runs the code again.

use core::arch::asm;
use core::ptr;

const PAINT: u32 = 0x5afe_c0de;

/// The initial size of the window in bytes, sufficient for networks of dense layers.
const FIRST: usize = 1024;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Returns the address just above the stack.
fn top() -> usize {
    (&raw const _stack_start).addr()
}

/// Returns the lowest address of the stack.
fn bottom() -> usize {
    (&raw const _stack_end).addr()
}

/// Returns the number of bytes from the top of memory to the end of the static data, which the
/// stack may use.
pub fn capacity() -> usize {
    top() - bottom()
}

/// Returns the number of bytes of stack that the caller and its callers use.
#[inline(always)]
pub fn depth() -> usize {
    let pointer: usize;
    // SAFETY: the instruction copies a register and does nothing else.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    top() - pointer
}

/// The measured depth of the stack.
#[derive(Clone, Copy)]
pub enum Peak {
    /// The number of bytes from the top of the stack to the lowest byte written, rounded up to a
    /// multiple of 8.
    Bytes(usize),
    /// The stack reached the lower half of the window: paint a wider one and run again.
    BelowWindow,
    /// The stack reached its last word and may have overwritten static data.
    Overflow,
}

/// The painted memory below the stack pointer.
pub struct Window {
    bytes: usize,
    /// The lowest painted address.
    start: usize,
}

impl Window {
    /// Returns a window of the initial size.
    #[expect(
        clippy::new_without_default,
        reason = "nothing asks for a default here"
    )]
    pub const fn new() -> Self {
        Self {
            bytes: FIRST,
            start: 0,
        }
    }

    /// Makes the next painted window four times as large.
    pub fn widen(&mut self) {
        self.bytes = self.bytes.saturating_mul(4);
    }

    /// Paints the window below the stack pointer.
    #[inline(never)]
    pub fn paint(&mut self) {
        // Does not wrap: RAM begins far above address 0.
        let start = (top() - depth()).saturating_sub(self.bytes).max(bottom()) & !3;
        self.start = start;
        // This is one piece of assembly, so that the compiler cannot push anything between reading
        // the stack pointer and painting up to it.
        //
        // SAFETY: [start, sp) is RAM between the end of all statics and the stack pointer, so no
        // Rust object lies there: the stack grows down, thread mode runs on it, Arm's ABI has no
        // red zone below the pointer, and the frame of an interrupt exists there only while its
        // handler runs, during which nothing is painted. The addresses are valid and aligned:
        // `start` is a multiple of 4 at or above the bottom, which the linker script aligns as it
        // does the initial stack pointer. If nothing is free, the loop ends before its first
        // store. Registers are declared; flags and memory may change (no `nomem`).
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
                // If a register still held the paint, it could be pushed and pass for untouched
                // stack.
                "movs {paint}, #0",
                address = inout(reg) start => _,
                end = out(reg) _,
                paint = inout(reg) PAINT => _,
                options(nostack),
            );
        }
    }

    /// Returns the largest stack depth since `paint`.
    ///
    /// A function may leave parts of its frame unwritten. So a window counts as wide enough only
    /// if its lower half is untouched, or if it reaches down to the bottom.
    #[inline(never)]
    pub fn peak(&self) -> Peak {
        let (top, whole) = (top(), self.start == bottom());
        let mut address = self.start;
        while address < top {
            // SAFETY: [start, top) is the stack's RAM, word-aligned by `paint`. The loop ends at
            // the first word that is not paint, so it reads painted words and at most the words
            // just above them. Reading RAM yields some value whoever wrote it, a volatile read has
            // no effect on it, and the value is only compared.
            if unsafe { ptr::with_exposed_provenance::<u32>(address).read_volatile() } != PAINT {
                break;
            }
            address += 4;
        }
        if whole && address == self.start {
            return Peak::Overflow;
        }
        if !whole && address - self.start < self.bytes / 2 {
            return Peak::BelowWindow;
        }
        // Arm's ABI moves the stack pointer by 8 bytes at a time: a word that is allocated but
        // never written, such as padding, looks untouched.
        Peak::Bytes((top - address).next_multiple_of(8))
    }
}
