//! Predicts the executed instructions of a layer on a core from a table of costs.
//!
//! A [`Unit`] is an operation that a kernel repeats. Its count follows from the layer's weights
//! and, where zeros are cheaper, from the [`Activity`] of the layer's source. `cargo xtask bench
//! kernels` counts the instructions of a hundred networks on emulated boards, fits the cost of
//! each unit to them, and prints [`COSTS`] for `table.rs`. Predictions for the committed networks,
//! ResNet-8 and networks in f32 are within 5 % of counted instructions, as tests check.
//!
//! Without an activity, a layer whose cost depends on zeros gets an upper bound.

use rarefy_format::{Encoding, Layer, Model, NetworkSpec, Operation, Values};
use serde::{Deserialize, Serialize};

mod convolution;
mod dense;
mod table;
mod taps;

use super::activity::Activity;
pub use table::{COSTS, Unit};

/// A processor core, representing all cores that execute the same number of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Core {
    /// Cortex-M4, M7, and M33 and M55 with the DSP extension.
    M4,
    /// Cortex-M3: ARMv7-M without the DSP extension; M33 without it.
    M3,
    /// Cortex-M0, M0+: ARMv6-M; M23.
    M0,
    /// 32-bit RISC-V with multiplication: RV32IM.
    Rv32,
}

impl Core {
    /// Returns the core that runs programs compiled for `target`; Cortex-M4 if the target is
    /// unknown.
    #[must_use]
    pub fn of_target(target: &str) -> Core {
        if target.starts_with("riscv32") {
            Core::Rv32
        } else if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
            Core::M0
        } else if target.starts_with("thumbv7m") || target == "thumbv8m.main-none-eabi" {
            Core::M3
        } else {
            Core::M4
        }
    }
}

/// A prediction, in instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The number of instructions.
    pub instructions: f64,
    /// Whether it is an upper bound: the cost depends on zeros, and no activity was given.
    pub at_most: bool,
}

/// Returns whether the instructions of `layer` on `core` depend on which of its inputs are 0.
#[must_use]
pub fn depends_on_input(layer: &Layer<'_>, core: Core) -> bool {
    match layer.encoding() {
        Encoding::Columns => true,
        // The kernel for RISC-V skips inputs that are 0.
        Encoding::Dense if layer.operation() == Operation::Dense => core == Core::Rv32,
        // The Cortex-M4 multiplies floats in hardware.
        Encoding::CsrF32 => core != Core::M4,
        _ => convolution::depends_on_input(layer, core),
    }
}

/// Predicts the instructions of `layer` on `core`. `activity` is that of the layer's source;
/// without it, the prediction is an upper bound if the instructions
/// [depend on the input](depends_on_input).
///
/// # Panics
/// Panics if `activity` does not have one value per value of the source.
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
/// Panics if [`predict`] does.
#[must_use]
pub fn instructions(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> f64 {
    cost(core, &units(layer, core, activity))
}

/// Returns the instructions of the given units on `core`.
#[must_use]
pub fn cost(core: Core, units: &[(Unit, f64)]) -> f64 {
    let each = |&(unit, count): &(Unit, f64)| count * COSTS[unit as usize].1[core as usize];
    units.iter().map(each).sum()
}

/// Returns the instructions of an inference of `model`, excluding its layers.
#[must_use]
pub fn overhead(model: &Model<'_>, core: Core) -> f64 {
    cost(core, &around(model))
}

/// Returns the units of an inference, excluding its layers.
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

/// Returns the units of an inference of `model` on `core`, with their mean counts over `inputs`.
///
/// # Panics
/// Panics if there are no inputs, or if one has the wrong length.
#[must_use]
pub fn inference(model: &Model<'_>, core: Core, inputs: &[Vec<u8>]) -> Vec<(Unit, f64)> {
    let activity = activity(model, inputs);
    let layers = model.layers().zip(&activity);
    let units = layers.flat_map(|(layer, activity)| units(&layer, core, Some(activity)));
    around(model).into_iter().chain(units).collect()
}

/// Returns, per layer of `model`, the activity of its source over `inputs`.
///
/// # Panics
/// Panics if there are no inputs, or if one has the wrong length.
#[must_use]
pub fn activity(model: &Model<'_>, inputs: &[Vec<u8>]) -> Vec<Activity> {
    let spec = NetworkSpec::from_model(model);
    let given: Vec<Vec<Values>> = inputs
        .iter()
        .map(|input| {
            let mut values = vec![Values::Bytes(input.clone())];
            values.extend(spec.outputs(input));
            values
        })
        .collect();
    let of_source = |source: usize| {
        let count = match &given[0][source] {
            Values::Bytes(bytes) => bytes.len(),
            Values::Floats(floats) => floats.len(),
            Values::Sums(_) => unreachable!("no layer reads logits"),
        };
        let active = |image: usize, value: usize| match &given[image][source] {
            Values::Bytes(bytes) => bytes[value] != 0,
            Values::Floats(floats) => floats[value] != 0.0,
            Values::Sums(_) => true,
        };
        Activity::measure(count, inputs.len(), active)
    };
    let layers = spec.layers.iter().enumerate();
    layers
        .map(|(index, layer)| of_source(index + 1 - layer.source))
        .collect()
}

/// Returns the unit, with its count, for the dispatch cost of a network whose layers have these
/// `encodings`.
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

/// Returns the units of `layer` on `core`, with their counts; see [`predict`].
///
/// # Panics
/// Panics if [`predict`] does.
#[must_use]
pub fn units(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> Vec<(Unit, f64)> {
    let mut units = vec![(Unit::Layer, 1.0)];
    units.extend(entry(layer).map(|unit| (unit, 1.0)));
    match layer.operation() {
        Operation::Dense => units.extend(dense::units(layer, core, activity)),
        Operation::Conv { .. } => units.extend(convolution::units(layer, core, activity)),
        Operation::Pool { window, .. } => {
            let given = layer.output().shape.len() as f64;
            units.extend([
                (Unit::PoolRead, given * window.area() as f64),
                (Unit::PoolRow, given * f64::from(window.size[0])),
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

/// Returns the unit for the cost of entering the kernel of `layer` beyond that of packed words;
/// `None` for packed words and pooling.
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

/// The encodings of integer weights. Of two that tie, the earlier is chosen.
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

    use rarefy_format::{AlignedBytes, LayerSpec, Shape, write};

    use super::super::container;
    use super::*;
    use crate::data;

    /// Returns the units of a layer of the given rows over 64 inputs.
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
        // Eight rows of four weights: as `words` with six index bits for the column, and as
        // `columns` with three index bits for the row.
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
        // Rows 2k and 2k + 1 read inputs of the same pairs, but not the same inputs.
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
        // A row that reads both inputs of pairs 0 and 2, and only one of pairs 1 and 3.
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
            ("riscv32imac-unknown-none-elf", Core::Rv32),
            ("thumbv8m.main-none-eabihf", Core::M4),
            ("thumbv8m.main-none-eabi", Core::M3),
            ("thumbv8m.base-none-eabi", Core::M0),
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

    /// Tests that predictions for the committed networks are within 5 % of counted instructions.
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
                "qemu-virt-rv32" => Core::Rv32,
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
