//! Writes a network as the source of a program: as Rust ([`rust()`]) or C99 ([`c()`]).
//!
//! The source depends on no library, contains no unsafe code and computes the container's logits
//! bit for bit ([`NetworkSpec::infer`]). It contains no inference engine: weights are constants in
//! the instructions, and inputs are read at fixed offsets without bounds checks. For tiny networks
//! nothing is faster (about three instructions per weight on a Cortex-M4, five on a Cortex-M0),
//! but a weight takes about ten bytes of flash instead of two.
//!
//! - `plan` checks the network and lists its layers;
//! - `rows` writes weighted sums as expressions, which read the same in both languages;
//! - `windows` describes the layers that read a map, `maps` plans their loops around these sums;
//! - `functions` writes the functions of all layers;
//! - `names` writes the names of the classes;
//! - `units` writes the conversion of numbers to inputs, and of logits to numbers;
//! - `syntax` is what differs between the languages, `rust` and `c` the languages.
//!
//! Networks are rejected if they have f32 weights, so many weights that compiling them would take
//! minutes ([`MOST_WEIGHTS`]), or weights for which an intermediate sum could overflow 32 bits.

mod c;
mod error;
mod functions;
mod maps;
mod names;
mod plan;
mod rows;
mod rust;
mod syntax;
mod units;
mod windows;

use std::fmt::Write as _;
use std::path::Path;

use rarefy_format::NetworkSpec;

pub use error::EmitError;
pub use names::{names, names_in_c};
use plan::Plan;
use syntax::Syntax;
pub use units::{units, units_in_c};

/// The maximum number of weights; compiling takes about a second per thousand.
pub const MOST_WEIGHTS: usize = 65_536;

/// The language of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, written by [`rust()`].
    Rust,
    /// C99, written by [`c()`].
    C,
}

impl Language {
    /// Returns whether `file` begins like a source written in this language.
    #[must_use]
    pub fn is_in(self, file: &[u8]) -> bool {
        let start = match self {
            Self::Rust => rust::START,
            Self::C => c::START,
        };
        file.starts_with(start.as_bytes())
    }
}

/// Returns the source of a Rust module that computes `network`. `model` and `checksum` are the name
/// and the checksum of the container that holds the same network; they only appear in the module's
/// documentation.
///
/// # Errors
/// Returns an error if the network cannot be written as code; see [`EmitError`].
pub fn rust(network: &NetworkSpec, model: &str, checksum: u32) -> Result<String, EmitError> {
    source(network, model, checksum, &rust::Rust)
}

/// Returns the source of a C99 header that computes `network`, in functions whose names begin with
/// the identifier `prefix` ([`prefix`] makes one). `model` and `checksum` are those of [`rust()`].
///
/// # Errors
/// Returns an error if the network cannot be written as code; see [`EmitError`].
pub fn c(
    network: &NetworkSpec,
    prefix: &str,
    model: &str,
    checksum: u32,
) -> Result<String, EmitError> {
    source(network, model, checksum, &c::C(prefix))
}

/// Returns the source of `network` in a language.
fn source(
    network: &NetworkSpec,
    model: &str,
    checksum: u32,
    syntax: &dyn Syntax,
) -> Result<String, EmitError> {
    let plan = Plan::new(network, model, checksum)?;
    Ok(syntax.source(&plan, &functions::functions(&plan, syntax)))
}

/// Returns an identifier of C that resembles the name of `file` without its extension, in lower
/// case.
#[must_use]
pub fn prefix(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let letter = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_lowercase(),
        false => '_',
    };
    let name: String = stem.chars().map(letter).collect();
    // Names that begin with a digit are none, and those that begin with _ are the compiler's.
    match name.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => name,
        false => format!("network_{}", name.trim_start_matches('_')),
    }
}

/// Appends formatted text to `text`.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string succeeds");
}
