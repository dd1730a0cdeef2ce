//! The collection's layouts and networks, as ours.
//!
//! Kernels there are (height, width, in, out), dense ones (in, out), and a map is flattened channel
//! last; here (out, in, height, width), (out, in), and channel first.

use rarefy_trainer::graph::{Graph, Operation, Padding, Pooling, Window, architecture};
use rarefy_trainer::random::Random;

use crate::oracle::PerLayer;

/// The prunable tensors of a network in both layouts.
pub(super) struct Layout {
    tensors: Vec<Tensor>,
}

/// One tensor: its shape here, and the map that it reads flattened, if any.
struct Tensor {
    shape: Vec<usize>,
    flattened: Option<[usize; 3]>,
}

impl Tensor {
    /// The place there of our element `at`.
    fn place(&self, at: usize) -> usize {
        let (outputs, inputs) = (self.shape[0], self.shape[1]);
        let area: usize = self.shape[2..].iter().product();
        let (tap, input, output) = (at % area, at / area % inputs, at / area / inputs);
        let input = match self.flattened {
            Some([channels, height, width]) => {
                let plane = height * width;
                input % plane * channels + input / plane
            }
            None => input,
        };
        (tap * inputs + input) * outputs + output
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Layout {
    pub(super) fn of(graph: &Graph) -> Self {
        let tensor = |tensor: rarefy_trainer::graph::Prunable| {
            let source = &graph.nodes()[graph.nodes()[tensor.node].source()];
            let before = &graph.nodes()[source.source()].shape;
            let flattened = match (source.operation, before.as_slice()) {
                (Operation::Flatten, &[channels, height, width]) => Some([channels, height, width]),
                _ => None,
            };
            Tensor {
                shape: tensor.shape,
                flattened,
            }
        };
        Self {
            tensors: graph.prunable().into_iter().map(tensor).collect(),
        }
    }

    /// The shapes of the collection.
    pub(super) fn shapes(&self) -> Vec<Vec<usize>> {
        let theirs = |tensor: &Tensor| {
            let [outputs, inputs, taps @ ..] = tensor.shape.as_slice() else {
                unreachable!("a kernel has two dimensions at least")
            };
            [taps, &[*inputs, *outputs]].concat()
        };
        self.tensors.iter().map(theirs).collect()
    }

    /// Their tensors in our layouts.
    pub(super) fn ours<T: Copy>(&self, theirs: &[Vec<T>]) -> PerLayer<T> {
        assert_eq!(theirs.len(), self.tensors.len());
        let ours = |(tensor, theirs): (&Tensor, &Vec<T>)| {
            assert_eq!(theirs.len(), tensor.len());
            (0..tensor.len())
                .map(|at| theirs[tensor.place(at)])
                .collect()
        };
        self.tensors.iter().zip(theirs).map(ours).collect()
    }

    /// Our masks or scores in their layouts.
    pub(super) fn theirs<T: Copy + Default>(&self, ours: &[Vec<T>]) -> PerLayer<T> {
        let theirs = |(tensor, ours): (&Tensor, &Vec<T>)| {
            let mut theirs = vec![T::default(); ours.len()];
            for (at, &value) in ours.iter().enumerate() {
                theirs[tensor.place(at)] = value;
            }
            theirs
        };
        self.tensors.iter().zip(ours).map(theirs).collect()
    }

    /// The mask drawn from `seed` in our layouts: an element is kept where its draw, shifted right
    /// by 40, is below its layer's threshold.
    pub(super) fn drawn_mask(&self, seed: u64, thresholds: &[u64]) -> PerLayer<bool> {
        let mut random = Random::new(seed);
        let layer = |(tensor, &threshold): (&Tensor, &u64)| {
            let draws = (0..tensor.len()).map(|_| random.next_u64() >> 40 < threshold);
            draws.collect()
        };
        let theirs: PerLayer<bool> = self.tensors.iter().zip(thresholds).map(layer).collect();
        self.ours(&theirs)
    }

    /// The weights drawn from `seed` in our layouts.
    pub(super) fn drawn_weights(&self, seed: u64) -> PerLayer<f64> {
        self.ours(&weights(&self.shapes(), seed))
    }
}

/// Weights of their `shapes` and layouts drawn from `seed`, uniform in
/// ±sqrt(6 / (field (in + out))).
pub(super) fn weights(shapes: &[Vec<usize>], seed: u64) -> PerLayer<f64> {
    let mut random = Random::new(seed);
    shapes
        .iter()
        .map(|shape| {
            let (field, ends) = shape.split_at(shape.len() - 2);
            let fan = field.iter().product::<usize>() * (ends[0] + ends[1]);
            let bound = (6.0 / fan as f64).sqrt();
            let size = shape.iter().product::<usize>();
            (0..size)
                .map(|_| (2.0 * random.unit() - 1.0) * bound)
                .collect()
        })
        .collect()
}

/// The architecture they call `name`.
pub(super) fn network(name: &str) -> Graph {
    let ours = match name {
        "lenet300100" => "lenet-300-100",
        "lenet5" => "lenet-5",
        "vgg16" => "vgg-16",
        "vgg19" => "vgg-19",
        "resnet18" => "resnet-18",
        other => panic!("{other} is no architecture of the collection"),
    };
    architecture::by_name(ours).unwrap()
}

/// The network that they describe by its `input` (height, width, channels) and a list of
/// operations: `["conv", size, stride, padding, channels]`, `["pool", size]`, `["flatten"]`,
/// `["dense", units]`, `["block", channels, stride]`.
pub(super) fn described(name: &str, input: [usize; 3], ops: &[Vec<serde_json::Value>]) -> Graph {
    let [height, width, channels] = input;
    let mut graph = Graph::new(name, [channels, height, width]);
    for op in ops {
        let number = |at: usize| op[at].as_u64().unwrap() as usize;
        let last = graph.nodes().len() - 1;
        match op[0].as_str().unwrap() {
            "conv" => {
                let padding = match op[3].as_str().unwrap() {
                    "same" => Padding::Same,
                    "valid" => Padding::Valid,
                    other => panic!("{other} is no padding of the collection"),
                };
                conv(&mut graph, last, number(4), number(1), number(2), padding);
            }
            "block" => {
                let (channels, stride) = (number(1), number(2));
                let main = conv(&mut graph, last, channels, 3, stride, Padding::Same);
                let main = conv(&mut graph, main, channels, 3, 1, Padding::Same);
                let shortcut = if stride == 1 && graph.nodes()[last].shape[0] == channels {
                    last
                } else {
                    conv(&mut graph, last, channels, 1, stride, Padding::Valid)
                };
                push(&mut graph, Operation::Add, &[main, shortcut]);
            }
            "pool" => {
                let size = number(1);
                let window = window(&graph, last, size, size, Padding::Valid);
                let kind = Pooling::Average;
                push(&mut graph, Operation::Pool { kind, window }, &[last]);
            }
            "flatten" => {
                push(&mut graph, Operation::Flatten, &[last]);
            }
            "dense" => {
                let (units, bias) = (number(1), true);
                push(&mut graph, Operation::Dense { units, bias }, &[last]);
            }
            other => panic!("{other} is no operation of the collection"),
        }
    }
    graph
}

fn push(graph: &mut Graph, operation: Operation, sources: &[usize]) -> usize {
    let name = format!("layer{}", graph.nodes().len());
    graph.push_from(&name, operation, sources).unwrap()
}

fn window(graph: &Graph, source: usize, size: usize, stride: usize, padding: Padding) -> Window {
    let shape = &graph.nodes()[source].shape;
    Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap()
}

fn conv(
    graph: &mut Graph,
    source: usize,
    channels: usize,
    size: usize,
    stride: usize,
    padding: Padding,
) -> usize {
    let conv = Operation::Conv {
        channels,
        window: window(graph, source, size, stride, padding),
        bias: false,
    };
    push(graph, conv, &[source])
}

#[test]
fn layouts_are_transposed_and_flattened_anew() {
    // A kernel of 1 x 2 channels and a dense layer that reads 2 channels of 1 x 2.
    let op = |values: &[serde_json::Value]| values.to_vec();
    let ops = [
        op(&["conv".into(), 1.into(), 1.into(), "same".into(), 2.into()]),
        op(&["flatten".into()]),
        op(&["dense".into(), 1.into()]),
    ];
    let graph = described("toy", [1, 2, 3], &ops);
    let layout = Layout::of(&graph);
    assert_eq!(layout.shapes(), [vec![1, 1, 3, 2], vec![4, 1]]);
    let theirs = [vec![0, 1, 2, 3, 4, 5], vec![0, 1, 2, 3]];
    let ours = layout.ours(&theirs);
    assert_eq!(ours, [vec![0, 2, 4, 1, 3, 5], vec![0, 2, 1, 3]]);
    assert_eq!(layout.theirs(&ours), theirs);
}
