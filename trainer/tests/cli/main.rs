//! The command `rarefy` as users see it: its output, its errors, and how it stops.
//!
//! These tests run the program itself, so they belong to the package that builds it: cargo builds
//! it first and sets its path (`CARGO_BIN_EXE_rarefy`). Tests across crates are in the package
//! `rarefy-tests`. All modules are one test program, because linking candle takes long.
//!
//! Every test has its own folder: the program's current folder, cache and dataset folder. Tests
//! that build firmware need a compiler for the board and QEMU; without them they say so and pass,
//! or fail if RAREFY_REQUIRE_DEVICE=1.
#![cfg(unix)]

mod advice;
mod architectures;
mod boards;
mod checks;
mod chips;
mod class_names;
mod comparisons;
mod containers;
mod conventions;
mod curves;
mod datasets;
mod deployed;
mod disk;
mod doubts;
mod evaluation;
mod exports;
mod faulty_weights;
#[path = "../onnx/file.rs"]
mod file;
mod guides;
mod imports;
mod interrupts;
mod kills;
mod limits;
mod masks;
mod normalisations;
mod options;
mod own_networks;
mod program;
mod progress;
mod projects;
mod pruners;
mod recipes;
mod refusals;
mod regression;
mod repeats;
mod replacements;
mod reports;
mod run_folders;
mod run_safety;
mod runs;
mod strange_files;
mod streams;
mod tables;
mod tensors;
mod threads;
mod tools;
mod unlabelled;
mod weights;
mod without_run;
