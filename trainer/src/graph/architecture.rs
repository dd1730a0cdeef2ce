//! The built-in architectures, as the paper's code defines them (paper, section 5).
//!
//! LeNet-300-100 and the variants of LeNet-5 follow LeCun et al. 1998 (the Caffe variant follows
//! Caffe's `lenet` example), VGG follows Simonyan & Zisserman 2015 on 32 x 32 images, and
//! ResNet-18 follows He et al. 2016 on 64 x 64 images. Every convolution and dense layer is
//! followed by batch normalisation, including the one before the softmax. Tensors are called
//! `conv1.weight`, `shortcut1.weight` and `fc1.weight`, numbered from the input.

use super::topology::{Graph, GraphError, Operation, Pooling};
use super::window::{Padding, Window};
use crate::names;

/// The names that [`by_name`] accepts.
pub const NAMES: &[&str] = &[
    "lenet-300-100",
    "lenet-5",
    "lenet-5-28",
    "lenet-5-caffe",
    "vgg-16",
    "vgg-19",
    "resnet-18",
];

/// Error for an unknown architecture.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", names::unknown("architecture", .name, NAMES.iter().copied(), "`rarefy arch` lists all"))]
pub struct UnknownArchitecture {
    /// The name that was given.
    pub name: String,
}

/// Returns the architecture called `name`.
///
/// # Errors
/// Returns an error if there is none; its message suggests a similar name.
pub fn by_name(name: &str) -> Result<Graph, UnknownArchitecture> {
    let graph = match name {
        "lenet-300-100" => multilayer(name, [1, 28, 28], &[300, 100, 10]),
        "lenet-5" => lenet_5(name, [3, 32, 32]),
        "lenet-5-28" => lenet_5(name, [1, 28, 28]),
        "lenet-5-caffe" => lenet_5_caffe(name),
        "vgg-16" => vgg(name, &[2, 2, 3, 3, 3], 10),
        "vgg-19" => vgg(name, &[2, 2, 4, 4, 4], 100),
        "resnet-18" => resnet_18(name),
        _ => return Err(UnknownArchitecture { name: name.into() }),
    };
    Ok(graph.expect("the built-in architectures are valid"))
}

/// Builds a multilayer perceptron: dense layers `fc1`, `fc2`, … with the given `units`.
///
/// Each layer is followed by batch normalisation (the last one too, as in the paper) and, except
/// for the last one, ReLU.
///
/// # Errors
/// Returns an error if a layer has no units.
pub fn multilayer(name: &str, input: [usize; 3], units: &[usize]) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, input);
    builder.classify(units)?;
    Ok(builder.graph)
}

/// Builds LeNet-5: two valid 5 x 5 convolutions, each with average pooling, and three dense
/// layers.
fn lenet_5(name: &str, input: [usize; 3]) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, input);
    for channels in [6, 16] {
        builder.conv(channels, 5, 1, Padding::Valid)?;
        builder.relu()?;
        builder.pool(Pooling::Average, 2)?;
    }
    builder.classify(&[120, 84, 10])?;
    Ok(builder.graph)
}

/// Builds Caffe's wider LeNet for MNIST: 20 and 50 channels with max pooling, and 500 hidden
/// units.
fn lenet_5_caffe(name: &str) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, [1, 28, 28]);
    for channels in [20, 50] {
        builder.conv(channels, 5, 1, Padding::Valid)?;
        builder.relu()?;
        builder.pool(Pooling::Max, 2)?;
    }
    builder.classify(&[500, 10])?;
    Ok(builder.graph)
}

/// Builds VGG: five stages with 64, 128, 256, 512 and 512 channels, then one dense layer. Each
/// stage has the number of 3 x 3 convolutions given in `stages` and ends with max pooling.
fn vgg(name: &str, stages: &[usize; 5], classes: usize) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, [3, 32, 32]);
    for (&convolutions, channels) in stages.iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..convolutions {
            builder.conv(channels, 3, 1, Padding::Same)?;
            builder.relu()?;
        }
        builder.pool(Pooling::Max, 2)?;
    }
    builder.classify(&[classes])?;
    Ok(builder.graph)
}

/// Builds ResNet-18: eight basic blocks without biases. Shortcuts, including identities, are
/// batch-normalised, as in the paper's code.
fn resnet_18(name: &str) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, [3, 64, 64]);
    builder.bias = false;
    builder.conv(64, 3, 1, Padding::Same)?;
    builder.relu()?;
    let mut before = 64;
    for (channels, stride) in [
        (64, 1),
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
    ] {
        let input = builder.last();
        builder.conv(channels, 3, stride, Padding::Same)?;
        builder.relu()?;
        let main = builder.conv(channels, 3, 1, Padding::Same)?;
        let shortcut = if stride == 1 && channels == before {
            input
        } else {
            builder.shortcut(input, channels, stride)?
        };
        let shortcut = builder.norm(shortcut)?;
        builder.add(main, shortcut)?;
        builder.relu()?;
        before = channels;
    }
    builder.pool(Pooling::Average, 8)?;
    builder.classify(&[200])?;
    Ok(builder.graph)
}

/// A graph under construction, with counters for the names of its layers.
struct Builder {
    graph: Graph,
    /// Whether layers have biases.
    bias: bool,
    convolutions: usize,
    shortcuts: usize,
    norms: usize,
    relus: usize,
    pools: usize,
    additions: usize,
}

/// Returns the next name of a kind: `conv1`, `conv2`, …
fn next(kind: &str, count: &mut usize) -> String {
    *count += 1;
    format!("{kind}{count}")
}

impl Builder {
    /// Creates a builder for a graph with an input of shape (channels, height, width).
    fn new(name: &str, input: [usize; 3]) -> Self {
        Self {
            graph: Graph::new(name, input),
            bias: true,
            convolutions: 0,
            shortcuts: 0,
            norms: 0,
            relus: 0,
            pools: 0,
            additions: 0,
        }
    }

    /// Returns the index of the last node.
    fn last(&self) -> usize {
        self.graph.nodes().len() - 1
    }

    /// Returns the window of `size` over the output of `node`.
    fn window(&self, node: usize, size: usize, stride: usize, padding: Padding) -> Window {
        let shape = &self.graph.nodes()[node].shape;
        let input = [shape[1], shape[2]];
        Window::new(size, stride, padding, input).expect("windows of built-in architectures fit")
    }

    /// Appends a convolution and its batch norm.
    fn conv(
        &mut self,
        channels: usize,
        size: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<usize, GraphError> {
        let name = next("conv", &mut self.convolutions);
        let window = self.window(self.last(), size, stride, padding);
        let bias = self.bias;
        let operation = Operation::Conv {
            channels,
            window,
            groups: 1,
            bias,
        };
        let conv = self.graph.push(&name, operation)?;
        self.norm(conv)
    }

    /// Appends the 1 x 1 convolution of a shortcut from `source`.
    fn shortcut(
        &mut self,
        source: usize,
        channels: usize,
        stride: usize,
    ) -> Result<usize, GraphError> {
        let name = next("shortcut", &mut self.shortcuts);
        let window = self.window(source, 1, stride, Padding::Valid);
        let bias = self.bias;
        let operation = Operation::Conv {
            channels,
            window,
            groups: 1,
            bias,
        };
        self.graph.push_from(&name, operation, &[source])
    }

    /// Appends a batch norm.
    fn norm(&mut self, source: usize) -> Result<usize, GraphError> {
        let name = next("bn", &mut self.norms);
        self.graph.push_from(&name, Operation::BatchNorm, &[source])
    }

    /// Appends a ReLU.
    fn relu(&mut self) -> Result<usize, GraphError> {
        let name = next("relu", &mut self.relus);
        self.graph.push(&name, Operation::Relu)
    }

    /// Appends pooling over windows that do not overlap.
    fn pool(&mut self, kind: Pooling, size: usize) -> Result<usize, GraphError> {
        let name = next("pool", &mut self.pools);
        let window = self.window(self.last(), size, size, Padding::Valid);
        self.graph.push(&name, Operation::Pool { kind, window })
    }

    /// Appends a residual addition.
    fn add(&mut self, main: usize, shortcut: usize) -> Result<usize, GraphError> {
        let name = next("add", &mut self.additions);
        self.graph
            .push_from(&name, Operation::Add, &[main, shortcut])
    }

    /// Appends flattening and dense layers with the given `units`, each with its batch norm.
    fn classify(&mut self, units: &[usize]) -> Result<(), GraphError> {
        self.graph.push("flatten", Operation::Flatten)?;
        for (index, &units) in units.iter().enumerate() {
            if index > 0 {
                self.relu()?;
            }
            let bias = self.bias;
            let dense = Operation::Dense { units, bias };
            let dense = self.graph.push(&format!("fc{}", index + 1), dense)?;
            self.norm(dense)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_have_the_papers_weight_counts() {
        for (name, tensors, total, input, classes) in [
            ("lenet-300-100", 3, 266_200, [1, 28, 28], 10),
            ("lenet-5", 5, 61_770, [3, 32, 32], 10),
            ("lenet-5-28", 5, 44_190, [1, 28, 28], 10),
            ("lenet-5-caffe", 4, 430_500, [1, 28, 28], 10),
            ("vgg-16", 14, 14_715_584, [3, 32, 32], 10),
            ("vgg-19", 17, 20_070_080, [3, 32, 32], 100),
            ("resnet-18", 21, 11_261_632, [3, 64, 64], 200),
        ] {
            let graph = by_name(name).unwrap();
            assert_eq!(graph.prunable().len(), tensors, "{name}");
            assert_eq!(graph.total(), total, "{name}");
            assert_eq!(graph.input_shape(), input, "{name}");
            assert_eq!(graph.classes(), classes, "{name}");
        }
        assert!(NAMES.iter().all(|name| by_name(name).is_ok()));
    }

    #[test]
    fn tensors_have_pytorchs_names_and_shapes() {
        let shapes = |name: &str| -> Vec<(String, Vec<usize>)> {
            let tensors = by_name(name).unwrap().prunable().into_iter();
            tensors.map(|t| (t.name, t.shape)).collect()
        };
        assert_eq!(
            shapes("lenet-300-100"),
            [
                ("fc1.weight".into(), vec![300, 784]),
                ("fc2.weight".into(), vec![100, 300]),
                ("fc3.weight".into(), vec![10, 100])
            ]
        );
        assert_eq!(
            shapes("lenet-5")[1],
            ("conv2.weight".into(), vec![16, 6, 5, 5])
        );
        // Each shortcut follows the main path of its block: they are tensors 7, 12 and 17.
        let resnet = shapes("resnet-18");
        assert_eq!(resnet[7], ("shortcut1.weight".into(), vec![128, 64, 1, 1]));
        assert_eq!(
            resnet[17],
            ("shortcut3.weight".into(), vec![512, 256, 1, 1])
        );
        assert_eq!(resnet[20], ("fc1.weight".into(), vec![200, 512]));
    }

    #[test]
    fn an_unknown_name_suggests_a_known_one() {
        let error = by_name("lenet").unwrap_err();
        assert!(error.to_string().contains("did you mean lenet-"), "{error}");
    }
}
