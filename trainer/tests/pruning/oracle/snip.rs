//! SNIP by its definition (Lee et al. 2019) on one minibatch through dense layers, f64.
//!
//! Every dense layer is batch normalised by the batch's own statistics (biased variance,
//! epsilon 1e-3), all but the last are rectified; then softmax. A weight's score is |w| times the
//! absolute derivative of the mean loss by it.

use super::PerLayer;

/// What is minimised.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// Cross-entropy.
    CrossEntropy,
    /// What the paper's code computes: cross-entropy with prediction and label swapped, the label
    /// cut to 1e-7 and 1 - 1e-7.
    Swapped,
}

impl Loss {
    /// The loss of one sample and its derivative by each logit, given the class probabilities.
    fn of(self, probabilities: &[f64], label: usize) -> (f64, Vec<f64>) {
        let hot = |class: usize| if class == label { 1.0 } else { 0.0 };
        match self {
            Loss::CrossEntropy => {
                let slope = |(class, &p): (usize, &f64)| p - hot(class);
                let slopes = probabilities.iter().enumerate().map(slope).collect();
                (-probabilities[label].ln(), slopes)
            }
            Loss::Swapped => {
                let cost = |class: usize| -f64::ln(hot(class).clamp(1e-7, 1.0 - 1e-7));
                let costs = probabilities.iter().enumerate();
                let mean: f64 = costs.map(|(class, p)| p * cost(class)).sum();
                let slope = |(class, &p): (usize, &f64)| p * (cost(class) - mean);
                (mean, probabilities.iter().enumerate().map(slope).collect())
            }
        }
    }
}

/// The mean loss and the scores of `kernels`, each (out, in), on the samples `batch`.
pub(crate) fn scores(
    kernels: &[Vec<f64>],
    batch: &[Vec<f64>],
    labels: &[usize],
    loss: Loss,
) -> (f64, PerLayer<f64>) {
    let samples = batch.len() as f64;
    // For each layer: its inputs, its normalised outputs, and one over their deviations.
    let mut inputs = vec![batch.to_vec()];
    let mut layers: Vec<(PerLayer<f64>, Vec<f64>)> = Vec::new();
    for (place, kernel) in kernels.iter().enumerate() {
        let (normalised, scales) = normalised(&dense(kernel, &inputs[place]));
        if place + 1 < kernels.len() {
            let rectified = |row: &Vec<f64>| row.iter().map(|&x| x.max(0.0)).collect();
            inputs.push(normalised.iter().map(rectified).collect());
        }
        layers.push((normalised, scales));
    }

    let (mut total, mut slopes) = (0.0, Vec::new());
    for (logits, &label) in layers[kernels.len() - 1].0.iter().zip(labels) {
        let (lost, slope) = loss.of(&softmax(logits), label);
        total += lost / samples;
        slopes.push(slope.iter().map(|s| s / samples).collect::<Vec<f64>>());
    }
    let mut scores = vec![Vec::new(); kernels.len()];
    for place in (0..kernels.len()).rev() {
        let (normalised, scales) = &layers[place];
        if place + 1 < kernels.len() {
            for (slopes, outputs) in slopes.iter_mut().zip(normalised) {
                let pairs = slopes.iter_mut().zip(outputs);
                pairs
                    .filter(|(_, x)| **x <= 0.0)
                    .for_each(|(s, _)| *s = 0.0);
            }
        }
        slopes = before_normalising(&slopes, normalised, scales);
        let before = &inputs[place];
        let width = before[0].len();
        let score = |(at, weight): (usize, &f64)| {
            let (output, input) = (at / width, at % width);
            let pairs = slopes.iter().zip(before);
            let slope: f64 = pairs.map(|(s, x)| s[output] * x[input]).sum();
            (weight * slope).abs()
        };
        scores[place] = kernels[place].iter().enumerate().map(score).collect();
        let back = |slopes: &Vec<f64>| -> Vec<f64> {
            let mut back = vec![0.0; width];
            for (row, slope) in kernels[place].chunks(width).zip(slopes) {
                back.iter_mut().zip(row).for_each(|(b, w)| *b += w * slope);
            }
            back
        };
        slopes = slopes.iter().map(back).collect();
    }
    (total, scores)
}

fn dense(kernel: &[f64], rows: &[Vec<f64>]) -> PerLayer<f64> {
    let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
    let outputs = |x: &Vec<f64>| kernel.chunks(x.len()).map(|row| dot(row, x)).collect();
    rows.iter().map(outputs).collect()
}

/// Rows of mean 0 and variance 1 along the batch, and what each column was multiplied by.
fn normalised(rows: &[Vec<f64>]) -> (PerLayer<f64>, Vec<f64>) {
    let (mut rows, samples) = (rows.to_vec(), rows.len() as f64);
    let scales = (0..rows[0].len()).map(|column| {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / samples;
        let square = |row: &Vec<f64>| (row[column] - mean).powi(2);
        let variance = rows.iter().map(square).sum::<f64>() / samples;
        let scale = 1.0 / (variance + 1e-3).sqrt();
        for row in &mut rows {
            row[column] = (row[column] - mean) * scale;
        }
        scale
    });
    let scales = scales.collect();
    (rows, scales)
}

/// The derivatives by what was normalised, given those by the normalised.
fn before_normalising(
    slopes: &[Vec<f64>],
    normalised: &[Vec<f64>],
    scales: &[f64],
) -> PerLayer<f64> {
    let (mut before, samples) = (slopes.to_vec(), slopes.len() as f64);
    for (column, scale) in scales.iter().enumerate() {
        let mean = slopes.iter().map(|row| row[column]).sum::<f64>() / samples;
        let pairs = slopes.iter().zip(normalised);
        let along: f64 = pairs.map(|(s, x)| s[column] * x[column]).sum::<f64>() / samples;
        for (row, x) in before.iter_mut().zip(normalised) {
            row[column] = scale * (row[column] - mean - x[column] * along);
        }
    }
    before
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|x| (x - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
