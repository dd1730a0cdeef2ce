//! Tests that cross crates live in `tests/tests`; this library is empty.
//!
//! The command `rarefy` is tested in `trainer/tests/cli`, since cargo builds a program only for
//! the tests of its own package.
