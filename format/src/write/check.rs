//! Checks of a layer to write.

use alloc::vec::Vec;

use super::error::SpecError;
use super::spec::{LayerSpec, WeightsSpec};
use crate::encoding::Encoding;
use crate::operation::{MAX_STRIDE, Operation};
use crate::record::MAX_BLOCK_BYTES;
use crate::shape::Margin;

/// The largest size of a fused pooling window: six bits.
const MAX_POOLING: u8 = 63;

/// Checks that a geometry can state the window of a layer and its fused pooling.
pub(super) fn check_window(operation: &Operation) -> Result<(), SpecError> {
    let (window, pooled) = match *operation {
        Operation::Dense => return Ok(()),
        Operation::Conv { window, pooling } => (window, pooling.map_or(1, |(_, size)| size)),
        Operation::Pool { window, .. } => (window, 1),
    };
    let [down, across] = window.stride;
    let Margin {
        top,
        left,
        bottom,
        right,
    } = window.padding;
    let widest = [down, across, top, left, bottom, right].into_iter().max();
    if window.area() == 0 || widest > Some(MAX_STRIDE) || pooled > MAX_POOLING {
        return Err(SpecError::Window);
    }
    Ok(())
}

/// Checks that a dense block is not too long for a container, before it is allocated.
pub(super) fn check_length(spec: &LayerSpec, columns: usize) -> Result<(), SpecError> {
    let length = columns.saturating_add(4).saturating_mul(spec.outputs);
    if spec.encoding == Encoding::Dense && length > MAX_BLOCK_BYTES {
        return Err(SpecError::Length(length));
    }
    Ok(())
}

/// Checks that there are as many biases and rows as outputs, and that the columns of each row
/// are strictly increasing.
pub(super) fn check_lists(spec: &LayerSpec) -> Result<(), SpecError> {
    let check = |name, found: usize| {
        if found == spec.outputs {
            Ok(())
        } else {
            Err(SpecError::List {
                name,
                expected: spec.outputs,
                found,
            })
        }
    };
    /// Checks that columns are strictly increasing.
    fn rising<T>(rows: &[Vec<(u16, T)>]) -> Result<(), SpecError> {
        for row in rows {
            if let Some(pair) = row.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                return Err(SpecError::Order(pair[1].0));
            }
        }
        Ok(())
    }
    match &spec.weights {
        WeightsSpec::None => Ok(()),
        WeightsSpec::Integers { bias, rows } => {
            check("biases", bias.len())?;
            check("rows", rows.len())?;
            rising(rows)
        }
        WeightsSpec::Floats { bias, rows } => {
            check("biases", bias.len())?;
            check("rows", rows.len())?;
            rising(rows)
        }
    }
}

/// Checks that all columns exist, and that no input can make a sum overflow 32 bits.
pub(super) fn check_sums(spec: &LayerSpec, columns: usize) -> Result<(), SpecError> {
    let highest = match &spec.weights {
        WeightsSpec::None => return Ok(()),
        WeightsSpec::Floats { rows, .. } => rows.iter().flatten().map(|weight| weight.0).max(),
        WeightsSpec::Integers { rows, .. } => rows.iter().flatten().map(|weight| weight.0).max(),
    };
    if let Some(column) = highest.filter(|&column| usize::from(column) >= columns) {
        return Err(SpecError::Column { column, columns });
    }
    for (row, range) in spec.sum_ranges().enumerate() {
        if !range.fits() {
            return Err(SpecError::Overflow { row, range });
        }
    }
    Ok(())
}
