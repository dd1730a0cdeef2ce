//! The panic handler of this package's programs, which does not link.
//!
//! The programs are for no particular board and never run, so they have neither a log nor a vector
//! table. What matters is whether they link, and the size of their code. The optimizer removes the
//! handler if no path leads to it, so a program that links cannot panic.
#![no_std]

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Makes linking fail, because nothing defines it.
    fn a_path_to_a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call does not link, so the call never happens.
    unsafe { a_path_to_a_panic_is_left() }
}
