//! Builds, runs and measures networks on emulated and real boards.
//!
//! ```text
//! board -> toolchain -> image (ELF) -> footprint (does it fit?) -> run -> log -> report
//! ```
//!
//! This needs the firmware's sources ([`firmware_folder`]), a compiler for the board's target
//! ([`Toolchain`]), and QEMU or a debug probe; [`Setup`] installs what is missing. A program that
//! does not fit its board is not run, programs are cached, and no tool outlives the process that
//! started it.

mod board_file;
mod boards;
mod c_code;
mod cache;
mod calibrate;
mod chip_folder;
mod chips;
mod code;
mod comparison;
mod cores;
mod cycles;
mod elf;
mod emulate;
mod emulator;
mod error;
mod features;
mod firmware;
mod fits;
mod footprint;
mod image;
mod log;
mod machine;
mod measure;
mod memory_map;
mod options;
mod packages;
mod pareto;
mod process;
mod project;
mod record;
mod report;
#[cfg(all(test, unix))]
mod rtt;
mod run;
mod selftest;
mod setup;
mod sources;
mod stack;
mod statistics;
mod summary;
mod toolchain;
mod twin;
mod variant_fits;
mod watchdog;

pub use boards::{Board, BoardError, Boards, BrokenBoard, Counter, Origin, Region, Runner};
pub use c_code::{CFlashError, c_flash};
pub use calibrate::{
    CalibrateError, Calibration, NetworkCalibration, Ratio, calibrate, check_calibration,
};
pub use chips::{Chip, ChipCore, ChipError, chips};
pub use code::{CodeError, CodeFlash, code_flash};
pub use comparison::{Comparison, Row, compare};
pub use cycles::{
    Estimate, FunctionShare, LayerProfile, Profile, Range, Share, has_table as has_cycle_table,
};
pub use emulate::emulate;
pub use error::DeviceError;
pub use features::engine_features;
pub use firmware::firmware_folder;
pub use fits::{Fit, Fits, FitsError, WELL_KNOWN, build_with_stack, fits};
pub use footprint::{Excess, Footprint, FootprintError, Memory, STACK_RESERVE, code_size};
pub use image::ImageError;
pub use machine::Machine;
pub use measure::{build, footprint, measure, measure_code};
pub use options::MeasureOptions;
pub use packages::InstallError;
pub use project::{Project, ProjectError};
pub use report::{BoardReport, BoardSummary, Cost, Flash, Mismatch, NetworkReport, Ram};
pub use run::{RunError, check_runner};
pub use selftest::selftest;
pub use setup::{Setup, SetupError};
pub use sources::{SourceFile, embed_sources};
pub use stack::{StackError, StackNeed, stack_need};
pub use statistics::Counts;
pub use toolchain::{Compiler, Toolchain, ToolchainError};
pub use twin::dense_twin;
pub use variant_fits::{Chosen, VariantFit, VariantFits, fits_variants};
