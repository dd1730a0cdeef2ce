//! Conversion of the collection's layouts and networks to ours.
//!
//! In the collection, convolution kernels are (height, width, in, out), dense kernels (in, out),
//! and feature maps are flattened channels-last. Ours are (out, in, height, width), (out, in), and
//! channels-first.

use rarefy_trainer::graph::{Graph, Operation, Padding, Pooling, Window, architecture};
use rarefy_trainer::random::Random;

use crate::oracle::PerLayer;

/// The prunable tensors of a network in both layouts.
pub(super) struct Layout {
    tensors: Vec<Tensor>,
}

/// A tensor: its shape in our layout, and the shape of the flattened feature map that it reads, if
/// any.
struct Tensor {
    shape: Vec<usize>,
    flattened: Option<[usize; 3]>,
}

impl Tensor {
    /// Returns the index in the collection's layout of our element `at`.
    fn their_index(&self, at: usize) -> usize {
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

    /// Returns the number of elements.
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Layout {
    /// Returns the layout of the prunable tensors of `graph`.
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

    /// Returns the shapes in the collection's layout.
    pub(super) fn shapes(&self) -> Vec<Vec<usize>> {
        let theirs = |tensor: &Tensor| {
            let [outputs, inputs, taps @ ..] = tensor.shape.as_slice() else {
                unreachable!("a kernel has at least two dimensions")
            };
            [taps, &[*inputs, *outputs]].concat()
        };
        self.tensors.iter().map(theirs).collect()
    }

    /// Converts tensors from the collection's layout to ours.
    pub(super) fn ours<T: Copy>(&self, theirs: &[Vec<T>]) -> PerLayer<T> {
        assert_eq!(theirs.len(), self.tensors.len());
        let ours = |(tensor, theirs): (&Tensor, &Vec<T>)| {
            assert_eq!(theirs.len(), tensor.len());
            (0..tensor.len())
                .map(|at| theirs[tensor.their_index(at)])
                .collect()
        };
        self.tensors.iter().zip(theirs).map(ours).collect()
    }

    /// Converts masks or scores from our layout to the collection's.
    pub(super) fn theirs<T: Copy + Default>(&self, ours: &[Vec<T>]) -> PerLayer<T> {
        let theirs = |(tensor, ours): (&Tensor, &Vec<T>)| {
            let mut theirs = vec![T::default(); ours.len()];
            for (at, &value) in ours.iter().enumerate() {
                theirs[tensor.their_index(at)] = value;
            }
            theirs
        };
        self.tensors.iter().zip(ours).map(theirs).collect()
    }

    /// Draws a mask from `seed`, in our layout: an element is kept if its draw, shifted right by
    /// 40, is below the threshold of its layer.
    pub(super) fn drawn_mask(&self, seed: u64, thresholds: &[u64]) -> PerLayer<bool> {
        let mut random = Random::new(seed);
        let layer = |(tensor, &threshold): (&Tensor, &u64)| {
            let draws = (0..tensor.len()).map(|_| random.next_u64() >> 40 < threshold);
            draws.collect()
        };
        let theirs: PerLayer<bool> = self.tensors.iter().zip(thresholds).map(layer).collect();
        self.ours(&theirs)
    }

    /// Draws weights from `seed`, in our layout.
    pub(super) fn drawn_weights(&self, seed: u64) -> PerLayer<f64> {
        self.ours(&weights(&self.shapes(), seed))
    }
}

/// Draws weights of the given `shapes` from `seed`, in the collection's layout, uniform within
/// ±sqrt(6 / (field (in + out))), where the field is height times width.
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

/// Returns the architecture that the collection calls `name`.
pub(super) fn network(name: &str) -> Graph {
    let ours = match name {
        "lenet300100" => "lenet-300-100",
        "lenet5" => "lenet-5",
        "vgg16" => "vgg-16",
        "vgg19" => "vgg-19",
        "resnet18" => "resnet-18",
        other => panic!("{other} is not an architecture of the collection"),
    };
    architecture::by_name(ours).unwrap()
}

/// Builds the network that the collection describes by its `input` (height, width, channels) and a
/// list of operations: `["conv", size, stride, padding, channels]`, `["pool", size]`,
/// `["flatten"]`, `["dense", units]`, `["block", channels, stride]`.
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
                    other => panic!("{other} is not a padding of the collection"),
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
            other => panic!("{other} is not an operation of the collection"),
        }
    }
    graph
}

/// Appends `operation`; returns its node.
fn push(graph: &mut Graph, operation: Operation, sources: &[usize]) -> usize {
    let name = format!("layer{}", graph.nodes().len());
    graph.push_from(&name, operation, sources).unwrap()
}

/// Returns a window on the feature map of `source`.
fn window(graph: &Graph, source: usize, size: usize, stride: usize, padding: Padding) -> Window {
    let shape = &graph.nodes()[source].shape;
    Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap()
}

/// Appends a convolution; returns its node.
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
        groups: 1,
        bias: false,
    };
    push(graph, conv, &[source])
}

#[test]
fn converts_layouts_in_both_directions() {
    // A 1 x 1 convolution from 3 to 2 channels of 1 x 2, and a dense layer that reads its output.
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
