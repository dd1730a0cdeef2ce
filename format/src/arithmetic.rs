//! Requantization, the arithmetic between layers.
//!
//! Activations are unsigned 8-bit integers, weights are signed with at most 16 bits, biases and
//! accumulators are signed 32-bit integers. Sums are taken modulo 2^32, so the order of addition
//! does not matter. The writer rejects weights for which a sum could overflow, so no sum wraps in a
//! model that it wrote.

/// The largest shift a layer may have.
pub const MAX_SHIFT: u8 = 31;

/// Requantizes an accumulator to an activation: `clamp(acc >> shift, 0, 255)`.
///
/// The shift is arithmetic, and the clamp is the ReLU. There is no rounding term, since biases
/// already include half a unit of the result. Only the low five bits of `shift` are used; a layer's
/// shift is at most [`MAX_SHIFT`].
///
/// ```
/// use rarefy_format::requantize;
/// assert_eq!(requantize(5, 1), 2);
/// assert_eq!(requantize(-5, 1), 0);
/// assert_eq!(requantize(1 << 20, 4), 255);
/// ```
#[inline(always)]
#[must_use]
pub const fn requantize(acc: i32, shift: u8) -> u8 {
    let scaled = acc >> (shift & MAX_SHIFT);
    if scaled < 0 {
        0
    } else if scaled > 255 {
        255
    } else {
        scaled as u8
    }
}
