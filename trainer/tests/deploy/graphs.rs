//! Builds small graphs of the kinds that are deployed.

use std::path::Path;

use rarefy_trainer::graph::{self, Graph, Operation, Padding, Pooling, Window, architecture};

/// A graph under construction, whose nodes are named by number.
pub(crate) struct Builder(pub(crate) Graph);

impl Builder {
    pub(crate) fn new(name: &str, input: [usize; 3]) -> Self {
        Self(Graph::new(name, input))
    }

    pub(crate) fn last(&self) -> usize {
        self.0.nodes().len() - 1
    }

    pub(crate) fn push(&mut self, operation: Operation, sources: &[usize]) -> usize {
        let name = format!("node{}", self.0.nodes().len());
        self.0.push_from(&name, operation, sources).unwrap()
    }

    pub(crate) fn window(
        &self,
        source: usize,
        numbers: (usize, usize),
        padding: Padding,
    ) -> Window {
        let shape = &self.0.nodes()[source].shape;
        Window::new(numbers.0, numbers.1, padding, [shape[1], shape[2]]).unwrap()
    }

    /// Appends a convolution and returns its node. Convolutions with an even number of channels
    /// have a bias.
    pub(crate) fn conv(
        &mut self,
        source: usize,
        (channels, size, stride): (usize, usize, usize),
        padding: Padding,
    ) -> usize {
        let window = self.window(source, (size, stride), padding);
        self.conv_by(source, (channels, 1), window)
    }

    /// Appends a convolution by `window` with (channels, groups), and returns its node.
    pub(crate) fn conv_by(
        &mut self,
        source: usize,
        (channels, groups): (usize, usize),
        window: Window,
    ) -> usize {
        let bias = channels.is_multiple_of(2);
        let operation = Operation::Conv {
            channels,
            window,
            groups,
            bias,
        };
        self.push(operation, &[source])
    }

    pub(crate) fn norm(&mut self, source: usize) -> usize {
        self.push(Operation::BatchNorm, &[source])
    }

    pub(crate) fn relu(&mut self, source: usize) -> usize {
        self.push(Operation::Relu, &[source])
    }

    pub(crate) fn add(&mut self, a: usize, b: usize) -> usize {
        self.push(Operation::Add, &[a, b])
    }

    /// Appends unpadded pooling and returns its node.
    pub(crate) fn pool(&mut self, source: usize, kind: Pooling, numbers: (usize, usize)) -> usize {
        let window = self.window(source, numbers, Padding::Valid);
        self.push(Operation::Pool { kind, window }, &[source])
    }

    pub(crate) fn dense(&mut self, mut source: usize, units: usize) -> usize {
        if self.0.nodes()[source].shape.len() > 1 {
            source = self.push(Operation::Flatten, &[source]);
        }
        let bias = units.is_multiple_of(2);
        self.push(Operation::Dense { units, bias }, &[source])
    }
}

/// Returns a small LeNet-300-100.
pub(crate) fn lenet_300_100() -> Graph {
    architecture::multilayer("lenet-300-100", [1, 14, 14], &[60, 20, 10]).unwrap()
}

/// Returns LeNet-5-Caffe with fewer channels.
pub(crate) fn lenet_5_caffe() -> Graph {
    let mut builder = Builder::new("lenet-5-caffe", [1, 28, 28]);
    let mut last = 0;
    for channels in [6, 9] {
        last = builder.conv(last, (channels, 5, 1), Padding::Valid);
        last = builder.norm(last);
        last = builder.relu(last);
        last = builder.pool(last, Pooling::Max, (2, 2));
    }
    let hidden = builder.dense(last, 30);
    let hidden = builder.norm(hidden);
    let hidden = builder.relu(hidden);
    let scores = builder.dense(hidden, 10);
    builder.norm(scores);
    builder.0
}

/// Returns two stages of VGG.
pub(crate) fn vgg() -> Graph {
    let mut builder = Builder::new("vgg", [3, 12, 12]);
    let mut last = 0;
    for channels in [6, 8] {
        for _ in 0..2 {
            last = builder.conv(last, (channels, 3, 1), Padding::Same);
            last = builder.norm(last);
            last = builder.relu(last);
        }
        last = builder.pool(last, Pooling::Max, (2, 2));
    }
    let scores = builder.dense(last, 5);
    builder.norm(scores);
    builder.0
}

/// Returns a ResNet with a block of each kind: with a normalised identity, and with a strided 1 x
/// 1 convolution.
pub(crate) fn resnet() -> Graph {
    let mut builder = Builder::new("resnet", [3, 16, 16]);
    let mut last = builder.conv(0, (6, 3, 1), Padding::Same);
    last = builder.norm(last);
    last = builder.relu(last);
    for (channels, stride) in [(6, 1), (9, 2), (9, 1)] {
        let input = last;
        let main = builder.conv(input, (channels, 3, stride), Padding::Same);
        let main = builder.norm(main);
        let main = builder.relu(main);
        let main = builder.conv(main, (channels, 3, 1), Padding::Same);
        let main = builder.norm(main);
        let shortcut = if stride == 1 {
            input
        } else {
            builder.conv(input, (channels, 1, stride), Padding::Valid)
        };
        let shortcut = builder.norm(shortcut);
        last = builder.add(main, shortcut);
        last = builder.relu(last);
    }
    last = builder.pool(last, Pooling::Average, (8, 8));
    let scores = builder.dense(last, 7);
    builder.norm(scores);
    builder.0
}

/// Returns a narrow DS-CNN with this `padding` and number of `blocks`: a convolution with a
/// rectangular kernel, blocks of a depthwise and a pointwise convolution, and the mean over the
/// whole map.
pub(crate) fn ds_cnn(padding: Padding, blocks: usize) -> Graph {
    let mut builder = Builder::new("ds-cnn", [1, 20, 10]);
    let window = Window::rectangular([10, 4], [2, 2], padding, [20, 10]);
    let mut last = builder.conv_by(0, (6, 1), window.unwrap());
    last = builder.norm(last);
    last = builder.relu(last);
    for _ in 0..blocks {
        let window = builder.window(last, (3, 1), padding);
        last = builder.conv_by(last, (6, 6), window);
        last = builder.norm(last);
        last = builder.relu(last);
        last = builder.conv(last, (6, 1, 1), Padding::Valid);
        last = builder.norm(last);
        last = builder.relu(last);
    }
    let shape = &builder.0.nodes()[last].shape;
    let map = [shape[1], shape[2]];
    let window = Window::rectangular(map, map, Padding::Valid, map).unwrap();
    let kind = Pooling::Average;
    last = builder.push(Operation::Pool { kind, window }, &[last]);
    let scores = builder.dense(last, 5);
    builder.norm(scores);
    builder.0
}

/// Returns the architecture in the repository's file `name`.
pub(crate) fn file(name: &str) -> Graph {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures");
    graph::load(folder.join(name).to_str().unwrap()).unwrap()
}
