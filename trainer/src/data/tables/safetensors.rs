//! Arrays in a safetensors file.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::array::Array;
use super::error::TableError;
use super::keyed::Source;
use super::npy;
use crate::atomic;

/// A safetensors file in memory.
pub(super) struct Tensors {
    name: String,
    bytes: Vec<u8>,
}

impl Tensors {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be read, or if it is truncated or of another format.
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let name = path.display().to_string();
        let bytes = atomic::read(path)?;
        let file = Self { name, bytes };
        file.parsed()?;
        Ok(file)
    }

    /// Parses the header.
    fn parsed(&self) -> Result<SafeTensors<'_>, TableError> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            let problem = format!("is no whole safetensors file ({error})");
            TableError::new(&self.name, problem, "save it again")
        })
    }
}

impl Source for Tensors {
    fn name(&self) -> &str {
        &self.name
    }

    fn keys(&self) -> Vec<String> {
        let tensors = self.parsed();
        let names = tensors.iter().flat_map(|tensors| tensors.names());
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    fn array(&mut self, key: &str) -> Result<Array, TableError> {
        let shown = format!("{key} of {}", self.name);
        let tensors = self.parsed()?;
        let view = tensors.tensor(key).map_err(|error| {
            let problem = format!("cannot be read ({error})");
            TableError::new(&shown, problem, "save it again")
        })?;
        // As numpy calls the types.
        let kind = match view.dtype() {
            Dtype::BOOL => "b1",
            Dtype::U8 => "u1",
            Dtype::I8 => "i1",
            Dtype::U16 => "u2",
            Dtype::I16 => "i2",
            Dtype::U32 => "u4",
            Dtype::I32 => "i4",
            Dtype::U64 => "u8",
            Dtype::I64 => "i8",
            Dtype::F32 => "f4",
            Dtype::F64 => "f8",
            other => {
                let problem = format!("has elements of type {other:?}");
                let advice =
                    "convert it to uint8, int8, int16, float32 or float64 and save it again";
                return Err(TableError::new(shown, problem, advice));
            }
        };
        Ok(Array {
            shape: view.shape().to_vec(),
            values: npy::decode(kind, false, view.data().to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::tables::array::Values;

    /// Returns a file with the given header and data.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn tensors_of_numbers_are_read_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let header = r#"{"x":{"dtype":"I16","shape":[2,1],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"z":{"dtype":"F16","shape":[1],"data_offsets":[6,8]}}"#;
        let whole = file(header, &[0xfe, 0xff, 1, 2, 0, 1, 0, 0]);
        fs::write(&path, &whole).unwrap();
        let mut tensors = Tensors::open(&path).unwrap();
        assert_eq!(tensors.keys(), ["x", "y", "z"]);
        let array = tensors.array("x").unwrap();
        assert_eq!(
            (array.shape, array.values),
            (vec![2, 1], Values::Integers(vec![-2, 513]))
        );
        assert_eq!(
            tensors.array("y").unwrap().values,
            Values::Bytes(vec![0, 1])
        );
        let error = tensors.array("z").unwrap_err().to_string();
        assert!(
            error.starts_with("z of ") && error.contains("type F16"),
            "{error}"
        );
        for end in [0, 7, 30, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            let error = Tensors::open(&path).err().unwrap().to_string();
            assert!(error.contains("is no whole safetensors file"), "{error}");
        }
    }
}
