//! Boards, emulated and real: from a container to flash, RAM and instructions.
//!
//! ```text
//! Boards -> Toolchain -> image (ELF) -> Footprint (fits?) -> run -> lines -> BoardReport
//! ```
//!
//! The firmware's sources are needed (`firmware_folder`), a compiler for the board's target
//! ([`Toolchain`]), and the emulator or a debug probe. Nothing that does not fit its board is
//! ever run, what was linked before is not built again, and no tool outlives the command that started it.
//! [`Setup`] installs what is missing.

mod boards;
mod cache;
mod code;
mod dense;
mod elf;
mod image;
mod lines;
mod machine;
mod measure;
mod process;
mod report;
mod run;
mod selftest;
mod setup;
mod toolchain;

pub use boards::{Board, BoardError, Boards, Counter, Region, Runner, firmware_folder};
pub use code::{CodeError, code_flash};
pub use dense::dense;
pub use elf::{ElfError, Footprint, Memory};
pub use image::ImageError;
pub use machine::Machine;
pub use measure::{
    DeviceError, MeasureOptions, STACK_RESERVE, build, footprint, measure, measure_code,
};
pub use report::{BoardReport, Cost, Counts, Flash, Mismatch, NetworkReport, Ram};
pub use run::{RunError, check_runner};
pub use selftest::selftest;
pub use setup::{Setup, SetupError};
pub use toolchain::{Compiler, Toolchain, ToolchainError};
