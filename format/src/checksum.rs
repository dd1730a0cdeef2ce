//! CRC-32 (IEEE 802.3, reflected, as in zip and PNG), four bits at a time: 64 bytes of table, since
//! it runs once at start-up on the device and flash is what is short there.

const POLYNOMIAL: u32 = 0xEDB8_8320;

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
};

/// The CRC-32 of `bytes`.
///
/// ```
/// assert_eq!(rarefy_format::crc32(b"123456789"), 0xCBF4_3926);
/// ```
#[must_use]
pub const fn crc32(bytes: &[u8]) -> u32 {
    without(bytes, bytes.len())
}

/// The CRC-32 of `bytes` without the four from `hole` on: one loop for what lies before and behind.
#[inline(always)]
pub(crate) const fn without(bytes: &[u8], hole: usize) -> u32 {
    let (mut crc, mut at) = (u32::MAX, 0);
    loop {
        if at == hole {
            at += 4;
        }
        if at >= bytes.len() {
            return !crc;
        }
        crc ^= bytes[at] as u32;
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{crc32, without};

    #[test]
    fn agrees_with_published_values() {
        assert_eq!(crc32(&[]), 0);
        assert_eq!(crc32(b"a"), 0xE8B7_BE43);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(&[0xFF; 4]), 0xFFFF_FFFF);
    }

    #[test]
    fn leaves_out_a_hole() {
        assert_eq!(without(b"123abcd456789", 3), crc32(b"123456789"));
        assert_eq!(without(b"123456789abcd", 9), crc32(b"123456789"));
        assert_eq!(without(b"123456789ab", 9), crc32(b"123456789"));
        assert_eq!(without(b"abcd", 0), 0);
    }
}
