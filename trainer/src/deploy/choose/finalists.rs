//! Rates the choice and every near single encoding by their actual containers.

use rarefy_format::{Encoding, Model};

use super::super::container::Written;
use super::super::costs::{self, Core, ENCODINGS};
use super::{Candidates, Cost, DeployError, Goal, pick};

/// How much costlier than the choice a single encoding may seem by the rough quantization and still
/// be rated: with more images, a few weights and activations change.
const NEAR: f64 = 1.03;

/// Returns the best network for `goal` among the choice of `candidates` and every single encoding
/// near it. `write` quantizes the network in the given encodings and writes its container.
///
/// # Errors
/// Returns an error if no encoding can represent a layer, or if `write` fails for another reason
/// than an overflow.
pub fn best(
    mut candidates: Candidates,
    goal: Goal,
    write: impl Fn(&[Encoding]) -> Result<Written, DeployError>,
) -> Result<Written, DeployError> {
    let core = candidates.core;
    let (encodings, chosen) = loop {
        let encodings = candidates.encodings(goal)?;
        match write(&encodings) {
            // Another encoding may represent the layer.
            Err(DeployError::Overflow {
                index, encoding, ..
            }) if candidates.exclude(index, encoding, "its sums would not fit 32 bits") => {}
            written => break (encodings, written?),
        }
    };
    let mut finalists = vec![chosen];
    for encodings in near(&candidates, goal, &encodings) {
        match write(&encodings) {
            Ok(written) => finalists.push(written),
            Err(DeployError::Overflow { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if finalists.len() == 1 {
        return Ok(finalists.remove(0));
    }
    let costs = finalists.iter().map(|written| rate(written, core));
    let costs: Vec<Cost> = costs.collect::<Result<_, _>>()?;
    let places: Vec<usize> = (0..costs.len()).collect();
    let best = pick(&places, goal, |&place| costs[place].keys(goal));
    let best = *best.expect("the choice is among them");
    Ok(finalists.swap_remove(best))
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

/// Returns the cost of the container of `written`.
fn rate(written: &Written, core: Core) -> Result<Cost, DeployError> {
    let Written { quantized, bytes } = written;
    let model = Model::parse(bytes).map_err(|error| DeployError::Write(error.into()))?;
    let layers = model.layers().zip(&quantized.activity);
    let of_layers =
        layers.map(|(layer, activity)| costs::instructions(&layer, core, Some(activity)));
    Ok(Cost {
        bytes: bytes.len() as f64,
        instructions: costs::overhead(&model, core) + of_layers.sum::<f64>(),
    })
}

#[cfg(test)]
mod tests {
    use rarefy_format::{AlignedBytes, LayerSpec, NetworkSpec, Shape, pack_word};

    use super::super::Tried;
    use super::*;
    use crate::deploy::activity::Activity;
    use crate::deploy::quantize::Quantized;

    /// Returns a layer of eight rows of `each` weights in `encoding`.
    fn stored(encoding: Encoding, each: u16) -> Written {
        let weight = |column: u16| match encoding {
            // Six bits are the column.
            Encoding::Words => (column, pack_word(1, column, 6)),
            _ => (column, 1),
        };
        let rows = vec![(0..each).map(weight).collect(); 8];
        let spec = NetworkSpec {
            input: Shape::flat(64),
            layers: vec![LayerSpec::dense(encoding, 0, vec![0; 8], rows)],
        };
        Written {
            bytes: AlignedBytes::copy_from(&rarefy_format::write(&spec).unwrap()),
            quantized: Quantized {
                spec,
                activity: vec![Activity::full(64)],
                fidelity: Vec::new(),
            },
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

    /// Tests packed words that seem a little faster than compressed rows, which keep a quarter of
    /// the weights.
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
            assert_eq!(best.quantized.spec.layers[0].encoding, expected, "{csr}");
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
            assert_eq!(best.quantized.spec.layers[0].encoding, kept);
        }
        let none = best(candidates(&trials), Goal::Speed, only(Encoding::Rice));
        let error = none.unwrap_err().to_string();
        assert!(error.contains("no encoding can represent it"), "{error}");
    }
}
