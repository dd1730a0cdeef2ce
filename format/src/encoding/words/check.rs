//! The check of a block of packed words.

use super::{END, Run};
use crate::bytes::{Bytes, u16_at};
use crate::encoding::rows::Dimensions;
use crate::error::ParseError;

/// Checks a block and returns the largest number of words per row.
#[inline(always)]
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let mut bytes = Bytes::new(block);
    let too_short = block_length(layer, block.len() + 4, block);
    let Some(mask) = bytes.array() else {
        return Err(too_short);
    };
    let mask = u32::from_le_bytes(mask);
    let index_bits = mask.trailing_ones();
    if index_bits.wrapping_sub(1) > 14 || mask >> index_bits != 0 || dims.inputs > mask as usize + 1
    {
        return Err(ParseError::IndexBits {
            layer,
            found: index_bits as u8,
            count: dims.inputs,
        });
    }
    let (mut longest, mut outputs, mut position) = (0, 0, 0);
    loop {
        let Some(head) = bytes.array() else {
            return Err(too_short);
        };
        let head = u32::from_le_bytes(head);
        if head == END {
            break;
        }
        let Some(run) = Run::read(head, &mut bytes) else {
            return Err(ParseError::Run { layer, found: head });
        };
        let Some(rows) = bytes.elements(run.row() * run.rows) else {
            return Err(too_short);
        };
        let invalid = skip_rows(rows, run.length, mask, dims.inputs as i32);
        if let [_bias, pairs @ ..] = invalid {
            let valid = rows.len() - invalid.len();
            let position = position + 2 * (valid - valid / run.row());
            return Err(misfit(layer, dims.inputs, mask, run, pairs, position));
        }
        position += 2 * (rows.len() - run.rows);
        outputs += run.rows;
        if run.length > longest {
            longest = run.length;
        }
    }
    if outputs != dims.outputs {
        return Err(ParseError::RowLengths {
            layer,
            stated: outputs,
            found: dims.outputs,
        });
    }
    if !bytes.rest().is_empty() {
        let needed = block.len() - bytes.rest().len();
        return Err(block_length(layer, needed, block));
    }
    Ok(longest)
}

/// Returns the error for a block that should have `needed` bytes.
#[inline(always)]
const fn block_length(layer: usize, needed: usize, block: &[u8]) -> ParseError {
    ParseError::BlockLength {
        layer,
        needed,
        found: block.len(),
    }
}

/// Skips valid rows of `length` words, whose columns increase and stay below `inputs` and are
/// followed by zeros only. Returns what follows them, from the first invalid row on.
///
/// Since columns increase, only the last one is compared with `inputs`. Kept out of line because
/// it would otherwise compete for registers with the rest of the parser.
#[inline(never)]
const fn skip_rows(mut rows: &[[u8; 4]], length: usize, mask: u32, inputs: i32) -> &[[u8; 4]] {
    while let Some((row, rows_after)) = rows.split_at_checked(1 + length.div_ceil(2))
        && let [_bias, pairs @ ..] = row
    {
        // The column before the first one: -1 or, if the first word is 0, which no weight may
        // follow, the highest column.
        let mut last = match pairs {
            [[0, 0, ..], ..] => inputs - 1,
            _ => -1,
        };
        // Collects the words after the last column, which must be 0. A row of odd length must have
        // such a word, its padding.
        let (mut rest, mut zeros) = (pairs, length as u32 % 2);
        while let [pair, after @ ..] = rest {
            let pair = u32::from_le_bytes(*pair);
            let (first, second) = ((pair & mask) as i32, (pair >> 16 & mask) as i32);
            rest = after;
            if first > last && second > first {
                last = second;
                continue;
            }
            zeros = pair;
            if first > last {
                (last, zeros) = (first, pair >> 16);
            }
            break;
        }
        while let [pair, after @ ..] = rest {
            zeros |= u32::from_le_bytes(*pair);
            rest = after;
        }
        if zeros != 0 || last >= inputs {
            break;
        }
        rows = rows_after;
    }
    rows
}

/// Returns the error for the first invalid word of a row.
#[inline(always)]
const fn misfit(
    layer: usize,
    inputs: usize,
    mask: u32,
    run: Run,
    pairs: &[[u8; 4]],
    position: usize,
) -> ParseError {
    let words: &[[u8; 2]] = pairs.as_flattened().as_chunks().0;
    let (mut at, mut floor, mut column) = (0, 0, 0);
    // Without `alloc`, on a device, the exact position is not worth its code size.
    while cfg!(feature = "alloc") && at < words.len() {
        let word = u16_at(words, at);
        column = word & mask as u16;
        if word == 0 {
            floor = inputs;
        } else if at >= run.length || column as usize >= inputs || (column as usize) < floor {
            break;
        } else {
            floor = column as usize + 1;
        }
        at += 1;
    }
    ParseError::Column {
        layer,
        position: position + at,
        column,
        floor,
        inputs,
    }
}
