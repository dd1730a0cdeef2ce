//! Pictures as SVG, for people and papers.

pub mod curves;
