//! Parses safetensors files and rejects duplicate names.
//!
//! The `safetensors` library keeps the last of two entries with the same name, while other readers
//! may keep the first and so see a different network. Duplicate names are therefore an error here.

use std::collections::HashSet;
use std::fmt;

use candle_core::safetensors::Load;
use candle_core::{DType, Device};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Size of the field for the header's length, in bytes.
const LENGTH: usize = 8;

/// Parses the safetensors file `bytes`.
///
/// # Errors
/// Returns the reason if the file is not valid safetensors, or if it contains a tensor or a
/// metadata key twice.
pub fn parse(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    // Checked first, because the library reports a duplicate as invalid offsets.
    if let Some(name) = duplicate(bytes) {
        return Err(format!("{name} is in the file twice; write the file again"));
    }
    SafeTensors::deserialize(bytes)
        .map_err(|e| format!("not a valid safetensors file ({e}); write the file again"))
}

/// Checks whether [`floats`] accepts tensors of type `dtype`.
pub fn is_float(dtype: Dtype) -> bool {
    [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype)
}

/// Returns the values of a float tensor, row-major, as f64, which represents all of them exactly.
///
/// # Errors
/// Returns the reason, without the tensor's name, if the tensor cannot be read.
pub fn floats(view: &TensorView<'_>) -> Result<Vec<f64>, String> {
    let read = || {
        let tensor = view.load(&Device::Cpu)?.to_dtype(DType::F64)?;
        tensor.flatten_all()?.to_vec1::<f64>()
    };
    read().map_err(|e: candle_core::Error| format!("cannot be read ({e})"))
}

/// Names the first tensor or metadata key that the header of `bytes` contains twice. Returns
/// `None` if there is none, or if the header cannot be parsed.
fn duplicate(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let header = serde_json::from_slice::<Header>(rest.get(..length)?);
    header.ok()?.0
}

/// The first duplicate of a header.
struct Header(Option<String>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Twice { what: "tensor" })
            .map(Self)
    }
}

/// The first duplicate of the metadata.
struct Notes(Option<String>);

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Twice {
                what: "metadata key",
            })
            .map(Self)
    }
}

/// Visitor that finds the first duplicate key of a map.
struct Twice {
    /// What a key is: "tensor" in a header, "metadata key" in its metadata.
    what: &'static str,
}

impl<'de> Visitor<'de> for Twice {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of {}s", self.what)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let (mut names, mut found) = (HashSet::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if self.what == "tensor" && name == "__metadata__" {
                let Notes(note) = map.next_value()?;
                found = found.or(note);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if let Some(name) = names.replace(name) {
                found = found.or(Some(format!("{} {name}", self.what)));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a file with the given `header` and `data` zero bytes.
    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.resize(file.len() + data, 0);
        file
    }

    /// Returns the header entry of a tensor `name` with one f32 at offset `at`.
    fn entry(name: &str, at: usize) -> String {
        let end = at + 4;
        format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{at},{end}]}}"#)
    }

    #[test]
    fn duplicate_names_are_rejected() {
        let refused = |header: String, data, words: &str| {
            let file = file(&header, data);
            let reason = parse(&file).map(|_| ()).unwrap_err();
            assert!(reason.starts_with(words), "{reason}");
        };
        let [a, b, c] = ["a", "b", "a"].map(|name| entry(name, 0));
        // Both entries refer to the same bytes, then to different ones.
        refused(format!("{{{a},{c}}}"), 4, "tensor a is in the file twice");
        let other = entry("a", 4);
        refused(
            format!("{{{other},{a}}}"),
            4,
            "tensor a is in the file twice",
        );
        refused(
            format!("{{{a},{other}}}"),
            8,
            "tensor a is in the file twice",
        );
        // An escaped letter equals the letter itself.
        let escaped = entry(r"\u0061", 0);
        refused(
            format!("{{{a},{escaped}}}"),
            4,
            "tensor a is in the file twice",
        );
        let notes = r#""__metadata__":{"x":"1","x":"2"}"#;
        refused(
            format!("{{{notes},{a}}}"),
            4,
            "metadata key x is in the file twice",
        );
        refused(format!("{{{b},"), 4, "not a valid safetensors file");
        let two = entry("b", 4);
        let notes = r#""__metadata__":{"a":"1","b":"1"}"#;
        let good = file(&format!("{{{notes},{a},{two}}}"), 8);
        assert_eq!(parse(&good).unwrap().len(), 2);
    }
}
