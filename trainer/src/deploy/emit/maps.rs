//! Plans convolutions and pooling: loops over positions around straight-line sums.
//!
//! A map that needs padding is first copied into one with a zero margin, so that no tap tests for
//! a border. Each position then reads a window of fixed length, in which every tap has a fixed
//! offset.

use rarefy_format::{
    LayerSpec, Margin, Operation, Pooling, Shape, WeightsSpec, Window, output_shape,
};

use super::rows::{Rows, function};
use super::syntax::{Output, Syntax};

/// A layer that reads a map by windows.
pub(super) struct Windowed {
    /// The layer's number, from 1.
    pub(super) number: usize,
    /// The shape of the source.
    pub(super) source: Shape,
    /// The shape of the source with its zero margin.
    pub(super) padded: Shape,
    pub(super) padding: Margin,
    /// The steps between windows, down and across.
    pub(super) stride: [u8; 2],
    /// The shape of the outputs.
    pub(super) output: Shape,
    /// The shift that makes stored values of sums.
    pub(super) shift: u8,
}

/// A convolution, with the pooling fused into it.
pub(super) struct Convolution {
    /// The number of values of a window, up to the last that has a weight.
    pub(super) span: usize,
    /// How the sums of neighbouring positions become one.
    pub(super) pooling: Option<Pooling>,
    /// The height and width of the square of positions that become one.
    pub(super) pool: usize,
    /// The map that is added to the sums, before pooling.
    pub(super) skip: Option<Skip>,
}

/// A map that is added to a convolution's sums.
pub(super) struct Skip {
    /// The shape of the map.
    pub(super) shape: Shape,
    /// The shift by which its values are multiplied.
    pub(super) shift: u8,
}

/// A pooling layer.
pub(super) struct Pool {
    /// The height and width of a window.
    pub(super) size: [u8; 2],
    /// Whether the layer averages instead of taking the maximum.
    pub(super) is_average: bool,
    /// What the result begins with.
    pub(super) start: i64,
    /// The shift that makes a stored value of the result.
    pub(super) shift: u8,
}

/// Returns the number of positions of each channel.
pub(super) fn plane(shape: Shape) -> usize {
    usize::from(shape.height) * usize::from(shape.width)
}

/// Returns the shape of a convolution's sums, before pooling.
fn sums(window: Window, channels: u16, source: Shape) -> Shape {
    let operation = Operation::Conv {
        window,
        pooling: None,
    };
    output_shape(&operation, channels.into(), source).expect("the window fits")
}

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

impl Convolution {
    /// Plans the convolution of `layer`, whose rows are `taps`.
    fn new(
        layer: &LayerSpec,
        window: Window,
        pooling: Option<(Pooling, u8)>,
        taps: &[Vec<(u16, i16)>],
        source: Shape,
        output: Shape,
    ) -> Self {
        let last = taps.iter().flatten().map(|&(offset, _)| offset).max();
        Self {
            span: last.map_or(1, |last| usize::from(last) + 1),
            pooling: pooling.map(|(kind, _)| kind),
            pool: pooling.map_or(1, |(_, size)| size.into()),
            // The map before pooling includes the positions that pooling drops.
            skip: layer.skip.map(|skip| Skip {
                shape: sums(window, output.channels, source),
                shift: skip.shift,
            }),
        }
    }
}

impl Pool {
    /// Plans a pooling layer with this shift.
    fn new(shift: u8, pooling: Option<(Pooling, u8)>, window: Window) -> Self {
        let is_average = matches!(pooling, Some((Pooling::Average, _)));
        Self {
            size: window.size,
            is_average,
            start: if is_average { 1_i64 << shift >> 1 } else { 0 },
            shift: if is_average { shift } else { 0 },
        }
    }
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
