//! Networks with convolutions and pooling layers, with and without links.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec, WeightsSpec,
    Window,
};

use super::{CONV, DENSE, Random, dense, weights};

/// Draws a window that fits `shape`: square or not, with equal strides or not.
fn window(random: &mut Random, shape: Shape, padded: bool) -> Window {
    let [height, width] = [shape.height, shape.width].map(usize::from);
    let mut pad = || {
        if padded && random.chance(60) {
            random.below(3) as u8
        } else {
            0
        }
    };
    let padding = Margin {
        top: pad(),
        left: pad(),
        bottom: pad(),
        right: pad(),
    };
    let side = |random: &mut Random, most: usize| 1 + random.below(most) as u8;
    let size = if random.chance(60) {
        [side(random, height.min(width).min(5)); 2]
    } else {
        [side(random, height.min(7)), side(random, width.min(7))]
    };
    let step = |random: &mut Random| {
        if random.chance(60) {
            1
        } else {
            1 + random.below(3) as u8
        }
    };
    let down = step(random);
    let across = if random.chance(60) {
        down
    } else {
        step(random)
    };
    Window {
        size,
        stride: [down, across],
        padding,
    }
}

/// Draws a convolution over `shape`; returns it and the shape of its output.
fn conv(random: &mut Random, encoding: Encoding, shape: Shape) -> (LayerSpec, Shape) {
    let window = window(random, shape, true);
    let [height, width] = window.outputs(shape);
    let sums = Shape {
        channels: 1 + random.below(5) as u16,
        height,
        width,
    };
    let pooling = if random.chance(50) {
        let size = 1 + random.below(usize::from(sums.height.min(sums.width)).min(4)) as u8;
        let kind = if random.chance(50) {
            Pooling::Max
        } else {
            Pooling::Average
        };
        Some((kind, size))
    } else {
        None
    };
    let rows = usize::from(sums.channels);
    let columns = usize::from(shape.channels) * window.area();
    let size = pooling.map_or(1, |(_, size)| u16::from(size));
    let layer = LayerSpec {
        operation: Operation::Conv { window, pooling },
        encoding,
        outputs: rows,
        original_outputs: rows + random.below(3),
        shift: random.below(14) as u8,
        source: 1,
        skip: None,
        weights: weights(random, encoding, columns, rows),
    };
    let shape = Shape {
        channels: sums.channels,
        height: sums.height / size,
        width: sums.width / size,
    };
    (layer, shape)
}

/// Draws a pooling layer over `shape`; returns it and the shape of its output.
fn pool(random: &mut Random, shape: Shape) -> (LayerSpec, Shape) {
    let pooling = if random.chance(50) {
        Pooling::Max
    } else {
        Pooling::Average
    };
    let mut window = window(random, shape, false);
    if random.chance(20) {
        window.size = [shape.height as u8, shape.width as u8];
    }
    let layer = LayerSpec {
        operation: Operation::Pool { pooling, window },
        encoding: Encoding::None,
        outputs: shape.channels.into(),
        original_outputs: shape.channels.into(),
        shift: if pooling == Pooling::Max {
            0
        } else {
            random.below(window.area().ilog2() as usize + 3) as u8
        },
        source: 1,
        skip: None,
        weights: WeightsSpec::None,
    };
    let [height, width] = window.outputs(shape);
    let shape = Shape {
        channels: shape.channels,
        height,
        width,
    };
    (layer, shape)
}

/// Draws a network of convolutions and pooling layers, followed by a dense layer.
pub fn convolutional(random: &mut Random) -> NetworkSpec {
    let input = Shape {
        channels: 1 + random.below(3) as u16,
        height: 4 + random.below(12) as u16,
        width: 4 + random.below(16) as u16,
    };
    let (mut shape, mut layers) = (input, Vec::new());
    for _ in 0..1 + random.below(3) {
        let (layer, next) = if random.chance(25) {
            pool(random, shape)
        } else {
            let encoding = CONV[random.below(CONV.len())];
            conv(random, encoding, shape)
        };
        layers.push(layer);
        shape = next;
    }
    let encoding = DENSE[random.below(DENSE.len())];
    layers.push(dense(random, encoding, shape.len(), true));
    NetworkSpec { input, layers }
}

/// Returns a 1 x 1 window.
fn point() -> Window {
    Window::square(1, 1, Margin::NONE)
}

/// Draws a convolution with `window` from `channels` to `outputs` channels, without pooling or
/// links.
fn plain_conv(
    random: &mut Random,
    window: Window,
    encoding: Encoding,
    channels: u16,
    outputs: u16,
    shift: u8,
) -> LayerSpec {
    let rows = usize::from(outputs);
    let columns = usize::from(channels) * window.area();
    LayerSpec {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        encoding,
        outputs: rows,
        original_outputs: rows,
        shift,
        source: 1,
        skip: None,
        weights: weights(random, encoding, columns, rows),
    }
}

/// Draws one of the encodings for convolutions.
fn encoding(random: &mut Random) -> Encoding {
    CONV[random.below(CONV.len())]
}

/// Draws a network of convolutions that preserve the shape. Some of them read, and some add, the
/// output of an earlier layer.
pub fn residual(random: &mut Random) -> NetworkSpec {
    let shape = Shape {
        channels: 1 + random.below(3) as u16,
        height: 2 + random.below(6) as u16,
        width: 2 + random.below(9) as u16,
    };
    let mut layers = Vec::new();
    let count = 2 + random.below(5);
    for _ in 0..count {
        let layer = linked_conv(random, &layers, shape.channels);
        layers.push(layer);
    }
    let last = DENSE[random.below(DENSE.len())];
    // A dense layer cannot read a map with a margin, so a 1 x 1 convolution removes it first.
    let kind = encoding(random);
    let channels = shape.channels;
    layers.push(plain_conv(random, point(), kind, channels, channels, 3));
    layers.push(dense(random, last, shape.len(), true));
    NetworkSpec {
        input: shape,
        layers,
    }
}

/// Draws a convolution that preserves the shape, to be appended to `layers`.
fn linked_conv(random: &mut Random, layers: &[LayerSpec], channels: u16) -> LayerSpec {
    let layer = layers.len();
    let half = [0, 1, 2][random.below(3)];
    let across = if random.chance(70) {
        half
    } else {
        random.below(4) as u8
    };
    let padding = Margin {
        top: half,
        left: across,
        bottom: half,
        right: across,
    };
    let window = Window {
        size: [2 * half + 1, 2 * across + 1],
        stride: [1; 2],
        padding,
    };
    let encoding = encoding(random);
    // The copy of the input has no larger margin than the first layer needs.
    let reads_input = match layers.first() {
        None => true,
        Some(LayerSpec {
            operation: Operation::Conv { window: first, .. },
            ..
        }) => first.padding.covers(padding) && !first.padding.is_none(),
        Some(_) => false,
    };
    let farthest = layer + usize::from(reads_input);
    let source = if random.chance(30) {
        1 + random.below(farthest)
    } else {
        1
    };
    let source = if layer == 0 { 1 } else { source };
    let skip = (layer > 0 && random.chance(50)).then(|| SkipSpec {
        back: 1 + random.below(layer),
        shift: random.below(6) as u8,
    });
    let shift = random.below(10) as u8;
    LayerSpec {
        source,
        skip,
        ..plain_conv(random, window, encoding, channels, channels, shift)
    }
}

/// Draws a network in which a convolution, of any stride and pooling, adds the output of another
/// convolution with the same window.
pub fn joined(random: &mut Random) -> NetworkSpec {
    let input = Shape {
        channels: 1 + random.below(3) as u16,
        height: 3 + random.below(12) as u16,
        width: 3 + random.below(28) as u16,
    };
    // Both read the output of a first layer, not the input: a copy of the input would have the
    // margin that its first reader needs.
    let channels = input.channels;
    let kind = encoding(random);
    let copy = plain_conv(random, point(), kind, channels, channels, 3);
    let kind = encoding(random);
    let (mut added, shape) = loop {
        let (layer, shape) = conv(random, kind, input);
        if matches!(layer.operation, Operation::Conv { pooling: None, .. }) {
            break (layer, shape);
        }
    };
    added.shift = random.below(8) as u8;
    let Operation::Conv { window, .. } = added.operation else {
        unreachable!("the layer is a convolution")
    };
    let pool = 1 + random.below(usize::from(shape.height.min(shape.width)).min(3)) as u8;
    let pooling = match random.below(3) {
        0 => None,
        1 => Some((Pooling::Max, pool)),
        _ => Some((Pooling::Average, pool)),
    };
    let kind = encoding(random);
    let shift = random.below(12) as u8;
    let skip = Some(SkipSpec {
        back: 1,
        shift: random.below(6) as u8,
    });
    let sum = LayerSpec {
        operation: Operation::Conv { window, pooling },
        original_outputs: added.original_outputs,
        source: 2,
        skip,
        ..plain_conv(random, window, kind, channels, shape.channels, shift)
    };
    let size = pooling.map_or(1, |(_, size)| u16::from(size));
    let pooled = Shape {
        channels: shape.channels,
        height: shape.height / size,
        width: shape.width / size,
    };
    let kind = DENSE[random.below(DENSE.len())];
    let last = dense(random, kind, pooled.len(), true);
    NetworkSpec {
        input,
        layers: vec![copy, added, sum, last],
    }
}
