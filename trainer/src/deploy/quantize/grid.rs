//! The integers that a layer's weights can be, by what it is stored as.
//!
//! Compressed rows, dense rows and the entropy-coded rows hold `sign * 1..=largest`: no level is spent on
//! zero, since a weight of zero is not stored. Packed words hold what is left of 16 bits beside an index, and
//! are multiplied whole: the word `h << c | index` is a weight of `h + index / 2^c` steps, a grid of its
//! own for every column (or row).

use rarefy_format::{Encoding, index_bits};

/// The type of the stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// Signed integers of so many bits, 2 to 8, or of more where an encoding has room for more.
    Int(u8),
    /// A sign: every weight of a layer has the same size.
    Ternary,
}

impl WeightType {
    /// Bits of a weight.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            WeightType::F32 => 32,
            WeightType::Int(bits) => bits,
            WeightType::Ternary => 1,
        }
    }

    /// The largest integer of a weight, where an encoding has room for no more bits.
    pub(in crate::deploy) fn levels(self) -> f64 {
        f64::from(self.largest())
    }

    /// The largest integer of a weight.
    fn largest(self) -> i16 {
        match self.bits() {
            // -128 would be one more than 127.
            8.. => 127,
            bits => 1 << (bits - 1),
        }
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            WeightType::F32 => "f32".into(),
            WeightType::Int(bits) => format!("int{bits}"),
            WeightType::Ternary => "ternary".into(),
        }
    }
}

/// The integers that weights can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    /// `sign * 1..=largest`.
    Plain {
        /// The largest.
        largest: i16,
    },
    /// Whole words, an index in their low bits.
    Words {
        /// Bits of the index.
        index_bits: u8,
        /// Whether the index is the row instead of the column.
        by_row: bool,
    },
}

/// The integers of weights of this type in `encoding`, for a layer of so many rows and columns; none where
/// it keeps fewer bits.
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
    /// The steps of the largest weight.
    pub(super) fn levels(self) -> f64 {
        match self {
            Grid::Plain { largest } => largest.into(),
            Grid::Words { index_bits, .. } => f64::from(1_u16 << (15 - index_bits)),
        }
    }

    /// The steps that an integer of 1 stands for.
    pub(super) fn unit(self) -> f64 {
        match self {
            Grid::Plain { .. } => 1.0,
            Grid::Words { index_bits, .. } => 0.5_f64.powi(index_bits.into()),
        }
    }

    /// The integer nearest to a weight of so many steps; 0 for one that is not stored.
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
                let high = high.clamp(-levels, levels - 1.0) as i32;
                // The index has no more bits than that: the word fits.
                (high << index_bits | index as i32) as i16
            }
        }
    }

    /// These integers with all values of a byte, where each weight has one to itself.
    pub(super) fn whole_byte(self) -> Self {
        match self {
            Grid::Plain { .. } => Grid::Plain { largest: 127 },
            words @ Grid::Words { .. } => words,
        }
    }

    /// The integer of a weight that is nearest, 0 included: for steps so coarse that most of a layer's weights
    /// are less than one.
    pub(super) fn integer_or_zero(self, weight: f64, row: usize, column: usize) -> i16 {
        let integer = self.integer(weight, row, column);
        let apart = f64::from(integer) * self.unit() - weight;
        if weight.abs() < apart.abs() {
            0
        } else {
            integer
        }
    }

    /// The integers next to one, below and above; 0 among them, which is not to store the weight. A word
    /// that follows 0 has the index of its `row` or `column` again.
    pub(super) fn neighbours(self, integer: i16, row: usize, column: usize) -> [Option<i16>; 2] {
        [-1, 1].map(|by| match self {
            Grid::Plain { largest } => {
                let next = integer + by;
                (next.abs() <= largest).then_some(next)
            }
            Grid::Words { index_bits, by_row } => {
                let index = if by_row { row } else { column };
                match integer {
                    // The index alone is the next above 0.
                    0 if index > 0 && by > 0 => Some(index as i16),
                    0 => Some(by << index_bits | index as i16),
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
    fn plain_integers_have_no_zero_and_no_more_bits_than_asked() {
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
    fn words_are_the_nearest_with_their_index_in_the_low_bits() {
        let grid = grid(Encoding::Words, WeightType::Int(6), 300, 784).unwrap();
        assert_eq!(grid.unit(), 1.0 / 1024.0);
        for (column, weight) in [(0, 5.2), (783, -3.7), (512, 0.4), (700, -31.0), (1, 30.6)] {
            let word = grid.integer(weight, 9, column);
            assert_eq!(word as u16 & 1023, column as u16);
            let apart = f64::from(word) * grid.unit() - weight;
            assert!(apart.abs() <= 0.5, "{weight} at {column}: {word}");
        }
        // Beyond the range: the last one inside.
        assert_eq!(grid.integer(99.0, 0, 3) >> 10, 31);
        assert_eq!(grid.integer(-99.0, 0, 3) >> 10, -32);
    }

    #[test]
    fn a_word_next_to_0_has_its_index_again() {
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
    fn words_are_there_for_as_many_bits_as_are_left() {
        let bits = |bits| WeightType::Int(bits);
        assert!(grid(Encoding::Words, bits(6), 300, 1024).is_some());
        assert!(grid(Encoding::Words, bits(7), 300, 1024).is_none());
        assert!(grid(Encoding::Words, bits(8), 300, 256).is_some());
        assert!(grid(Encoding::Columns, bits(8), 300, 256).is_none());
        assert!(grid(Encoding::Columns, bits(7), 300, 256).is_some());
        assert!(grid(Encoding::CsrF32, bits(7), 300, 256).is_none());
    }
}
