//! Mutates containers such that many mutants pass the first checks of the parser.
//!
//! A container is split into header, records and blocks, edited a few times, and joined with
//! correct lengths. Most are then repaired where the parser states the value it expects (taps,
//! arena, sizes); a few have random bits flipped or are truncated. The checksum is always correct.

use rarefy_format::{
    CHECKSUM_OFFSET, HEADER_BYTES, Model, ParseError, RECORD_BYTES, container_checksum,
};

use crate::networks::Random;

/// Values of one byte at the edges of ranges.
const BYTES: [u8; 12] = [0, 1, 2, 3, 15, 16, 31, 63, 127, 128, 254, 255];
/// Values of two bytes at the edges of ranges.
const SHORTS: [u16; 8] = [0, 1, 2, 255, 256, 32_767, 32_768, 65_535];
/// Biases at the edges of ranges.
const LONGS: [u32; 6] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7F80_0000];

/// The bit of the number of layers that announces the units.
const UNITS_BIT: u8 = 0x80;

/// The header, records, blocks and units of a container.
struct Parts {
    header: [u8; HEADER_BYTES],
    layers: Vec<([u8; RECORD_BYTES], Vec<u8>)>,
    /// The section of units, if there is one.
    units: Option<Vec<u8>>,
}

/// Returns a mutant of one or two containers returned by `pick`.
pub fn container(random: &mut Random, pick: impl Fn(&mut Random) -> Vec<u8>) -> Vec<u8> {
    let mut parts = Parts::of(&pick(random));
    for _ in 0..1 + random.below(4) {
        match random.below(21) {
            0 => header(random, &mut parts.header),
            1 => {
                let from = Parts::of(&pick(random));
                splice(random, &mut parts, from);
            }
            2 => rearrange(random, &mut parts),
            3..6 => record(random, &mut parts),
            6..8 => front(random, &mut parts),
            8 => window(random, &mut parts),
            9..11 => resize(random, &mut parts),
            11 => units(random, &mut parts),
            _ => weights(random, &mut parts),
        }
    }
    let mut bytes = parts.joined();
    if random.chance(85) {
        for _ in 0..6 {
            if !repair(&mut parts, &bytes) {
                break;
            }
            bytes = parts.joined();
        }
    }
    if random.chance(8) {
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }
    if random.chance(1) {
        bytes.truncate(random.below(bytes.len() + 1));
    }
    sign(&mut bytes);
    bytes
}

/// Writes the correct checksum.
fn sign(bytes: &mut [u8]) {
    let checksum = container_checksum(bytes);
    if let Some(place) = bytes.get_mut(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

impl Parts {
    /// Splits a container, whose header and records must be complete. A block that extends past
    /// the end becomes empty.
    fn of(bytes: &[u8]) -> Parts {
        let (mut header, layers) = ([0; HEADER_BYTES], usize::from(bytes[8] & !UNITS_BIT));
        header.copy_from_slice(&bytes[..HEADER_BYTES]);
        let base = HEADER_BYTES + layers * RECORD_BYTES;
        let mut at = 0;
        let layer = |index: usize| {
            let mut record = [0; RECORD_BYTES];
            let start = HEADER_BYTES + index * RECORD_BYTES;
            record.copy_from_slice(&bytes[start..start + RECORD_BYTES]);
            let length = usize::from(u16::from_le_bytes([record[6], record[7]]));
            let length = length | usize::from(record[1] >> 5) << 16;
            let start = aligned(at, record[0]);
            at = start + length;
            let block = bytes.get(base + start..base + at).unwrap_or_default();
            (record, block.to_vec())
        };
        let layers = (0..layers).map(layer).collect();
        let units = (base + at).next_multiple_of(4);
        let units = bytes.get(units..).filter(|_| bytes[8] & UNITS_BIT != 0);
        Parts {
            header,
            layers,
            units: units.map(<[u8]>::to_vec),
        }
    }

    /// Joins the parts into a container with the correct number of layers and lengths.
    fn joined(&self) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        bytes[8] = self.layers.len() as u8;
        let mut blocks = Vec::new();
        for (record, block) in &self.layers {
            let [l0, l1, l2, _] = (block.len() as u32).to_le_bytes();
            let mut record = *record;
            record[1] = record[1] & 31 | l2 << 5;
            record[6..].copy_from_slice(&[l0, l1]);
            bytes.extend(record);
            blocks.resize(aligned(blocks.len(), record[0]), 0);
            blocks.extend(block);
        }
        bytes.extend(blocks);
        if let Some(units) = &self.units {
            bytes[8] |= UNITS_BIT;
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(units);
        }
        sign(&mut bytes);
        bytes
    }

    /// Picks a layer, if there is one.
    fn any(&mut self, random: &mut Random) -> Option<&mut ([u8; RECORD_BYTES], Vec<u8>)> {
        let count = self.layers.len().max(1);
        self.layers.get_mut(random.below(count))
    }
}

/// Aligns `at` to where a block may begin; `kind` is the first byte of its record.
fn aligned(at: usize, kind: u8) -> usize {
    match kind & 15 {
        4 | 15 => at,
        _ => at.next_multiple_of(4),
    }
}

/// Returns the size in bytes of the geometry and links in the block of this record.
fn front_bytes(record: &[u8; RECORD_BYTES], block: &[u8]) -> usize {
    let geometry = match record[0] >> 4 & 3 {
        0 => 0,
        _ if block.first() == Some(&0) => 12,
        _ => 8,
    };
    let links = if record[0] & 64 == 0 { 0 } else { 4 };
    geometry + links
}

/// Returns a value next to `old`, one at the edge of a range, or a random one.
fn other(random: &mut Random, old: u8) -> u8 {
    match random.below(4) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => BYTES[random.below(BYTES.len())],
        _ => random.next() as u8,
    }
}

/// Changes a byte of the arena's size or of the input's shape.
fn header(random: &mut Random, header: &mut [u8; HEADER_BYTES]) {
    let at = 9 + random.below(7);
    header[at] = other(random, header[at]);
}

/// Changes a field of a layer's record.
fn record(random: &mut Random, parts: &mut Parts) {
    let Some((record, block)) = parts.any(random) else {
        return;
    };
    match random.below(8) {
        0 => record[0] ^= 1 << random.below(8),
        1 => record[0] = record[0] & 0xF0 | [0, 1, 2, 3, 4, 5, 15][random.below(7)],
        // Adds or removes links.
        2 if record[0] & 64 == 0 => {
            let links = [1 + random.below(3) as u8, 0, random.below(64) as u8, 0];
            let at = front_bytes(record, block).min(block.len());
            block.splice(at..at, links);
            record[0] |= 64;
        }
        2 => {
            let end = front_bytes(record, block).min(block.len());
            block.drain(end.saturating_sub(4)..end);
            record[0] &= !64;
        }
        3..6 => record[1] = random.below(32) as u8,
        6 => record[2] = other(random, record[2]),
        _ => {
            let at = 2 + random.below(4);
            record[at] = other(random, record[at]);
        }
    }
}

/// Changes a byte of a layer's geometry or links.
fn front(random: &mut Random, parts: &mut Parts) {
    let Some((record, block)) = parts.any(random) else {
        return;
    };
    let end = front_bytes(record, block).min(block.len());
    if end > 0 {
        let at = random.below(end);
        let nibble = 4 * random.below(2);
        block[at] = if random.chance(50) {
            // Most fields are nibbles, and small.
            block[at] & !(15 << nibble) | (random.below(4) as u8) << nibble
        } else {
            other(random, block[at])
        };
    }
}

/// States another window in a layer's geometry, in its first byte or in four bytes after it.
fn window(random: &mut Random, parts: &mut Parts) {
    let Some((record, block)) = parts.any(random) else {
        return;
    };
    let extended = block.first() == Some(&0);
    if record[0] >> 4 & 3 == 0 || block.len() < if extended { 12 } else { 8 } {
        return;
    }
    let mut near = |side: u8| {
        let larger = side.saturating_add(random.below(4) as u8);
        larger.saturating_sub(random.below(3) as u8)
    };
    if extended {
        block[0] = near(block[8]) & 15 | block[10] << 4;
        block.drain(8..12);
    } else {
        let (side, stride) = (block[0] & 15, block[0] >> 4);
        let strides = near(stride) & 15 | stride << 4;
        block.splice(8..8, [near(side), near(side), strides, 0]);
        block[0] = 0;
    }
}

/// Changes the biases and weights of a layer: flips a bit, overwrites one, two or four bytes, or
/// copies a range.
fn weights(random: &mut Random, parts: &mut Parts) {
    let Some((record, block)) = parts.any(random) else {
        return;
    };
    let front = front_bytes(record, block).min(block.len());
    let body = &mut block[front..];
    if body.len() < 4 {
        return;
    }
    let at = random.below(body.len() - 3);
    match random.below(6) {
        0 => body[at] = other(random, body[at]),
        1 => body[at] ^= 1 << random.below(8),
        2 => {
            let short = SHORTS[random.below(SHORTS.len())].to_le_bytes();
            let at = at & !1;
            body[at..at + 2].copy_from_slice(&short);
        }
        3 => {
            let long = LONGS[random.below(LONGS.len())].to_le_bytes();
            let at = at & !3;
            body[at..at + 4].copy_from_slice(&long);
        }
        // Biases come first in most encodings.
        4 => body[(at % 16) & !3] = random.next() as u8,
        _ => {
            let from = random.below(body.len() - 3);
            let length = 1 + random.below(16);
            let stretch = body[from..]
                .iter()
                .copied()
                .take(length)
                .collect::<Vec<_>>();
            for (to, byte) in body[at..].iter_mut().zip(stretch) {
                *to = byte;
            }
        }
    }
}

/// Adds, removes, resizes or changes the section of units.
fn units(random: &mut Random, parts: &mut Parts) {
    let Some(units) = &mut parts.units else {
        // A step of 1, and one map of bytes to themselves.
        let [one, count] = [1.0_f32.to_le_bytes(), 1_u32.to_le_bytes()];
        parts.units = Some([one, count, [0; 4], one].concat());
        return;
    };
    match random.below(8) {
        0 => parts.units = None,
        1 => units.truncate(random.below(units.len() + 1)),
        2 => units.extend([0; 8]),
        3 if units.len() > 4 => units[4] = BYTES[random.below(BYTES.len())],
        _ => {
            let at = 4 * random.below(units.len() / 4 + 1);
            let number = LONGS[random.below(LONGS.len())].to_le_bytes();
            for (to, byte) in units[at..].iter_mut().zip(number) {
                *to = byte;
            }
        }
    }
}

/// Inserts bytes into a block or removes some.
fn resize(random: &mut Random, parts: &mut Parts) {
    let Some((_, block)) = parts.any(random) else {
        return;
    };
    let count = [1, 2, 4, 8][random.below(4)];
    let at = random.below(block.len() + 1);
    if random.chance(50) {
        let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        block.splice(at..at, bytes);
    } else {
        block.drain(at..(at + count).min(block.len()));
    }
}

/// Copies a random layer of `from` into `parts`.
fn splice(random: &mut Random, parts: &mut Parts, mut from: Parts) {
    let layer = from.layers.swap_remove(random.below(from.layers.len()));
    let at = random.below(parts.layers.len() + 1);
    if at < parts.layers.len() && random.chance(50) {
        parts.layers[at] = layer;
    } else {
        parts.layers.insert(at, layer);
    }
}

/// Duplicates, removes or swaps layers.
fn rearrange(random: &mut Random, parts: &mut Parts) {
    let count = parts.layers.len();
    let (a, b) = (random.below(count.max(1)), random.below(count.max(1)));
    match random.below(3) {
        0 if count > 0 => parts.layers.insert(a, parts.layers[b].clone()),
        1 if count > 1 => drop(parts.layers.remove(a)),
        _ if count > 0 => parts.layers.swap(a, b),
        _ => {}
    }
}

/// Applies the value that the parser expects. Returns `false` if `bytes` are accepted or there is
/// no simple repair.
fn repair(parts: &mut Parts, bytes: &[u8]) -> bool {
    let Err(error) = Model::parse(bytes) else {
        return false;
    };
    match error {
        ParseError::ArenaWords { computed, .. } => {
            parts.header[9..12].copy_from_slice(&(computed as u32).to_le_bytes()[..3]);
        }
        ParseError::Taps { layer, found, .. } => {
            let block = &mut parts.layers[layer].1;
            block[6..8].copy_from_slice(&(found as u16).to_le_bytes());
        }
        ParseError::OriginalSmaller {
            layer, stripped, ..
        } => {
            parts.layers[layer].0[4..6].copy_from_slice(&stripped.to_le_bytes());
        }
        ParseError::LastLayer { layer, .. } => parts.layers[layer].0[1] = 0,
        ParseError::Place { place, words, .. } if place + words < 1 << 16 => {
            // Enlarges the arena. If that is too much, the parser states the expected size next.
            let room = (place + words + 64).to_le_bytes();
            if parts.header[9..12] == room[..3] {
                return false;
            }
            parts.header[9..12].copy_from_slice(&room[..3]);
        }
        ParseError::BlockLength { layer, needed, .. } => {
            let (record, block) = &mut parts.layers[layer];
            let wanted = front_bytes(record, block) + needed;
            if wanted == block.len() || wanted > 4096 {
                return false;
            }
            block.resize(wanted, 0);
        }
        _ => return false,
    }
    true
}
