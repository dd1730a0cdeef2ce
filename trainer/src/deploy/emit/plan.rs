//! Plans the source of a network: its layers, in whatever language.

use rarefy_format::{LayerSpec, NetworkSpec, Operation, Shape, WeightsSpec, output_shape};

use super::MOST_WEIGHTS;
use super::error::EmitError;

/// The network that a source computes, and the container that holds the same network.
pub(super) struct Plan<'a> {
    pub(super) layers: &'a [LayerSpec],
    /// The name of the container.
    pub(super) model: &'a str,
    /// The checksum of the container.
    pub(super) checksum: u32,
    /// The shape of the input, followed by those of the layers' outputs.
    pub(super) shapes: Vec<Shape>,
}

/// A call of a layer's function.
pub(super) struct Call {
    /// The layer's number, from 1.
    pub(super) number: usize,
    /// The number of the layer that is read; 0 for the input.
    pub(super) source: usize,
    /// The number of the layer whose outputs are added, if any; 0 for the input.
    pub(super) skip: Option<usize>,
    /// The number of outputs.
    pub(super) outputs: usize,
    pub(super) is_last: bool,
}

impl<'a> Plan<'a> {
    /// Checks that `network` can be written as code, and plans it.
    pub(super) fn new(
        network: &'a NetworkSpec,
        model: &'a str,
        checksum: u32,
    ) -> Result<Self, EmitError> {
        let weights = network.layers.iter().map(|layer| layer.weights.len()).sum();
        if weights > MOST_WEIGHTS {
            return Err(EmitError::Weights(weights));
        }
        let plan = Self {
            layers: &network.layers,
            model,
            checksum,
            shapes: shapes(network)?,
        };
        for (layer, call) in plan.layers.iter().zip(plan.calls()) {
            check(layer, call.number)?;
            let has_sums = matches!(layer.weights, WeightsSpec::Integers { .. });
            let fits = match layer.operation {
                Operation::Dense => has_sums,
                Operation::Conv { .. } | Operation::Pool { .. } => !call.is_last,
            };
            if !fits {
                return Err(EmitError::Layer(call.number));
            }
        }
        Ok(plan)
    }

    /// Returns the shape of the input.
    pub(super) fn input(&self) -> Shape {
        self.shapes[0]
    }

    /// Returns the number of logits.
    pub(super) fn outputs(&self) -> usize {
        self.shapes.last().map_or(0, Shape::len)
    }

    /// Returns the calls of the layers' functions, in order.
    pub(super) fn calls(&self) -> impl Iterator<Item = Call> {
        self.layers.iter().enumerate().map(|(index, layer)| {
            let number = index + 1;
            Call {
                number,
                source: number - layer.source,
                skip: layer.skip.map(|skip| number - skip.back),
                outputs: self.shapes[number].len(),
                is_last: number == self.layers.len(),
            }
        })
    }

    /// Returns the lines of the table of layers, each after `margin`.
    pub(super) fn table(&self, margin: &str) -> String {
        let lines = self.layers.iter().zip(self.calls()).map(|(layer, call)| {
            format!(
                "{margin}{:>5}  {:<9}  {:>13}  {:>13}  {:>7}\n",
                call.number,
                layer.operation.name(),
                dimensions(self.shapes[call.source]),
                dimensions(self.shapes[call.number]),
                layer.weights.len()
            )
        });
        format!(
            "{margin}layer  kind               input         output  weights   (channels x height x width)\n"
        ) + &lines.collect::<String>()
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
pub(super) fn dimensions(shape: Shape) -> String {
    match (shape.channels, shape.height, shape.width) {
        (n, 1, 1) | (1, 1, n) => n.to_string(),
        (channels, height, width) => format!("{channels} x {height} x {width}"),
    }
}
