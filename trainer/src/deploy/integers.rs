//! From a stripped f32 network to the integers of a container, for one goal or for several.

use std::cell::RefCell;

use rarefy_format::Encoding;

use super::choose::{self, Candidates, EncodingChoice, Goal};
use super::container::Written;
use super::options::Options;
use super::quantize::{self, WeightType};
use super::{DeployError, Network, absorb, decouple, limits, pairs};

/// Prepares `network` for quantization without changing its function: [`absorb`] gives nearly
/// constant activations, and [`decouple`] skips, quantization steps that suit them. Adapting the
/// result again changes nothing.
#[must_use]
pub fn adapted(network: &Network, images: &[&[u8]], weights: WeightType) -> Network {
    if weights == WeightType::F32 {
        return network.clone();
    }
    let images = quantize::enough(network, images);
    let absorbed = absorb::absorb(network, images);
    decouple::decouple(&absorbed, images, weights)
}

/// Returns the integers of `network`, [adapted] and calibrated on `images`, and their container.
/// Hidden units may be reordered.
///
/// # Errors
/// Returns an error if a step fails, or if the options conflict.
pub fn integers(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Written, DeployError> {
    let network = adapted(network, images, options.weights);
    Integers::new(&network, images, options)?.written(options.goal)
}

/// The encodings of a network, and its container in them.
type Kept = (Vec<Encoding>, Written);

/// The integers of a network that is already [adapted], for one goal after another: what the goals
/// share is computed once.
pub(super) struct Integers<'a> {
    network: &'a Network,
    images: &'a [&'a [u8]],
    /// How to quantize; the goal is ignored.
    options: Options,
    /// The encodings to choose from, once they were tried.
    candidates: Option<Candidates>,
    /// The containers so far, by their encodings; `None` if they are not kept.
    kept: RefCell<Option<Vec<Kept>>>,
}

impl<'a> Integers<'a> {
    /// Checks that a container can represent `network`, which is calibrated on `images`.
    ///
    /// # Errors
    /// Returns an error if none can, or if the options conflict.
    pub(super) fn new(
        network: &'a Network,
        images: &'a [&'a [u8]],
        options: &Options,
    ) -> Result<Self, DeployError> {
        limits::check(network)?;
        if options.weights == WeightType::F32 && options.encoding != EncodingChoice::Auto {
            return Err(DeployError::EncodingOfFloats);
        }
        Ok(Self {
            network,
            images,
            options: *options,
            candidates: None,
            kept: RefCell::default(),
        })
    }

    /// Makes `self` keep every container that it writes, because several goals may try the same
    /// encodings.
    pub(super) fn kept(self) -> Self {
        self.kept.replace(Some(Vec::new()));
        self
    }

    /// Returns the integers whose encodings are chosen for `goal`, and their container.
    ///
    /// # Errors
    /// Returns an error if a step fails.
    pub(super) fn written(&mut self, goal: Goal) -> Result<Written, DeployError> {
        let (network, images) = (self.network, self.images);
        let Options {
            weights,
            core,
            encoding,
            ..
        } = self.options;
        if weights == WeightType::F32 {
            return Written::new(quantize::floats(network, images)?, network);
        }
        if encoding != EncodingChoice::Auto {
            let encodings = choose::choose(network, images, weights, (goal, core), encoding)?;
            return self.stored_as(&encodings);
        }
        let candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None => Candidates::new(network, images, weights, core).map_err(too_large)?,
        };
        self.candidates = Some(candidates.clone());
        choose::best(candidates, goal, |encodings| self.stored_as(encodings)).map_err(too_large)
    }

    /// Returns the integers in the given encoding of each layer, and their container.
    ///
    /// # Errors
    /// Returns an error if a layer cannot be quantized or represented so.
    fn stored_as(&self, encodings: &[Encoding]) -> Result<Written, DeployError> {
        let known = |kept: &&Kept| kept.0 == encodings;
        if let Some((_, written)) = self.kept.borrow().iter().flatten().find(known) {
            return Ok(written.clone());
        }
        let network = pairs::paired(self.network, self.images, encodings);
        let quantized = quantize::quantize(&network, self.images, self.options.weights, encodings)?;
        let written = Written::new(quantized, &network)?;
        if let Some(kept) = self.kept.borrow_mut().as_mut() {
            kept.push((encodings.to_vec(), written.clone()));
        }
        Ok(written)
    }
}

/// Returns `error`, reworded if it is an overflow: no encoding was requested, and the sums overflow
/// in every one.
fn too_large(error: DeployError) -> DeployError {
    match error {
        DeployError::Overflow { layer, .. } => DeployError::Quantize {
            layer,
            reason: "its sums would not fit 32 bits in any encoding: some of its weights or biases are far larger than the others".into(),
        },
        other => other,
    }
}
