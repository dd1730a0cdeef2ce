//! Decodes what determines the price of a Thumb instruction in cycles.

mod float;
mod instruction;
mod long;
mod short;

pub(super) use instruction::{Float, Instruction, Kind, Offset};

/// Decodes the instruction at the beginning of `code`. Returns `None` if it is cut off, undefined,
/// or has no fixed number of cycles, as `WFI` has none.
pub(super) fn decode(code: &[u8]) -> Option<Instruction> {
    let first = u16::from_le_bytes(*code.first_chunk()?);
    if first >> 11 < 0b11101 {
        return short::decode(first);
    }
    let second = u16::from_le_bytes(*code.get(2..)?.first_chunk()?);
    long::decode(first, second)
}
