//! A channel of a sparse convolution, eight or four neighbouring positions at a time.
//!
//! The sums of a block of positions are taken in registers, tap after tap, by a few dozen lines
//! of assembly for each core ([`lanes`]); what is around that (blocks, skip source, pooling,
//! storing) is the same code everywhere. A row's last block may overlap the one before: its
//! positions are then computed twice, which writes the same bytes. Strides above 2, maps of fewer
//! than four positions a row and pools above 4 go one position at a time.
//!
//! # Why it is sound
//!
//! [`run`]'s caller has checked (`Convolution::fits`) that for every un-pooled position and every
//! tap the byte read lies inside `source`, that the position's byte lies inside `skip`, and the
//! stored one's inside `output`. The blocks cover such positions only, and the loads of the
//! assembly read nothing but the bytes of its block's positions.

use core::array::from_fn;

use crate::kernels::convolution::{Convolution, Pooling, Taps};

#[cfg_attr(cortex_m = "v7em", path = "taps_v7em.rs")]
#[cfg_attr(cortex_m = "v7m", path = "taps_v7m.rs")]
#[cfg_attr(cortex_m = "v6m", path = "taps_v6m.rs")]
mod lanes;

/// Computes one channel, as [`crate::kernels::convolution::run`] says, which has checked it.
#[inline(never)]
pub(crate) fn run(
    geometry: &Convolution,
    taps: Taps<'_>,
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    let output = output.as_mut_ptr();
    let width = geometry.width * geometry.pool;
    let blocks = if width >= 4 && geometry.pool <= 4 {
        lanes::routines(geometry.stride)
    } else {
        None
    };
    // SAFETY: what the caller has checked. In blocks, rows have at least four positions.
    unsafe {
        let Some(routines) = blocks else {
            let taps = taps.as_slice();
            return one_by_one(geometry, taps, bias, source, skip, output);
        };
        let positions = geometry.height * geometry.pool * width;
        let channel = Channel {
            geometry,
            routines,
            taps: lanes::arrange(taps, geometry.stride, positions),
            bias: [bias; 8],
            source: source.as_ptr(),
            skip: skip.map(<[u8]>::as_ptr),
            width,
        };
        match (geometry.pooling, geometry.pool) {
            (Pooling::None, _) | (_, 1) => channel.store_all(output),
            (Pooling::Max, 2) => channel.pool_pairs::<false>(output),
            (_, 2) => channel.pool_pairs::<true>(output),
            (pooling, _) => channel.pool_windows(pooling == Pooling::Average, output),
        }
    }
}

/// A channel whose rows have four positions or more.
struct Channel<'a> {
    geometry: &'a Convolution,
    routines: lanes::Routines,
    taps: *const u32,
    bias: [i32; 8],
    source: *const u8,
    skip: Option<*const u8>,
    /// Positions in a row before pooling.
    width: usize,
}

impl Channel<'_> {
    /// The sums of the `N` positions from (y, x) on, where `N` is 4 or 8.
    ///
    /// # Safety
    ///
    /// All of them must be positions of the un-pooled map.
    #[inline(always)]
    unsafe fn sums<const N: usize>(&self, y: usize, x: usize) -> [i32; N] {
        let geometry = self.geometry;
        // SAFETY: inside the source, as the positions are of the map; likewise in the skip source.
        unsafe {
            let base = self
                .source
                .add((y * geometry.source_row + x) * geometry.stride);
            match self.skip {
                None => lanes::add(self.routines, self.taps, base, &self.bias),
                Some(skip) => {
                    let skip = skip.add(y * geometry.skip_row + x);
                    let start = from_fn(|lane| {
                        let x = if lane < N { *skip.add(lane) } else { 0 };
                        let added = i32::from(x).wrapping_shl(u32::from(geometry.skip_shift));
                        self.bias[0].wrapping_add(added)
                    });
                    lanes::add(self.routines, self.taps, base, &start)
                }
            }
        }
    }

    /// Stores every position.
    #[inline(always)]
    unsafe fn store_all(&self, mut output: *mut u8) {
        for y in 0..self.geometry.height {
            let mut x = 0;
            // SAFETY: a block's positions are below `width`, which is at least 4.
            unsafe {
                while x + 8 <= self.width {
                    let sums = self.sums::<8>(y, x);
                    self.store(sums, output.add(x));
                    x += 8;
                }
                while x < self.width {
                    let x0 = x.min(self.width - 4);
                    let sums = self.sums::<4>(y, x0);
                    self.store(sums, output.add(x0));
                    x += 4;
                }
                output = output.wrapping_add(self.geometry.output_row);
            }
        }
    }

    /// Joins windows of 2 x 2, their sums (`AVERAGE`) or the largest of them.
    #[inline(always)]
    unsafe fn pool_pairs<const AVERAGE: bool>(&self, mut output: *mut u8) {
        for y in 0..self.geometry.height {
            let mut x = 0;
            // SAFETY: as in `store_all`; `width` is even and so are all `x`, so that a window is
            // never cut and `x / 2` is below the output's width.
            unsafe {
                while x + 8 <= self.width {
                    let top = pairs::<AVERAGE, 8, 4>(self.sums(2 * y, x));
                    let bottom = pairs::<AVERAGE, 8, 4>(self.sums(2 * y + 1, x));
                    self.store(join_all::<AVERAGE, 4>(top, bottom), output.add(x / 2));
                    x += 8;
                }
                while x < self.width {
                    let x0 = x.min(self.width - 4);
                    let top = pairs::<AVERAGE, 4, 2>(self.sums(2 * y, x0));
                    let bottom = pairs::<AVERAGE, 4, 2>(self.sums(2 * y + 1, x0));
                    self.store(join_all::<AVERAGE, 2>(top, bottom), output.add(x0 / 2));
                    x += 4;
                }
                output = output.wrapping_add(self.geometry.output_row);
            }
        }
    }

    /// Joins windows of 3 x 3 or 4 x 4, a row of a window in four positions.
    unsafe fn pool_windows(&self, average: bool, mut output: *mut u8) {
        let pool = self.geometry.pool;
        for y in 0..self.geometry.height {
            for x in 0..self.geometry.width {
                // Four positions, of which the window's are the `pool` behind the first `before`.
                let start = (x * pool).min(self.width - 4);
                let before = x * pool - start;
                let mut joined = if average { 0 } else { i32::MIN };
                for row in y * pool..(y + 1) * pool {
                    // SAFETY: `start + 4 <= width`.
                    let sums = unsafe { self.sums::<4>(row, start) };
                    for &sum in sums.iter().skip(before).take(pool) {
                        joined = join(average, joined, sum);
                    }
                }
                // SAFETY: a position of the output.
                unsafe { *output.add(x) = self.geometry.store(joined) };
            }
            output = output.wrapping_add(self.geometry.output_row);
        }
    }

    /// Stores `N` sums.
    #[inline(always)]
    unsafe fn store<const N: usize>(&self, sums: [i32; N], output: *mut u8) {
        for (lane, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller stores positions of the output only.
            unsafe { *output.add(lane) = self.geometry.store(sum) };
        }
    }
}

/// What two sums of a window become.
#[inline(always)]
fn join(average: bool, joined: i32, sum: i32) -> i32 {
    if average {
        joined.wrapping_add(sum.max(0))
    } else {
        joined.max(sum)
    }
}

/// Neighbours joined: `M` is half of `N`.
#[inline(always)]
fn pairs<const AVERAGE: bool, const N: usize, const M: usize>(sums: [i32; N]) -> [i32; M] {
    from_fn(|lane| {
        let (left, right) = (sums[2 * lane], sums[2 * lane + 1]);
        if AVERAGE {
            left.max(0).wrapping_add(right.max(0))
        } else {
            left.max(right)
        }
    })
}

/// Two rows of joined neighbours, joined.
#[inline(always)]
fn join_all<const AVERAGE: bool, const N: usize>(top: [i32; N], bottom: [i32; N]) -> [i32; N] {
    from_fn(|lane| {
        if AVERAGE {
            top[lane].wrapping_add(bottom[lane])
        } else {
            top[lane].max(bottom[lane])
        }
    })
}

/// The channel, one position at a time.
unsafe fn one_by_one(
    geometry: &Convolution,
    taps: &[u32],
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: *mut u8,
) {
    let pool = geometry.pool;
    let average = geometry.pooling == Pooling::Average;
    for y in 0..geometry.height {
        for x in 0..geometry.width {
            let mut joined = if average { 0 } else { i32::MIN };
            for row in y * pool..(y + 1) * pool {
                for column in x * pool..(x + 1) * pool {
                    let place = (row * geometry.source_row + column) * geometry.stride;
                    let mut sum = bias;
                    // SAFETY: (row, column) is a position of the un-pooled map.
                    unsafe {
                        let source = source.as_ptr().add(place);
                        for &tap in taps {
                            let x = i32::from(*source.add(tap as usize & 0xffff));
                            sum = sum.wrapping_add((tap as i32 >> 16).wrapping_mul(x));
                        }
                        if let Some(skip) = skip {
                            let place = row * geometry.skip_row + column;
                            let x = i32::from(*skip.as_ptr().add(place));
                            let added = x.wrapping_shl(u32::from(geometry.skip_shift));
                            sum = sum.wrapping_add(added);
                        }
                    }
                    joined = if geometry.pooling == Pooling::None {
                        sum
                    } else {
                        join(average, joined, sum)
                    };
                }
            }
            // SAFETY: a position of the output.
            unsafe { *output.add(y * geometry.output_row + x) = geometry.store(joined) };
        }
    }
}
