//! Decodes instructions of 32 bits: ARMv7-M Architecture Reference Manual (DDI 0403E), A5.3.

use super::float;
use super::instruction::{Instruction, Kind, Offset, Registers, register};

/// Decodes the halfwords `first` and `second`. Returns `None` if they are undefined or have no
/// fixed number of cycles.
pub(super) fn decode(first: u16, second: u16) -> Option<Instruction> {
    let group = first >> 4 & 0x7f;
    match (first >> 11 & 3, group) {
        (1, _) if group & 0x64 == 0 => many(first, second),
        (1, _) if group & 0x64 == 4 => two_exclusive_or_table(first, second),
        (1, _) if group & 0x60 == 0x20 => shifted_register(first, second),
        (1, _) => float::decode(first, second),
        (2, _) if second >> 15 == 1 => branch_or_control(first, second),
        (2, _) if group & 0x20 == 0 => modified_immediate(first, second),
        (2, _) => plain_immediate(first, second),
        (3, _) if group & 0x71 == 0 || matches!(group & 0x67, 1 | 3 | 5) => single(first, second),
        (3, _) if group & 0x70 == 0x20 => registers(first, second),
        (3, _) if group & 0x78 == 0x30 => multiply(first, second),
        (3, _) if group & 0x78 == 0x38 => multiply_long(first, second),
        _ => None,
    }
}

/// Returns an instruction that writes the register in bits 8 to 11 of `second`.
fn to_destination(kind: Kind, second: u16) -> Option<Instruction> {
    Some(Instruction::new(kind, 4, register(second >> 8)))
}

/// Decodes load multiple and store multiple, A5.3.5.
fn many(first: u16, second: u16) -> Option<Instruction> {
    if !matches!(first >> 7 & 3, 1 | 2) {
        return None;
    }
    let count = second.count_ones();
    let base = match first >> 5 & 1 {
        1 => register(first),
        _ => 0,
    };
    let found = match (first >> 4 & 1, second >> 15) {
        (0, _) => Instruction::new(Kind::StoreMany(count), 4, base),
        (_, 0) => Instruction::new(Kind::LoadMany(count), 4, second | base),
        _ => Instruction::new(Kind::LoadManyPc(count), 4, second & 0x7fff | base),
    };
    Some(found.at(register(first)))
}

/// Decodes load and store of two registers, exclusive accesses and table branches, A5.3.6.
fn two_exclusive_or_table(first: u16, second: u16) -> Option<Instruction> {
    let address = register(first);
    let kind = match (first >> 7 & 3, first >> 4 & 3, second >> 4 & 15) {
        (0, 0 | 1, _) | (1, 0 | 1, 4 | 5) => Kind::Exclusive,
        (1, 1, 0 | 1) => Kind::TableBranch,
        (1, 0 | 1, _) => return None,
        (_, 0 | 2, _) => Kind::StoreTwo,
        _ => Kind::LoadTwo,
    };
    let updated = match first >> 5 & 1 {
        1 => address,
        _ => 0,
    };
    let writes = match kind {
        Kind::LoadTwo => register(second >> 12) | register(second >> 8) | updated,
        Kind::StoreTwo => updated,
        // LDREX and STREX write one of these; the other is at most an operand.
        Kind::Exclusive => register(second >> 12) | register(second >> 8) | register(second),
        _ => 0,
    };
    Some(Instruction::new(kind, 4, writes).at(address))
}

/// Decodes data processing with a shifted register, A5.3.11.
fn shifted_register(first: u16, second: u16) -> Option<Instruction> {
    match first >> 5 & 15 {
        0..=4 | 8 | 10 | 11 | 13 | 14 => to_destination(Kind::Data, second),
        // PKHBT, PKHTB
        6 => to_destination(Kind::Dsp, second),
        _ => None,
    }
}

/// Decodes data processing with a modified immediate, A5.3.1.
fn modified_immediate(first: u16, second: u16) -> Option<Instruction> {
    match first >> 5 & 15 {
        0..=4 | 8 | 10 | 11 | 13 | 14 => to_destination(Kind::Data, second),
        _ => None,
    }
}

/// Decodes data processing with a plain immediate, A5.3.3.
fn plain_immediate(first: u16, second: u16) -> Option<Instruction> {
    let unshifted = second & 0x70c0 == 0;
    match first >> 4 & 31 {
        // SSAT16, USAT16
        18 | 26 if unshifted => to_destination(Kind::Dsp, second),
        // ADDW, MOVW, SUBW, MOVT, SSAT, SBFX, BFI, USAT, UBFX
        0 | 4 | 10 | 12 | 16 | 18 | 20 | 22 | 24 | 26 | 28 => to_destination(Kind::Data, second),
        _ => None,
    }
}

/// Decodes branches and control, A5.3.4.
fn branch_or_control(first: u16, second: u16) -> Option<Instruction> {
    let (kind, writes) = match (second >> 12 & 5, first >> 4 & 0x7f) {
        (1, _) => (Kind::Branch, 0),
        (5, _) => (Kind::BranchLink, register(14)),
        (0, 0x38 | 0x39) => (Kind::Status, 0),
        (0, 0x3e | 0x3f) => (Kind::Status, register(second >> 8)),
        (0, 0x3a) if matches!(second & 0xff, 0 | 1 | 4) && second >> 8 & 7 == 0 => (Kind::Hint, 0),
        (0, 0x3b) if matches!(second >> 4 & 15, 4..=6) => (Kind::Barrier, 0),
        (0, group) if group & 0x38 != 0x38 => (Kind::BranchIf, 0),
        _ => return None,
    };
    Some(Instruction::new(kind, 4, writes))
}

/// Decodes loads and stores of one register, A5.3.7 to A5.3.10.
fn single(first: u16, second: u16) -> Option<Instruction> {
    let (base, loaded) = (first & 15, second >> 12);
    let loads = first >> 4 & 1 == 1;
    let word = first >> 5 & 3 == 2;
    let updates = second >> 8 & 1 == 1 || second >> 10 & 1 == 0;
    let (offset, address, updated): (Offset, Registers, Registers) = if base == 15 {
        (Offset::Literal, 0, 0)
    } else if first >> 7 & 1 == 1 {
        (Offset::Immediate, register(base), 0)
    } else if second >> 11 & 1 == 0 {
        (Offset::Register, register(base) | register(second), 0)
    } else if updates {
        (Offset::Updated, register(base), register(base))
    } else {
        (Offset::Immediate, register(base), 0)
    };
    let found = match (loads, loaded) {
        (false, _) if base == 15 => return None,
        (false, _) => Instruction::new(Kind::Store(offset), 4, updated),
        (true, 15) if word => Instruction::new(Kind::LoadPc, 4, updated),
        // PLD, PLI
        (true, 15) => return None,
        (true, _) => Instruction::new(Kind::Load(offset), 4, register(loaded) | updated),
    };
    Some(found.at(address))
}

/// Decodes data processing of registers, A5.3.12.
fn registers(first: u16, second: u16) -> Option<Instruction> {
    if second >> 12 != 15 {
        return None;
    }
    let without_base = first & 15 == 15;
    let kind = match (first >> 4 & 15, second >> 4 & 15) {
        // Shifts.
        (0..=7, 0) => Kind::Data,
        // SXTH, UXTH, SXTB, UXTB
        (0 | 1 | 4 | 5, 8..) if without_base => Kind::Data,
        // The same with an addition, and SXTB16, UXTB16.
        (0..=5, 8..) => Kind::Dsp,
        // Parallel additions and subtractions.
        (8.., 0..=7) => Kind::Dsp,
        // REV, REV16, RBIT, REVSH; CLZ
        (9, 8..=11) | (11, 8) => Kind::Data,
        // QADD, QDADD, QSUB, QDSUB; SEL
        (8, 8..=11) | (10, 8) => Kind::Dsp,
        _ => return None,
    };
    to_destination(kind, second)
}

/// Decodes multiplications with a result of 32 bits, A5.3.16.
fn multiply(first: u16, second: u16) -> Option<Instruction> {
    let kind = match (first >> 4 & 7, second >> 4 & 15, second >> 12) {
        (0, 0, 15) => Kind::Multiply,
        (0, 0 | 1, _) => Kind::MultiplyAccumulate,
        (1, 0..=3, _) | (2..=6, 0 | 1, _) | (7, 0, _) => Kind::Dsp,
        _ => return None,
    };
    to_destination(kind, second)
}

/// Decodes multiplications with a result of 64 bits, and divisions, A5.3.17.
fn multiply_long(first: u16, second: u16) -> Option<Instruction> {
    let kind = match (first >> 4 & 7, second >> 4 & 15) {
        (0 | 2, 0) => Kind::MultiplyLong,
        (1 | 3, 15) => return to_destination(Kind::Divide, second),
        (4 | 6, 0) => Kind::MultiplyAccumulateLong,
        (4, 8..=13) | (5, 12 | 13) | (6, 6) => Kind::Dsp,
        _ => return None,
    };
    let writes = register(second >> 12) | register(second >> 8);
    Some(Instruction::new(kind, 4, writes))
}
