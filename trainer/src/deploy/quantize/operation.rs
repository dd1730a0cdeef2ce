//! What layers compute, in the words of the container.

use rarefy_format::{Margin, Operation, Pooling, Shape, Window};

use crate::deploy::network::{self, Layer, Network};
use crate::graph;

/// Why a layer cannot be told, a half sentence.
type Reason = String;

/// The shape as a container has it.
pub(super) fn shape([channels, height, width]: [usize; 3]) -> Result<Shape, Reason> {
    let narrow = |axis: usize| {
        u16::try_from(axis).map_err(|_| format!("an axis of {axis} is longer than 65535"))
    };
    Ok(Shape {
        channels: narrow(channels)?,
        height: narrow(height)?,
        width: narrow(width)?,
    })
}

/// Returns the shape of the input of `network` as a container has it: its values in a row where the
/// header has no room for its axes and no layer reads it as a map.
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

/// The operation of `layer`, which reads `source`. A dense layer that adds something becomes a
/// convolution of one position: only those add.
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
                    "it adds to a dense layer of maps of {height} x {width}, which only square maps allow"
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
                Some((_, size)) => return Err(format!("it pools {size} positions, more than 63")),
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

fn window(window: graph::Window) -> Result<Window, Reason> {
    let graph::Window {
        size,
        stride,
        before: [top, left],
        after: [bottom, right],
    } = window;
    Ok(Window {
        size: nibble(size)?,
        stride: nibble(stride)?,
        padding: Margin {
            top: nibble(top)?,
            left: nibble(left)?,
            bottom: nibble(bottom)?,
            right: nibble(right)?,
        },
    })
}

/// A number of a geometry.
fn nibble(number: usize) -> Result<u8, Reason> {
    match number {
        0..16 => Ok(number as u8),
        _ => Err(format!(
            "its window has a size, stride or padding of {number}, more than 15"
        )),
    }
}
