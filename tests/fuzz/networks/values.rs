//! Draws the weights, masks and images of a plan. Each tensor has its own random stream, so
//! removing a part of the plan does not change the others.

use rarefy_trainer::graph::{Graph, Operation, Prunable};
use rarefy_trainer::network::{State, initial};
use rarefy_trainer::random::Random;

use super::forward::Oracle;
use super::plan::Plan;

/// The number of images for calibration and batch-norm statistics; as many again are drawn for
/// testing.
pub(crate) const IMAGES: usize = 16;

/// A graph's random parameters and images.
pub(crate) struct Parameters {
    /// All parameters and statistics; kernels are 0 outside the mask.
    pub(crate) state: State,
    /// The images as pixels: [`IMAGES`] for calibration, then the others.
    pub(crate) images: Vec<Vec<u8>>,
}

/// Draws the direct mask of `graph`: sparse, with some empty rows and columns, but rarely an empty
/// tensor.
pub(crate) fn direct_mask(plan: &Plan, graph: &Graph) -> Vec<Vec<bool>> {
    let draw = |tensor: &Prunable| -> Vec<bool> {
        let random = &mut Random::stream(plan.seed, &format!("mask {}", tensor.name));
        if plan.odd_units && random.below(25) == 0 {
            return vec![false; tensor.len()];
        }
        let (inputs, taps) = (tensor.shape[1], tensor.shape[2..].iter().product::<usize>());
        let some = |random: &mut Random, count: usize| -> Vec<bool> {
            let least = if plan.odd_units { 0.15 } else { 0.0 };
            (0..count).map(|_| random.unit() >= least).collect()
        };
        let (rows, columns) = (some(random, tensor.shape[0]), some(random, inputs));
        let mut keep = |element: usize| {
            let drawn = random.unit() < plan.density;
            drawn && rows[element / (inputs * taps)] && columns[element / taps % inputs]
        };
        (0..tensor.len()).map(&mut keep).collect()
    };
    graph.prunable().iter().map(draw).collect()
}

/// Draws an image of noise: all, half or a fifth of its pixels are lit.
fn image(plan: &Plan, number: usize, length: usize) -> Vec<u8> {
    let random = &mut Random::stream(plan.seed, &format!("image {number}"));
    let most = 32 + random.below(224);
    let lit = [1.0, 0.5, 0.2][random.below(3) as usize];
    let pixel = |random: &mut Random| {
        let there = random.unit() < lit;
        if there {
            random.below(most + 1) as u8
        } else {
            0
        }
    };
    (0..length).map(|_| pixel(random)).collect()
}

/// How a unit behaves.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Ordinary,
    /// Its sum is never positive.
    Dead,
    /// Its sum is rarely positive.
    Seldom,
    /// Its weights are scaled by this factor.
    Faint(f64),
}

fn fate(random: &mut Random, chance: u64) -> Fate {
    if random.below(100) >= chance {
        return Fate::Ordinary;
    }
    match random.below(4) {
        0 => Fate::Dead,
        1 => Fate::Seldom,
        2 => Fate::Faint(0.01),
        _ => Fate::Faint(1e-5),
    }
}

/// Draws the fates of the units of layer `name`; all units of a layer may share one.
fn fates(plan: &Plan, name: &str, units: usize) -> Vec<Fate> {
    if !plan.odd_units {
        return vec![Fate::Ordinary; units];
    }
    let random = &mut Random::stream(plan.seed, &format!("fate {name}"));
    let shared = fate(random, 8);
    let own = (0..units).map(|_| fate(random, 15));
    own.map(|own| {
        if shared == Fate::Ordinary {
            own
        } else {
            shared
        }
    })
    .collect()
}

/// Draws the parameters of `graph` under `masks`.
pub(crate) fn parameters(plan: &Plan, graph: &Graph, masks: &[Vec<bool>]) -> Parameters {
    let mut state = initial::without_kernels(graph);
    for (tensor, mask) in graph.prunable().iter().zip(masks) {
        let values = kernel(plan, graph, tensor, mask);
        state.insert(tensor.name.clone(), tensor.shape.clone(), values);
    }
    for node in graph.nodes() {
        if let Operation::BatchNorm = node.operation {
            norm(plan, graph, &node.name, &mut state);
        } else if let Some(array) = state.0.get_mut(&format!("{}.bias", node.name)) {
            let random = &mut Random::stream(plan.seed, &format!("bias {}", node.name));
            for (value, fate) in array
                .values
                .iter_mut()
                .zip(fates(plan, &node.name, node.shape[0]))
            {
                *value = shift(0.3 * random.normal(), fate) as f32;
            }
        }
    }
    let images: Vec<Vec<u8>> = (0..2 * IMAGES)
        .map(|number| image(plan, number, graph.input_len()))
        .collect();
    statistics(plan, graph, masks, &images[..IMAGES], &mut state);
    Parameters { state, images }
}

/// Returns `shift`, changed to suit the unit's fate.
fn shift(shift: f64, fate: Fate) -> f64 {
    match fate {
        Fate::Ordinary => shift,
        Fate::Dead => shift - 20.0,
        Fate::Seldom => shift - 2.0,
        Fate::Faint(part) => shift * part,
    }
}

/// Draws random weights, 0 outside the mask, that preserve the magnitude of their inputs.
fn kernel(plan: &Plan, graph: &Graph, tensor: &Prunable, mask: &[bool]) -> Vec<f32> {
    let random = &mut Random::stream(plan.seed, &tensor.name);
    let node = &graph.nodes()[tensor.node];
    let rows = tensor.len() / tensor.shape[0];
    let kept = mask.iter().filter(|keep| **keep).count() as f64;
    let spread = 1.4 / (kept / tensor.shape[0] as f64).max(1.0).sqrt();
    let fates = fates(plan, &node.name, tensor.shape[0]);
    let draw = |element: usize| {
        let drawn = spread * random.normal();
        let part = match fates[element / rows] {
            Fate::Faint(part) => part,
            _ => 1.0,
        };
        if mask[element] {
            (drawn * part) as f32
        } else {
            0.0
        }
    };
    (0..tensor.len()).map(draw).collect()
}

/// Draws the scales (of either sign, some of them 0) and shifts of a batch norm, and adds them to
/// `state`.
fn norm(plan: &Plan, graph: &Graph, name: &str, state: &mut State) {
    let random = &mut Random::stream(plan.seed, name);
    let node = graph.nodes().iter().find(|node| node.name == name);
    let units = node.map_or(0, |node| node.shape[0]);
    let (mut scales, mut shifts) = (Vec::new(), Vec::new());
    for fate in fates(plan, name, units) {
        let sign = if random.below(4) == 0 { -1.0 } else { 1.0 };
        let scale = sign * (0.5 + random.unit());
        let part = match fate {
            Fate::Faint(part) => part,
            Fate::Dead if random.below(3) == 0 => 0.0,
            _ => 1.0,
        };
        scales.push((scale * part) as f32);
        shifts.push(shift(0.5 * random.normal(), fate) as f32);
    }
    state.insert(format!("{name}.weight"), vec![units], scales);
    state.insert(format!("{name}.bias"), vec![units], shifts);
}

/// Adds the batch-norm statistics over `images` to `state`.
fn statistics(
    plan: &Plan,
    graph: &Graph,
    masks: &[Vec<bool>],
    images: &[Vec<u8>],
    state: &mut State,
) {
    let images: Vec<Vec<f64>> = images.iter().map(|image| normal(plan, image)).collect();
    let moments = Oracle::new(graph, state, masks).measure(&images);
    for (node, moments) in graph.nodes().iter().zip(moments) {
        if node.operation == Operation::BatchNorm {
            for (kind, which) in [("running_mean", 0), ("running_var", 1)] {
                let values = moments.iter().map(|moments| moments[which] as f32);
                let name = format!("{}.{kind}", node.name);
                state.insert(name, vec![moments.len()], values.collect());
            }
        }
    }
}

/// Returns the normalised pixels of `image`.
pub(crate) fn normal(plan: &Plan, image: &[u8]) -> Vec<f64> {
    let (mean, deviation) = (f64::from(plan.pixels.0), f64::from(plan.pixels.1));
    let pixels = image.iter();
    pixels
        .map(|&pixel| (f64::from(pixel) / 255.0 - mean) / deviation)
        .collect()
}
