//! Rates the choice, and every network of a single encoding that costs little more, by their actual
//! containers.
//!
//! The cheapest of them is checked against the f32 network. An encoding can *lose* a layer, that
//! is, drown its output in noise, where other encodings do not: in entropy-coded rows, the biases
//! of a layer have 8 bits and a common scale, so that one large bias leaves no bits for the others.
//! Such an encoding is excluded for the layer, and the choice is repeated.

use rarefy_format::{Encoding, Model};

use super::super::container::Written;
use super::super::costs::{self, Core, ENCODINGS};
use super::{Candidates, Cost, DeployError, Goal, pick};

/// The maximum cost of a single encoding that is rated beside the choice, as a multiple of the
/// choice's cost. Both costs are those of the rough quantization; with all images, a few weights
/// and activations change.
const NEAR: f64 = 1.03;

/// The signal-to-noise ratio of a layer, in dB, below which its encoding is in doubt.
const ENOUGH: f64 = 20.0;

/// How far, in dB, the ratio of an encoding in doubt may be below that of plain rows.
const MARGIN: f64 = 10.0;

/// Returns the best network for `goal` among the choice of `candidates` and the networks of a
/// single encoding that cost little more. An encoding that loses a layer, where plain rows do not,
/// is excluded for that layer. `write` quantizes the network in the given encodings and writes its
/// container.
///
/// # Errors
/// Returns an error if no encoding can represent a layer, or if `write` fails for another reason
/// than an overflow.
pub fn best(
    mut candidates: Candidates,
    goal: Goal,
    write: impl Fn(&[Encoding]) -> Result<Written, DeployError>,
) -> Result<Written, DeployError> {
    loop {
        let best = cheapest(&mut candidates, goal, &write)?;
        let lost = lost(&best, &candidates, &write);
        let reason = "it is much less accurate than plain rows of the same bits";
        match lost {
            Some((index, encoding)) if candidates.exclude(index, encoding, reason) => {}
            _ => return Ok(best),
        }
    }
}

/// Returns the cheapest network for `goal` among the choice of `candidates` and the networks of a
/// single encoding near it. Excludes the encodings whose sums overflow.
///
/// # Errors
/// Returns the errors of [`best`].
fn cheapest(
    candidates: &mut Candidates,
    goal: Goal,
    write: &impl Fn(&[Encoding]) -> Result<Written, DeployError>,
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
    for encodings in near(candidates, goal, &encodings) {
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

/// Returns the first layer of `written` that its encoding loses, and that encoding: the layer's
/// signal-to-noise ratio is below [`ENOUGH`], and in [plain rows](plain) it is higher by more than
/// [`MARGIN`]. Returns `None` if there is no such layer.
fn lost(
    written: &Written,
    candidates: &Candidates,
    write: &impl Fn(&[Encoding]) -> Result<Written, DeployError>,
) -> Option<(usize, Encoding)> {
    let layers = written.quantized.spec.layers.iter();
    let chosen: Vec<Encoding> = layers.map(|layer| layer.encoding).collect();
    let doubtful = (0..chosen.len()).filter_map(|index| {
        if matches!(chosen[index], Encoding::Csr | Encoding::Dense) {
            return None;
        }
        let plain = plain(candidates, index)?;
        let ratio = ratio(written, index).filter(|ratio| *ratio < ENOUGH)?;
        Some(Doubt {
            index,
            ratio,
            plain,
        })
    });
    let doubtful: Vec<Doubt> = doubtful.collect();
    if doubtful.is_empty() {
        return None;
    }
    let improved = |doubtful: &[Doubt]| {
        let mut encodings = chosen.clone();
        for doubt in doubtful {
            encodings[doubt.index] = doubt.plain;
        }
        // If plain rows cannot be written, there is nothing to compare with.
        let plain = write(&encodings).ok();
        let is_better = |doubt: &&Doubt| {
            let plain = plain.as_ref().and_then(|plain| ratio(plain, doubt.index));
            plain.is_some_and(|plain| plain > doubt.ratio + MARGIN)
        };
        doubtful
            .iter()
            .filter(is_better)
            .copied()
            .collect::<Vec<_>>()
    };
    // All are compared at once first, since usually none improves. A layer may improve only because
    // an earlier one did, so each that improves is compared again by itself.
    let mut together = improved(&doubtful).into_iter();
    let lost = together.find(|doubt| !improved(&[*doubt]).is_empty())?;
    Some((lost.index, chosen[lost.index]))
}

/// A layer whose encoding may lose it.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    index: usize,
    /// Its signal-to-noise ratio in dB.
    ratio: f64,
    /// The encoding to compare with.
    plain: Encoding,
}

/// Returns the signal-to-noise ratio of the layer at `index` in dB, if it has one.
fn ratio(written: &Written, index: usize) -> Option<f64> {
    written.quantized.fidelity.get(index)?.snr_db
}

/// Returns the first encoding of plain rows (compressed, then dense) that can represent the layer
/// at `index`; `None` if neither can. Plain rows have weights of the requested bits and biases of
/// 32 bits.
fn plain(candidates: &Candidates, index: usize) -> Option<Encoding> {
    let trials = &candidates.layers[index].trials;
    let holds = |encoding: &Encoding| trials.iter().any(|trial| trial.0 == *encoding);
    [Encoding::Csr, Encoding::Dense].into_iter().find(holds)
}

/// Returns the encodings of each network of a single encoding that costs at most [`NEAR`] times as
/// much as the `chosen` encodings.
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
    use crate::deploy::quantize::{Fidelity, Quantized};

    /// Returns a network of one layer in `encoding`: eight rows of `each` weights.
    fn stored(encoding: Encoding, each: u16) -> Written {
        let weight = |column: u16| match encoding {
            // The low six bits are the column.
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
                output_step: 1.0,
            },
        }
    }

    /// Returns a network with one dense layer per encoding. Each has eight rows of `each` weights,
    /// and its signal-to-noise ratio in dB is that of `ratios`.
    fn with_ratios(encodings: &[Encoding], each: u16, ratios: &[f64]) -> Written {
        let row: Vec<_> = (0..each).map(|column| (column, 1)).collect();
        let layers = encodings.iter();
        let layers =
            layers.map(|encoding| LayerSpec::dense(*encoding, 0, vec![0; 8], vec![row.clone(); 8]));
        let spec = NetworkSpec {
            input: Shape::flat(8),
            layers: layers.collect(),
        };
        let of_layer = |ratio: &f64| Fidelity {
            layer: "fc".into(),
            signal: 1.0,
            noise: 1.0,
            snr_db: Some(*ratio),
        };
        Written {
            bytes: AlignedBytes::copy_from(&rarefy_format::write(&spec).unwrap()),
            quantized: Quantized {
                spec,
                activity: vec![Activity::full(8); encodings.len()],
                fidelity: ratios.iter().map(of_layer).collect(),
                output_step: 1.0,
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

    /// Tests that compressed rows, which turn out to keep only a quarter of the weights, win if
    /// their predicted cost was near that of packed words, and are not rated if it was not.
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

    fn encodings(written: &Written) -> Vec<Encoding> {
        let layers = written.quantized.spec.layers.iter();
        layers.map(|layer| layer.encoding).collect()
    }

    /// Tests entropy-coded rows that are smaller than compressed rows: as the choice, and as a
    /// single encoding near it.
    #[test]
    fn an_encoding_that_loses_a_layer_is_not_taken() {
        for (rice, csr, expected) in [
            (0.0, 30.0, Encoding::Csr),
            (15.0, 26.0, Encoding::Csr),
            // The difference is below the margin.
            (15.0, 24.0, Encoding::Rice),
            // The ratio is high enough.
            (21.0, 60.0, Encoding::Rice),
            // Plain rows are as noisy: the weights have too few bits.
            (0.0, 3.0, Encoding::Rice),
            (8.0, -20.0, Encoding::Rice),
        ] {
            let write = |encodings: &[Encoding]| match encodings {
                [Encoding::Rice] => Ok(with_ratios(encodings, 4, &[rice])),
                _ => Ok(with_ratios(encodings, 8, &[csr])),
            };
            for rough in [400.0, 510.0] {
                let trials = [
                    (Encoding::Rice, rough, 3000.0),
                    (Encoding::Csr, 500.0, 1000.0),
                ];
                let best = best(candidates(&trials), Goal::Size, write).unwrap();
                assert_eq!(encodings(&best), [expected], "{rice} {csr} {rough}");
            }
        }
    }

    /// Tests two layers: the first is lost by its encoding, the second because of its inputs.
    #[test]
    fn an_encoding_that_reads_a_lost_layer_is_kept() {
        let trials = [
            (Encoding::Rice, 400.0, 3000.0),
            (Encoding::Csr, 500.0, 1000.0),
        ];
        let Candidates { mut layers, core } = candidates(&trials);
        layers.extend(candidates(&trials).layers);
        let write = |encodings: &[Encoding]| {
            let ratio = match encodings[0] {
                Encoding::Rice => 2.0,
                _ => 25.0,
            };
            Ok(with_ratios(encodings, 8, &[ratio, ratio]))
        };
        let best = best(Candidates { layers, core }, Goal::Size, write).unwrap();
        assert_eq!(encodings(&best), [Encoding::Csr, Encoding::Rice]);
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
