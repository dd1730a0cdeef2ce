//! The instructions of the Cortex-M cores: a folder per instruction set, `v6m` (M0, M0+, M1, M23),
//! `v7m` (M3), `v7em` (M4, M7, M33, M55). The folder `v7em` contains what benefits from the DSP
//! extension and takes the rest from `v7m`. [`native`](super::native) has the entries that call
//! them.
//!
//! # Style of the assembly
//!
//! A routine is a naked function with one raw `naked_asm!`. Its macros come first, are named
//! `rfy_...`, and are purged last, so that routines cannot affect each other. Instructions are
//! indented by four spaces, in unified syntax, with the destination spelled out
//! (`adds r1, r1, r2`), multiple loads and stores as `ldmia` and `stmia`. Labels start the line: a
//! number for a target nearby, `.Lrfy_KERNEL_PLACE` for others. Comments stand on lines of their
//! own. The documentation of the file or the routine lists the registers.

#![allow(unsafe_code)]
// Before 1.90 the compiler denied named labels even in naked functions, which are never
// duplicated.
#![allow(named_asm_labels)]

/// The line that precedes a routine with instructions of the DSP extension.
///
/// When LLVM's link-time optimization looks for symbols in assembly, it ignores the compiler flag
/// that names the core. Without this line it would then reject these instructions on ARMv8-M,
/// where the extension is optional.
#[cfg(all(armv8m, cortex_m = "v7em"))]
macro_rules! cpu {
    () => {
        ".cpu cortex-m33"
    };
}
/// The empty line that stands for it on other architectures, which include or lack the extension.
#[cfg(any(cortex_m = "v7m", all(cortex_m = "v7em", not(armv8m))))]
macro_rules! cpu {
    () => {
        ""
    };
}

#[cfg(cortex_m = "v6m")]
pub(super) mod v6m;
#[cfg(cortex_m = "v7em")]
pub(super) mod v7em;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
pub(super) mod v7m;
