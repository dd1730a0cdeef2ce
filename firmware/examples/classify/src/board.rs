//! How the program starts, logs and ends on its board.

use core::panic::PanicInfo;

// Each implements critical sections for its architecture, which defmt needs.
#[cfg(target_arch = "arm")]
use cortex_m as _;
#[cfg(target_arch = "riscv32")]
use riscv as _;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

#[cfg(feature = "probe")]
use defmt_rtt as _;
#[cfg(feature = "emulator")]
use defmt_semihosting as _;

/// Ends the program: the emulator exits with a status, and a chip does nothing more.
pub fn exit(success: bool) -> ! {
    defmt::flush();
    #[cfg(feature = "emulator")]
    semihosting::process::exit(i32::from(!success));
    #[cfg(not(feature = "emulator"))]
    loop {
        let _ = success;
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info
        .location()
        .map_or(("?", 0), |at| (at.file(), at.line()));
    defmt::error!("panicked at {=str}:{=u32}", file, line);
    exit(false)
}
