//! Iterative SNIP: SNIP in rounds, each on new images and on what the last left (Verdenius et al.
//! 2020; de Jorge et al. 2021), so that a connection is judged beside those it will live with.

use super::rounds::Rounds;
use super::{Scores, gradient, snip};
use crate::pruning::{Kernels, PruneError, Source, ties};
use crate::random::Random;

/// Keys that lead to `compression`, from `kernels` on the source's data.
///
/// # Errors
/// When there is no data, the device refuses, or it is interrupted.
pub fn scores(
    source: &Source<'_>,
    kernels: &Kernels,
    compression: f64,
) -> Result<Scores, PruneError> {
    let data = source.data("snip/iterative")?;
    // Batch norm needs two images to tell apart.
    let count = (snip::images(source.graph, source.snip) / snip::ROUNDS).max(2);
    let mut rounds = Rounds::new(&source.graph.prunable(), snip::ROUNDS, compression);
    let mut masked = kernels.values().to_vec();
    for round in 0..snip::ROUNDS {
        source.step(round, snip::ROUNDS)?;
        if rounds.is_idle() {
            rounds.remove();
            continue;
        }
        let mut random = Random::stream(source.seed, &format!("snip images {round}"));
        let indices = gradient::draw(&mut random, data.train.len(), count);
        let double = kernels.is_double();
        let network = kernels.network(source.graph, &masked, double, source.device)?;
        let (gradient, _) = gradient::mean(
            &network,
            gradient::minibatches(data, &indices, gradient::BATCH, source.device),
            |scores, classes| source.snip.loss.mean(scores, classes),
            |_| source.step(round, snip::ROUNDS),
        )?;
        for ((alive, masked), gradient) in rounds.alive.iter_mut().zip(&masked).zip(&gradient) {
            for connection in alive {
                let element = connection.element as usize;
                connection.value = (masked[element] * gradient[element]).abs();
            }
        }
        if round == 0 || rounds.left() == source.graph.total() {
            let scores = rounds.alive.iter().flatten().map(|c| c.value);
            ties::check("snip/iterative", scores)?;
        }
        rounds.remove();
        for ((alive, masked), kernel) in
            (rounds.alive.iter().zip(&mut masked)).zip(kernels.values())
        {
            masked.fill(0.0);
            for connection in alive {
                let element = connection.element as usize;
                masked[element] = kernel[element];
            }
        }
    }
    Ok(rounds.keys())
}
