//! Packed words: column and weight of a connection in 16 bits, rows of one length together.
//!
//! ```text
//!  0        4
//!  +--------+------+-----------------------------------------------+------+------ ... -+-----+
//!  | 2^c -1 | head | rows: i32 bias, then ceil(length / 2) pairs   | head | rows       | 34  |
//!  +--------+------+----------- one run ---------------------------+------+------ ... -+-----+
//!
//!  head (32 bits):  [ 0 : 1 | rows - 1 : 15 | form : 16 ]
//!  pair (32 bits):  [ weight : 16 - c | column : c ] [ weight : 16 - c | column : c ]
//!                    31         second word       16   15          first word        0
//! ```
//!
//! The low `c` bits of a word are its column. The whole word, as `i16`, is the weight that is
//! multiplied: the column is a known fraction of it, so an engine extracts nothing and the quantizer
//! loses nothing. The hidden units of a network can be ordered so that rows of equal length follow one
//! another: then a kernel has a body without a loop for each length.
//!
//! The form is what such a kernel jumps by, one load and one jump a run: `2 * length + e` for rows of up to
//! 14 words, `30 + e` for longer ones, whose length is the 32 bits behind the head; `e` is 1 where the
//! number of rows is even, so that a body may take two rows at a time. The last run is followed by the
//! number 34 in place of a head.
//!
//! A row ends with words of 0 where it is shorter than its run, and in the second half of its last pair
//! where the run's length is odd: they add nothing.
//!
//! Refused when `c` is 0, above 15 or too few for the columns, when a head says what none can, when the runs'
//! rows are not the layer's outputs, when the block has another length, when a column is not below the inputs,
//! when the columns of a row do not rise, or when something but 0 follows a word of 0.

use super::{Dimensions, Rows};
use crate::bytes::{Bytes, u16_at};
use crate::error::ParseError;

/// The longest row that its form alone tells.
const LONGEST: usize = 14;

/// The form of longer rows.
const LONG: u32 = 30;

/// What follows the last run.
const END: u32 = 34;

/// Rows that a run may have.
#[cfg(feature = "alloc")]
const MOST_ROWS: usize = 1 << 15;

/// Weights stored as packed words.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    inputs: usize,
    outputs: usize,
    block: &'a [[u8; 4]],
}

/// Bits that a word needs to name one of `count` columns (or rows): at least 1.
#[must_use]
pub const fn index_bits(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    if bits == 0 { 1 } else { bits as u8 }
}

impl<'a> Words<'a> {
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        Words {
            inputs: dims.inputs,
            outputs: dims.outputs,
            block: block.as_chunks().0,
        }
    }

    /// The layer's inputs: every column is below this.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The layer's outputs: as many rows as the runs have.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The mask that leaves of a word its column.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        match self.block {
            [mask, ..] => u32::from_le_bytes(*mask),
            [] => 0,
        }
    }

    /// All words of 32 bits: the mask, the runs (each a head and its rows, a bias and pairs of words
    /// each), and the end.
    #[must_use]
    pub const fn block(&self) -> &'a [[u8; 4]] {
        self.block
    }

    /// The runs.
    #[must_use]
    pub const fn runs(&self) -> WordsRuns<'a> {
        WordsRuns {
            stream: match self.block {
                [_, stream @ ..] => stream,
                [] => &[],
            },
        }
    }

    /// The rows.
    #[must_use]
    pub const fn rows(&self) -> WordsRows<'a> {
        WordsRows {
            mask: self.mask() as u16,
            runs: self.runs(),
            length: 0,
            rows: 0,
        }
    }
}

/// Length in words and number of the rows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Words of each row, those included that only fill it up.
    pub length: usize,
    /// Its rows: at least one.
    pub rows: usize,
}

impl Run {
    /// Words of 32 bits of a row: its bias and its pairs.
    #[inline(always)]
    const fn row(&self) -> usize {
        1 + self.length.div_ceil(2)
    }

    /// The run of a head and what follows it; `None` for no head.
    #[inline(always)]
    const fn read(head: u32, behind: &mut Bytes<'_>) -> Option<Run> {
        let (form, rows) = (head & 0xFFFF, (head >> 16) as usize + 1);
        let even = (rows as u32 + 1) & 1;
        let long = form == LONG | even;
        let length = if long {
            match behind.array() {
                Some(length) => u32::from_le_bytes(length) as usize,
                None => return None,
            }
        } else {
            form as usize / 2
        };
        let wrong = length > 0xFFFF || long != (length > LONGEST);
        if wrong || form & 1 != even || head >> 31 != 0 {
            return None;
        }
        Some(Run { length, rows })
    }
}

#[inline(always)]
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let mut bytes = Bytes::new(block);
    let too_short = ParseError::BlockLength {
        layer,
        needed: block.len() + 4,
        found: block.len(),
    };
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
        let wrong = skip_rows(rows, run.length, mask, dims.inputs as i32);
        if let [_bias, pairs @ ..] = wrong {
            let right = rows.len() - wrong.len();
            let position = position + 2 * (right - right / run.row());
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
        return Err(ParseError::BlockLength {
            layer,
            needed: block.len() - bytes.rest().len(),
            found: block.len(),
        });
    }
    Ok(longest)
}

/// Skips rows of `length` words whose columns rise, stay below `inputs`, and have only zeros after them.
///
/// Columns that rise are compared with each other, and only the last one with the inputs. A function of
/// its own: inlined, it would have to share the registers of all of parsing.
#[inline(never)]
const fn skip_rows(mut rows: &[[u8; 4]], length: usize, mask: u32, inputs: i32) -> &[[u8; 4]] {
    while let Some((row, behind)) = rows.split_at_checked(1 + length.div_ceil(2))
        && let [_bias, pairs @ ..] = row
    {
        // The column before: one below column 0, or, since no weight may follow a word of 0, the highest.
        let mut last = match pairs {
            [[0, 0, ..], ..] => inputs - 1,
            _ => -1,
        };
        // What must be 0: all that comes after the last column. An odd row has something after its last word.
        let (mut rest, mut zeros) = (pairs, length as u32 % 2);
        while let [pair, behind @ ..] = rest {
            let pair = u32::from_le_bytes(*pair);
            let (first, second) = ((pair & mask) as i32, (pair >> 16 & mask) as i32);
            rest = behind;
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
        while let [pair, behind @ ..] = rest {
            zeros |= u32::from_le_bytes(*pair);
            rest = behind;
        }
        if zeros != 0 || last >= inputs {
            break;
        }
        rows = behind;
    }
    rows
}

/// Why the first row of `pairs` is none: its first word that may not be there.
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
    // Where all errors are the same to the caller, the place is not worth its code.
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

/// The runs of [`Words`] that are left.
#[derive(Clone, Copy, Debug)]
pub struct WordsRuns<'a> {
    stream: &'a [[u8; 4]],
}

impl<'a> WordsRuns<'a> {
    /// The next run, whose rows are the next to be taken from the stream; `None` behind the last.
    #[inline(always)]
    fn head(&mut self) -> Option<Run> {
        let (head, stream) = self.stream.split_first()?;
        let mut behind = Bytes::new(stream.as_flattened());
        let run = match u32::from_le_bytes(*head) {
            END => None,
            head => Run::read(head, &mut behind),
        };
        self.stream = behind.rest().as_chunks().0;
        run
    }

    /// The next `count` words of the stream.
    #[inline(always)]
    fn words(&mut self, count: usize) -> Option<&'a [[u8; 4]]> {
        let (taken, stream) = self.stream.split_at_checked(count)?;
        self.stream = stream;
        Some(taken)
    }
}

impl Iterator for WordsRuns<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let run = self.head()?;
        self.words(run.row().saturating_mul(run.rows))?;
        Some(run)
    }
}

/// The rows of [`Words`] that are left.
#[derive(Clone, Copy, Debug)]
pub struct WordsRows<'a> {
    mask: u16,
    /// The runs behind this one, once its rows are taken.
    runs: WordsRuns<'a>,
    /// The length of the rows of this run.
    length: usize,
    /// The rows of it that are left.
    rows: usize,
}

impl Rows for WordsRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        if self.rows == 0 {
            let run = self.runs.head()?;
            (self.length, self.rows) = (run.length, run.rows);
        }
        self.rows -= 1;
        let &bias = self.runs.words(1)?.first()?;
        let pairs = self.runs.words(self.length.div_ceil(2))?;
        for word in pairs.as_flattened().as_chunks().0 {
            let word = u16::from_le_bytes(*word);
            if word != 0 {
                visit(word & self.mask, word as i16);
            }
        }
        Some(i32::from_le_bytes(bias))
    }
}

#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    let index_bits = index_bits(inputs);
    if index_bits > 15 {
        return Err(super::Unfit::Columns(inputs));
    }
    let mask = (1u16 << index_bits) - 1;
    let lengths: alloc::vec::Vec<usize> = rows.iter().map(alloc::vec::Vec::len).collect();
    let mut block = u32::from(mask).to_le_bytes().to_vec();
    let mut rest = bias.iter().zip(rows);
    for (length, rows) in runs(&lengths) {
        if length > 0xFFFF {
            return Err(super::Unfit::Row(length));
        }
        let even = u32::from(rows.is_multiple_of(2));
        let form = LONG.min(2 * length as u32) | even;
        block.extend(((rows as u32 - 1) << 16 | form).to_le_bytes());
        if length > LONGEST {
            block.extend((length as u32).to_le_bytes());
        }
        for (bias, row) in rest.by_ref().take(rows) {
            block.extend(bias.to_le_bytes());
            for &(column, word) in row {
                if word as u16 & mask != column || word == 0 {
                    return Err(super::Unfit::Weight(word));
                }
                block.extend(word.to_le_bytes());
            }
            let zeros = 2 * length.div_ceil(2) - row.len();
            block.extend(core::iter::repeat_n(0, 2 * zeros));
        }
    }
    block.extend(END.to_le_bytes());
    Ok(block)
}

/// Instructions that a run costs besides its rows, in units of a weight's: where it is cheaper to give
/// rows a few words of 0 than a run of their own, they get them.
#[cfg(feature = "alloc")]
const RUN_COST: usize = 2;

/// The runs of rows with these lengths, in their order: (length, rows). Neighbours share a run where
/// filling the shorter ones up costs less than another run. The words of 0 cost flash in pairs, so
/// odd lengths are filled for nothing.
#[cfg(feature = "alloc")]
fn runs(lengths: &[usize]) -> alloc::vec::Vec<(usize, usize)> {
    // Shortest paths over the boundaries between groups of equal neighbours.
    let mut groups: alloc::vec::Vec<(usize, usize)> = alloc::vec::Vec::new();
    for &length in lengths {
        match groups.last_mut() {
            Some((last, rows)) if *last == length => *rows += 1,
            _ => groups.push((length, 1)),
        }
    }
    let count = groups.len();
    let mut best = alloc::vec![(usize::MAX, 0); count + 1];
    best[0] = (0, 0);
    for end in 1..=count {
        let (mut longest, mut rows, mut weights) = (0, 0, 0);
        for start in (0..end).rev() {
            let (length, number) = groups[start];
            longest = longest.max(length);
            rows += number;
            weights += length * number;
            let cost = best[start].0 + RUN_COST + rows * longest - weights;
            if cost < best[end].0 {
                best[end] = (cost, start);
            }
        }
    }
    let mut runs = alloc::vec::Vec::new();
    let mut end = count;
    while end > 0 {
        let start = best[end].1;
        let longest = groups[start..end].iter().map(|group| group.0).max();
        let rows = groups[start..end].iter().map(|group| group.1).sum();
        let mut rows: usize = rows;
        while rows > 0 {
            let some = rows.min(MOST_ROWS);
            runs.push((longest.unwrap_or(0), some));
            rows -= some;
        }
        end = start;
    }
    runs.reverse();
    runs
}
