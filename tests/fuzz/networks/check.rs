//! Takes one network through all steps.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rarefy_trainer::graph::Graph;
use rarefy_trainer::network::State;
use rarefy_trainer::pruning::Masks;
use rarefy_trainer::random::Random;

use super::forward::Oracle;
use super::kept::Kept;
use super::plan::Plan;
use super::values::{self, normal};
use super::{build, deployed, folded, known, masks};

/// A difference from the oracle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// The step that differs.
    pub(crate) step: &'static str,
    /// The difference, as a sentence.
    pub(crate) what: String,
}

/// Returns a fault of `step`.
pub(crate) fn fault<T>(step: &'static str, what: impl Into<String>) -> Result<T, Fault> {
    let what = what.into();
    Err(Fault { step, what })
}

/// Counts of the checks made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// The number of networks.
    pub(crate) networks: usize,
    /// The number of times that each event occurred.
    pub(crate) seen: BTreeMap<String, usize>,
    /// The signal-to-noise ratios of containers, in dB, by weight type.
    pub(crate) noise: BTreeMap<String, Vec<f64>>,
    /// The containers of the last network.
    pub(crate) kept: Vec<Kept>,
}

impl Counts {
    /// Counts `what`.
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    /// Adds the counts of another run.
    pub(crate) fn add(&mut self, other: Counts) {
        self.networks += other.networks;
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
        for (what, noise) in other.noise {
            self.noise.entry(what).or_default().extend(noise);
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.seen {
            writeln!(f, "{count:7} {what}")?;
        }
        for (weights, noise) in &self.noise {
            let mut noise = noise.clone();
            noise.sort_by(f64::total_cmp);
            let part = |percent: usize| noise[(noise.len() - 1) * percent / 100];
            writeln!(
                f,
                "{:7} containers of {weights}: signal-to-noise ratio at least {:.1} dB, 1 % below {:.1}, 10 % below {:.1}, half below {:.1}",
                noise.len(),
                part(0),
                part(1),
                part(10),
                part(50),
            )?;
        }
        Ok(())
    }
}

/// A network with its parameters and the scores that it should compute.
pub(crate) struct Subject {
    pub(crate) graph: Graph,
    pub(crate) state: State,
    pub(crate) masks: Masks,
    pub(crate) keep: Vec<Vec<bool>>,
    pub(crate) pixels: (f32, f32),
    /// The images as pixels.
    pub(crate) images: Vec<Vec<u8>>,
    /// The images, normalised.
    pub(crate) normal: Vec<Vec<f64>>,
    /// The class scores per image.
    pub(crate) scores: Vec<Vec<f64>>,
    /// The change of a score that rounding to f32 can cause, relative to the largest score.
    pub(crate) rounding: f64,
    /// The absolute change of the mean and variance of each unit that rounding to f32 can cause, by
    /// node.
    pub(crate) moments: Vec<Vec<[f64; 2]>>,
}

impl Subject {
    /// Returns the calibration images.
    pub(crate) fn calibration(&self) -> Vec<&[u8]> {
        let images = self.images[..values::IMAGES].iter();
        images.map(Vec::as_slice).collect()
    }

    /// Returns the largest magnitude of a score, over all images.
    fn largest(&self) -> f64 {
        let scores = self.scores.iter().flatten();
        scores.fold(1e-6, |most, score| most.max(score.abs()))
    }

    /// Checks that `found` returns the scores of each image, up to rounding.
    pub(crate) fn agrees(
        &self,
        step: &'static str,
        found: impl Fn(&[u8]) -> Vec<f32>,
    ) -> Result<(), Fault> {
        let allowed = 2e-6 + 20.0 * self.rounding;
        for (number, (image, expected)) in self.images.iter().zip(&self.scores).enumerate() {
            let found = found(image);
            let apart = distance(&found, expected) / self.largest();
            if found.len() != expected.len() || apart.is_nan() || apart > allowed {
                let what = format!(
                    "image {number} has the scores {found:?}, not {expected:?}: {apart:.1e} apart, {allowed:.1e} allowed"
                );
                return fault(step, what);
            }
        }
        Ok(())
    }
}

/// Returns the largest difference between the scores `found` and `expected` of an image.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    let apart = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (f64::from(*found) - expected).abs());
    apart.fold(0.0, |most, apart| {
        if apart > most || apart.is_nan() {
            apart
        } else {
            most
        }
    })
}

/// Checks the network of `plan`, and adds to `counts`.
///
/// # Errors
/// Returns the first difference from an oracle.
pub(crate) fn check(plan: &Plan, counts: &mut Counts) -> Result<(), Fault> {
    let graph = build::graph(plan);
    let keep = masks::check(plan, &graph, counts)?;
    let subject = subject(plan, graph, keep);
    if subject.keep.iter().flatten().all(|keep| !keep) {
        counts.count("networks without a weight");
    }
    folded::trained(&subject)?;
    counts.count("networks run by the trainer");
    let Some(stripped) = folded::check(&subject, counts)? else {
        return Ok(());
    };
    for options in &plan.exports {
        let Err(fault) = deployed::check(&subject, &stripped, options, counts) else {
            continue;
        };
        match known::known_cause(&fault) {
            Some(cause) => counts.count(format!("known: {cause}")),
            None => return Err(fault),
        }
    }
    Ok(())
}

/// Calls [`check()`] and turns a panic into a fault.
///
/// # Errors
/// Returns the first difference from an oracle.
pub(crate) fn checked(plan: &Plan, counts: &mut Counts) -> Result<(), Fault> {
    let checked = catch_unwind(AssertUnwindSafe(|| check(plan, counts)));
    checked.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        fault("panic", message.unwrap_or("without a message"))
    })
}

/// Returns `graph` with the parameters that `plan` draws and the scores that the oracle computes.
fn subject(plan: &Plan, graph: Graph, keep: Vec<Vec<bool>>) -> Subject {
    let parameters = values::parameters(plan, &graph, &keep);
    let images: Vec<Vec<f64>> = parameters
        .images
        .iter()
        .map(|image| normal(plan, image))
        .collect();
    let scores = |oracle: &Oracle<'_>| -> Vec<Vec<f64>> {
        images.iter().map(|image| oracle.scores(image)).collect()
    };
    let exact = scores(&Oracle::new(&graph, &parameters.state, &keep));
    let mut subject = Subject {
        masks: Masks::from_fn(&graph.prunable(), |tensor, element| keep[tensor][element]),
        state: parameters.state,
        pixels: plan.pixels,
        images: parameters.images,
        normal: images.clone(),
        scores: exact,
        rounding: 0.0,
        moments: Vec::new(),
        keep,
        graph,
    };
    let calibration = &images[..values::IMAGES];
    let mut oracle = Oracle::new(&subject.graph, &subject.state, &subject.keep);
    let moments = oracle.measure(calibration);
    subject.moments = moments
        .iter()
        .map(|units| vec![[0.0; 2]; units.len()])
        .collect();
    for draw in 0..3 {
        let mut moved = Oracle::new(&subject.graph, &subject.state, &subject.keep);
        moved.round(Random::stream(plan.seed, &format!("rounding {draw}")));
        for (moved, exact) in scores(&moved).iter().zip(&subject.scores) {
            let apart = moved.iter().zip(exact).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0, f64::max) / subject.largest();
            subject.rounding = subject.rounding.max(apart);
        }
        let of_moments = moved.measure(calibration);
        let of_moments = of_moments.iter().flatten().zip(moments.iter().flatten());
        let most = subject.moments.iter_mut().flatten();
        for (most, (moved, exact)) in most.zip(of_moments) {
            for (most, (moved, exact)) in most.iter_mut().zip(moved.iter().zip(exact)) {
                *most = most.max((moved - exact).abs());
            }
        }
    }
    subject
}
