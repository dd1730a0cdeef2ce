//! The check of a block of packed words by column.

use super::{Columns, Counts, sections};
use crate::bytes::{Bytes, check, u16_at};
use crate::encoding::rows::Dimensions;
use crate::error::ParseError;

/// Checks a block. Returns 0, since the length of its longest row is not needed.
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let Some((columns, zeros)) = sections(dims, block) else {
        return Err(ParseError::BlockLength {
            layer,
            needed: 8 + dims.outputs * 4,
            found: block.len(),
        });
    };
    if columns.index_bits > 15 || dims.outputs > 1 << columns.index_bits {
        return Err(ParseError::IndexBits {
            layer,
            found: columns.index_bits,
            count: dims.outputs,
        });
    }
    if zeros != 0 {
        return Err(not_zero(layer, zeros));
    }
    // Inputs that no row reads must be left out before the first pair and after the last.
    let (starts, skipped) = (columns.starts, columns.inputs[0]);
    let is_trimmed = match starts {
        [] => skipped == 0,
        [one] => u16_at(&[*one], 0) != 0,
        [one, two, ..] => {
            let first = u16_at(&[*one], 0) | u16_at(&[*two], 0);
            (first != 0 || skipped == 4 * 255) && u16_at(starts, starts.len() - 1) != 0
        }
    };
    if !is_trimmed {
        return Err(lengths(layer, skipped, starts.len()));
    }
    let (mut pair, mut end) = (0, 1);
    while pair < columns.starts.len() {
        let start = u16_at(columns.starts, pair) as usize;
        if start != 0 {
            if start != end || start >= columns.blocks.len() {
                return Err(lengths(layer, start, end));
            }
            let counts = Counts::of(columns.blocks[start]);
            end = start + counts.length();
            if end > columns.blocks.len() || counts.length() == 1 {
                return Err(lengths(layer, end, columns.blocks.len()));
            }
            if skipped + 2 * pair + 1 == dims.inputs && counts.both + counts.second > 0 {
                return Err(lengths(layer, counts.both + counts.second, 0));
            }
            check!(check_rows(layer, dims, columns, start, counts));
        }
        pair += 1;
    }
    if end != columns.blocks.len() {
        return Err(lengths(layer, end, columns.blocks.len()));
    }
    Ok(0)
}

/// Returns the error for padding that is not 0.
const fn not_zero(layer: usize, found: u8) -> ParseError {
    ParseError::NotZero { layer, found }
}

/// Returns the error for a block with the wrong start or length.
const fn lengths(layer: usize, stated: usize, found: usize) -> ParseError {
    ParseError::RowLengths {
        layer,
        stated,
        found,
    }
}

/// Checks that the rows of each section of a block increase and stay below the number of outputs.
#[inline(always)]
const fn check_rows(
    layer: usize,
    dims: Dimensions,
    columns: Columns<'_>,
    start: usize,
    counts: Counts,
) -> Result<(), ParseError> {
    let mask = columns.mask();
    let outputs = dims.outputs as i32;
    let mut block = Bytes::new(columns.blocks.as_flattened());
    if let Some(_) = block.elements::<4>(start + 1)
        && let Some(both) = block.elements(counts.both)
        && let Some(first) = block.elements(counts.first.div_ceil(2))
        && let Some(second) = block.elements(counts.second.div_ceil(2))
        && is_both(both, mask, outputs)
        && is_one(first, counts.first, mask, outputs)
        && is_one(second, counts.second, mask, outputs)
    {
        return Ok(());
    }
    Err(misfit(layer, dims, columns, counts.sections(start)))
}

/// Returns whether each `u32` has two words of one row, and the rows increase and stay below
/// `outputs`.
///
/// Kept out of line, like [`is_one`], because it would otherwise compete for registers with the
/// rest of the parser.
#[inline(never)]
const fn is_both(mut words: &[[u8; 4]], mask: u32, outputs: i32) -> bool {
    let mut last = -1;
    while let [pair, rest @ ..] = words {
        let pair = u32::from_le_bytes(*pair);
        let row = (pair & mask) as i32;
        let differs = (pair ^ pair >> 16) & mask != 0;
        if row <= last || differs || pair << 16 == 0 || pair >> 16 == 0 {
            return false;
        }
        (last, words) = (row, rest);
    }
    last < outputs
}

/// Returns whether the rows of `count` words, after the padding, increase and stay below `outputs`.
#[inline(never)]
const fn is_one(mut words: &[[u8; 4]], count: usize, mask: u32, outputs: i32) -> bool {
    let mut last = -1;
    if let [start, rest @ ..] = words {
        let start = u32::from_le_bytes(*start);
        // A word of 0 names row 0, so it can only be the first one. There it is the padding of an
        // odd section.
        let mut word = start << 16;
        if count % 2 == 1 {
            if word != 0 {
                return false;
            }
            word = start >> 16;
            (last, words) = ((word & mask) as i32, rest);
        }
        if word == 0 {
            return false;
        }
    }
    while let [pair, rest @ ..] = words {
        let pair = u32::from_le_bytes(*pair);
        let (one, other) = ((pair & mask) as i32, (pair >> 16 & mask) as i32);
        if one <= last || other <= one {
            return false;
        }
        (last, words) = (other, rest);
    }
    last < outputs
}

/// Returns the error for the first invalid word of a block that [`check_rows`] rejects.
#[inline(always)]
const fn misfit(
    layer: usize,
    dims: Dimensions,
    columns: Columns<'_>,
    sections: [[usize; 2]; 3],
) -> ParseError {
    let words: &[[u8; 2]] = columns.blocks.as_flattened().as_chunks().0;
    let mask = columns.mask() as u16;
    let mut error = ParseError::Column {
        layer,
        position: 0,
        column: 0,
        floor: 0,
        inputs: dims.outputs,
    };
    let mut section = 0;
    // Without `alloc`, on a device, the exact position is not worth its code size.
    while cfg!(feature = "alloc") && section < 3 {
        let [mut position, end] = sections[section];
        if section > 0 && position > sections[section - 1][1] {
            let padding = u16_at(words, position - 1);
            if padding != 0 {
                return not_zero(layer, (padding | padding >> 8) as u8);
            }
        }
        let mut floor = 0;
        while position < end {
            let word = u16_at(words, position);
            let row = (word & mask) as usize;
            // Whether this is the second word of a row that reads both inputs.
            let second = section == 0 && (position - sections[0][0]) % 2 == 1;
            let fits = row >= floor && row < dims.outputs && !(second && row > floor);
            if word == 0 || !fits {
                error = ParseError::Column {
                    layer,
                    position,
                    column: word & mask,
                    // No index is allowed for a word of 0.
                    floor: if word == 0 { dims.outputs } else { floor },
                    inputs: dims.outputs,
                };
                return error;
            }
            let has_second = section == 0 && !second;
            floor = if has_second { row } else { row + 1 };
            position += 1;
        }
        section += 1;
    }
    error
}
