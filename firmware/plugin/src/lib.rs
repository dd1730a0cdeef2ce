//! A plug-in for QEMU's code generator (TCG) that counts what measured inferences execute.
//!
//! The program on the board starts and stops its counter in two functions, and logs a line in a
//! third. Between the first two, the plug-in counts the transitions between blocks of
//! instructions, and it writes the counts to a file once the program logs the measurement
//! ([`counts`]). It changes neither the program nor the number of instructions that it executes.
//! The workstation knows the program and turns the counts into instructions and cycles.
//!
//! Arguments, as in `-plugin libplugin.so,start=4188,...` (numbers are decimal):
//!
//! | argument | meaning |
//! |---|---|
//! | `start`, `stop` | addresses of the functions that start and stop the counter |
//! | `log` | address of the function that begins a log line |
//! | `records`, `layers` | address of the model's layer records, and their number (profiles only) |
//! | `out` | the file to write |

mod counts;
#[cfg(not(test))]
mod interface;
