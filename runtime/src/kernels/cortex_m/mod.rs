//! The kernels of the Cortex-M cores: all assembly and all unsafe code of the crate.
//!
//! - Each kernel has a file (`words.rs`, `dense.rs`, ...) with a safe entry, whose signature is the
//!   same as in [`portable`](super::portable), and the argument for its safety.
//! - [`call`] has the structures whose fields assembly reads at fixed offsets.
//! - Each instruction set has a folder with its assembly: `v6m` (M0, M0+, M1, M23), `v7m` (M3),
//!   `v7em` (M4, M7, M33, M55). The folder `v7em` contains what benefits from the DSP extension and
//!   takes the rest from `v7m`. The build script selects one of them as [`instructions`]; in tests
//!   on the host, that is [`host`].
//!
//! # What parsing guarantees
//!
//! A [`Words`](rarefy_format::Words), [`Columns`](rarefy_format::Columns),
//! [`Csr`](rarefy_format::Csr), [`Dense`](rarefy_format::Dense) or
//! [`Rice`](rarefy_format::rice::Rice) with weights is a view of the bytes of a
//! [`Model`](rarefy_format::Model), which cannot change while they are borrowed. So a kernel relies
//! on what `Model::parse` has checked about them:
//!
//! - **words**: the runs end with the number 34. A head has the form that belongs to its run's
//!   length and number of rows; a run has at most 32,768 rows. All runs together have as many rows
//!   as the layer has outputs. The masked value of each half word of a row, padding included, is
//!   below the number of the layer's inputs, which is at least one.
//! - **columns**: there is a start for each pair of inputs, and for a last input without a partner.
//!   A start is the index of a header whose three sections lie inside the block. The masked value
//!   of each word is below the number of the layer's outputs, and is the same for both words of a
//!   row that reads both inputs. There are no words for an absent second input.
//! - **csr**: the row lengths add up to the number of columns, which is the number of values. Each
//!   column is below the number of the layer's inputs.
//! - **dense**: nothing but the shape; the kernel checks the lengths.
//! - **rice**: every code has at most 25 bits. The list selects as many inputs as the head states,
//!   all of them inputs of the layer. Each column is below the number of selected inputs or,
//!   without a list, below the number of the layer's inputs. Each weight has an entry in the
//!   codebook, if there is one.
//!
//! A layer has at least one input and one output. Each entry checks the rest: once per layer, or
//! once per channel of a convolution.
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
/// Of the flags for ARMv8-M, LLVM's link-time optimization forgets the one that names the core when
/// it looks for symbols in assembly, and rejects the extension, which that architecture leaves
/// optional.
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

#[cfg(any(all(cortex_m, not(feature = "maps")), test))]
pub(crate) mod ping_pong;

pub(super) mod call;
#[cfg(all(cortex_m, feature = "columns"))]
pub(super) mod columns;
#[cfg(feature = "maps")]
pub(crate) mod convolution;
#[cfg(feature = "csr")]
pub(super) mod csr;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(all(any(cortex_m = "v6m", not(cortex_m)), feature = "maps"))]
mod finish;
#[cfg(all(cortex_m, feature = "rice"))]
pub(super) mod rice;
#[cfg(all(cortex_m, feature = "words"))]
pub(super) mod words;

#[cfg(all(cortex_m, feature = "csr-f32"))]
pub(super) use super::portable::csr_f32;
#[cfg(all(cortex_m, feature = "maps"))]
pub(crate) use super::portable::pooling;

#[cfg(not(cortex_m))]
mod host;
#[cfg(cortex_m = "v6m")]
mod v6m;
#[cfg(cortex_m = "v7em")]
mod v7em;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
mod v7m;

// A build with `csr` alone uses none of these.
#[cfg(not(cortex_m))]
#[allow(unused_imports)]
use host as instructions;
#[cfg(cortex_m = "v6m")]
#[allow(unused_imports)]
use v6m as instructions;
#[cfg(cortex_m = "v7em")]
#[allow(unused_imports)]
use v7em as instructions;
#[cfg(cortex_m = "v7m")]
#[allow(unused_imports)]
use v7m as instructions;
