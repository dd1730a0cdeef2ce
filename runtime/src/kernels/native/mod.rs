//! The safe entries of the kernels in assembly, without checks that parsing has made needless.
//!
//! - Each kernel has a file (`words.rs`, `dense.rs`, ...) with a safe entry, whose signature is the
//!   same as in [`portable`](super::portable), and the argument for its safety.
//! - [`call`] has the structures whose fields assembly reads at fixed offsets.
//! - The build script selects the instructions of the target as [`instructions`]: a folder of
//!   `cortex_m`, or `riscv`; in tests on the host, that is [`host`].
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

#![allow(unsafe_code)]

#[cfg(any(all(native, not(feature = "maps")), test))]
pub(crate) mod ping_pong;

pub(super) mod call;
#[cfg(all(native, feature = "columns"))]
pub(super) mod columns;
#[cfg(feature = "maps")]
pub(crate) mod convolution;
#[cfg(feature = "csr")]
pub(super) mod csr;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(all(not(any(cortex_m = "v7m", cortex_m = "v7em")), feature = "maps"))]
mod finish;
#[cfg(all(native, feature = "rice"))]
pub(super) mod rice;
#[cfg(all(native, feature = "words"))]
pub(super) mod words;

#[cfg(all(native, feature = "csr-f32"))]
pub(super) use super::portable::csr_f32;
#[cfg(all(native, feature = "maps"))]
pub(crate) use super::portable::pooling;

#[cfg(any(not(native), all(riscv, feature = "maps")))]
pub(super) mod host;

// A build with `csr` alone uses none of these.
#[cfg(cortex_m = "v6m")]
#[allow(unused_imports)]
use super::cortex_m::v6m as instructions;
#[cfg(cortex_m = "v7em")]
#[allow(unused_imports)]
use super::cortex_m::v7em as instructions;
#[cfg(cortex_m = "v7m")]
#[allow(unused_imports)]
use super::cortex_m::v7m as instructions;
#[cfg(riscv)]
#[allow(unused_imports)]
use super::riscv as instructions;
#[cfg(not(native))]
#[allow(unused_imports)]
use host as instructions;
