//! Counts of kept and connected weights, as `prune` and `effective` print them.

use serde::Serialize;

use super::console::Console;
use super::table::{table, text};
use crate::graph::Graph;
use crate::numbers::thousands;
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Mask, Masks};

/// A number of weights and the resulting compression, which is `None` if no weights are left.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) nonzeros: usize,
    pub(super) compression: Option<f64>,
}

impl Count {
    fn of(masks: &Masks) -> Self {
        Self {
            nonzeros: masks.nonzeros(),
            compression: masks.compression(),
        }
    }
}

/// One tensor's counts.
#[derive(Debug, Serialize)]
pub(super) struct Layer {
    name: String,
    total: usize,
    direct: usize,
    effective: usize,
    /// Number of output units or channels.
    units: usize,
    /// Number of those with an effective connection.
    live_units: usize,
}

/// All counts.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) direct: Count,
    pub(super) effective: Count,
    pub(super) layers: Vec<Layer>,
    /// Dead layers and branches of a network that is connected.
    dead: Vec<String>,
}

impl Counts {
    /// Counts the weights of `direct` masks and of their `effective` part in `mode`.
    pub(super) fn new(graph: &Graph, direct: &Masks, effective: &Masks, mode: Mode) -> Self {
        let layers = direct.iter().zip(effective.iter());
        let dead = match effective.nonzeros() {
            0 => Vec::new(),
            _ => effective::dead(graph, effective, mode),
        };
        Self {
            total: graph.total(),
            direct: Count::of(direct),
            effective: Count::of(effective),
            layers: layers
                .map(|(direct, effective)| Layer {
                    name: direct.name.clone(),
                    total: direct.keep.len(),
                    direct: direct.nonzeros(),
                    effective: effective.nonzeros(),
                    units: direct.shape[0],
                    live_units: live_units(effective),
                })
                .collect(),
            dead,
        }
    }

    /// Prints a note on stderr if the network is disconnected or has dead layers.
    pub(super) fn warn(&self, console: &Console) {
        if self.effective.nonzeros == 0 {
            console.note(
                "the network is disconnected: no path of unpruned weights leads from input to output",
            );
        }
        for dead in &self.dead {
            console.note(&format!(
                "warning: {dead} is dead: no path passes through it, though the network is connected"
            ));
        }
    }

    /// Formats the counts as a table.
    pub(super) fn text(&self) -> String {
        let mut rows = table([
            "tensor",
            "weights",
            "kept by mask",
            "connected",
            "live units",
        ]);
        for layer in &self.layers {
            rows.add_row([
                layer.name.clone(),
                thousands(layer.total),
                thousands(layer.direct),
                thousands(layer.effective),
                format!(
                    "{} of {}",
                    thousands(layer.live_units),
                    thousands(layer.units)
                ),
            ]);
        }
        rows.add_row([
            "total".into(),
            thousands(self.total),
            thousands(self.direct.nonzeros),
            thousands(self.effective.nonzeros),
            String::new(),
        ]);
        let times = |compression: Option<f64>| {
            compression.map_or("disconnected".into(), |c| format!("{c:.2}x"))
        };
        rows.add_row([
            "compression".into(),
            String::new(),
            times(self.direct.compression),
            times(self.effective.compression),
            String::new(),
        ]);
        text(&rows)
    }
}

/// Counts the output units or channels with at least one weight left.
fn live_units(mask: &Mask) -> usize {
    let inputs: usize = mask.shape[1..].iter().product();
    let rows = mask.keep.chunks(inputs.max(1));
    rows.filter(|row| row.contains(&true)).count()
}
