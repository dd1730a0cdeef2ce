//! Shapes of arrays as ONNX changes them.

use super::constant::elements;

/// Returns the shape of a transposed array and, for each of its elements, the index of the element
/// in the original.
///
/// # Errors
/// Returns the reason if `perm` is not a permutation of the axes of `shape`.
pub(super) fn transposition(
    shape: &[usize],
    perm: &[usize],
) -> Result<(Vec<usize>, impl Iterator<Item = usize> + use<>), String> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..shape.len()) {
        return Err(format!(
            "its permutation {perm:?} does not fit an array of {shape:?}: export the model again"
        ));
    }
    let strides = strides(shape);
    let to: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = perm.iter().map(|&axis| strides[axis]).collect();
    Ok((to.clone(), walk(to, steps)))
}

/// Returns, for each element of an array of shape `to`, the index of the element of an array of
/// shape `from` that broadcasting combines with it; `None` if broadcasting does not yield `to`.
pub(super) fn broadcasting(
    from: &[usize],
    to: &[usize],
) -> Option<impl Iterator<Item = usize> + use<>> {
    let new = to.len().checked_sub(from.len())?;
    let fits = from
        .iter()
        .zip(&to[new..])
        .all(|(&from, &to)| from == to || from == 1);
    let mut steps = vec![0; new];
    for (stride, &length) in strides(from).into_iter().zip(from) {
        steps.push(if length == 1 { 0 } else { stride });
    }
    fits.then(|| walk(to.to_vec(), steps))
}

/// Resolves the shape `target` that a `Reshape` of an array of shape `dims` asks for. `zeros`
/// states that a length of 0 means 0, not the length of the same axis of `dims`.
///
/// # Errors
/// Returns the reason if it has another number of elements.
pub(super) fn resolve(dims: &[usize], target: &[i64], zeros: bool) -> Result<Vec<usize>, String> {
    let reason = || format!("it reshapes an array of {dims:?} to {target:?}, which does not fit");
    let mut shape = Vec::new();
    for (axis, &length) in target.iter().enumerate() {
        shape.push(match length {
            0 if !zeros => *dims.get(axis).ok_or_else(reason)?,
            // Inferred below.
            -1 => 1,
            length => usize::try_from(length).map_err(|_| reason())?,
        });
    }
    let (have, given) = (elements(dims)?, elements(&shape)?);
    let mut unknown = target
        .iter()
        .enumerate()
        .filter(|(_, length)| **length == -1);
    if let (Some((axis, _)), None) = (unknown.next(), unknown.next()) {
        shape[axis] = have.checked_div(given).unwrap_or(0);
    }
    match elements(&shape)? == have {
        true => Ok(shape),
        false => Err(reason()),
    }
}

/// Returns the distance between neighbours along each axis of an array of `shape`.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Walks an array of `shape` in row-major order and yields, for each element, the sum of its
/// coordinates times `steps`.
pub(super) fn walk(shape: Vec<usize>, steps: Vec<usize>) -> impl Iterator<Item = usize> {
    let length: usize = shape.iter().product();
    (0..length).map(move |mut index| {
        let mut at = 0;
        for (&length, &step) in shape.iter().zip(&steps).rev() {
            at += index % length * step;
            index /= length;
        }
        at
    })
}

/// Converts the number of an axis, which counts from the end if it is negative.
///
/// # Errors
/// Returns the reason if an array of `rank` axes has no such axis.
pub(super) fn axis(number: i64, rank: usize) -> Result<usize, String> {
    let from_start = if number < 0 {
        number + rank as i64
    } else {
        number
    };
    usize::try_from(from_start)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("it names axis {number} of an array with {rank} axes"))
}

/// Returns `shape` without the given axes, or without all axes of length 1.
///
/// # Errors
/// Returns the reason if an axis does not exist or is longer than 1.
pub(super) fn squeezed(shape: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let removed = match axes {
        Some(axes) => each_axis(axes, shape.len())?,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if let Some(&long) = removed.iter().find(|&&axis| shape[axis] != 1) {
        return Err(format!(
            "it removes axis {long} of an array of {shape:?}, which is not 1 long"
        ));
    }
    let kept = (0..shape.len()).filter(|axis| !removed.contains(axis));
    Ok(kept.map(|axis| shape[axis]).collect())
}

/// Returns `shape` with axes of length 1 inserted, so that they are the given axes of the result.
///
/// # Errors
/// Returns the reason if an axis does not exist.
pub(super) fn unsqueezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = shape.len() + axes.len();
    let new = each_axis(axes, rank)?;
    let mut old = shape.iter();
    let length = |axis| match new.contains(&axis) {
        true => Some(1),
        false => old.next().copied(),
    };
    (0..rank)
        .map(length)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("it names an axis twice: {axes:?}"))
}

/// Returns `shape` as the matrix of all axes before `at` by all others.
///
/// # Errors
/// Returns the reason if there is no such axis.
pub(super) fn flattened(shape: &[usize], at: i64) -> Result<Vec<usize>, String> {
    let at = match at == shape.len() as i64 {
        true => shape.len(),
        false => axis(at, shape.len())?,
    };
    let (rows, columns) = shape.split_at(at);
    Ok(vec![elements(rows)?, elements(columns)?])
}

/// Converts the numbers of several axes.
fn each_axis(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    axes.iter().map(|&number| axis(number, rank)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_change_as_onnx_specifies() {
        assert_eq!(squeezed(&[1, 4, 1], None).unwrap(), [4]);
        assert_eq!(squeezed(&[1, 4, 1], Some(&[-1])).unwrap(), [1, 4]);
        assert!(squeezed(&[1, 4], Some(&[1])).is_err());
        assert!(squeezed(&[1, 4], Some(&[2])).is_err());
        assert_eq!(unsqueezed(&[3], &[0, -1]).unwrap(), [1, 3, 1]);
        assert!(unsqueezed(&[3], &[5]).is_err());
        assert!(unsqueezed(&[3], &[0, 0]).is_err());
        assert_eq!(flattened(&[2, 3, 4], 1).unwrap(), [2, 12]);
        assert_eq!(flattened(&[2, 3, 4], 3).unwrap(), [24, 1]);
        assert_eq!(flattened(&[2, 3, 4], -1).unwrap(), [6, 4]);
        assert!(flattened(&[2], 2).is_err());
    }
}
