//! What the kernels of dense layers repeat, encoding by encoding.

use rarefy_format::{Columns, Layer, LayerSpec, Weights, WeightsSpec, Words};

use super::{Core, Unit, nonzeros};
use crate::deploy::activity::Activity;

/// Words of a row up to which it has a body of its own, and up to which it has no rounds.
const SHORT: usize = 7;
const BODY: usize = 8;

/// What the dense layer `layer` repeats on `core`.
///
/// # Panics
/// When `activity` is not that of as many values as the layer has columns.
pub(super) fn units(
    layer: &Layer<'_>,
    core: Core,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let (rows, stored) = (layer.outputs() as f64, nonzeros(layer));
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
        Weights::CsrF32(_) => vec![(Unit::FloatsWeight, stored), (Unit::FloatsRow, rows)],
        Weights::Rice(rice) => {
            let listed = rice.selected().is_some();
            let mut selection = rice.selection();
            let runs = core::iter::from_fn(|| selection.next_run()).count();
            // Without a list there is one run of all inputs, which nothing copies.
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
            // Rows are computed four at a time; of fewer each as often.
            let computed = if rows < 4.0 {
                4.0 * rows
            } else {
                4.0 * (rows / 4.0).ceil()
            };
            let group = if core == Core::M0 { 1 } else { 4 };
            let (columns, rest) = (layer.columns(), layer.columns() % group);
            vec![
                (Unit::DenseWeight, computed * (columns - rest) as f64),
                (Unit::DenseRest, computed * rest as f64),
                (Unit::DenseRow, computed),
            ]
        }
        Weights::Words(words) => of_words(words, layer),
        Weights::Columns(columns) => of_columns(columns, layer, activity),
    }
}

/// The gaps that entropy-coded rows code: those between neighbours (of the inputs that are listed, if
/// they are) are said by a bit where the block has such bits.
fn gaps(layer: &Layer<'_>, listed: bool) -> f64 {
    let WeightsSpec::Integers { rows, .. } = LayerSpec::from_layer(layer).weights else {
        return 0.0;
    };
    let has_bits = layer.block().first().is_some_and(|head| head >> 5 & 1 == 1);
    // The place of each input among those that some row reads, which are those listed.
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

/// What packed words repeat.
fn of_words(words: Words<'_>, layer: &Layer<'_>) -> Vec<(Unit, f64)> {
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

/// What columns repeat.
fn of_columns(
    columns: Columns<'_>,
    layer: &Layer<'_>,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let rows = layer.outputs() as f64;
    let full = Activity::full(layer.columns());
    let Activity { values, pairs, .. } = activity.unwrap_or(&full);
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
