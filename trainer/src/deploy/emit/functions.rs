//! Writes the functions of a network's layers.

use rarefy_format::{Operation, WeightsSpec};

use super::maps;
use super::plan::Plan;
use super::rows::{self, Rows};
use super::syntax::{Output, Syntax};

/// Returns the functions of all layers of `plan` in a language.
pub(super) fn functions(plan: &Plan<'_>, syntax: &dyn Syntax) -> String {
    let layers = plan.layers.iter().zip(plan.calls());
    let functions = layers.map(|(layer, call)| {
        let (source, output) = (plan.shapes[call.source], plan.shapes[call.number]);
        match &layer.weights {
            WeightsSpec::Integers { bias, rows } if layer.operation == Operation::Dense => {
                let result = match call.is_last {
                    true => Output::Sums,
                    false => Output::Stored { shift: layer.shift },
                };
                let name = syntax.layer(call.number);
                rows::function(&Rows { bias, rows }, &name, source.len(), result, syntax)
            }
            _ => maps::layer(layer, call.number, source, output, syntax),
        }
    });
    functions.collect()
}
