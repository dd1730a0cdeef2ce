//! The shapes of layers to write.

use alloc::vec::Vec;

use super::spec::{LayerSpec, WeightsSpec};
use crate::encoding::Encoding;
use crate::operation::Operation;
use crate::shape::Shape;

/// Returns the number of columns of an operation that reads a map of this shape.
pub(super) fn columns(operation: &Operation, source: Shape) -> usize {
    match operation {
        Operation::Dense => source.len(),
        Operation::Conv { window, .. } => usize::from(source.channels) * window.area(),
        Operation::Pool { .. } => 0,
    }
}

/// Returns the shape of an operation's output, after fused pooling. Returns `None` if `outputs`
/// exceeds 65,535, or if the window or the pooling leaves no output.
#[must_use]
pub fn output_shape(operation: &Operation, outputs: usize, source: Shape) -> Option<Shape> {
    let channels = u16::try_from(outputs).ok()?;
    let (window, size) = match *operation {
        Operation::Dense => return Some(Shape::flat(channels)),
        Operation::Conv { window, pooling } => (window, pooling.map_or(1, |(_, size)| size)),
        Operation::Pool { window, .. } => (window, 1),
    };
    let [height, width] = window.outputs(source);
    let shape = Shape {
        channels,
        height: height.checked_div(size.into())?,
        width: width.checked_div(size.into())?,
    };
    (!shape.is_empty()).then_some(shape)
}

/// Returns the length of the longest row of a convolution over `source`, as a reader of its
/// encoding determines it, or 0 for other operations.
pub(super) fn taps(spec: &LayerSpec, source: Shape) -> usize {
    match (&spec.operation, &spec.weights) {
        (Operation::Conv { .. }, _) if spec.encoding == Encoding::Dense => {
            columns(&spec.operation, source)
        }
        (Operation::Conv { .. }, WeightsSpec::Integers { rows, .. }) => {
            rows.iter().map(Vec::len).max().unwrap_or(0)
        }
        _ => 0,
    }
}
