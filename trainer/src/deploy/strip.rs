//! Stripping: detached units go, and nothing else changes.
//!
//! A hidden unit that nothing reads is removed. One that reads nothing gives the constant
//! `relu(bias)`: it is folded into the biases of the next layer and removed too. Removing one kind
//! can make more of the other, so this repeats until nothing is left to do. The result computes
//! what the layers computed, up to the rounding of the folded biases. The inputs and the outputs
//! of the network stay: they are the device's interface.

use super::SparseLayer;

/// `layers` without detached hidden units.
#[must_use]
pub fn strip(layers: &[SparseLayer]) -> Vec<SparseLayer> {
    let mut layers = layers.to_vec();
    while (1..layers.len()).any(|next| strip_between(&mut layers, next)) {}
    layers
}

/// Strips the units between layers `next - 1` and `next`; tells whether there was one.
fn strip_between(layers: &mut [SparseLayer], next: usize) -> bool {
    let [before, after] = &mut layers[next - 1..=next] else {
        return false;
    };
    let mut read = vec![false; after.inputs()];
    for row in after.weights.outer_iterator() {
        row.iter().for_each(|(column, _)| read[column] = true);
    }
    let constants: Vec<Option<f32>> = before
        .weights
        .outer_iterator()
        .zip(&before.bias)
        .map(|(row, &bias)| {
            let constant = if before.relu { bias.max(0.0) } else { bias };
            (row.nnz() == 0).then_some(constant)
        })
        .collect();
    for (row, bias) in after.weights.outer_iterator().zip(&mut after.bias) {
        let sent: f64 = row
            .iter()
            .filter_map(|(column, weight)| Some(f64::from(*weight) * f64::from(constants[column]?)))
            .sum();
        *bias = (f64::from(*bias) + sent) as f32;
    }
    let keep: Vec<bool> = read
        .iter()
        .zip(&constants)
        .map(|(&read, constant)| read && constant.is_none())
        .collect();
    if keep.iter().all(|&keep| keep) {
        return false;
    }
    *before = before.keep(&keep, &vec![true; before.inputs()]);
    *after = after.keep(&vec![true; after.outputs()], &keep);
    true
}

#[cfg(test)]
mod tests {
    use sprs::CsMat;

    use super::*;
    use crate::deploy::sparse::forward;
    use crate::random::Random;

    fn layer(
        name: &str,
        rows: usize,
        columns: usize,
        relu: bool,
        weights: &[f32],
        bias: &[f32],
    ) -> SparseLayer {
        let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
        for row in weights.chunks(columns) {
            for (column, &weight) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                indices.push(column);
                values.push(weight);
            }
            starts.push(indices.len());
        }
        let weights = CsMat::new((rows, columns), starts, indices, values);
        SparseLayer {
            name: name.into(),
            weights,
            bias: bias.to_vec(),
            relu,
            original: (rows, columns),
        }
    }

    #[test]
    fn dead_units_go_in_both_directions_and_their_constants_stay() {
        // Unit 0 lives; unit 1 reads nothing and sends 2; unit 2 is not read; unit 3 would be read
        // only by unit 1 of the next layer, which is not read itself.
        let first = layer(
            "fc1",
            4,
            2,
            true,
            &[0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 3.0],
            &[0.1, 2.0, 0.0, 0.0],
        );
        let second = layer(
            "fc2",
            2,
            4,
            true,
            &[1.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
            &[7.0, 0.0],
        );
        let third = layer("fc3", 1, 2, false, &[2.0, 0.0], &[0.0]);
        let layers = [first, second, third];
        let stripped = strip(&layers);
        let dimensions: Vec<_> = stripped.iter().map(|l| (l.outputs(), l.inputs())).collect();
        assert_eq!(dimensions, [(1, 2), (1, 1), (1, 1)]);
        assert_eq!(stripped[1].bias, [1.0]);
        assert_eq!(stripped[0].original, (4, 2));
        for input in [[0, 0], [255, 3], [8, 200]] {
            let (found, expected) = (forward(&stripped, &input)[0], forward(&layers, &input)[0]);
            assert!(
                (found - expected).abs() <= 1e-5 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn random_networks_compute_the_same_when_stripped() {
        let mut random = Random::new(11);
        for _ in 0..200 {
            let sizes = [6, 8, 7, 5, 3];
            let layers: Vec<SparseLayer> = sizes
                .windows(2)
                .enumerate()
                .map(|(index, pair)| {
                    let mut weight = |density: f64| {
                        if random.unit() < density {
                            random.normal() as f32
                        } else {
                            0.0
                        }
                    };
                    let weights: Vec<f32> = (0..pair[0] * pair[1]).map(|_| weight(0.15)).collect();
                    let bias: Vec<f32> = (0..pair[1]).map(|_| weight(1.0)).collect();
                    layer(
                        &format!("fc{index}"),
                        pair[1],
                        pair[0],
                        index < 3,
                        &weights,
                        &bias,
                    )
                })
                .collect();
            let stripped = strip(&layers);
            for pair in stripped.windows(2) {
                assert_eq!(pair[0].outputs(), pair[1].inputs());
                assert!(pair[0].weights.outer_iterator().all(|row| row.nnz() > 0));
            }
            let input: Vec<u8> = (0..6).map(|_| random.below(256) as u8).collect();
            for (a, b) in forward(&stripped, &input)
                .iter()
                .zip(forward(&layers, &input))
            {
                assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
}
