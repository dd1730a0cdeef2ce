//! The plan of a random network. Every part of a plan is itself a valid plan.
//!
//! A step refers to its source by a distance, and a step that does not fit its source is omitted
//! when the graph is built. So steps can be removed at will, as shrinking needs.

use rarefy_format::Encoding;
use rarefy_trainer::deploy::choose::{EncodingChoice, Goal};
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::deploy::export::Options;
use rarefy_trainer::deploy::quantize::WeightType;
use rarefy_trainer::graph::Pooling;
use rarefy_trainer::random::Random;

/// A random network and the options of its pruning and export.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// (channels, height, width) of the input.
    pub(crate) input: [usize; 3],
    /// The steps from the input to the last hidden layer.
    pub(crate) steps: Vec<Step>,
    /// The number of outputs of the last layer.
    pub(crate) classes: usize,
    /// Whether a batch norm follows the last layer.
    pub(crate) norm: bool,
    /// The mean and standard deviation with which pixels are normalised.
    pub(crate) pixels: (f32, f32),
    /// The density of the direct mask.
    pub(crate) density: f64,
    /// The kind of mask.
    pub(crate) mask: MaskKind,
    /// Whether some units and layers are dead, nearly dead, or constant.
    pub(crate) odd_units: bool,
    /// The seed of weights, masks and images.
    pub(crate) seed: u64,
    /// The options of each export.
    pub(crate) exports: Vec<Options>,
}

/// The kind of a network's mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskKind {
    /// All weights are kept.
    Dense,
    /// The direct mask as drawn, with detached weights.
    Direct,
    /// The effective part of the direct mask, by positions.
    Exact,
    /// The effective part of the direct mask, by channels.
    Graph,
}

/// A step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The distance to its source in steps; 0 is the previous step.
    pub(crate) back: usize,
    /// The operation.
    pub(crate) kind: StepKind,
}

/// The operations that follow a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Whether the layer has a bias.
    pub(crate) bias: bool,
    /// Whether a batch norm follows.
    pub(crate) norm: bool,
    /// Whether a ReLU follows.
    pub(crate) relu: bool,
}

/// The operation of a step.
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
    /// Pooling over a map padded by `before` and `after`.
    Pool {
        kind: Pooling,
        size: usize,
        stride: usize,
        before: [usize; 2],
        after: [usize; 2],
    },
    /// A dense layer, after flattening.
    Dense { units: usize, tail: Tail },
    /// The sum of two steps of equal shape; `other` selects the second one.
    Add { other: usize, relu: bool },
    /// A residual block of `depth` convolutions.
    Block {
        channels: usize,
        stride: usize,
        depth: usize,
        shortcut: Shortcut,
        tail: Tail,
    },
    /// A batch norm by itself.
    Norm,
    /// A ReLU by itself.
    Relu,
}

/// The padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// None.
    Valid,
    /// As many zeros as preserve the size; if their number is odd, the extra one follows the map.
    Same,
    /// The given zeros before and after the map, each as \[height, width\].
    Around([usize; 2], [usize; 2]),
}

/// The shortcut of a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// The identity if the shapes agree, else a convolution.
    Identity,
    /// The identity with a batch norm if the shapes agree, else a convolution.
    Normalised,
    /// A 1 x 1 convolution.
    Conv,
}

/// Draws an element of `list`.
fn one_of<T: Copy>(random: &mut Random, list: &[T]) -> T {
    list[random.below(list.len() as u64) as usize]
}

impl Plan {
    /// Draws the plan of case `case` of the run with `seed`.
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

/// Draws the input shape of a chain of dense layers.
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

/// Draws the input shape of a network over maps.
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

/// Draws the operations that follow a layer. A batch norm never does if `norms` is 0, always if it
/// is 1, and sometimes if it is 2.
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

/// Draws the options of an export.
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
        core: one_of(random, &[Core::M4, Core::M3, Core::M0, Core::Rv32]),
        encoding,
        // The oracle judges the loss of accuracy.
        allow_loss: true,
        ..Options::default()
    }
}
