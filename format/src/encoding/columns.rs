//! Columns: for each pair of neighbouring inputs the rows that read it, so that an engine skips inputs that
//! are zero, and serves two weights of one row at once.
//!
//! ```text
//!  0    1      2       4                     4 + 4 * outputs         to a multiple of 4
//!  +----+------+-------+---------------------+-----------------------+----------------------------------------+
//!  | c  | skip | pairs | i32 bias[outputs]   | u16 starts[pairs], 0  | u32 0 | block of each pair with weights |
//!  +----+------+-------+---------------------+-----------------------+----------------------------------------+
//!
//!  block:  [ both : 10 | first : 11 | second : 11 ]   what follows: so many words (32 bits)
//!           31            21            10       0
//!          both:    [ word of 2k + 1 : 16 | word of 2k : 16 ]   a row that reads both inputs
//!          first:   [ word : 16 | word : 16 ]                   rows that read input 2k alone
//!          second:  [ word : 16 | word : 16 ]                   rows that read input 2k + 1 alone
//!
//!  word (16 bits):  [ weight : 16 - c | row : c ]
//! ```
//!
//! Pair k is the inputs 2k and 2k + 1; a last odd input has no partner. The first `4 * skip` inputs are read
//! by no row, nor are those behind the pairs that follow: an image's margin costs nothing. `starts[k - 2 * skip]`, in
//! units of 4 bytes from the `u32 0`, is where the block of pair k begins, 0 where no row reads it: the `u32
//! 0` is an empty block. As with packed words the whole word, as `i16`, is the weight. Where `first` or `second` is odd,
//! a word of 0 comes before its words: the last one ends a `u32`, where an engine's rounds end.
//!
//! A writer puts a row into one section of a block. Where a container has it in two, both weights count: no kernel
//! cares, so parsing does not look for it.
//!
//! For dense layers only. Refused when
//! - `c` is above 15 or too few for the rows, or there are more pairs than inputs;
//! - the first four inputs (unless 255 fours are skipped) or the last pair are read by no row;
//! - what must be 0 is not;
//! - a start is not 0 nor the end of the block before;
//! - a block is empty, ends behind the last byte or has weights of an absent input;
//! - bytes follow the last block;
//! - a row is not below the outputs, the rows of a section do not rise, or the two words of a row differ in it;
//! - a word is 0.

use super::Dimensions;
use crate::bytes::{Bytes, check, u16_at};
use crate::error::ParseError;

/// Weights stored by pairs of columns.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The first input of the first pair, and one behind the last of the last one.
    inputs: [usize; 2],
    index_bits: u8,
    bias: &'a [[u8; 4]],
    starts: &'a [[u8; 2]],
    blocks: &'a [[u8; 4]],
}

/// What the first `u32` of a block counts.
#[derive(Clone, Copy)]
struct Counts {
    /// Rows that read both inputs: a `u32` each.
    both: usize,
    /// Rows that read the first alone: half a `u32` each.
    first: usize,
    /// Rows that read the second alone.
    second: usize,
}

impl Counts {
    const fn of(header: [u8; 4]) -> Self {
        let header = u32::from_le_bytes(header);
        Counts {
            both: (header >> 22) as usize,
            first: (header >> 11 & 0x7FF) as usize,
            second: (header & 0x7FF) as usize,
        }
    }

    /// Units of 4 bytes of the block.
    const fn length(self) -> usize {
        1 + self.both + self.first.div_ceil(2) + self.second.div_ceil(2)
    }

    /// Where the words of its three sections begin and end, in words from the first of `block`.
    const fn sections(self, block: usize) -> [[usize; 2]; 3] {
        let both = 2 * block + 2;
        let first = both + 2 * self.both + self.first % 2;
        let second = first + self.first + self.second % 2;
        [
            [both, both + 2 * self.both],
            [first, first + self.first],
            [second, second + self.second],
        ]
    }
}

impl<'a> Columns<'a> {
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        match sections(dims, block) {
            Some((columns, _)) => columns,
            None => Columns {
                inputs: [0, 0],
                index_bits: 0,
                bias: &[],
                starts: &[],
                blocks: &[],
            },
        }
    }

    /// Which of the layer's inputs the pairs are; the others are read by no row.
    #[must_use]
    pub const fn inputs(&self) -> core::ops::Range<usize> {
        self.inputs[0]..self.inputs[1]
    }

    /// The mask that leaves of a word its row.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        (1 << (self.index_bits & 15)) - 1
    }

    /// A little-endian `i32` an output: every row is below their number.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// Where the block of each pair of inputs begins in [`Columns::blocks`]: `u16`.
    #[must_use]
    pub const fn starts(&self) -> &'a [[u8; 2]] {
        self.starts
    }

    /// All blocks, the empty one first: `u32`.
    #[must_use]
    pub const fn blocks(&self) -> &'a [[u8; 4]] {
        self.blocks
    }

    /// Tells every weight to `visit` as (column, row, weight), pair by pair; those of a row in rising columns.
    pub fn each(&self, mut visit: impl FnMut(u16, u16, i16)) {
        let mask = self.mask() as u16;
        let words: &[[u8; 2]] = self.blocks.as_flattened().as_chunks().0;
        for (pair, &start) in self.starts.iter().enumerate() {
            // There are no more than 65,535 columns.
            let column = (self.inputs[0] + 2 * pair) as u16;
            let start = usize::from(u16::from_le_bytes(start));
            let Some(&header) = self.blocks.get(start) else {
                return;
            };
            let sections = Counts::of(header).sections(start);
            for (section, [start, end]) in sections.into_iter().enumerate() {
                let words = words.get(start..end).unwrap_or(&[]);
                for (place, word) in words.iter().enumerate() {
                    let word = u16::from_le_bytes(*word);
                    let second = match section {
                        0 => (place % 2) as u16,
                        1 => 0,
                        _ => 1,
                    };
                    visit(column + second, word & mask, word as i16);
                }
            }
        }
    }
}

/// Cuts the sections and joins the bits between them that must be zero.
#[inline(always)]
const fn sections(dims: Dimensions, block: &[u8]) -> Option<(Columns<'_>, u8)> {
    let mut bytes = Bytes::new(block);
    let Some([index_bits, skip, p0, p1]) = bytes.array::<4>() else {
        return None;
    };
    let first = 4 * skip as usize;
    let pairs = u16::from_le_bytes([p0, p1]) as usize;
    // The last input may have no partner.
    let mut end = first + 2 * pairs;
    if end == dims.inputs + 1 {
        end = dims.inputs;
    }
    if end > dims.inputs {
        return None;
    }
    let Some(bias) = bytes.elements(dims.outputs) else {
        return None;
    };
    let Some(starts) = bytes.elements(pairs) else {
        return None;
    };
    let mut zeros = 0;
    if starts.len() % 2 == 1 {
        match bytes.array::<2>() {
            Some([z0, z1]) => zeros |= z0 | z1,
            None => return None,
        }
    }
    let (blocks, []) = bytes.rest().as_chunks() else {
        return None;
    };
    match blocks {
        &[[e0, e1, e2, e3], ..] => zeros |= e0 | e1 | e2 | e3,
        [] => return None,
    }
    let columns = Columns {
        inputs: [first, end],
        index_bits,
        bias,
        starts,
        blocks,
    };
    Some((columns, zeros))
}

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
        return Err(ParseError::NotZero {
            layer,
            found: zeros,
        });
    }
    // What is read by no row is left out before and behind.
    let (starts, skipped) = (columns.starts, columns.inputs[0]);
    let is_read = match starts {
        [] => skipped == 0,
        [one] => u16_at(&[*one], 0) != 0,
        [one, two, ..] => {
            let first = u16_at(&[*one], 0) | u16_at(&[*two], 0);
            (first != 0 || skipped == 4 * 255) && u16_at(starts, starts.len() - 1) != 0
        }
    };
    if !is_read {
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

/// Blocks that are not where or as long as they should be.
const fn lengths(layer: usize, stated: usize, found: usize) -> ParseError {
    ParseError::RowLengths {
        layer,
        stated,
        found,
    }
}

/// Checks the words of a block, which lies inside: the rows of each section rise and stay below the outputs.
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

/// Whether each `u32` has two words of one row, and the rows rise and stay below `outputs`.
///
/// A function of its own, like the next: inlined, it would have to share the registers of all of parsing.
#[inline(never)]
const fn is_both(mut words: &[[u8; 4]], mask: u32, outputs: i32) -> bool {
    let mut last = -1;
    while let [pair, behind @ ..] = words {
        let pair = u32::from_le_bytes(*pair);
        let row = (pair & mask) as i32;
        let differs = (pair ^ pair >> 16) & mask != 0;
        if row <= last || differs || pair << 16 == 0 || pair >> 16 == 0 {
            return false;
        }
        (last, words) = (row, behind);
    }
    last < outputs
}

/// Whether the rows of `count` words, after what fills them up, rise and stay below `outputs`.
#[inline(never)]
const fn is_one(mut words: &[[u8; 4]], count: usize, mask: u32, outputs: i32) -> bool {
    let mut last = -1;
    if let [start, behind @ ..] = words {
        let start = u32::from_le_bytes(*start);
        // A word of 0 has row 0, which rises at the start alone. There one fills an odd section up.
        let mut word = start << 16;
        if count % 2 == 1 {
            if word != 0 {
                return false;
            }
            word = start >> 16;
            (last, words) = ((word & mask) as i32, behind);
        }
        if word == 0 {
            return false;
        }
    }
    while let [pair, behind @ ..] = words {
        let pair = u32::from_le_bytes(*pair);
        let (one, other) = ((pair & mask) as i32, (pair >> 16 & mask) as i32);
        if one <= last || other <= one {
            return false;
        }
        (last, words) = (other, behind);
    }
    last < outputs
}

/// What of a block that [`check_rows`] rejects does not fit: the first such word.
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
    // Where all errors are the same to the caller, the place is not worth its code.
    while cfg!(feature = "alloc") && section < 3 {
        let [mut position, end] = sections[section];
        if section > 0 && position > sections[section - 1][1] {
            let padding = u16_at(words, position - 1);
            if padding != 0 {
                return ParseError::NotZero {
                    layer,
                    found: (padding | padding >> 8) as u8,
                };
            }
        }
        let mut floor = 0;
        while position < end {
            let word = u16_at(words, position);
            let row = (word & mask) as usize;
            // The second word of a row that reads both inputs.
            let second = section == 0 && (position - sections[0][0]) % 2 == 1;
            let fits = row >= floor && row < dims.outputs && !(second && row > floor);
            if word == 0 || !fits {
                error = ParseError::Column {
                    layer,
                    position,
                    column: word & mask,
                    // Nothing is allowed where nothing is stored.
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

#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    use alloc::vec::Vec;

    let index_bits = super::words::index_bits(rows.len());
    if index_bits > 15 {
        return Err(super::Unfit::Columns(rows.len()));
    }
    let mask = (1u16 << index_bits) - 1;
    // For each pair the words of its three sections.
    let mut pairs = alloc::vec![[const { Vec::new() }; 3]; inputs.div_ceil(2)];
    for (row, weights) in (0u16..).zip(rows) {
        let mut weights = weights.iter().peekable();
        while let Some(&(column, word)) = weights.next() {
            let partner = weights.next_if(|next| column % 2 == 0 && next.0 == column + 1);
            for word in [Some(word), partner.map(|partner| partner.1)] {
                if let Some(word) = word.filter(|&word| word as u16 & mask != row || word == 0) {
                    return Err(super::Unfit::Weight(word));
                }
            }
            let [both, first, second] = &mut pairs[usize::from(column / 2)];
            match partner {
                Some(&(_, partner)) => both.extend([word, partner]),
                None if column % 2 == 0 => first.push(word),
                None => second.push(word),
            }
        }
    }
    let is_read = |pair: &[Vec<i16>; 3]| pair.iter().any(|words| !words.is_empty());
    let end = pairs.iter().rposition(is_read).map_or(0, |last| last + 1);
    let skip = pairs[..end].iter().position(is_read).unwrap_or(0) / 2;
    let skip = skip.min(255);
    let pairs = &pairs[2 * skip..end];
    let (mut starts, mut blocks) = (Vec::new(), alloc::vec![0u8; 4]);
    for [both, first, second] in pairs {
        let counts = [both.len() / 2, first.len(), second.len()];
        if counts == [0; 3] {
            starts.push(0);
            continue;
        }
        for (count, most) in counts.into_iter().zip([0x3FF, 0x7FF, 0x7FF]) {
            if count > most {
                return Err(super::Unfit::Row(count));
            }
        }
        let start = blocks.len() / 4;
        starts.push(u16::try_from(start).map_err(|_| super::Unfit::Row(start))?);
        let header = counts[0] << 22 | counts[1] << 11 | counts[2];
        blocks.extend((header as u32).to_le_bytes());
        for words in [both, first, second] {
            blocks.resize(blocks.len() + 2 * (words.len() % 2), 0);
            blocks.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
    }
    // Below the limit, since blocks are.
    let [p0, p1] = (pairs.len() as u16).to_le_bytes();
    let mut block = alloc::vec![index_bits, skip as u8, p0, p1];
    block.extend(bias.iter().flat_map(|bias| bias.to_le_bytes()));
    block.extend(starts.iter().flat_map(|start| start.to_le_bytes()));
    block.resize(block.len().next_multiple_of(4), 0);
    block.extend(blocks);
    Ok(block)
}
