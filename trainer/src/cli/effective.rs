//! `rarefy effective`: the truth about a mask.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use crate::graph;
use crate::pruning::Masks;
use crate::pruning::effective::{self, Mode};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The architecture the masks belong to: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    /// A safetensors file with one tensor of 0 and 1 for each prunable tensor (a float tensor
    /// counts its nonzeros)
    #[arg(long, value_name = "FILE")]
    masks: PathBuf,
    /// How connections are looked at
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Write the effective masks to this safetensors file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    mode: Mode,
    #[serde(flatten)]
    counts: Counts,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&arguments.arch)?;
    let direct = Masks::load(&graph, &arguments.masks)?;
    let mode = arguments.mode;
    let connected = effective::masks(&graph, &direct, mode);
    if let Some(out) = &arguments.out {
        connected.save(out)?;
    }
    let report = Report {
        arch: graph.name().into(),
        mode,
        counts: Counts::new(&graph, &direct, &connected, mode),
    };
    report.counts.warn(console);
    console.result(&report, || report.counts.text())
}
