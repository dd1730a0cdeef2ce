//! The option `--weights` of exports.

use clap::ValueEnum;

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
    fn settings_are_those_of_the_given_types() {
        assert_eq!(settings(&[]), Setting::all());
        let few = settings(&[Weights::Int4, Weights::Int4]);
        assert_eq!(few.len(), 3);
        assert!(few.iter().all(|it| it.weights == WeightType::Int(4)));
    }
}
