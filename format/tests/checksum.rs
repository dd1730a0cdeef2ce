//! Proves that the checksum detects the damage that `SPEC.md` states.
//!
//! All proofs rest on one property: the checksum is linear under exclusive or, so whether damage
//! is detected depends on the bits that the damage flips and not on the bytes around them.

use std::array;
use std::collections::{BTreeSet, HashSet};

use rarefy_format::checksum;

/// Advances the checksum's state by one word, using only the public function.
fn step(state: u32) -> u32 {
    checksum(&(state ^ u32::MAX).to_le_bytes())
}

/// A linear map of states: the image of each bit.
type Map = [u32; 32];

/// Applies a linear map.
fn apply(map: &Map, state: u32) -> u32 {
    let set = |bit: &usize| state >> bit & 1 == 1;
    (0..32).filter(set).fold(0, |sum, bit| sum ^ map[bit])
}

/// Returns [`step`] repeated `times` times.
fn power(mut times: u64) -> Map {
    let mut square: Map = array::from_fn(|bit| step(1 << bit));
    let mut power: Map = array::from_fn(|bit| 1 << bit);
    while times > 0 {
        if times % 2 == 1 {
            power = power.map(|state| apply(&square, state));
        }
        square = square.map(|state| apply(&square, state));
        times /= 2;
    }
    power
}

/// Returns the rank of `vectors` under exclusive or.
fn rank(vectors: impl Iterator<Item = u32>) -> usize {
    let mut basis: Vec<u32> = Vec::new();
    for vector in vectors {
        let left = basis.iter().fold(vector, |left, &b| left.min(left ^ b));
        if left != 0 {
            basis.push(left);
        }
    }
    basis.len()
}

/// Returns whether [`step`] is linear for two states.
fn is_linear(a: u32, b: u32) -> bool {
    step(a ^ b) == step(a) ^ step(b) && step(0) == 0
}

#[test]
fn checksums_have_the_specified_values() {
    assert_eq!(checksum(&[]), 0xFFFF_FFFF);
    assert_eq!(checksum(b"1234"), step(!u32::from_le_bytes(*b"1234")));
    assert_eq!(checksum(b"1234\0"), checksum(b"1234").rotate_right(8));
    let all = (1..=8).map(|count| checksum(&b"12345678"[..count]));
    let different: BTreeSet<u32> = all.collect();
    assert_eq!(different.len(), 8);
}

/// Tests the premise of the other proofs: detection does not depend on the contents of the
/// container.
#[test]
fn the_effect_of_damage_does_not_depend_on_the_bytes() {
    for a in 0..32 {
        for b in [0x1234_5678_u32, 0xFFFF_FFFF, 0x8000_0001] {
            assert!(is_linear(1 << a, b));
        }
    }
    let (plain, other) = (*b"some bytes or other", [0x5A; 19]);
    for bit in 0..8 * plain.len() {
        let damaged = |mut bytes: [u8; 19]| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            checksum(&bytes)
        };
        let effect = checksum(&plain) ^ damaged(plain);
        assert_ne!(effect, 0);
        assert_eq!(effect, checksum(&other) ^ damaged(other));
    }
}

/// Tests that a difference of states does not recur within any container, so that equal damage in
/// two words never cancels out.
#[test]
fn the_period_is_that_of_all_states_but_zero() {
    const PERIOD: u64 = u32::MAX as u64;
    let identity: Map = array::from_fn(|bit| 1 << bit);
    assert_eq!(power(PERIOD), identity);
    for factor in [3, 5, 17, 257, 65_537] {
        assert_ne!(power(PERIOD / factor), identity, "{factor}");
    }
}

#[test]
fn a_burst_of_29_bits_is_detected_wherever_it_begins() {
    // A burst within one word is always detected, since steps are invertible. Here it begins in
    // the high bits of a word.
    let is_detected = |bits: u32, before: u32| {
        let first = (32 - before..32).map(|bit| step(1 << bit));
        let second = (0..bits - before).map(|bit| 1 << bit);
        rank(first.chain(second)) == bits as usize
    };
    assert!((1..29).all(|before| is_detected(29, before)));
    assert!(
        !(1..30).all(|before| is_detected(30, before)),
        "SPEC.md could promise more"
    );
}

#[test]
fn any_two_bits_are_detected_in_any_container() {
    // The words of the largest container.
    const WORDS: u32 = 64 * (0x8_0000 + 8) / 4 + 4;
    let mut states: Map = array::from_fn(|bit| 1 << bit);
    for distance in 1..=WORDS {
        for state in &mut states {
            *state = step(*state);
            assert!(!state.is_power_of_two(), "{distance} words apart");
        }
    }
}

#[test]
fn any_two_bytes_within_11_kilobytes_and_any_three_bits_within_1716_bytes_are_detected() {
    let in_a_byte = |state: u32| (0..4).any(|byte| state & !(0xFF << (8 * byte)) == 0);
    let mut bytes: Vec<u32> = (0..4)
        .flat_map(|byte| (1..=255).map(move |value| value << (8 * byte)))
        .collect();
    for distance in 1..11_264 / 4 {
        for state in &mut bytes {
            *state = step(*state);
            assert!(!in_a_byte(*state), "{distance} words apart");
        }
    }
    let mut bits: Map = array::from_fn(|bit| 1 << bit);
    let mut seen: HashSet<u32> = bits.into_iter().collect();
    for distance in 1..1716 / 4 {
        for state in &mut bits {
            *state = step(*state);
            seen.insert(*state);
        }
        for state in bits {
            let third = |bit: u32| seen.contains(&(state ^ 1 << bit));
            assert!(!(0..32).any(third), "{distance} words apart");
        }
    }
}
