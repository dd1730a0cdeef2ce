//! The arithmetic of the engine, in one function.
//!
//! Activations are unsigned 8-bit integers, weights signed 8-bit, biases and accumulators signed
//! 32-bit. An output row computes `acc = bias + sum(weight * activation)`; a hidden layer stores
//! [`requantize`]`(acc, shift)`, the last layer stores `acc` itself. [`crate::Model::parse`] refuses
//! weights for which `acc` plus the rounding could leave 32 bits, so nothing ever wraps.

/// The largest shift a layer may have.
pub const MAX_SHIFT: u8 = 31;

/// What a hidden layer stores for an accumulator: `clamp((acc + round) >> shift, 0, 255)`, where
/// `round` is half of what is shifted out (`1 << (shift - 1)`, or 0 for a shift of 0) and `>>` keeps
/// the sign. So halves round up, and negative sums become 0: the clamp is the ReLU.
///
/// Only the low five bits of `shift` count; a parsed layer's shift is at most [`MAX_SHIFT`].
///
/// ```
/// use rarefy_format::requantize;
/// assert_eq!(requantize(5, 1), 3);
/// assert_eq!(requantize(-5, 1), 0);
/// assert_eq!(requantize(1 << 20, 4), 255);
/// assert_eq!(requantize(200, 0), 200);
/// ```
#[inline(always)]
#[must_use]
pub const fn requantize(acc: i32, shift: u8) -> u8 {
    let shift = (shift & MAX_SHIFT) as u32;
    let scaled = acc.wrapping_add(rounding(shift)) >> shift;
    if scaled < 0 {
        0
    } else if scaled > 255 {
        255
    } else {
        scaled as u8
    }
}

/// Half of what a shift by `shift` (0..=31) drops: `1 << (shift - 1)`, or 0.
#[inline(always)]
pub(crate) const fn rounding(shift: u32) -> i32 {
    ((1u32 << (shift & 31)) >> 1) as i32
}

#[cfg(test)]
mod tests {
    use super::requantize;

    #[test]
    fn follows_the_definition_for_every_shift() {
        let accs = [
            i32::MIN,
            -70_000,
            -129,
            -2,
            -1,
            0,
            1,
            2,
            3,
            127,
            128,
            255,
            256,
            65_535,
            1 << 29,
        ];
        for shift in 0..=31u8 {
            for acc in accs {
                let round = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
                let expected = ((i64::from(acc) + round) >> shift).clamp(0, 255);
                assert_eq!(
                    i64::from(requantize(acc, shift)),
                    expected,
                    "{acc} >> {shift}"
                );
            }
        }
    }
}
