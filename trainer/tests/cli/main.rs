//! The command `rarefy` as its users meet it: what it prints, what it refuses, how it stops.
//!
//! These tests drive the program itself, so they live in the package that builds it: cargo builds
//! it first and says where it is (`CARGO_BIN_EXE_rarefy`). What crosses crates through libraries
//! is in the package `rarefy-tests`. One program with modules, because it links candle.
//!
//! Every test has a folder of its own, which is the program's current folder, its cache and its
//! place for datasets. Tests that build firmware need a compiler for the board and QEMU; where
//! those are missing they say so and pass, and fail instead with RAREFY_REQUIRE_DEVICE=1.
#![cfg(unix)]

mod advice;
mod architectures;
mod boards;
mod containers;
mod conventions;
mod curves;
mod datasets;
mod deployed;
mod disk;
mod evaluation;
mod exports;
mod faulty_weights;
mod interrupts;
mod kills;
mod limits;
mod masks;
mod options;
mod own_networks;
mod program;
mod pruners;
mod repeats;
mod reports;
mod run_folders;
mod run_safety;
mod runs;
mod strange_files;
mod streams;
mod tensors;
mod threads;
mod tools;
mod weights;
