//! `rarefy prune`: masks alone, no training.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use super::next::{Line, free};
use super::{goal, output, source};
use crate::graph;
use crate::pruning::prune::{Pruned, Seconds};
use crate::pruning::{Compression, Outcome, Pruner, Target, effective::Mode};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    goal: goal::Options,
    #[command(flatten)]
    source: source::Options,
    /// Write the pruner's masks to this safetensors file (`rarefy effective --out` writes what of
    /// them is connected)
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    pruner: &'static str,
    #[serde(rename = "type")]
    kind: Target,
    target: Compression,
    seed: u64,
    #[serde(flatten)]
    counts: Counts,
    seconds: Seconds,
    /// Whether the network fell apart before the target.
    collapsed: bool,
    /// The number of connections kept only by their index.
    kept_by_index: usize,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&arguments.goal.arch)?;
    let pruner = Pruner::by_name(&arguments.goal.pruner)?;
    let compression = arguments.goal.compression()?;
    if let Some(out) = &arguments.out {
        let read = (arguments.source.files()).chain(output::of_arch(&arguments.goal.arch));
        output::check("--out", out, read)?;
    }
    if pruner.is_dense() {
        console.note("dense prunes nothing, whatever the compression");
    }
    let material = arguments.source.gather(&graph, &[pruner], console)?;
    let bar = console.bar(0);
    bar.name(pruner.name());
    let pruned = pruner.prune(
        &material.source(&source::follow(&bar)),
        arguments.goal.target,
        compression,
    )?;
    drop(bar);
    if let Some(doubt) = pruned.doubt(pruner.name()) {
        console.note(&format!("warning: {doubt}"));
    }
    let Pruned {
        outcome,
        seconds,
        kept_by_index,
        ..
    } = pruned;
    let Outcome {
        direct,
        effective,
        collapsed,
    } = outcome;
    if let Some(out) = &arguments.out {
        direct.save(out)?;
    }
    let report = Report {
        arch: graph.name().into(),
        pruner: pruner.name(),
        kind: arguments.goal.target,
        target: compression,
        seed: arguments.source.seed(),
        counts: Counts::new(&graph, &direct, &effective, Mode::Exact),
        seconds,
        collapsed,
        kept_by_index,
    };
    if let (true, Some(reached)) = (collapsed, report.counts.effective.compression) {
        console.note(&format!(
            "warning: {} falls apart before effective compression {}: these are its last connected masks, {reached:.1}x",
            report.pruner, report.target
        ));
    }
    report.counts.warn(console);
    let next = match &arguments.out {
        Some(out) => Line::new(&["effective"])
            .option("--arch", &arguments.goal.arch)
            .option("--masks", out),
        None => Line::again(&[]).option("-o", free("masks.safetensors")),
    };
    console.result(
        &report,
        || {
            format!(
                "{} by {}, {} compression {}, {:.2} s\n\n{}",
                report.arch,
                report.pruner,
                report.kind.name(),
                report.target,
                report.seconds.scores + report.seconds.search,
                report.counts.text()
            )
        },
        next,
    )
}
