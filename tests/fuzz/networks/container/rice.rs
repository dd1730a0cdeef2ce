//! Reads the entropy-coded encoding, `rice`.

use super::Unreadable;
use super::cursor::{Bits, Cursor, need};

/// The head of a block.
struct Head(u32);

impl Head {
    /// Returns the number in `count` bits from bit `low`.
    fn field(&self, low: u32, count: u32) -> u32 {
        self.0 >> low & ((1 << count) - 1)
    }

    fn is_set(&self, bit: u32) -> bool {
        self.field(bit, 1) == 1
    }
}

/// Biases, and rows of (column, weight).
type Parts = (Vec<i32>, Vec<Vec<(usize, i32)>>);

/// Reads the rest of `block`.
pub(super) fn read(
    block: &mut Cursor<'_>,
    columns: usize,
    outputs: usize,
) -> Result<Parts, Unreadable> {
    let head = block.take(4)?;
    let head = Head(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    let mut codebook = Vec::new();
    if head.is_set(28) {
        let entries = usize::from(block.u8()?) + 1;
        codebook = block
            .take(entries)?
            .iter()
            .map(|&byte| i32::from(byte as i8))
            .collect();
    }
    let mut listed = None;
    if head.is_set(30) {
        let count = block.take(2)?;
        listed = Some(usize::from(u16::from_be_bytes([count[0], count[1]])));
    }
    let mut bits = Bits::new(block.take(block.left())?);
    let mut inputs: Vec<usize> = (0..columns).collect();
    if let Some(listed) = listed {
        inputs = list(&mut bits, columns)?;
        need(inputs.len() == listed, "as many inputs as stated")?;
    }
    let rows = rows(&mut bits, &head, &codebook, &inputs, outputs)?;
    let (left, zero) = bits.rest()?;
    need(left < 8 && zero, "nothing after the last row")?;
    Ok(rows)
}

/// Reads the list of used inputs.
fn list(bits: &mut Bits<'_>, columns: usize) -> Result<Vec<usize>, Unreadable> {
    let (gap_k, run_k) = (bits.number(4)? as u32, bits.number(4)? as u32);
    let (mut inputs, mut at) = (Vec::new(), 0);
    while at < columns {
        at += usize::from(at > 0) + bits.rice(gap_k)? as usize;
        if at < columns {
            let run = bits.rice(run_k)? as usize + 1;
            need(at + run <= columns, "inputs that exist")?;
            inputs.extend(at..at + run);
            at += run;
        }
    }
    Ok(inputs)
}

/// Returns `K(spread, weights)`.
fn parameter(columns: usize, spread: u32, weights: usize) -> u32 {
    let wanted = columns * spread as usize / 8;
    match weights {
        0 => 0,
        _ => (0..32)
            .find(|&k| weights << k >= wanted)
            .expect("some power is enough"),
    }
}

/// Returns the signed number that the folded `number` represents.
fn unfold(number: u64) -> i64 {
    let half = (number / 2) as i64;
    if number % 2 == 1 { -half - 1 } else { half }
}

/// Reads all rows.
fn rows(
    bits: &mut Bits<'_>,
    head: &Head,
    codebook: &[i32],
    inputs: &[usize],
    outputs: usize,
) -> Result<Parts, Unreadable> {
    let sorted = head.is_set(31);
    let (length_k, count_k) = (head.field(16, 4), head.field(13, 3));
    let (bias_k, bias_shift) = (head.field(8, 5), head.field(4, 4));
    let (mut biases, mut rows) = (Vec::new(), Vec::new());
    let mut length: i64 = if sorted { -1 } else { 0 };
    let (mut run, mut of_run, mut before) = (0, 0, 0);
    while rows.len() < outputs {
        if run == 0 {
            if sorted {
                length += 1 + bits.rice(length_k)? as i64;
                run = bits.rice(count_k)? as usize + 1;
            } else {
                length += unfold(bits.rice(length_k)?);
                run = 1;
            }
            need(
                (0..=inputs.len() as i64).contains(&length),
                "a row length from 0 to the number of inputs",
            )?;
            (of_run, before) = (run, 0);
        }
        run -= 1;
        biases.push((unfold(bits.rice(bias_k)?) << bias_shift) as i32);
        let length = length as usize;
        if length > 0 {
            let k = parameter(inputs.len(), head.field(24, 4), length * of_run);
            before += bits.rice(k)? as usize;
        }
        rows.push(row(bits, head, codebook, inputs, (length, before))?);
    }
    need(run == 0, "as many rows as outputs")?;
    Ok((biases, rows))
}

/// Reads the weights of a row of `length` weights whose first column is `column`.
fn row(
    bits: &mut Bits<'_>,
    head: &Head,
    codebook: &[i32],
    inputs: &[usize],
    (length, mut column): (usize, usize),
) -> Result<Vec<(usize, i32)>, Unreadable> {
    let (adjacent, weight_k) = (head.is_set(29), head.field(0, 4));
    let gap_k = parameter(inputs.len(), head.field(20, 4), length);
    let mut row = Vec::new();
    for place in 0..length {
        let start = bits.at;
        let number = bits.rice(weight_k)?;
        let weight = if codebook.is_empty() {
            let size = (number / 2 + 1) as i32;
            if number % 2 == 1 { -size } else { size }
        } else {
            *codebook
                .get(number as usize)
                .ok_or("no such entry of the codebook")?
        };
        let input = *inputs.get(column).ok_or("no such column")?;
        need(
            weight != 0 && i16::try_from(weight).is_ok(),
            "a weight of 16 bits",
        )?;
        row.push((input, weight));
        column += 1;
        if place + 1 < length && !(adjacent && bits.bit()?) {
            column += usize::from(adjacent) + bits.rice(gap_k)? as usize;
        }
        need(
            bits.at - start <= 25,
            "a weight and a gap of at most 25 bits",
        )?;
    }
    Ok(row)
}
