//! Plans convolutions and pooling: loops over positions around straight-line sums.
//!
//! A map that needs padding is first copied into one with a zero margin, so that no tap tests for
//! a border. Each position then reads a window of fixed length, in which every tap has a fixed
//! offset.

use rarefy_format::{LayerSpec, Operation, Shape, WeightsSpec, Window};

use super::rows::{Rows, function};
use super::syntax::{Output, Syntax};
use super::windows::{Convolution, Pool, Windowed, plane};

/// Returns the functions that compute a convolution or a pooling layer, which maps shape `source`
/// to shape `output`.
pub(super) fn layer(
    layer: &LayerSpec,
    number: usize,
    source: Shape,
    output: Shape,
    syntax: &dyn Syntax,
) -> String {
    let (window, pooling) = match layer.operation {
        Operation::Conv { window, pooling } => (window, pooling),
        Operation::Pool { window, pooling } => (window, Some((pooling, 1))),
        Operation::Dense => unreachable!("a dense layer has no window"),
    };
    let padding = window.padding;
    let windowed = Windowed {
        number,
        source,
        padded: Shape {
            channels: source.channels,
            height: source.height + u16::from(padding.top) + u16::from(padding.bottom),
            width: source.width + u16::from(padding.left) + u16::from(padding.right),
        },
        padding,
        stride: window.stride,
        output,
        shift: layer.shift,
    };
    let WeightsSpec::Integers { bias, rows } = &layer.weights else {
        return syntax.pool(&windowed, &Pool::new(layer.shift, pooling, window));
    };
    let taps = taps(rows, window, windowed.padded);
    let convolution = Convolution::new(layer, window, pooling, &taps, source, output);
    let name = format!("{}_sums", syntax.layer(number));
    let taps = Rows { bias, rows: &taps };
    function(&taps, &name, convolution.span, Output::Sums, syntax)
        + &syntax.convolution(&windowed, &convolution)
}

/// Returns the rows of a convolution with each weight's column replaced by the offset of its tap
/// from the first element of the window in the `padded` map.
fn taps(rows: &[Vec<(u16, i16)>], window: Window, padded: Shape) -> Vec<Vec<(u16, i16)>> {
    let (area, across) = (window.area(), usize::from(window.size[1]));
    let (width, plane) = (usize::from(padded.width), plane(padded));
    let offset = |column: u16| {
        let (channel, tap) = (usize::from(column) / area, usize::from(column) % area);
        let offset = channel * plane + tap / across * width + tap % across;
        u16::try_from(offset).expect("a map has at most 65,535 elements")
    };
    let row = |row: &Vec<(u16, i16)>| {
        let taps = row.iter();
        taps.map(|&(column, weight)| (offset(column), weight))
            .collect()
    };
    rows.iter().map(row).collect()
}
