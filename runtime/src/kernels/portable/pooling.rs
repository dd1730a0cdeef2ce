//! Pooling layers, one channel per call: bytes in, bytes out.
//!
//! Padding is the source's margin of zeros, as for a convolution. Activations are never negative,
//! so padding does not change the maximum of a window; an average counts the zeros.
//!
//! No core has a version of its own: pooling takes a few percent of a network's instructions.

use crate::kernels::geometry::{Pooling, Reduction};

/// Pools a channel. `source` starts at the corner of the first window, `output` at position (0,
/// 0), after its margins. Positions outside either slice are skipped.
pub(crate) fn run(geometry: &Pooling, source: &[u8], output: &mut [u8]) {
    match geometry.reduction {
        Reduction::Max => pool(geometry, source, output, 0, u8::max, |largest| largest),
        Reduction::Average(shift) => {
            let shift = u32::from(shift & 31);
            let half = 1u32 << shift >> 1;
            let add = |sum: u32, x| sum.wrapping_add(u32::from(x));
            let store = |sum: u32| (sum >> shift).min(255) as u8;
            pool(geometry, source, output, half, add, store);
        }
    }
}

/// Folds the bytes of each window with `join`, starting from `start`, and stores `store` of the
/// result.
#[inline(always)]
fn pool<T: Copy>(
    geometry: &Pooling,
    source: &[u8],
    output: &mut [u8],
    start: T,
    join: impl Fn(T, u8) -> T,
    store: impl Fn(T) -> u8,
) {
    let Pooling {
        rows,
        columns,
        stride,
        ..
    } = *geometry;
    let (mut above, mut output) = (source, output);
    for _ in 0..geometry.height {
        let mut left = above;
        for output in output.iter_mut().take(geometry.width) {
            let (mut joined, mut row) = (start, left);
            for _ in 0..rows {
                for &x in row.get(..columns).unwrap_or(row) {
                    joined = join(joined, x);
                }
                row = row.get(geometry.source_row..).unwrap_or_default();
            }
            *output = store(joined);
            left = left.get(stride..).unwrap_or_default();
        }
        above = above.get(geometry.down..).unwrap_or_default();
        output = core::mem::take(&mut output)
            .get_mut(geometry.output_row..)
            .unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Returns the bytes of a window of a map that is surrounded by zeros.
    fn window(map: &[Vec<u8>], size: [usize; 2], top: isize, left: isize) -> Vec<i64> {
        let mut bytes = Vec::new();
        for y in top..top + size[0] as isize {
            for x in left..left + size[1] as isize {
                let row = usize::try_from(y).ok().and_then(|y| map.get(y));
                let byte = row.and_then(|row| row.get(usize::try_from(x).ok()?));
                bytes.push(byte.map_or(0, |&byte| i64::from(byte)));
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn matches_the_definition(
            (height, width) in (1..12usize, 1..12usize),
            (rows, columns, pad) in (1..8usize, 1..8usize, 0..3usize),
            (down, stride) in (1..4usize, 1..4usize),
            (margin, shift, average) in (0..3usize, 0..8u8, any::<bool>()),
            bytes in proptest::collection::vec(any::<u8>(), 144),
        ) {
            let pad = if average { 0 } else { pad.min(rows.min(columns) - 1) };
            prop_assume!(height + 2 * pad >= rows && width + 2 * pad >= columns);
            let map: Vec<Vec<u8>> = bytes.chunks(12).take(height).map(|row| row[..width].to_vec()).collect();
            let source_row = width + 2 * pad;
            let mut source = vec![0; source_row * (height + 2 * pad)];
            for (y, row) in map.iter().enumerate() {
                let start = (y + pad) * source_row + pad;
                source[start..start + width].copy_from_slice(row);
            }
            let (out_height, out_width) =
                ((height + 2 * pad - rows) / down + 1, (width + 2 * pad - columns) / stride + 1);
            let geometry = Pooling {
                reduction: if average { Reduction::Average(shift) } else { Reduction::Max },
                rows, columns, source_row, stride, down: down * source_row,
                height: out_height, width: out_width, output_row: out_width + margin,
            };
            let mut output = vec![7; out_height * geometry.output_row];
            run(&geometry, &source, &mut output);
            for y in 0..out_height {
                for x in 0..geometry.output_row {
                    let (top, left) = ((y * down) as isize - pad as isize, (x * stride) as isize - pad as isize);
                    let bytes = window(&map, [rows, columns], top, left);
                    let expected = if x >= out_width {
                        7
                    } else if average {
                        ((bytes.iter().sum::<i64>() + (1 << shift >> 1)) >> shift).clamp(0, 255)
                    } else {
                        bytes.iter().copied().max().unwrap()
                    };
                    prop_assert_eq!(i64::from(output[y * geometry.output_row + x]), expected);
                }
            }
        }
    }
}
