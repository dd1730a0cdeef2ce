//! A channel of a sparse convolution, eight or four neighbouring positions at a time.
//!
//! The sums of a block of positions are taken in registers, tap after tap, by a few dozen lines
//! of assembly for each core ([`lanes`]); what is around that (blocks, skip source, pooling,
//! storing) is the same code everywhere. Blocks go down the map, one column of them after the other:
//! a loop of some dozen instructions. The last column may overlap the one before: its
//! positions are then computed twice, which writes the same bytes. Strides above 2, maps of fewer
//! than four positions a row and pools above 2 go one position at a time.
//!
//! # Why it is sound
//!
//! [`run`]'s caller has checked (`Convolution::fits`) that for every un-pooled position and every
//! tap the byte read lies inside `source`, that the position's byte lies inside `skip`, and the
//! stored one's inside `output`. The blocks cover such positions only, and the loads of the
//! assembly read nothing but the bytes of its block's positions.

use core::ptr;

use crate::kernels::convolution::{Convolution, Pooling, Taps};

#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
#[path = "taps_finish.rs"]
mod finish;
#[cfg_attr(cortex_m = "v7em", path = "taps_v7em.rs")]
#[cfg_attr(cortex_m = "v7m", path = "taps_v7m.rs")]
#[cfg_attr(cortex_m = "v6m", path = "taps_v6m.rs")]
mod lanes;
#[cfg(cortex_m = "v7em")]
#[path = "taps_place.rs"]
mod place;
#[cfg(cortex_m = "v7em")]
pub(crate) use place::place;

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
    let (source, output) = (source.as_ptr(), output.as_mut_ptr());
    let skip = skip.map_or(ptr::null(), <[u8]>::as_ptr);
    // SAFETY: what the caller has checked. In blocks, rows have at least four positions.
    unsafe {
        if !geometry.in_blocks() {
            let taps = taps.as_slice();
            return one_by_one(geometry, taps, bias, source, skip, output);
        }
        let Some(taps) = lanes::arrange(taps) else {
            return;
        };
        let channel = Channel {
            geometry,
            routines: lanes::routines(geometry),
            taps,
            bias: [bias; 8],
            source,
            skip,
            width: geometry.width * geometry.pool,
        };
        channel.store_blocks(output);
    }
}

/// What becomes of a block's sums. The routines know the fields by their offsets.
#[repr(C)]
struct Block {
    /// The first row of windows of 2 x 2: its neighbours joined.
    joined: [i32; 4],
    /// Where bytes go: the routine moves on to the next row of the output when it has stored.
    output: *mut u8,
    shift: u32,
    finish: Finish,
    /// Whether this is the second row of windows of 2 x 2: the routine changes it.
    second: u32,
    /// From one row of the output to the next.
    output_row: usize,
    /// The sums, where the routine leaves the finishing to [`lanes::finish`].
    #[cfg(cortex_m = "v6m")]
    sums: [i32; 8],
}

/// What a routine does with a block's sums.
#[repr(u32)]
#[derive(Clone, Copy)]
enum Finish {
    /// Shifts, clamps and stores each.
    Store = 0,
    /// Takes the larger of neighbours, in the second row also of the first, and stores.
    Max = 1,
    /// Adds neighbours, negative ones as 0, in the second row also the first, and stores.
    Average = 2,
}

/// Adds the taps' products for a block of positions at a base to what the sums start with, and
/// finishes them.
///
/// # Safety
///
/// The taps must be arranged for this routine, every byte they name for one of the block's
/// positions be readable, as many starting values as positions, and what is stored writable.
type Routine =
    unsafe extern "C" fn(taps: *const u32, base: *const u8, start: *const i32, block: *mut Block);

/// The routines for blocks of eight and of four positions.
type Routines = (Routine, Routine);

/// A channel whose rows have four positions or more.
struct Channel<'a> {
    geometry: &'a Convolution,
    routines: Routines,
    taps: *const u32,
    bias: [i32; 8],
    source: *const u8,
    /// Null for none.
    skip: *const u8,
    /// Positions in a row before pooling.
    width: usize,
}

impl Channel<'_> {
    /// Every position, or windows of 2 x 2, in columns of blocks.
    unsafe fn store_blocks(&self, output: *mut u8) {
        let (eight, four) = self.routines;
        // SAFETY: all blocks are below `width`. With pooling `width` is even, and so is where a block
        // begins: no window is cut.
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

    /// Computes and finishes the blocks of `lanes` positions from `x` on, row by row.
    ///
    /// # Safety
    ///
    /// All of them must be positions of the un-pooled map, and what is stored writable.
    #[inline(never)]
    unsafe fn column(&self, routine: Routine, lanes: usize, x: usize, output: *mut u8) {
        let Convolution { stride, pool, .. } = *self.geometry;
        let mut block = Block {
            joined: [0; 4],
            output: output.wrapping_add(x >> (pool - 1)),
            shift: u32::from(self.geometry.shift & 31),
            finish: match (pool, self.geometry.pooling) {
                (1, _) => Finish::Store,
                (_, Pooling::Average) => Finish::Average,
                _ => Finish::Max,
            },
            second: 0,
            output_row: self.geometry.output_row,
            #[cfg(cortex_m = "v6m")]
            sums: [0; 8],
        };
        let down = self.geometry.source_row * stride;
        let mut source = self.source.wrapping_add(x * stride);
        let mut skip = self.skip.wrapping_add(x);
        for _ in 0..self.geometry.height * pool {
            // SAFETY: as the caller says.
            unsafe { self.compute(&mut block, routine, lanes, source, skip) };
            source = source.wrapping_add(down);
            skip = skip.wrapping_add(self.geometry.skip_row);
        }
    }

    /// One block.
    #[inline(always)]
    unsafe fn compute(
        &self,
        block: &mut Block,
        routine: Routine,
        lanes: usize,
        source: *const u8,
        skip: *const u8,
    ) {
        // SAFETY: as the caller says.
        unsafe {
            if self.skip.is_null() {
                routine(self.taps, source, self.bias.as_ptr(), block);
            } else {
                let mut start = self.bias;
                self.add_skip(&mut start, lanes, skip);
                routine(self.taps, source, start.as_ptr(), block);
            }
            #[cfg(cortex_m = "v6m")]
            lanes::finish(block, lanes);
        }
    }

    /// Adds to what a block's sums start with what comes from the skip source, four at a time.
    #[inline(never)]
    unsafe fn add_skip(&self, start: &mut [i32; 8], lanes: usize, mut skip: *const u8) {
        let shift = u32::from(self.geometry.skip_shift);
        for four in start.as_chunks_mut::<4>().0.iter_mut().take(lanes / 4) {
            for start in four {
                // SAFETY: inside the skip source, as the positions are of the map.
                let x = unsafe { *skip };
                *start = start.wrapping_add(i32::from(x).wrapping_shl(shift));
                skip = skip.wrapping_add(1);
            }
        }
    }
}

/// The channel, one position at a time.
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
                Pooling::Average => 0,
                Pooling::None | Pooling::Max => i32::MIN,
            };
            for row in y * pool..(y + 1) * pool {
                for column in x * pool..(x + 1) * pool {
                    let place = (row * geometry.source_row + column) * geometry.stride;
                    // SAFETY: (row, column) is a position of the un-pooled map.
                    let mut sum = unsafe { products(taps, bias, source.add(place)) };
                    if !skip.is_null() {
                        // SAFETY: as above.
                        let x = unsafe { *skip.add(row * geometry.skip_row + column) };
                        let added = i32::from(x).wrapping_shl(u32::from(geometry.skip_shift));
                        sum = sum.wrapping_add(added);
                    }
                    joined = match geometry.pooling {
                        Pooling::Average => joined.wrapping_add(sum.max(0)),
                        Pooling::None | Pooling::Max => joined.max(sum),
                    };
                }
            }
            // SAFETY: a position of the output.
            unsafe { *output.add(y * geometry.output_row + x) = geometry.store(joined) };
        }
    }
}

/// The sum of one position.
#[inline(never)]
unsafe fn products(taps: &[u32], mut sum: i32, base: *const u8) -> i32 {
    for &tap in taps {
        // SAFETY: the caller vouches for every byte the taps name.
        let x = i32::from(unsafe { *base.add(tap as usize & 0xffff) });
        sum = sum.wrapping_add((tap as i32 >> 16).wrapping_mul(x));
    }
    sum
}
