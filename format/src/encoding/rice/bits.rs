//! Reading the bit stream, from a block's last byte to its first, and the Rice code.
//!
//! Everything here is `const` and total: of a stream that no writer made, what is behind its end is
//! nonsense, and [`Bits::left`] tells. No division, no panic, no memory.
//!
//! The next bits are the upper ones of four bytes in memory, the last of which is the most
//! significant: one load, wherever they lie. Because a block begins with [`HEAD`] bytes that are no
//! bits of the stream, these four bytes are always inside the block.

/// The bytes in front of every stream, at least: as many as a window has.
pub(super) const HEAD: usize = 4;

/// The bits that a window shows for certain: 32, less those of its last byte that are read already.
pub(super) const WINDOW: u32 = 25;

/// A bit stream that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    block: &'a [u8],
    /// 7 more than the bits left behind the block's head.
    at: u32,
}

impl<'a> Bits<'a> {
    /// The bits of a block, which has a head and at most 2^28 bytes.
    pub(super) const fn new(block: &'a [u8]) -> Self {
        Bits {
            block,
            at: Self::all(block),
        }
    }

    /// How many bits are left in front of a byte of the block; negative where some were read that
    /// are not there.
    pub(super) const fn left(&self, front: usize) -> i32 {
        let behind = self.at.wrapping_sub(7) as i32;
        behind.wrapping_sub(8 * front as i32 - 8 * HEAD as i32)
    }

    /// The next bits, the first one on top: at least [`WINDOW`] of them, and zeros below.
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

    /// The block.
    pub(super) const fn block(&self) -> &'a [u8] {
        self.block
    }

    /// `at` where nothing is read.
    const fn all(block: &[u8]) -> u32 {
        let bytes = (block.len() as u32).wrapping_sub(HEAD as u32);
        bytes.wrapping_mul(8).wrapping_add(7)
    }

    /// Goes on behind `count` bits.
    #[inline(always)]
    pub(super) const fn skip(&mut self, count: u32) {
        self.at = self.at.wrapping_sub(count);
    }

    /// A number in Rice code: see the [module](super). Behind one that no window holds, no bits are
    /// left.
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

/// The number on top of a window in Rice code, and the bits it takes, which are shifted out; `k` is
/// at most 31.
#[inline(always)]
pub(super) const fn rice(window: &mut u32, k: u32) -> (u32, u32) {
    let zeros = leading_zeros(*window | 1);
    let remainder = *window << zeros << 1;
    *window = remainder.wrapping_shl(k);
    let number = zeros.wrapping_shl(k) | (remainder >> 1).wrapping_shr(31 - k);
    (number, zeros + 1 + k)
}

/// `number.leading_zeros()`. Where there is no instruction for it (ARMv6-M, which is told from the
/// other Cortex-M by its lack of atomic instructions) by counting, since there are few: the library
/// function takes as long as for many.
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

/// The signed number behind an unsigned one: 0, -1, 1, -2, 2, ...
#[inline(always)]
pub(super) const fn unfold(number: u32) -> i32 {
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

/// The unsigned number of a signed one: 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ...
#[cfg(feature = "alloc")]
pub(super) const fn fold(number: i32) -> u32 {
    (number << 1 ^ number >> 31) as u32
}
