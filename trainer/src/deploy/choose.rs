//! Chooses the encoding of each layer by counted cost.
//!
//! Every encoding that can represent a layer at the requested bit width is tried: writing the layer
//! gives its exact size, and the [cost model](super::costs) predicts its instructions. Both are
//! nearly independent of the other layers (except for the dispatch cost of mixing encodings) and
//! of the exact integers, so a rough quantization is enough for the comparison. There is one rough
//! quantization per grid, since rounding decides how many weights remain nonzero.
//!
//! The finalists are the choice by this comparison and every network of a single encoding that
//! costs little more. They are quantized in full and rated by their containers. The best of them
//! must follow the f32 network: if an encoding represents a layer much less accurately than plain
//! rows (compressed or dense) of the same bits would, that encoding is excluded for the layer, and
//! the choice is repeated.
//!
//! Predictions are not exact, so [`Goal::Speed`] spends no bytes on a gain that is smaller than
//! their error: encodings of a layer whose predictions are within [`TIE`] of the fastest count as
//! equally fast, and the smallest of them is chosen. The same holds for choices that mix different
//! encodings.

use std::cmp::Ordering;

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, WeightsSpec, WriteError, index_bits,
    pack_word,
};

use super::costs::{self, Core, ENCODINGS};
use super::quantize::{self, Quantized, WeightType};
use super::{DeployError, Layer, Network};

mod finalists;

pub use finalists::best;

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

impl Goal {
    /// Returns the name, such as `size`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Speed => "speed",
            Self::Balanced => "balanced",
        }
    }
}

/// Which encodings may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingChoice {
    /// The cheapest encoding per layer.
    Auto,
    /// One encoding for all layers.
    Only(Encoding),
}

/// The number of calibration images used for the comparison.
const IMAGES: usize = 100;

/// The relative difference below which two predictions are a tie. A prediction may have a larger
/// error, but encodings of one layer share most of it, in particular in convolutions.
pub const TIE: f64 = 0.005;

/// Returns the encoding of each layer of `network`, whose units must already be in their final
/// order. Pooling layers get [`Encoding::None`].
///
/// # Errors
/// Returns an error if a layer cannot be represented in the requested encoding (in any encoding, if
/// none was requested), or if quantization fails.
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

/// The cost of a layer or a network.
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

    /// Returns the value that `goal` minimises, then the one that decides a tie.
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
#[derive(Debug, Clone)]
struct Tried {
    layer: String,
    /// Those that can represent the layer. Of two that tie, the earlier is chosen.
    trials: Vec<Trial>,
    /// The others, each with the reason why the layer cannot use it.
    limits: Vec<(Encoding, String)>,
}

/// For every layer of a network, the encodings that can represent it, with their costs.
#[derive(Debug, Clone)]
pub struct Candidates {
    layers: Vec<Tried>,
    core: Core,
}

impl Candidates {
    /// Tries every encoding on every layer of `network`.
    ///
    /// # Errors
    /// Returns an error if quantization fails, or if the format cannot represent the network,
    /// whatever the encodings.
    pub fn new(
        network: &Network,
        images: &[&[u8]],
        weights: WeightType,
        core: Core,
    ) -> Result<Self, DeployError> {
        let images = &images[..images.len().min(IMAGES)];
        let rough = Rough::new(network, images, weights)?;
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

    /// Returns the total cost of storing the layers as `encodings`, by the rough quantization;
    /// `None` if an encoding cannot represent its layer.
    fn total(&self, encodings: &[Encoding]) -> Option<Cost> {
        let mut total = Cost {
            bytes: 0.0,
            instructions: costs::cost(self.core, &[costs::mixed(encodings)]),
        };
        for (tried, encoding) in self.layers.iter().zip(encodings) {
            let (_, cost) = tried.trials.iter().find(|trial| trial.0 == *encoding)?;
            total.bytes += cost.bytes;
            total.instructions += cost.instructions;
        }
        Some(total)
    }

    /// Returns the encodings of a network that stores every layer with weights as `encoding`.
    fn single(&self, encoding: Encoding) -> Vec<Encoding> {
        let layers = self.layers.iter();
        let of_layer = |tried: &Tried| match tried.trials[..] {
            [(Encoding::None, _)] => Encoding::None,
            _ => encoding,
        };
        layers.map(of_layer).collect()
    }

    /// Excludes `encoding` for the layer at `index` and records the `reason`. Returns whether the
    /// encoding was allowed before.
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

/// The encodings of a network, and their total cost as [`Cost::keys`].
type Choice = (Vec<Encoding>, [f64; 2]);

/// Returns the cheapest combination of encodings for the whole network. For [`Goal::Speed`], it
/// may differ from the fastest encoding of each layer, since mixing encodings costs instructions
/// too.
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

/// Returns the cheapest of the `allowed` encodings per layer; `None` if a layer has none of them.
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

/// A network quantized on a few images, once per quantization grid.
struct Rough {
    /// Quantized for compressed rows; dense and entropy-coded rows have the same integers.
    plain: Quantized,
    /// Quantized for `words` and for `columns`, where these can represent a layer.
    packed: Vec<Quantized>,
}

impl Rough {
    /// Quantizes `network` on `images`.
    ///
    /// # Errors
    /// Returns an error if a layer cannot be quantized in compressed rows.
    fn new(network: &Network, images: &[&[u8]], weights: WeightType) -> Result<Self, DeployError> {
        let mut packed = Vec::new();
        for encoding in [Encoding::Words, Encoding::Columns] {
            packed.extend(packed_as(encoding, network, images, weights)?);
        }
        let plain = vec![Encoding::Csr; network.layers.len()];
        Ok(Self {
            plain: quantize::quantize(network, images, weights, &plain)?,
            packed,
        })
    }

    /// Returns the layer at `index`, quantized for `encoding` if that was done, otherwise for
    /// compressed rows.
    fn layer(&self, index: usize, encoding: Encoding) -> &LayerSpec {
        let layers = self.packed.iter().map(|packed| &packed.spec.layers[index]);
        let mut of_encoding = layers.filter(|layer| layer.encoding == encoding);
        of_encoding.next().unwrap_or(&self.plain.spec.layers[index])
    }
}

/// Returns `network` with every layer that `encoding` can represent quantized for it, and the
/// others for compressed rows; `None` if it can represent none.
///
/// # Errors
/// Returns an error if a layer cannot be quantized in compressed rows.
fn packed_as(
    encoding: Encoding,
    network: &Network,
    images: &[&[u8]],
    weights: WeightType,
) -> Result<Option<Quantized>, DeployError> {
    let of_layer = |layer| match quantize::holds(encoding, weights, layer) {
        true => encoding,
        false => Encoding::Csr,
    };
    let mut encodings: Vec<Encoding> = network.layers.iter().map(of_layer).collect();
    while encodings.contains(&encoding) {
        match quantize::quantize(network, images, weights, &encodings) {
            Err(DeployError::Overflow { index, .. }) if encodings[index] == encoding => {
                encodings[index] = Encoding::Csr;
            }
            quantized => return quantized.map(Some),
        }
    }
    Ok(None)
}

/// Returns the cost of a layer in `encoding`, or the limit that the layer exceeds.
///
/// # Errors
/// Returns an error if the format cannot represent the network, regardless of this layer.
fn trial(
    rough: &Rough,
    (index, layer): (usize, &Layer),
    weights: WeightType,
    encoding: Encoding,
    core: Core,
) -> Result<Result<Cost, String>, DeployError> {
    if !quantize::holds(encoding, weights, layer) {
        return Ok(Err(refusal(encoding, weights, layer)));
    }
    let plain = &rough.plain;
    let mut layers: Vec<LayerSpec> = plain.spec.layers.iter().map(empty).collect();
    let quantized = rough.layer(index, encoding);
    let weights = match quantized.encoding == encoding {
        true => quantized.weights.clone(),
        false => stand_in(&quantized.weights, encoding, layer),
    };
    layers[index] = LayerSpec {
        encoding,
        weights,
        ..quantized.clone()
    };
    let input = plain.spec.input;
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
    let instructions = costs::instructions(&written, core, Some(&plain.activity[index]));
    Ok(Ok(Cost {
        bytes: written.block().len() as f64,
        instructions,
    }))
}

/// Returns `layer` without its weights, so that only the layer on trial can exceed a container's
/// limits.
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

/// Converts the integers of compressed rows to the form that `encoding` needs. The result has about
/// the size and cost of weights that were quantized for `encoding`.
fn stand_in(rough: &WeightsSpec, encoding: Encoding, layer: &Layer) -> WeightsSpec {
    let WeightsSpec::Integers { bias, rows } = rough else {
        return rough.clone();
    };
    let (units, columns) = layer.weights.shape();
    let words = |count: usize, by_row: bool| {
        let index_bits = index_bits(count);
        let most = i16::MAX >> index_bits;
        let rows = rows.iter().enumerate().map(|(row, weights)| {
            let word = |&(column, weight): &(u16, i16)| {
                let index = if by_row { row as u16 } else { column };
                (
                    column,
                    pack_word(weight.clamp(-most, most), index, index_bits),
                )
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

/// Returns why `encoding` cannot represent `layer`.
fn refusal(encoding: Encoding, weights: WeightType, layer: &Layer) -> String {
    let (rows, columns) = layer.weights.shape();
    let (count, what) = match encoding {
        Encoding::Columns => (rows, "rows"),
        Encoding::CsrF32 | Encoding::None => return "it stores no integer weights".into(),
        _ => (columns, "columns"),
    };
    let left = 16_u8.saturating_sub(index_bits(count));
    if left >= weights.bits() {
        return "only dense layers without a residual addition support this encoding".into();
    }
    format!(
        "with {count} {what}, a word has {left} bits left for a weight, fewer than the {} requested",
        weights.bits()
    )
}

#[cfg(test)]
mod tests;
