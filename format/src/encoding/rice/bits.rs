//! Reading the bit stream: bits from the most significant of each byte, and the bounded Rice code.
//!
//! Everything here is `const` and total: behind the last byte zeros are read, and
//! [`Bits::exhausted`] tells. No division, no panic, no memory.

/// A bit stream that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, the first one on top; below the `available` ones there are zeros.
    buffer: u32,
    /// At most 31.
    available: u32,
    /// How many of all the bits ever put into the buffer lie behind the last byte.
    beyond: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Bits {
            rest: bytes,
            buffer: 0,
            available: 0,
            beyond: 0,
        }
    }

    /// Whether bits were read that are not there.
    pub(super) const fn exhausted(&self) -> bool {
        self.beyond > self.available
    }

    /// What is not read yet: whole bytes, and whether one of the bits before these is set.
    pub(super) const fn remainder(&self) -> (usize, bool) {
        let whole = self.available.saturating_sub(self.beyond) / 8;
        (self.rest.len() + whole as usize, self.buffer != 0)
    }

    /// Makes at least 16 bits available.
    #[inline(always)]
    pub(super) const fn refill(&mut self) {
        if self.available < 16 {
            if let Some((&bytes, rest)) = self.rest.split_first_chunk::<2>() {
                self.rest = rest;
                self.append(u16::from_be_bytes(bytes));
            } else {
                *self = self.refilled_at_end();
            }
        }
    }

    #[inline(always)]
    const fn append(&mut self, bits: u16) {
        self.buffer |= (bits as u32).wrapping_shl(16 - self.available);
        self.available += 16;
    }

    /// Whether the next bit is set: one must be available.
    #[inline(always)]
    pub(super) const fn next_is_set(&self) -> bool {
        self.buffer >> 31 != 0
    }

    /// Drops `count` bits, which are available.
    #[inline(always)]
    pub(super) const fn skip(&mut self, count: u32) {
        self.buffer = self.buffer.wrapping_shl(count);
        self.available = self.available.wrapping_sub(count);
    }

    /// The next `count` bits (at most 16) as a number.
    #[inline(always)]
    const fn number(&mut self, count: u32) -> u32 {
        self.refill();
        let number = (self.buffer >> 1).wrapping_shr(31 - count);
        self.skip(count);
        number
    }

    /// A number that is at most `max`, in bounded Rice code with parameter `k` (at most 32): see
    /// the [module](super). A stream that no writer made can give more than `max`.
    #[inline(never)]
    pub(super) const fn rice(&mut self, k: u32, max: u32) -> u32 {
        self.refill();
        if k < 32 {
            return self.rice_behind(0, k, max);
        }
        let (bits, number) = self.slow_rice(k, max);
        *self = bits;
        number
    }

    /// [`Bits::rice`] for the loop over gaps: `k` is at most 31, [`Bits::refill`] was called, and
    /// `flags` bits, zeros, come before the code.
    #[inline(always)]
    pub(super) const fn rice_behind(&mut self, flags: u32, k: u32, max: u32) -> u32 {
        let zeros = leading_zeros(self.buffer);
        // Where the buffer is all zeros this is more than can be available.
        if zeros >= max.wrapping_shr(k).wrapping_add(flags) || zeros + 1 + k > self.available {
            let mut bits = *self;
            bits.skip(flags);
            let (bits, number) = bits.slow_rice(k, max);
            *self = bits;
            return number;
        }
        self.take(zeros - flags, zeros + 1, k)
    }

    /// [`Bits::rice`] for the loop over weights: `max` is `limit << k` and below that nothing but
    /// ones, and `limit + k` is at most 16.
    #[inline(always)]
    pub(super) const fn rice_short(&mut self, k: u32, limit: u32) -> u32 {
        self.refill();
        let zeros = leading_zeros(self.buffer);
        if zeros < limit {
            self.take(zeros, zeros + 1, k)
        } else {
            self.take(limit, limit, k)
        }
    }

    /// A quotient that took `unary` bits, and the `k` bits of its remainder: all available.
    #[inline(always)]
    const fn take(&mut self, quotient: u32, unary: u32, k: u32) -> u32 {
        let remainder = self.buffer.wrapping_shl(unary);
        self.buffer = remainder.wrapping_shl(k);
        self.available = self.available.wrapping_sub(unary + k);
        quotient.wrapping_shl(k) | (remainder >> 1).wrapping_shr(31 - k)
    }

    // What is rare takes the reader and gives it back, so that it can stay in registers elsewhere.

    #[cold]
    #[inline(never)]
    const fn refilled_at_end(self) -> Self {
        let mut bits = self;
        let mut last = 0;
        if let Some((&byte, rest)) = bits.rest.split_first() {
            bits.rest = rest;
            bits.beyond = bits.beyond.saturating_add(8);
            last = byte;
        } else {
            bits.beyond = bits.beyond.saturating_add(16);
        }
        bits.append((last as u16) << 8);
        bits
    }

    /// Rice codes of any length.
    #[cold]
    #[inline(never)]
    const fn slow_rice(self, k: u32, max: u32) -> (Self, u32) {
        let mut bits = self;
        let limit = if k < 32 { max >> k } else { 0 };
        let mut quotient = 0;
        // Where the bytes end, only zeros come.
        while quotient < limit && !bits.exhausted() {
            if bits.number(1) != 0 {
                break;
            }
            quotient += 1;
        }
        let mut width = k;
        if quotient == limit {
            width = u32::BITS - (max & largest(k)).leading_zeros();
        }
        let mut remainder = 0;
        if width > 16 {
            width -= 16;
            remainder = bits.number(16) << width;
        }
        remainder |= bits.number(width);
        (bits, quotient.wrapping_shl(k) | remainder)
    }
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
    if rest == 0 { u32::BITS } else { zeros }
}

/// The largest number of `bits` bits (at most 32).
pub(super) const fn largest(bits: u32) -> u32 {
    if bits == 0 {
        0
    } else {
        u32::MAX >> (32 - bits)
    }
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
