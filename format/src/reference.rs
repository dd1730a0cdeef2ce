//! The reference implementation of inference, as simple as possible.
//!
//! It is slow and works on the numbers of a [`NetworkSpec`], one output at a time. Except for
//! [`requantize`] and the geometry of windows, it shares no code with an engine or an encoding.
//! Every kernel is compared with it.

use alloc::vec;
use alloc::vec::Vec;

use crate::arithmetic::requantize;
use crate::operation::{Operation, Pooling, Window};
use crate::shape::Shape;
use crate::write::{LayerSpec, NetworkSpec, WeightsSpec, output_shape};

/// The outputs of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// The outputs of a hidden layer.
    Bytes(Vec<u8>),
    /// The outputs of a hidden layer of a network in floats.
    Floats(Vec<f32>),
    /// The outputs of the last layer: the logits.
    Sums(Vec<i32>),
}

impl NetworkSpec {
    /// Computes the outputs of every layer for `input`. Maps are stored channel by channel, without
    /// margins.
    ///
    /// # Panics
    ///
    /// If [`crate::write()`] would reject the network, or the input has the wrong length.
    #[must_use]
    pub fn outputs(&self, input: &[u8]) -> Vec<Values> {
        assert_eq!(input.len(), self.input.len(), "length of the input");
        let mut values = vec![Values::Bytes(input.to_vec())];
        let mut shapes = vec![self.input];
        for (layer, spec) in self.layers.iter().enumerate() {
            let slot = layer + 1 - spec.source;
            let shape = output_shape(&spec.operation, spec.outputs, shapes[slot]);
            let shape = shape.expect("the window fits");
            let is_last = layer + 1 == self.layers.len();
            let skip = spec
                .skip
                .map(|skip| (&values[layer + 1 - skip.back], skip.shift));
            let output = match (&values[slot], &spec.weights) {
                (source, WeightsSpec::Floats { bias, rows }) => floats(bias, rows, source, is_last),
                (Values::Bytes(source), _) => integers(spec, source, shapes[slot], skip, is_last),
                _ => panic!("layer {layer} must read bytes"),
            };
            values.push(output);
            shapes.push(shape);
        }
        values.remove(0);
        values
    }

    /// Computes the logits for `input`.
    ///
    /// # Panics
    ///
    /// In the same cases as [`NetworkSpec::outputs`].
    #[must_use]
    pub fn infer(&self, input: &[u8]) -> Vec<i32> {
        match self.outputs(input).pop() {
            Some(Values::Sums(logits)) => logits,
            _ => panic!("the network has no layers"),
        }
    }
}

/// Computes a dense layer in floats, adding products to the bias in order.
fn floats(bias: &[f32], rows: &[Vec<(u16, f32)>], source: &Values, is_last: bool) -> Values {
    let input = |column: u16| match source {
        Values::Bytes(bytes) => f32::from(bytes[usize::from(column)]),
        Values::Floats(floats) => floats[usize::from(column)],
        Values::Sums(_) => panic!("no layer reads logits"),
    };
    let sums = bias.iter().zip(rows).map(|(&bias, row)| {
        let products = row.iter().map(|&(column, weight)| weight * input(column));
        products.fold(bias, |sum, product| sum + product)
    });
    if is_last {
        Values::Sums(sums.map(|sum| (sum * 65_536.0) as i32).collect())
    } else {
        Values::Floats(sums.map(|sum| sum.max(0.0)).collect())
    }
}

/// Computes a layer in integers.
fn integers(
    spec: &LayerSpec,
    source: &[u8],
    shape: Shape,
    skip: Option<(&Values, u8)>,
    is_last: bool,
) -> Values {
    let (bias, rows) = match &spec.weights {
        WeightsSpec::Integers { bias, rows } => (&bias[..], &rows[..]),
        _ => (&[][..], &[][..]),
    };
    match spec.operation {
        Operation::Dense => {
            let sums = bias.iter().zip(rows).map(|(&bias, row)| {
                let products = row.iter().map(|&(column, weight)| {
                    i32::from(weight) * i32::from(source[usize::from(column)])
                });
                products.fold(bias, i32::wrapping_add)
            });
            if is_last {
                Values::Sums(sums.collect())
            } else {
                Values::Bytes(sums.map(|sum| requantize(sum, spec.shift)).collect())
            }
        }
        Operation::Conv { window, pooling } => {
            let [_, width] = positions(window, shape);
            let mut output = Vec::new();
            for (channel, (&bias, row)) in bias.iter().zip(rows).enumerate() {
                let mut sums = convolved(bias, row, source, shape, window);
                if let Some((Values::Bytes(skip), shift)) = skip {
                    let skip = &skip[channel * sums.len()..];
                    for (sum, &value) in sums.iter_mut().zip(skip) {
                        let value = i32::from(value);
                        *sum = sum.wrapping_add(value.wrapping_shl(shift.into()));
                    }
                }
                output.extend(pooled(&sums, width, pooling).map(|sum| requantize(sum, spec.shift)));
            }
            Values::Bytes(output)
        }
        Operation::Pool { pooling, window } => {
            Values::Bytes(pool(source, shape, window, pooling, spec.shift))
        }
    }
}

/// Computes the sums of one output channel of a convolution, row by row.
fn convolved(
    bias: i32,
    row: &[(u16, i16)],
    source: &[u8],
    shape: Shape,
    window: Window,
) -> Vec<i32> {
    let [height, width] = positions(window, shape);
    let mut sums = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            sums.push(row.iter().fold(bias, |sum, &(column, weight)| {
                let value = tap(source, shape, window, column.into(), y, x);
                sum.wrapping_add(i32::from(weight) * i32::from(value))
            }));
        }
    }
    sums
}

/// Computes a pooling layer.
fn pool(source: &[u8], shape: Shape, window: Window, pooling: Pooling, shift: u8) -> Vec<u8> {
    let [height, width] = positions(window, shape);
    let mut output = Vec::new();
    let area = window.area();
    for channel in 0..usize::from(shape.channels) {
        for y in 0..height {
            for x in 0..width {
                let taps = (0..area).map(|tap_index| {
                    i32::from(tap(source, shape, window, channel * area + tap_index, y, x))
                });
                output.push(match pooling {
                    Pooling::Max => taps.max().unwrap_or(0) as u8,
                    Pooling::Average => {
                        let half = (1_i64 << shift >> 1) as i32;
                        requantize(taps.sum::<i32>().wrapping_add(half), shift)
                    }
                });
            }
        }
    }
    output
}

/// Returns the number of positions of a window over a map, down and across.
fn positions(window: Window, shape: Shape) -> [usize; 2] {
    window.outputs(shape).map(usize::from)
}

/// Returns the value that a column reads at output position (y, x): 0 outside the map.
fn tap(source: &[u8], shape: Shape, window: Window, column: usize, y: usize, x: usize) -> u8 {
    let across = usize::from(window.size[1]);
    let (height, width) = (usize::from(shape.height), usize::from(shape.width));
    let (channel, tap) = (column / window.area(), column % window.area());
    let stride = window.stride.map(usize::from);
    let row = (y * stride[0] + tap / across).checked_sub(window.padding.top.into());
    let position = (x * stride[1] + tap % across).checked_sub(window.padding.left.into());
    match (row, position) {
        (Some(row), Some(position)) if row < height && position < width => {
            source[(channel * height + row) * width + position]
        }
        _ => 0,
    }
}

/// Applies fused pooling, if any, to the sums of a channel.
fn pooled(
    sums: &[i32],
    width: usize,
    pooling: Option<(Pooling, u8)>,
) -> impl Iterator<Item = i32> + '_ {
    let (kind, size) = pooling.map_or((Pooling::Max, 1), |(kind, size)| (kind, size.into()));
    let height = sums.len() / width;
    let windows = (0..height / size).flat_map(move |y| (0..width / size).map(move |x| (y, x)));
    windows.map(move |(y, x)| {
        let window = (0..size * size)
            .map(|tap| sums[(y * size + tap / size) * width + x * size + tap % size]);
        match kind {
            Pooling::Max => window.max().unwrap_or(0),
            Pooling::Average => window.fold(0, |sum: i32, value| sum.wrapping_add(value.max(0))),
        }
    })
}
