//! Converts operations and shapes to those of the container format.

use rarefy_format::{MAX_STRIDE, MAX_WINDOW, Margin, Operation, Pooling, Shape, Window};

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
/// Returns an error if a window, its stride, its padding or its pooling is too large for the
/// format.
pub(super) fn operation(layer: &Layer, source: [usize; 3]) -> Result<Operation, Reason> {
    let kind = |kind| match kind {
        graph::Pooling::Max => Pooling::Max,
        graph::Pooling::Average => Pooling::Average,
    };
    Ok(match layer.operation {
        network::Operation::Dense if layer.skip.is_none() => Operation::Dense,
        network::Operation::Dense => {
            let [_, height, width] = source;
            Operation::Conv {
                window: Window {
                    size: [extent(height)?, extent(width)?],
                    stride: [1; 2],
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
    Ok(Window {
        size: [extent(size[0])?, extent(size[1])?],
        stride: [nibble(stride[0])?, nibble(stride[1])?],
        padding: Margin {
            top: nibble(top)?,
            left: nibble(left)?,
            bottom: nibble(bottom)?,
            right: nibble(right)?,
        },
    })
}

/// Returns a height or width of a window.
///
/// # Errors
/// Returns an error if `number` is larger than 255.
fn extent(number: usize) -> Result<u8, Reason> {
    bounded("size", number, MAX_WINDOW)
}

/// Returns a stride or padding of a window.
///
/// # Errors
/// Returns an error if `number` is larger than 15.
fn nibble(number: usize) -> Result<u8, Reason> {
    bounded("stride or padding", number, MAX_STRIDE)
}

/// Returns `number`, which is `what` of a window, if it is at most `most`.
fn bounded(what: &str, number: usize, most: u8) -> Result<u8, Reason> {
    let fits = u8::try_from(number).ok().filter(|&number| number <= most);
    fits.ok_or_else(|| {
        format!("its window has a {what} of {number}, more than {most}: split the layer in two")
    })
}
