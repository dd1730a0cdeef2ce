//! Tests that cross crates live in `tests/tests`; this library is empty.
//!
//! The command `rarefy` is tested in `trainer/tests/cli`, where cargo builds it.
