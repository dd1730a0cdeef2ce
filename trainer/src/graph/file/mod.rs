//! Reads architectures from TOML files.
//!
//! `table` parses the layers, with their `numbers`, `order` resolves their sources, and `build`
//! creates the [`Graph`].
//!
//! Errors name the file, the line and the layer. A file is rejected for
//!
//! - unknown keys and types,
//! - duplicate, reserved or malformed names, and references to layers that do not exist,
//! - cycles, and layers other than the output that nothing reads,
//! - shapes that do not match, and an output that is not dense,
//! - a normalisation that cannot be computed,
//! - more than 2^31 weights or elements.
//!
#![doc = include_str!("../../../architectures/README.md")]

mod build;
mod numbers;
mod order;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, is_separator};

use toml::Spanned;

use super::architecture::{self, UnknownArchitecture};
use crate::atomic::{self, FileError};
use crate::data::InputScale;
use crate::graph::topology::Graph;

/// Maximum number of weights, and of elements of all feature maps together; also the largest
/// number in a file.
const LIMIT: usize = 1 << 31;

/// Why an architecture could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// No built-in architecture has this name.
    #[error("{0}; a name that ends in .toml is read as a file")]
    Unknown(#[from] UnknownArchitecture),
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not describe a valid network.
    #[error("{path}, line {line}{}: {reason}", .layer.as_ref().map_or(String::new(), |name| format!(", layer {name}")))]
    Content {
        /// Path of the file.
        path: String,
        /// Number of the line at fault, from 1.
        line: usize,
        /// Name of the faulty layer, if the fault is in a named layer.
        layer: Option<String>,
        /// What is wrong.
        reason: String,
    },
}

/// Loads the architecture called `name_or_path`. A name that ends in `.toml` or contains a path
/// separator is the path of a file.
///
/// # Errors
/// Returns an error if there is no such name or file, or if the file does not describe a valid
/// network.
pub fn load(name_or_path: &str) -> Result<Graph, ArchitectureError> {
    if is_file(name_or_path) {
        let path = Path::new(name_or_path);
        from_text(&text(path)?, path)
    } else {
        Ok(architecture::by_name(name_or_path)?)
    }
}

/// Returns what the architecture called `name_or_path`, as [`load`] takes it, states of the
/// normalisation of its input: the table `[normalisation]` of its file. Built-in architectures
/// state nothing.
///
/// # Errors
/// Returns an error if the file cannot be read or is not valid.
pub fn input_scale(name_or_path: &str) -> Result<InputScale, ArchitectureError> {
    if !is_file(name_or_path) {
        return Ok(InputScale::default());
    }
    let path = Path::new(name_or_path);
    let text = text(path)?;
    let (top, _) = table::read(&text).map_err(|fault| fault.of(text.as_bytes(), path))?;
    Ok(top
        .normalisation
        .map(Spanned::into_inner)
        .unwrap_or_default())
}

/// Returns whether `name_or_path` is the path of a file.
fn is_file(name_or_path: &str) -> bool {
    name_or_path.ends_with(".toml") || name_or_path.contains(is_separator)
}

/// Reads the text of the file `path`.
fn text(path: &Path) -> Result<String, ArchitectureError> {
    String::from_utf8(atomic::read(path)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Fault::new(at, None, "it is not UTF-8 text").of(e.as_bytes(), path)
    })
}

/// Returns the architecture that `text` describes. Errors name `path` as its file.
///
/// # Errors
/// Returns an error if the text does not describe a valid network.
pub fn from_text(text: &str, path: &Path) -> Result<Graph, ArchitectureError> {
    parse(text).map_err(|fault| fault.of(text.as_bytes(), path))
}

/// Parses the architecture that `text` describes.
fn parse(text: &str) -> Result<Graph, Fault> {
    let (top, layers) = table::read(text)?;
    let sources = order::sources(&layers)?;
    let order = order::order(&layers, &sources)?;
    build::build(&top, &layers, &sources, &order)
}

/// An error in the text of a file.
#[derive(Debug)]
struct Fault {
    /// Position in bytes from the start of the text.
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

    /// Returns the error for this fault in the `text` of the file `path`.
    fn of(self, text: &[u8], path: &Path) -> ArchitectureError {
        let before = &text[..self.at.min(text.len())];
        ArchitectureError::Content {
            path: path.display().to_string(),
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            layer: self.layer,
            reason: self.reason,
        }
    }
}
