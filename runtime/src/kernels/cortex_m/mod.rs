//! The kernels of the Cortex-M cores: all assembly and all unsafe code of the crate.
//!
//! - A file per kernel (`words.rs`, `dense.rs`, ...) holds its contract: an entry of the same
//!   signature as in [`portable`](super::portable), which is safe to call, and the argument why.
//! - [`call`] holds the structures that assembly reads, by the offsets of their fields.
//! - A folder per instruction set holds the assembly: `v6m` (M0, M0+, M1), `v7m` (M3), `v7em` (M4,
//!   M7). The folder `v7em` holds what benefits from the DSP extension and takes the rest from
//!   `v7m`. The build script selects one as [`instructions`]; in tests on the host it is [`host`].
//!
//! # What parsing guarantees
//!
//! A [`Words`](rarefy_format::Words), [`Columns`](rarefy_format::Columns),
//! [`Csr`](rarefy_format::Csr), [`Dense`](rarefy_format::Dense) or
//! [`Rice`](rarefy_format::rice::Rice) with weights exists only inside a
//! [`Model`](rarefy_format::Model), and its bytes cannot change while it borrows them. So a kernel
//! relies on what `Model::parse` has checked of them:
//!
//! - **words**: the runs end with the number 34. A head has the form of its run's length and
//!   number of rows, at most 32,768. All runs together have as many rows as the layer has
//!   outputs. The masked value of each half word of a row, padding included, is below the layer's
//!   inputs, of which there is at least one.
//! - **columns**: there is a start per pair of inputs and for a last one alone. It is the index
//!   of a header whose three sections lie inside the block. The masked value of each word is
//!   below the layer's outputs, and the two words of a row that reads both inputs have the same.
//!   An absent second input has no section.
//! - **csr**: the row lengths add up to the number of columns, which is the number of values. Each
//!   column is below the layer's inputs.
//! - **dense**: nothing but the shape; the kernel checks the lengths.
//! - **rice**: every code has at most 25 bits. The list selects as many inputs as it states, all
//!   inside the layer's inputs. Each column is below their number, or below the layer's inputs
//!   without a list. Each weight has an entry in the codebook, if there is one.
//!
//! A layer has at least one input and one output. The rest is checked by each entry: once per
//! layer, or once per channel of a convolution.
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
