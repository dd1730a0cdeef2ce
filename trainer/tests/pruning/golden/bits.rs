//! The encodings of masks in the collection: packed bits, base64, hashes, and digits.

use rarefy_test_support::hexadecimal;
use sha2::{Digest, Sha256};

use crate::oracle::PerLayer;

/// Packs eight elements per byte, lowest bit first.
pub(super) fn packed(masks: &[Vec<bool>]) -> PerLayer<u8> {
    let byte = |bits: &[bool]| {
        let bits = bits.iter().rev();
        bits.fold(0, |byte, &bit| byte << 1 | u8::from(bit))
    };
    masks
        .iter()
        .map(|mask| mask.chunks(8).map(byte).collect())
        .collect()
}

/// Returns the SHA-256 of each layer's packed bits, in hexadecimal.
pub(super) fn sha256(masks: &[Vec<bool>]) -> Vec<String> {
    let hex = |layer: &Vec<u8>| hexadecimal(&Sha256::digest(layer));
    packed(masks).iter().map(hex).collect()
}

/// Decodes base64.
pub(super) fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is not a base64 digit"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes_of = |four: &[u8]| {
        let whole = four
            .iter()
            .fold(0_u32, |all, &digit| all << 6 | u32::from(digit));
        let whole = whole << (6 * (4 - four.len()));
        whole.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes_of).collect()
}

/// Decodes masks of one digit, 0 or 1, per element.
pub(super) fn of_digits(layers: &[Vec<u8>]) -> PerLayer<bool> {
    let layer = |layer: &Vec<u8>| layer.iter().map(|&digit| digit == 1).collect();
    layers.iter().map(layer).collect()
}
