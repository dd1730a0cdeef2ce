//! Draws small random networks, masks and scores.

use rarefy_trainer::graph::window::{Padding, Window};
use rarefy_trainer::graph::{Graph, Operation, Pooling, architecture};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::{Compression, Masks, Ordering};
use rarefy_trainer::random::Random;

use crate::oracle::{Family, PerLayer, Sharing};

/// Returns the compression ratio `ratio`.
pub(crate) fn to(ratio: f64) -> Compression {
    Compression::new(ratio).unwrap()
}

/// Draws a network of a few hundred weights at most, on an input of at most `side` x `side`. One
/// in three consists of 2 to 5 dense layers of at most `most` units.
pub(crate) fn graph(random: &mut Random, most: u64, side: u64) -> Graph {
    if random.below(3) == 0 {
        return dense(random, most);
    }
    let mut below = |bound: u64| 1 + random.below(bound) as usize;
    let input = [below(3), below(side), below(side)];
    let mut builder = Builder {
        graph: Graph::new("sample", input),
        random,
    };
    for _ in 0..builder.up_to(3) {
        match builder.up_to(4) {
            1 => builder.block(),
            2 => builder.pool(),
            _ => builder.conv(),
        }
    }
    builder.push(Operation::Flatten);
    for _ in 0..builder.up_to(3) {
        let units = builder.up_to(5);
        builder.push(Operation::Dense { units, bias: true });
    }
    builder.graph
}

/// Draws a network of dense layers of at most `most` units.
fn dense(random: &mut Random, most: u64) -> Graph {
    let layers = 2 + random.below(4);
    // Narrow networks have bottlenecks and ties, so the limit varies too.
    let most = 1 + random.below(most);
    let mut width = || 1 + random.below(most) as usize;
    let input = [1, 1, width()];
    let units: Vec<usize> = (0..layers).map(|_| width()).collect();
    architecture::multilayer("sample", input, &units).unwrap()
}

/// A graph to which random operations are appended.
struct Builder<'a> {
    graph: Graph,
    random: &'a mut Random,
}

impl Builder<'_> {
    /// Draws a number from 1 to `most`.
    fn up_to(&mut self, most: u64) -> usize {
        1 + self.random.below(most) as usize
    }

    /// Returns the index of the last node.
    fn last(&self) -> usize {
        self.graph.nodes().len() - 1
    }

    /// Appends an operation on the last node.
    fn push(&mut self, operation: Operation) {
        self.push_from(operation, &[self.last()]);
    }

    /// Appends an operation on the given nodes.
    fn push_from(&mut self, operation: Operation, sources: &[usize]) {
        let name = format!("layer{}", self.graph.nodes().len());
        self.graph.push_from(&name, operation, sources).unwrap();
    }

    /// Draws a window that fits the feature map of `node`; about half are square.
    fn window(&mut self, node: usize, paddings: &[Padding]) -> Window {
        loop {
            let (mut size, mut stride) = ([self.up_to(4); 2], [self.up_to(3); 2]);
            if self.random.below(2) == 0 {
                (size[1], stride[1]) = (self.up_to(4), self.up_to(3));
            }
            let padding = paddings[self.random.below(paddings.len() as u64) as usize];
            let shape = &self.graph.nodes()[node].shape;
            let input = [shape[1], shape[2]];
            if let Some(window) = Window::rectangular(size, stride, padding, input) {
                return window;
            }
        }
    }

    /// Appends a convolution, sometimes depthwise or in two groups. Its padding may be asymmetric,
    /// and some positions may read only padding.
    fn conv(&mut self) {
        let paddings = [
            Padding::Valid,
            Padding::Same,
            Padding::Each(1),
            Padding::Each(2),
        ];
        let window = self.window(self.last(), &paddings);
        let inputs = self.graph.nodes()[self.last()].shape[0];
        let (groups, channels) = match self.random.below(3) {
            0 if inputs > 2 => (inputs, inputs),
            0 => (inputs, inputs * self.up_to(2)),
            _ => {
                let groups = if inputs.is_multiple_of(2) {
                    self.up_to(2)
                } else {
                    1
                };
                (groups, groups * self.up_to(3))
            }
        };
        self.push(Operation::Conv {
            channels,
            window,
            groups,
            bias: true,
        });
        self.push(Operation::BatchNorm);
        self.push(Operation::Relu);
    }

    /// Appends a pooling layer. Its windows may overlap or leave the edges uncovered.
    fn pool(&mut self) {
        let window = self.window(self.last(), &[Padding::Valid]);
        let kind = if self.random.below(2) == 0 {
            Pooling::Max
        } else {
            Pooling::Average
        };
        self.push(Operation::Pool { kind, window });
    }

    /// Appends a residual block. Its shortcut is a convolution if the shape changes, and sometimes
    /// if it does not.
    fn block(&mut self) {
        let source = self.last();
        let shape = self.graph.nodes()[source].shape.clone();
        let (channels, stride) = match self.random.below(2) {
            0 => (shape[0], 1),
            _ => (self.up_to(4), self.up_to(2)),
        };
        let conv = |builder: &mut Self, source: usize, size, stride, padding| {
            let shape = &builder.graph.nodes()[source].shape;
            let window = Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap();
            let conv = Operation::Conv {
                channels,
                window,
                groups: 1,
                bias: false,
            };
            builder.push_from(conv, &[source]);
            builder.last()
        };
        let main = conv(self, source, 3, stride, Padding::Same);
        let main = conv(self, main, 3, 1, Padding::Same);
        let same = stride == 1 && channels == shape[0];
        let shortcut = if same && self.random.below(3) > 0 {
            source
        } else {
            conv(self, source, 1, stride, Padding::Valid)
        };
        self.push_from(Operation::Add, &[main, shortcut]);
        self.push(Operation::Relu);
    }
}

/// Draws scores for `graph`: either distinct, or of few values with many ties.
pub(crate) fn scores(random: &mut Random, graph: &Graph) -> PerLayer<f64> {
    let levels = [0, 3, 20][random.below(3) as usize];
    let mut draw = || match levels {
        0 => random.unit(),
        _ => random.below(levels) as f64,
    };
    let tensors = graph.prunable();
    let drawn = tensors
        .iter()
        .map(|t| (0..t.len()).map(|_| draw()).collect());
    drawn.collect()
}

/// Draws a mask of `graph` and a larger one that contains it.
pub(crate) fn nested(random: &mut Random, graph: &Graph) -> (PerLayer<bool>, PerLayer<bool>) {
    // At densities of about one half, networks are connected and have inactive weights.
    let (density, more) = (random.unit().sqrt(), random.unit() * 0.3);
    let small: PerLayer<bool> = graph
        .prunable()
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.unit() < density).collect())
        .collect();
    let mut with_more = |layer: &Vec<bool>| -> Vec<bool> {
        let larger = layer.iter().map(|&keep| keep || random.unit() < more);
        larger.collect()
    };
    let large = small.iter().map(&mut with_more).collect();
    (small, large)
}

/// Each of the oracle's sharings with the trainer's quota; a global order has none.
pub(crate) const SHARINGS: [(Sharing, Option<Quota>); 5] = [
    (Sharing::Global, None),
    (Sharing::Uniform, Some(Quota::Uniform)),
    (Sharing::UniformPlus, Some(Quota::UniformPlus)),
    (Sharing::Erk, Some(Quota::Erk)),
    (Sharing::Igq, Some(Quota::Igq)),
];

/// A pruner on a network: the trainer's ordering and the oracle's family for the same scores.
pub(crate) struct Sample {
    pub(crate) sharing: Sharing,
    pub(crate) graph: Graph,
    pub(crate) scores: PerLayer<f64>,
    pub(crate) ordering: Ordering,
    pub(crate) family: Family,
}

impl Sample {
    /// Iterates over the samples of `networks` random networks, one for each sharing that is valid
    /// at some budget. Uniform+ is included for networks of at least three tensors that begin with
    /// a convolution.
    pub(crate) fn all(networks: u64, most: u64) -> impl Iterator<Item = Self> {
        (0..networks).flat_map(move |seed| {
            let mut random = Random::stream(seed, "pruning sample");
            let graph = graph(&mut random, most, 6);
            let scores = scores(&mut random, &graph);
            SHARINGS
                .into_iter()
                .filter_map(move |(sharing, quota)| Self::of(&graph, &scores, sharing, quota))
        })
    }

    /// Returns the sample of a sharing, if it is valid at some budget.
    fn of(
        graph: &Graph,
        scores: &PerLayer<f64>,
        sharing: Sharing,
        quota: Option<Quota>,
    ) -> Option<Self> {
        let tensors = graph.prunable();
        if sharing == Sharing::UniformPlus && (tensors.len() < 3 || tensors[0].shape.len() < 3) {
            return None;
        }
        let family = Family::new(graph, sharing, scores);
        family.valid()?;
        let ordering = match quota {
            None => Ordering::global(&tensors, scores.clone()),
            Some(quota) => {
                Ordering::by_quota(&tensors, scores.clone(), quota, Rounding::HalfToEven)
            }
        };
        Some(Self {
            sharing,
            graph: graph.clone(),
            scores: scores.clone(),
            ordering: ordering.unwrap(),
            family,
        })
    }

    /// Describes the sample for failure messages.
    pub(crate) fn label(&self) -> String {
        format!("{:?} on {}", self.sharing, describe(&self.graph))
    }
}

/// Describes a network in one line.
pub(crate) fn describe(graph: &Graph) -> String {
    let nodes = graph.nodes().iter();
    let nodes = nodes.filter(|n| !matches!(n.operation, Operation::Relu | Operation::BatchNorm));
    let nodes: Vec<String> = nodes
        .map(|n| format!("{:?} of {:?}, shape {:?}", n.operation, n.sources, n.shape))
        .collect();
    nodes.join("; ")
}

/// Returns `masks` as one list of bits per tensor.
pub(crate) fn bits(masks: &Masks) -> PerLayer<bool> {
    masks.iter().map(|mask| mask.keep.clone()).collect()
}

/// Returns `bits` as masks of `graph`.
pub(crate) fn masks(graph: &Graph, bits: &[Vec<bool>]) -> Masks {
    Masks::from_fn(&graph.prunable(), |tensor, element| bits[tensor][element])
}
