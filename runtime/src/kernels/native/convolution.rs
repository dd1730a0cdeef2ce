//! A channel of a sparse convolution, eight or four neighbouring positions at a time.
//!
//! The routines of each instruction set compute the sums of a block of positions in registers,
//! tap after tap. The code around the routines (blocks, skip source, pooling, storing) is the same
//! for all. Blocks are computed column by column, from top to bottom, with an overhead of about a
//! dozen instructions each. The last column may overlap the previous one: the shared positions are
//! then computed twice. Layers with a horizontal stride or a pooling size above 2, or with fewer
//! than four positions per row, are computed one position at a time.
//!
//! This file is Rust code, so the tests run it on the host, with routines in Rust.

use core::ptr;

use super::call::{Block, Finish, Routine, Routines};
#[cfg(not(any(cortex_m = "v7m", cortex_m = "v7em")))]
use super::finish::finish;
use super::instructions;
#[cfg(cortex_m = "v7em")]
use crate::kernels::geometry::WindowStrides;
use crate::kernels::geometry::{Convolution, FusedPooling};
#[cfg(cortex_m = "v7em")]
use crate::kernels::portable;
use crate::kernels::taps::Taps;

#[cfg(all(native, not(cortex_m = "v7em")))]
pub(crate) use crate::kernels::portable::convolution::place;

/// Turns the columns of the first `count` taps in `words` into offsets. If `grouped`, also groups
/// some of the taps into quads, unless the geometry is too large for that.
#[cfg(cortex_m = "v7em")]
pub(crate) fn place<'a>(
    words: &'a mut [u32],
    count: usize,
    window: &WindowStrides,
    grouped: bool,
) -> Taps<'a> {
    let count = count.min(words.len().saturating_sub(Taps::SPARE));
    if grouped && let Some((single, last)) = instructions::quads::place(words, count, window) {
        return Taps::new(words, single, last);
    }
    portable::convolution::place(words, count, window, grouped)
}

/// Computes an output channel as [`crate::kernels::portable::convolution::run`] does.
pub(crate) fn run(
    geometry: &Convolution,
    taps: Taps<'_>,
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    if geometry.fits(taps.last(), source, skip, output) {
        // SAFETY: `fits` has checked this; no offset exceeds `taps.last()`.
        unsafe { run_fitting(geometry, taps, bias, source, skip, output) };
    }
}

/// Computes an output channel whose geometry fits.
///
/// # Safety
///
/// For every position before pooling and every tap, the byte that the tap reads must lie inside
/// `source`, and the position's byte inside `skip`. Every position of the output must lie inside
/// `output`. [`Convolution::fits`] checks this.
#[inline(never)]
unsafe fn run_fitting(
    geometry: &Convolution,
    taps: Taps<'_>,
    bias: i32,
    source: &[u8],
    skip: Option<&[u8]>,
    output: &mut [u8],
) {
    let (source, output) = (source.as_ptr(), output.as_mut_ptr());
    let skip = skip.map_or(ptr::null(), <[u8]>::as_ptr);
    // SAFETY: the caller guarantees that the geometry fits. If positions are computed in blocks,
    // rows have at least four of them.
    unsafe {
        if !geometry.in_blocks() {
            let taps = taps.as_slice();
            return one_by_one(geometry, taps, bias, source, skip, output);
        }
        let Some(taps) = instructions::convolution::arrange(taps) else {
            return;
        };
        let channel = Channel {
            geometry,
            routines: instructions::convolution::routines(geometry),
            taps,
            bias: [bias; 8],
            source,
            skip,
            width: geometry.width * geometry.pool,
        };
        channel.store_blocks(output);
    }
}

/// A channel whose rows have at least four positions.
struct Channel<'a> {
    geometry: &'a Convolution,
    routines: Routines,
    taps: *const u32,
    bias: [i32; 8],
    source: *const u8,
    /// Null without a skip source.
    skip: *const u8,
    /// Positions in a row before pooling.
    width: usize,
}

impl Channel<'_> {
    /// Computes every position, in columns of blocks.
    ///
    /// # Safety
    ///
    /// The geometry must fit source, skip source and output.
    unsafe fn store_blocks(&self, output: *mut u8) {
        let Routines { eight, four } = self.routines;
        // SAFETY: every block ends at or before `width`. With pooling, `width` and the start of
        // each block are even, so no window is cut.
        unsafe {
            let mut x = 0;
            while x + 8 <= self.width {
                self.column(eight, 8, x, output);
                x += 8;
            }
            match self.width - x {
                0 => {}
                5.. if x > 0 => self.column(eight, 8, self.width - 8, output),
                rest => {
                    if rest > 4 {
                        self.column(four, 4, x, output);
                    }
                    self.column(four, 4, self.width - 4, output);
                }
            }
        }
    }

    /// Computes the blocks of `lanes` positions from column `x` on, row by row.
    ///
    /// # Safety
    ///
    /// The geometry must fit source, skip source and output, and `x + lanes <= self.width`.
    #[inline(never)]
    unsafe fn column(&self, routine: Routine, lanes: usize, x: usize, output: *mut u8) {
        let Convolution {
            stride, down, pool, ..
        } = *self.geometry;
        let mut block = Block {
            joined: [0; 4],
            output: output.wrapping_add(x >> (pool - 1)),
            shift: u32::from(self.geometry.shift & 31),
            finish: match (pool, self.geometry.pooling) {
                (1, _) => Finish::Store,
                (_, FusedPooling::Average) => Finish::Average,
                _ => Finish::Max,
            },
            second: 0,
            output_row: self.geometry.output_row,
            #[cfg(not(any(cortex_m = "v7m", cortex_m = "v7em")))]
            sums: [0; 8],
        };
        let mut source = self.source.wrapping_add(x * stride);
        let mut skip = self.skip.wrapping_add(x);
        for _ in 0..self.geometry.height * pool {
            // SAFETY: the loop visits the rows of the map before pooling, so the block consists of
            // positions of that map.
            unsafe { self.compute(&mut block, routine, lanes, source, skip) };
            source = source.wrapping_add(down);
            skip = skip.wrapping_add(self.geometry.skip_row);
        }
    }

    /// Computes one block.
    ///
    /// # Safety
    ///
    /// `source` and `skip` must point to the bytes for the first of `lanes` positions of the map
    /// before pooling, and `block.output` into the output.
    #[inline(always)]
    unsafe fn compute(
        &self,
        block: &mut Block,
        routine: Routine,
        lanes: usize,
        source: *const u8,
        skip: *const u8,
    ) {
        // SAFETY: the taps are arranged for the routines and fit the source, as do the positions;
        // there are eight starting values.
        unsafe {
            if self.skip.is_null() {
                routine(self.taps, source, self.bias.as_ptr(), block);
            } else {
                let mut start = self.bias;
                self.add_skip(&mut start, lanes, skip);
                routine(self.taps, source, start.as_ptr(), block);
            }
            #[cfg(not(any(cortex_m = "v7m", cortex_m = "v7em")))]
            finish(block, lanes);
        }
    }

    /// Adds the activations of the skip source to the starting values of a block, four at a time.
    ///
    /// # Safety
    ///
    /// `lanes` bytes must be readable at `skip`.
    #[inline(never)]
    unsafe fn add_skip(&self, start: &mut [i32; 8], lanes: usize, mut skip: *const u8) {
        let shift = u32::from(self.geometry.skip_shift);
        for four in start.as_chunks_mut::<4>().0.iter_mut().take(lanes / 4) {
            for start in four {
                // SAFETY: the loops read `lanes` bytes.
                let x = unsafe { *skip };
                *start = start.wrapping_add(i32::from(x).wrapping_shl(shift));
                skip = skip.wrapping_add(1);
            }
        }
    }
}

/// Computes a channel one position at a time.
///
/// # Safety
///
/// The geometry must fit source, skip source (unless null) and output, for every one of `taps`.
#[inline(never)]
unsafe fn one_by_one(
    geometry: &Convolution,
    taps: &[u32],
    bias: i32,
    source: *const u8,
    skip: *const u8,
    output: *mut u8,
) {
    let pool = geometry.pool;
    for y in 0..geometry.height {
        for x in 0..geometry.width {
            let mut joined = match geometry.pooling {
                FusedPooling::Average => 0,
                FusedPooling::None | FusedPooling::Max => i32::MIN,
            };
            for row in y * pool..(y + 1) * pool {
                for column in x * pool..(x + 1) * pool {
                    let place = row * geometry.down + column * geometry.stride;
                    // SAFETY: (row, column) is a position of the map before pooling.
                    let mut sum = unsafe { products(taps, bias, source.add(place)) };
                    if !skip.is_null() {
                        // SAFETY: as above, in the skip source.
                        let x = unsafe { *skip.add(row * geometry.skip_row + column) };
                        let added = i32::from(x).wrapping_shl(u32::from(geometry.skip_shift));
                        sum = sum.wrapping_add(added);
                    }
                    joined = match geometry.pooling {
                        FusedPooling::Average => joined.wrapping_add(sum.max(0)),
                        FusedPooling::None | FusedPooling::Max => joined.max(sum),
                    };
                }
            }
            // SAFETY: (y, x) is a position of the output.
            unsafe { *output.add(y * geometry.output_row + x) = geometry.requantize(joined) };
        }
    }
}

/// Returns `sum` plus the products of the taps for the position at `base`.
///
/// # Safety
///
/// Every byte that the taps read from `base` must be readable.
#[inline(never)]
unsafe fn products(taps: &[u32], mut sum: i32, base: *const u8) -> i32 {
    for &tap in taps {
        // SAFETY: the caller guarantees it.
        let x = i32::from(unsafe { *base.add(tap as usize & 0xffff) });
        sum = sum.wrapping_add((tap as i32 >> 16).wrapping_mul(x));
    }
    sum
}
