//! Writing a block: the parameters that make it smallest are found by trying.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::bits::fold;
use super::parameters::Parameters;
use super::{Rice, RiceError};

/// A row to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RiceRow {
    /// What the row's sum begins with.
    pub bias: i32,
    /// The row's columns, ascending, each with its weight, which is not 0.
    pub weights: Vec<(u16, i16)>,
}

/// What the parts of a block take, in bits; the padding of the last byte comes on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Parameters and codebook.
    pub parameters: usize,
    /// The list of selected columns, row lengths, first columns, gaps.
    pub positions: usize,
    /// Weights.
    pub values: usize,
    /// Biases.
    pub biases: usize,
}

impl Parts {
    /// All of them.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.parameters + self.positions + self.values + self.biases
    }
}

/// Writes a layer of `inputs` columns as the smallest block this encoding has for these rows in this
/// order: sort them first where they may be (see [`super::unit_order`]). A list of the columns that
/// are used is tried if `may_select`, which only a dense layer may.
///
/// # Errors
///
/// [`RiceError::Unwritable`] for columns that do not ascend or lie outside, and weights that are 0
/// or beyond what the encoding has (-256 to 256, or 256 different ones of a byte); else what
/// [`Rice::check`] says of the block.
pub fn write_rice(
    inputs: u16,
    rows: &[RiceRow],
    may_select: bool,
) -> Result<(Vec<u8>, Parts), RiceError> {
    for (row, content) in rows.iter().enumerate() {
        let ascend = content.weights.windows(2).all(|two| two[0].0 < two[1].0);
        let inside = content.weights.last().is_none_or(|last| last.0 < inputs);
        let zero = content.weights.iter().any(|weight| weight.1 == 0);
        if !ascend || !inside || zero {
            let row = row.min(usize::from(u16::MAX)) as u16;
            return Err(RiceError::Unwritable { row });
        }
    }
    let codebook = codebook(rows);
    let mut candidates = Vec::new();
    for weights in [Weights::uniform(rows), Weights::listed(&codebook)] {
        let Some(weights) = weights else { continue };
        for sorted in [false, true] {
            if !sorted || is_sorted(rows) {
                let layer = Layer::new(inputs, rows, may_select);
                candidates.push(smallest(&layer, plain(rows, weights, sorted)));
            }
        }
    }
    let smallest = candidates.into_iter().min_by_key(|(_, parts)| parts.bits());
    let (bytes, parts) = smallest.ok_or(RiceError::Unwritable { row: 0 })?;
    let outputs = u16::try_from(rows.len()).map_err(|_| RiceError::Rows { outputs: u16::MAX })?;
    Rice::check(&bytes, inputs, outputs)?;
    Ok((bytes, parts))
}

/// How weights become numbers.
#[derive(Clone, Copy)]
struct Weights<'a> {
    bits: u32,
    codebook: &'a [u8],
}

impl<'a> Weights<'a> {
    /// Sign and magnitude, if no magnitude is too large.
    fn uniform(rows: &[RiceRow]) -> Option<Self> {
        let weights = rows.iter().flat_map(|row| &row.weights);
        let largest = weights.map(|weight| weight.1.unsigned_abs()).max();
        let numbers = 2 * u32::from(largest.unwrap_or(1));
        let bits = numbers.next_power_of_two().ilog2();
        (bits <= 9).then_some(Weights {
            bits,
            codebook: &[],
        })
    }

    /// Places in a codebook, if there is one.
    fn listed(codebook: &'a [u8]) -> Option<Self> {
        (!codebook.is_empty()).then_some(Weights { bits: 0, codebook })
    }
}

/// The different weights, the most frequent first; nothing if they are too many or too large.
fn codebook(rows: &[RiceRow]) -> Vec<u8> {
    let mut counts = BTreeMap::new();
    for &(_, weight) in rows.iter().flat_map(|row| &row.weights) {
        *counts.entry(weight).or_insert(0usize) += 1;
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by_key(|&(weight, count)| (usize::MAX - count, weight));
    let bytes = sorted.iter().map(|&(weight, _)| i8::try_from(weight));
    match bytes.collect::<Result<Vec<i8>, _>>() {
        Ok(bytes) if bytes.len() <= 256 => bytes.iter().map(|&weight| weight as u8).collect(),
        _ => Vec::new(),
    }
}

/// Whether lengths do not fall and, among equal lengths, neither do first columns.
fn is_sorted(rows: &[RiceRow]) -> bool {
    let key = |row: &RiceRow| (row.weights.len(), row.weights.first().map(|first| first.0));
    rows.is_sorted_by_key(key)
}

/// The parameters that follow from the rows alone.
fn plain<'a>(rows: &[RiceRow], weights: Weights<'a>, sorted: bool) -> Parameters<'a> {
    let biases = || rows.iter().map(|row| row.bias);
    let shift = biases().map(|bias| bias.trailing_zeros().min(31)).min();
    let bias_shift = if biases().all(|bias| bias == 0) {
        0
    } else {
        shift.unwrap_or(0)
    };
    let largest = biases().map(|bias| fold(bias >> bias_shift)).max();
    Parameters {
        sorted,
        selected: false,
        adjacent: false,
        wide: false,
        length_k: 0,
        count_k: 0,
        bias_bits: u32::BITS - largest.unwrap_or(0).leading_zeros(),
        bias_unary: 0,
        bias_shift,
        weight_bits: weights.bits,
        // Allowed for any number of weights.
        weight_k: 8,
        codebook: weights.codebook,
        // Written as they are counted.
        columns: 0,
    }
}

/// The smallest block that differs from these parameters in what may be chosen. What one choice
/// costs does not depend on the others, but for the three that shape the gaps: those are tried
/// together.
fn smallest(layer: &Layer<'_>, plain: Parameters<'_>) -> (Vec<u8>, Parts) {
    type Choose = fn(&mut Choice<'_>, u32);
    let shape: Choose = |choice, value| {
        choice.parameters.selected = value & 1 != 0;
        choice.parameters.adjacent = value & 2 != 0;
        choice.parameters.wide = value & 4 != 0;
    };
    let choices: [(Choose, u32); 8] = [
        (|choice, value| choice.gap_k = value, 16),
        (|choice, value| choice.run_k = value, 16),
        (shape, 8),
        (|choice, value| choice.parameters.length_k = value, 8),
        (|choice, value| choice.parameters.count_k = value, 8),
        (
            |choice, value| {
                choice.parameters.bias_unary = value.min(choice.parameters.bias_bits);
            },
            8,
        ),
        (|choice, value| choice.parameters.weight_k = 9 - value, 10),
        (shape, 8),
    ];
    let mut best = Choice {
        parameters: plain,
        gap_k: 0,
        run_k: 0,
    };
    best.parameters.selected = layer.may_select;
    let mut written = layer.write(&best);
    for (choose, values) in choices {
        for value in 0..values {
            let mut choice = best.clone();
            choose(&mut choice, value);
            let allowed = layer.may_select || !choice.parameters.selected;
            let longest = choice.parameters.weight_k + choice.parameters.weight_limit();
            let short = matches!(longest, 1..=16);
            if allowed && short {
                let other = layer.write(&choice);
                if other.1.bits() < written.1.bits() {
                    (best, written) = (choice, other);
                }
            }
        }
    }
    written
}

/// All that a writer may choose.
#[derive(Clone)]
struct Choice<'a> {
    parameters: Parameters<'a>,
    gap_k: u32,
    run_k: u32,
}

/// A layer to be written.
struct Layer<'a> {
    inputs: u32,
    rows: &'a [RiceRow],
    may_select: bool,
    /// For each input its place among those that are used.
    place: Vec<u32>,
    used: Vec<bool>,
}

impl<'a> Layer<'a> {
    fn new(inputs: u16, rows: &'a [RiceRow], may_select: bool) -> Self {
        let mut used = alloc::vec![false; usize::from(inputs)];
        for &(column, _) in rows.iter().flat_map(|row| &row.weights) {
            used[usize::from(column)] = true;
        }
        let place = used.iter().scan(0, |count, &used| {
            let place = *count;
            *count += u32::from(used);
            Some(place)
        });
        Layer {
            inputs: u32::from(inputs),
            rows,
            may_select,
            place: place.collect(),
            used,
        }
    }

    /// The block with these choices, and what its parts take. [`super::rows::Rows`] step by step.
    fn write(&self, choice: &Choice<'_>) -> (Vec<u8>, Parts) {
        let parameters = &choice.parameters;
        let mut bits = BitWriter::default();
        let mut parts = Parts::default();
        for byte in parameters.head() {
            bits.number(u32::from(byte), 8);
        }
        if let Some(last) = parameters.codebook.len().checked_sub(1) {
            bits.number(last as u32, 8);
        }
        for &byte in parameters.codebook {
            bits.number(u32::from(byte), 8);
        }
        parts.parameters = bits.lap();
        let mut columns = self.inputs;
        if parameters.selected {
            columns = self.used.iter().map(|&used| u32::from(used)).sum();
            bits.number(columns, 16);
            self.select(choice, &mut bits);
            parts.positions += bits.lap();
        }
        let number = |weight: i16| match parameters.codebook {
            [] => (u32::from(weight.unsigned_abs()) - 1) << 1 | u32::from(weight < 0),
            book => book
                .iter()
                .position(|&entry| i16::from(entry as i8) == weight)
                .unwrap_or(0) as u32,
        };
        let mut length = if parameters.sorted { u32::MAX } else { 0 };
        let (mut run, mut first, mut gap_k) = (0, 0, 0);
        for (index, row) in self.rows.iter().enumerate() {
            let weights = row.weights.len() as u32;
            if run == 0 {
                if parameters.sorted {
                    let rest = &self.rows[index..];
                    run = rest.partition_point(|row| row.weights.len() as u32 == weights) as u32;
                    let shortest = length.wrapping_add(1);
                    let longest = columns.saturating_sub(shortest);
                    bits.rice(parameters.length_k, weights - shortest, longest);
                    bits.rice(parameters.count_k, run - 1, rest.len() as u32 - 1);
                } else {
                    let change = fold(weights.wrapping_sub(length) as i32);
                    bits.rice(parameters.length_k, change, 2 * columns);
                    run = 1;
                }
                (length, first) = (weights, 0);
                gap_k = parameters.gap_k(columns, length);
            }
            parts.positions += bits.lap();
            let bias = fold(row.bias >> parameters.bias_shift);
            let k = parameters.bias_bits - parameters.bias_unary;
            bits.rice_full(k, bias, (1 << parameters.bias_unary) - 1);
            parts.biases += bits.lap();
            let mut next = first;
            let mut slack = columns.saturating_sub(first + length);
            for (place, &(column, weight)) in row.weights.iter().enumerate() {
                let column = if parameters.selected {
                    self.place[usize::from(column)]
                } else {
                    u32::from(column)
                };
                let gap = column - next;
                if place == 0 {
                    let k = parameters.gap_k(columns - first, length * run);
                    bits.rice(k, gap, slack);
                    first = column;
                } else if !parameters.adjacent {
                    bits.rice(gap_k, gap, slack);
                } else if slack > 0 {
                    bits.number(u32::from(gap == 0), 1);
                    if gap > 0 {
                        bits.rice(gap_k, gap - 1, slack - 1);
                    }
                }
                parts.positions += bits.lap();
                bits.rice_full(
                    parameters.weight_k,
                    number(weight),
                    parameters.weight_limit(),
                );
                parts.values += bits.lap();
                slack -= gap;
                next = column + 1;
            }
            run -= 1;
        }
        (bits.bytes, parts)
    }

    /// The list of used columns. [`super::Selection`] step by step.
    fn select(&self, choice: &Choice<'_>, bits: &mut BitWriter) {
        bits.number(choice.gap_k, 4);
        bits.number(choice.run_k, 4);
        let mut rest = &self.used[..];
        while !rest.is_empty() {
            // Between two runs there is an input at least.
            if rest.len() < self.used.len() {
                rest = &rest[1..];
            }
            let gap = rest.iter().take_while(|&&used| !used).count();
            bits.rice(choice.gap_k, gap as u32, rest.len() as u32);
            rest = &rest[gap..];
            let run = rest.iter().take_while(|&&used| used).count();
            if run > 0 {
                bits.rice(choice.run_k, run as u32 - 1, rest.len() as u32 - 1);
            }
            rest = &rest[run..];
        }
    }
}

/// A bit stream that is being written.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    bits: usize,
    /// The bits at the last lap.
    lap: usize,
}

impl BitWriter {
    /// The bits since this was asked last.
    fn lap(&mut self) -> usize {
        let bits = self.bits - self.lap;
        self.lap = self.bits;
        bits
    }

    /// The low `count` bits of a number.
    fn number(&mut self, number: u32, count: u32) {
        for place in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((number >> place & 1) as u8) << (7 - self.bits % 8);
            }
            self.bits += 1;
        }
    }

    /// `zeros` of the at most `limit` zeros.
    fn zeros(&mut self, zeros: u32, limit: u32) {
        for _ in 0..zeros {
            self.number(0, 1);
        }
        if zeros < limit {
            self.number(1, 1);
        }
    }

    fn rice(&mut self, k: u32, number: u32, max: u32) {
        let (quotient, limit) = (number >> k, max >> k);
        self.zeros(quotient, limit);
        let width = if quotient == limit {
            u32::BITS - (max & ((1 << k) - 1)).leading_zeros()
        } else {
            k
        };
        self.number(number, width);
    }

    fn rice_full(&mut self, k: u32, number: u32, limit: u32) {
        self.zeros(number.checked_shr(k).unwrap_or(0), limit);
        self.number(number, k);
    }
}
