//! The damage that the checksum finds, as `SPEC.md` states it: proved or tried out.
//!
//! All of it rests on one property: exclusive or passes through, so whether a damage is noticed depends on the
//! bits that it flips and not on the bytes that they are in.

use std::array;
use std::collections::{BTreeSet, HashSet};

use rarefy_format::checksum;

/// What the checksum makes of its state with every word, seen from outside.
fn step(state: u32) -> u32 {
    checksum(&(state ^ u32::MAX).to_le_bytes())
}

/// A map of states to states that respects exclusive or: where each bit goes.
type Map = [u32; 32];

fn apply(map: &Map, state: u32) -> u32 {
    let set = |bit: &usize| state >> bit & 1 == 1;
    (0..32).filter(set).fold(0, |sum, bit| sum ^ map[bit])
}

/// `step`, `times` over.
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

/// How many of `vectors` are independent under exclusive or.
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

fn step_respects_exclusive_or(a: u32, b: u32) -> bool {
    step(a ^ b) == step(a) ^ step(b) && step(0) == 0
}

#[test]
fn the_specified_values_come_out() {
    assert_eq!(checksum(&[]), 0xFFFF_FFFF);
    assert_eq!(checksum(b"1234"), step(!u32::from_le_bytes(*b"1234")));
    assert_eq!(checksum(b"1234\0"), checksum(b"1234").rotate_right(8));
    let all = (1..=8).map(|count| checksum(&b"12345678"[..count]));
    let different: BTreeSet<u32> = all.collect();
    assert_eq!(different.len(), 8);
}

/// The premise of what follows: a damage is noticed or not whatever the container holds.
#[test]
fn the_effect_of_a_damage_does_not_depend_on_the_bytes() {
    for a in 0..32 {
        for b in [0x1234_5678_u32, 0xFFFF_FFFF, 0x8000_0001] {
            assert!(step_respects_exclusive_or(1 << a, b));
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

/// So the states that follow a damaged word never vanish, and never meet a second, like damage again.
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
fn a_burst_of_29_bits_is_noticed_wherever_it_begins() {
    // In one word it is, since a step loses nothing; here it begins in the high bits of a word.
    let noticed = |bits: u32, before: u32| {
        let first = (32 - before..32).map(|bit| step(1 << bit));
        let second = (0..bits - before).map(|bit| 1 << bit);
        rank(first.chain(second)) == bits as usize
    };
    assert!((1..29).all(|before| noticed(29, before)));
    assert!(
        !(1..30).all(|before| noticed(30, before)),
        "SPEC.md may say more"
    );
}

#[test]
fn any_two_bits_are_noticed_in_any_container() {
    // As many words as the largest container has.
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
fn any_two_bytes_are_noticed_11_kilobytes_apart_and_any_three_bits_1716_bytes() {
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
