//! What differs between the languages in which a network is written.

use super::plan::Plan;
use super::windows::{Convolution, Pool, Windowed};

/// The values that a function computes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Output {
    /// The sums, as 32-bit integers.
    Sums,
    /// The activations: the sums, shifted right and clamped to a byte.
    Stored { shift: u8 },
}

/// A function that computes weighted sums.
#[derive(Clone, Copy)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// The number of values that it reads.
    pub(super) inputs: usize,
    /// The number of values that it computes.
    pub(super) outputs: usize,
    pub(super) result: Output,
}

/// A programming language.
///
/// Statements read inputs as `x(column)` and write outputs as `y[row]`. Their indentation and the
/// end of their line are the caller's.
pub(super) trait Syntax {
    /// Returns the expression of a stored value: `sum`, shifted right and clamped.
    fn stored(&self, sum: &str, shift: u8) -> String;

    /// Returns the statement that declares the variable `s{row}`, which begins as `bias`.
    fn sum(&self, row: usize, bias: i32) -> String;

    /// Returns the statement that declares `x{column}` as the input of that column.
    fn column(&self, column: u16) -> String;

    /// Returns the beginning of a statement for the case that `x{column}` is not 0.
    fn nonzero(&self, column: u16) -> String;

    /// Returns a function whose statements are `body`.
    fn whole(&self, function: &Function<'_>, body: &str) -> String;

    /// Returns a function that consists of several, whose statements are `bodies`.
    fn in_parts(&self, function: &Function<'_>, bodies: &[String]) -> String;

    /// Returns the function of a convolution, which calls that of its sums.
    fn convolution(&self, layer: &Windowed, convolution: &Convolution) -> String;

    /// Returns the function of a pooling layer.
    fn pool(&self, layer: &Windowed, pool: &Pool) -> String;

    /// Returns the whole source of the network of `plan`, whose layers are computed by `functions`.
    fn source(&self, plan: &Plan<'_>, functions: &str) -> String;

    /// Returns the name of the function of a layer.
    fn layer(&self, number: usize) -> String;
}
