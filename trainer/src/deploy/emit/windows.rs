//! Layers that read a map by windows: what their loops need to know, in whatever language.

use rarefy_format::{LayerSpec, Margin, Operation, Pooling, Shape, Window, output_shape};

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

impl Convolution {
    /// Plans the convolution of `layer`, whose rows are `taps`.
    pub(super) fn new(
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
    pub(super) fn new(shift: u8, pooling: Option<(Pooling, u8)>, window: Window) -> Self {
        let is_average = matches!(pooling, Some((Pooling::Average, _)));
        Self {
            size: window.size,
            is_average,
            start: if is_average { 1_i64 << shift >> 1 } else { 0 },
            shift: if is_average { shift } else { 0 },
        }
    }
}
