//! Decodes instructions of 16 bits: ARMv7-M Architecture Reference Manual (DDI 0403E), A5.2.

use super::instruction::{Instruction, Kind, Offset, register};

/// Decodes `code`. Returns `None` if it is undefined or has no fixed number of cycles.
pub(super) fn decode(code: u16) -> Option<Instruction> {
    let (low, high) = (register(code & 7), register(code >> 8 & 7));
    let make = |kind, writes| Some(Instruction::new(kind, 2, writes));
    match code >> 10 {
        // Shifts, and additions and subtractions of registers or 3 bits.
        0b000000..=0b000111 => make(Kind::Data, low),
        // MOV, CMP, ADD, SUB with 8 bits.
        0b001010 | 0b001011 => make(Kind::Data, 0),
        0b001000..=0b001111 => make(Kind::Data, high),
        0b010000 => match code >> 6 & 15 {
            // TST, CMP, CMN
            8 | 10 | 11 => make(Kind::Data, 0),
            13 => make(Kind::Multiply, low),
            _ => make(Kind::Data, low),
        },
        0b010001 => special(code),
        0b010010 | 0b010011 => make(Kind::Load(Offset::Literal), high),
        0b010100..=0b010111 => {
            let address = register(code >> 3 & 7) | register(code >> 6 & 7);
            let found = match code >> 9 & 7 {
                0..=2 => Instruction::new(Kind::Store(Offset::Register), 2, 0),
                _ => Instruction::new(Kind::Load(Offset::Register), 2, low),
            };
            Some(found.at(address))
        }
        // Words and bytes, halfwords, words on the stack.
        0b011000..=0b100111 => {
            let (address, loaded) = match code >> 12 {
                0b1001 => (register(13), high),
                _ => (register(code >> 3 & 7), low),
            };
            let found = match code >> 11 & 1 {
                0 => Instruction::new(Kind::Store(Offset::Immediate), 2, 0),
                _ => Instruction::new(Kind::Load(Offset::Immediate), 2, loaded),
            };
            Some(found.at(address))
        }
        // ADR, ADD to SP.
        0b101000..=0b101011 => make(Kind::Data, high),
        0b101100..=0b101111 => miscellaneous(code),
        0b110000..=0b110011 => {
            let list = code & 255;
            let found = match code >> 11 & 1 {
                0 => Instruction::new(Kind::StoreMany(list.count_ones()), 2, high),
                _ => Instruction::new(Kind::LoadMany(list.count_ones()), 2, list | high),
            };
            Some(found.at(high))
        }
        // 14 is undefined, 15 is SVC.
        0b110100..=0b110111 => match code >> 8 & 15 {
            14 | 15 => None,
            _ => make(Kind::BranchIf, 0),
        },
        0b111000 | 0b111001 => make(Kind::Branch, 0),
        _ => None,
    }
}

/// Decodes operations on high registers, and branches to registers.
fn special(code: u16) -> Option<Instruction> {
    let number = code & 7 | code >> 4 & 8;
    let (kind, writes) = match (code >> 8 & 3, number) {
        (1, _) => (Kind::Data, 0),
        (0 | 2, 15) => (Kind::DataToPc, 0),
        (0 | 2, _) => (Kind::Data, register(number)),
        _ if code >> 7 & 1 == 1 => (Kind::BranchLinkExchange, register(14)),
        _ => (Kind::BranchExchange, 0),
    };
    Some(Instruction::new(kind, 2, writes))
}

/// Decodes the miscellaneous instructions, A5.2.5.
fn miscellaneous(code: u16) -> Option<Instruction> {
    let list = code & 255;
    let many = list.count_ones() + u32::from(code >> 8 & 1);
    let (kind, writes) = match code >> 8 & 15 {
        0 => (Kind::Data, register(13)),
        1 | 3 | 9 | 11 => (Kind::CompareBranch, 0),
        2 => (Kind::Data, register(code & 7)),
        4 | 5 => (Kind::StoreMany(many), register(13)),
        6 if code & 0xffe0 == 0xb660 => (Kind::ChangeState, 0),
        10 if code >> 6 & 3 != 2 => (Kind::Data, register(code & 7)),
        12 => (Kind::LoadMany(many), list | register(13)),
        13 => (Kind::LoadManyPc(many), list | register(13)),
        15 => match (code & 15, code >> 4 & 15) {
            // The lowest bit that is set ends the block of 1 to 4 instructions.
            (mask @ 1.., _) => (Kind::If(4 - mask.trailing_zeros()), 0),
            (_, 0 | 1 | 4) => (Kind::Hint, 0),
            // WFE and WFI wait.
            _ => return None,
        },
        _ => return None,
    };
    let address = match kind {
        Kind::StoreMany(_) | Kind::LoadMany(_) | Kind::LoadManyPc(_) => register(13),
        _ => 0,
    };
    Some(Instruction::new(kind, 2, writes).at(address))
}
