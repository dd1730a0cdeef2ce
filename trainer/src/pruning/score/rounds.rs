//! Pruning in rounds: a little is removed, what is left is scored anew, and so on.
//!
//! After round `t` of `T` the lowest `int(N - N (1 - s)^(t / T))` of `N` connections are gone, `s` the
//! sparsity to reach (Tanaka et al. 2020; Verdenius et al. 2020). What is left is one key a
//! connection: later removed, higher key; within a round by score. So a global order of the keys
//! goes back through the very masks of the rounds, and effective pruning can stop between two.

use super::Scores;
use crate::graph::Prunable;
use crate::pruning::{Connection, ranking};

/// Pruning in rounds, under way.
#[derive(Debug)]
pub struct Rounds {
    /// What is left, by tensor, ascending by element.
    pub alive: Vec<Vec<Connection<f64>>>,
    keys: Scores,
    sparsity: f64,
    rounds: usize,
    done: usize,
}

impl Rounds {
    /// `rounds` rounds that leave what direct pruning of `tensors` to `compression` does.
    pub fn new(tensors: &[Prunable], rounds: usize, compression: f64) -> Self {
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
            sparsity: 1.0 - 1.0 / compression,
            rounds,
            done: 0,
        }
    }

    /// How many connections are left.
    pub fn left(&self) -> usize {
        self.alive.iter().map(Vec::len).sum()
    }

    /// How many the next round leaves.
    pub fn kept_next(&self) -> usize {
        let total = self.keys.iter().map(Vec::len).sum::<usize>();
        let share = (self.done + 1) as f64 / self.rounds as f64;
        let n = total as f64;
        let removed = (n - n * (1.0 - self.sparsity).powf(share)) as usize;
        (total - removed).min(self.left())
    }

    /// Whether the next round needs no scores: it removes nothing and is not the last.
    pub fn is_idle(&self) -> bool {
        self.kept_next() == self.left() && self.done + 1 < self.rounds
    }

    /// Does the next round: removes the lowest of what is alive, whose values are the scores of
    /// this round (ties: the later element goes first).
    pub fn remove(&mut self) {
        let kept = self.kept_next();
        self.done += 1;
        if kept == self.left() {
            return;
        }
        let scores: Vec<Vec<f64>> = self
            .alive
            .iter()
            .map(|layer| layer.iter().map(|connection| connection.value).collect())
            .collect();
        let slices: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
        let chosen = ranking::above(&slices, kept);
        drop(scores);

        let mut gone: Vec<Vec<Connection<f64>>> = Vec::new();
        for (alive, chosen) in self.alive.iter_mut().zip(chosen) {
            let mut removed = Vec::with_capacity(alive.len() - chosen.len());
            let (mut chosen, mut place) = (chosen.into_iter().peekable(), 0_u32);
            alive.retain(|&connection| {
                let stays = chosen.next_if_eq(&place).is_some();
                place += 1;
                if !stays {
                    removed.push(connection);
                }
                stays
            });
            gone.push(removed);
        }
        enter(&mut self.keys, &gone, 2 * self.done);
    }

    /// The keys: of a removed connection twice its round and its score of that round between 0 and
    /// 1; of those that stayed, by the last scores they were given, above all others.
    pub fn keys(mut self) -> Scores {
        enter(&mut self.keys, &self.alive, 2 * (self.rounds + 1));
        self.keys
    }
}

/// Enters `base` and the score, taken to between 0 and 1, of each of `connections` in `keys`.
fn enter(keys: &mut Scores, connections: &[Vec<Connection<f64>>], base: usize) {
    let values = || connections.iter().flatten().map(|c| c.value);
    let (least, most) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| {
        (a.min(value), b.max(value))
    });
    let range = if most > least { most - least } else { 1.0 };
    for (keys, connections) in keys.iter_mut().zip(connections) {
        for &Connection { element, value } in connections {
            keys[element as usize] = base as f64 + (value - least) / range;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixed scores: the rounds must give back their order, round by round.
    #[test]
    fn keys_go_back_through_the_masks_of_the_rounds() {
        let scores = [vec![5.0, 1.0, 1.0, 8.0], vec![3.0, 0.0, 9.0, 2.0, 7.0, 6.0]];
        let tensor = |(node, scores): (usize, &Vec<f64>)| Prunable {
            name: format!("layer{node}.weight"),
            shape: vec![scores.len()],
            node,
        };
        let tensors: Vec<Prunable> = scores.iter().enumerate().map(tensor).collect();
        let mut rounds = Rounds::new(&tensors, 4, 5.0);
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
