//! ResNet-8 of MLPerf Tiny with integer weights.
//!
//! It reads 32 x 32 x 3 values and has three residual stacks of 16, 32 and 64 channels, 1 x 1
//! shortcuts at stride 2, and a mean over the last map. Weights are random, at a chosen density
//! that is the same in every layer.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec, Window,
};

/// Shape of the network's input.
const INPUT: Shape = Shape {
    channels: 3,
    height: 32,
    width: 32,
};

/// A small generator of pseudorandom numbers, which are the same on every machine.
struct Numbers(u64);

impl Numbers {
    /// Returns a number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Returns `count` inputs that vary smoothly, as pictures do, and have dark parts.
pub fn inputs(count: usize) -> Vec<Vec<u8>> {
    let numbers = &mut Numbers(11);
    let image = |_| {
        let [down, across, dark] = [0; 3].map(|_| numbers.below(60) as usize + 20);
        let value = |at: usize| {
            let (channel, y, x) = (at / 1024, at / 32 % 32, at % 32);
            let wave = (y * down + x * across + 90 * channel) % 510;
            let value = if wave < 256 { wave } else { 510 - wave };
            value.saturating_sub(dark) as u8
        };
        (0..INPUT.len()).map(value).collect()
    };
    (0..count).map(image).collect()
}

/// Returns the network with one in `part` weights kept. Its biases add `bias` to the outputs of
/// hidden layers, which are then clamped to 0..=255.
pub fn network(part: u64, encoding: Encoding, bias: i32) -> NetworkSpec {
    let numbers = &mut Numbers(part);
    let mut layer = |channels: usize, outputs: usize, size: u8, stride: u8| {
        let columns = channels * usize::from(size) * usize::from(size);
        let taps = (columns as f64 / part as f64).max(1.0);
        // After the shift, accumulators have a standard deviation of about 64.
        let shift = (taps.sqrt() * 37.0 * 80.0 / 64.0).log2().round() as u8;
        let row = |_| {
            let kept = (0..columns as u16).filter(|_| numbers.below(part) == 0);
            let kept: Vec<u16> = kept.collect();
            let weight = |column| (column, numbers.below(127) as i16 - 63);
            kept.into_iter()
                .map(weight)
                .filter(|weight| weight.1 != 0)
                .collect()
        };
        let rows = (0..outputs).map(row).collect();
        let bias = vec![bias << shift; outputs];
        // At stride 2, halving an even length takes one zero of padding, after the map.
        let after = u8::from(size > 1);
        let before = u8::from(size > 1 && stride == 1);
        let padding = Margin {
            top: before,
            left: before,
            bottom: after,
            right: after,
        };
        LayerSpec {
            operation: Operation::Conv {
                window: Window::square(size, stride, padding),
                pooling: None,
            },
            ..LayerSpec::dense(encoding, shift, bias, rows)
        }
    };
    let mut layers = vec![
        layer(3, 16, 3, 1),
        layer(16, 16, 3, 1),
        layer(16, 16, 3, 1),
        layer(16, 32, 3, 2),
        layer(32, 32, 3, 1),
        layer(16, 32, 1, 2),
        layer(32, 64, 3, 2),
        layer(64, 64, 3, 1),
        layer(32, 64, 1, 2),
        layer(64, 10, 1, 1),
    ];
    for (place, source, back) in [(2, 1, 2), (5, 3, 1), (8, 3, 1)] {
        layers[place].source = source;
        let shift = layers[place].shift;
        layers[place].skip = Some(SkipSpec { back, shift });
    }
    if let Operation::Conv { pooling, .. } = &mut layers[8].operation {
        *pooling = Some((Pooling::Average, 8));
    }
    layers[8].shift += 6;
    layers[9].operation = Operation::Dense;
    layers[9].shift = 0;
    NetworkSpec {
        input: INPUT,
        layers,
    }
}
