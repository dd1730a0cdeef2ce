//! Predicts what a layer costs on a core, in executed instructions, from a table of coefficients.
//!
//! Each [`Unit`] is something that a kernel repeats; how often follows from the layer's weights and,
//! where a kernel skips zeros, from the [`Activity`] of what it reads. `cargo xtask bench kernels` counts
//! a hundred networks on the emulated boards, fits what each unit costs to these counts, and prints
//! [`COSTS`] as it stands in `table.rs`. That predicts the committed networks and ResNet-8 to 5 %,
//! which tests hold against counted instructions; an encoding is chosen by it.
//!
//! Without an activity a layer that skips zeros gets an upper bound, and [`Prediction`] says so.

use rarefy_format::{
    Encoding, Layer, LayerSpec, Model, NetworkSpec, Operation, Values, WeightsSpec,
};
use serde::{Deserialize, Serialize};

mod convolution;
mod dense;
mod table;
mod taps;

use super::activity::Activity;
pub use table::{COSTS, Unit};

/// A processor core, or those that count like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Core {
    /// Cortex-M4, M7: ARMv7-M with the DSP extension.
    M4,
    /// Cortex-M3: ARMv7-M without.
    M3,
    /// Cortex-M0, M0+: ARMv6-M.
    M0,
}

impl Core {
    /// The core that programs for this compiler's target run on; Cortex-M4 where nothing better is known.
    #[must_use]
    pub fn of_target(target: &str) -> Core {
        if target.starts_with("thumbv6m") {
            Core::M0
        } else if target.starts_with("thumbv7m") {
            Core::M3
        } else {
            Core::M4
        }
    }
}

/// A prediction, in instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// How many.
    pub instructions: f64,
    /// Whether it is an upper bound: what is predicted skips zeros, and nobody said how many of its
    /// inputs are.
    pub at_most: bool,
}

/// Returns whether the instructions of `layer` on `core` depend on which of its inputs are 0.
#[must_use]
pub fn depends_on_input(layer: &Layer<'_>, core: Core) -> bool {
    layer.encoding() == Encoding::Columns || convolution::depends_on_input(layer, core)
}

/// Predicts the instructions of `layer` on `core`. `activity` is that of the values it reads; without
/// it a layer that [depends](depends_on_input) on them gets an upper bound.
///
/// # Panics
/// When `activity` is not that of as many values as the layer reads.
#[must_use]
pub fn predict(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> Prediction {
    Prediction {
        instructions: instructions(layer, core, activity),
        at_most: activity.is_none() && depends_on_input(layer, core),
    }
}

/// Returns the instructions of [`predict`].
///
/// # Panics
/// As [`predict`].
#[must_use]
pub fn instructions(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> f64 {
    cost(core, &units(layer, core, activity))
}

/// Returns the instructions of these units on `core`.
#[must_use]
pub fn cost(core: Core, units: &[(Unit, f64)]) -> f64 {
    let each = |&(unit, count): &(Unit, f64)| count * COSTS[unit as usize].1[core as usize];
    units.iter().map(each).sum()
}

/// Returns the instructions that an inference of `model` takes besides its layers.
#[must_use]
pub fn overhead(model: &Model<'_>, core: Core) -> f64 {
    cost(core, &around(model))
}

/// What an inference repeats besides its layers.
fn around(model: &Model<'_>) -> Vec<(Unit, f64)> {
    let encodings: Vec<Encoding> = model.layers().map(|layer| layer.encoding()).collect();
    let maps = model
        .layers()
        .any(|layer| layer.operation() != Operation::Dense);
    let walked = if maps { encodings.len() } else { 0 };
    vec![
        (Unit::Inference, 1.0),
        (Unit::Walk, walked as f64),
        mixed(&encodings),
    ]
}

/// Returns what an inference of `model` repeats on `core`, and how often on average over `inputs`.
///
/// # Panics
/// When there are no inputs, or one is not as long as the model reads.
#[must_use]
pub fn inference(model: &Model<'_>, core: Core, inputs: &[Vec<u8>]) -> Vec<(Unit, f64)> {
    let activity = activity(model, inputs);
    let layers = model.layers().zip(&activity);
    let units = layers.flat_map(|(layer, activity)| units(&layer, core, activity.as_ref()));
    around(model).into_iter().chain(units).collect()
}

/// Returns for each layer of `model` how often, over `inputs`, what it reads is not 0; `None` where
/// that is floats, whose zeros no kernel skips.
///
/// # Panics
/// As [`inference`].
#[must_use]
pub fn activity(model: &Model<'_>, inputs: &[Vec<u8>]) -> Vec<Option<Activity>> {
    let spec = NetworkSpec::from_model(model);
    let given: Vec<Vec<Values>> = inputs
        .iter()
        .map(|input| {
            let mut values = vec![Values::Bytes(input.clone())];
            values.extend(spec.outputs(input));
            values
        })
        .collect();
    let of_source = |source: usize| match &given[0][source] {
        Values::Bytes(first) => {
            let active = |image: usize, value: usize| match &given[image][source] {
                Values::Bytes(bytes) => bytes[value] != 0,
                _ => true,
            };
            Some(Activity::measure(first.len(), inputs.len(), active))
        }
        _ => None,
    };
    let layers = spec.layers.iter().enumerate();
    layers
        .map(|(index, layer)| of_source(index + 1 - layer.source))
        .collect()
}

/// What it repeats that the layers of a network have these encodings.
pub(super) fn mixed(encodings: &[Encoding]) -> (Unit, f64) {
    let mut kinds: Vec<Encoding> = Vec::new();
    for encoding in encodings {
        if *encoding != Encoding::None && !kinds.contains(encoding) {
            kinds.push(*encoding);
        }
    }
    let more = kinds.len().saturating_sub(1);
    (Unit::Mixed, (more * encodings.len()) as f64)
}

/// Returns what `layer` repeats on `core`, and how often; see [`predict`].
///
/// # Panics
/// As [`predict`].
#[must_use]
pub fn units(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> Vec<(Unit, f64)> {
    let mut units = vec![(Unit::Layer, 1.0)];
    units.extend(entry(layer).map(|unit| (unit, 1.0)));
    match layer.operation() {
        Operation::Dense => units.extend(dense::units(layer, core, activity)),
        Operation::Conv { .. } => units.extend(convolution::units(layer, core, activity)),
        Operation::Pool { window, .. } => {
            let size = f64::from(window.size);
            let given = layer.output().shape.len() as f64;
            units.extend([
                (Unit::PoolRead, given * size * size),
                (Unit::PoolRow, given * size),
                (Unit::PoolGiven, given),
                (Unit::PoolChannel, layer.outputs() as f64),
            ]);
        }
    }
    let (source, output) = (layer.source(), layer.output());
    if layer.index() == 0 && source.words > 0 {
        let rows = f64::from(source.shape.channels) * f64::from(source.shape.height);
        units.extend([
            (Unit::CopiedByte, source.shape.len() as f64),
            (Unit::CopiedRow, rows),
            (Unit::ClearedWord, source.words as f64),
        ]);
    }
    if !output.margin.is_none() {
        units.push((Unit::ClearedWord, output.words as f64));
    }
    if layer.is_last() {
        units.push((Unit::Logit, layer.outputs() as f64));
    }
    units
}

/// What entering the kernel of `layer` takes more than that of packed words.
fn entry(layer: &Layer<'_>) -> Option<Unit> {
    match (layer.operation(), layer.encoding()) {
        (Operation::Conv { .. }, _) => Some(Unit::ConvLayer),
        (_, Encoding::Csr) => Some(Unit::CsrLayer),
        (_, Encoding::Columns) => Some(Unit::ColumnsLayer),
        (_, Encoding::Rice) => Some(Unit::RiceLayer),
        (_, Encoding::Dense) => Some(Unit::DenseLayer),
        (_, Encoding::CsrF32) => Some(Unit::FloatsLayer),
        (_, Encoding::Words | Encoding::None) => None,
    }
}

/// Weights stored that are not zero.
fn nonzeros(layer: &Layer<'_>) -> f64 {
    let count = match LayerSpec::from_layer(layer).weights {
        WeightsSpec::None => 0,
        WeightsSpec::Integers { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0).count(),
        WeightsSpec::Floats { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0.0).count(),
    };
    count as f64
}

/// The encodings that hold integers, in the order in which a tie between them is decided.
pub(super) const ENCODINGS: [Encoding; 5] = [
    Encoding::Words,
    Encoding::Csr,
    Encoding::Columns,
    Encoding::Dense,
    Encoding::Rice,
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rarefy_format::{AlignedBytes, Shape, write};

    use super::super::container;
    use super::*;
    use crate::data;

    /// What a layer of these rows over 64 inputs repeats.
    fn of_layer(
        encoding: Encoding,
        rows: &[Vec<(u16, i16)>],
        activity: Option<&Activity>,
    ) -> Vec<(Unit, f64)> {
        let layer = LayerSpec::dense(encoding, 0, vec![0; rows.len()], rows.to_vec());
        let spec = NetworkSpec {
            input: Shape::flat(64),
            layers: vec![layer],
        };
        let bytes = AlignedBytes::copy_from(&write(&spec).unwrap());
        let layer = Model::parse(&bytes).unwrap().layers().next().unwrap();
        units(&layer, Core::M4, activity)
    }

    #[test]
    fn weights_rows_runs_and_what_is_active_are_counted() {
        // Eight rows of four weights, as words of six bits of column and as words of three of row.
        let words = |by_row: bool| -> Vec<Vec<(u16, i16)>> {
            let row = |row: u16| {
                let weight = move |i: u16| {
                    let column = 8 * i + row;
                    let word = if by_row {
                        1 << 3 | row
                    } else {
                        1 << 6 | column
                    };
                    (column, word as i16)
                };
                (0..4).map(weight).collect()
            };
            (0..8).map(row).collect()
        };
        let found = of_layer(Encoding::Words, &words(false), None);
        let expected = [
            (Unit::Layer, 1.0),
            (Unit::WordsWeight, 32.0),
            (Unit::WordsRow, 8.0),
            (Unit::WordsRun, 1.0),
            (Unit::WordsLong, 0.0),
            (Unit::WordsPair, 0.0),
            (Unit::WordsRound, 0.0),
            (Unit::WordsLast, 8.0),
            (Unit::Logit, 8.0),
        ];
        assert_eq!(found, expected);
        // Rows 0 and 1, 2 and 3 and so on read the inputs of the same pairs, but each another one of it.
        for share in [1.0, 0.5, 0.0] {
            let activity = Activity {
                values: vec![share; 64],
                pairs: vec![(1.5 * share).min(1.0); 32],
                samples: Vec::new(),
            };
            let found = of_layer(Encoding::Columns, &words(true), Some(&activity));
            let expected = [
                (Unit::Layer, 1.0),
                (Unit::ColumnsLayer, 1.0),
                (Unit::ColumnsBoth, 0.0),
                (Unit::ColumnsWeight, share * 32.0),
                (Unit::ColumnsSection, share * 32.0),
                (Unit::ColumnsVisit, (1.5 * share).min(1.0) * 16.0),
                (Unit::ColumnsEmpty, (1.5 * share).min(1.0) * 16.0),
                (Unit::ColumnsInput, 64.0),
                (Unit::ColumnsOutput, 8.0),
                (Unit::Logit, 8.0),
            ];
            assert_eq!(found, expected);
        }
        // A row that reads the pairs 0 and 2, the input 2 and the input 7.
        let row = [0, 1, 2, 4, 5, 7].map(|column| (column, 2)).to_vec();
        let activity = Activity::measure(64, 4, |image, value| value >= image);
        let found = of_layer(Encoding::Columns, &[row], Some(&activity));
        assert_eq!(found[2], (Unit::ColumnsBoth, 0.5 + 1.0));
        assert_eq!(found[3], (Unit::ColumnsWeight, 0.75 + 1.0));
    }

    #[test]
    fn cores_are_told_by_their_targets() {
        for (target, core) in [
            ("thumbv7em-none-eabihf", Core::M4),
            ("thumbv7m-none-eabi", Core::M3),
            ("thumbv6m-none-eabi", Core::M0),
        ] {
            assert_eq!(Core::of_target(target), core);
        }
    }

    #[test]
    fn every_unit_has_its_own_line_of_the_table() {
        for (line, (unit, costs)) in COSTS.iter().enumerate() {
            assert_eq!(*unit as usize, line, "{unit:?}");
            assert!(costs.iter().all(|&cost| cost >= 0.0), "{unit:?}");
        }
    }

    /// Predicted and counted instructions of the committed networks differ by at most a twentieth.
    #[test]
    fn the_table_predicts_what_the_boards_count() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks");
        let digits = data::folder::load(&folder.join("digits")).unwrap().test;
        let digits: Vec<Vec<u8>> = (0..digits.len())
            .map(|index| digits.image(index).to_vec())
            .collect();
        let table = std::fs::read_to_string(folder.join("kernels.csv")).unwrap();
        let mut seen = 0;
        let mut wrong = Vec::new();
        for line in table.lines() {
            let ["instructions", name, board, counted, ..] =
                line.split(',').collect::<Vec<_>>()[..]
            else {
                continue;
            };
            let core = match board {
                "mps2-an386" => Core::M4,
                "microbit" => Core::M0,
                _ => continue,
            };
            let path = folder.join(name).with_extension("rfy");
            let bytes = container::read(&path).unwrap();
            let model = container::parse(&bytes, &path).unwrap();
            let counted: f64 = counted.parse().unwrap();
            let predicted = cost(core, &inference(&model, core, &digits));
            if (predicted / counted - 1.0).abs() > 0.05 {
                wrong.push(format!(
                    "{name} on {board}: {predicted:.0}, not {counted:.0}"
                ));
            }
            seen += 1;
        }
        assert!(seen >= 8 && wrong.is_empty(), "of {seen}: {wrong:#?}");
    }
}
