//! The arguments of the assembly: structures whose fields it reads at fixed offsets.

#![allow(dead_code, reason = "the features decide which of them are used")]

#[cfg(all(native, feature = "columns"))]
pub(in crate::kernels) use self::columns::ColumnsCall;
#[cfg(feature = "maps")]
pub(in crate::kernels) use self::convolution::{Block, Finish, Routine, Routines};
#[cfg(all(native, feature = "rice"))]
pub(in crate::kernels) use self::rice::RiceCall;

use crate::kernels::output::Output;

/// How a sum is stored: after a right shift of at most 31 in a hidden layer, or unchanged in the
/// last one ([`Store::LOGITS`]).
///
/// This is how assembly learns which layer is the last: there the value is negative, and its low
/// byte, which is all that a shift by a register uses, is 0.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) struct Store(u32);

impl Store {
    /// The last layer, whose sums are stored unchanged.
    pub(in crate::kernels) const LOGITS: Store = Store(1 << 31);

    /// Returns 1 for logits, 0 for a hidden layer.
    #[inline(always)]
    pub(in crate::kernels) fn is_logits(self) -> u32 {
        self.0 >> 31
    }

    /// Returns the value for a hidden layer with this shift.
    #[inline(always)]
    pub(in crate::kernels) fn of(shift: u8) -> Store {
        Store(u32::from(shift & 31))
    }

    /// Returns the shift, or `None` for logits.
    #[inline(always)]
    pub(in crate::kernels) fn shift(self) -> Option<u8> {
        (self.0 < 32).then_some(self.0 as u8)
    }
}

/// Where and how a dense layer stores its sums: from `start` on, as a byte per row or, for
/// [`Store::LOGITS`], an `i32` per row.
pub(in crate::kernels) struct Target {
    /// The first row's activation or logit.
    pub(in crate::kernels) start: *mut u8,
    /// How the sums are stored.
    pub(in crate::kernels) store: Store,
}

impl Target {
    /// Returns the target of a layer with the given number of rows, or `None` if `output` is too
    /// short for them.
    #[inline(always)]
    pub(in crate::kernels) fn new(output: Output<'_>, rows: usize) -> Option<Target> {
        match output {
            Output::Activations { words, shift } => Target::activations(words, shift, rows),
            Output::Logits(logits) => Target::logits(logits, rows),
        }
    }

    /// Returns the target of a hidden layer, or `None` if `words` is too short.
    #[inline(always)]
    pub(in crate::kernels) fn activations(
        words: &mut [u32],
        shift: u8,
        rows: usize,
    ) -> Option<Target> {
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
        Some(Target {
            start: bytes.get_mut(..rows)?.as_mut_ptr(),
            store: Store::of(shift),
        })
    }

    /// Returns the target of the last layer, or `None` if `logits` is too short.
    #[inline(always)]
    pub(in crate::kernels) fn logits(logits: &mut [i32], rows: usize) -> Option<Target> {
        Some(Target {
            start: logits.get_mut(..rows)?.as_mut_ptr().cast(),
            store: Store::LOGITS,
        })
    }
}

#[cfg(all(native, feature = "columns"))]
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
        /// 12: the mask that extracts four times a row from four times its word.
        pub(crate) mask: u32,
        /// 16: the pairs.
        pub(crate) pairs: *const u32,
        /// 20: the starts.
        pub(crate) starts: *const u16,
        /// 24: the first activation.
        pub(crate) input: *const u8,
        /// 28: the end of the activations.
        pub(crate) end: *const u8,
        /// 32: how the sums are stored.
        pub(crate) store: Store,
    }

    const _: () = assert!(
        offset_of!(ColumnsCall, rows) == 8
            && offset_of!(ColumnsCall, mask) == 12
            && offset_of!(ColumnsCall, store) == 32
    );
}

#[cfg(all(native, feature = "rice"))]
mod rice {
    use core::mem::offset_of;

    use super::Store;

    /// The arguments of the entropy-coded kernel and its state between rows. The kernel changes
    /// `output` and all fields after it and, if there is a list, `input`.
    #[repr(C)]
    pub(crate) struct RiceCall {
        /// 0: the last four bytes of the block.
        pub(crate) end: *const u8,
        /// 4: the number of bits that have been read, from the end of the block.
        pub(crate) read: u32,
        /// 8: the codebook, or null if there is none.
        pub(crate) codebook: *const u8,
        /// 12: the first four bytes of the block as a number: whether rows are sorted (bit 31),
        /// whether there is a list (30), whether a bit states for each gap if it is 0 (29),
        /// `length_k` (19 to 16), `count_k` (15 to 13), `bias_k` (12 to 8), `bias_shift` (7 to 4),
        /// `weight_k` (3 to 0).
        pub(crate) head: u32,
        /// 16: see [`rarefy_format::rice::RiceStream`].
        pub(crate) first_reach: u32,
        /// 20: see [`rarefy_format::rice::RiceStream`].
        pub(crate) gap_reach: u32,
        /// 24: the activations; once a list has been read, those that it selects.
        pub(crate) input: *const u8,
        /// 28: how the sums are stored.
        pub(crate) store: Store,
        /// 32: the next output.
        pub(crate) output: *mut u8,
        /// 36: the number of rows left, at least 1.
        pub(crate) left: u32,
        /// 40: the number of rows left in the current run.
        pub(crate) run: u32,
        /// 44: the number of weights in each row of the current run.
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
    #[cfg(native)]
    use core::mem::offset_of;

    /// Where and how a routine stores the sums of a block of positions.
    #[repr(C)]
    pub(crate) struct Block {
        /// 0: the pooled neighbours in the first row of windows of 2 x 2.
        pub(crate) joined: [i32; 4],
        /// 16: the row of the output that is stored next; storing it advances this by a row.
        pub(crate) output: *mut u8,
        /// 20: right shift that turns a sum into an activation.
        pub(crate) shift: u32,
        /// 24: how the sums are pooled and stored.
        pub(crate) finish: Finish,
        /// 28: 1 in the second row of windows of 2 x 2, otherwise 0; each row flips it.
        pub(crate) second: u32,
        /// 32: the distance in bytes from one row of the output to the next.
        pub(crate) output_row: usize,
        /// 36: the sums, for instruction sets whose `finish` is Rust code.
        #[cfg(not(any(cortex_m = "v7m", cortex_m = "v7em")))]
        pub(crate) sums: [i32; 8],
    }

    #[cfg(native)]
    const _: () = assert!(
        offset_of!(Block, output) == 16
            && offset_of!(Block, finish) == 24
            && offset_of!(Block, output_row) == 32
            && size_of::<Block>()
                == if cfg!(any(cortex_m = "v6m", riscv)) {
                    68
                } else {
                    36
                }
    );

    /// How a block's sums are pooled and stored.
    #[repr(u32)]
    #[derive(Clone, Copy)]
    pub(crate) enum Finish {
        /// Each sum is requantized and stored.
        Store = 0,
        /// The first row keeps the larger of two neighbours; the second row stores the largest of
        /// both rows.
        Max = 1,
        /// The first row keeps the total of two neighbours, with 0 for negative ones; the second
        /// row stores the total of both rows.
        Average = 2,
    }

    /// Adds the products of the taps for a block of positions to the values at `start`, and pools
    /// and stores the sums as `block` states.
    ///
    /// # Safety
    ///
    /// 1. The taps must be arranged for this routine, and every byte that they read from `base`
    ///    for a position of the block must be readable.
    /// 2. There must be as many values at `start` as the block has positions.
    /// 3. Every byte that is stored according to `block` must be writable.
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
