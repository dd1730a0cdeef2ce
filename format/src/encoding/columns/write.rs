//! The writer of a block of packed words by column.

use alloc::vec;
use alloc::vec::Vec;

use crate::encoding::unfit::Unfit;
use crate::encoding::words::index_bits;

/// The packed words of a pair of inputs.
#[derive(Clone, Default)]
struct Pair {
    /// Two words for each row that reads both inputs.
    both: Vec<i16>,
    /// A word for each row that reads only the first input.
    first: Vec<i16>,
    /// A word for each row that reads only the second input.
    second: Vec<i16>,
}

impl Pair {
    /// Returns whether a row reads the pair.
    fn is_read(&self) -> bool {
        !(self.both.is_empty() && self.first.is_empty() && self.second.is_empty())
    }

    /// Appends the block of the pair to `blocks`.
    fn write(&self, blocks: &mut Vec<u8>) -> Result<(), Unfit> {
        let counts = [self.both.len() / 2, self.first.len(), self.second.len()];
        for (count, most) in counts.into_iter().zip([0x3FF, 0x7FF, 0x7FF]) {
            if count > most {
                return Err(Unfit::Row(count));
            }
        }
        let header = counts[0] << 22 | counts[1] << 11 | counts[2];
        blocks.extend((header as u32).to_le_bytes());
        for words in [&self.both, &self.first, &self.second] {
            blocks.resize(blocks.len() + 2 * (words.len() % 2), 0);
            blocks.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        Ok(())
    }
}

/// Returns the block of these biases and rows, or why the encoding cannot represent them.
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[Vec<(u16, i16)>],
) -> Result<Vec<u8>, Unfit> {
    let index_bits = index_bits(rows.len());
    if index_bits > 15 {
        return Err(Unfit::Columns(rows.len()));
    }
    let pairs = pairs(inputs, rows, (1 << index_bits) - 1)?;
    let end = pairs.iter().rposition(Pair::is_read);
    let end = end.map_or(0, |last| last + 1);
    let skip = pairs[..end].iter().position(Pair::is_read).unwrap_or(0) / 2;
    let skip = skip.min(255);
    let pairs = &pairs[2 * skip..end];
    let (mut starts, mut blocks) = (Vec::new(), vec![0u8; 4]);
    for pair in pairs {
        let mut start = 0;
        if pair.is_read() {
            start = blocks.len() / 4;
            pair.write(&mut blocks)?;
        }
        starts.push(u16::try_from(start).map_err(|_| Unfit::Row(start))?);
    }
    // The number of pairs fits 16 bits, since every column does.
    let [p0, p1] = (pairs.len() as u16).to_le_bytes();
    let mut block = vec![index_bits, skip as u8, p0, p1];
    block.extend(bias.iter().flat_map(|bias| bias.to_le_bytes()));
    block.extend(starts.iter().flat_map(|start| start.to_le_bytes()));
    block.resize(block.len().next_multiple_of(4), 0);
    block.extend(blocks);
    Ok(block)
}

/// Sorts the words of all rows into the sections of their pairs.
fn pairs(inputs: usize, rows: &[Vec<(u16, i16)>], mask: u16) -> Result<Vec<Pair>, Unfit> {
    let mut pairs = vec![Pair::default(); inputs.div_ceil(2)];
    for (row, weights) in (0u16..).zip(rows) {
        let mut weights = weights.iter().peekable();
        while let Some(&(column, word)) = weights.next() {
            let partner = weights.next_if(|next| column % 2 == 0 && next.0 == column + 1);
            for word in [Some(word), partner.map(|partner| partner.1)] {
                if let Some(word) = word.filter(|&word| word as u16 & mask != row || word == 0) {
                    return Err(Unfit::Weight(word));
                }
            }
            let pair = &mut pairs[usize::from(column / 2)];
            match partner {
                Some(&(_, partner)) => pair.both.extend([word, partner]),
                None if column % 2 == 0 => pair.first.push(word),
                None => pair.second.push(word),
            }
        }
    }
    Ok(pairs)
}
