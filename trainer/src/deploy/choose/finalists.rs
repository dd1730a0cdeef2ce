//! Rates the choice and every single encoding that is near it on the containers they really give.

use rarefy_format::{AlignedBytes, Encoding, Model, write};

use super::super::costs::{self, Core, ENCODINGS};
use super::super::quantize::Quantized;
use super::{Candidates, Cost, DeployError, Goal, pick};

/// How much worse than the choice a single encoding may look, by the rough quantization, and still
/// be rated: more images change a few weights and activations.
const NEAR: f64 = 1.03;

/// Returns the network quantized in the encodings that serve `goal` best, among the choice of
/// `candidates` and every single encoding near it. `quantize` quantizes it with these encodings.
///
/// # Errors
/// Returns an error if no encoding can represent a layer, or if quantization fails.
pub fn best(
    mut candidates: Candidates,
    goal: Goal,
    quantize: impl Fn(&[Encoding]) -> Result<Quantized, DeployError>,
) -> Result<Quantized, DeployError> {
    let core = candidates.core;
    let (encodings, chosen) = loop {
        let encodings = candidates.encodings(goal)?;
        match quantize(&encodings) {
            // Another encoding may hold what this one does not.
            Err(DeployError::Overflow {
                index, encoding, ..
            }) if candidates.exclude(index, encoding, "its sums would not fit 32 bits") => {}
            quantized => break (encodings, quantized?),
        }
    };
    let mut finalists = vec![chosen];
    for encodings in near(&candidates, goal, &encodings) {
        match quantize(&encodings) {
            Ok(quantized) => finalists.push(quantized),
            Err(DeployError::Overflow { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if finalists.len() == 1 {
        return Ok(finalists.remove(0));
    }
    let rated = finalists.into_iter().map(|quantized| {
        let cost = rate(&quantized, core)?;
        Ok((quantized, cost))
    });
    let rated = rated.collect::<Result<Vec<_>, DeployError>>()?;
    let best = pick(&rated, goal, |(_, cost)| cost.keys(goal));
    Ok(best.expect("the choice is among them").0.clone())
}

/// Returns the encodings of the networks of a single encoding that are near the `chosen` ones.
fn near(candidates: &Candidates, goal: Goal, chosen: &[Encoding]) -> Vec<Vec<Encoding>> {
    let cost = |encodings: &[Encoding]| Some(candidates.total(encodings)?.keys(goal)[0]);
    let Some(least) = cost(chosen) else {
        return Vec::new();
    };
    let singles = ENCODINGS.map(|encoding| candidates.single(encoding));
    let is_near = |encodings: &Vec<Encoding>| {
        encodings != chosen && cost(encodings).is_some_and(|cost| cost <= NEAR * least)
    };
    singles.into_iter().filter(is_near).collect()
}

/// Returns what the container of `quantized` takes.
fn rate(quantized: &Quantized, core: Core) -> Result<Cost, DeployError> {
    let container = AlignedBytes::copy_from(&write(&quantized.spec).map_err(DeployError::Write)?);
    let model = Model::parse(&container).map_err(|error| DeployError::Write(error.into()))?;
    let layers = model.layers().zip(&quantized.activity);
    let of_layers =
        layers.map(|(layer, activity)| costs::instructions(&layer, core, Some(activity)));
    Ok(Cost {
        bytes: container.len() as f64,
        instructions: costs::overhead(&model, core) + of_layers.sum::<f64>(),
    })
}

#[cfg(test)]
mod tests {
    use rarefy_format::{LayerSpec, NetworkSpec, Shape};

    use super::super::Tried;
    use super::*;
    use crate::deploy::activity::Activity;

    /// A layer of eight rows of `each` weights in `encoding`.
    fn stored(encoding: Encoding, each: u16) -> Quantized {
        let weight = |column: u16| match encoding {
            // Six bits are the column.
            Encoding::Words => (column, (1 << 6 | column) as i16),
            _ => (column, 1),
        };
        let rows = vec![(0..each).map(weight).collect(); 8];
        Quantized {
            spec: NetworkSpec {
                input: Shape::flat(64),
                layers: vec![LayerSpec::dense(encoding, 0, vec![0; 8], rows)],
            },
            activity: vec![Activity::full(64)],
            fidelity: Vec::new(),
        }
    }

    fn candidates(trials: &[(Encoding, f64, f64)]) -> Candidates {
        let trial = |&(encoding, bytes, instructions): &(Encoding, f64, f64)| {
            let cost = Cost {
                bytes,
                instructions,
            };
            (encoding, cost)
        };
        let layer = Tried {
            layer: "fc1".into(),
            trials: trials.iter().map(trial).collect(),
            limits: Vec::new(),
        };
        Candidates {
            layers: vec![layer],
            core: Core::M4,
        }
    }

    fn overflow(encoding: Encoding) -> DeployError {
        DeployError::Overflow {
            layer: "fc1".into(),
            index: 0,
            encoding,
        }
    }

    /// Packed words look a little faster, but compressed rows keep a quarter of the weights.
    #[test]
    fn finalists_are_rated_on_what_they_give() {
        let sparse_rows = |encodings: &[Encoding]| match encodings {
            [Encoding::Words] => Ok(stored(Encoding::Words, 40)),
            [encoding] => Ok(stored(*encoding, 10)),
            _ => unreachable!("there is one layer"),
        };
        for (csr, expected) in [(1020.0, Encoding::Csr), (1200.0, Encoding::Words)] {
            let trials = [
                (Encoding::Words, 500.0, 1000.0),
                (Encoding::Csr, 520.0, csr),
                (Encoding::Dense, 700.0, 3000.0),
            ];
            let best = best(candidates(&trials), Goal::Speed, sparse_rows).unwrap();
            assert_eq!(best.spec.layers[0].encoding, expected, "{csr}");
        }
    }

    #[test]
    fn an_encoding_whose_sums_overflow_is_no_finalist() {
        let trials = [
            (Encoding::Words, 500.0, 1000.0),
            (Encoding::Csr, 520.0, 1010.0),
            (Encoding::Dense, 700.0, 1020.0),
        ];
        let only = |kept: Encoding| {
            move |encodings: &[Encoding]| match encodings[0] {
                encoding if encoding == kept => Ok(stored(encoding, 10)),
                encoding => Err(overflow(encoding)),
            }
        };
        for kept in [Encoding::Words, Encoding::Csr, Encoding::Dense] {
            let best = best(candidates(&trials), Goal::Speed, only(kept)).unwrap();
            assert_eq!(best.spec.layers[0].encoding, kept);
        }
        let none = best(candidates(&trials), Goal::Speed, only(Encoding::Rice));
        let error = none.unwrap_err().to_string();
        assert!(error.contains("no encoding can represent it"), "{error}");
    }
}
