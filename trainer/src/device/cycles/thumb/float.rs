//! Decodes floating-point instructions in single precision: ARMv7-M Architecture Reference Manual
//! (DDI 0403E), A6.4 to A6.7.

use super::instruction::{Float, Instruction, Kind, register};

/// Decodes the halfwords `first` and `second`, a coprocessor instruction. Returns `None` if it is
/// undefined, or computes in double precision.
pub(super) fn decode(first: u16, second: u16) -> Option<Instruction> {
    let single = match second >> 8 & 15 {
        10 => true,
        11 => false,
        _ => return None,
    };
    let (float, writes) = match first >> 8 {
        0xec | 0xed => accesses(first, second)?,
        0xee if !single => return None,
        0xee if second >> 4 & 1 == 1 => transfer(first, second)?,
        0xee => (arithmetic(first, second)?, 0),
        _ => return None,
    };
    let address = match float {
        Float::Load(_) | Float::Store(_) => register(first),
        _ => 0,
    };
    Some(Instruction::new(Kind::Float(float), 4, writes).at(address))
}

/// Decodes loads, stores and moves of two registers.
fn accesses(first: u16, second: u16) -> Option<(Float, u16)> {
    if first & 0xffe0 == 0xec40 {
        let writes = match first >> 4 & 1 {
            1 => register(second >> 12) | register(first),
            _ => 0,
        };
        return Some((Float::MoveTwo, writes));
    }
    // Bits P, U and W: an offset, or an update of the base.
    let (one, updates) = (first >> 8 & 1 == 1, first >> 5 & 1 == 1);
    let words = match (one, updates, first >> 7 & 1) {
        // VLDR, VSTR of a single or a double.
        (true, false, _) if second >> 8 & 1 == 0 => 1,
        (true, false, _) => 2,
        (false, _, 1) | (true, true, 0) => u32::from(second & 0xff),
        _ => return None,
    };
    let base = match updates {
        true => register(first),
        false => 0,
    };
    Some(match first >> 4 & 1 {
        1 => (Float::Load(words), base),
        _ => (Float::Store(words), base),
    })
}

/// Decodes moves between the core and the floating-point unit.
fn transfer(first: u16, second: u16) -> Option<(Float, u16)> {
    match first & 0xfff0 {
        0xee00 | 0xeee0 => Some((Float::Move, 0)),
        0xee10 | 0xeef0 => Some((Float::Move, register(second >> 12))),
        _ => None,
    }
}

/// Decodes data processing.
fn arithmetic(first: u16, second: u16) -> Option<Float> {
    Some(match first >> 4 & 0b1011 {
        // VMLA, VMLS, VNMLA, VNMLS; VFNMA, VFNMS, VFMA, VFMS
        0b0000 | 0b0001 | 0b1001 | 0b1010 => Float::MultiplyAccumulate,
        // VMUL, VNMUL, VADD, VSUB
        0b0010 | 0b0011 => Float::Arithmetic,
        0b1000 => Float::Divide,
        _ => match (first & 15, second >> 6 & 3) {
            // VMOV of a constant.
            (_, 0 | 2) => Float::Move,
            // VMOV, VABS, VNEG, VCMP, VCMPE
            (0, _) | (1, 1) | (4 | 5, _) => Float::Move,
            // VSQRT
            (1, _) => Float::Divide,
            // VCVT and its variants
            (2 | 3 | 8 | 10..=15, _) => Float::Arithmetic,
            _ => return None,
        },
    })
}
