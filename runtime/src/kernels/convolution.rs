//! Direct sparse convolution, one output channel a call: no im2col, no test for borders.
//!
//! A map lies in its buffer with margins of zeros around each channel, so that a tap (a nonzero
//! weight of the channel) reads, for every output position, one fixed distance behind that
//! position's place in the source. [`Taps`] holds these distances with their weights. Pooling is
//! fused: the un-pooled map exists nowhere.
//!
//! [`run`] checks once a channel that nothing lies outside its slices and does nothing where
//! something does. On a Cortex-M it then hands over to [`super::unchecked::taps`]; elsewhere
//! [`run_checked`] does the work, which is also what that one is compared with.

/// What becomes of the sums of a window of `pool` x `pool` positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Nothing: each is stored. `pool` is 1.
    None,
    /// The largest is stored.
    Max,
    /// Their sum is stored, each that is negative taken as 0; the shift divides.
    Average,
}

/// The geometry of a layer, the same for each of its output channels. Lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    /// Source positions from one output position to the next, in both directions.
    pub(crate) stride: usize,
    /// From one row of the source to the next.
    pub(crate) source_row: usize,
    /// Rows stored, after pooling.
    pub(crate) height: usize,
    /// Positions stored in a row, after pooling.
    pub(crate) width: usize,
    /// From one row of the output to the next.
    pub(crate) output_row: usize,
    pub(crate) pooling: Pooling,
    /// Height, width and stride of the windows that are pooled; 1 for none.
    pub(crate) pool: usize,
    /// Right shift that turns a sum into an activation, at most 31.
    pub(crate) shift: u8,
    /// From one row of the skip source to the next.
    pub(crate) skip_row: usize,
    /// Left shift of what is added from the skip source, at most 31.
    pub(crate) skip_shift: u8,
    /// Whether much of the source is 0, so that looking for zeros pays.
    #[cfg_attr(not(cortex_m = "v7em"), allow(dead_code))]
    pub(crate) zeros: bool,
}

impl Convolution {
    /// Bytes that must lie behind the place of position (0, 0) for a map of `height` x `width`
    /// of the given distances between rows and positions: up to its last position, inclusive.
    fn reach(height: usize, width: usize, row: usize, stride: usize) -> usize {
        let down = height.saturating_sub(1).saturating_mul(row);
        let right = width.saturating_sub(1);
        down.saturating_add(right)
            .saturating_mul(stride)
            .saturating_add(1)
    }

    /// Whether source, skip source and output hold every byte that this channel touches, given
    /// the largest offset of its taps' rows. Multiplications saturate, so a huge geometry never fits.
    fn fits(&self, last: usize, source: &[u8], skip: Option<&[u8]>, output: &[u8]) -> bool {
        let height = self.height.saturating_mul(self.pool);
        let width = self.width.saturating_mul(self.pool);
        let read = Convolution::reach(height, width, self.source_row, self.stride);
        source.len() >= read.saturating_add(last)
            && output.len() >= Convolution::reach(self.height, self.width, self.output_row, 1)
            && skip.is_none_or(|skip| {
                skip.len() >= Convolution::reach(height, width, self.skip_row, 1)
            })
    }

    /// Whether positions are taken in blocks of neighbours.
    pub(crate) fn in_blocks(&self) -> bool {
        self.stride <= 2 && self.pool <= 2 && self.width * self.pool >= 4
    }

    /// Whether taps are worth being made quads: that takes some 40 instructions each, and saves 12 for a
    /// block of eight positions and three taps, 28 for four.
    pub(crate) fn groups(&self) -> bool {
        let positions = self.height * self.width * self.pool * self.pool;
        self.in_blocks() && self.stride == 1 && positions >= 32
    }

    /// A sum as it is stored.
    #[inline(always)]
    pub(crate) fn store(&self, acc: i32) -> u8 {
        acc.wrapping_shr(u32::from(self.shift)).clamp(0, 255) as u8
    }
}

/// Where a layer's weights lie: tap (channel, y, x) of column `(channel * size + y) * size + x`
/// is at `channel * plane + y * row + x`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Height and width of the kernel.
    pub(crate) size: usize,
    /// From one row of the source to the next, in bytes.
    pub(crate) row: usize,
    /// From one channel of the source to the next, in bytes.
    pub(crate) plane: usize,
}

/// Taps as they come in: words for `weight << 16 | column` each.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    room: usize,
    free: core::slice::IterMut<'a, u32>,
}

impl<'a> Incoming<'a> {
    /// None yet, and room for `words.len() - Taps::SPARE`.
    #[inline(always)]
    pub(crate) fn new(words: &'a mut [u32]) -> Incoming<'a> {
        let room = words.len().saturating_sub(Taps::SPARE);
        let free = words.get_mut(Taps::FRONT..).unwrap_or_default();
        let free = free.get_mut(..room).unwrap_or_default();
        Incoming {
            room: free.len(),
            free: free.iter_mut(),
        }
    }

    /// Adds the tap of a column, which is above the one before. A weight of 0 is left out, and so is
    /// what finds no room.
    #[inline(always)]
    pub(crate) fn push(&mut self, column: u16, weight: i16) {
        if weight != 0
            && let Some(word) = self.free.next()
        {
            *word = u32::from(weight as u16) << 16 | u32::from(column);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.room - self.free.len()
    }
}

/// The taps of one output channel, in words lent by the arena: `weight << 16 | offset` each, none with
/// a weight of 0, in words from `start` to `end`. [`Taps::FRONT`] words or more lie in front of them and
/// as many behind, in which the kernels rearrange them.
#[derive(Debug)]
pub(crate) struct Taps<'a> {
    words: &'a mut [u32],
    start: usize,
    end: usize,
    /// The largest offset of the rows of the kernel that have taps: no tap's is larger.
    last: usize,
}

impl<'a> Taps<'a> {
    /// Words needed beside one for each tap.
    pub(crate) const SPARE: usize = rarefy_format::SPARE_WORDS;
    /// Of these, so many lie in front of the first tap and behind the last one.
    pub(crate) const FRONT: usize = Taps::SPARE / 2;

    /// Gives the first `count` taps that have come into `words` their offsets. With `grouped`, and where
    /// the kernel has a use for them, some of the taps are made quads, which lie in front of the others.
    ///
    /// A row of the kernel ends before column `row`; its offsets are its columns and `shift`, which only
    /// grows (and stays at the largest, out of reach, where the geometry overflows).
    pub(crate) fn place(
        words: &'a mut [u32],
        count: usize,
        window: &Window,
        grouped: bool,
    ) -> Taps<'a> {
        let count = count.min(words.len().saturating_sub(Taps::SPARE));
        let (start, end) = (Taps::FRONT, Taps::FRONT + count);
        let size = window.size.max(1);
        let next_row = window.row.saturating_sub(size);
        let next_plane = window.plane.saturating_sub(size.saturating_mul(window.row));
        #[cfg(cortex_m = "v7em")]
        if grouped
            && let Some((start, end, last)) =
                super::unchecked::taps::place(words, count, size, next_row, next_plane)
        {
            return Taps {
                words,
                start,
                end,
                last,
            };
        }
        let _ = grouped;
        let (mut row, mut shift, mut rows) = (size, 0usize, size);
        for word in words.get_mut(start..end).unwrap_or_default() {
            let column = *word as usize & 0xffff;
            while column >= row {
                row += size;
                rows -= 1;
                shift = shift.saturating_add(next_row);
                if rows == 0 {
                    rows = size;
                    shift = shift.saturating_add(next_plane);
                }
            }
            *word = *word & 0xffff_0000 | column.wrapping_add(shift) as u32 & 0xffff;
        }
        Taps {
            words,
            start,
            end,
            last: shift.saturating_add(row - 1),
        }
    }

    /// The taps, without those in quads.
    pub(crate) fn as_slice(&self) -> &[u32] {
        self.words.get(self.start..self.end).unwrap_or_default()
    }

    /// All words, and where the taps begin and end that are in no quad; the quads end three words in
    /// front of them, and three words lie behind them.
    #[cfg(cortex_m)]
    pub(crate) fn into_parts(self) -> Option<(&'a mut [u32], usize, usize)> {
        let fits = self.end + Taps::FRONT <= self.words.len();
        fits.then_some((self.words, self.start, self.end))
    }
}

/// Computes one output channel: for each position `bias` plus the taps' products, plus
/// `skip << skip_shift` where a skip source is given, pooled, shifted and clamped.
///
/// `source` begins at the first byte that output position (0, 0) may read (the corner of its
/// window), `skip` and `output` at their position (0, 0), behind the margins. Each reaches to the
/// end of what may be touched. Does nothing when one of them is too short for the geometry.
#[cfg_attr(
    not(cortex_m),
    expect(
        clippy::needless_pass_by_value,
        reason = "a Cortex-M's kernel rearranges the taps"
    )
)]
pub(crate) fn run(
    geometry: &Convolution,
    taps: Taps<'_>,
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    if geometry.fits(taps.last, source, skip, output) {
        #[cfg(cortex_m)]
        super::unchecked::taps::run(geometry, taps, bias, source, skip, output);
        #[cfg(not(cortex_m))]
        run_checked(geometry, taps.as_slice(), bias, source, skip, output);
    }
}

/// What [`run`] computes, position by position and with every access checked.
#[cfg_attr(cortex_m, allow(dead_code))]
pub(crate) fn run_checked(
    geometry: &Convolution,
    taps: &[u32],
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    let Convolution { pooling, pool, .. } = *geometry;
    let sum = |y: usize, x: usize| {
        let place = (y * geometry.source_row + x) * geometry.stride;
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
            let mut joined = if pooling == Pooling::Max { i32::MIN } else { 0 };
            for window_y in y * pool..(y + 1) * pool {
                for window_x in x * pool..(x + 1) * pool {
                    let acc = sum(window_y, window_x);
                    joined = match pooling {
                        Pooling::None => acc,
                        Pooling::Max => joined.max(acc),
                        Pooling::Average => joined.wrapping_add(acc.max(0)),
                    };
                }
            }
            *output = geometry.store(joined);
        }
    }
}

#[cfg(test)]
mod tests;
