//! The option `--weights` of exports.

use std::ffi::OsStr;
use std::path::{Path, PathBuf, is_separator};

use anyhow::Result;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::Error;
use clap::{Arg, Command, ValueEnum};

use super::usage;
use crate::deploy::Setting;
use crate::deploy::quantize::WeightType;

/// Types of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Weights {
    /// 32-bit floats, for reference; only for chains of dense layers
    F32,
    /// 8-bit integers
    Int8,
    /// 6-bit integers
    Int6,
    /// 4-bit integers
    Int4,
    /// 3-bit integers
    Int3,
    /// 2-bit integers
    Int2,
    /// A sign per weight and one magnitude per layer
    Ternary,
}

impl From<Weights> for WeightType {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::F32 => Self::F32,
            Weights::Int8 => Self::Int(8),
            Weights::Int6 => Self::Int(6),
            Weights::Int4 => Self::Int(4),
            Weights::Int3 => Self::Int(3),
            Weights::Int2 => Self::Int(2),
            Weights::Ternary => Self::Ternary,
        }
    }
}

/// A value of `--weights` where it names a type, or the file of the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WeightsOption {
    /// The type of stored weights.
    Type(Weights),
    /// The file that the weights are read from.
    File(PathBuf),
}

/// Parses the name of a type or a path. A word that is neither a type nor the name of an existing
/// file, and has neither a separator nor an extension, is a mistyped type.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeOrFile;

impl TypedValueParser for TypeOrFile {
    type Value = WeightsOption;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<WeightsOption, Error> {
        let path = Path::new(value);
        let parsed = EnumValueParser::<Weights>::new().parse_ref(command, argument, value);
        let has_separator = value.to_string_lossy().contains(is_separator);
        let is_path = has_separator || path.extension().is_some() || path.exists();
        match parsed {
            Ok(kind) => Ok(WeightsOption::Type(kind)),
            Err(_) if is_path => Ok(WeightsOption::File(path.into())),
            Err(error) => Err(error),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let all = Weights::value_variants().iter();
        Some(Box::new(all.filter_map(Weights::to_possible_value)))
    }
}

/// Returns the type of stored weights and the file that are `given`; 6 bits by default.
///
/// # Errors
/// Returns an error if two types or two files are given.
pub(super) fn type_and_file(given: &[WeightsOption]) -> Result<(Weights, Option<&Path>)> {
    let (mut kinds, mut files) = (Vec::new(), Vec::new());
    for option in given {
        match option {
            WeightsOption::Type(kind) => kinds.push(*kind),
            WeightsOption::File(path) => files.push(path.as_path()),
        }
    }
    if kinds.len() > 1 || files.len() > 1 {
        return Err(usage::wrong(
            "--weights takes one type and one file: leave the others out",
        ));
    }
    Ok((
        kinds.first().copied().unwrap_or(Weights::Int6),
        files.first().copied(),
    ))
}

/// Returns all settings with one of these types of weights, or all settings if there are none.
pub(super) fn settings(weights: &[Weights]) -> Vec<Setting> {
    let mut settings = Setting::all();
    settings.retain(|setting| {
        let is_it = |&weights: &Weights| WeightType::from(weights) == setting.weights;
        weights.is_empty() || weights.iter().any(is_it)
    });
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::variants::WEIGHTS;

    #[test]
    fn every_type_can_be_given_by_its_name() {
        let given = Weights::value_variants();
        let name = |weights: &Weights| weights.to_possible_value().unwrap().get_name().to_owned();
        assert_eq!(
            given.iter().map(name).collect::<Vec<_>>(),
            WEIGHTS.map(WeightType::name)
        );
        assert_eq!(
            given
                .iter()
                .map(|&it| it.into())
                .collect::<Vec<WeightType>>(),
            WEIGHTS
        );
    }

    #[test]
    fn a_value_is_a_type_or_a_path() {
        let parse = |text: &str| {
            let command = Command::new("export");
            let parsed = TypeOrFile.parse_ref(&command, None, OsStr::new(text));
            parsed.map_err(|error| error.to_string())
        };
        let file = |path: &str| WeightsOption::File(path.into());
        assert_eq!(parse("int8"), Ok(WeightsOption::Type(Weights::Int8)));
        assert_eq!(parse("./int8"), Ok(file("./int8")));
        assert_eq!(parse("w.safetensors"), Ok(file("w.safetensors")));
        assert!(
            parse("int7")
                .unwrap_err()
                .contains("possible values: f32, int8")
        );
        let given = [file("a"), WeightsOption::Type(Weights::Int4)];
        let found = type_and_file(&given).unwrap();
        assert_eq!(found, (Weights::Int4, Some(Path::new("a"))));
        assert_eq!(type_and_file(&[]).unwrap(), (Weights::Int6, None));
        assert!(type_and_file(&[file("a"), file("b")]).is_err());
    }

    #[test]
    fn settings_are_those_of_the_given_types() {
        assert_eq!(settings(&[]), Setting::all());
        let few = settings(&[Weights::Int4, Weights::Int4]);
        assert_eq!(few.len(), 3);
        assert!(few.iter().all(|it| it.weights == WeightType::Int(4)));
    }
}
