//! What a layer will cost on a core, in executed instructions, from a small table of coefficients.
//!
//! Each [`Unit`] is something that a kernel repeats. `cargo xtask bench kernels` counts a few dozen
//! networks on the emulated boards, fits what each unit costs to these counts, and prints [`COSTS`] as
//! it is to stand here. That predicts to a few per cent, which is enough to choose an encoding and to
//! see where time goes.

use rarefy_format::{
    Encoding, Layer, LayerSpec, Model, NetworkSpec, Operation, Values, Weights, WeightsSpec,
};
use serde::{Deserialize, Serialize};

use super::activity::Activity;

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

/// What is repeated in an inference, each with a cost of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// An inference, besides its layers.
    Inference,
    /// A layer, besides its weights.
    Layer,
    /// A layer again for each encoding of the network beyond one: the walk asks which it is.
    Mixed,
    /// A weight of compressed rows.
    CsrWeight,
    /// A row of compressed rows.
    CsrRow,
    /// A weight of packed words, with those that fill a row up.
    WordsWeight,
    /// A row of packed words.
    WordsRow,
    /// A run of rows of one length.
    WordsRun,
    /// A row that reads both inputs of a pair of columns, one of which is not 0.
    ColumnsBoth,
    /// A row that reads an input that is not 0 and not its partner.
    ColumnsWeight,
    /// An input that is not 0 and has rows that do not read its partner.
    ColumnsSection,
    /// A pair of columns that rows read, one of whose inputs is not 0.
    ColumnsVisit,
    /// A pair that no row reads, one of whose inputs is not 0.
    ColumnsEmpty,
    /// An input, 0 or not.
    ColumnsInput,
    /// A sum of columns, set up and finished.
    ColumnsOutput,
    /// A weight of the entropy-coded encoding.
    RiceWeight,
    /// A row of it.
    RiceRow,
    /// A run of rows of one length.
    RiceRun,
    /// An input that it lists as used.
    RiceInput,
    /// A run of such inputs.
    RiceList,
    /// A weight of dense rows, 0 or not, those computed again included.
    DenseWeight,
    /// A dense row.
    DenseRow,
    /// A weight of floats.
    FloatsWeight,
    /// A row of floats.
    FloatsRow,
    /// A weight at a position of a convolution, in a block of neighbours.
    ConvProduct,
    /// The same where most of what is read is 0, which some cores look for.
    ConvZeros,
    /// The same with stride 2.
    ConvStrided,
    /// The same where positions are taken one at a time.
    ConvSingle,
    /// A block of positions, or a single one, of a channel.
    ConvBlock,
    /// A weight that is read and made ready, once a layer.
    ConvTap,
    /// The same, entropy-coded.
    ConvRiceTap,
    /// A channel.
    ConvChannel,
    /// A value that pooling on its own reads.
    PoolRead,
    /// A value that it gives.
    PoolGiven,
}

/// The table: instructions of each unit on Cortex-M4, M3 and M0.
pub const COSTS: [(Unit, [f64; 3]); 34] = [
    (Unit::Inference, [90.9, 92.5, 110.0]),
    (Unit::Layer, [106.0, 109.0, 178.0]),
    (Unit::Mixed, [194.0, 144.0, 20.1]),
    (Unit::CsrWeight, [4.27, 4.29, 6.42]),
    (Unit::CsrRow, [20.3, 20.1, 40.5]),
    (Unit::WordsWeight, [3.61, 4.59, 7.02]),
    (Unit::WordsRow, [1.98, 2.33, 5.08]),
    (Unit::WordsRun, [12.6, 12.3, 38.1]),
    (Unit::ColumnsBoth, [3.67, 6.79, 11.5]),
    (Unit::ColumnsWeight, [4.37, 5.33, 7.72]),
    (Unit::ColumnsSection, [3.26, 2.98, 5.25]),
    (Unit::ColumnsVisit, [24.3, 27.7, 50.8]),
    (Unit::ColumnsEmpty, [23.3, 25.5, 23.9]),
    (Unit::ColumnsInput, [1.60, 1.60, 2.38]),
    (Unit::ColumnsOutput, [4.99, 4.95, 9.14]),
    (Unit::RiceWeight, [24.5, 24.5, 51.3]),
    (Unit::RiceRow, [74.0, 73.6, 120.0]),
    (Unit::RiceRun, [31.4, 31.6, 55.8]),
    (Unit::RiceInput, [10.9, 10.8, 33.2]),
    (Unit::RiceList, [33.7, 33.5, 34.6]),
    (Unit::DenseWeight, [1.57, 2.38, 3.75]),
    (Unit::DenseRow, [25.4, 25.3, 30.3]),
    (Unit::FloatsWeight, [12.9, 131.0, 242.0]),
    (Unit::FloatsRow, [55.6, 129.0, 206.0]),
    (Unit::ConvProduct, [1.72, 2.43, 3.64]),
    (Unit::ConvZeros, [1.18, 2.39, 3.62]),
    (Unit::ConvStrided, [1.99, 2.56, 3.10]),
    (Unit::ConvSingle, [5.73, 6.75, 4.32]),
    (Unit::ConvBlock, [73.1, 73.2, 139.0]),
    (Unit::ConvTap, [41.7, 58.4, 111.0]),
    (Unit::ConvRiceTap, [100.0, 127.0, 185.0]),
    (Unit::ConvChannel, [374.0, 132.0, 0.00]),
    (Unit::PoolRead, [11.6, 11.6, 14.9]),
    (Unit::PoolGiven, [44.0, 43.0, 60.0]),
];

/// Instructions that `layer` will take on `core`. `activity` is that of the values it reads; without it every
/// one is taken not to be 0, so that what skips zeros is predicted from above.
///
/// # Panics
/// When `activity` is not that of as many values as the layer has columns.
#[must_use]
pub fn instructions(layer: &Layer<'_>, core: Core, activity: Option<&Activity>) -> f64 {
    cost(core, &units(layer, activity))
}

/// Instructions of these units on `core`.
#[must_use]
pub fn cost(core: Core, units: &[(Unit, f64)]) -> f64 {
    let each = |&(unit, count): &(Unit, f64)| count * COSTS[unit as usize].1[core as usize];
    units.iter().map(each).sum()
}

/// What an inference of `model` repeats, and how often on average over `inputs`.
///
/// # Panics
/// When there are no inputs, or one is not as long as the model reads.
#[must_use]
pub fn inference(model: &Model<'_>, inputs: &[Vec<u8>]) -> Vec<(Unit, f64)> {
    let spec = NetworkSpec::from_model(model);
    let given: Vec<Vec<Values>> = inputs
        .iter()
        .map(|input| {
            let mut values = vec![Values::Bytes(input.clone())];
            values.extend(spec.outputs(input));
            values
        })
        .collect();
    let active = |source: usize| match &given[0][source] {
        Values::Bytes(first) => {
            let active = |image: usize, value: usize| match &given[image][source] {
                Values::Bytes(bytes) => bytes[value] != 0,
                _ => true,
            };
            Some(Activity::measure(first.len(), inputs.len(), active))
        }
        // Floats have no bytes whose zeros could be counted, nor a kernel that skips them.
        _ => None,
    };
    let layers = model.layers().zip(&spec.layers).enumerate();
    let units = layers
        .flat_map(|(index, (layer, spec))| units(&layer, active(index + 1 - spec.source).as_ref()));
    let encodings = model.layers().map(|layer| layer.encoding());
    let mixed = mixed(&encodings.collect::<Vec<_>>());
    [(Unit::Inference, 1.0), mixed]
        .into_iter()
        .chain(units)
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

/// What `layer` repeats, and how often; see [`instructions`].
///
/// # Panics
/// When `activity` is not that of as many values as the layer has columns.
#[must_use]
pub fn units(layer: &Layer<'_>, activity: Option<&Activity>) -> Vec<(Unit, f64)> {
    let mut units = vec![(Unit::Layer, 1.0)];
    match layer.operation() {
        Operation::Dense => units.extend(dense(layer, activity)),
        Operation::Conv { window, pooling } => {
            let (taps, channels) = (nonzeros(layer), layer.outputs() as f64);
            let pool = pooling.map_or(1, |(_, size)| usize::from(size));
            // Rows and positions that no window of the pooling covers are not computed.
            let covered = |length: u16| usize::from(length) / pool * pool;
            let (rows, width) = (covered(layer.sums().height), covered(layer.sums().width));
            let (unit, blocks, positions) = if width < 4 || pool > 2 || window.stride > 2 {
                (Unit::ConvSingle, width, width)
            } else {
                // Eight neighbours at a time, then four; the last block may overlap.
                let (eights, fours) = match (width / 8, width % 8) {
                    (eights @ 1.., 5..) => (eights + 1, 0),
                    (eights, rest) => (eights, rest.div_ceil(4)),
                };
                let unit = match window.stride {
                    1 if activity.is_some_and(|activity| activity.mean() < 0.3) => Unit::ConvZeros,
                    1 => Unit::ConvProduct,
                    _ => Unit::ConvStrided,
                };
                (unit, eights + fours, 8 * eights + 4 * fours)
            };
            let tap = match layer.encoding() {
                Encoding::Rice => Unit::ConvRiceTap,
                _ => Unit::ConvTap,
            };
            units.extend([
                (unit, (rows * positions) as f64 * taps),
                (Unit::ConvBlock, (rows * blocks) as f64 * channels),
                (tap, taps),
                (Unit::ConvChannel, channels),
            ]);
        }
        Operation::Pool { window, .. } => {
            let area = f64::from(window.size) * f64::from(window.size);
            let given = layer.output().shape.len() as f64;
            units.extend([(Unit::PoolRead, given * area), (Unit::PoolGiven, given)]);
        }
    }
    units
}

/// What a dense layer repeats.
fn dense(layer: &Layer<'_>, activity: Option<&Activity>) -> Vec<(Unit, f64)> {
    let (rows, stored) = (layer.outputs() as f64, nonzeros(layer));
    match layer.weights() {
        Weights::None => Vec::new(),
        Weights::Csr(_) => vec![(Unit::CsrWeight, stored), (Unit::CsrRow, rows)],
        Weights::CsrF32(_) => vec![(Unit::FloatsWeight, stored), (Unit::FloatsRow, rows)],
        Weights::Rice(rice) => {
            let mut selection = rice.selection();
            let runs = core::iter::from_fn(|| selection.next_run()).count();
            // Without a list there is one run of all inputs, which nothing copies.
            let (inputs, lists) = match rice.selected() {
                Some(inputs) => (f64::from(inputs), runs as f64),
                None => (0.0, 0.0),
            };
            vec![
                (Unit::RiceWeight, stored),
                (Unit::RiceRow, rows),
                (Unit::RiceRun, rice.runs() as f64),
                (Unit::RiceInput, inputs),
                (Unit::RiceList, lists),
            ]
        }
        Weights::Dense(_) => {
            // Rows are computed four at a time; of fewer each as often.
            let computed = if rows < 4.0 {
                4.0 * rows
            } else {
                4.0 * (rows / 4.0).ceil()
            };
            let all = computed * layer.columns() as f64;
            vec![(Unit::DenseWeight, all), (Unit::DenseRow, rows)]
        }
        Weights::Words(words) => {
            let lengths = words.runs().map(|run| (run.length * run.rows) as f64);
            vec![
                (Unit::WordsWeight, lengths.sum()),
                (Unit::WordsRow, rows),
                (Unit::WordsRun, words.runs().count() as f64),
            ]
        }
        Weights::Columns(columns) => {
            let full = Activity::full(layer.columns());
            let Activity { values, pairs } = activity.unwrap_or(&full);
            // Of a row each pair that it reads, by the first input of it that it reads.
            let (mut both, mut last) = (vec![0.0; pairs.len()], vec![None; layer.outputs()]);
            let mut single = vec![0.0; values.len()];
            columns.each(|column, row, _| {
                let column = usize::from(column);
                let before = last[usize::from(row)].replace(column);
                match before {
                    Some(before) if column % 2 == 1 && before + 1 == column => {
                        single[before] -= 1.0;
                        both[column / 2] += 1.0;
                    }
                    _ => single[column] += 1.0,
                }
            });
            let read =
                |&pair: &usize| both[pair] + single[2 * pair..].iter().take(2).sum::<f64>() > 0.0;
            let (visited, empty): (Vec<usize>, Vec<usize>) = (0..pairs.len()).partition(read);
            let sum = |of: Vec<usize>| of.into_iter().map(|pair| pairs[pair]).sum();
            let sections = values
                .iter()
                .zip(&single)
                .filter(|(_, count)| **count > 0.0);
            let active = |shares: &[f64], counts: &[f64]| -> f64 {
                shares
                    .iter()
                    .zip(counts)
                    .map(|(share, count)| share * count)
                    .sum()
            };
            vec![
                (Unit::ColumnsBoth, active(pairs, &both)),
                (Unit::ColumnsWeight, active(values, &single)),
                (Unit::ColumnsSection, sections.map(|(share, _)| share).sum()),
                (Unit::ColumnsVisit, sum(visited)),
                (Unit::ColumnsEmpty, sum(empty)),
                (Unit::ColumnsInput, values.len() as f64),
                (Unit::ColumnsOutput, rows),
            ]
        }
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
        units(&layer, activity)
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
        ];
        assert_eq!(found, expected);
        // Rows 0 and 1, 2 and 3 and so on read the inputs of the same pairs, but each another one of it.
        for share in [1.0, 0.5, 0.0] {
            let activity = Activity {
                values: vec![share; 64],
                pairs: vec![(1.5 * share).min(1.0); 32],
            };
            let found = of_layer(Encoding::Columns, &words(true), Some(&activity));
            let expected = [
                (Unit::Layer, 1.0),
                (Unit::ColumnsBoth, 0.0),
                (Unit::ColumnsWeight, share * 32.0),
                (Unit::ColumnsSection, share * 32.0),
                (Unit::ColumnsVisit, (1.5 * share).min(1.0) * 16.0),
                (Unit::ColumnsEmpty, (1.5 * share).min(1.0) * 16.0),
                (Unit::ColumnsInput, 64.0),
                (Unit::ColumnsOutput, 8.0),
            ];
            assert_eq!(found, expected);
        }
        // A row that reads the pairs 0 and 2, the input 2 and the input 7.
        let row = [0, 1, 2, 4, 5, 7].map(|column| (column, 2)).to_vec();
        let activity = Activity::measure(64, 4, |image, value| value >= image);
        let found = of_layer(Encoding::Columns, &[row], Some(&activity));
        assert_eq!(found[1], (Unit::ColumnsBoth, 0.5 + 1.0));
        assert_eq!(found[2], (Unit::ColumnsWeight, 0.75 + 1.0));
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

    /// Predicted and counted instructions of the committed networks differ by at most a tenth.
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
            let predicted = cost(core, &inference(&model, &digits));
            if (predicted / counted - 1.0).abs() > 0.1 {
                wrong.push(format!(
                    "{name} on {board}: {predicted:.0}, not {counted:.0}"
                ));
            }
            seen += 1;
        }
        assert!(seen >= 8 && wrong.is_empty(), "of {seen}: {wrong:#?}");
    }
}
