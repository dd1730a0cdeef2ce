//! Reads bytes and bits in sequence.

use super::Unreadable;

/// Returns an error that says that the specification requires `what`, unless `condition` holds.
pub(super) fn need(condition: bool, what: &str) -> Result<(), Unreadable> {
    match condition {
        true => Ok(()),
        false => Err(format!("the specification requires {what}")),
    }
}

/// Reads little-endian numbers from the front of a slice of bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the number of bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        need(count <= self.bytes.len(), "more bytes than there are")?;
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unreadable> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unreadable> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Unreadable> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn i32s(&mut self, count: usize) -> Result<Vec<i32>, Unreadable> {
        (0..count).map(|_| Ok(self.u32()? as i32)).collect()
    }

    pub(super) fn u16s(&mut self, count: usize) -> Result<Vec<u16>, Unreadable> {
        (0..count).map(|_| self.u16()).collect()
    }
}

/// Reads a stream of bits, from the last byte to the first, each byte from its most significant
/// bit.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads all bits that are left. Returns their number, and whether all of them are zero.
    pub(super) fn rest(&mut self) -> Result<(usize, bool), Unreadable> {
        let left = 8 * self.bytes.len() - self.at;
        let mut zero = true;
        for _ in 0..left {
            zero &= !self.bit()?;
        }
        Ok((left, zero))
    }

    pub(super) fn bit(&mut self) -> Result<bool, Unreadable> {
        need(self.at < 8 * self.bytes.len(), "more bits than there are")?;
        let byte = self.bytes[self.bytes.len() - 1 - self.at / 8];
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    pub(super) fn number(&mut self, count: u32) -> Result<u64, Unreadable> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u64::from(self.bit()?);
        }
        Ok(number)
    }

    /// Reads `R(k)`: a quotient in unary, then a remainder of `k` bits.
    pub(super) fn rice(&mut self, k: u32) -> Result<u64, Unreadable> {
        let start = self.at;
        let mut quotient = 0;
        while !self.bit()? {
            quotient += 1;
        }
        let number = quotient << k | self.number(k)?;
        need(self.at - start <= 25, "codes of at most 25 bits")?;
        Ok(number)
    }
}
