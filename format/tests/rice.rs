//! Tests the entropy-coded encoding: blocks are read as written, and arbitrary bytes are harmless.

use proptest::prelude::*;
use rarefy_format::rice::{Pattern, Rice, RiceError, RiceRow, Summary, unit_order, write_rice};

/// Reads the rows of a block as a kernel does; columns are indices into all inputs.
fn read(rice: &Rice<'_>) -> Vec<RiceRow> {
    let mut selection = rice.selection();
    let mut inputs = Vec::new();
    while let Some((start, length)) = selection.next_run() {
        inputs.extend(start..start + length);
    }
    let mut rows = selection.rows();
    assert_eq!(rows.columns(), inputs.len());
    let read = |_| {
        let mut row = RiceRow {
            bias: rows.start(),
            weights: Vec::new(),
        };
        rows.weights(|column, weight| row.weights.push((inputs[column] as u16, weight as i16)));
        assert_eq!(row.weights.len(), rows.length());
        row
    };
    (0..rice.outputs()).map(read).collect()
}

/// Returns the number of weights and the length of the longest row, by definition.
fn summary(rows: &[RiceRow]) -> (u32, u16) {
    (
        rows.iter().map(|row| row.weights.len() as u32).sum(),
        rows.iter()
            .map(|row| row.weights.len() as u16)
            .max()
            .unwrap_or(0),
    )
}

/// Draws a layer of up to 90 inputs and 11 rows, from empty to full: weights from a range or a
/// list, some columns unused, rows sorted or not.
fn layer() -> impl Strategy<Value = (u16, Vec<RiceRow>)> {
    let dimensions = (1..90u16, 0..12usize, 0..=100u8, 0..=100u8);
    let weights = prop_oneof![
        Just(vec![-1i16, 1]),
        Just((1..=8).flat_map(|w| [w, -w]).collect()),
        Just(vec![256, -256, 1]),
        Just(vec![1, i16::MAX, i16::MIN]),
        Just(vec![-128, 3, 90]),
        Just(vec![5]),
    ];
    let biases = (9..31u32, 0..=20u32);
    (dimensions, weights, biases, any::<bool>()).prop_flat_map(
        |((inputs, outputs, used, density), weights, (bits, shift), sorted)| {
            let weight = (0..100u8, proptest::sample::select(weights));
            let row = proptest::collection::vec(weight, usize::from(inputs));
            let bias =
                any::<i32>().prop_map(move |bias| (bias >> bits >> shift.min(8)) << shift.min(8));
            let columns = proptest::collection::vec(0..100u8, usize::from(inputs));
            let rows = proptest::collection::vec((row, bias), outputs);
            (columns, rows).prop_map(move |(columns, rows)| {
                let row = |(row, bias): (Vec<(u8, i16)>, i32)| RiceRow {
                    // Halved so that the sum with the weights fits 32 bits.
                    bias: bias / 2,
                    weights: (0u16..)
                        .zip(row)
                        .zip(&columns)
                        .filter(|((_, (chance, _)), column)| *chance < density && **column < used)
                        .map(|((column, (_, weight)), _)| (column, weight))
                        .collect(),
                };
                let mut rows: Vec<RiceRow> = rows.into_iter().map(row).collect();
                if sorted {
                    rows.sort_by_key(|row| (row.weights.len(), row.weights.first().copied()));
                }
                (inputs, rows)
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_read_as_written((inputs, rows) in layer(), may_select in any::<bool>()) {
        let (block, parts) = write_rice(inputs, &rows, may_select).unwrap();
        prop_assert_eq!(block.len(), parts.bits().div_ceil(8));
        let (rice, found) = Rice::check(&block, inputs, rows.len() as u16).unwrap();
        let Summary { weights, longest_row, .. } = found;
        prop_assert_eq!((weights, longest_row), summary(&rows));
        prop_assert!(may_select || rice.selected().is_none());
        prop_assert_eq!(read(&rice), rows);
    }

    #[test]
    fn any_bytes_are_harmless(
        block in proptest::collection::vec(any::<u8>(), 0..60), inputs: u16, outputs in 0..40u16,
    ) {
        harmless(&block, inputs, outputs);
    }

    #[test]
    fn an_order_of_units_is_a_permutation_that_sorts_rows((inputs, rows) in layer()) {
        let columns = |row: &RiceRow| row.weights.iter().map(|w| usize::from(w.0)).collect();
        let pattern = Pattern {
            inputs: usize::from(inputs),
            rows: rows.iter().map(columns).collect(),
        };
        let reader = Pattern { inputs: 3 * rows.len(), rows: vec![vec![]] };
        let order = unit_order(&[pattern, reader]).remove(0);
        let mut seen = order.clone();
        seen.sort_unstable();
        prop_assert!(seen.into_iter().eq(0..rows.len()));
        let ordered: Vec<RiceRow> = order.iter().map(|&unit| rows[unit].clone()).collect();
        let lengths = |rows: &[RiceRow]| rows.is_sorted_by_key(|row| row.weights.len());
        prop_assert!(lengths(&ordered));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn missing_bits_are_rejected_and_changes_are_harmless((inputs, rows) in layer()) {
        let outputs = rows.len() as u16;
        let (mut block, _) = write_rice(inputs, &rows, true).unwrap();
        for length in 0..block.len() {
            harmless(&block[..length], inputs, outputs);
        }
        for place in 0..block.len() {
            let byte = block[place];
            for value in 0..=255 {
                block[place] = value;
                harmless(&block, inputs, outputs);
            }
            block[place] = byte;
        }
        // The bits follow the header, and the drawn layers have at least four bytes of them.
        let (codebook, selected) = (block[0] >> 4 & 1 != 0, block[0] >> 6 & 1 != 0);
        let entries = if codebook { 2 + usize::from(block[4]) } else { 0 };
        let front = 4 + entries + if selected { 2 } else { 0 };
        let mut short = block.clone();
        while short.len() > front {
            short.remove(front);
            prop_assert!(Rice::check(&short, inputs, outputs).is_err());
        }
        block.insert(front, 0);
        let surplus = Err(RiceError::Surplus { bytes: 1 });
        prop_assert_eq!(Rice::check(&block, inputs, outputs).map(|_| ()), surplus);
    }
}

/// Checks that a block is rejected, or that its rows stay inside the stated bounds.
fn harmless(block: &[u8], inputs: u16, outputs: u16) {
    if let Ok((rice, found)) = Rice::check(block, inputs, outputs) {
        let rows = read(&rice);
        assert_eq!(rows.len(), usize::from(outputs));
        for row in &rows {
            assert!(row.weights.windows(2).all(|two| two[0].0 < two[1].0));
            assert!(
                row.weights
                    .iter()
                    .all(|&(column, weight)| column < inputs && weight != 0)
            );
        }
        let Summary {
            weights,
            longest_row,
            ..
        } = found;
        assert_eq!((weights, longest_row), summary(&rows));
    }
}

#[test]
fn the_block_of_the_specification_is_written() {
    // The rows 5 - x[1] and -2 + 3 x[0] + x[2].
    let rows = [
        RiceRow {
            bias: 5,
            weights: vec![(1, -1)],
        },
        RiceRow {
            bias: -2,
            weights: vec![(0, 3), (2, 1)],
        },
    ];
    let (block, _) = write_rice(3, &rows, true).unwrap();
    let (rice, _) = Rice::check(&block, 3, 2).unwrap();
    assert_eq!(read(&rice), rows);
    assert_eq!(block, [0x80, 0x00, 0x02, 0x00, 0xc0, 0xc2, 0x5f, 0x66]);
}

#[test]
fn rows_without_a_block_are_rejected() {
    let row = |weights| [RiceRow { bias: 0, weights }];
    for weights in [
        vec![(2, 1), (1, 1)],
        vec![(1, 1), (1, 1)],
        vec![(3, 1)],
        vec![(0, 0)],
    ] {
        let refused = write_rice(3, &row(weights.clone()), true).map(|_| ());
        assert_eq!(
            refused,
            Err(RiceError::Unwritable { row: 0 }),
            "{weights:?}"
        );
    }
    // Biases have 24 bits, besides the trailing zeros that all of them share.
    for (bias, more) in [((1 << 23) - 1, 1), (-(1 << 23) + 1, -2)] {
        let written = |bias, shift: u32| {
            let row = RiceRow {
                bias: bias << shift,
                weights: vec![(0, 1)],
            };
            let (block, _) = write_rice(3, std::slice::from_ref(&row), true)?;
            assert_eq!(read(&Rice::check(&block, 3, 1)?.0), [row]);
            Ok(())
        };
        assert_eq!(written(bias, 0), Ok(()));
        assert_eq!(written(bias, 8), Ok(()));
        assert_eq!(written(bias + 2 * more, 0), Err(RiceError::Overlong));
    }
}

#[test]
fn a_block_can_be_checked_at_compile_time() {
    // No rows, only parameters.
    const EMPTY: Result<(Rice<'_>, Summary), RiceError> = Rice::check(&[0, 0, 0, 0], 5, 0);
    assert!(EMPTY.is_ok());
}
