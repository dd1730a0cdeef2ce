//! Constants of a file: initialisers and what is computed from them.

use half::{bf16, f16};

use super::proto::TensorProto;

/// The largest number of elements that a constant may have: 2^28.
pub(super) const MOST: usize = 1 << 28;

/// A row-major array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    /// The shape; empty for a scalar.
    pub(super) shape: Vec<usize>,
    /// The elements.
    pub(super) values: Values,
}

/// The elements of a [`Constant`]. Each type represents all values of the narrower ones exactly.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Elements that were f16, bf16, f32 or f64.
    Floats(Vec<f64>),
    /// Elements that were integers or booleans.
    Integers(Vec<i64>),
}

impl Constant {
    /// Reads an initialiser.
    ///
    /// # Errors
    /// Returns the reason, without the tensor's name, if the data are in another file, of an
    /// unsupported type, or of another length than the shape requires.
    pub(super) fn read(tensor: &TensorProto) -> Result<Self, String> {
        if tensor.data_location != 0 {
            return Err(
                "its values are in another file: export the model as one file (external_data=False in torch.onnx.export)".into(),
            );
        }
        let shape = lengths(&tensor.dims)?;
        let elements = elements(&shape)?;
        let values = match tensor.raw_data.is_empty() {
            true => typed(tensor)?,
            false => raw(tensor)?,
        };
        let constant = Self { shape, values };
        let found = constant.len();
        if found != elements {
            return Err(format!(
                "it has {found} values, but its shape {:?} requires {elements}: export the model again",
                constant.shape
            ));
        }
        Ok(constant)
    }

    /// Creates an array of integers with one axis.
    pub(super) fn integers(values: Vec<i64>) -> Self {
        Self {
            shape: vec![values.len()],
            values: Values::Integers(values),
        }
    }

    /// Returns the number of elements.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => values.len(),
            Values::Integers(values) => values.len(),
        }
    }

    /// Returns the elements of a constant of integers.
    ///
    /// # Errors
    /// Returns the reason if the elements are floats.
    pub(super) fn as_integers(&self) -> Result<&[i64], String> {
        match &self.values {
            Values::Integers(values) => Ok(values),
            Values::Floats(_) => Err("it reads floats where integers are expected".into()),
        }
    }

    /// Returns the elements as floats.
    pub(super) fn to_floats(&self) -> Vec<f64> {
        match &self.values {
            Values::Floats(values) => values.clone(),
            Values::Integers(values) => values.iter().map(|&value| value as f64).collect(),
        }
    }

    /// Returns a constant of this `shape`, whose elements are those of this one at the indices
    /// `from`.
    pub(super) fn gather(&self, shape: Vec<usize>, from: impl Iterator<Item = usize>) -> Self {
        let values = match &self.values {
            Values::Floats(values) => Values::Floats(from.map(|at| values[at]).collect()),
            Values::Integers(values) => Values::Integers(from.map(|at| values[at]).collect()),
        };
        Self { shape, values }
    }
}

/// Converts lengths of axes.
///
/// # Errors
/// Returns the reason if one is negative.
pub(super) fn lengths(dims: &[i64]) -> Result<Vec<usize>, String> {
    let length = |&length: &i64| {
        usize::try_from(length).map_err(|_| {
            format!("its shape {dims:?} has a negative length: export the model again")
        })
    };
    dims.iter().map(length).collect()
}

/// Returns the number of elements of an array of `shape`.
///
/// # Errors
/// Returns the reason if there are more than [`MOST`].
pub(super) fn elements(shape: &[usize]) -> Result<usize, String> {
    elements_within(shape, MOST)
        .ok_or_else(|| format!("an array of shape {shape:?} has more than {MOST} elements"))
}

/// Returns the number of elements of an array of `shape`; `None` if there are more than `most`.
pub(super) fn elements_within(shape: &[usize], most: usize) -> Option<usize> {
    let product = |product: usize, &n: &usize| product.checked_mul(n).filter(|&n| n <= most);
    shape.iter().try_fold(1, product)
}

/// Reads the values of a tensor from the field for its type.
fn typed(tensor: &TensorProto) -> Result<Values, String> {
    let bits = || tensor.int32_data.iter().map(|&bits| bits as u16);
    Ok(match Type::of(tensor.data_type)? {
        Type::F32 => Values::Floats(tensor.float_data.iter().map(|&x| x.into()).collect()),
        Type::F64 => Values::Floats(tensor.double_data.clone()),
        Type::F16 => Values::Floats(bits().map(|bits| f16::from_bits(bits).into()).collect()),
        Type::Bf16 => Values::Floats(bits().map(|bits| bf16::from_bits(bits).into()).collect()),
        Type::I64 => Values::Integers(tensor.int64_data.clone()),
        Type::I32 | Type::Bool => {
            Values::Integers(tensor.int32_data.iter().map(|&x| x.into()).collect())
        }
    })
}

/// Reads the values of a tensor from its bytes, which are little-endian.
fn raw(tensor: &TensorProto) -> Result<Values, String> {
    fn each<const N: usize, T>(bytes: &[u8], value: fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        match rest.is_empty() {
            true => Ok(chunks.iter().map(|&bytes| value(bytes)).collect()),
            false => Err("its data end within a value: export the model again".into()),
        }
    }
    let bytes = &tensor.raw_data;
    Ok(match Type::of(tensor.data_type)? {
        Type::F32 => Values::Floats(each(bytes, |x| f32::from_le_bytes(x).into())?),
        Type::F64 => Values::Floats(each(bytes, f64::from_le_bytes)?),
        Type::F16 => Values::Floats(each(bytes, |x| f16::from_le_bytes(x).into())?),
        Type::Bf16 => Values::Floats(each(bytes, |x| bf16::from_le_bytes(x).into())?),
        Type::I64 => Values::Integers(each(bytes, i64::from_le_bytes)?),
        Type::I32 => Values::Integers(each(bytes, |x| i32::from_le_bytes(x).into())?),
        Type::Bool => Values::Integers(each(bytes, |[x]: [u8; 1]| x.into())?),
    })
}

/// The supported element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    F32,
    I32,
    I64,
    Bool,
    F16,
    F64,
    Bf16,
}

impl Type {
    /// Returns the type with this number in `TensorProto.DataType`.
    ///
    /// # Errors
    /// Returns the reason, which names the type, if it is not supported.
    pub(super) fn of(number: i32) -> Result<Self, String> {
        let name = match number {
            1 => return Ok(Self::F32),
            6 => return Ok(Self::I32),
            7 => return Ok(Self::I64),
            9 => return Ok(Self::Bool),
            10 => return Ok(Self::F16),
            11 => return Ok(Self::F64),
            16 => return Ok(Self::Bf16),
            2 => "uint8",
            3 => "int8",
            4 => "uint16",
            5 => "int16",
            8 => "string",
            12 => "uint32",
            13 => "uint64",
            14 | 15 => "complex",
            17..=20 => "float8",
            21 | 22 => "int4",
            _ => {
                return Err(format!(
                    "the number {number} names no supported type of values"
                ));
            }
        };
        Err(format!(
            "values of type {name} are not supported: export the network in floats (f32)"
        ))
    }

    /// Returns whether this is a type of floats.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64 | Self::Bf16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads 1, -2.5 and 0.15625 in every type, from bytes and from the field for the type.
    #[test]
    fn all_types_of_floats_are_read() {
        let expected = [1.0_f64, -2.5, 0.15625];
        let halves = [0x3c00_u16, 0xc100, 0x3100];
        let brains = [0x3f80_u16, 0xc020, 0x3e20];
        let bytes = |bits: [u16; 3]| bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let wide = |bits: [u16; 3]| bits.iter().map(|&bits| bits.into()).collect();
        let singles = expected.map(|x| x as f32);
        let tensor = |data_type| TensorProto {
            dims: vec![3],
            data_type,
            ..TensorProto::default()
        };
        let raw_singles = singles.iter().flat_map(|x| x.to_le_bytes()).collect();
        let raw_doubles = expected.iter().flat_map(|x| x.to_le_bytes()).collect();
        for tensor in [
            TensorProto {
                raw_data: raw_singles,
                ..tensor(1)
            },
            TensorProto {
                float_data: singles.to_vec(),
                ..tensor(1)
            },
            TensorProto {
                raw_data: raw_doubles,
                ..tensor(11)
            },
            TensorProto {
                double_data: expected.to_vec(),
                ..tensor(11)
            },
            TensorProto {
                raw_data: bytes(halves),
                ..tensor(10)
            },
            TensorProto {
                int32_data: wide(halves),
                ..tensor(10)
            },
            TensorProto {
                raw_data: bytes(brains),
                ..tensor(16)
            },
            TensorProto {
                int32_data: wide(brains),
                ..tensor(16)
            },
        ] {
            let constant = Constant::read(&tensor).unwrap();
            assert_eq!(
                constant.values,
                Values::Floats(expected.to_vec()),
                "{tensor:?}"
            );
        }
    }

    #[test]
    fn unusable_data_are_rejected() {
        let tensor = TensorProto {
            dims: vec![2],
            data_type: 1,
            raw_data: vec![0; 8],
            ..TensorProto::default()
        };
        Constant::read(&tensor).unwrap();
        let refused = |change: &dyn Fn(&mut TensorProto), words: &str| {
            let mut tensor = tensor.clone();
            change(&mut tensor);
            let reason = Constant::read(&tensor).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        refused(&|tensor| tensor.data_location = 1, "in another file");
        refused(
            &|tensor| tensor.dims = vec![3],
            "has 2 values, but its shape [3] requires 3",
        );
        refused(&|tensor| tensor.dims = vec![-2], "negative length");
        refused(&|tensor| tensor.dims = vec![1 << 40, 1 << 40], "more than");
        refused(&|tensor| tensor.raw_data = vec![0; 7], "end within a value");
        refused(&|tensor| tensor.data_type = 3, "type int8");
        refused(&|tensor| tensor.data_type = 99, "99");
    }
}
