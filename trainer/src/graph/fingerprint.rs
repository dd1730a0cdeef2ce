//! Fingerprints of architectures, equal for equal graphs.

use std::fmt::Write;

use super::topology::{Graph, Node, Operation, Pooling};
use super::window::Window;
use crate::digest;

impl Graph {
    /// Returns the SHA-256, in hexadecimal, of a description of the architecture: its name and,
    /// per node, the name, the operation with its parameters, the sources and the shape. The
    /// layout of the file that the architecture was read from does not matter.
    pub fn fingerprint(&self) -> String {
        let mut text = format!("{}\n", self.name());
        for node in self.nodes() {
            let Node {
                name,
                operation,
                sources,
                shape,
            } = node;
            let operation = words(*operation);
            let _ = writeln!(text, "{name:?} {operation} {sources:?} {shape:?}");
        }
        digest::sha256(text)
    }
}

/// Describes an operation by its name and parameters.
fn words(operation: Operation) -> String {
    match operation {
        Operation::Input => "input".into(),
        Operation::Flatten => "flatten".into(),
        Operation::Dense { units, bias } => format!("dense {units} {bias}"),
        Operation::Conv {
            channels,
            window,
            groups,
            bias,
        } => {
            let conv = format!("conv {channels} {bias} {}", numbers(window));
            match groups {
                1 => conv,
                _ => format!("{conv} groups {groups}"),
            }
        }
        Operation::Pool { kind, window } => {
            let kind = match kind {
                Pooling::Max => "max",
                Pooling::Average => "average",
            };
            format!("pool {kind} {}", numbers(window))
        }
        Operation::BatchNorm => "batch-norm".into(),
        Operation::Relu => "relu".into(),
        Operation::Relu6 => "relu6".into(),
        Operation::Add => "add".into(),
    }
}

/// Describes a window by its parameters. Fingerprints of square windows are older than
/// rectangular ones, and state one number for both axes.
fn numbers(window: Window) -> String {
    let Window {
        size,
        stride,
        before,
        after,
    } = window;
    match (size, stride) {
        ([height, width], [down, right]) if height == width && down == right => {
            format!("{height} {down} {before:?} {after:?}")
        }
        _ => format!("{size:?} {stride:?} {before:?} {after:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Padding;
    use crate::graph::architecture::{by_name, multilayer};

    #[test]
    fn every_difference_changes_the_fingerprint() {
        let of = |name: &str, input, units: &[usize]| {
            multilayer(name, input, units).unwrap().fingerprint()
        };
        let same = of("a", [1, 4, 4], &[3, 2]);
        assert_eq!(same, of("a", [1, 4, 4], &[3, 2]));
        let mut all = vec![
            same,
            of("b", [1, 4, 4], &[3, 2]),
            of("a", [1, 2, 8], &[3, 2]),
            of("a", [1, 4, 4], &[2, 3, 2]),
            of("a", [1, 4, 4], &[2]),
        ];
        for (operation, name) in [
            (Operation::Relu, "more"),
            (Operation::BatchNorm, "more"),
            (Operation::BatchNorm, "others"),
        ] {
            let mut graph = multilayer("a", [1, 4, 4], &[3, 2]).unwrap();
            graph.push(name, operation).unwrap();
            all.push(graph.fingerprint());
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    /// Compares with a run folder from before windows could be rectangular, which must resume.
    #[test]
    fn square_windows_keep_their_fingerprint() {
        let known = "21a34c178ac697c0d465fce9174983089a9090e8a869215437a881f8d54601bc";
        assert_eq!(by_name("lenet-5-28").unwrap().fingerprint(), known);
    }

    #[test]
    fn groups_change_the_fingerprint() {
        let of = |groups| {
            let window = Window::new(1, 1, Padding::Valid, [2, 2]).unwrap();
            let operation = Operation::Conv {
                channels: 4,
                window,
                groups,
                bias: true,
            };
            let mut graph = Graph::new("a", [4, 2, 2]);
            graph.push("conv", operation).unwrap();
            graph.fingerprint()
        };
        assert!(of(1) != of(2) && of(2) != of(4) && of(1) != of(4));
    }

    #[test]
    fn every_number_of_a_window_changes_the_fingerprint() {
        let of = |size, stride| {
            let window = Window::rectangular(size, stride, Padding::Valid, [12, 12]).unwrap();
            let kind = Pooling::Max;
            let mut graph = Graph::new("a", [1, 12, 12]);
            graph
                .push("pool", Operation::Pool { kind, window })
                .unwrap();
            graph.fingerprint()
        };
        let mut all = vec![
            of([2, 2], [1, 1]),
            of([2, 2], [1, 2]),
            of([2, 2], [2, 1]),
            of([2, 3], [1, 1]),
            of([3, 2], [1, 1]),
        ];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
