//! Emits a network as Rust code.
//!
//! The module depends on `core` only, contains no unsafe code and computes the container's logits
//! bit for bit ([`NetworkSpec::infer`]). It contains no inference engine: weights are constants in
//! the instructions, and inputs are read at fixed offsets without bounds checks. For tiny networks
//! nothing is faster (about three instructions per weight on a Cortex-M4, five on a Cortex-M0),
//! but a weight takes about ten bytes of flash instead of two.
//!
//! - `rows` writes weighted sums as expressions;
//! - `maps` writes the loops of convolutions and pooling around them;
//! - `units` writes the conversion of numbers to inputs, and of logits to numbers;
//! - this file assembles the layers.
//!
//! Networks are rejected if they have f32 weights, so many weights that compiling them would take
//! minutes ([`MOST_WEIGHTS`]), or weights for which an intermediate sum could overflow 32 bits.

mod maps;
mod rows;
mod units;

use std::fmt::Write as _;

use rarefy_format::{LayerSpec, NetworkSpec, Operation, Shape, WeightsSpec, output_shape};

use rows::{Output, Rows};
pub use units::units;

/// The maximum number of weights; compiling takes about a second per thousand.
pub const MOST_WEIGHTS: usize = 65_536;

/// The first words of every module.
const START: &str = "//! A neural network as code: ";

/// Returns whether `file` begins like a module written by [`rust`].
#[must_use]
pub fn is_ours(file: &[u8]) -> bool {
    file.starts_with(START.as_bytes())
}

/// Why a network cannot be written as code. Layers are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A layer with f32 weights.
    #[error("layer {0} has f32 weights, which cannot be written as code; use integer weights")]
    Floats(usize),
    /// More weights than [`MOST_WEIGHTS`].
    #[error(
        "{0} weights are more than the {MOST_WEIGHTS} that can be written as code; prune further, or use a container"
    )]
    Weights(usize),
    /// A row whose sum could overflow 32 bits in some order of its terms.
    #[error(
        "the sum of row {row} of layer {layer} could reach {most}, beyond 32 bits; use a container"
    )]
    Overflow {
        /// The layer.
        layer: usize,
        /// The row, counted from 0.
        row: usize,
        /// The sum of the magnitudes of all terms.
        most: i64,
    },
    /// A layer that a container could not represent either.
    #[error("layer {0} does not fit its source or its position in the network")]
    Layer(usize),
}

/// Returns the source of a module that computes `network`. `model` and `checksum` are the name and
/// the checksum of the container that holds the same network; they only appear in the module's
/// documentation.
///
/// # Errors
/// Returns an error if the network cannot be written as code; see [`EmitError`].
pub fn rust(network: &NetworkSpec, model: &str, checksum: u32) -> Result<String, EmitError> {
    let weights = network.layers.iter().map(|layer| layer.weights.len()).sum();
    if weights > MOST_WEIGHTS {
        return Err(EmitError::Weights(weights));
    }
    let shapes = shapes(network)?;
    let mut module = Module::default();
    for index in 0..network.layers.len() {
        let step = Step::new(network, &shapes, index)?;
        module.functions += &step.function()?;
        module.calls += &step.call();
        module.table += &step.line();
    }
    let outputs = shapes.last().map_or(0, Shape::len);
    Ok(module.source(network.input, outputs, (model, checksum)))
}

/// A layer as one step of the module.
struct Step<'a> {
    layer: &'a LayerSpec,
    /// The layer's number, from 1.
    number: usize,
    /// The number of the layer that is read; 0 for the input.
    source: usize,
    is_last: bool,
    /// The shape of the input, followed by those of the layers' outputs.
    shapes: &'a [Shape],
}

impl<'a> Step<'a> {
    /// Returns the step of the layer at `index`.
    fn new(network: &'a NetworkSpec, shapes: &'a [Shape], index: usize) -> Result<Self, EmitError> {
        let (layer, number) = (&network.layers[index], index + 1);
        let source = number.checked_sub(layer.source);
        Ok(Self {
            layer,
            number,
            source: source.ok_or(EmitError::Layer(number))?,
            is_last: number == network.layers.len(),
            shapes,
        })
    }

    /// Returns the functions that compute the layer.
    fn function(&self) -> Result<String, EmitError> {
        let Self { layer, number, .. } = *self;
        check(layer, number)?;
        let (source, output) = (self.shapes[self.source], self.shapes[number]);
        match (&layer.operation, &layer.weights) {
            (Operation::Dense, WeightsSpec::Integers { bias, rows }) => {
                let rows = Rows { bias, rows };
                let result = match self.is_last {
                    true => Output::Sums,
                    false => Output::Stored { shift: layer.shift },
                };
                let name = format!("layer_{number}");
                Ok(rows::function(&rows, &name, source.len(), result))
            }
            (Operation::Conv { .. } | Operation::Pool { .. }, _) if !self.is_last => {
                Ok(maps::layer(layer, number, source, output))
            }
            _ => Err(EmitError::Layer(number)),
        }
    }

    /// Returns the statement that calls the layer's function.
    fn call(&self) -> String {
        let number = self.number;
        let value = |layer: usize| match layer {
            0 => "input".to_owned(),
            layer => format!("&values_{layer}"),
        };
        let skip = match self.layer.skip {
            Some(skip) => format!(", {}", value(number - skip.back)),
            None => String::new(),
        };
        let call = format!("layer_{number}({}{skip})", value(self.source));
        match self.is_last {
            true => format!("    {call}\n"),
            false => format!("    let values_{number} = {call};\n"),
        }
    }

    /// Returns the layer's line of the table in the module's documentation.
    fn line(&self) -> String {
        format!(
            "//! {:>5}  {:<9}  {:>13}  {:>13}  {:>7}\n",
            self.number,
            self.layer.operation.name(),
            dimensions(self.shapes[self.source]),
            dimensions(self.shapes[self.number]),
            self.layer.weights.len()
        )
    }
}

/// The parts of a module, layer by layer.
#[derive(Default)]
struct Module {
    /// The functions that compute the layers.
    functions: String,
    /// The calls of these functions.
    calls: String,
    /// The table of layers in the documentation.
    table: String,
}

impl Module {
    /// Returns the source of the module, for the container of the given name and checksum.
    fn source(&self, input: Shape, outputs: usize, (model, checksum): (&str, u32)) -> String {
        let Self {
            functions,
            calls,
            table,
        } = self;
        let inputs = input.len();
        format!(
            "{START}{inputs} bytes in, {outputs} logits out.
//!
//! Written by `rarefy export --emit rust` from the network in `{model}` (checksum {checksum:08x}):
//! the same logits, bit for bit. It depends on `core` only, allocates nothing and cannot panic.
//!
//! Its run time depends only on which values are 0, since their weights may be skipped. The layers'
//! values are on the stack.
//!
//! ```text
//! layer  kind               input         output  weights   (channels x height x width)
{table}//! ```
//!
//! Save it as `src/network.rs`, then:
//!
//! ```ignore
//! mod network;
//! let class = network::classify(&image); // image: [u8; network::INPUTS]
//! ```
#![allow(unused, clippy::all, clippy::pedantic)]

/// The number of input bytes: {input}, channel by channel, row by row.
pub const INPUTS: usize = {inputs};

/// The number of logits: one per class.
pub const OUTPUTS: usize = {outputs};

/// Returns the class of `input`: the index of the largest logit, the first one of a tie.
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

/// Returns the logits for `input`.
pub fn infer(input: &[u8; INPUTS]) -> [i32; OUTPUTS] {{
{calls}}}

/// Returns the stored value of a hidden unit's sum.
#[inline(always)]
fn store(sum: i32, shift: u32) -> u8 {{
    (sum >> shift).clamp(0, 255) as u8
}}
{functions}",
            input = dimensions(input),
        )
    }
}

/// Returns the shape of the input followed by those of the layers' outputs.
fn shapes(network: &NetworkSpec) -> Result<Vec<Shape>, EmitError> {
    let mut shapes = vec![network.input];
    for (index, layer) in network.layers.iter().enumerate() {
        let error = EmitError::Layer(index + 1);
        let slot = (index + 1).checked_sub(layer.source);
        let Some(&source) = slot.and_then(|slot| shapes.get(slot)) else {
            return Err(error);
        };
        let shape = output_shape(&layer.operation, layer.outputs, source);
        shapes.push(shape.filter(|shape| !shape.is_empty()).ok_or(error)?);
    }
    Ok(shapes)
}

/// Checks that `layer` has no floats, and that none of its sums could overflow 32 bits in any order
/// of its terms.
fn check(layer: &LayerSpec, number: usize) -> Result<(), EmitError> {
    if let WeightsSpec::Floats { .. } = layer.weights {
        return Err(EmitError::Floats(number));
    }
    for (row, range) in layer.sum_ranges().enumerate() {
        if range.partial > i64::from(i32::MAX) {
            return Err(EmitError::Overflow {
                layer: number,
                row,
                most: range.partial,
            });
        }
    }
    Ok(())
}

/// Returns a shape as text.
fn dimensions(shape: Shape) -> String {
    match (shape.channels, shape.height, shape.width) {
        (n, 1, 1) | (1, 1, n) => n.to_string(),
        (channels, height, width) => format!("{channels} x {height} x {width}"),
    }
}

/// Appends formatted text to `text`.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string succeeds");
}
