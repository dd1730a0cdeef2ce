//! What a layer will cost on a core, in executed instructions, from a small table of coefficients.
//!
//! The coefficients are fitted to counts on the emulated boards: LeNet-300-100 at 100x, 300x and 1000x
//! wholly in one encoding after the other, which they predict to some 5 %. That is enough to choose an
//! encoding and to see where time goes. What an inference costs besides its layers is left out: it is
//! the same for each choice.

use rarefy_format::{Encoding, Layer, LayerSpec, Operation, Weights, WeightsSpec};

/// A processor core, or those that count like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    fn costs(self) -> &'static Costs {
        match self {
            Core::M4 => &M4,
            Core::M3 => &M3,
            Core::M0 => &M0,
        }
    }
}

/// Instructions of each thing that a kernel repeats.
struct Costs {
    /// A weight and a row of compressed rows.
    csr: [f64; 2],
    /// A weight, a row and a run of packed words.
    words: [f64; 3],
    /// A weight and a column of an activation that is not 0, an input, an output.
    columns: [f64; 4],
    /// A weight, a row, a run of rows of one length and a gathered input of the entropy-coded encoding.
    rice: [f64; 4],
    /// A weight, zero or not, and a row of dense rows.
    dense: [f64; 2],
    /// A weight and a row of floats.
    floats: [f64; 2],
    /// A weight and a position of a convolution, a position before pooling, a channel; besides, its
    /// weights are read once as those of a dense layer.
    conv: [f64; 3],
    /// A value read by pooling on its own, a value given.
    pool: [f64; 2],
}

const M4: Costs = Costs {
    csr: [4.3, 19.0],
    words: [3.35, 6.0, 8.0],
    columns: [4.2, 16.0, 0.8, 7.0],
    rice: [30.6, 58.0, 210.0, 28.0],
    dense: [1.6, 20.0],
    floats: [8.0, 16.0],
    conv: [1.75, 2.0, 150.0],
    pool: [6.0, 10.0],
};

const M3: Costs = Costs {
    csr: [4.3, 19.0],
    words: [4.4, 6.0, 10.0],
    columns: [5.2, 16.0, 0.8, 8.0],
    rice: [30.6, 58.0, 210.0, 28.0],
    dense: [2.4, 20.0],
    floats: [80.0, 90.0],
    conv: [2.65, 2.5, 150.0],
    pool: [6.0, 10.0],
};

const M0: Costs = Costs {
    csr: [6.6, 33.0],
    words: [6.7, 11.0, 18.0],
    columns: [8.0, 26.0, 1.6, 14.0],
    rice: [55.5, 86.0, 285.0, 45.0],
    dense: [3.8, 30.0],
    floats: [150.0, 150.0],
    conv: [3.65, 5.0, 250.0],
    pool: [9.0, 16.0],
};

/// Instructions that `layer` will take on `core`. `activity` is for each value it reads the share of
/// inputs for which that is not 0; without it every one is taken not to be, so that what skips zeros is
/// predicted from above.
///
/// # Panics
/// When `activity` is not as long as the layer's columns.
#[must_use]
pub fn instructions(layer: &Layer<'_>, core: Core, activity: Option<&[f64]>) -> f64 {
    let costs = core.costs();
    match layer.operation() {
        Operation::Dense => weights(layer, costs, activity),
        Operation::Conv { .. } => {
            let [product, position, channel] = costs.conv;
            let positions = (layer.sums().len() / layer.outputs().max(1)) as f64;
            let (nonzeros, outputs) = (nonzeros(layer), layer.outputs() as f64);
            let each = product * nonzeros + position * outputs;
            weights(layer, costs, None) + positions * each + channel * outputs
        }
        Operation::Pool { window, .. } => {
            let [read, given] = costs.pool;
            let area = f64::from(window.size) * f64::from(window.size);
            layer.output().shape.len() as f64 * (area * read + given)
        }
    }
}

/// Instructions that read every weight of `layer` and multiply it once.
fn weights(layer: &Layer<'_>, costs: &Costs, activity: Option<&[f64]>) -> f64 {
    let rows = layer.outputs() as f64;
    let stored = nonzeros(layer);
    match layer.weights() {
        Weights::None => 0.0,
        Weights::Csr(_) => costs.csr[0] * stored + costs.csr[1] * rows,
        Weights::CsrF32(_) => costs.floats[0] * stored + costs.floats[1] * rows,
        Weights::Rice(rice) => {
            let [weight, row, run, gathered] = costs.rice;
            let inputs = f64::from(rice.selected().unwrap_or(0));
            weight * stored + row * rows + run * rice.runs() as f64 + gathered * inputs
        }
        Weights::Dense(_) => costs.dense[0] * rows * layer.columns() as f64 + costs.dense[1] * rows,
        Weights::Words(words) => {
            let [weight, row, run] = costs.words;
            let runs = words.runs().iter();
            runs.map(|&[l0, l1, r0, r1]| {
                let length = f64::from(u16::from_le_bytes([l0, l1]));
                let rows = f64::from(u16::from_le_bytes([r0, r1]));
                run + rows * (row + weight * length)
            })
            .sum()
        }
        Weights::Columns(columns) => {
            let [weight, visited, input, output] = costs.columns;
            let mut lengths = vec![0.0; layer.columns()];
            columns.each(|column, _, _| lengths[usize::from(column)] += 1.0);
            let visits: f64 = lengths
                .iter()
                .enumerate()
                .map(|(column, length)| {
                    let active = activity.map_or(1.0, |activity| activity[column]);
                    active * (visited + weight * length)
                })
                .sum();
            visits + input * layer.columns() as f64 + output * rows
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
    use rarefy_format::{AlignedBytes, Model, NetworkSpec, Shape, write};

    use super::*;

    /// What a layer of these rows over 64 inputs is predicted to take.
    fn predicted(
        encoding: Encoding,
        rows: &[Vec<(u16, i16)>],
        core: Core,
        activity: Option<&[f64]>,
    ) -> f64 {
        let layer = LayerSpec::dense(encoding, 0, vec![0; rows.len()], rows.to_vec());
        let spec = NetworkSpec {
            input: Shape::flat(64),
            layers: vec![layer],
        };
        let bytes = AlignedBytes::copy_from(&write(&spec).unwrap());
        let layer = Model::parse(&bytes).unwrap().layers().next().unwrap();
        instructions(&layer, core, activity)
    }

    #[test]
    fn predictions_count_weights_rows_runs_and_what_is_active() {
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
        let [weight, row, run] = M4.words;
        let found = predicted(Encoding::Words, &words(false), Core::M4, None);
        assert!((found - (32.0 * weight + 8.0 * row + run)).abs() < 1e-9);

        // All rows have four weights; 32 of 64 inputs are used, which a list is too long for.
        let [weight, row, run, _] = M3.rice;
        let found = predicted(Encoding::Rice, &words(false), Core::M3, None);
        assert!((found - (32.0 * weight + 8.0 * row + run)).abs() < 1e-9);

        let [weight, column, input, output] = M0.columns;
        let still = 64.0 * input + 8.0 * output;
        // Of 64 columns half have a weight each, but each is looked at.
        let all = predicted(Encoding::Columns, &words(true), Core::M0, None);
        assert!((all - (32.0 * weight + 64.0 * column + still)).abs() < 1e-9);
        let half = predicted(Encoding::Columns, &words(true), Core::M0, Some(&[0.5; 64]));
        assert!((2.0 * (half - still) - (all - still)).abs() < 1e-9);
        let none = predicted(Encoding::Columns, &words(true), Core::M0, Some(&[0.0; 64]));
        assert!((none - still).abs() < 1e-9);
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
}
