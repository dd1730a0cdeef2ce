//! Draws reports as SVG pictures.

pub mod bytes;
pub mod curves;
