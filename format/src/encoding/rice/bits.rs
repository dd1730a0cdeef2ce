//! Reading the bit stream, which runs backwards from a block's last byte, and the Rice code.
//!
//! Everything here is `const` and total: there is no division, panic or allocation. Reading past
//! the end of an invalid stream returns wrong numbers, and [`Bits::left`] becomes negative.
//!
//! The next bits are the upper bits of a little-endian `u32`, which one unaligned load reads. The
//! [`HEAD`] bytes before the stream ensure that these four bytes always lie inside the block.

/// The minimum number of bytes before a stream: the size of a window.
pub(super) const HEAD: usize = 4;

/// The minimum number of unread bits in a window: 32, less up to 7 bits that were read before.
pub(super) const WINDOW: u32 = 25;

/// A bit stream that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    block: &'a [u8],
    /// 7 more than the number of unread bits after the block's first [`HEAD`] bytes.
    at: u32,
}

impl<'a> Bits<'a> {
    /// Starts reading a block, which must have a head and at most 2^28 bytes.
    pub(super) const fn new(block: &'a [u8]) -> Self {
        Bits {
            block,
            at: Self::all(block),
        }
    }

    /// Returns the number of unread bits down to byte `front` of the block, which is negative if
    /// more bits were read than there are.
    pub(super) const fn left(&self, front: usize) -> i32 {
        let unread = self.at.wrapping_sub(7) as i32;
        unread.wrapping_sub(8 * front as i32 - 8 * HEAD as i32)
    }

    /// Returns the next bits, the first one most significant: at least [`WINDOW`] bits, then
    /// zeros.
    #[inline(always)]
    pub(super) const fn window(&self) -> u32 {
        // `split_at_checked` because `get` is not `const`.
        match self.block.split_at_checked((self.at / 8) as usize + 4) {
            Some((read, _)) => match read.last_chunk::<4>() {
                Some(&bytes) => u32::from_le_bytes(bytes) << (!self.at & 7),
                None => 0,
            },
            None => 0,
        }
    }

    /// Returns the block.
    pub(super) const fn block(&self) -> &'a [u8] {
        self.block
    }

    /// Returns the value of `at` for an unread block.
    const fn all(block: &[u8]) -> u32 {
        let bytes = (block.len() as u32).wrapping_sub(HEAD as u32);
        bytes.wrapping_mul(8).wrapping_add(7)
    }

    /// Skips `count` bits.
    #[inline(always)]
    pub(super) const fn skip(&mut self, count: u32) {
        self.at = self.at.wrapping_sub(count);
    }

    /// Reads a number in Rice code (see the [module](super)). A code that does not fit a window
    /// ends the stream.
    #[inline(never)]
    pub(super) const fn rice(&mut self, k: u32) -> u32 {
        let mut window = self.window();
        let (number, taken) = rice(&mut window, k & 31);
        self.skip(taken);
        if taken > WINDOW {
            self.at = 0;
        }
        number
    }
}

/// Decodes the number at the top of a window and shifts it out; returns the number and the length
/// of its code. `k` is at most 31.
#[inline(always)]
pub(super) const fn rice(window: &mut u32, k: u32) -> (u32, u32) {
    let zeros = leading_zeros(*window | 1);
    let remainder = *window << zeros << 1;
    *window = remainder.wrapping_shl(k);
    let number = zeros.wrapping_shl(k) | (remainder >> 1).wrapping_shr(31 - k);
    (number, zeros + 1 + k)
}

/// Returns `number.leading_zeros()`.
///
/// ARMv6-M, recognised by its lack of atomic instructions, has no instruction for this. There a
/// loop is used, since zeros are few, and the library function takes as long for few as for many.
#[inline(always)]
const fn leading_zeros(number: u32) -> u32 {
    if cfg!(not(all(target_arch = "arm", not(target_has_atomic = "32")))) {
        return number.leading_zeros();
    }
    let (mut zeros, mut rest) = (0, number as i32);
    while rest > 0 {
        rest <<= 1;
        zeros += 1;
    }
    zeros
}

/// Unfolds an unsigned number to a signed one: 0, 1, 2, 3, 4, ... become 0, -1, 1, -2, 2, ...
#[inline(always)]
pub(super) const fn unfold(number: u32) -> i32 {
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

/// Folds a signed number to an unsigned one: 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ...
pub(super) const fn fold(number: i32) -> u32 {
    (number << 1 ^ number >> 31) as u32
}
