//! The panic handler. In a release build it does not link: the optimizer removes the handler if no
//! path leads to it, so a program that links with the library cannot panic in it.

use core::panic::PanicInfo;

#[cfg(debug_assertions)]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(not(debug_assertions))]
unsafe extern "C" {
    /// Makes linking fail, because nothing defines it.
    fn a_path_to_a_panic_is_left() -> !;
}

#[cfg(not(debug_assertions))]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call does not link, so the call never happens.
    unsafe { a_path_to_a_panic_is_left() }
}
