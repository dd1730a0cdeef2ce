//! Ends a program: it exits with a status in the emulator and loops endlessly on a real board.
//!
//! A panic ends the program with failure and a log line, as does a fault (see the `faults` of each
//! architecture), so that the workstation does not wait for it.

#[cfg(not(feature = "semihosting"))]
use core::hint;
use core::panic::PanicInfo;

/// Ends the program. In the emulator, the exit code tells whether it succeeded; on a real board,
/// only the last line of the log does.
pub fn exit(success: bool) -> ! {
    #[cfg(feature = "semihosting")]
    semihosting::process::exit(i32::from(!success));
    #[cfg(not(feature = "semihosting"))]
    {
        let _ = success;
        defmt::flush();
        loop {
            hint::spin_loop();
        }
    }
}

/// Logs only the location: formatting the message would link code that nothing else needs.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let (file, line) = info
        .location()
        .map_or(("?", 0), |place| (place.file(), place.line()));
    defmt::error!("rarefy failed: panicked at {=str}:{=u32}", file, line);
    exit(false)
}
