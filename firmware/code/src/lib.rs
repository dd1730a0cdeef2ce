//! A network emitted as Rust code (`rarefy export --emit rust`), in a crate of its own so that it
//! is optimized for speed like the engine.
#![no_std]
#![forbid(unsafe_code)]
#![allow(unused, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/network.rs"));
