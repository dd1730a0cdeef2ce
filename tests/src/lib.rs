//! What crosses crates is tested in `tests/tests`: this library is empty.
//!
//! What the command `rarefy` prints and refuses is tested where cargo builds it, in
//! `trainer/tests/cli`.
