//! Sparse layers in f32 on the host: what folding makes and stripping shrinks.

use sprs::CsMat;

/// One deployed layer: `y = act(W x + b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseLayer {
    /// The layer's name in the architecture, such as `fc1`.
    pub name: String,
    /// W in compressed sparse rows, (outputs, inputs).
    pub weights: CsMat<f32>,
    /// b, one for each output.
    pub bias: Vec<f32>,
    /// Whether max(0, ·) follows.
    pub relu: bool,
    /// (outputs, inputs) before stripping.
    pub original: (usize, usize),
}

impl SparseLayer {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.weights.rows()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.weights.cols()
    }

    /// The layer's outputs for `inputs`.
    ///
    /// # Panics
    /// When the number of inputs is not the layer's.
    pub fn forward(&self, inputs: &[f32]) -> Vec<f32> {
        assert_eq!(inputs.len(), self.inputs(), "inputs of layer {}", self.name);
        let rows = self.weights.outer_iterator().zip(&self.bias);
        rows.map(|(row, bias)| {
            let sum: f32 = row
                .iter()
                .map(|(column, weight)| weight * inputs[column])
                .sum();
            if self.relu {
                (sum + bias).max(0.0)
            } else {
                sum + bias
            }
        })
        .collect()
    }

    /// The layer with the weights that `keep(row, column)` keeps.
    #[must_use]
    pub fn retain(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        let rows = self
            .weights
            .outer_iterator()
            .enumerate()
            .map(|(row, weights)| {
                let kept = weights.iter().filter(|&(column, _)| keep(row, column));
                kept.map(|(column, &weight)| (column, weight)).collect()
            });
        Self {
            weights: from_rows(self.inputs(), rows),
            ..self.clone()
        }
    }

    /// The layer with the rows and columns that `rows` and `columns` keep, renumbered.
    #[must_use]
    pub fn keep(&self, rows: &[bool], columns: &[bool]) -> Self {
        let mut number = 0;
        let numbers: Vec<Option<usize>> = columns
            .iter()
            .map(|&keep| {
                let this = keep.then_some(number);
                number += usize::from(keep);
                this
            })
            .collect();
        let kept = || self.weights.outer_iterator().zip(&self.bias).zip(rows);
        let kept = || kept().filter(|(_, keep)| **keep).map(|(row, _)| row);
        let renumbered = kept().map(|(row, _)| {
            let weights = row.iter();
            weights
                .filter_map(|(column, &weight)| Some((numbers[column]?, weight)))
                .collect()
        });
        let weights = from_rows(number, renumbered);
        let bias = kept().map(|(_, &bias)| bias).collect();
        Self {
            name: self.name.clone(),
            weights,
            bias,
            ..*self
        }
    }
}

/// Compressed sparse rows of `columns` columns; each row is given as its (column, value) pairs,
/// columns rising.
pub(super) fn from_rows<T>(
    columns: usize,
    rows: impl Iterator<Item = Vec<(usize, T)>>,
) -> CsMat<T> {
    let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
    for row in rows {
        for (column, value) in row {
            indices.push(column);
            values.push(value);
        }
        starts.push(indices.len());
    }
    CsMat::new((starts.len() - 1, columns), starts, indices, values)
}

/// The class scores that `layers` give for `input` (raw pixels 0 to 255).
pub fn forward(layers: &[SparseLayer], input: &[u8]) -> Vec<f32> {
    let mut values: Vec<f32> = input.iter().map(|&pixel| f32::from(pixel)).collect();
    for layer in layers {
        values = layer.forward(&values);
    }
    values
}
