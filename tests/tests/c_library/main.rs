//! Tests the engine as a library for C, and networks that were written as C, on emulated boards.
//!
//! Tests that need GCC for Arm, CMake or an emulator print `SKIPPED` and pass where one is missing.
#![cfg(unix)]

mod example;
mod header;
mod interface;
mod straight;
mod tools;
