//! The instructions of 32-bit RISC-V cores with multiplication: RV32IM, with or without compressed
//! instructions.
//!
//! [`native`](super::native) has the entries that call them. Assembly is written in the style of
//! `cortex_m`; it uses only the registers that RV32E has, too. Kernels for which the compiler does
//! as well as handwritten assembly are Rust: columns, entropy-coded rows and the convolution. The
//! latter takes 31 instructions per tap for eight positions, 24 of them loads, products and sums.

#![allow(unsafe_code)]
// Before 1.90 the compiler denied named labels even in naked functions, which are never
// duplicated.
#![allow(named_asm_labels)]

/// The first lines of each routine's assembly: the extensions, which the assembler would otherwise
/// not assume for naked functions under link-time optimization.
#[cfg(target_feature = "c")]
#[allow(unused_macros, reason = "not every build has assembly")]
macro_rules! extensions {
    () => {
        ".option push\n.option arch, +m, +c"
    };
}
/// The first lines of each routine's assembly, for cores without compressed instructions.
#[cfg(not(target_feature = "c"))]
#[allow(unused_macros, reason = "not every build has assembly")]
macro_rules! extensions {
    () => {
        ".option push\n.option arch, +m"
    };
}

#[cfg(feature = "columns")]
pub(super) mod columns;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(feature = "rice")]
pub(super) mod rice;
#[cfg(feature = "words")]
pub(super) mod words;

#[cfg(feature = "maps")]
pub(super) use super::native::host::convolution;
