//! Entropy-coded rows on RV32IM, in Rust: the next bits are kept in a register and refilled byte by
//! byte, since the cores need not support unaligned loads.

use crate::kernels::native::call::RiceCall;

/// The bits of a block, from its last byte to its first, the highest bit of each byte first.
struct Bits {
    /// The byte that is loaded next.
    next: *const u8,
    /// The next bits, from the highest bit on; zeros follow them.
    word: u32,
    /// The number of bits in `word`.
    count: u32,
}

impl Bits {
    /// Loads bytes until there are more than 24 bits.
    ///
    /// # Safety
    ///
    /// The four bytes before (in memory) those that hold the bits read so far must be readable.
    #[inline(always)]
    unsafe fn refill(&mut self) {
        while self.count <= 24 {
            // SAFETY: the caller guarantees the bytes: at most 32 bits are held.
            self.word |= u32::from(unsafe { *self.next }) << (24 - self.count);
            self.next = self.next.wrapping_sub(1);
            self.count += 8;
        }
    }

    /// Takes the next `count` bits, at most 31.
    #[inline(always)]
    fn take(&mut self, count: u32) -> u32 {
        let bits = self.word >> 1 >> (31 - count);
        self.word <<= count;
        self.count = self.count.wrapping_sub(count);
        bits
    }

    /// Takes the next zeros and the 1 after them, which is in `word` because the parser has
    /// accepted the code. Returns `step` times the number of zeros.
    #[inline(always)]
    fn quotient(&mut self, step: u32) -> u32 {
        let mut quotient = 0;
        while self.word as i32 >= 0 {
            self.word <<= 1;
            self.count -= 1;
            quotient += step;
        }
        self.take(1);
        quotient
    }

    /// Takes a number with the Rice parameter `k`.
    ///
    /// # Safety
    ///
    /// As for [`Bits::refill`].
    #[inline(never)]
    unsafe fn number(&mut self, k: u32) -> u32 {
        // SAFETY: the caller guarantees it.
        unsafe { self.refill() };
        self.quotient(1 << k) + self.take(k)
    }
}

/// Returns the number that `code` stands for: 0, -1, 1, -2, ...
fn signed(code: u32) -> i32 {
    (code >> 1) as i32 ^ -((code & 1) as i32)
}

/// Returns the smallest left shift that makes `number`, which is not 0, at least `reach`.
fn shift_to(mut number: u32, reach: u32) -> u32 {
    let mut shift = 0;
    while number < reach {
        number <<= 1;
        shift += 1;
    }
    shift
}

/// Computes the rows of a layer, after gathering the inputs in the list if there is one.
///
/// # Safety
///
/// 1. The fields of `call` must be valid, and the parser must have accepted its block for `first_k`
///    inputs and `left` outputs, of which there is at least one.
/// 2. If there is a list, `first` must have room for the inputs that it selects.
#[inline(never)]
pub(crate) unsafe fn rows(call: &mut RiceCall) {
    let head = call.head;
    let mut bits = Bits {
        next: call.end.wrapping_add(3),
        word: 0,
        count: 0,
    };
    // SAFETY: the parser has decoded the same bits of the same block, whose head of four bytes
    // precedes them, and has checked everything that they make this function read and store.
    unsafe {
        if head >> 30 & 1 != 0 {
            gather(call, &mut bits);
        }
        let mut gap_k = 0;
        loop {
            if call.run == 0 {
                gap_k = next_run(call, &mut bits, gap_k);
            } else {
                call.run -= 1;
            }
            let bias = signed(bits.number(head >> 8 & 31)) << (head >> 4 & 15);
            let mut sum = bias;
            if call.length > 0 {
                call.first = call.first.add(bits.number(call.first_k) as usize);
                sum = match head >> 29 & 1 {
                    0 => weights::<false>(call, &mut bits, gap_k, sum),
                    _ => weights::<true>(call, &mut bits, gap_k, sum),
                };
            }
            match call.store.shift() {
                Some(shift) => {
                    *call.output = (sum >> shift).clamp(0, 255) as u8;
                    call.output = call.output.add(1);
                }
                None => {
                    *call.output.cast::<i32>() = sum;
                    call.output = call.output.add(4);
                }
            }
            call.left -= 1;
            if call.left == 0 {
                return;
            }
        }
    }
}

/// Copies the inputs of the list to `first`, and makes that the input.
///
/// # Safety
///
/// As for [`rows`].
#[inline(never)]
unsafe fn gather(call: &mut RiceCall, bits: &mut Bits) {
    let mut from = call.input;
    let end = from.wrapping_add(call.first_k as usize);
    let mut to = call.first.cast_mut();
    call.input = to;
    // SAFETY: the parser has decoded the same list: it selects inputs before `end`, and as many as
    // fit the memory at `first`.
    unsafe {
        bits.refill();
        let (skip_k, run_k) = (bits.take(4), bits.take(4));
        loop {
            from = from.wrapping_add(bits.number(skip_k) as usize);
            if from >= end {
                return;
            }
            for _ in 0..=bits.number(run_k) {
                *to = *from;
                from = from.wrapping_add(1);
                to = to.add(1);
            }
            if from >= end {
                return;
            }
            from = from.wrapping_add(1);
        }
    }
}

/// Starts a run of rows of one length. Returns the Rice parameter of its gaps; `gap_k` is that of
/// the previous run.
///
/// # Safety
///
/// As for [`rows`].
#[inline(never)]
unsafe fn next_run(call: &mut RiceCall, bits: &mut Bits, gap_k: u32) -> u32 {
    let head = call.head;
    // SAFETY: the caller guarantees that the bits of a run follow.
    let code = unsafe { bits.number(head >> 16 & 15) };
    call.first = call.input;
    let mut weights = 0;
    if head >> 31 != 0 {
        call.length = call.length.wrapping_add(code).wrapping_add(1);
        // SAFETY: as above.
        call.run = unsafe { bits.number(head >> 13 & 7) };
        weights = call.run.wrapping_add(1).wrapping_mul(call.length);
    } else if code != 0 {
        call.length = call.length.wrapping_add(signed(code) as u32);
        weights = call.length;
    }
    if weights == 0 {
        return gap_k;
    }
    call.first_k = shift_to(weights, call.first_reach);
    shift_to(call.length, call.gap_reach)
}

/// Returns `sum` plus the products of a row's weights, of which there is at least one. With
/// `ADJACENT`, a bit states for each gap whether it is 0.
///
/// # Safety
///
/// As for [`rows`].
#[inline(always)]
unsafe fn weights<const ADJACENT: bool>(
    call: &RiceCall,
    bits: &mut Bits,
    gap_k: u32,
    mut sum: i32,
) -> i32 {
    let (mut at, mut left) = (call.first, call.length);
    let weight_k = call.head & 15;
    let (weight_step, gap_step) = (1 << weight_k, 1 << gap_k);
    loop {
        // SAFETY: the parser has checked that the bits are in the block, the code is in the
        // codebook if there is one, and the column is an input.
        unsafe {
            bits.refill();
            let code = bits.quotient(weight_step) + bits.take(weight_k);
            let weight = if call.codebook.is_null() {
                // There is no weight of 0: 1, -1, 2, -2, ...
                match code & 1 {
                    0 => (code >> 1) as i32 + 1,
                    _ => !((code >> 1) as i32),
                }
            } else {
                i32::from(*call.codebook.cast::<i8>().add(code as usize))
            };
            sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*at)));
        }
        left -= 1;
        if left == 0 {
            return sum;
        }
        at = at.wrapping_add(1);
        if ADJACENT {
            if bits.take(1) == 1 {
                continue;
            }
            at = at.wrapping_add(1);
        }
        let gap = bits.quotient(gap_step) + bits.take(gap_k);
        at = at.wrapping_add(gap as usize);
    }
}
