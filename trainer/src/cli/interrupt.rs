//! Ctrl-C: the first one asks the command to stop in good order, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use anyhow::{Error, anyhow};

static RAISED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and termination requests.
pub(super) fn install() {
    // Where no handler can be set the signal ends the process, and files are whole all the same.
    let _ = ctrlc::set_handler(|| {
        if RAISED.swap(true, SeqCst) {
            std::process::exit(1);
        }
    });
}

/// Raised when the user wants to stop.
pub(super) fn flag() -> &'static AtomicBool {
    &RAISED
}

/// What a command that was stopped fails with.
pub(super) fn interrupted() -> Error {
    anyhow!("interrupted; nothing half-written is left, run the same command again")
}
