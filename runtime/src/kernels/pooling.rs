//! Pooling as a layer of its own, one channel a call: bytes in, bytes out.
//!
//! Padding is the source's margin of zeros, as for a convolution: activations are at least 0, so a
//! zero never wins over what a window really holds, and a window's maximum is the same as without
//! it. An average counts the zeros.
//!
//! Safe code throughout: a pooling layer is a few per cent of a network's instructions.

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// The largest.
    Max,
    /// The sum, shifted right by this, at most 31, rounding half up.
    Average(u8),
}

/// The geometry of a layer, the same for each channel. Lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooled {
    pub(crate) pool: Pool,
    /// Height and width of a window.
    pub(crate) size: usize,
    /// Source positions from one window to the next, in both directions.
    pub(crate) stride: usize,
    /// From one row of the source to the next.
    pub(crate) source_row: usize,
    /// Rows stored.
    pub(crate) height: usize,
    /// Positions stored in a row.
    pub(crate) width: usize,
    /// From one row of the output to the next.
    pub(crate) output_row: usize,
}

/// Pools one channel. `source` begins at the corner of the first window, `output` at its position
/// (0, 0), behind the margins. What lies outside either is neither read nor written.
pub(crate) fn run(geometry: &Pooled, source: &[u8], output: &mut [u8]) {
    match geometry.pool {
        Pool::Max => pool(geometry, source, output, 0, u8::max, |largest| largest),
        Pool::Average(shift) => {
            let shift = u32::from(shift & 31);
            let half = 1u32 << shift >> 1;
            let add = |sum: u32, x| sum.wrapping_add(u32::from(x));
            let store = |sum: u32| (sum >> shift).min(255) as u8;
            pool(geometry, source, output, half, add, store);
        }
    }
}

/// Joins the bytes of each window, from `start` on, and stores what came of them.
#[inline(always)]
fn pool<T: Copy>(
    geometry: &Pooled,
    source: &[u8],
    output: &mut [u8],
    start: T,
    join: impl Fn(T, u8) -> T,
    store: impl Fn(T) -> u8,
) {
    let Pooled { size, stride, .. } = *geometry;
    let (mut above, mut output) = (source, output);
    for _ in 0..geometry.height {
        let mut left = above;
        for output in output.iter_mut().take(geometry.width) {
            let (mut joined, mut row) = (start, left);
            for _ in 0..size {
                for &x in row.get(..size).unwrap_or(row) {
                    joined = join(joined, x);
                }
                row = row.get(geometry.source_row..).unwrap_or_default();
            }
            *output = store(joined);
            left = left.get(stride..).unwrap_or_default();
        }
        let down = geometry.source_row.saturating_mul(stride);
        above = above.get(down..).unwrap_or_default();
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

    use super::{Pool, Pooled, run};

    /// The window's bytes, of a map in the middle of zeros, by its definition.
    fn window(map: &[Vec<u8>], size: usize, top: isize, left: isize) -> Vec<i64> {
        let mut bytes = Vec::new();
        for y in top..top + size as isize {
            for x in left..left + size as isize {
                let row = usize::try_from(y).ok().and_then(|y| map.get(y));
                let byte = row.and_then(|row| row.get(usize::try_from(x).ok()?));
                bytes.push(byte.map_or(0, |&byte| i64::from(byte)));
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn is_the_naive_one(
            (height, width) in (1..12usize, 1..12usize),
            (size, stride, pad) in (1..5usize, 1..4usize, 0..3usize),
            (margin, shift, average) in (0..3usize, 0..8u8, any::<bool>()),
            bytes in proptest::collection::vec(any::<u8>(), 144),
        ) {
            let pad = if average { 0 } else { pad.min(size - 1) };
            prop_assume!(height + 2 * pad >= size && width + 2 * pad >= size);
            let map: Vec<Vec<u8>> = bytes.chunks(12).take(height).map(|row| row[..width].to_vec()).collect();
            let source_row = width + 2 * pad;
            let mut source = vec![0; source_row * (height + 2 * pad)];
            for (y, row) in map.iter().enumerate() {
                let start = (y + pad) * source_row + pad;
                source[start..start + width].copy_from_slice(row);
            }
            let (out_height, out_width) =
                ((height + 2 * pad - size) / stride + 1, (width + 2 * pad - size) / stride + 1);
            let geometry = Pooled {
                pool: if average { Pool::Average(shift) } else { Pool::Max },
                size, stride, source_row,
                height: out_height, width: out_width, output_row: out_width + margin,
            };
            let mut output = vec![7; out_height * geometry.output_row];
            run(&geometry, &source, &mut output);
            for y in 0..out_height {
                for x in 0..geometry.output_row {
                    let (top, left) = ((y * stride) as isize - pad as isize, (x * stride) as isize - pad as isize);
                    let bytes = window(&map, size, top, left);
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
