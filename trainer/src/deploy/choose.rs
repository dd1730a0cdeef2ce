//! Chooses the encoding of each layer by counted cost.
//!
//! Every encoding that can represent a layer at the requested bit width is tried: writing the layer
//! gives its exact size, and the [cost model](super::costs) predicts its instructions. Both are
//! independent of the other layers (except for the dispatch cost of mixing encodings) and of the
//! weight values (except for `rice`), so a rough quantization is enough to compare by.
//!
//! Predictions have an error, so [`Goal::Speed`] does not buy bytes with it: encodings of a layer
//! whose predictions are within [`TIE`] of the fastest are equally fast, and the smallest of them is
//! taken; so are, for the whole network, choices that mix other kinds of encodings.

use std::cmp::Ordering;

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, WeightsSpec, WriteError, index_bits,
};

use super::costs::{self, Core, ENCODINGS};
use super::quantize::{self, Quantized, WeightType};
use super::{DeployError, Layer, Network};

/// The objective to minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Bytes.
    Size,
    /// Instructions.
    Speed,
    /// Bytes times instructions.
    Balanced,
}

/// Which encodings may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingChoice {
    /// The cheapest encoding per layer.
    Auto,
    /// One encoding for all layers.
    Only(Encoding),
}

/// Calibration images used for the comparison.
const IMAGES: usize = 100;

/// Predictions that differ by less than this share are a tie. A prediction may be wrong by more, but
/// what encodings of a layer have in common, most of a convolution, is wrong in the same way.
pub const TIE: f64 = 0.005;

/// Returns the encoding of each layer of `network`, whose units must already be in their final
/// order. Pooling layers get [`Encoding::None`].
///
/// # Errors
/// Returns an error if a layer cannot be represented in the requested encoding or in any, or if
/// quantization fails.
pub fn choose(
    network: &Network,
    images: &[&[u8]],
    weights: WeightType,
    (goal, core): (Goal, Core),
    choice: EncodingChoice,
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
    Candidates::new(network, images, weights, core)?.encodings(goal)
}

/// What storing a layer, or a network, takes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    bytes: f64,
    instructions: f64,
}

impl Cost {
    const NONE: Cost = Cost {
        bytes: 0.0,
        instructions: 0.0,
    };

    /// What `goal` minimises, then what decides a tie.
    fn keys(self, goal: Goal) -> [f64; 2] {
        match goal {
            Goal::Size => [self.bytes, self.instructions],
            Goal::Speed => [self.instructions, self.bytes],
            Goal::Balanced => [self.bytes * self.instructions, self.instructions],
        }
    }
}

/// An encoding that can represent a layer, and the layer's cost in it.
type Trial = (Encoding, Cost);

/// The encodings of one layer.
#[derive(Debug)]
struct Tried {
    layer: String,
    /// Those that can represent it, in the order in which a tie is decided.
    trials: Vec<Trial>,
    /// The others, each with the limit that it hit.
    limits: Vec<(Encoding, String)>,
}

/// The encodings of every layer of a network that can represent it, with their costs.
#[derive(Debug)]
pub struct Candidates {
    layers: Vec<Tried>,
    core: Core,
}

impl Candidates {
    /// Tries every encoding on every layer of `network`.
    ///
    /// # Errors
    /// Returns an error if quantization fails or the format cannot hold the network at all.
    pub fn new(
        network: &Network,
        images: &[&[u8]],
        weights: WeightType,
        core: Core,
    ) -> Result<Self, DeployError> {
        let rough = vec![Encoding::Csr; network.layers.len()];
        let images = &images[..images.len().min(IMAGES)];
        let rough = quantize::quantize(network, images, weights, &rough)?;
        let layers = network.layers.iter().enumerate().map(|(index, layer)| {
            let mut tried = Tried {
                layer: layer.name.clone(),
                trials: Vec::new(),
                limits: Vec::new(),
            };
            if layer.is_pool() {
                tried.trials.push((Encoding::None, Cost::NONE));
                return Ok(tried);
            }
            for encoding in ENCODINGS {
                match trial(&rough, (index, layer), weights, encoding, core)? {
                    Ok(cost) => tried.trials.push((encoding, cost)),
                    Err(limit) => tried.limits.push((encoding, limit)),
                }
            }
            Ok(tried)
        });
        Ok(Self {
            layers: layers.collect::<Result<_, DeployError>>()?,
            core,
        })
    }

    /// Returns the cheapest encoding per layer for `goal`.
    ///
    /// # Errors
    /// Returns an error that names the limit of every encoding if none can represent a layer.
    pub fn encodings(&self, goal: Goal) -> Result<Vec<Encoding>, DeployError> {
        for tried in &self.layers {
            if tried.trials.is_empty() {
                let limits = tried.limits.iter();
                let limits =
                    limits.map(|(encoding, limit)| format!("{} ({limit})", encoding.name()));
                let limits = limits.collect::<Vec<_>>().join(", ");
                return Err(DeployError::Quantize {
                    layer: tried.layer.clone(),
                    reason: format!(
                        "no encoding can represent it: {limits}; prune it further or train a smaller layer"
                    ),
                });
            }
        }
        let trials: Vec<&[Trial]> = self.layers.iter().map(|tried| &tried.trials[..]).collect();
        Ok(cheapest(&trials, goal, self.core))
    }

    /// Excludes `encoding` for the layer at `index`, which it turned out not to represent for this
    /// `reason`. Returns whether it was allowed before.
    pub fn exclude(&mut self, index: usize, encoding: Encoding, reason: &str) -> bool {
        let tried = &mut self.layers[index];
        let before = tried.trials.len();
        tried.trials.retain(|trial| trial.0 != encoding);
        let changed = tried.trials.len() < before;
        if changed {
            tried.limits.push((encoding, reason.into()));
        }
        changed
    }
}

/// Orders two costs lexicographically.
fn by_both(a: &[f64; 2], b: &[f64; 2]) -> Ordering {
    a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
}

/// The encodings of a network, and their total in what the goal minimises and what decides a tie.
type Choice = (Vec<Encoding>, [f64; 2]);

/// Returns the cheapest encodings for the whole network: what is fastest in each layer may not be
/// in the whole, since mixing encodings costs instructions too.
fn cheapest(trials: &[&[Trial]], goal: Goal, core: Core) -> Vec<Encoding> {
    let kinds = (1..1_u32 << ENCODINGS.len()).filter_map(|kinds| {
        let allowed = |encoding: Encoding| {
            let place = ENCODINGS.iter().position(|other| *other == encoding);
            place.is_none_or(|place| kinds >> place & 1 == 1)
        };
        cheapest_allowed(trials, goal, core, allowed)
    });
    let choices: Vec<Choice> = kinds.collect();
    let least = pick(&choices, goal, |(_, total)| *total);
    least.map_or_else(Vec::new, |(encodings, _)| encodings.clone())
}

/// Returns the cheapest of `choices`; for [`Goal::Speed`] the smallest of those that tie with it.
fn pick<T>(choices: &[T], goal: Goal, keys: impl Fn(&T) -> [f64; 2]) -> Option<&T> {
    let by_keys = |a: &&T, b: &&T| by_both(&keys(a), &keys(b));
    let least = choices.iter().min_by(by_keys)?;
    if goal != Goal::Speed {
        return Some(least);
    }
    let limit = keys(least)[0] * (1.0 + TIE);
    let ties = choices.iter().filter(|choice| keys(choice)[0] <= limit);
    ties.min_by(|a, b| {
        let ([a_first, a_second], [b_first, b_second]) = (keys(a), keys(b));
        by_both(&[a_second, a_first], &[b_second, b_first])
    })
}

/// Returns the cheapest of the `allowed` encodings per layer; `None` where a layer has none of them.
fn cheapest_allowed(
    trials: &[&[Trial]],
    goal: Goal,
    core: Core,
    allowed: impl Fn(Encoding) -> bool,
) -> Option<Choice> {
    let (mut encodings, mut total) = (Vec::new(), [0.0; 2]);
    for tried in trials {
        let costs = tried.iter().filter(|(encoding, _)| allowed(*encoding));
        let costs: Vec<Trial> = costs.copied().collect();
        let (encoding, cost) = pick(&costs, goal, |(_, cost)| cost.keys(goal))?;
        let keys = cost.keys(goal);
        encodings.push(*encoding);
        total = [total[0] + keys[0], total[1] + keys[1]];
    }
    if goal == Goal::Speed {
        total[0] += costs::cost(core, &[costs::mixed(&encodings)]);
    }
    Some((encodings, total))
}

/// Returns the cost of a layer in `encoding`, or the limit in the way.
///
/// # Errors
/// Returns an error if the format cannot hold the network, whatever this layer is stored as.
fn trial(
    rough: &Quantized,
    (index, layer): (usize, &Layer),
    weights: WeightType,
    encoding: Encoding,
    core: Core,
) -> Result<Result<Cost, String>, DeployError> {
    if !quantize::holds(encoding, weights, layer) {
        return Ok(Err(refusal(encoding, weights, layer)));
    }
    let mut layers: Vec<LayerSpec> = rough.spec.layers.iter().map(empty).collect();
    layers[index] = LayerSpec {
        encoding,
        weights: stand_in(&rough.spec.layers[index].weights, encoding, layer),
        ..rough.spec.layers[index].clone()
    };
    let input = rough.spec.input;
    let container = match rarefy_format::write(&NetworkSpec { input, layers }) {
        Ok(container) => AlignedBytes::copy_from(&container),
        Err(WriteError::Layer { layer, error }) if layer == index => {
            return Ok(Err(error.to_string()));
        }
        Err(WriteError::Refused(error)) => return Ok(Err(error.to_string())),
        Err(error) => return Err(DeployError::Write(error)),
    };
    let written = Model::parse(&container).map_err(|error| DeployError::Write(error.into()))?;
    let written = written.layers().nth(index).expect("it was written");
    let instructions = costs::instructions(&written, core, Some(&rough.activity[index]));
    Ok(Ok(Cost {
        bytes: written.block().len() as f64,
        instructions,
    }))
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
    use std::path::Path;

    use super::*;
    use crate::data;
    use crate::deploy::container;
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
        choose(network, &images, weights, (goal, Core::M4), choice)
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
        let speed = choose(&full, &[&image], bits, goal, EncodingChoice::Auto).unwrap();
        assert_eq!(speed, [Encoding::Dense]);
        // 700 columns leave a packed word 6 bits, 100 rows leave it 9.
        let balanced = with(WeightType::Int(8), Goal::Balanced);
        assert!(balanced[0] != Encoding::Words, "{balanced:?}");
    }

    fn cost(bytes: f64, instructions: f64) -> Cost {
        Cost {
            bytes,
            instructions,
        }
    }

    #[test]
    fn a_second_encoding_has_to_save_what_it_costs() {
        let layer = |csr: f64| {
            vec![
                (Encoding::Words, cost(20.0, 1000.0)),
                (Encoding::Csr, cost(30.0, csr)),
            ]
        };
        let (_, layers) = costs::mixed(&[Encoding::Words, Encoding::Csr]);
        let mixed = costs::cost(Core::M4, &[(costs::Unit::Mixed, layers)]);
        assert!(mixed > 1.0, "{mixed}");
        let with = |saved: f64, goal| {
            let trials = [layer(1000.0 - saved), layer(2000.0)];
            cheapest(&[&trials[0], &trials[1]], goal, Core::M4)
        };
        let both = [Encoding::Csr, Encoding::Words];
        // 2,000 instructions in all: 9 fewer are a tie, which goes to the fewer bytes.
        assert_eq!(with(mixed + 40.0, Goal::Speed), both);
        assert_eq!(with(mixed + 5.0, Goal::Speed), [Encoding::Words; 2]);
        assert_eq!(with(mixed - 1.0, Goal::Speed), [Encoding::Words; 2]);
        assert_eq!(with(900.0, Goal::Size), [Encoding::Words; 2]);
        assert_eq!(with(900.0, Goal::Balanced), both);
    }

    #[test]
    fn a_gain_within_the_error_of_predictions_buys_no_bytes() {
        let sparse = [
            (Encoding::Csr, cost(100.0, 10_040.0)),
            (Encoding::Dense, cost(900.0, 10_000.0)),
        ];
        let full = [
            (Encoding::Csr, cost(2000.0, 60_000.0)),
            (Encoding::Dense, cost(900.0, 40_000.0)),
        ];
        let with = |trials: &[&[Trial]], goal| cheapest(trials, goal, Core::M4);
        assert_eq!(with(&[&sparse], Goal::Speed), [Encoding::Csr]);
        assert_eq!(
            with(&[&sparse, &full], Goal::Speed),
            [Encoding::Csr, Encoding::Dense]
        );
        // A gain that is sure does.
        let sure = [sparse[0], (Encoding::Dense, cost(900.0, 9_900.0))];
        assert_eq!(with(&[&sure], Goal::Speed), [Encoding::Dense]);
    }

    #[test]
    fn an_encoding_that_fails_is_left_out_and_every_limit_is_named() {
        let network = chain(&[700, 100, 10], &[0.1, 0.5]);
        let image = [9; 700];
        let mut candidates =
            Candidates::new(&network, &[&image], WeightType::Int(8), Core::M4).unwrap();
        let mut seen = Vec::new();
        let error = loop {
            match candidates.encodings(Goal::Speed) {
                Ok(encodings) => {
                    assert!(!seen.contains(&encodings[0]), "{seen:?}");
                    seen.push(encodings[0]);
                    assert!(candidates.exclude(0, encodings[0], "it is too large"));
                    assert!(!candidates.exclude(0, encodings[0], "it is too large"));
                }
                Err(error) => break error.to_string(),
            }
        };
        // 700 columns leave a word 6 bits.
        assert_eq!(seen.len(), ENCODINGS.len() - 1);
        assert!(
            error.starts_with("layer fc1 cannot be quantized: no encoding"),
            "{error}"
        );
        for encoding in ENCODINGS {
            let limit = match encoding {
                Encoding::Words => "with 700 columns it has 6 bits left for a weight",
                _ => "it is too large",
            };
            let limit = format!("{} ({limit}", encoding.name());
            assert!(error.contains(&limit), "{error}");
        }
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

    /// A chain of dense layers that computes what the container at `path` does, up to rounding.
    fn committed(path: &Path) -> (Network, Vec<Encoding>) {
        let bytes = container::read(path).unwrap();
        let model = container::parse(&bytes, path).unwrap();
        let layers = model.layers().map(|layer| {
            let WeightsSpec::Integers { bias, rows } = LayerSpec::from_layer(&layer).weights else {
                panic!("{} holds integers", path.display());
            };
            let one = 2_f32.powi(layer.shift().into());
            let row = |row: &Vec<(u16, i16)>| {
                let weight =
                    |&(column, weight): &(u16, i16)| (usize::from(column), f32::from(weight) / one);
                row.iter().map(weight).collect::<Vec<_>>()
            };
            Layer {
                name: format!("fc{}", layer.index() + 1),
                operation: Operation::Dense,
                weights: from_rows(layer.columns(), rows.iter().map(row)),
                bias: bias.iter().map(|&bias| bias as f32 / one).collect(),
                relu: !layer.is_last(),
                source: layer.index().checked_sub(1),
                skip: None,
                shape: [layer.outputs(), 1, 1],
                original: (layer.original_outputs(), layer.columns()),
            }
        });
        let network = Network {
            layers: layers.collect(),
            input: [1, 28, 28],
        };
        let encodings = model.layers().map(|layer| layer.encoding());
        (network, encodings.collect())
    }

    /// No committed network would be stored in more bytes than it is, nor in more instructions than a
    /// tie is.
    #[test]
    fn committed_networks_do_not_grow() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks");
        let digits = data::folder::load(&folder.join("digits")).unwrap().test;
        let images: Vec<&[u8]> = (0..digits.len()).map(|index| digits.image(index)).collect();
        let (speed, size) = (Goal::Speed, Goal::Size);
        for (name, bits, goal, core) in [
            ("10x-speed-m4", 6, speed, Core::M4),
            ("100x-size", 4, size, Core::M4),
            ("100x-speed-m4", 6, speed, Core::M4),
            ("100x-speed-m0", 6, speed, Core::M0),
            ("1000x-speed-m0", 6, speed, Core::M0),
        ] {
            let path = folder.join(format!("lenet-300-100-{name}.rfy"));
            let (network, stored) = committed(&path);
            let weights = WeightType::Int(bits);
            let candidates = Candidates::new(&network, &images, weights, core).unwrap();
            let chosen = candidates.encodings(goal).unwrap();
            let cost = |encodings: &[Encoding]| {
                let layers = candidates.layers.iter().zip(encodings);
                let costs = layers.map(|(tried, encoding)| {
                    let trial = tried.trials.iter().find(|trial| trial.0 == *encoding);
                    trial.unwrap().1
                });
                costs.fold(Cost::NONE, |total, cost| Cost {
                    bytes: total.bytes + cost.bytes,
                    instructions: total.instructions + cost.instructions,
                })
            };
            let (old, new) = (cost(&stored), cost(&chosen));
            let most = (1.0 + TIE).powi(2) * old.instructions;
            assert!(
                new.bytes <= old.bytes && new.instructions <= most,
                "{name}: {stored:?} {old:?}, now {chosen:?} {new:?}"
            );
        }
    }
}
