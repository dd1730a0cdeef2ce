//! Iterative pruning: every round removes the connections of the lowest scores and scores the
//! others again.
//!
//! After round `t` of `T`, `int(N - N (1 - s)^(t / T))` of `N` connections are removed, where `s`
//! is the target sparsity (Tanaka et al. 2020; Verdenius et al. 2020). The result is one key per
//! connection: connections removed later have higher keys; those of one round are ordered by
//! score. A global order of the keys therefore contains the mask of every round, and effective
//! pruning can stop between two rounds.

use super::Scores;
use crate::graph::Prunable;
use crate::pruning::compression::Compression;
use crate::pruning::ranking::{Selector, TOGETHER};

/// The connections of a tensor that no round has removed, ascending by element. Every round reads
/// all of them several times, so each value is a list of its own.
#[derive(Debug, Clone)]
pub struct Remaining {
    /// The flat index of each weight in its tensor, row-major.
    pub elements: Vec<u32>,
    /// The magnitude |w| of each weight.
    pub magnitudes: Vec<f64>,
    /// The score of each connection.
    pub scores: Vec<f64>,
    /// Per output, the end of its connections in these lists.
    pub ends: Vec<usize>,
}

/// The state of iterative pruning.
#[derive(Debug)]
pub struct Rounds {
    /// The remaining connections and their scores, per tensor.
    pub alive: Vec<Remaining>,
    /// The keys of the removed connections.
    keys: Scores,
    /// The sparsity after the last round.
    sparsity: f64,
    /// The number of rounds.
    rounds: usize,
    /// The number of rounds done.
    done: usize,
}

/// The connections of a tensor that a round removes.
#[derive(Debug, Default)]
struct Removed {
    elements: Vec<u32>,
    scores: Vec<f64>,
}

impl Remaining {
    /// Creates the list of all connections of `tensor`, whose weights are `kernel`; their scores
    /// are 0.
    pub fn all(tensor: &Prunable, kernel: &[f64]) -> Self {
        let outputs = tensor.shape[0];
        let row = kernel.len() / outputs;
        Self {
            elements: (0..kernel.len() as u32).collect(),
            magnitudes: kernel.iter().map(|weight| weight.abs()).collect(),
            scores: vec![0.0; kernel.len()],
            ends: (1..=outputs).map(|output| output * row).collect(),
        }
    }

    /// Removes the connections that `selector` does not select, and returns them.
    fn remove(&mut self, selector: &mut Selector) -> Removed {
        let mut removed = Removed::default();
        let elements = self.elements.as_mut_slice();
        let magnitudes = &mut self.magnitudes[..elements.len()];
        let scores = &mut self.scores[..elements.len()];
        let (mut from, mut to) = (0, 0);
        for end in &mut self.ends {
            while from < *end {
                if let Some(group) = scores[from..*end].first_chunk()
                    && selector.selects_all(group)
                {
                    move_group(elements, from, to);
                    move_group(magnitudes, from, to);
                    move_group(scores, from, to);
                    (from, to) = (from + TOGETHER, to + TOGETHER);
                    continue;
                }
                for at in from..(from + TOGETHER).min(*end) {
                    let (element, score) = (elements[at], scores[at]);
                    if selector.selects(score) {
                        elements[to] = element;
                        magnitudes[to] = magnitudes[at];
                        scores[to] = score;
                        to += 1;
                    } else {
                        removed.elements.push(element);
                        removed.scores.push(score);
                    }
                }
                from = (from + TOGETHER).min(*end);
            }
            *end = to;
        }
        self.elements.truncate(to);
        self.magnitudes.truncate(to);
        self.scores.truncate(to);
        removed
    }
}

/// Copies the [`TOGETHER`] elements of `list` from `from` on to the place `to`.
#[inline]
fn move_group<T: Copy>(list: &mut [T], from: usize, to: usize) {
    let group: Option<&[T; TOGETHER]> = list[from..].first_chunk();
    if let Some(&group) = group
        && let Some(place) = list[to..].first_chunk_mut()
    {
        *place = group;
    }
}

impl Rounds {
    /// Prepares `rounds` rounds over `tensors`, whose weights are `kernels`, that keep as many
    /// connections as direct pruning to `compression`.
    pub fn new(
        tensors: &[Prunable],
        kernels: &[Vec<f64>],
        rounds: usize,
        compression: Compression,
    ) -> Self {
        let pairs = tensors.iter().zip(kernels);
        Self {
            alive: pairs
                .map(|(tensor, kernel)| Remaining::all(tensor, kernel))
                .collect(),
            keys: tensors.iter().map(|t| vec![0.0; t.len()]).collect(),
            sparsity: compression.sparsity(),
            rounds,
            done: 0,
        }
    }

    /// Returns the scores of the remaining connections.
    pub fn scores(&self) -> impl Iterator<Item = f64> + Clone {
        self.alive.iter().flat_map(|alive| &alive.scores).copied()
    }

    /// Returns the number of remaining connections.
    pub fn left(&self) -> usize {
        self.alive.iter().map(|alive| alive.elements.len()).sum()
    }

    /// Returns the number of connections that the next round keeps.
    pub fn kept_next(&self) -> usize {
        let total = self.keys.iter().map(Vec::len).sum::<usize>();
        let share = (self.done + 1) as f64 / self.rounds as f64;
        let n = total as f64;
        let removed = (n - n * (1.0 - self.sparsity).powf(share)) as usize;
        (total - removed).min(self.left())
    }

    /// Checks whether the next round needs no scores: it removes nothing and is not the last.
    pub fn is_idle(&self) -> bool {
        self.kept_next() == self.left() && self.done + 1 < self.rounds
    }

    /// Runs the next round: removes the connections of the lowest scores. Of equal scores the
    /// higher index is removed first.
    pub fn remove(&mut self) {
        let kept = self.kept_next();
        self.done += 1;
        if kept == self.left() {
            return;
        }
        let lists = self.alive.iter().map(|alive| alive.scores.as_slice());
        let mut selector = Selector::new(&lists.collect::<Vec<_>>(), kept);
        let alive = self.alive.iter_mut();
        let removed: Vec<Removed> = alive.map(|alive| alive.remove(&mut selector)).collect();
        let removed = removed.iter().map(|r| (&r.elements[..], &r.scores[..]));
        set_keys(&mut self.keys, removed, 2 * self.done);
    }

    /// Returns the keys, one list per tensor.
    ///
    /// The key of a connection removed in round `t` (counted from 1) is `2 t` plus its score,
    /// normalised to 0 to 1 over the round. The keys of the remaining connections, by their last
    /// scores, are above all others.
    pub fn keys(mut self) -> Scores {
        let alive = self.alive.iter().map(|a| (&a.elements[..], &a.scores[..]));
        set_keys(&mut self.keys, alive, 2 * (self.rounds + 1));
        self.keys
    }
}

/// Sets the keys of connections, given per tensor as elements and scores, to `base` plus their
/// scores, normalised to 0 to 1 over all.
fn set_keys<'a>(
    keys: &mut Scores,
    connections: impl Iterator<Item = (&'a [u32], &'a [f64])> + Clone,
    base: usize,
) {
    let scores = connections.clone().flat_map(|(_, scores)| scores);
    let (lowest, highest) = scores.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &score| {
        (a.min(score), b.max(score))
    });
    let range = if highest > lowest {
        highest - lowest
    } else {
        1.0
    };
    for (keys, (elements, scores)) in keys.iter_mut().zip(connections) {
        for (&element, score) in elements.iter().zip(scores) {
            keys[element as usize] = base as f64 + (score - lowest) / range;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Checks that keys order connections by score if the scores never change.
    #[test]
    fn keys_contain_the_mask_of_every_round() {
        let scores = [vec![5.0, 1.0, 1.0, 8.0], vec![3.0, 0.0, 9.0, 2.0, 7.0, 6.0]];
        let tensor = |(node, scores): (usize, &Vec<f64>)| Prunable {
            name: format!("layer{node}.weight"),
            shape: vec![scores.len()],
            node,
        };
        let tensors: Vec<Prunable> = scores.iter().enumerate().map(tensor).collect();
        let kernels = scores.clone();
        let mut rounds = Rounds::new(&tensors, &kernels, 4, Compression::new(5.0).unwrap());
        let mut left = Vec::new();
        for _ in 0..4 {
            for (alive, scores) in rounds.alive.iter_mut().zip(&scores) {
                for (score, &element) in alive.scores.iter_mut().zip(&alive.elements) {
                    *score = scores[element as usize];
                }
            }
            rounds.remove();
            left.push(rounds.left());
        }
        // 10 - int(10 - 10 (1/5)^(t/4)).
        assert_eq!(left, [7, 5, 3, 2]);
        // The last round keeps 8 and 9.
        let last = [&rounds.alive[0], &rounds.alive[1]];
        assert_eq!(last.map(|alive| alive.elements.as_slice()), [[3], [2]]);
        assert_eq!(
            last.map(|alive| alive.magnitudes.as_slice()),
            [[8.0], [9.0]]
        );
        assert_eq!(last[0].ends, [0, 0, 0, 1]);
        assert_eq!(last[1].ends, [0, 0, 1, 1, 1, 1]);
        let keys: Vec<f64> = rounds.keys().into_iter().flatten().collect();
        let rank = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            order
        };
        assert_eq!(rank(&keys), rank(&scores.concat()));
    }

    /// Compares with plain filters, on rows of several groups and with equal scores.
    #[test]
    fn a_round_removes_the_lowest_scores_of_long_rows() {
        let tensor = |(node, shape): (usize, [usize; 2])| Prunable {
            name: format!("layer{node}.weight"),
            shape: shape.to_vec(),
            node,
        };
        let shapes = [[3, 50], [7, 8], [40, 1]].into_iter().enumerate();
        let tensors: Vec<Prunable> = shapes.map(tensor).collect();
        let mut random = Random::new(2);
        let kernels: Vec<Vec<f64>> = (tensors.iter())
            .map(|tensor| (0..tensor.len()).map(|_| random.normal()).collect())
            .collect();
        let mut rounds = Rounds::new(&tensors, &kernels, 6, Compression::new(4.0).unwrap());
        for _ in 0..6 {
            for score in rounds.alive.iter_mut().flat_map(|alive| &mut alive.scores) {
                *score = random.below(40) as f64;
            }
            let before = rounds.alive.clone();
            let mut order: Vec<(usize, usize)> = (before.iter().enumerate())
                .flat_map(|(layer, alive)| (0..alive.scores.len()).map(move |at| (layer, at)))
                .collect();
            order.sort_by(|a, b| {
                let score = |&(layer, at): &(usize, usize)| before[layer].scores[at];
                score(b).total_cmp(&score(a))
            });
            order.truncate(rounds.kept_next());
            order.sort_unstable();
            rounds.remove();
            assert_eq!(rounds.left(), order.len());
            for (layer, after) in rounds.alive.iter().enumerate() {
                let kept = order.iter().filter(|place| place.0 == layer);
                let kept: Vec<usize> = kept.map(|place| place.1).collect();
                let (before, row) = (&before[layer], tensors[layer].shape[1]);
                let of = |list: &[f64]| -> Vec<f64> { kept.iter().map(|&at| list[at]).collect() };
                let elements: Vec<u32> = kept.iter().map(|&at| before.elements[at]).collect();
                assert_eq!(after.magnitudes, of(&before.magnitudes));
                assert_eq!(after.scores, of(&before.scores));
                for (output, &end) in after.ends.iter().enumerate() {
                    let limit = ((output + 1) * row) as u32;
                    assert_eq!(end, elements.partition_point(|&e| e < limit));
                }
                assert_eq!(after.elements, elements);
            }
        }
    }
}
