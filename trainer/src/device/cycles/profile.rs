//! Instructions and cycles by layer and by function.

use std::collections::BTreeMap;

use rarefy_format::{Model, Operation};
use serde::Serialize;

use super::super::boards::Board;
use super::counts::{Counts, Step};
use super::program::Program;
use super::range::Range;
use super::work::{Pricer, Unpriced, Work};
use crate::deploy::costs::{self, Core};

/// Maximum number of inputs whose zeros a prediction takes into account: finding them takes a slow
/// inference per input.
const PREDICTION_INPUTS: usize = 10;

/// Instructions and cycles of an inference by layer and by function: means over all samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The whole inference.
    pub total: Share,
    /// Every layer, in order.
    pub layers: Vec<LayerProfile>,
    /// What belongs to no layer: checks of the arguments, the choice of the class, the program
    /// that measures.
    pub outside: Share,
    /// Predicted instructions of what belongs to no layer.
    pub outside_predicted: f64,
    /// Every function, the most expensive first.
    pub functions: Vec<FunctionShare>,
}

/// Part of an inference: means over all samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Executed instructions.
    pub instructions: f64,
    /// Lower and upper bound of the estimated cycles.
    pub cycles: (f64, f64),
}

impl Share {
    /// Returns the sum of `shares`.
    #[must_use]
    pub fn sum(shares: impl IntoIterator<Item = Self>) -> Self {
        let add = |a: Self, b: Self| Self {
            instructions: a.instructions + b.instructions,
            cycles: (a.cycles.0 + b.cycles.0, a.cycles.1 + b.cycles.1),
        };
        shares.into_iter().fold(Self::default(), add)
    }
}

/// Part of an inference that a layer takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerProfile {
    /// What the layer computes, and its encoding.
    pub name: String,
    /// The layer's part.
    #[serde(flatten)]
    pub share: Share,
    /// Instructions that the exporter's cost model predicts, from the zeros in at most ten of the
    /// inputs.
    pub predicted: f64,
    /// The layer's functions, the most expensive first.
    pub functions: Vec<FunctionShare>,
}

/// Part of an inference that a function takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionShare {
    /// The function's name.
    pub name: String,
    /// The function's part, without the functions that it calls.
    #[serde(flatten)]
    pub share: Share,
}

impl Profile {
    /// Returns the part of all instructions that the layers explain, from 0 to 1.
    #[must_use]
    pub fn explained(&self) -> f64 {
        let layers = self.layers.iter().map(|layer| layer.share.instructions);
        layers.sum::<f64>() / self.total.instructions.max(1.0)
    }
}

/// Work by layer (`None` for work outside all layers) and function, summed over samples.
#[derive(Debug, Default)]
pub(super) struct Sums {
    by: BTreeMap<(Option<usize>, String), Work>,
    /// What measuring an empty closure takes, over all samples.
    overhead: Work,
    samples: u64,
}

impl Sums {
    /// Adds the steps of a sample, `overhead` of which is measuring.
    pub(super) fn add(
        &mut self,
        overhead: Work,
        program: &Program,
        counts: &Counts,
        pricer: &mut Pricer<'_>,
        steps: &[Step],
    ) -> Result<(), Unpriced> {
        self.samples += 1;
        self.overhead.add(overhead);
        for step in steps {
            let function = program.function(counts.blocks[step.from].address);
            let layer = step.layer.filter(|_| !is_outside(function));
            let work = pricer.step(step)?;
            self.by
                .entry((layer, function.to_owned()))
                .or_default()
                .add(work);
        }
        Ok(())
    }

    /// Returns the part of a layer (`Some(Some(index))`), of what belongs to no layer
    /// (`Some(None)`) or of the whole inference (`None`), and its functions.
    fn part(&self, board: &Board, layer: Option<Option<usize>>) -> (Share, Vec<FunctionShare>) {
        let mut functions: BTreeMap<&str, Work> = BTreeMap::new();
        for ((of, function), work) in &self.by {
            if layer.is_none_or(|layer| layer == *of) && work.instructions > 0 {
                functions.entry(function).or_default().add(*work);
            }
        }
        // The overhead of measuring belongs to no layer.
        if layer.is_none_or(|layer| layer.is_none()) {
            if let Some(work) = self.around().and_then(|name| functions.get_mut(name)) {
                *work = work.less(self.overhead);
            }
            functions.retain(|_, work| work.instructions > 0);
        }
        let mut total = Work::default();
        functions.values().for_each(|work| total.add(*work));
        let mut shares: Vec<FunctionShare> = functions
            .into_iter()
            .map(|(name, work)| FunctionShare {
                name: name.to_owned(),
                share: self.share(board, work),
            })
            .collect();
        shares.sort_by(|a, b| b.share.instructions.total_cmp(&a.share.instructions));
        (self.share(board, total), shares)
    }

    /// Returns the function that measures: among those of the program around the engine, the one
    /// that executes the most instructions.
    fn around(&self) -> Option<&str> {
        let outside = self.by.iter().filter(|((layer, _), _)| layer.is_none());
        let most = outside.max_by_key(|((_, name), work)| (is_outside(name), work.instructions));
        most.map(|((_, name), _)| name.as_str())
    }

    /// Returns the mean of `work` over the samples.
    fn share(&self, board: &Board, work: Work) -> Share {
        let mean = |sum: u64| sum as f64 / self.samples.max(1) as f64;
        let Range { low, high } = work.waiting(board.flash_wait_states.unwrap_or(0));
        Share {
            instructions: mean(work.instructions),
            cycles: (mean(low), mean(high)),
        }
    }

    /// Returns the profile of `model`, which was run on `inputs`.
    pub(super) fn profile(&self, board: &Board, model: &Model<'_>, inputs: &[Vec<u8>]) -> Profile {
        let core = Core::of_target(&board.target);
        let step = inputs.len().div_ceil(PREDICTION_INPUTS).max(1);
        let some: Vec<Vec<u8>> = inputs.iter().step_by(step).cloned().collect();
        let activity = costs::activity(model, &some);
        let layers = model.layers().zip(&activity).enumerate();
        let layers = layers.map(|(index, (layer, activity))| {
            let (share, functions) = self.part(board, Some(Some(index)));
            LayerProfile {
                name: describe(&layer),
                share,
                predicted: costs::instructions(&layer, core, Some(activity)),
                functions,
            }
        });
        let (total, functions) = self.part(board, None);
        Profile {
            total,
            layers: layers.collect(),
            outside: self.part(board, Some(None)).0,
            outside_predicted: costs::overhead(model, core),
            functions,
        }
    }
}

/// Returns `true` if `function` belongs to the program around the engine.
fn is_outside(function: &str) -> bool {
    function.starts_with("measure::") || function == "SysTick"
}

/// Describes what `layer` computes and how it is stored.
fn describe(layer: &rarefy_format::Layer<'_>) -> String {
    let number = layer.index() + 1;
    let (source, output) = (layer.source().shape, layer.output().shape);
    let encoding = layer.encoding().name();
    match layer.operation() {
        Operation::Dense => format!(
            "{number} dense {} -> {}, {encoding}",
            source.len(),
            output.len()
        ),
        Operation::Conv { window, pooling } => {
            let [height, width] = window.size;
            let pooled = if pooling.is_some() { ", pooled" } else { "" };
            let (from, to) = (source.channels, output.channels);
            format!("{number} convolution {height}x{width} {from} -> {to}{pooled}, {encoding}")
        }
        Operation::Pool { window, .. } => {
            format!("{number} pooling {}x{}", window.size[0], window.size[1])
        }
    }
}
