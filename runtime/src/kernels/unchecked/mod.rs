//! All unsafe code and all assembly of the crate: a file a kernel, and one for each of its instruction
//! sets. What a kernel may assume is what `Model::parse` has checked; each file says what that is
//! and why it suffices. Each has a safe version, which is its oracle and runs on all other targets.

#![allow(unsafe_code)]

pub(crate) mod columns;
#[cfg(cortex_m = "v6")]
mod columns_v6;
#[cfg(any(cortex_m = "v7", cortex_m = "v7e"))]
mod columns_v7;
pub(crate) mod words;
#[cfg(cortex_m = "v6")]
mod words_v6;
#[cfg(any(cortex_m = "v7", cortex_m = "v7e"))]
mod words_v7;
