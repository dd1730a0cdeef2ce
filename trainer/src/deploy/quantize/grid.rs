//! The integers that represent a layer's weights, depending on its encoding.
//!
//! Compressed, dense and entropy-coded rows hold `sign * 1..=largest`: no level is spent on 0,
//! since zero weights are not stored. Packed words hold the weight in the bits that the index
//! leaves of 16, and are multiplied as a whole: the word `h << c | index` represents a weight of
//! `h + index / 2^c` steps, so each column (or row) has a grid of its own.

use rarefy_format::{Encoding, index_bits, pack_word};

/// The type of the stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// Signed integers of the given number of bits, 2 to 8, or more where an encoding has room for
    /// them.
    Int(u8),
    /// Signs: all weights of a layer have the same magnitude.
    Ternary,
}

impl WeightType {
    /// Returns the number of bits per weight.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            WeightType::F32 => 32,
            WeightType::Int(bits) => bits,
            WeightType::Ternary => 1,
        }
    }

    /// Returns the largest integer of a weight in an encoding without room for additional bits.
    pub(in crate::deploy) fn levels(self) -> f64 {
        f64::from(self.largest())
    }

    /// Returns the largest integer of a weight.
    fn largest(self) -> i16 {
        match self.bits() {
            // Symmetric: -128 is not used.
            8.. => 127,
            bits => 1 << (bits - 1),
        }
    }

    /// Returns the name, such as `int6`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            WeightType::F32 => "f32".into(),
            WeightType::Int(bits) => format!("int{bits}"),
            WeightType::Ternary => "ternary".into(),
        }
    }
}

/// The integers that weights can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    /// `sign * 1..=largest`.
    Plain {
        /// The largest integer.
        largest: i16,
    },
    /// Whole words with an index in their low bits.
    Words {
        /// Bits of the index.
        index_bits: u8,
        /// Whether the index is the row instead of the column.
        by_row: bool,
    },
}

/// Returns the grid of weights of this type in `encoding`, for a layer of `rows` x `columns`;
/// `None` if the encoding cannot hold that many bits, or stores no integers.
pub(super) fn grid(
    encoding: Encoding,
    weights: WeightType,
    rows: usize,
    columns: usize,
) -> Option<Grid> {
    let words = |count: usize, by_row| {
        let index_bits = index_bits(count);
        let enough = index_bits + weights.bits() <= 16;
        enough.then_some(Grid::Words { index_bits, by_row })
    };
    match encoding {
        Encoding::Words => words(columns, false),
        Encoding::Columns => words(rows, true),
        Encoding::Csr | Encoding::Rice | Encoding::Dense => Some(Grid::Plain {
            largest: weights.largest(),
        }),
        Encoding::CsrF32 | Encoding::None => None,
    }
}

impl Grid {
    /// Returns the largest magnitude of a weight, in steps.
    pub(super) fn levels(self) -> f64 {
        match self {
            Grid::Plain { largest } => largest.into(),
            Grid::Words { index_bits, .. } => f64::from(1_u16 << (15 - index_bits)),
        }
    }

    /// Returns the number of steps that an integer of 1 represents.
    pub(super) fn unit(self) -> f64 {
        match self {
            Grid::Plain { .. } => 1.0,
            Grid::Words { index_bits, .. } => 0.5_f64.powi(index_bits.into()),
        }
    }

    /// Returns the integer of the grid nearest to `weight`, which is given in steps. In a plain
    /// grid, a weight of 0 gives 0, which is not stored.
    pub(super) fn integer(self, weight: f64, row: usize, column: usize) -> i16 {
        match self {
            Grid::Plain { largest } => {
                let size = weight.abs().round().clamp(1.0, largest.into()) as i16;
                match weight {
                    0.0 => 0,
                    0.0.. => size,
                    _ => -size,
                }
            }
            Grid::Words { index_bits, by_row } => {
                let index = if by_row { row } else { column };
                let levels = self.levels();
                let high = (weight - index as f64 * self.unit()).round();
                let high = high.clamp(-levels, levels - 1.0) as i16;
                pack_word(high, index as u16, index_bits)
            }
        }
    }

    /// Returns the grid with the full range of a byte if weights are bytes; packed words are
    /// unchanged.
    pub(super) fn whole_byte(self) -> Self {
        match self {
            Grid::Plain { .. } => Grid::Plain { largest: 127 },
            words @ Grid::Words { .. } => words,
        }
    }

    /// Returns the integer nearest to `weight`, or 0 if 0 is nearer: for steps so coarse that most
    /// weights are smaller than one step.
    pub(super) fn integer_or_zero(self, weight: f64, row: usize, column: usize) -> i16 {
        let integer = self.integer(weight, row, column);
        let apart = f64::from(integer) * self.unit() - weight;
        if weight.abs() < apart.abs() {
            0
        } else {
            integer
        }
    }

    /// Returns the next smaller and the next larger integer, either of which may be 0 for a weight
    /// that is not stored; `None` where the range ends. In packed words, the neighbours of 0 have
    /// the index of `row` or `column` in their low bits.
    pub(super) fn neighbours(self, integer: i16, row: usize, column: usize) -> [Option<i16>; 2] {
        [-1, 1].map(|by| match self {
            Grid::Plain { largest } => {
                let next = integer + by;
                (next.abs() <= largest).then_some(next)
            }
            Grid::Words { index_bits, by_row } => {
                let index = if by_row { row } else { column };
                match integer {
                    // The next word above 0 is the index alone.
                    0 if index > 0 && by > 0 => Some(index as i16),
                    0 => Some(pack_word(by, index as u16, index_bits)),
                    _ => integer.checked_add(by << index_bits),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_integers_skip_zero_and_keep_the_requested_bits() {
        for (weights, largest) in [
            (WeightType::Int(8), 127),
            (WeightType::Int(6), 32),
            (WeightType::Int(2), 2),
            (WeightType::Ternary, 1),
        ] {
            let grid = grid(Encoding::Rice, weights, 10, 10).unwrap();
            assert_eq!(grid, Grid::Plain { largest });
            assert_eq!(grid.integer(1e-9, 0, 0), 1);
            assert_eq!(grid.integer(-1e-9, 0, 0), -1);
            assert_eq!(grid.integer(1e9, 0, 0), largest);
            assert_eq!(grid.integer(-1e9, 0, 0), -largest);
            assert_eq!(grid.integer(0.0, 0, 0), 0);
        }
    }

    #[test]
    fn words_are_the_nearest_ones_with_the_index_in_their_low_bits() {
        let grid = grid(Encoding::Words, WeightType::Int(6), 300, 784).unwrap();
        assert_eq!(grid.unit(), 1.0 / 1024.0);
        for (column, weight) in [(0, 5.2), (783, -3.7), (512, 0.4), (700, -31.0), (1, 30.6)] {
            let word = grid.integer(weight, 9, column);
            assert_eq!(word as u16 & 1023, column as u16);
            let apart = f64::from(word) * grid.unit() - weight;
            assert!(apart.abs() <= 0.5, "{weight} at {column}: {word}");
        }
        // Weights beyond the range saturate.
        assert_eq!(grid.integer(99.0, 0, 3) >> 10, 31);
        assert_eq!(grid.integer(-99.0, 0, 3) >> 10, -32);
    }

    #[test]
    fn neighbours_of_0_have_the_index_in_their_low_bits() {
        let grid = grid(Encoding::Words, WeightType::Int(6), 300, 784).unwrap();
        for column in [0, 1, 783] {
            for next in grid.neighbours(0, 5, column).into_iter().flatten() {
                assert_eq!(next as u16 & 1023, column as u16);
                assert_ne!(next, 0);
            }
            let word = grid.integer(-7.0, 5, column);
            let [below, above] = grid.neighbours(word, 5, column);
            assert_eq!([below, above], [Some(word - 1024), Some(word + 1024)]);
        }
    }

    #[test]
    fn words_hold_the_bits_that_their_index_leaves() {
        let bits = |bits| WeightType::Int(bits);
        assert!(grid(Encoding::Words, bits(6), 300, 1024).is_some());
        assert!(grid(Encoding::Words, bits(7), 300, 1024).is_none());
        assert!(grid(Encoding::Words, bits(8), 300, 256).is_some());
        assert!(grid(Encoding::Columns, bits(8), 300, 256).is_none());
        assert!(grid(Encoding::Columns, bits(7), 300, 256).is_some());
        assert!(grid(Encoding::CsrF32, bits(7), 300, 256).is_none());
    }
}
