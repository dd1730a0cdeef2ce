//! `rarefy effective`: the truth about a mask.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::table::{table, text, thousands};
use crate::graph;
use crate::pruning::{Masks, effective};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The architecture the masks belong to: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    /// A safetensors file with one tensor of 0 and 1 for each prunable tensor (a float tensor
    /// counts its nonzeros)
    #[arg(long, value_name = "FILE")]
    masks: PathBuf,
    /// Write the effective masks to this safetensors file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    mode: &'static str,
    total: usize,
    direct: Count,
    effective: Count,
    layers: Vec<Layer>,
}

/// A number of weights and the compression it makes; none when nothing is left.
#[derive(Debug, Serialize)]
struct Count {
    nonzeros: usize,
    compression: Option<f64>,
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
struct Layer {
    name: String,
    total: usize,
    direct: usize,
    effective: usize,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&arguments.arch)?;
    let direct = Masks::load(&graph, &arguments.masks)?;
    let connected = effective::masks(&graph, &direct, effective::Mode::Exact);
    if let Some(out) = &arguments.out {
        connected.save(out)?;
    }
    let report = Report {
        arch: graph.name().into(),
        mode: "exact",
        total: graph.total(),
        direct: Count::of(&direct),
        effective: Count::of(&connected),
        layers: direct
            .iter()
            .zip(connected.iter())
            .map(|(direct, effective)| Layer {
                name: direct.name.clone(),
                total: direct.keep.len(),
                direct: direct.nonzeros(),
                effective: effective.nonzeros(),
            })
            .collect(),
    };
    if report.effective.nonzeros == 0 {
        console.note(
            "the network is disconnected: no path of unpruned weights joins input and output",
        );
    }
    console.result(&report, || {
        let mut rows = table(["tensor", "weights", "mask keeps", "connected"]);
        for Layer {
            name,
            total,
            direct,
            effective,
        } in &report.layers
        {
            rows.add_row([
                name.clone(),
                thousands(*total),
                thousands(*direct),
                thousands(*effective),
            ]);
        }
        let (direct, effective) = (&report.direct, &report.effective);
        rows.add_row([
            "all".into(),
            thousands(report.total),
            thousands(direct.nonzeros),
            thousands(effective.nonzeros),
        ]);
        let times = |compression: Option<f64>| {
            compression.map_or("none: disconnected".into(), |c| format!("{c:.2}x"))
        };
        rows.add_row([
            "compression".into(),
            String::new(),
            times(direct.compression),
            times(effective.compression),
        ]);
        text(&rows)
    })
}
