//! What a random network is drawn as: a plan that stays buildable whatever is taken out of it.
//!
//! Steps say what they read by how far back it is, and a step that does not fit what it reads is
//! left out when the graph is built. So any part of a plan is a plan, which is what shrinking needs.

use rarefy_format::Encoding;
use rarefy_trainer::deploy::choose::{EncodingChoice, Goal};
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::deploy::export::Options;
use rarefy_trainer::deploy::quantize::WeightType;
use rarefy_trainer::graph::Pooling;
use rarefy_trainer::random::Random;

/// A random network and what is done to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// (channels, height, width) of the input.
    pub(crate) input: [usize; 3],
    /// From the input to the last hidden layer.
    pub(crate) steps: Vec<Step>,
    /// The last layer.
    pub(crate) classes: usize,
    /// Whether the class scores are normalised.
    pub(crate) norm: bool,
    /// Mean and deviation that pixels are normalised by.
    pub(crate) pixels: (f32, f32),
    /// The share of weights that the direct mask keeps.
    pub(crate) density: f64,
    /// Which mask the network has.
    pub(crate) mask: MaskKind,
    /// Whether some units and layers are dead, nearly dead, or give a constant.
    pub(crate) odd_units: bool,
    /// What weights, masks and images are drawn from.
    pub(crate) seed: u64,
    /// How it is exported.
    pub(crate) exports: Vec<Options>,
}

/// Which mask a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskKind {
    /// Everything stays.
    Dense,
    /// As drawn, with what is detached.
    Direct,
    /// The effective part of what was drawn, by positions.
    Exact,
    /// The same by channels.
    Graph,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many steps back what it reads is; 0 is the step before.
    pub(crate) back: usize,
    /// What it does.
    pub(crate) kind: StepKind,
}

/// What follows a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Whether the layer has a bias.
    pub(crate) bias: bool,
    /// Whether a batch norm follows.
    pub(crate) norm: bool,
    /// Whether a ReLU follows.
    pub(crate) relu: bool,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// A convolution.
    Conv {
        channels: usize,
        size: usize,
        stride: usize,
        zeros: Zeros,
        tail: Tail,
    },
    /// Pooling, with `before` and `after` zeros around the map.
    Pool {
        kind: Pooling,
        size: usize,
        stride: usize,
        before: [usize; 2],
        after: [usize; 2],
    },
    /// A dense layer, after flattening.
    Dense { units: usize, tail: Tail },
    /// The sum of two steps of one shape; `other` chooses among them.
    Add { other: usize, relu: bool },
    /// A residual block of `depth` convolutions.
    Block {
        channels: usize,
        stride: usize,
        depth: usize,
        shortcut: Shortcut,
        tail: Tail,
    },
    /// A batch norm on its own.
    Norm,
    /// A ReLU on its own.
    Relu,
}

/// The padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// None.
    Valid,
    /// As many as keep the size, the odd one after the map.
    Same,
    /// These before and after the map, along height and width.
    Around([usize; 2], [usize; 2]),
}

/// The shortcut of a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// The identity where the shape allows it, else a convolution.
    Identity,
    /// The identity through a batch norm where the shape allows it, else a convolution.
    Normalised,
    /// A convolution of 1 x 1.
    Conv,
}

/// Draws from a list.
fn one_of<T: Copy>(random: &mut Random, list: &[T]) -> T {
    list[random.below(list.len() as u64) as usize]
}

impl Plan {
    /// The plan of case `case` of the run with `seed`.
    #[must_use]
    pub(crate) fn draw(seed: u64, case: u64) -> Self {
        let purpose = format!("random network {case}");
        let random = &mut Random::stream(seed, &purpose);
        let chain = random.below(4) == 0;
        let norms = random.below(3);
        let mut plan = Self {
            input: if chain {
                chain_input(random)
            } else {
                map_input(random)
            },
            steps: Vec::new(),
            classes: 2 + random.below(4) as usize,
            norm: random.below(2) == 0,
            pixels: one_of(random, &[(0.1307, 0.3081), (0.0, 0.5), (0.5, 0.25)]),
            density: one_of(random, &[1.0, 0.7, 0.4, 0.2, 0.1, 0.04]),
            mask: one_of(
                random,
                &[
                    MaskKind::Dense,
                    MaskKind::Direct,
                    MaskKind::Direct,
                    MaskKind::Exact,
                    MaskKind::Graph,
                ],
            ),
            odd_units: random.below(2) == 0,
            seed: random.next_u64(),
            exports: (0..3).map(|_| options(random, chain)).collect(),
        };
        let steps = 1 + random.below(if chain { 4 } else { 6 });
        for _ in 0..steps {
            plan.steps.push(step(random, chain, norms));
        }
        plan
    }
}

/// The input of a chain of dense layers.
fn chain_input(random: &mut Random) -> [usize; 3] {
    match random.below(3) {
        0 => [1, 1, 1 + random.below(400) as usize],
        1 => [1, 1, 1 + random.below(20) as usize],
        _ => {
            let side = 1 + random.below(12) as usize;
            [1 + random.below(3) as usize, side, side]
        }
    }
}

/// The input of a network of maps.
fn map_input(random: &mut Random) -> [usize; 3] {
    let side = |random: &mut Random| 3 + random.below(8) as usize;
    let (height, width) = (side(random), side(random));
    let square = random.below(2) == 0;
    [
        1 + random.below(3) as usize,
        height,
        if square { height } else { width },
    ]
}

/// What follows a layer; `norms` 0 never, 1 always, 2 sometimes normalises.
fn tail(random: &mut Random, norms: u64) -> Tail {
    let norm = match norms {
        0 => false,
        1 => true,
        _ => random.below(2) == 0,
    };
    Tail {
        bias: random.below(3) > 0,
        norm,
        relu: random.below(10) > 0,
    }
}

fn step(random: &mut Random, chain: bool, norms: u64) -> Step {
    let back = match random.below(6) {
        0 => 1 + random.below(3) as usize,
        _ => 0,
    };
    let choice = if chain {
        6 + random.below(4)
    } else {
        random.below(18)
    };
    let dense = |random: &mut Random| StepKind::Dense {
        units: 1 + random.below(if chain { 50 } else { 10 }) as usize,
        tail: Tail {
            relu: chain || random.below(10) > 0,
            ..tail(random, norms)
        },
    };
    let kind = match choice {
        0..6 => StepKind::Conv {
            channels: 1 + random.below(6) as usize,
            size: one_of(random, &[1, 2, 3, 3, 4, 5]),
            stride: one_of(random, &[1, 1, 1, 2, 3]),
            zeros: zeros(random),
            tail: tail(random, norms),
        },
        6..9 => dense(random),
        9 if chain => dense(random),
        9..12 => pool(random),
        12..15 => StepKind::Block {
            channels: 1 + random.below(6) as usize,
            stride: one_of(random, &[1, 1, 2]),
            depth: 1 + random.below(2) as usize,
            shortcut: one_of(
                random,
                &[
                    Shortcut::Identity,
                    Shortcut::Identity,
                    Shortcut::Normalised,
                    Shortcut::Conv,
                ],
            ),
            tail: tail(random, norms),
        },
        15 | 16 => StepKind::Add {
            other: random.below(8) as usize,
            relu: random.below(4) > 0,
        },
        _ => one_of(random, &[StepKind::Norm, StepKind::Relu]),
    };
    Step {
        back: if chain { 0 } else { back },
        kind,
    }
}

fn zeros(random: &mut Random) -> Zeros {
    let mut some = || {
        [
            random.below(3) as usize,
            [0, 1, 2][random.below(3) as usize],
        ]
    };
    let (before, after) = (some(), some());
    match random.below(5) {
        0 | 1 => Zeros::Valid,
        2 => Zeros::Same,
        3 => Zeros::Around([1; 2], [1; 2]),
        _ => Zeros::Around(before, after),
    }
}

fn pool(random: &mut Random) -> StepKind {
    let kind = one_of(random, &[Pooling::Max, Pooling::Average]);
    let (size, stride) = one_of(random, &[(2, 2), (2, 2), (3, 3), (2, 1), (3, 2), (4, 4)]);
    let padded = random.below(6) == 0;
    let mut zeros = || [0, 0].map(|_: usize| usize::from(padded) * random.below(2) as usize);
    StepKind::Pool {
        kind,
        size,
        stride,
        before: zeros(),
        after: zeros(),
    }
}

/// How to export.
#[allow(clippy::needless_update)]
fn options(random: &mut Random, chain: bool) -> Options {
    let weights = match random.below(if chain { 10 } else { 9 }) {
        0 => WeightType::Ternary,
        9 => WeightType::F32,
        1..4 => WeightType::Int(8),
        _ => WeightType::Int(2 + random.below(7) as u8),
    };
    let encodings = [
        Encoding::Dense,
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Rice,
    ];
    let encoding = match random.below(2) {
        _ if weights == WeightType::F32 => EncodingChoice::Auto,
        0 => EncodingChoice::Auto,
        _ => EncodingChoice::Only(one_of(random, &encodings)),
    };
    Options {
        weights,
        goal: one_of(random, &[Goal::Size, Goal::Speed, Goal::Balanced]),
        core: one_of(random, &[Core::M4, Core::M3, Core::M0]),
        encoding,
        // What is lost is judged by the oracle.
        allow_loss: true,
    }
}
