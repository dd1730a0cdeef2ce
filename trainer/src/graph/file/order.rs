//! Resolves the sources of a file's layers and orders the layers topologically.
//!
//! Layers may appear in the file in any order; they are moved only where necessary. References to
//! layers that do not exist, cycles, and unread layers other than the output are rejected.

use std::collections::{BTreeSet, HashMap};

use super::Fault;
use super::table::{Kind, LayerEntry};

/// A source of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The network's input.
    Input,
    /// The layer with this index in the file.
    Layer(usize),
}

/// Returns the sources of each of `layers`: two for an addition, otherwise one.
pub(super) fn sources(layers: &[LayerEntry]) -> Result<Vec<Vec<Source>>, Fault> {
    let named: HashMap<&str, usize> = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| (layer.name.as_str(), index))
        .collect();
    let mut all = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let Some(from) = &layer.from else {
            if matches!(layer.kind, Kind::Add(_)) {
                return Err(layer.fault("an addition needs two layers: from = [\"a\", \"b\"]"));
            }
            all.push(vec![
                index.checked_sub(1).map_or(Source::Input, Source::Layer),
            ]);
            continue;
        };
        let fault = |reason| Fault::new(from.span().start, Some(&layer.name), reason);
        let wanted = 1 + usize::from(matches!(layer.kind, Kind::Add(_)));
        if from.get_ref().len() != wanted {
            let found = from.get_ref().len();
            return Err(fault(format!(
                "the number of layers in its `from` must be {wanted}, not {found}"
            )));
        }
        let source = |name: &String| match named.get(name.as_str()) {
            Some(&layer) => Ok(Source::Layer(layer)),
            None if name == "input" => Ok(Source::Input),
            None => Err(fault(format!(
                "it reads {name:?}, but no layer has this name"
            ))),
        };
        all.push(
            from.get_ref()
                .iter()
                .map(source)
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(all)
}

/// Returns the indices of `layers` in topological order; the last one is the output.
pub(super) fn order(layers: &[LayerEntry], sources: &[Vec<Source>]) -> Result<Vec<usize>, Fault> {
    let mut readers = vec![Vec::new(); layers.len()];
    // For each layer, the number of its sources that are not placed yet.
    let mut waiting = vec![0; layers.len()];
    for (index, sources) in sources.iter().enumerate() {
        for source in sources {
            if let &Source::Layer(source) = source {
                readers[source].push(index);
                waiting[index] += 1;
            }
        }
    }
    // Among the layers that are ready, the first in the file is next.
    let mut ready: BTreeSet<usize> = (0..layers.len()).filter(|&l| waiting[l] == 0).collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &reader in &readers[index] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if let Some(left) = (0..layers.len()).find(|&layer| waiting[layer] > 0) {
        return Err(cycle(layers, sources, &waiting, left));
    }
    let mut unread = layers.iter().zip(&readers).filter(|(_, r)| r.is_empty());
    if let (Some((first, _)), Some((output, _))) = (unread.next(), unread.next_back()) {
        return Err(first.fault(format!(
            "no layer reads it or {}, but a network has one output: remove it, or name it in the `from` of a later layer",
            output.name
        )));
    }
    Ok(order)
}

/// Returns the error for a cycle that blocks layer `from`. Such a cycle exists because every
/// blocked layer has a blocked source.
fn cycle(layers: &[LayerEntry], sources: &[Vec<Source>], waiting: &[usize], from: usize) -> Fault {
    let mut path = vec![from];
    loop {
        let last = path[path.len() - 1];
        let next = sources[last].iter().find_map(|source| match source {
            &Source::Layer(layer) if waiting[layer] > 0 => Some(layer),
            _ => None,
        });
        let next = next.expect("a blocked layer has a blocked source");
        if let Some(start) = path.iter().position(|&layer| layer == next) {
            path.drain(..start);
            break;
        }
        path.push(next);
    }
    // The message starts at the layer that comes first in the file.
    let first = (0..path.len()).min_by_key(|&place| path[place]);
    path.rotate_left(first.unwrap_or(0));
    path.push(path[0]);
    let names: Vec<&str> = path
        .iter()
        .map(|&layer| layers[layer].name.as_str())
        .collect();
    layers[path[0]].fault(format!(
        "it reads its own output, {}: change a `from` of this cycle",
        names.join(" <- ")
    ))
}
