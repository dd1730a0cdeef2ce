//! Pictures as SVG, for people and papers.

pub mod bytes;
pub mod curves;
