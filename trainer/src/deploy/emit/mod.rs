//! A network as Rust code: `rarefy export RUN --emit rust`.
//!
//! The module needs `core` alone, holds no unsafe code and computes what the container holds, bit for
//! bit ([`NetworkSpec::infer`]). There is no engine in it: weights are constants of the instructions,
//! inputs lie at fixed offsets, and nothing tests a bound. For tiny networks nothing is faster: about
//! three instructions a weight on a Cortex-M4, five on a Cortex-M0; but a weight takes about ten bytes
//! of flash instead of two.
//!
//! - `rows` writes weighted sums as expressions;
//! - `maps` writes the loops of convolutions and pooling around them;
//! - this file puts the layers together.
//!
//! Refuses floats, networks of so many weights that a compiler would take minutes for them
//! ([`MOST_WEIGHTS`]), and weights with which an intermediate sum could leave 32 bits.

mod maps;
mod rows;

use std::fmt::Write as _;

use rarefy_format::{LayerSpec, NetworkSpec, Operation, Shape, WeightsSpec};

/// The most weights that are written as code: a compiler takes about a second for a thousand.
pub const MOST_WEIGHTS: usize = 65_536;

/// Why a network is not written as code. Layers count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A layer of floats.
    #[error("layer {0} holds floats, which are not written as code; export with integer weights")]
    Floats(usize),
    /// More weights than a compiler takes in minutes.
    #[error(
        "{0} weights are more than the {MOST_WEIGHTS} that are written as code; prune further, or run the container"
    )]
    Weights(usize),
    /// A row whose terms, added in another order, could leave 32 bits.
    #[error("row {row} of layer {layer} could sum up to {most}, beyond 32 bits")]
    Overflow {
        /// The layer.
        layer: usize,
        /// Its row, counted from 0.
        row: usize,
        /// The sum of all magnitudes.
        most: i64,
    },
    /// A layer that no container holds.
    #[error("layer {0} does not fit what it reads, or is no layer for its place")]
    Layer(usize),
}

/// The source of a module that computes `network`. `model` names the container that holds the same
/// network, `checksum` is that container's; both only go into the module's documentation.
///
/// # Errors
///
/// When the network is one that is not written as code (see [`EmitError`]).
pub fn rust(network: &NetworkSpec, model: &str, checksum: u32) -> Result<String, EmitError> {
    let weights = network.layers.iter().map(|layer| layer.weights.len()).sum();
    if weights > MOST_WEIGHTS {
        return Err(EmitError::Weights(weights));
    }
    let shapes = shapes(network)?;
    let mut layers = String::new();
    let mut calls = String::new();
    let mut table = String::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let number = index + 1;
        let source = number
            .checked_sub(layer.source)
            .ok_or(EmitError::Layer(number))?;
        let last = number == network.layers.len();
        check(layer, number)?;
        let code = match (&layer.operation, &layer.weights) {
            (Operation::Dense, WeightsSpec::Integers { bias, rows }) => {
                let part = rows::Rows { bias, rows };
                let inputs = shapes[source].len();
                let shift = (!last).then_some(layer.shift);
                rows::function(&part, &format!("layer_{number}"), inputs, shift)
            }
            (Operation::Conv { .. } | Operation::Pool { .. }, _) if !last => {
                maps::layer(layer, number, shapes[source], shapes[number])
            }
            _ => return Err(EmitError::Layer(number)),
        };
        layers += &code;
        let value = |slot: usize| match slot {
            0 => "input".to_owned(),
            slot => format!("&values_{slot}"),
        };
        let skip = match layer.skip {
            Some(skip) => format!(", {}", value(number - skip.back)),
            None => String::new(),
        };
        let call = format!("layer_{number}({}{skip})", value(source));
        let call = if last {
            format!("    {call}\n")
        } else {
            format!("    let values_{number} = {call};\n")
        };
        calls += &call;
        put(
            &mut table,
            format_args!(
                "//! {number:>5}  {:<9}  {:>13}  {:>13}  {:>7}\n",
                layer.operation.name(),
                dimensions(shapes[source]),
                dimensions(shapes[number]),
                layer.weights.len()
            ),
        );
    }
    let inputs = network.input.len();
    let outputs = shapes.last().map_or(0, Shape::len);
    Ok(format!(
        "//! A neural network as code: {inputs} bytes in, {outputs} logits out.
//!
//! Written by `rarefy export --emit rust`, from the network in `{model}` (checksum {checksum:08x}):
//! the same logits, bit for bit. It needs `core` alone, allocates nothing and cannot panic.
//!
//! What its time depends on are the values that are 0: their weights may be skipped. The values of the
//! layers lie on the stack.
//!
//! ```text
//! layer  kind               reads          gives  weights   (channels x height x width)
{table}//! ```
//!
//! Save it as `src/network.rs`, then:
//!
//! ```ignore
//! mod network;
//! let class = network::classify(&image); // image: [u8; network::INPUTS]
//! ```
#![allow(unused, clippy::all, clippy::pedantic)]

/// Bytes that it reads: {input}, channel by channel, row by row.
pub const INPUTS: usize = {inputs};

/// Logits that it gives: one a class.
pub const OUTPUTS: usize = {outputs};

/// The class of `input`: the place of the largest logit, the first of equal ones.
pub fn classify(input: &[u8; INPUTS]) -> usize {{
    let logits = infer(input);
    let (mut class, mut largest) = (0, logits[0]);
    for (index, &logit) in logits.iter().enumerate() {{
        if logit > largest {{
            (class, largest) = (index, logit);
        }}
    }}
    class
}}

/// The logits for `input`.
pub fn infer(input: &[u8; INPUTS]) -> [i32; OUTPUTS] {{
{calls}}}

/// What a hidden unit stores for its sum.
#[inline(always)]
fn store(sum: i32, shift: u32) -> u8 {{
    (sum >> shift).clamp(0, 255) as u8
}}
{layers}",
        input = dimensions(network.input),
    ))
}

/// The shape of the input, then of each layer's output.
fn shapes(network: &NetworkSpec) -> Result<Vec<Shape>, EmitError> {
    let mut shapes = vec![network.input];
    for (index, layer) in network.layers.iter().enumerate() {
        let refuse = EmitError::Layer(index + 1);
        let slot = (index + 1).checked_sub(layer.source);
        let Some(&source) = slot.and_then(|slot| shapes.get(slot)) else {
            return Err(refuse);
        };
        let shape = maps::output(&layer.operation, layer.outputs, source);
        shapes.push(shape.filter(|shape| !shape.is_empty()).ok_or(refuse)?);
    }
    Ok(shapes)
}

/// Refuses floats, and sums that could leave 32 bits in whatever order they are added.
fn check(layer: &LayerSpec, number: usize) -> Result<(), EmitError> {
    let (bias, rows) = match &layer.weights {
        WeightsSpec::None => return Ok(()),
        WeightsSpec::Floats { .. } => return Err(EmitError::Floats(number)),
        WeightsSpec::Integers { bias, rows } => (bias, rows),
    };
    let area = match layer.operation {
        Operation::Conv {
            pooling: Some((_, size)),
            ..
        } => i64::from(size) * i64::from(size),
        _ => 1,
    };
    let skip = layer.skip.map_or(0, |skip| 255_i64 << skip.shift.min(31));
    for (row, (bias, weights)) in bias.iter().zip(rows).enumerate() {
        let weights = weights.iter().map(|&(_, weight)| i64::from(weight).abs());
        let most = (i64::from(*bias).abs() + 255 * weights.sum::<i64>() + skip) * area;
        if most > i64::from(i32::MAX) {
            return Err(EmitError::Overflow {
                layer: number,
                row,
                most,
            });
        }
    }
    Ok(())
}

/// A shape for a reader.
fn dimensions(shape: Shape) -> String {
    match (shape.channels, shape.height, shape.width) {
        (n, 1, 1) | (1, 1, n) => n.to_string(),
        (channels, height, width) => format!("{channels} x {height} x {width}"),
    }
}

/// Appends formatted text.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes everything");
}
