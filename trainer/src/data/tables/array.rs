//! Arrays of numbers in memory.

/// The numbers of an array, in row-major order, as precise as in its file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Unsigned bytes.
    Bytes(Vec<u8>),
    /// Signed bytes.
    SignedBytes(Vec<i8>),
    /// Other integers; those of u64 that are too large are clamped to the maximum of i64.
    Integers(Vec<i64>),
    /// Floats of at most 32 bits.
    Singles(Vec<f32>),
    /// Floats of 64 bits.
    Doubles(Vec<f64>),
}

impl Values {
    /// Returns how many numbers there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::SignedBytes(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Singles(values) => values.len(),
            Self::Doubles(values) => values.len(),
        }
    }

    /// Returns the number at `index`, rounded to a float if it has more than 53 bits.
    ///
    /// # Panics
    /// Panics unless there are more numbers than `index`.
    #[must_use]
    pub(super) fn get(&self, index: usize) -> f64 {
        match self {
            Self::Bytes(values) => values[index].into(),
            Self::SignedBytes(values) => values[index].into(),
            Self::Integers(values) => values[index] as f64,
            Self::Singles(values) => values[index].into(),
            Self::Doubles(values) => values[index],
        }
    }

    /// Returns the numbers as integers; `None` if they are floats.
    #[must_use]
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        match self {
            Self::Bytes(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Self::SignedBytes(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Self::Integers(values) => Some(values.clone()),
            Self::Singles(_) | Self::Doubles(_) => None,
        }
    }

    /// Returns the index of the first number that is infinite or NaN in f32, if there is one.
    #[must_use]
    pub(super) fn first_not_finite(&self) -> Option<usize> {
        match self {
            Self::Singles(values) => values.iter().position(|value| !value.is_finite()),
            // Networks compute in f32.
            Self::Doubles(values) => {
                (values.iter()).position(|value| value.is_nan() || value.abs() > f32::MAX.into())
            }
            _ => None,
        }
    }

    /// Returns the name of the numbers' type for messages: numpy's, unless several types are
    /// meant.
    #[must_use]
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "uint8",
            Self::SignedBytes(_) => "int8",
            Self::Integers(_) => "whole numbers",
            Self::Singles(_) => "float32",
            Self::Doubles(_) => "float64",
        }
    }

    /// Returns the elements of an array of `shape` with its axes in the order `axes`: the first
    /// axis of the result is axis `axes[0]` of this one.
    ///
    /// # Panics
    /// Panics unless the array has `shape`, and `axes` is a permutation of its axes.
    #[must_use]
    pub(super) fn transposed(self, shape: &[usize], axes: &[usize]) -> Self {
        match self {
            Self::Bytes(values) => Self::Bytes(transposed(&values, shape, axes)),
            Self::SignedBytes(values) => Self::SignedBytes(transposed(&values, shape, axes)),
            Self::Integers(values) => Self::Integers(transposed(&values, shape, axes)),
            Self::Singles(values) => Self::Singles(transposed(&values, shape, axes)),
            Self::Doubles(values) => Self::Doubles(transposed(&values, shape, axes)),
        }
    }
}

/// Returns the row-major elements of an array of `shape` with its axes in the order `axes`.
fn transposed<T: Copy>(values: &[T], shape: &[usize], axes: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    assert_eq!(
        values.len(),
        shape.iter().product::<usize>(),
        "one element a place"
    );
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut result = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        result.push(values[at]);
        for &axis in axes.iter().rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    result
}

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// The lengths of its axes.
    pub(super) shape: Vec<usize>,
    /// Its elements.
    pub(super) values: Values,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_permuted() {
        let values = Values::Bytes((0..24).collect());
        // numpy: np.arange(24).reshape(2, 3, 4).transpose(0, 2, 1).ravel()
        let swapped = values.clone().transposed(&[2, 3, 4], &[0, 2, 1]);
        let expected = [
            0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23,
        ];
        assert_eq!(swapped, Values::Bytes(expected.to_vec()));
        assert_eq!(swapped.transposed(&[2, 4, 3], &[0, 2, 1]), values);
        let none = Values::Singles(Vec::new());
        assert_eq!(none.clone().transposed(&[0, 3], &[1, 0]), none);
    }
}
