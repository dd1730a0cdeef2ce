//! What crosses crates is tested in `tests/tests`; here is what its tests and its fuzzers share.
//!
//! What the command `rarefy` prints and refuses is tested where cargo builds it, in
//! `trainer/tests/cli`.
#![forbid(unsafe_code)]

pub mod networks;
