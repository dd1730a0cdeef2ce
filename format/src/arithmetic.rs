//! The arithmetic of the engine, in one function.
//!
//! Activations are unsigned 8-bit integers, weights signed and of at most 16 bits, biases and
//! accumulators signed 32-bit. Sums are taken modulo 2^32, so the order of adding is free; the writer
//! refuses weights for which a sum could leave 32 bits, so in a model it has written none ever wraps.

/// The largest shift a layer may have.
pub const MAX_SHIFT: u8 = 31;

/// What a hidden layer stores for an accumulator: `clamp(acc >> shift, 0, 255)`, where `>>` keeps
/// the sign. The clamp is the ReLU; to round to nearest, half of what is shifted out is part of the
/// bias.
///
/// Only the low five bits of `shift` count; a layer's shift is at most [`MAX_SHIFT`].
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
