//! A panic handler that does not link, which the programs of this package share.
//!
//! The programs are for no board and never run: they have no log and no vector table. What matters
//! is whether they link, and the size of their code. The optimizer removes the handler with the
//! last path that leads to it, so a program that links cannot panic.
#![no_std]

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Fails to link: nothing defines it.
    fn a_path_to_a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call does not link, so the call never happens.
    unsafe { a_path_to_a_panic_is_left() }
}
