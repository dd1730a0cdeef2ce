//! Which encoding stores each layer: by counted costs.
//!
//! Each encoding that holds a layer's weights in the bits asked for is tried: the layer is written in it,
//! which gives its bytes exactly, and read again to [predict](super::costs) its instructions. Neither depends on
//! the other layers, but for what several encodings in one network cost, nor on what the weights are, but for the
//! entropy-coded encoding; so a rough quantization will do to choose by.

use std::cmp::Ordering;

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, WeightsSpec, index_bits,
};

use super::costs::{self, Core, ENCODINGS};
use super::quantize::{self, Quantized, WeightType};
use super::{DeployError, Layer, Network};

/// What to have least of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Bytes.
    Size,
    /// Instructions.
    Speed,
    /// Bytes times instructions.
    Balanced,
}

/// How weights are to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingChoice {
    /// For each layer what serves the goal best.
    Auto,
    /// The same everywhere.
    Only(Encoding),
}

/// Images that are enough to choose by.
const IMAGES: usize = 100;

/// The encoding of every layer of `network`, its units in their final order; [`Encoding::None`] for
/// pooling.
///
/// Layers (by their place) are not stored in the encodings that `without` names for them.
///
/// # Errors
/// When a layer cannot be stored in the one encoding asked for, or the network not be quantized.
pub fn choose(
    network: &Network,
    images: &[&[u8]],
    weights: WeightType,
    (goal, core): (Goal, Core),
    choice: EncodingChoice,
    without: &[(usize, Encoding)],
) -> Result<Vec<Encoding>, DeployError> {
    if let EncodingChoice::Only(encoding) = choice {
        let of_layer = |layer: &Layer| match layer.is_pool() {
            true => Ok(Encoding::None),
            false if quantize::holds(encoding, weights, layer) => Ok(encoding),
            false => Err(DeployError::Encoding {
                layer: layer.name.clone(),
                encoding: encoding.name(),
                reason: refusal(encoding, weights, layer),
            }),
        };
        return network.layers.iter().map(of_layer).collect();
    }
    let rough = vec![Encoding::Csr; network.layers.len()];
    let images = &images[..images.len().min(IMAGES)];
    let rough = quantize::quantize(network, images, weights, &rough)?;
    let layers = network.layers.iter().enumerate();
    let trials: Vec<Vec<Trial>> = layers
        .map(|(index, layer)| {
            if layer.is_pool() {
                return Ok(vec![(Encoding::None, [0.0, 0.0])]);
            }
            let left = ENCODINGS
                .into_iter()
                .filter(|&encoding| !without.contains(&(index, encoding)));
            let tried = left.filter_map(|encoding| {
                let cost = trial(&rough, index, layer, weights, encoding, core)?;
                Some((encoding, cost))
            });
            let tried: Vec<Trial> = tried.collect();
            if tried.is_empty() {
                return Err(DeployError::Quantize {
                    layer: layer.name.clone(),
                    reason: "no encoding holds it: prune it further".into(),
                });
            }
            Ok(tried)
        })
        .collect::<Result<_, _>>()?;
    Ok(cheapest(&trials, goal, core))
}

/// An encoding that holds a layer, with the layer's bytes and instructions in it.
type Trial = (Encoding, [f64; 2]);

/// The less of two costs by their first number, then by the second.
fn by_both(a: &[f64; 2], b: &[f64; 2]) -> Ordering {
    a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
}

/// For each layer the encoding with which the whole network has least of what is asked for: what is fastest in
/// each layer may not be in the whole, since encodings that mix cost, too.
fn cheapest(trials: &[Vec<Trial>], goal: Goal, core: Core) -> Vec<Encoding> {
    let kinds = (1..1_u32 << ENCODINGS.len()).map(|kinds| {
        let allowed = |encoding: Encoding| {
            let place = ENCODINGS.iter().position(|other| *other == encoding);
            place.is_none_or(|place| kinds >> place & 1 == 1)
        };
        best(trials, goal, core, allowed)
    });
    let least = kinds.flatten().min_by(|(_, a), (_, b)| by_both(a, b));
    least.map(|(encodings, _)| encodings).unwrap_or_default()
}

/// For each layer which of the encodings `allowed` is best, and what there is least to be of in the whole
/// network, with what decides a tie; `None` where one of the layers is held by none of them.
fn best(
    trials: &[Vec<Trial>],
    goal: Goal,
    core: Core,
    allowed: impl Fn(Encoding) -> bool,
) -> Option<(Vec<Encoding>, [f64; 2])> {
    let (mut encodings, mut total) = (Vec::new(), [0.0; 2]);
    for tried in trials {
        let costs = tried.iter().filter(|(encoding, _)| allowed(*encoding));
        let costs = costs.map(|&(encoding, [bytes, instructions])| {
            let cost = match goal {
                Goal::Size => [bytes, instructions],
                Goal::Speed => [instructions, bytes],
                Goal::Balanced => [bytes * instructions, instructions],
            };
            (encoding, cost)
        });
        let (encoding, cost) = costs.min_by(|(_, a), (_, b)| by_both(a, b))?;
        encodings.push(encoding);
        total = [total[0] + cost[0], total[1] + cost[1]];
    }
    if goal == Goal::Speed {
        total[0] += costs::cost(core, &[costs::mixed(&encodings)]);
    }
    Some((encodings, total))
}

/// Bytes and instructions of a layer in `encoding`; none where that does not hold it.
fn trial(
    rough: &Quantized,
    index: usize,
    layer: &Layer,
    weights: WeightType,
    encoding: Encoding,
    core: Core,
) -> Option<[f64; 2]> {
    if !quantize::holds(encoding, weights, layer) {
        return None;
    }
    let mut layers: Vec<LayerSpec> = rough.spec.layers.iter().map(empty).collect();
    layers[index] = LayerSpec {
        encoding,
        weights: stand_in(&rough.spec.layers[index].weights, encoding, layer),
        ..rough.spec.layers[index].clone()
    };
    let input = rough.spec.input;
    let container = rarefy_format::write(&NetworkSpec { input, layers }).ok()?;
    let container = AlignedBytes::copy_from(&container);
    let model = Model::parse(&container).ok()?;
    let written = model.layers().nth(index)?;
    let instructions = costs::instructions(&written, core, Some(&rough.activity[index]));
    Some([written.block().len() as f64, instructions])
}

/// The layer without its weights, so that only the one in question decides whether a container holds it.
fn empty(layer: &LayerSpec) -> LayerSpec {
    let weights = match &layer.weights {
        WeightsSpec::Integers { bias, .. } => WeightsSpec::Integers {
            bias: vec![0; bias.len()],
            rows: vec![Vec::new(); bias.len()],
        },
        other => other.clone(),
    };
    LayerSpec {
        weights,
        ..layer.clone()
    }
}

/// Integers as `encoding` needs them, about as large as they will be.
fn stand_in(rough: &WeightsSpec, encoding: Encoding, layer: &Layer) -> WeightsSpec {
    let WeightsSpec::Integers { bias, rows } = rough else {
        return rough.clone();
    };
    let (units, columns) = layer.weights.shape();
    let words = |count: usize, by_row: bool| {
        let index_bits = index_bits(count);
        let most = (1_i32 << (15 - index_bits)) - 1;
        let rows = rows.iter().enumerate().map(|(row, weights)| {
            let word = |&(column, weight): &(u16, i16)| {
                let index = if by_row { row as i32 } else { column.into() };
                let high = i32::from(weight).clamp(-most, most);
                (column, (high << index_bits | index) as i16)
            };
            weights.iter().map(word).collect()
        });
        rows.collect()
    };
    let rows = match encoding {
        Encoding::Words => words(columns, false),
        Encoding::Columns => words(units, true),
        _ => rows.clone(),
    };
    let bias = if encoding == Encoding::Rice {
        quantize::short(bias)
    } else {
        bias.clone()
    };
    WeightsSpec::Integers { bias, rows }
}

/// Why `encoding` does not hold `layer`.
fn refusal(encoding: Encoding, weights: WeightType, layer: &Layer) -> String {
    let (rows, columns) = layer.weights.shape();
    let (count, what) = match encoding {
        Encoding::Columns => (rows, "rows"),
        _ => (columns, "columns"),
    };
    let left = 16_u8.saturating_sub(index_bits(count));
    if left >= weights.bits() {
        return "it is for dense layers alone".into();
    }
    format!(
        "with {count} {what} it has {left} bits left for a weight, fewer than the {} asked for",
        weights.bits()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::network::Operation;
    use crate::deploy::sparse::from_rows;
    use crate::random::Random;

    /// A chain of dense layers that keep so much of their weights.
    fn chain(sizes: &[usize], density: &[f64]) -> Network {
        let random = &mut Random::new(6);
        let count = density.len();
        let pairs = sizes.windows(2).zip(density).enumerate();
        let layers = pairs.map(|(index, (pair, density))| {
            let rows = (0..pair[1]).map(|_| {
                let kept = (0..pair[0]).filter(|_| random.unit() < *density);
                let kept: Vec<usize> = kept.collect();
                let weight = |column| (column, 0.1 * random.normal() as f32);
                kept.into_iter().map(weight).collect()
            });
            let weights = from_rows(pair[0], rows.collect::<Vec<_>>().into_iter());
            Layer {
                name: format!("fc{}", index + 1),
                operation: Operation::Dense,
                weights,
                bias: vec![0.1; pair[1]],
                relu: index + 1 < count,
                source: index.checked_sub(1),
                skip: None,
                shape: [pair[1], 1, 1],
                original: (pair[1], pair[0]),
            }
        });
        Network {
            layers: layers.collect(),
            input: [1, 1, sizes[0]],
        }
    }

    fn chosen(
        network: &Network,
        weights: WeightType,
        goal: Goal,
        choice: EncodingChoice,
    ) -> Result<Vec<Encoding>, DeployError> {
        let random = &mut Random::new(7);
        // Four of five pixels are 0, as in digits.
        let mut pixel = || (random.below(1280).saturating_sub(1024)) as u8;
        let images: Vec<Vec<u8>> = (0..30)
            .map(|_| (0..network.input[2]).map(|_| pixel()).collect())
            .collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        choose(network, &images, weights, (goal, Core::M4), choice, &[])
    }

    #[test]
    fn each_goal_gets_what_serves_it() {
        let network = chain(&[700, 100, 40, 10], &[0.15, 0.02, 1.0]);
        let with = |weights, goal| chosen(&network, weights, goal, EncodingChoice::Auto).unwrap();
        let size = with(WeightType::Int(4), Goal::Size);
        assert_eq!(size, [Encoding::Rice; 3]);
        // Many weights of inputs that are mostly zero, few weights.
        let speed = with(WeightType::Int(6), Goal::Speed);
        assert_eq!(speed[..2], [Encoding::Columns, Encoding::Words]);
        // All weights of inputs that never are.
        let (full, image) = (chain(&[64, 12], &[1.0]), [9; 64]);
        let (bits, goal) = (WeightType::Int(6), (Goal::Speed, Core::M4));
        let speed = choose(&full, &[&image], bits, goal, EncodingChoice::Auto, &[]).unwrap();
        assert_eq!(speed, [Encoding::Dense]);
        // 700 columns leave a packed word 6 bits, 100 rows leave it 9.
        let balanced = with(WeightType::Int(8), Goal::Balanced);
        assert!(balanced[0] != Encoding::Words, "{balanced:?}");
    }

    #[test]
    fn a_second_encoding_has_to_save_what_it_costs() {
        let layer = |csr: f64| {
            vec![
                (Encoding::Words, [20.0, 1000.0]),
                (Encoding::Csr, [30.0, csr]),
            ]
        };
        let (_, layers) = costs::mixed(&[Encoding::Words, Encoding::Csr]);
        let mixed = costs::cost(Core::M4, &[(costs::Unit::Mixed, layers)]);
        assert!(mixed > 1.0, "{mixed}");
        let with = |saved: f64, goal| {
            let trials = [layer(1000.0 - saved), layer(2000.0)];
            cheapest(&trials, goal, Core::M4)
        };
        let both = [Encoding::Csr, Encoding::Words];
        assert_eq!(with(mixed + 1.0, Goal::Speed), both);
        assert_eq!(with(mixed - 1.0, Goal::Speed), [Encoding::Words; 2]);
        assert_eq!(with(900.0, Goal::Size), [Encoding::Words; 2]);
        assert_eq!(with(900.0, Goal::Balanced), both);
    }

    #[test]
    fn an_encoding_asked_for_is_taken_or_refused_with_the_layer_at_fault() {
        let network = chain(&[700, 100, 10], &[0.1, 0.5]);
        let only = |weights, encoding| {
            let choice = EncodingChoice::Only(encoding);
            chosen(&network, weights, Goal::Size, choice)
        };
        for encoding in ENCODINGS {
            assert_eq!(only(WeightType::Int(6), encoding).unwrap(), [encoding; 2]);
        }
        assert_eq!(
            only(WeightType::Int(8), Encoding::Words)
                .unwrap_err()
                .to_string(),
            "layer fc1 cannot be stored as words: with 700 columns it has 6 bits left for a weight, fewer than the 8 asked for; export it with --encoding auto"
        );
    }

    #[test]
    fn no_layer_is_stored_as_what_cannot_hold_it() {
        // Rows of 3,000 weights and more: as whole words their sums would not fit 32 bits.
        let network = chain(&[4000, 4, 3], &[0.9, 1.0]);
        let speed = chosen(
            &network,
            WeightType::Int(3),
            Goal::Speed,
            EncodingChoice::Auto,
        );
        let speed = speed.unwrap();
        assert!(
            speed[0] != Encoding::Words && speed[0] != Encoding::Columns,
            "{speed:?}"
        );
    }
}
