//! A user's own architecture, read from a TOML file: `table` reads what is written, `order` finds
//! what reads what, `build` makes the [`Graph`].
//!
//! Assumes nothing of the file. Refuses, with the file, the line and the layer: unknown keys and
//! types, names that are taken or that no layer has, a circle, a layer that nobody reads, shapes
//! that do not chain, an end that is not dense, more than 2^31 weights or elements.
//!
#![doc = include_str!("../../../architectures/README.md")]

mod build;
mod order;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, is_separator};

use super::architecture::{self, UnknownArchitecture};
use crate::artifact::{self, FileError};
use crate::graph::topology::Graph;

/// The most weights, and the most elements of an input and all that is made of it; also the
/// largest number in a file.
const MOST: usize = 1 << 31;

/// An architecture that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// The name is not known.
    #[error("{0}, and a file that ends in .toml may be given")]
    Unknown(#[from] UnknownArchitecture),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file describes no network.
    #[error("{path}, line {line}{}: {reason}", .layer.as_ref().map_or(String::new(), |name| format!(", layer {name}")))]
    Content {
        /// The file.
        path: String,
        /// The line at fault, from 1.
        line: usize,
        /// The layer at fault, where it is a layer that has a name.
        layer: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
}

/// The architecture called `name_or_path`; one that ends in `.toml` or contains a path's separator
/// is read from that file.
///
/// # Errors
/// When there is no such name or file, or the file describes no network.
pub fn load(name_or_path: &str) -> Result<Graph, ArchitectureError> {
    if name_or_path.ends_with(".toml") || name_or_path.contains(is_separator) {
        read(Path::new(name_or_path))
    } else {
        Ok(architecture::by_name(name_or_path)?)
    }
}

/// The architecture in the file `path`.
fn read(path: &Path) -> Result<Graph, ArchitectureError> {
    let bytes = artifact::read(path)?;
    let graph = match str::from_utf8(&bytes) {
        Ok(text) => parse(text),
        Err(e) => Err(Fault::new(e.valid_up_to(), None, "it is not UTF-8 text")),
    };
    graph.map_err(|Fault { at, layer, reason }| {
        let before = &bytes[..at.min(bytes.len())];
        ArchitectureError::Content {
            path: path.display().to_string(),
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            layer,
            reason,
        }
    })
}

/// The architecture that `text` describes.
fn parse(text: &str) -> Result<Graph, Fault> {
    let (top, layers) = table::read(text)?;
    let sources = order::sources(&layers)?;
    let order = order::order(&layers, &sources)?;
    build::build(&top, &layers, &sources, &order)
}

/// What is wrong with a text.
#[derive(Debug)]
struct Fault {
    /// Where: bytes from its start.
    at: usize,
    layer: Option<String>,
    reason: String,
}

impl Fault {
    fn new(at: usize, layer: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            at,
            layer: layer.map(Into::into),
            reason: reason.into(),
        }
    }
}
