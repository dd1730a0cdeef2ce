//! All unsafe code and all assembly of the crate: a file a kernel, and one for each of its instruction
//! sets. What a kernel may assume is what `Model::parse` has checked; each file says what that is
//! and why it suffices. Each has a safe version, which is its oracle and runs on all other targets.

#![allow(unsafe_code)]

#[cfg(any(test, all(cortex_m, not(feature = "maps"))))]
pub(crate) mod chain;
#[cfg(all(cortex_m, feature = "columns"))]
pub(super) mod columns;
#[cfg(all(cortex_m = "v6m", feature = "columns"))]
mod columns_v6;
#[cfg(all(any(cortex_m = "v7m", cortex_m = "v7em"), feature = "columns"))]
mod columns_v7;
#[cfg(all(cortex_m, feature = "dense"))]
pub(super) mod dense;
#[cfg(feature = "csr")]
pub(super) mod gather;
#[cfg(all(cortex_m, feature = "rice"))]
pub(super) mod rice;
#[cfg(all(cortex_m = "v6m", feature = "rice"))]
mod rice_v6;
#[cfg(all(any(cortex_m = "v7m", cortex_m = "v7em"), feature = "rice"))]
mod rice_v7;
#[cfg(all(cortex_m, feature = "maps"))]
pub(super) mod taps;
#[cfg(all(cortex_m, feature = "words"))]
pub(super) mod words;
#[cfg(all(cortex_m = "v6m", feature = "words"))]
mod words_v6;
#[cfg(all(any(cortex_m = "v7m", cortex_m = "v7em"), feature = "words"))]
mod words_v7;
