//! The Cargo features of the engine that a model needs.

use rarefy_format::{Encoding, Layer, Model, Operation};

/// Returns the features of `rarefy-runtime` that are needed to run `model`, or all that concern
/// models if there is none: one per encoding, then `maps`, `residual` and `units`.
#[must_use]
pub fn engine_features(model: Option<Model<'_>>) -> Vec<&'static str> {
    let needs = |condition: &dyn Fn(&Layer<'_>) -> bool| {
        model.is_none_or(|model| model.layers().any(|layer| condition(&layer)))
    };
    let encodings = Encoding::ALL
        .into_iter()
        .filter(|&encoding| needs(&|layer| layer.encoding() == encoding));
    let mut features: Vec<&str> = encodings.map(Encoding::name).collect();
    if needs(&|layer| !matches!(layer.operation(), Operation::Dense)) {
        features.push("maps");
    }
    if needs(&|layer| layer.links().is_some()) {
        features.push("residual");
    }
    if model.is_none_or(|model| model.units().is_some()) {
        features.push("units");
    }
    features
}
