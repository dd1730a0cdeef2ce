//! The checksum of a container: a linear shift register over 32-bit words.
//!
//! It runs on the device at start-up, so it reads a word at a time and needs neither a table nor a
//! multiplication. `SPEC.md` states what damage it detects; `tests/checksum.rs` proves it.

/// Advances the state by one step of Marsaglia's xorshift generator with these three shifts, whose
/// period is 2^32 - 1.
#[inline(always)]
const fn step(mut state: u32) -> u32 {
    state ^= state << 5;
    state ^= state >> 21;
    state ^ state << 12
}

/// Computes the checksum of `bytes`, processing all whole words, then the remaining bytes (at most
/// three).
///
/// ```
/// assert_eq!(rarefy_format::checksum(b"123456789"), 0x20C5_1AE1);
/// ```
#[must_use]
#[inline(always)]
pub const fn checksum(mut bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    while let Some((word, rest)) = bytes.split_first_chunk() {
        state = step(state ^ u32::from_le_bytes(*word));
        bytes = rest;
    }
    while let [byte, rest @ ..] = bytes {
        state = (state ^ *byte as u32).rotate_right(8);
        bytes = rest;
    }
    state
}
