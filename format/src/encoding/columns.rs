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
//! For dense layers only. Refused when `c` is above 15 or too few for the rows, when there are more pairs than
//! inputs, when the first four inputs (unless 255 fours are skipped) or the last pair are read by no row, when what must be 0 is not, when a start is not 0 nor the end of the block before, when a block is empty, ends behind the last
//! byte or has weights of an absent input, when bytes follow the last block, when a row is not below the
//! outputs, when the rows of a block's sections, merged, do not rise (so none is in two), when the two words of
//! a row differ in it, or when a word is 0.

use super::Dimensions;
use crate::bytes::{Bytes, u16_at};
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
            if let Err(error) = check_rows(layer, dims, columns, counts.sections(start)) {
                return Err(error);
            }
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

/// Checks the words of a block, whose sections lie inside: takes them in the order of their rows.
const fn check_rows(
    layer: usize,
    dims: Dimensions,
    columns: Columns<'_>,
    sections: [[usize; 2]; 3],
) -> Result<(), ParseError> {
    let words: &[[u8; 2]] = columns.blocks.as_flattened().as_chunks().0;
    let mask = columns.mask() as u16;
    let [both, first, second] = sections;
    // What fills up the first `u32` of an odd section.
    let mut padding = 0;
    if first[0] > both[1] {
        padding |= u16_at(words, first[0] - 1);
    }
    if second[0] > first[1] {
        padding |= u16_at(words, second[0] - 1);
    }
    if padding != 0 {
        return Err(ParseError::NotZero {
            layer,
            found: (padding | padding >> 8) as u8,
        });
    }
    let mut both = Section::new(words, both).twos(mask);
    let mut first = Section::new(words, first).ones(mask);
    let mut second = Section::new(words, second).ones(mask);
    let mut floor = 0;
    // Whichever section has the lowest row is next: the rows of all three, merged, rise.
    loop {
        let next = if both.row < first.row && both.row < second.row {
            both
        } else if first.row < second.row {
            first
        } else {
            second
        };
        if next.row < floor || next.row >= dims.outputs {
            if next.row == Section::END {
                return Ok(());
            }
            let (end, count) = if next.row == both.row {
                (sections[0][1], 2)
            } else if next.row == first.row {
                (sections[1][1], 1)
            } else {
                (sections[2][1], 1)
            };
            let place = (end - next.rest.len() - count, count);
            return Err(misfit(layer, dims.outputs, mask, words, place, floor));
        }
        floor = next.row + 1;
        if next.row == both.row {
            both = both.twos(mask);
        } else if next.row == first.row {
            first = first.ones(mask);
        } else {
            second = second.ones(mask);
        }
    }
}

/// What is wrong with the word at `position`, or with the one after it, where a row from `floor` was to come.
const fn misfit(
    layer: usize,
    outputs: usize,
    mask: u16,
    words: &[[u8; 2]],
    (position, count): (usize, usize),
    floor: usize,
) -> ParseError {
    let word = u16_at(words, position);
    let row = (word & mask) as usize;
    let other = u16_at(words, position + 1);
    let (at, word, floor) = if count == 2 && word != 0 && (other == 0 || (word ^ other) & mask != 0)
    {
        (position + 1, other, row)
    } else {
        (position, word, floor)
    };
    ParseError::Column {
        layer,
        position: at,
        column: word & mask,
        // Nothing is allowed where nothing is stored.
        floor: if word == 0 { outputs } else { floor },
        inputs: outputs,
    }
}

/// The words of a section that are left.
#[derive(Clone, Copy)]
struct Section<'a> {
    rest: &'a [[u8; 2]],
    /// The row of the word before these; past all rows where there was none, or none that fits.
    row: usize,
}

impl<'a> Section<'a> {
    /// The row behind the last word.
    const END: usize = usize::MAX;
    /// The row of a word of 0, and of two words of different rows.
    const MISFIT: usize = usize::MAX - 1;

    /// The words from `start` to `end`, which lie inside.
    const fn new(words: &'a [[u8; 2]], [start, end]: [usize; 2]) -> Self {
        let rest = match words.split_at_checked(end) {
            Some((before, _)) => match before.split_at_checked(start) {
                Some((_, rest)) => rest,
                None => &[],
            },
            None => &[],
        };
        Section { rest, row: 0 }
    }

    /// Goes on by a word.
    #[inline(always)]
    const fn ones(self, mask: u16) -> Self {
        let [word, rest @ ..] = self.rest else {
            return Section {
                row: Section::END,
                ..self
            };
        };
        let word = u16::from_le_bytes(*word);
        let row = if word == 0 {
            Section::MISFIT
        } else {
            (word & mask) as usize
        };
        Section { rest, row }
    }

    /// Goes on by the two words of a row.
    #[inline(always)]
    const fn twos(self, mask: u16) -> Self {
        let [word, other, rest @ ..] = self.rest else {
            return Section {
                row: Section::END,
                ..self
            };
        };
        let (word, other) = (u16::from_le_bytes(*word), u16::from_le_bytes(*other));
        let is_row = word != 0 && other != 0 && (word ^ other) & mask == 0;
        let row = if is_row {
            (word & mask) as usize
        } else {
            Section::MISFIT
        };
        Section { rest, row }
    }
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
