//! The writer of a block, which tries parameters and keeps the smallest result.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::block::Rice;
use super::encode::{Choice, Encoded, Layer, RiceRow};
use super::parameters::{
    ADJACENT, BIAS_K, BIAS_SHIFT, COUNT_K, FIRST_SPREAD, GAP_SPREAD, LENGTH_K, LISTED, Parameters,
    SELECTED, SORTED, WEIGHT_K,
};
use super::parts::Parts;
use crate::encoding::unfit::Unfit;
use crate::error::RiceError;

/// Returns the block of a layer, or why the encoding cannot represent it. Only a dense layer may
/// have a list of used inputs (`may_select`).
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[Vec<(u16, i16)>],
    may_select: bool,
) -> Result<Vec<u8>, Unfit> {
    let inputs = u16::try_from(inputs).map_err(|_| Unfit::Columns(inputs))?;
    let rows = bias.iter().zip(rows).map(|(&bias, weights)| RiceRow {
        bias,
        weights: weights.clone(),
    });
    let rows: Vec<RiceRow> = rows.collect();
    let (block, _) = write_rice(inputs, &rows, may_select).map_err(Unfit::Rice)?;
    Ok(block)
}

/// Returns the smallest block that was found for a layer with `inputs` columns and these rows in
/// this order, and the sizes of its parts. If the rows may be reordered, sort them first (see
/// [`super::unit_order`]).
///
/// If `may_select`, a list of the used inputs is tried; only dense layers support one.
///
/// # Errors
///
/// - [`RiceError::Unwritable`] if columns are not strictly increasing or are out of range, or a
///   weight is 0.
/// - [`RiceError::Overlong`] if biases or weights are too large, or weights too far apart.
/// - [`RiceError::Rows`] if there are more than 65,535 rows.
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
    let smallest = candidates.into_iter().min_by_key(Encoded::cost);
    let smallest = smallest.ok_or(RiceError::Unwritable { row: 0 })?;
    if smallest.overlong > 0 {
        return Err(RiceError::Overlong);
    }
    let outputs = u16::try_from(rows.len()).map_err(|_| RiceError::Rows { outputs: u16::MAX })?;
    Rice::check(&smallest.block, inputs, outputs)?;
    Ok((smallest.block, smallest.parts))
}

/// Returns the distinct weights, the most frequent first, or nothing if they do not fit a
/// codebook.
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

/// Returns whether lengths do not decrease and, among equal lengths, neither do first columns.
fn is_sorted(rows: &[RiceRow]) -> bool {
    let key = |row: &RiceRow| (row.weights.len(), row.weights.first().map(|first| first.0));
    rows.is_sorted_by_key(key)
}

/// Returns the parameters from which the search starts. Those that do not follow from the rows
/// have values for which the codes of large numbers are still short enough.
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

/// Encodes the layer with the best parameters found, starting from `plain`.
///
/// The best value of a parameter does not depend on the others, except among those that shape the
/// gaps.
fn smallest(layer: &Layer<'_>, plain: Parameters<'_>) -> Encoded {
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
    let mut least = layer.measure(&best).cost();
    for (choose, values) in choices {
        for value in 0..values {
            let mut choice = best.clone();
            choose(&mut choice, value);
            if layer.may_select || !choice.parameters.is(SELECTED) {
                let cost = layer.measure(&choice).cost();
                if cost < least {
                    (best, least) = (choice, cost);
                }
            }
        }
    }
    layer.encode(&best)
}

/// Sets the parameters that shape the gaps, which are tried together, from the bits of `value`.
fn shape(choice: &mut Choice<'_>, value: u32) {
    choice.parameters.set(SELECTED, value);
    choice.parameters.set(ADJACENT, value >> 1);
    choice.parameters.set(GAP_SPREAD, value >> 2);
}
