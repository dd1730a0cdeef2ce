//! Pairs hidden units that are active together, for layers stored as `columns`.
//!
//! The kernel of `columns` reads its inputs in pairs. Where both inputs of a pair have a weight in
//! the same row, one instruction multiplies both (on cores with the DSP extension), and each pair
//! is visited once. If both units of a pair are active, pairing them saves one visit and one
//! multiplication per row that they share. A pair is also better if each unit has an even number
//! of rows that do not read the other, since an odd number costs two bytes of padding. The ideal
//! is the matching that saves most; this is a greedy approximation that takes the best remaining
//! pair until none is left, then exchanges partners between two pairs while that saves more. (100
//! digits, LeNet-300-100 at 10x, second layer: 326 products saved by the original neighbours, 605
//! by matched ones, and 85 visits instead of 95.)
//!
//! Pairs are sorted by how often they are active, so that rarely active ones can be skipped four
//! at a time. A layer is left unchanged unless it and its readers are dense, its readers use
//! `columns`, its units can be reordered, and the order of its own rows does not matter (as it
//! does for packed words and entropy-coded rows).

use rarefy_format::Encoding;

use super::Network;
use super::network::Operation;

/// The cost of a visit, in products.
const VISIT: u32 = 7;

/// What saving the two bytes of padding in an odd section is worth, in products per inference.
const FILL: u64 = 2;

/// The maximum number of rounds of exchanges; in practice they converge earlier.
const ROUNDS: usize = 30;

/// Returns `network`, whose layers are to be stored as `encodings`, with units paired by their
/// activations for `images`, in every layer that the module's documentation does not exclude.
#[must_use]
pub fn paired(network: &Network, images: &[&[u8]], encodings: &[Encoding]) -> Network {
    let mut network = network.clone();
    let given: Vec<Vec<Vec<f32>>> = images.iter().map(|image| network.forward(image)).collect();
    for layer in 0..network.layers.len() {
        let by_columns = network
            .layers
            .iter()
            .zip(encodings)
            .all(|(reader, encoding)| {
                reader.source != Some(layer)
                    || (*encoding == Encoding::Columns && reader.operation == Operation::Dense)
            });
        let single = network.layers[layer].operation == Operation::Dense;
        let ordered = matches!(encodings[layer], Encoding::Words | Encoding::Rice);
        if by_columns && single && !ordered && network.can_reorder(layer) {
            let units = network.layers[layer].weights.rows();
            let active = (0..units)
                .map(|unit| Bits::new(given.iter().map(|outputs| outputs[layer][unit] != 0.0)));
            let order = order(&active.collect::<Vec<_>>(), &reading_rows(&network, layer));
            network.permute(layer, &order);
        }
    }
    network
}

/// Returns, per unit of `layer`, the rows of its readers that have a weight for it.
fn reading_rows(network: &Network, layer: usize) -> Vec<Bits> {
    let mut rows = vec![Vec::new(); network.layers[layer].weights.rows()];
    for reader in network.readers(layer) {
        for row in reader.weights.outer_iterator() {
            rows.iter_mut().for_each(|rows| rows.push(false));
            for &unit in row.indices() {
                *rows[unit].last_mut().expect("a row has been begun") = true;
            }
        }
    }
    rows.into_iter().map(Bits::new).collect()
}

/// Returns an order that makes good pairs of units: `active` holds the images in which each unit is
/// active, `read` the rows that read it.
fn order(active: &[Bits], read: &[Bits]) -> Vec<usize> {
    let units = active.len();
    let images = active.first().map_or(0, |set| set.size);
    let saving = |a: usize, b: usize| {
        let both = read[a].common(&read[b]);
        let together = active[a].common(&active[b]);
        let even = [a, b].map(|unit| u64::from((read[unit].count() - both).is_multiple_of(2)));
        u64::from(together) * u64::from(both + VISIT) + FILL * images * (even[0] + even[1])
    };
    let mut candidates: Vec<(u64, usize, usize)> = (0..units)
        .flat_map(|a| (a + 1..units).map(move |b| (a, b)))
        .map(|(a, b)| (saving(a, b), a, b))
        .collect();
    candidates.sort_unstable_by_key(|&(saving, a, b)| (std::cmp::Reverse(saving), a, b));
    let mut free = vec![true; units];
    let mut pairs = Vec::new();
    for (_, a, b) in candidates {
        if free[a] && free[b] {
            (free[a], free[b]) = (false, false);
            pairs.push([a, b]);
        }
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for first in 0..pairs.len() {
            for second in first + 1..pairs.len() {
                let ([a, b], [c, d]) = (pairs[first], pairs[second]);
                let now = saving(a, b) + saving(c, d);
                for (one, other) in [([a, c], [b, d]), ([a, d], [b, c])] {
                    if saving(one[0], one[1]) + saving(other[0], other[1]) > now {
                        (pairs[first], pairs[second]) = (one, other);
                        changed = true;
                        break;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    let either = |&[a, b]: &[usize; 2]| {
        let [one, other] = [a, b].map(|unit| active[unit].count());
        one + other - active[a].common(&active[b])
    };
    pairs.sort_by_key(|pair| (std::cmp::Reverse(either(pair)), pair.iter().min().copied()));
    let mut order: Vec<usize> = pairs
        .into_iter()
        .flat_map(|[a, b]| [a.min(b), a.max(b)])
        .collect();
    // If the number of units is odd, one is left without a partner.
    order.extend((0..units).filter(|&unit| free[unit]));
    order
}

/// A set of images or of rows.
struct Bits {
    bits: Vec<u64>,
    /// The number of possible members.
    size: u64,
}

impl Bits {
    /// Returns the set of the places at which `members` is true.
    fn new(members: impl IntoIterator<Item = bool>) -> Self {
        let (mut bits, mut size) = (Vec::new(), 0);
        for (place, is_member) in members.into_iter().enumerate() {
            if place % 64 == 0 {
                bits.push(0);
            }
            if let (true, Some(last)) = (is_member, bits.last_mut()) {
                *last |= 1 << (place % 64);
            }
            size += 1;
        }
        Self { bits, size }
    }

    /// Returns the number of members.
    fn count(&self) -> u32 {
        self.bits.iter().map(|bits| bits.count_ones()).sum()
    }

    /// Returns the size of the intersection.
    fn common(&self, other: &Bits) -> u32 {
        let pairs = self.bits.iter().zip(&other.bits);
        pairs.map(|(a, b)| (a & b).count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Layer;
    use crate::deploy::sparse::from_rows;

    fn dense(rows: &[&[usize]], columns: usize, source: Option<usize>) -> Layer {
        let row = |row: &&[usize]| row.iter().map(|&column| (column, 1.0)).collect();
        Layer {
            name: "layer".into(),
            operation: Operation::Dense,
            weights: from_rows(columns, rows.iter().map(row)),
            bias: vec![0.0; rows.len()],
            relu: source.is_none(),
            ceiling: f32::INFINITY,
            source,
            skip: None,
            shape: [rows.len(), 1, 1],
            original: (rows.len(), columns),
        }
    }

    /// Returns a network of five units, which copy inputs 0, 1, 0, 1, 2, and three rows, which read
    /// these units.
    fn network() -> Network {
        Network {
            input: [1, 1, 3],
            layers: vec![
                dense(&[&[0], &[1], &[0], &[1], &[2]], 3, None),
                dense(&[&[0, 1, 2, 4], &[0, 2, 4], &[0, 1, 2, 3]], 5, Some(0)),
            ],
        }
    }

    #[test]
    fn units_that_are_active_together_are_paired_and_scores_are_unchanged() {
        let network = network();
        let images: [&[u8]; 4] = [&[1, 0, 0], &[2, 0, 9], &[0, 3, 0], &[5, 0, 0]];
        let found = paired(&network, &images, &[Encoding::Columns; 2]);
        // The pairs are units 0 and 2 (active in three images) and units 1 and 3 (active in one).
        let inputs = found.layers[0].weights.outer_iterator();
        let inputs: Vec<usize> = inputs.map(|row| row.indices()[0]).collect();
        assert_eq!(inputs, [0, 0, 1, 1, 2]);
        for image in images {
            assert_eq!(found.scores(image), network.scores(image));
        }
    }

    #[test]
    fn layers_with_ordered_rows_or_other_readers_are_unchanged() {
        let network = network();
        let images: [&[u8]; 2] = [&[1, 0, 0], &[0, 3, 0]];
        for encodings in [
            [Encoding::Words, Encoding::Columns],
            [Encoding::Rice, Encoding::Columns],
            [Encoding::Columns, Encoding::Csr],
        ] {
            let found = paired(&network, &images, &encodings);
            assert_eq!(found.layers[0].weights, network.layers[0].weights);
        }
    }

    #[test]
    fn partners_are_exchanged_if_that_saves_more() {
        // The best single pair is 0 with 1, but 0 with 2 and 1 with 3 save more in total.
        let sets = [
            &[1, 1, 1, 1, 1, 1, 0, 0][..],
            &[1, 1, 1, 1, 0, 0, 1, 1],
            &[1, 1, 0, 0, 1, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 1, 1],
        ];
        let active = sets.map(|set| Bits::new(set.iter().map(|&member| member == 1)));
        let read = sets.map(|_| Bits::new([true]));
        assert_eq!(order(&active, &read), [0, 2, 1, 3]);
    }
}
