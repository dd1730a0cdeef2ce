//! What assembly is passed: structures that it reads by the offsets of their fields.

#![allow(dead_code, reason = "the features decide which of them are used")]

#[cfg(all(cortex_m, feature = "columns"))]
pub(super) use self::columns::ColumnsCall;
#[cfg(feature = "maps")]
pub(super) use self::convolution::{Block, Finish, Routine, Routines};
#[cfg(all(cortex_m, feature = "rice"))]
pub(super) use self::rice::RiceCall;

use crate::kernels::output::Output;

/// What becomes of a sum: the right shift of a hidden layer, at most 31, or [`Store::LOGITS`].
///
/// This is how assembly learns which layer is the last: the value is negative there, and its low
/// byte, which is all that a shift by a register uses, is 0.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store(u32);

impl Store {
    /// The sums are stored as they are.
    pub(super) const LOGITS: Store = Store(1 << 31);

    /// Returns 1 for logits, 0 for a hidden layer.
    #[inline(always)]
    pub(super) fn is_logits(self) -> u32 {
        self.0 >> 31
    }

    /// Returns the value of a hidden layer.
    #[inline(always)]
    pub(super) fn of(shift: u8) -> Store {
        Store(u32::from(shift & 31))
    }

    /// Returns the shift, or `None` for logits.
    #[inline(always)]
    pub(super) fn shift(self) -> Option<u8> {
        (self.0 < 32).then_some(self.0 as u8)
    }
}

/// Where a dense layer stores its sums, and how: a byte per row from `start` on, or for
/// [`Store::LOGITS`] an `i32`.
pub(super) struct Target {
    /// The first row's activation or logit.
    pub(super) start: *mut u8,
    /// What becomes of the sums.
    pub(super) store: Store,
}

impl Target {
    /// Returns the target of a layer with the given number of rows, `None` if `output` is too
    /// short for them.
    #[inline(always)]
    pub(super) fn new(output: Output<'_>, rows: usize) -> Option<Target> {
        match output {
            Output::Activations { words, shift } => Target::activations(words, shift, rows),
            Output::Logits(logits) => Target::logits(logits, rows),
        }
    }

    /// Returns the target of a hidden layer.
    #[inline(always)]
    pub(super) fn activations(words: &mut [u32], shift: u8, rows: usize) -> Option<Target> {
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
        Some(Target {
            start: bytes.get_mut(..rows)?.as_mut_ptr(),
            store: Store::of(shift),
        })
    }

    /// Returns the target of the last layer.
    #[inline(always)]
    pub(super) fn logits(logits: &mut [i32], rows: usize) -> Option<Target> {
        Some(Target {
            start: logits.get_mut(..rows)?.as_mut_ptr().cast(),
            store: Store::LOGITS,
        })
    }
}

#[cfg(all(cortex_m, feature = "columns"))]
mod columns {
    use core::mem::offset_of;

    use super::Store;

    /// The arguments of the columns kernel, in the order in which it needs them.
    #[repr(C)]
    pub(crate) struct ColumnsCall {
        /// 0: the sums, and afterwards the activations or logits.
        pub(crate) sums: *mut i32,
        /// 4: the initial values of the sums.
        pub(crate) bias: *const i32,
        /// 8: the number of sums.
        pub(crate) rows: usize,
        /// 12: the mask that extracts four times the row of four times a word.
        pub(crate) mask: u32,
        /// 16: the pairs.
        pub(crate) pairs: *const u32,
        /// 20: the starts.
        pub(crate) starts: *const u16,
        /// 24: the first activation.
        pub(crate) input: *const u8,
        /// 28: the end of the activations.
        pub(crate) end: *const u8,
        /// 32: what becomes of the sums.
        pub(crate) store: Store,
    }

    const _: () = assert!(
        offset_of!(ColumnsCall, rows) == 8
            && offset_of!(ColumnsCall, mask) == 12
            && offset_of!(ColumnsCall, store) == 32
    );
}

#[cfg(all(cortex_m, feature = "rice"))]
mod rice {
    use core::mem::offset_of;

    use super::Store;

    /// The arguments of the entropy-coded kernel and its state between rows: it changes `output`,
    /// `left`, and the fields after them.
    #[repr(C)]
    pub(crate) struct RiceCall {
        /// 0: the last four bytes of the block.
        pub(crate) end: *const u8,
        /// 4: the number of bits that have been read, from the end of the block.
        pub(crate) read: u32,
        /// 8: the codebook, null if weights are uniform.
        pub(crate) codebook: *const u8,
        /// 12: the first four bytes of the block as a number: whether rows are sorted (bit 31),
        /// whether there is a list (30), whether a bit states for each gap if there is one (29),
        /// `length_k` (19 to 16), `count_k` (15 to 13), `bias_k` (12 to 8), `bias_shift` (7 to 4),
        /// `weight_k` (3 to 0).
        pub(crate) head: u32,
        /// 16: see [`rarefy_format::rice::RiceStream`].
        pub(crate) first_reach: u32,
        /// 20: see [`rarefy_format::rice::RiceStream`].
        pub(crate) gap_reach: u32,
        /// 24: the activations; once a list has been read, those that it selects.
        pub(crate) input: *const u8,
        /// 28: what becomes of the sums.
        pub(crate) store: Store,
        /// 32: the next output.
        pub(crate) output: *mut u8,
        /// 36: the number of rows that are left, at least 1.
        pub(crate) left: u32,
        /// 40: the number of rows that are left of the current run.
        pub(crate) run: u32,
        /// 44: the number of weights in each of them.
        pub(crate) length: u32,
        /// 48: the activation of the previous row's first column; before the first run, the
        /// scratch area for the selected activations.
        pub(crate) first: *const u8,
        /// 52: the parameter of the step from `first`; before the first run, the length of
        /// `input`.
        pub(crate) first_k: u32,
    }

    const _: () = assert!(
        offset_of!(RiceCall, head) == 12
            && offset_of!(RiceCall, input) == 24
            && offset_of!(RiceCall, left) == 36
            && offset_of!(RiceCall, length) == 44
            && offset_of!(RiceCall, first_k) == 52
    );
}

#[cfg(feature = "maps")]
mod convolution {
    #[cfg(cortex_m)]
    use core::mem::offset_of;

    /// Where a routine stores the sums of a block of positions, and how.
    #[repr(C)]
    pub(crate) struct Block {
        /// 0: the pooled neighbours of the first row of 2 x 2 windows.
        pub(crate) joined: [i32; 4],
        /// 16: the next row of the output; finishing moves on to the one after it.
        pub(crate) output: *mut u8,
        /// 20: right shift that turns a sum into an activation.
        pub(crate) shift: u32,
        /// 24: what becomes of the sums.
        pub(crate) finish: Finish,
        /// 28: 1 in the second row of 2 x 2 windows, otherwise 0; finishing flips it.
        pub(crate) second: u32,
        /// 32: the distance in bytes from one row of the output to the next.
        pub(crate) output_row: usize,
        /// 36: the sums, if `finish` of the instruction set is Rust code.
        #[cfg(any(cortex_m = "v6m", not(cortex_m)))]
        pub(crate) sums: [i32; 8],
    }

    #[cfg(cortex_m)]
    const _: () = assert!(
        offset_of!(Block, output) == 16
            && offset_of!(Block, finish) == 24
            && offset_of!(Block, output_row) == 32
            && size_of::<Block>() == if cfg!(cortex_m = "v6m") { 68 } else { 36 }
    );

    /// What becomes of a block's sums.
    #[repr(u32)]
    #[derive(Clone, Copy)]
    pub(crate) enum Finish {
        /// Each is requantized and stored.
        Store = 0,
        /// The larger of two neighbours is kept; in the second row it is compared with that of the
        /// first and stored.
        Max = 1,
        /// Two neighbours are added, negative ones as 0; in the second row that of the first is
        /// added, too, and the result stored.
        Average = 2,
    }

    /// Adds the products of the taps for a block of positions to the values at `start`, and
    /// finishes the sums as `block` says.
    ///
    /// # Safety
    ///
    /// 1. The taps must be arranged for this routine, and every byte that they read from `base`
    ///    for a position of the block must be readable.
    /// 2. There must be as many values at `start` as the block has positions.
    /// 3. What `block` says is stored must be writable.
    pub(crate) type Routine = unsafe extern "C" fn(
        taps: *const u32,
        base: *const u8,
        start: *const i32,
        block: *mut Block,
    );

    /// The routines for one geometry.
    #[derive(Clone, Copy)]
    pub(crate) struct Routines {
        /// For blocks of eight positions.
        pub(crate) eight: Routine,
        /// For blocks of four positions.
        pub(crate) four: Routine,
    }
}
