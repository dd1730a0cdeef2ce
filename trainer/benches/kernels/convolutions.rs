//! Synthetic convolutions of every geometry that kernels distinguish, at low and high density.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec, Window,
    index_bits, pack_word,
};

use super::resnet;

/// A convolution whose instructions are to be counted.
struct Case {
    encoding: Encoding,
    /// Size and stride of the window.
    window: (u8, u8),
    pooling: Option<(Pooling, u8)>,
    /// Density in percent.
    kept: usize,
    /// Input and output channels.
    channels: (usize, usize),
    /// Width of the input map.
    width: u16,
    /// Padding on all sides.
    padding: u8,
    /// Whether a skip connection adds the input.
    adds: bool,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            encoding: Encoding::Csr,
            window: (3, 1),
            pooling: None,
            kept: 100,
            channels: (4, 8),
            width: 16,
            padding: 0,
            adds: false,
        }
    }
}

/// Returns ResNet-8 at several densities, in the encodings that an export chooses for them, each
/// with a name. Nearly all activations of the last one are 0.
pub(super) fn resnets() -> Vec<(String, NetworkSpec)> {
    let networks = [
        (1, Encoding::Dense, 0),
        (2, Encoding::Dense, 0),
        (4, Encoding::Csr, 0),
        (16, Encoding::Csr, 0),
        (4, Encoding::Rice, 0),
        (4, Encoding::Csr, -60),
    ];
    let name = |part, encoding: Encoding, bias| {
        let zeros = if bias < 0 { ", mostly zeros" } else { "" };
        format!("resnet-8, 1/{part} kept, {}{zeros}", encoding.name())
    };
    networks
        .map(|(part, encoding, bias)| {
            (
                name(part, encoding, bias),
                resnet::network(part, encoding, bias),
            )
        })
        .into()
}

/// Returns the networks of all convolutions, each with a name.
#[rustfmt::skip]
pub(super) fn networks() -> Vec<(String, NetworkSpec)> {
    let (max, average) = (|size| Some((Pooling::Max, size)), |size| Some((Pooling::Average, size)));
    let (dense, rice, words) = (Encoding::Dense, Encoding::Rice, Encoding::Words);
    let cases = [
        Case { padding: 1, ..Case::default() },
        Case { kept: 50, ..Case::default() },
        Case { kept: 15, width: 14, ..Case::default() },
        Case { kept: 50, width: 14, padding: 1, ..Case::default() },
        Case { kept: 8, channels: (16, 16), padding: 1, ..Case::default() },
        Case { encoding: dense, width: 8, padding: 1, ..Case::default() },
        Case { encoding: dense, kept: 30, width: 8, padding: 1, channels: (12, 12), ..Case::default() },
        Case { kept: 30, width: 9, ..Case::default() },
        Case { kept: 60, width: 6, ..Case::default() },
        Case { window: (5, 1), kept: 80, width: 14, ..Case::default() },
        Case { window: (5, 1), kept: 20, width: 20, ..Case::default() },
        Case { window: (1, 1), channels: (16, 16), ..Case::default() },
        Case { window: (1, 1), kept: 30, channels: (16, 16), ..Case::default() },
        Case { window: (3, 2), width: 17, ..Case::default() },
        Case { window: (3, 2), kept: 30, width: 9, channels: (8, 8), ..Case::default() },
        Case { window: (1, 2), kept: 50, channels: (12, 12), ..Case::default() },
        Case { window: (3, 3), kept: 50, ..Case::default() },
        Case { window: (3, 3), kept: 10, channels: (8, 16), ..Case::default() },
        Case { pooling: max(2), kept: 60, width: 18, ..Case::default() },
        Case { pooling: max(2), kept: 20, width: 14, ..Case::default() },
        Case { pooling: average(2), kept: 60, width: 14, ..Case::default() },
        Case { pooling: average(2), kept: 15, width: 18, ..Case::default() },
        Case { pooling: max(4), kept: 30, width: 18, ..Case::default() },
        Case { pooling: average(4), window: (1, 1), adds: true, channels: (8, 8), ..Case::default() },
        Case { kept: 50, adds: true, padding: 1, channels: (8, 8), ..Case::default() },
        Case { kept: 10, adds: true, padding: 1, channels: (8, 8), width: 12, ..Case::default() },
        Case { encoding: rice, kept: 90, ..Case::default() },
        Case { encoding: rice, window: (5, 1), kept: 15, channels: (8, 12), ..Case::default() },
        Case { encoding: words, kept: 95, ..Case::default() },
        Case { encoding: words, window: (1, 1), kept: 40, channels: (16, 24), ..Case::default() },
        Case { kept: 60, channels: (1, 2), width: 28, ..Case::default() },
        Case { kept: 100, channels: (2, 40), width: 6, ..Case::default() },
    ];
    cases.iter().map(|case| (case.name(), case.network())).collect()
}

impl Case {
    /// Returns a name that states all parameters.
    fn name(&self) -> String {
        let Case {
            encoding,
            window: (size, stride),
            pooling,
            kept,
            channels: (read, given),
            width,
            padding,
            adds,
        } = self;
        format!(
            "{} conv {size} / {stride}, {read} x {given}, {kept} %, of {width} + {padding}, {pooling:?}, {adds}",
            encoding.name()
        )
    }

    /// Returns a network of the convolution and a dense layer without weights. If there is a skip
    /// connection, another convolution comes first, whose output it adds.
    fn network(&self) -> NetworkSpec {
        let (read, given) = self.channels;
        let mut layers = Vec::new();
        if self.adds {
            let mut first = self.layer((1, 1), read, read, 30);
            first.operation = Operation::Conv {
                window: window((1, 1), 0),
                pooling: None,
            };
            layers.push(first);
        }
        let mut layer = self.layer(self.window, read, given, self.kept);
        layer.operation = Operation::Conv {
            window: window(self.window, self.padding),
            pooling: self.pooling,
        };
        layer.skip = self.adds.then_some(SkipSpec { back: 1, shift: 3 });
        layers.push(layer);
        layers.push(LayerSpec::dense(
            Encoding::Csr,
            0,
            vec![0],
            vec![Vec::new()],
        ));
        NetworkSpec {
            input: Shape {
                channels: read as u16,
                height: self.width,
                width: self.width,
            },
            layers,
        }
    }

    /// Returns a layer that keeps `kept` percent of its weights, at pseudorandom columns.
    fn layer(&self, (size, _): (u8, u8), read: usize, given: usize, kept: usize) -> LayerSpec {
        let columns = read * usize::from(size) * usize::from(size);
        let bits = index_bits(columns);
        let row = |row: usize| {
            let chosen = (0..columns).filter(|column| {
                let mixed = (row * columns + column + 1).wrapping_mul(0x9E37_79B9) >> 12;
                mixed % 100 < kept
            });
            let weight = |column: usize| {
                let value = [-7, 3, 1, -2, 5, 8, -4][(column + row) % 7];
                let column = column as u16;
                let value = match self.encoding {
                    Encoding::Words => pack_word(value, column, bits),
                    _ => value,
                };
                (column, value)
            };
            chosen.map(weight).collect()
        };
        let rows = (0..given).map(row).collect();
        LayerSpec::dense(self.encoding, 8, vec![64; given], rows)
    }
}

/// Returns a square window with the same padding on all sides.
fn window((size, stride): (u8, u8), padding: u8) -> Window {
    let padding = Margin {
        top: padding,
        left: padding,
        bottom: padding,
        right: padding,
    };
    Window::square(size, stride, padding)
}
