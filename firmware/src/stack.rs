//! Measures the depth of the stack: the free part is painted, the code runs, and the lowest word
//! that changed is found.
//!
//! Assumes one stack that grows down from the end of RAM to the end of the static data.
//!
//! Only a [`Window`] below the stack pointer is painted: a board may have megabytes of RAM, and an
//! emulator takes longer to paint them than to run a network. If the stack grows into the lower
//! half of the window, the caller widens the window and runs the code again.

use core::ptr;

use crate::arch::stack::{self as arch, bottom, top};

/// The value of a painted word.
const PAINT: u32 = 0x5afe_c0de;

/// Size of the first window in bytes: enough for networks of dense layers.
const FIRST: usize = 1024;

/// Returns the maximum size of the stack in bytes: from the top of memory down to the static data.
pub fn capacity() -> usize {
    top() - bottom()
}

/// Returns how many bytes of the stack the caller and its callers use.
#[inline(always)]
pub fn depth() -> usize {
    top() - arch::pointer()
}

/// The depth that the stack has reached.
#[derive(Clone, Copy)]
pub enum Peak {
    /// Bytes from the top of the stack to the lowest byte written, rounded up to the ABI's
    /// alignment (8 on Arm, 16 on RISC-V).
    Bytes(usize),
    /// Below the upper half of the window: paint a wider window and run the code again.
    BelowWindow,
    /// All memory of the stack was used, so the stack may have overwritten static data.
    Overflow,
}

/// A painted area below the stack pointer.
pub struct Window {
    bytes: usize,
    /// The lowest painted address.
    start: usize,
}

impl Window {
    /// Creates the first window.
    #[expect(clippy::new_without_default, reason = "nothing needs a default")]
    pub const fn new() -> Self {
        Self {
            bytes: FIRST,
            start: 0,
        }
    }

    /// Makes the window four times as large when it is next painted.
    pub fn widen(&mut self) {
        self.bytes = self.bytes.saturating_mul(4);
    }

    /// Paints the window below the stack pointer.
    #[inline(never)]
    pub fn paint(&mut self) {
        // A window that is larger than the free stack ends at the bottom.
        let start = (top() - depth()).saturating_sub(self.bytes).max(bottom()) & !3;
        self.start = start;
        // SAFETY: `start` is a multiple of 4 at or above the bottom, and everything from there to
        // the stack pointer is RAM between the end of all statics and the stack pointer, so no
        // Rust object lives there: the stack grows down, and neither ABI has a red zone below the
        // pointer.
        unsafe { arch::paint(start, PAINT) };
    }

    /// Returns the greatest depth of the stack since `paint` was called.
    ///
    /// A function may leave a part of its frame unwritten, so a window counts as wide enough only
    /// if its lower half is untouched, or if it reaches down to the bottom of the stack.
    #[inline(never)]
    pub fn peak(&self) -> Peak {
        let (top, whole) = (top(), self.start == bottom());
        let mut address = self.start;
        while address < top {
            // SAFETY: [start, top) is the stack's RAM, and `start` is word-aligned by `paint`. The
            // loop ends at the first word that is not paint: it reads words that `paint` wrote, and
            // those above them up to that word. RAM always reads as some value, a volatile read has
            // no side effect on it, and the value is only compared.
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
        // The ABI keeps the stack aligned, so the lowest words may be padding, which is never
        // written and looks untouched.
        Peak::Bytes((top - address).next_multiple_of(arch::ALIGNMENT))
    }
}
