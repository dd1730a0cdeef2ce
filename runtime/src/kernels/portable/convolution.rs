//! Direct sparse convolution, one output channel per call: no im2col, no tests for borders.
//!
//! In its buffer, each channel of a map is surrounded by margins of zeros, so a tap (a nonzero
//! weight of the output channel) reads at the same offset from every position. [`Taps`] pairs
//! these offsets with the weights. Pooling is fused: the map before pooling is never stored.

use crate::kernels::geometry::{Convolution, FusedPooling, WindowStrides};
use crate::kernels::taps::Taps;

/// Turns the columns of the first `count` taps in `words` into offsets. `grouped` asks for taps to
/// be grouped, as kernels with the DSP extension need them; this function ignores it.
///
/// An offset is the tap's column plus a gap that grows with each row and channel of the window. If
/// the geometry overflows, the gap saturates, so that [`Taps::last`] exceeds any source.
pub(crate) fn place<'a>(
    words: &'a mut [u32],
    count: usize,
    window: &WindowStrides,
    grouped: bool,
) -> Taps<'a> {
    let _ = grouped;
    let count = count.min(words.len().saturating_sub(Taps::SPARE));
    let single = Taps::FRONT..Taps::FRONT + count;
    let WindowStrides {
        height,
        width,
        row_gap,
        plane_gap,
    } = *window;
    // The column at which the current row of the window ends, the gap in this row, and the number
    // of rows left in the channel.
    let (mut row_end, mut gap, mut rows) = (width, 0usize, height);
    for word in words.get_mut(single.clone()).unwrap_or_default() {
        let column = *word as usize & 0xffff;
        while column >= row_end {
            row_end += width;
            rows -= 1;
            gap = gap.saturating_add(row_gap);
            if rows == 0 {
                rows = height;
                gap = gap.saturating_add(plane_gap);
            }
        }
        *word = *word & 0xffff_0000 | column.wrapping_add(gap) as u32 & 0xffff;
    }
    Taps::new(words, single, gap.saturating_add(row_end - 1))
}

/// Computes an output channel. For each position it adds the products of the taps and, if there is
/// a skip source, `skip << skip_shift` to `bias`; then it pools, shifts and clamps.
///
/// `source` starts at the first byte that position (0, 0) may read (the corner of its window),
/// `skip` and `output` at their position (0, 0), after the margins. Does nothing if one of them is
/// too short for the geometry.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the Cortex-M kernels have the same signature and rearrange the taps in place"
)]
pub(crate) fn run(
    geometry: &Convolution,
    taps: Taps<'_>,
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    if !geometry.fits(taps.last(), source, skip, output) {
        return;
    }
    let taps = taps.as_slice();
    let Convolution { pooling, pool, .. } = *geometry;
    let sum = |y: usize, x: usize| {
        let place = y * geometry.down + x * geometry.stride;
        let source = source.get(place..).unwrap_or_default();
        let mut acc = bias;
        for &tap in taps {
            let x = source.get(tap as usize & 0xffff).copied().unwrap_or(0);
            acc = acc.wrapping_add((tap as i32 >> 16) * i32::from(x));
        }
        if let Some(skip) = skip {
            let x = skip.get(y * geometry.skip_row + x).copied().unwrap_or(0);
            acc = acc.wrapping_add(i32::from(x).wrapping_shl(u32::from(geometry.skip_shift)));
        }
        acc
    };
    for y in 0..geometry.height {
        let row = output
            .get_mut(y * geometry.output_row..)
            .unwrap_or_default();
        for (x, output) in row.iter_mut().take(geometry.width).enumerate() {
            let mut joined = if pooling == FusedPooling::Max {
                i32::MIN
            } else {
                0
            };
            for window_y in y * pool..(y + 1) * pool {
                for window_x in x * pool..(x + 1) * pool {
                    let acc = sum(window_y, window_x);
                    joined = match pooling {
                        FusedPooling::None => acc,
                        FusedPooling::Max => joined.max(acc),
                        FusedPooling::Average => joined.wrapping_add(acc.max(0)),
                    };
                }
            }
            *output = geometry.requantize(joined);
        }
    }
}
