//! Reads the biases and weights of each encoding.

use super::cursor::{Cursor, need};
use super::{Unreadable, Weights, rice};

/// Rows of (column, weight).
type Rows<T = i32> = Vec<Vec<(usize, T)>>;

/// Reads the rest of `block`, which stores `outputs` rows of `columns` columns as `encoding`.
pub(super) fn read(
    encoding: u8,
    block: &mut Cursor<'_>,
    columns: usize,
    outputs: usize,
) -> Result<Weights, Unreadable> {
    let (bias, rows) = match encoding {
        0 => dense(block, columns, outputs)?,
        1 => csr(block, outputs)?,
        2 => words(block, columns, outputs)?,
        3 => by_columns(block, columns, outputs)?,
        4 => rice::read(block, columns, outputs)?,
        5 => {
            let (bias, rows) = floats(block, outputs)?;
            check(&rows, columns)?;
            return Ok(Weights::Floats(bias, rows));
        }
        15 => return Ok(Weights::None),
        _ => return Err(format!("no encoding has the code {encoding}")),
    };
    need(
        bias.len() == outputs && rows.len() == outputs,
        "a row for each output",
    )?;
    check(&rows, columns)?;
    Ok(Weights::Integers(bias, rows))
}

/// Checks that the columns of each row ascend and exist.
fn check<T>(rows: &[Vec<(usize, T)>], columns: usize) -> Result<(), Unreadable> {
    for row in rows {
        let rise = row.windows(2).all(|pair| pair[0].0 < pair[1].0);
        need(
            rise && row.last().is_none_or(|last| last.0 < columns),
            "columns that ascend and exist",
        )?;
    }
    Ok(())
}

fn dense(
    block: &mut Cursor<'_>,
    columns: usize,
    outputs: usize,
) -> Result<(Vec<i32>, Rows), Unreadable> {
    let bias = block.i32s(outputs)?;
    let mut rows = Rows::<i32>::new();
    for _ in 0..outputs {
        let weights = block.take(columns)?.iter().enumerate();
        let weights = weights.map(|(column, &byte)| (column, i32::from(byte as i8)));
        rows.push(weights.filter(|&(_, weight)| weight != 0).collect());
    }
    Ok((bias, rows))
}

/// Splits `values` into rows of the given lengths.
fn split<T: Copy>(values: &[T], lengths: &[u16]) -> Result<Vec<Vec<T>>, Unreadable> {
    let total: usize = lengths.iter().map(|&length| usize::from(length)).sum();
    need(
        total == values.len(),
        "row lengths that add up to the number of weights",
    )?;
    let mut rest = values;
    let row = |&length: &u16| {
        let (row, others) = rest.split_at(length.into());
        rest = others;
        row.to_vec()
    };
    Ok(lengths.iter().map(row).collect())
}

fn csr(block: &mut Cursor<'_>, outputs: usize) -> Result<(Vec<i32>, Rows), Unreadable> {
    let (bias, lengths) = (block.i32s(outputs)?, block.u16s(outputs)?);
    need(block.left().is_multiple_of(3), "three bytes per weight")?;
    let stored = block.left() / 3;
    let places = block.u16s(stored)?;
    let weights = block.take(stored)?.iter();
    let pairs = places.iter().zip(weights);
    let pairs: Vec<(usize, i32)> = pairs
        .map(|(&place, &weight)| (place.into(), (weight as i8).into()))
        .collect();
    Ok((bias, split(&pairs, &lengths)?))
}

fn floats(block: &mut Cursor<'_>, outputs: usize) -> Result<(Vec<f32>, Rows<f32>), Unreadable> {
    let bits = |block: &mut Cursor<'_>, count: usize| -> Result<Vec<f32>, Unreadable> {
        (0..count)
            .map(|_| Ok(f32::from_bits(block.u32()?)))
            .collect()
    };
    let bias = bits(block, outputs)?;
    let lengths = block.u16s(outputs)?;
    if outputs % 2 == 1 {
        need(block.u16()? == 0, "padding of zeros")?;
    }
    need(block.left().is_multiple_of(6), "six bytes per weight")?;
    let stored = block.left() / 6;
    let weights = bits(block, stored)?;
    let places = block.u16s(stored)?;
    let pairs = places
        .iter()
        .map(|&place| usize::from(place))
        .zip(weights)
        .collect::<Vec<_>>();
    Ok((bias, split(&pairs, &lengths)?))
}

/// Returns the factor that a word represents: the whole word as a signed number.
fn signed(word: u16) -> i32 {
    i32::from(word as i16)
}

fn words(
    block: &mut Cursor<'_>,
    columns: usize,
    outputs: usize,
) -> Result<(Vec<i32>, Rows), Unreadable> {
    let mask = block.u32()?;
    let bits = mask.count_ones();
    need(
        (1..=15).contains(&bits) && mask == (1 << bits) - 1,
        "a mask of 1 to 15 bits",
    )?;
    need(columns <= 1 << bits, "a mask that covers every column")?;
    let (mut bias, mut rows) = (Vec::new(), Rows::<i32>::new());
    loop {
        let (form, more) = (usize::from(block.u16()?), usize::from(block.u16()?));
        if (form, more) == (34, 0) {
            break;
        }
        let length = match form {
            0..30 => form / 2,
            _ => block.u32()? as usize,
        };
        let even = usize::from((more + 1).is_multiple_of(2));
        let expected = if length <= 14 { 2 * length } else { 30 } + even;
        need(form == expected, "a form that suits the run's length")?;
        for _ in 0..=more {
            bias.push(block.u32()? as i32);
            let words = block.u16s(length.next_multiple_of(2))?;
            let used = words.iter().take_while(|&&word| word != 0).count();
            let rest = &words[used..];
            need(
                used <= length && rest.iter().all(|&word| word == 0),
                "zeros after a row",
            )?;
            let row = words[..used].iter();
            rows.push(
                row.map(|&word| ((u32::from(word) & mask) as usize, signed(word)))
                    .collect(),
            );
        }
    }
    need(
        rows.len() == outputs,
        "runs that add up to the number of outputs",
    )?;
    Ok((bias, rows))
}

fn by_columns(
    block: &mut Cursor<'_>,
    columns: usize,
    outputs: usize,
) -> Result<(Vec<i32>, Rows), Unreadable> {
    let bits = u32::from(block.u8()?);
    let skip = usize::from(block.u8()?);
    let pairs = usize::from(block.u16()?);
    need(
        bits <= 15 && outputs <= 1 << bits,
        "at most 15 bits that number every row",
    )?;
    let mask = (1_u16 << bits) - 1;
    let bias = block.i32s(outputs)?;
    let starts = block.u16s(pairs)?;
    if pairs % 2 == 1 {
        need(block.u16()? == 0, "padding of zeros")?;
    }
    let size = block.left() / 4;
    need(block.u32()? == 0, "an empty first block")?;
    let mut rows: Rows = vec![Vec::new(); outputs];
    let mut end = 1;
    for (pair, &start) in starts.iter().enumerate().filter(|(_, start)| **start > 0) {
        need(usize::from(start) == end, "blocks without gaps")?;
        let counts = block.u32()? as usize;
        let (both, first, second) = (counts >> 22, counts >> 11 & 0x7FF, counts & 0x7FF);
        end += 1 + both + first.div_ceil(2) + second.div_ceil(2);
        let input = 4 * skip + 2 * pair;
        let mut put = |input: usize, word: u16| {
            let row = usize::from(word & mask);
            need(row < outputs && word != 0, "nonzero words of existing rows")?;
            rows[row].push((input, signed(word)));
            Ok::<usize, Unreadable>(row)
        };
        for _ in 0..both {
            let row = put(input, block.u16()?)?;
            need(row == put(input + 1, block.u16()?)?, "two words of one row")?;
        }
        for (count, input) in [(first, input), (second, input + 1)] {
            need(
                count.is_multiple_of(2) || block.u16()? == 0,
                "a zero that fills up an odd section",
            )?;
            for word in block.u16s(count)? {
                put(input, word)?;
            }
        }
    }
    need(
        end == size && input_pairs(skip, pairs, columns),
        "as many pairs as stated",
    )?;
    Ok((bias, rows))
}

/// Returns whether `pairs` pairs after `skip` skipped groups of four inputs lie within `columns`
/// inputs.
fn input_pairs(skip: usize, pairs: usize, columns: usize) -> bool {
    4 * skip + 2 * pairs <= columns.next_multiple_of(2)
}
