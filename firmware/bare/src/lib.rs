//! The panic handler of the programs in this crate, which does not link.
//!
//! These programs are for no board and never run: there is no log and no vector table. They show
//! whether code links, and how large it is. The optimizer removes the handler with the last path
//! to it, so a program that links cannot panic.
#![no_std]

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Is defined nowhere, so that no program that calls it links.
    fn a_path_to_a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call does not link, so the call is never made.
    unsafe { a_path_to_a_panic_is_left() }
}
