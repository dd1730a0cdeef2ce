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

/// The CRC-32 of two `parts` as if they lay one behind the other.
///
/// ```
/// assert_eq!(rarefy_format::crc32(&[b"1234", b"56789"]), 0xCBF4_3926);
/// ```
#[must_use]
pub const fn crc32(parts: &[&[u8]; 2]) -> u32 {
    let [before, behind] = *parts;
    !continued(continued(u32::MAX, before), behind)
}

const fn continued(mut crc: u32, mut bytes: &[u8]) -> u32 {
    while let Some((&byte, rest)) = bytes.split_first() {
        crc ^= byte as u32;
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        bytes = rest;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn agrees_with_published_values() {
        assert_eq!(crc32(&[&[], &[]]), 0);
        assert_eq!(crc32(&[b"a", &[]]), 0xE8B7_BE43);
        assert_eq!(crc32(&[b"123456789", &[]]), 0xCBF4_3926);
        assert_eq!(crc32(&[&[], &[0xFF; 4]]), 0xFFFF_FFFF);
    }
}
