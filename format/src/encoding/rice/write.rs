//! Writing a block: the parameters that make it smallest are found by trying.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::bits::{WINDOW, fold};
use super::parameters::{
    ADJACENT, BIAS_K, BIAS_SHIFT, COUNT_K, FIRST_SPREAD, GAP_SPREAD, LENGTH_K, LISTED, Parameters,
    SELECTED, SORTED, WEIGHT_K, gap_k,
};
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
    /// By how much codes are longer than a reader sees at once: 0 in a block that can be read.
    pub(super) overlong: usize,
}

impl Parts {
    /// All of them.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.parameters + self.positions + self.values + self.biases
    }

    /// What a choice is to make small: first that the block can be read.
    fn cost(&self) -> (usize, usize) {
        (self.overlong, self.bits())
    }
}

/// Writes a layer of `inputs` columns as the smallest block this encoding has for these rows in this
/// order: sort them first where they may be (see [`super::unit_order`]). A list of the columns that
/// are used is tried if `may_select`, which only a dense layer may.
///
/// # Errors
///
/// [`RiceError::Unwritable`] for columns that do not ascend or lie outside, and weights that are 0;
/// [`RiceError::Overlong`] for biases or weights too large or too far apart; else what
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
    let layer = Layer::new(inputs, rows, may_select);
    let mut candidates = Vec::new();
    for weights in [&[][..], &codebook] {
        for sorted in [false, true] {
            if !sorted || is_sorted(rows) {
                candidates.push(smallest(&layer, plain(rows, weights, sorted)));
            }
        }
    }
    let smallest = candidates.into_iter().min_by_key(|(_, parts)| parts.cost());
    let (bytes, parts) = smallest.ok_or(RiceError::Unwritable { row: 0 })?;
    if parts.overlong > 0 {
        return Err(RiceError::Overlong);
    }
    let outputs = u16::try_from(rows.len()).map_err(|_| RiceError::Rows { outputs: u16::MAX })?;
    Rice::check(&bytes, inputs, outputs)?;
    Ok((bytes, parts))
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

/// The parameters that follow from the rows alone; what may be chosen is such that long codes fit.
fn plain<'a>(rows: &[RiceRow], codebook: &'a [u8], sorted: bool) -> Parameters<'a> {
    let bits = rows.iter().fold(0, |bits, row| bits | row.bias);
    let shift = if bits == 0 {
        0
    } else {
        bits.trailing_zeros().min(15)
    };
    let mut plain = Parameters {
        codebook,
        ..Parameters::EMPTY
    };
    for (field, value) in [
        (SORTED, sorted.into()),
        (LISTED, u32::from(!codebook.is_empty())),
        (FIRST_SPREAD, 8),
        (GAP_SPREAD, 8),
        (LENGTH_K, 8),
        (COUNT_K, 7),
        (BIAS_K, 20),
        (BIAS_SHIFT, shift),
        (WEIGHT_K, 8),
    ] {
        plain.set(field, value);
    }
    plain
}

/// The smallest block that differs from these parameters in what may be chosen. What one choice
/// costs does not depend on the others, but for those that shape the gaps.
fn smallest(layer: &Layer<'_>, plain: Parameters<'_>) -> (Vec<u8>, Parts) {
    type Choose = fn(&mut Choice<'_>, u32);
    let choices: [(Choose, u32); 10] = [
        (|choice, value| choice.gap_k = value, 16),
        (|choice, value| choice.run_k = value, 16),
        (|choice, value| choice.parameters.set(WEIGHT_K, value), 16),
        (shape, 64),
        (
            |choice, value| choice.parameters.set(FIRST_SPREAD, value),
            16,
        ),
        (|choice, value| choice.parameters.set(LENGTH_K, value), 16),
        (|choice, value| choice.parameters.set(COUNT_K, value), 8),
        (|choice, value| choice.parameters.set(BIAS_K, value), 25),
        (shape, 64),
        (
            |choice, value| choice.parameters.set(FIRST_SPREAD, value),
            16,
        ),
    ];
    let mut best = Choice {
        parameters: plain,
        gap_k: 0,
        run_k: 0,
    };
    best.parameters.set(SELECTED, layer.may_select.into());
    let mut written = layer.write(&best);
    for (choose, values) in choices {
        for value in 0..values {
            let mut choice = best.clone();
            choose(&mut choice, value);
            if layer.may_select || !choice.parameters.is(SELECTED) {
                let other = layer.write(&choice);
                if other.1.cost() < written.1.cost() {
                    (best, written) = (choice, other);
                }
            }
        }
    }
    written
}

/// What shapes the gaps: these are tried together.
fn shape(choice: &mut Choice<'_>, value: u32) {
    choice.parameters.set(SELECTED, value);
    choice.parameters.set(ADJACENT, value >> 1);
    choice.parameters.set(GAP_SPREAD, value >> 2);
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
        let mut head = parameters.head.to_be_bytes().to_vec();
        if let Some(last) = parameters.codebook.len().checked_sub(1) {
            head.push(last as u8);
        }
        head.extend_from_slice(parameters.codebook);
        let mut bits = BitWriter::default();
        let mut parts = Parts::default();
        let mut columns = self.inputs;
        if parameters.is(SELECTED) {
            columns = self.used.iter().map(|&used| u32::from(used)).sum();
            head.extend((columns as u16).to_be_bytes());
            self.select(choice, &mut bits);
            parts.positions += bits.lap();
        }
        parts.parameters = 8 * head.len();
        let mut length = if parameters.is(SORTED) { u32::MAX } else { 0 };
        let (mut run, mut first, mut first_k, mut row_k) = (0, 0, 0, 0);
        for (index, row) in self.rows.iter().enumerate() {
            let weights = row.weights.len() as u32;
            if run == 0 {
                let change = weights.wrapping_sub(length);
                run = 1;
                if parameters.is(SORTED) {
                    let rest = &self.rows[index..];
                    run = rest.partition_point(|row| row.weights.len() as u32 == weights) as u32;
                    bits.rice(parameters.get(LENGTH_K), change.wrapping_sub(1));
                    bits.rice(parameters.get(COUNT_K), run - 1);
                } else {
                    bits.rice(parameters.get(LENGTH_K), fold(change as i32));
                }
                (length, first) = (weights, 0);
                first_k = gap_k(columns, parameters.get(FIRST_SPREAD), length * run);
                row_k = gap_k(columns, parameters.get(GAP_SPREAD), length);
            }
            run -= 1;
            parts.positions += bits.lap();
            bits.rice(
                parameters.get(BIAS_K),
                fold(row.bias >> parameters.get(BIAS_SHIFT)),
            );
            parts.biases += bits.lap();
            let mut next = None;
            let mut window = bits.bits;
            for &(column, weight) in &row.weights {
                let column = if parameters.is(SELECTED) {
                    self.place[usize::from(column)]
                } else {
                    u32::from(column)
                };
                match next {
                    None => {
                        bits.rice(first_k, column - first);
                        first = column;
                    }
                    Some(next) if !parameters.is(ADJACENT) => bits.rice(row_k, column - next),
                    Some(next) if next == column => bits.number(1, 1),
                    Some(next) => {
                        bits.number(0, 1);
                        bits.rice(row_k, column - next - 1);
                    }
                }
                // A weight and the gap behind it are read from one window.
                bits.overlong += (bits.bits - window).saturating_sub(WINDOW as usize);
                window = bits.bits;
                parts.positions += bits.lap();
                bits.rice(parameters.get(WEIGHT_K), parameters.number(weight));
                parts.values += bits.lap();
                next = Some(column + 1);
            }
        }
        parts.overlong = bits.overlong;
        bits.bytes.reverse();
        head.extend(bits.bytes);
        (head, parts)
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
            bits.rice(choice.gap_k, gap as u32);
            rest = &rest[gap..];
            let run = rest.iter().take_while(|&&used| used).count();
            if run > 0 {
                bits.rice(choice.run_k, run as u32 - 1);
            }
            rest = &rest[run..];
        }
    }
}

/// A bit stream that is being written.
#[derive(Default)]
struct BitWriter {
    /// The first byte to be read first.
    bytes: Vec<u8>,
    bits: usize,
    /// The bits at the last lap.
    lap: usize,
    overlong: usize,
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

    /// A number in Rice code, if a window holds it.
    fn rice(&mut self, k: u32, number: u32) {
        let bits = (number >> k) as usize + 1 + k as usize;
        if bits > WINDOW as usize {
            self.overlong += bits;
            return;
        }
        for _ in 0..number >> k {
            self.number(0, 1);
        }
        self.number(1, 1);
        self.number(number, k);
    }
}
