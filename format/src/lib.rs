//! The .rfy container.
#![no_std]
#![forbid(unsafe_code)]
