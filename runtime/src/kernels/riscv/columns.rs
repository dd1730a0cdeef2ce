//! Columns on RV32IM, in Rust: the compiler keeps all pointers in registers.
//!
//! A weight whose activation is not 0 takes eight instructions: three for the address of its row's
//! sum, two loads, `mul`, `add`, `sw`. The input is searched for nonzero bytes by words where it is
//! aligned.

use core::ptr;

use crate::kernels::native::call::ColumnsCall;

/// Runs a layer. Reads each activation once. For pairs whose activations are not both 0, reads the
/// start, the header, and the sections of the activations that are not 0, and updates a sum for
/// each word. Finally requantizes the sums in place, unless `logits` is 1.
///
/// # Safety
///
/// 1. The fields of `call` must be valid, with `rows` sums and biases; `logits` must be 1 if and
///    only if `store` is [`Store::LOGITS`](crate::kernels::native::call::Store::LOGITS).
/// 2. There must be a start for every two activations, and for a last one without a partner: the
///    index of a header that is followed by its three sections.
/// 3. The masked value of each word must be below `rows`, and the same for both words of a row that
///    reads both inputs.
#[inline(never)]
pub(crate) unsafe fn run(call: &ColumnsCall, logits: u32) {
    // SAFETY: the caller guarantees `rows` sums and biases, a start per pair of activations, and
    // valid pairs. The walk over the activations stays below `end`: two or four are read only if as
    // many are left, and four only at a word.
    unsafe {
        ptr::copy_nonoverlapping(call.bias, call.sums, call.rows);
        let sums = Sums {
            start: call.sums,
            mask: call.mask,
        };
        let (mut input, mut starts) = (call.input, call.starts);
        // Pairs before the first whole word; all pairs if no pair starts at a word.
        while input.addr() % 4 != 0 && call.end.addr() - input.addr() >= 2 {
            visit(call, &sums, input, starts);
            (input, starts) = (input.add(2), starts.add(1));
        }
        while call.end.addr() - input.addr() >= 4 {
            if *input.cast::<u32>() != 0 {
                visit(call, &sums, input, starts);
                visit(call, &sums, input.add(2), starts.add(1));
            }
            (input, starts) = (input.add(4), starts.add(2));
        }
        if call.end.addr() - input.addr() >= 2 {
            visit(call, &sums, input, starts);
            (input, starts) = (input.add(2), starts.add(1));
        }
        if input != call.end && *input != 0 {
            pair(call, &sums, i32::from(*input), 0, *starts);
        }
        if logits == 0 {
            finish(call);
        }
    }
}

/// The sums, and the mask that extracts four times a row from four times its word.
struct Sums {
    start: *mut i32,
    mask: u32,
}

impl Sums {
    /// Returns the sum of the row that `word` names.
    ///
    /// # Safety
    ///
    /// The row must exist.
    #[inline(always)]
    unsafe fn of(&self, word: i32) -> *mut i32 {
        // SAFETY: the caller guarantees that the row exists.
        unsafe {
            self.start
                .byte_add(((word as u32) << 2 & self.mask) as usize)
        }
    }

    /// Adds the product of `word` with `x`.
    ///
    /// # Safety
    ///
    /// The row that `word` names must exist.
    #[inline(always)]
    unsafe fn product(&self, word: i32, x: i32) {
        // SAFETY: the caller guarantees that the row exists.
        unsafe {
            let sum = self.of(word);
            *sum = (*sum).wrapping_add(word.wrapping_mul(x));
        }
    }

    /// Adds the products of `count` words with `x`.
    ///
    /// # Safety
    ///
    /// The words must be readable and name rows that exist.
    #[inline(always)]
    unsafe fn add(&self, mut words: *const i16, count: usize, x: i32) {
        // SAFETY: the caller guarantees the words and their rows.
        unsafe {
            let end = words.add(count);
            for _ in 0..count / 4 {
                for place in 0..4 {
                    self.product(i32::from(*words.add(place)), x);
                }
                words = words.add(4);
            }
            while words != end {
                self.product(i32::from(*words), x);
                words = words.add(1);
            }
        }
    }
}

/// Visits the pair of the two activations at `input`, unless both are 0.
///
/// # Safety
///
/// As for [`run`]; two activations and a start must be readable.
#[inline(always)]
unsafe fn visit(call: &ColumnsCall, sums: &Sums, input: *const u8, starts: *const u16) {
    // SAFETY: the caller guarantees it.
    unsafe {
        let (first, second) = (i32::from(*input), i32::from(*input.add(1)));
        if first | second != 0 {
            pair(call, sums, first, second, *starts);
        }
    }
}

/// Adds the products of a pair of activations, not both 0, whose header has the index `start`.
///
/// # Safety
///
/// As for [`run`].
#[inline(never)]
unsafe fn pair(call: &ColumnsCall, sums: &Sums, first: i32, second: i32, start: u16) {
    // SAFETY: the caller guarantees that the header at this index is followed by its sections,
    // whose words name rows that exist. A section of an odd number of words starts with a word of
    // 0, which is skipped.
    unsafe {
        let header = call.pairs.add(usize::from(start));
        let counts = *header;
        let mut section = header.add(1).cast::<i16>();
        let both = (counts >> 22) as usize;
        let end = section.add(2 * both);
        if first == 0 {
            every_second(sums, section.add(1), end, second);
        } else if second == 0 {
            every_second(sums, section, end, first);
        } else {
            while section != end {
                let (one, other) = (i32::from(*section), i32::from(*section.add(1)));
                let sum = sums.of(one);
                let products = one
                    .wrapping_mul(first)
                    .wrapping_add(other.wrapping_mul(second));
                *sum = (*sum).wrapping_add(products);
                section = section.add(2);
            }
        }
        let alone = (counts >> 11 & 0x7FF) as usize;
        let after = end.add(alone.next_multiple_of(2));
        if first != 0 {
            sums.add(after.sub(alone), alone, first);
        }
        if second != 0 {
            let alone = (counts & 0x7FF) as usize;
            sums.add(after.add(alone % 2), alone, second);
        }
    }
}

/// Adds the products with `x` of every second word of a section.
///
/// # Safety
///
/// As for [`Sums::product`]; `words` must be in the section that ends at `end`.
#[inline(always)]
unsafe fn every_second(sums: &Sums, mut words: *const i16, end: *const i16, x: i32) {
    while words < end {
        // SAFETY: the caller guarantees the words and their rows.
        unsafe { sums.product(i32::from(*words), x) };
        words = words.wrapping_add(2);
    }
}

/// Requantizes the sums in place, so that the activations occupy the first bytes.
///
/// # Safety
///
/// As for [`run`].
#[inline(always)]
unsafe fn finish(call: &ColumnsCall) {
    let shift = u32::from(call.store.shift().unwrap_or(0));
    let (mut sum, mut output) = (call.sums, call.sums.cast::<u8>());
    // SAFETY: there are `rows` sums. An activation is stored in a byte of a sum that has been read.
    unsafe {
        let end = output.add(call.rows);
        while output != end {
            *output = match *sum {
                ..0 => 0,
                value => (value >> shift).min(255) as u8,
            };
            sum = sum.add(1);
            output = output.add(1);
        }
    }
}
