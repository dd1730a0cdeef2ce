//! The architectures Rarefy knows by name (paper, section 5; LeNet-300-100 is LeCun et al. 1998).

use super::{Graph, GraphError, Operation};

/// The names that [`by_name`] takes.
pub const NAMES: &[&str] = &["lenet-300-100"];

/// An architecture that is not known.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no architecture {name:?}: the known ones are {}", NAMES.join(", "))]
pub struct UnknownArchitecture {
    /// The name asked for.
    pub name: String,
}

/// The architecture called `name`.
///
/// # Errors
/// When there is none; the message lists those there are.
pub fn by_name(name: &str) -> Result<Graph, UnknownArchitecture> {
    match name {
        "lenet-300-100" => {
            Ok(multilayer(name, [1, 28, 28], &[300, 100, 10]).expect("LeNet-300-100 chains"))
        }
        _ => Err(UnknownArchitecture { name: name.into() }),
    }
}

/// Dense layers `fc1`, `fc2`, … of the given `units`, each followed by batch normalisation and,
/// but for the last, ReLU. The paper normalises before the softmax too, so the last dense layer has one
/// as well.
///
/// # Errors
/// When a layer has no units.
pub fn multilayer(name: &str, input: [usize; 3], units: &[usize]) -> Result<Graph, GraphError> {
    let mut graph = Graph::new(name, input);
    graph.push("flatten", Operation::Flatten)?;
    for (index, &units) in units.iter().enumerate() {
        if index > 0 {
            graph.push(&format!("relu{index}"), Operation::Relu)?;
        }
        graph.push(&format!("fc{}", index + 1), Operation::Dense { units })?;
        graph.push(&format!("bn{}", index + 1), Operation::BatchNorm)?;
    }
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenet_300_100_has_the_papers_tensors() {
        let graph = by_name("lenet-300-100").unwrap();
        let shapes: Vec<_> = graph
            .prunable()
            .into_iter()
            .map(|t| (t.name, t.shape))
            .collect();
        assert_eq!(
            shapes,
            [
                ("fc1.weight".into(), vec![300, 784]),
                ("fc2.weight".into(), vec![100, 300]),
                ("fc3.weight".into(), vec![10, 100])
            ]
        );
        assert_eq!(graph.total(), 266_200);
        assert_eq!((graph.input_len(), graph.classes()), (784, 10));
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = by_name("lenet").unwrap_err();
        assert!(error.to_string().contains("lenet-300-100"), "{error}");
    }
}
