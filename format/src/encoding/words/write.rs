//! The writer of a block of packed words.

use alloc::vec;
use alloc::vec::Vec;

use super::{END, LONG, LONGEST, Run, index_bits};
use crate::encoding::unfit::Unfit;

/// The maximum number of rows in a run.
const MOST_ROWS: usize = 1 << 15;

/// The cost of a run besides its rows, in units of a weight's cost. Rows are filled up with words
/// of 0 where that is cheaper than a run of their own.
const RUN_COST: usize = 2;

/// Returns the block of these biases and rows, or why the encoding cannot represent them.
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[Vec<(u16, i16)>],
) -> Result<Vec<u8>, Unfit> {
    let index_bits = index_bits(inputs);
    if index_bits > 15 {
        return Err(Unfit::Columns(inputs));
    }
    let mask = (1u16 << index_bits) - 1;
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let mut block = u32::from(mask).to_le_bytes().to_vec();
    let mut rest = bias.iter().zip(rows);
    for run in runs(&lengths) {
        write_head(run, &mut block)?;
        for (bias, row) in rest.by_ref().take(run.rows) {
            block.extend(bias.to_le_bytes());
            for &(column, word) in row {
                if word as u16 & mask != column || word == 0 {
                    return Err(Unfit::Weight(word));
                }
                block.extend(word.to_le_bytes());
            }
            let zeros = 2 * run.length.div_ceil(2) - row.len();
            block.extend(core::iter::repeat_n(0, 2 * zeros));
        }
    }
    block.extend(END.to_le_bytes());
    Ok(block)
}

/// Writes the head of a run.
fn write_head(run: Run, block: &mut Vec<u8>) -> Result<(), Unfit> {
    let Run { length, rows } = run;
    if length > 0xFFFF {
        return Err(Unfit::Row(length));
    }
    let even = u32::from(rows.is_multiple_of(2));
    let form = LONG.min(2 * length as u32) | even;
    block.extend(((rows as u32 - 1) << 16 | form).to_le_bytes());
    if length > LONGEST {
        block.extend((length as u32).to_le_bytes());
    }
    Ok(())
}

/// Groups rows of these lengths, in their order, into the cheapest runs.
///
/// Neighbours share a run where filling up the shorter ones costs less than another run. Words are
/// stored in pairs, so adding one word to a row of odd length takes no flash.
fn runs(lengths: &[usize]) -> Vec<Run> {
    let groups = groups(lengths);
    let starts = cheapest_starts(&groups);
    let mut runs = Vec::new();
    let mut end = groups.len();
    while end > 0 {
        let group = &groups[starts[end]..end];
        let length = group.iter().map(|run| run.length).max().unwrap_or(0);
        let mut rows: usize = group.iter().map(|run| run.rows).sum();
        while rows > 0 {
            let count = rows.min(MOST_ROWS);
            runs.push(Run {
                length,
                rows: count,
            });
            rows -= count;
        }
        end = starts[end];
    }
    runs.reverse();
    runs
}

/// Groups neighbouring rows of equal length.
fn groups(lengths: &[usize]) -> Vec<Run> {
    let mut groups: Vec<Run> = Vec::new();
    for &length in lengths {
        match groups.last_mut() {
            Some(last) if last.length == length => last.rows += 1,
            _ => groups.push(Run { length, rows: 1 }),
        }
    }
    groups
}

/// Returns, for each boundary between groups, the start of the last run in the cheapest division
/// of the groups before that boundary into runs: the shortest paths over the boundaries.
fn cheapest_starts(groups: &[Run]) -> Vec<usize> {
    let mut costs = vec![usize::MAX; groups.len() + 1];
    let mut starts = vec![0; groups.len() + 1];
    costs[0] = 0;
    for end in 1..=groups.len() {
        let (mut longest, mut rows, mut weights) = (0, 0, 0);
        for start in (0..end).rev() {
            let group = groups[start];
            longest = longest.max(group.length);
            rows += group.rows;
            weights += group.length * group.rows;
            let cost = costs[start] + RUN_COST + rows * longest - weights;
            if cost < costs[end] {
                (costs[end], starts[end]) = (cost, start);
            }
        }
    }
    starts
}
