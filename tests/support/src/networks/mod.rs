//! Random small networks of every kind.
//!
//! The seed alone determines a network. Together, the networks cover every encoding, operation,
//! padding, stride, pooling and kind of link, rows from empty to full, and weights up to the
//! largest magnitude.

mod dense;
mod maps;

use rarefy_format::{Encoding, NetworkSpec, WeightsSpec, index_bits, pack_word};

pub use dense::{dense, each_multilayer, floats, line, multilayer, sections, selective};
pub use maps::{convolutional, joined, residual};

/// A generator of pseudorandom numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// Creates a generator that starts from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns the next number.
    #[allow(
        clippy::should_implement_trait,
        reason = "the generator never ends, so it is not an iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns `true` in `percent` per cent of cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns `count` bytes; often many of them are zero, as in images and hidden layers.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let zeros = [0, 50, 90][self.below(3)];
        let byte = |random: &mut Self| {
            if random.chance(zeros) {
                0
            } else {
                random.next() as u8
            }
        };
        (0..count).map(|_| byte(self)).collect()
    }
}

/// Returns the integer by which `encoding` multiplies an input, for a weight of `magnitude`, which
/// must not be 0. Packed words clamp it to their bits; other encodings take -8..=8.
pub fn weight(
    encoding: Encoding,
    magnitude: i16,
    column: usize,
    row: usize,
    columns: usize,
    rows: usize,
) -> i16 {
    let word = |index: usize, count: usize| {
        let bits = index_bits(count);
        let limit = 1 << (15 - bits);
        pack_word(magnitude.clamp(-limit, limit - 1), index as u16, bits)
    };
    match encoding {
        Encoding::Words => word(column, columns),
        Encoding::Columns => word(row, rows),
        Encoding::Rice => magnitude,
        // The extreme magnitudes become the extreme values of 8 bits.
        _ if magnitude == 8 => 127,
        _ if magnitude == -8 => -128,
        _ => magnitude * 9,
    }
}

/// Draws the biases and rows of a layer.
fn weights(random: &mut Random, encoding: Encoding, columns: usize, rows: usize) -> WeightsSpec {
    let all: Vec<usize> = (0..columns).collect();
    weights_of(random, encoding, &all, columns, rows)
}

/// Draws the biases and rows of a layer that reads only the columns `used`.
fn weights_of(
    random: &mut Random,
    encoding: Encoding,
    used: &[usize],
    columns: usize,
    rows: usize,
) -> WeightsSpec {
    let percent = [0, 3, 20, 60, 100][random.below(5)];
    let largest = [1, 2, 8][random.below(3)];
    let mut lists = Vec::new();
    for row in 0..rows {
        // Makes neighbouring rows differ in length.
        let percent = if random.chance(30) {
            percent / 2
        } else {
            percent
        };
        let mut list = Vec::new();
        for &column in used {
            if random.chance(percent) {
                let magnitude = 1 + random.below(largest) as i16;
                let magnitude = if random.chance(50) {
                    magnitude
                } else {
                    -magnitude
                };
                // The extreme magnitudes become the extreme weights that fit the bits.
                let packed = matches!(encoding, Encoding::Words | Encoding::Columns);
                let magnitude = match magnitude {
                    8 if packed => i16::MAX,
                    -8 if packed => i16::MIN,
                    magnitude => magnitude,
                };
                let weight = weight(encoding, magnitude, column, row, columns, rows);
                if weight != 0 {
                    list.push((column as u16, weight));
                }
            }
        }
        lists.push(list);
    }
    let reach = [1, 100, 30_000][random.below(3)];
    let bias = (0..rows).map(|_| random.below(2 * reach) as i32 - reach as i32);
    WeightsSpec::Integers {
        bias: bias.collect(),
        rows: lists,
    }
}

/// The integer encodings for dense layers.
pub const DENSE: [Encoding; 5] = [
    Encoding::Dense,
    Encoding::Csr,
    Encoding::Words,
    Encoding::Columns,
    Encoding::Rice,
];

/// The integer encodings for convolutions.
pub const CONV: [Encoding; 4] = [
    Encoding::Dense,
    Encoding::Csr,
    Encoding::Words,
    Encoding::Rice,
];

/// Draws a network of any kind from `seed`.
pub fn any(seed: u64) -> NetworkSpec {
    let mut random = Random::new(seed);
    match random.below(10) {
        0..3 => multilayer(&mut random, &DENSE),
        3..5 => convolutional(&mut random),
        5..7 => residual(&mut random),
        7 => joined(&mut random),
        8 => selective(&mut random),
        _ => floats(&mut random),
    }
}
