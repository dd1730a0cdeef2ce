//! Random small networks, masks and scores.

use rarefy_trainer::graph::window::{Padding, Window};
use rarefy_trainer::graph::{Graph, Operation, Pooling, architecture};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::{Masks, Ordering};
use rarefy_trainer::random::Random;

use crate::oracle::{Family, PerLayer, Sharing};

/// A random network of at most some hundred weights on a map of at most `side` x `side`; one in
/// three is of 2 to 5 dense layers of at most `most` units alone.
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
    for _ in 0..builder.below(3) {
        match builder.below(4) {
            1 => builder.block(),
            2 => builder.pool(),
            _ => builder.conv(),
        }
    }
    builder.push(Operation::Flatten);
    for _ in 0..builder.below(3) {
        let units = builder.below(5);
        builder.push(Operation::Dense { units, bias: true });
    }
    builder.graph
}

/// Dense layers.
fn dense(random: &mut Random, most: u64) -> Graph {
    let layers = 2 + random.below(4);
    // Narrow networks are where bottlenecks and ties are: let the ceiling vary too.
    let most = 1 + random.below(most);
    let mut width = || 1 + random.below(most) as usize;
    let input = [1, 1, width()];
    let units: Vec<usize> = (0..layers).map(|_| width()).collect();
    architecture::multilayer("sample", input, &units).unwrap()
}

/// Appends operations, drawing their numbers.
struct Builder<'a> {
    graph: Graph,
    random: &'a mut Random,
}

impl Builder<'_> {
    /// 1 to `most`.
    fn below(&mut self, most: u64) -> usize {
        1 + self.random.below(most) as usize
    }

    fn last(&self) -> usize {
        self.graph.nodes().len() - 1
    }

    fn push(&mut self, operation: Operation) {
        self.push_from(operation, &[self.last()]);
    }

    fn push_from(&mut self, operation: Operation, sources: &[usize]) {
        let name = format!("layer{}", self.graph.nodes().len());
        self.graph.push_from(&name, operation, sources).unwrap();
    }

    /// A window that fits the map that `node` gives.
    fn window(&mut self, node: usize, paddings: &[Padding]) -> Window {
        loop {
            let (size, stride) = (self.below(4), self.below(3));
            let padding = paddings[self.random.below(paddings.len() as u64) as usize];
            let shape = &self.graph.nodes()[node].shape;
            if let Some(window) = Window::new(size, stride, padding, [shape[1], shape[2]]) {
                return window;
            }
        }
    }

    /// With zeros that may be more on one side, and positions that see nothing else.
    fn conv(&mut self) {
        let paddings = [
            Padding::Valid,
            Padding::Same,
            Padding::Each(1),
            Padding::Each(2),
        ];
        let window = self.window(self.last(), &paddings);
        let channels = self.below(4);
        self.push(Operation::Conv {
            channels,
            window,
            bias: true,
        });
        self.push(Operation::BatchNorm);
        self.push(Operation::Relu);
    }

    /// Windows may overlap and may leave the edge unread.
    fn pool(&mut self) {
        let window = self.window(self.last(), &[Padding::Valid]);
        let kind = if self.random.below(2) == 0 {
            Pooling::Max
        } else {
            Pooling::Average
        };
        self.push(Operation::Pool { kind, window });
    }

    /// A residual block; its shortcut is a convolution where the shape changes, and sometimes
    /// where it does not.
    fn block(&mut self) {
        let source = self.last();
        let shape = self.graph.nodes()[source].shape.clone();
        let (channels, stride) = match self.random.below(2) {
            0 => (shape[0], 1),
            _ => (self.below(4), self.below(2)),
        };
        let conv = |builder: &mut Self, source: usize, size, stride, padding| {
            let shape = &builder.graph.nodes()[source].shape;
            let window = Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap();
            let conv = Operation::Conv {
                channels,
                window,
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

/// Scores for `graph`: all different, or of few values so that many tie.
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

/// A random mask of `graph` and one that holds it.
pub(crate) fn nested(random: &mut Random, graph: &Graph) -> (PerLayer<bool>, PerLayer<bool>) {
    // Around half, networks are connected and have dead weights.
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

/// Every way to share, as the trainer calls it; global has no quota.
pub(crate) const SHARINGS: [(Sharing, Option<Quota>); 5] = [
    (Sharing::Global, None),
    (Sharing::Uniform, Some(Quota::Uniform)),
    (Sharing::UniformPlus, Some(Quota::UniformPlus)),
    (Sharing::Erk, Some(Quota::Erk)),
    (Sharing::Igq, Some(Quota::Igq)),
];

/// One pruner on one network: the trainer's ordering and the oracle's family of the same scores.
pub(crate) struct Sample {
    pub(crate) sharing: Sharing,
    pub(crate) graph: Graph,
    pub(crate) scores: PerLayer<f64>,
    pub(crate) ordering: Ordering,
    pub(crate) family: Family,
}

impl Sample {
    /// Every way to share on `networks` networks, where it allows any budget at all; uniform+ is
    /// drawn for three tensors or more, the first of them a convolution's.
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

    /// What to say when this sample fails.
    pub(crate) fn label(&self) -> String {
        format!("{:?} on {}", self.sharing, describe(&self.graph))
    }
}

/// A network in one line.
pub(crate) fn describe(graph: &Graph) -> String {
    let nodes = graph.nodes().iter();
    let nodes = nodes.filter(|n| !matches!(n.operation, Operation::Relu | Operation::BatchNorm));
    let nodes: Vec<String> = nodes
        .map(|n| format!("{:?} of {:?} giving {:?}", n.operation, n.sources, n.shape))
        .collect();
    nodes.join("; ")
}

/// The bits of `masks`.
pub(crate) fn bits(masks: &Masks) -> PerLayer<bool> {
    masks.iter().map(|mask| mask.keep.clone()).collect()
}

/// `bits` as masks of `graph`.
pub(crate) fn masks(graph: &Graph, bits: &[Vec<bool>]) -> Masks {
    Masks::from_fn(&graph.prunable(), |tensor, element| bits[tensor][element])
}
