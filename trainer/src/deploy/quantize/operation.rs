//! Converts operations and shapes to those of the container format.

use rarefy_format::{Margin, Operation, Pooling, Shape, Window};

use crate::deploy::network::{self, Layer, Network};
use crate::graph;

/// Why a layer cannot be represented, as a clause.
type Reason = String;

/// Returns the shape in the container format.
///
/// # Errors
/// Returns an error if an axis is longer than 65,535.
pub(super) fn shape([channels, height, width]: [usize; 3]) -> Result<Shape, Reason> {
    let narrow = |axis: usize| {
        u16::try_from(axis).map_err(|_| {
            format!("an axis has {axis} elements, but at most 65535 are supported: make it smaller")
        })
    };
    Ok(Shape {
        channels: narrow(channels)?,
        height: narrow(height)?,
        width: narrow(width)?,
    })
}

/// Returns the input shape of `network` in the container format: flattened if the header has no
/// room for its axes and no layer reads it as a map.
pub(super) fn input(network: &Network) -> Result<Shape, Reason> {
    let [channels, height, width] = network.input;
    let map = network.layers.iter().any(|layer| {
        let dense = layer.operation == network::Operation::Dense && layer.skip.is_none();
        layer.source.is_none() && !dense
    });
    let most = usize::from(u8::MAX);
    if !map && (channels > most || height > most) {
        return shape([1, 1, channels * height * width]);
    }
    shape(network.input)
}

/// Returns the operation of `layer`, whose source has the shape `source`. A dense layer with a
/// skip becomes a convolution with a single position, since only convolutions support skips.
///
/// # Errors
/// Returns an error if a window, its padding or pooling is too large for the format, or if a dense
/// layer with a skip reads a map that is not square.
pub(super) fn operation(layer: &Layer, source: [usize; 3]) -> Result<Operation, Reason> {
    let kind = |kind| match kind {
        graph::Pooling::Max => Pooling::Max,
        graph::Pooling::Average => Pooling::Average,
    };
    Ok(match layer.operation {
        network::Operation::Dense if layer.skip.is_none() => Operation::Dense,
        network::Operation::Dense => {
            let [_, height, width] = source;
            if height != width {
                return Err(format!(
                    "it adds the output of another layer and reads a map of {height} x {width}, but a dense layer with an addition can read only a square map: pool before it"
                ));
            }
            Operation::Conv {
                window: Window {
                    size: nibble(height)?,
                    stride: 1,
                    padding: Margin::NONE,
                },
                pooling: None,
            }
        }
        network::Operation::Conv {
            window: of,
            pooling,
        } => Operation::Conv {
            window: window(of)?,
            pooling: match pooling {
                Some((of, size @ 0..64)) => Some((kind(of), size as u8)),
                Some((_, size)) => {
                    return Err(format!(
                        "its fused pooling size is {size}, but at most 63 is supported: split the layer in two"
                    ));
                }
                None => None,
            },
        },
        network::Operation::Pool {
            window: of,
            kind: pooling,
        } => Operation::Pool {
            window: window(of)?,
            pooling: kind(pooling),
        },
    })
}

/// Returns the window in the container format.
fn window(window: graph::Window) -> Result<Window, Reason> {
    let graph::Window {
        size,
        stride,
        before: [top, left],
        after: [bottom, right],
    } = window;
    if size[0] != size[1] || stride[0] != stride[1] {
        return Err(format!(
            "its window of {} x {} with stride {} x {} is not square: use the same numbers along height and width",
            size[0], size[1], stride[0], stride[1]
        ));
    }
    Ok(Window {
        size: nibble(size[0])?,
        stride: nibble(stride[0])?,
        padding: Margin {
            top: nibble(top)?,
            left: nibble(left)?,
            bottom: nibble(bottom)?,
            right: nibble(right)?,
        },
    })
}

/// Returns a size, stride or padding that fits four bits.
///
/// # Errors
/// Returns an error if `number` is larger than 15.
fn nibble(number: usize) -> Result<u8, Reason> {
    match number {
        0..16 => Ok(number as u8),
        _ => Err(format!(
            "its window has a size, stride or padding of {number}, more than 15: split the layer in two"
        )),
    }
}
