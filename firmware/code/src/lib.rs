//! A network that was written as Rust code (`rarefy export --emit rust`): a crate of its own, so that it
//! is compiled for speed as the engine is.
#![no_std]
#![forbid(unsafe_code)]
#![allow(unused, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/network.rs"));
