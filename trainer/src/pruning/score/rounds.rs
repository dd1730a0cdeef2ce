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
use crate::pruning::paths::Connection;
use crate::pruning::ranking::Selector;

/// The state of iterative pruning.
#[derive(Debug)]
pub struct Rounds {
    /// The remaining connections and their scores: one list per tensor, ascending by element.
    pub alive: Vec<Vec<Connection<f64>>>,
    /// The keys of the removed connections.
    keys: Scores,
    /// The sparsity after the last round.
    sparsity: f64,
    /// The number of rounds.
    rounds: usize,
    /// The number of rounds done.
    done: usize,
}

impl Rounds {
    /// Prepares `rounds` rounds over `tensors` that keep as many connections as direct pruning to
    /// `compression`.
    pub fn new(tensors: &[Prunable], rounds: usize, compression: Compression) -> Self {
        let all = |tensor: &Prunable| {
            let elements = 0..tensor.len() as u32;
            let alive = elements.map(|element| Connection {
                element,
                value: 0.0,
            });
            alive.collect()
        };
        Self {
            alive: tensors.iter().map(all).collect(),
            keys: tensors.iter().map(|t| vec![0.0; t.len()]).collect(),
            sparsity: compression.sparsity(),
            rounds,
            done: 0,
        }
    }

    /// Returns the number of remaining connections.
    pub fn left(&self) -> usize {
        self.alive.iter().map(Vec::len).sum()
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

    /// Runs the next round: removes the connections of the lowest scores, which are the values of
    /// `alive`. Of equal scores the higher index is removed first.
    pub fn remove(&mut self) {
        let kept = self.kept_next();
        self.done += 1;
        if kept == self.left() {
            return;
        }
        let scores = self.alive.iter().flatten().map(|c| c.value);
        let mut selector = Selector::new(scores, self.left(), kept);
        let remove = |alive: &mut Vec<Connection<f64>>| {
            let mut removed = Vec::new();
            alive.retain(|&connection| {
                let is_kept = selector.selects(connection.value);
                if !is_kept {
                    removed.push(connection);
                }
                is_kept
            });
            removed
        };
        let all_removed: Vec<Vec<Connection<f64>>> = self.alive.iter_mut().map(remove).collect();
        set_keys(&mut self.keys, &all_removed, 2 * self.done);
    }

    /// Returns the keys, one list per tensor.
    ///
    /// The key of a connection removed in round `t` (counted from 1) is `2 t` plus its score,
    /// normalised to 0 to 1 over the round. The keys of the remaining connections, by their last
    /// scores, are above all others.
    pub fn keys(mut self) -> Scores {
        set_keys(&mut self.keys, &self.alive, 2 * (self.rounds + 1));
        self.keys
    }
}

/// Sets the key of each of `connections` to `base` plus its score, normalised to 0 to 1 over all.
fn set_keys(keys: &mut Scores, connections: &[Vec<Connection<f64>>], base: usize) {
    let values = || connections.iter().flatten().map(|c| c.value);
    let (lowest, highest) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| {
        (a.min(value), b.max(value))
    });
    let range = if highest > lowest {
        highest - lowest
    } else {
        1.0
    };
    for (keys, connections) in keys.iter_mut().zip(connections) {
        for &Connection { element, value } in connections {
            keys[element as usize] = base as f64 + (value - lowest) / range;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut rounds = Rounds::new(&tensors, 4, Compression::new(5.0).unwrap());
        let mut left = Vec::new();
        for _ in 0..4 {
            for (alive, scores) in rounds.alive.iter_mut().zip(&scores) {
                for connection in alive {
                    connection.value = scores[connection.element as usize];
                }
            }
            rounds.remove();
            left.push(rounds.left());
        }
        // 10 - int(10 - 10 (1/5)^(t/4)).
        assert_eq!(left, [7, 5, 3, 2]);
        let keys: Vec<f64> = rounds.keys().into_iter().flatten().collect();
        let rank = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            order
        };
        assert_eq!(rank(&keys), rank(&scores.concat()));
    }
}
