//! Counts the units of work of dense layers, per encoding.

use rarefy_format::{Columns, CsrF32, Layer, LayerSpec, Weights, WeightsSpec, Words};

use super::{Core, Unit};
use crate::deploy::activity::Activity;

/// The longest row of packed words that has an unrolled body of its own.
const SHORT: usize = 7;

/// The longest row of packed words that is multiplied without the loop over eight words at a time.
const BODY: usize = 8;

/// Returns the units of work of the dense layer `layer` on `core`.
///
/// # Panics
/// Panics if `activity` does not have one value per column.
pub(super) fn units(
    layer: &Layer<'_>,
    core: Core,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let rows = layer.outputs() as f64;
    let stored = layer.weights().nonzeros() as f64;
    match layer.weights() {
        Weights::None => Vec::new(),
        Weights::Csr(_) => {
            let row = if layer.is_last() {
                Unit::CsrSum
            } else {
                Unit::CsrRow
            };
            vec![(Unit::CsrWeight, stored), (row, rows)]
        }
        Weights::CsrF32(csr) => of_floats(csr, layer, activity),
        Weights::Rice(rice) => {
            let listed = rice.selected().is_some();
            let mut selection = rice.selection();
            let runs = core::iter::from_fn(|| selection.next_run()).count();
            // Without a list there is one run of all inputs, which is not copied.
            let (inputs, lists) = match rice.selected() {
                Some(inputs) => (f64::from(inputs), runs as f64),
                None => (0.0, 0.0),
            };
            vec![
                (Unit::RiceWeight, stored),
                (Unit::RiceGap, gaps(layer, listed)),
                (Unit::RiceRow, rows),
                (Unit::RiceRun, rice.runs() as f64),
                (Unit::RiceInput, inputs),
                (Unit::RiceList, lists),
            ]
        }
        Weights::Dense(_) => {
            // Rows are computed four at a time. If there are fewer than four, each is computed four
            // times.
            let computed = if rows < 4.0 {
                4.0 * rows
            } else if core == Core::Rv32 && matches!(layer.outputs() % 4, 1 | 2) {
                // One or two rows are computed as two.
                4.0 * (rows / 4.0).floor() + 2.0
            } else {
                4.0 * (rows / 4.0).ceil()
            };
            let group = if core == Core::M0 { 1 } else { 4 };
            let (columns, rest) = (layer.columns(), layer.columns() % group);
            let mut units = vec![
                (Unit::DenseWeight, computed * (columns - rest) as f64),
                (Unit::DenseRest, computed * rest as f64),
                (Unit::DenseRow, computed),
            ];
            if core == Core::Rv32 {
                let active = match activity {
                    Some(activity) => activity.values.iter().take(columns - rest).sum(),
                    None => (columns - rest) as f64,
                };
                units.push((Unit::DenseActive, computed * active));
            }
            units
        }
        Weights::Words(words) => of_words(words, layer, core),
        Weights::Columns(columns) => of_columns(columns, layer, activity),
    }
}

/// Returns the number of coded gaps of entropy-coded rows. If the block has adjacency bits, the gap
/// between neighbouring inputs (in the list of used inputs, if there is one) is not coded.
fn gaps(layer: &Layer<'_>, listed: bool) -> f64 {
    let WeightsSpec::Integers { rows, .. } = LayerSpec::from_layer(layer).weights else {
        return 0.0;
    };
    let has_bits = layer.block().first().is_some_and(|head| head >> 5 & 1 == 1);
    // The place of each input in the list of used inputs.
    let mut places = vec![usize::from(!listed); layer.columns() + 1];
    for &(column, _) in rows.iter().flatten() {
        places[usize::from(column) + 1] = 1;
    }
    for column in 1..places.len() {
        places[column] += places[column - 1];
    }
    let coded = |pair: &[(u16, i16)]| {
        let [before, after] = [pair[0].0, pair[1].0].map(|column| places[usize::from(column)]);
        !has_bits || after - before > 1
    };
    let of_row = |row: &Vec<(u16, i16)>| row.windows(2).filter(|pair| coded(pair)).count();
    rows.iter().map(of_row).sum::<usize>() as f64
}

/// Returns the units of f32 rows. Software floating point is cheaper if an operand is 0.
fn of_floats(
    mut csr: CsrF32<'_>,
    layer: &Layer<'_>,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let (mut active, mut all) = (0.0, 0.0);
    while let Some((_, row)) = csr.next_row() {
        for (column, _) in row {
            active += activity.map_or(1.0, |activity| activity.values[column]);
            all += 1.0;
        }
    }
    let (weight, zero) = match layer.index() {
        0 => (Unit::FloatsByte, Unit::FloatsZeroByte),
        _ => (Unit::FloatsWeight, Unit::FloatsZero),
    };
    let row = match layer.is_last() {
        true => Unit::FloatsSum,
        false => Unit::FloatsRow,
    };
    let rows = layer.outputs() as f64;
    vec![(weight, active), (zero, all - active), (row, rows)]
}

/// Returns the units of packed words on RV32IM, where rows of more than eight words share code.
fn of_words_riscv(words: Words<'_>, layer: &Layer<'_>) -> Vec<(Unit, f64)> {
    let sum = |each: &dyn Fn(usize) -> usize| {
        let runs = words.runs().map(|run| each(run.length) * run.rows);
        runs.sum::<usize>() as f64
    };
    let rows = layer.outputs() as f64;
    let long_runs = words.runs().filter(|run| run.length > BODY).count();
    vec![
        (Unit::WordsWeight, sum(&|length| length)),
        (Unit::WordsRow, rows),
        (Unit::WordsRun, words.runs().count() as f64),
        (Unit::WordsLongRun, long_runs as f64),
        (Unit::WordsLong, sum(&|length| usize::from(length > BODY))),
        // Rounds leave 9 to 16 words.
        (
            Unit::WordsRound,
            sum(&|length| length.saturating_sub(BODY + 1) / 8),
        ),
        (Unit::WordsLast, if layer.is_last() { rows } else { 0.0 }),
    ]
}

/// Returns the units of packed words.
fn of_words(words: Words<'_>, layer: &Layer<'_>, core: Core) -> Vec<(Unit, f64)> {
    if core == Core::Rv32 {
        return of_words_riscv(words, layer);
    }
    let sum = |each: &dyn Fn(usize) -> usize| {
        let runs = words.runs().map(|run| each(run.length) * run.rows);
        runs.sum::<usize>() as f64
    };
    let behind = |length: usize| length.saturating_sub(BODY);
    let rows = layer.outputs() as f64;
    vec![
        (Unit::WordsWeight, sum(&|length| length)),
        (Unit::WordsRow, rows),
        (Unit::WordsRun, words.runs().count() as f64),
        (Unit::WordsLong, sum(&|length| usize::from(length > SHORT))),
        (
            Unit::WordsPair,
            sum(&|length| (behind(length) % 8).div_ceil(2)),
        ),
        (Unit::WordsRound, sum(&|length| behind(length) / 8)),
        (Unit::WordsLast, if layer.is_last() { rows } else { 0.0 }),
    ]
}

/// Returns the units of `columns`.
fn of_columns(
    columns: Columns<'_>,
    layer: &Layer<'_>,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let rows = layer.outputs() as f64;
    let full = Activity::full(layer.columns());
    let Activity { values, pairs, .. } = activity.unwrap_or(&full);
    // Per pair, the number of rows that read both inputs; per row, the last column seen so far;
    // per input, the number of rows that read the input without its partner.
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
    let read = |&pair: &usize| both[pair] + single[2 * pair..].iter().take(2).sum::<f64>() > 0.0;
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
