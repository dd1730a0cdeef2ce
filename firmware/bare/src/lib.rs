//! What the programs here share: a panic handler that does not link.
//!
//! They are for no board: nothing runs them, no log, no vector table. What matters is whether they
//! link, and how long their code is. The optimizer removes the handler with the last path that leads
//! to it, so a program that links has none.
#![no_std]

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Defined nowhere.
    fn a_path_to_a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program in which this call is left does not link, so it is never made.
    unsafe { a_path_to_a_panic_is_left() }
}
