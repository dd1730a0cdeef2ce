//! `rarefy prune`: computes masks without training.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use super::next::{Line, free};
use super::{network, overwrite, pruning, source};
use crate::graph::{self, Graph};
use crate::pruning::hundredths::shown;
use crate::pruning::prune::{Pruned, Seconds};
use crate::pruning::{Compression, Outcome, Pruner, Target, effective::Mode};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pruning: pruning::Options,
    #[command(flatten)]
    source: source::Options,
    /// Safetensors file to write the masks to; an existing file is overwritten only if it holds
    /// masks (`rarefy effective --out` writes their connected part)
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The report.
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
    /// Whether the network became disconnected before the target was reached.
    collapsed: bool,
    /// Number of kept connections that were chosen by index among others with the same score.
    kept_by_index: usize,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&network::arch(&arguments.pruning.arch))?;
    let pruner = Pruner::by_name(&arguments.pruning.pruner)?;
    let compression = arguments.pruning.compression()?;
    if let Some(out) = &arguments.out {
        let read = (arguments.source.files()).chain(overwrite::of_arch(&arguments.pruning.arch));
        overwrite::check("--out", out, overwrite::Kind::Masks, read)?;
    }
    if pruner.is_dense() {
        console.note("dense prunes nothing: the compression is ignored");
    }
    let material = arguments.source.gather(&graph, &[pruner], console)?;
    let bar = console.bar(0);
    bar.name(pruner.name());
    let pruned = pruner.prune(
        &material.source(&source::follow(&bar)),
        arguments.pruning.target,
        compression,
    )?;
    drop(bar);
    if let Some(doubt) = pruned.doubt(pruner.name()) {
        console.note(&format!("warning: {doubt}"));
    }
    if let Some(out) = &arguments.out {
        pruned.outcome.direct.save(out)?;
    }
    let report = report(arguments, &graph, pruner, compression, &pruned);
    if let (true, Some(reached)) = (report.collapsed, report.counts.effective.compression) {
        console.note(&format!(
            "warning: {} disconnects the network before effective compression {}: using its last connected masks ({reached:.1}x)",
            report.pruner,
            shown(report.target.get())
        ));
    }
    report.counts.warn(console);
    let next = match &arguments.out {
        Some(out) => Line::new(&["effective"])
            .option("--arch", &arguments.pruning.arch)
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
                shown(report.target.get()),
                report.seconds.scores + report.seconds.search,
                report.counts.text()
            )
        },
        next,
    )
}

/// Returns the report on what `pruner` left of `graph`.
fn report(
    arguments: &Arguments,
    graph: &Graph,
    pruner: Pruner,
    compression: Compression,
    pruned: &Pruned,
) -> Report {
    let Outcome {
        direct,
        effective,
        collapsed,
    } = &pruned.outcome;
    Report {
        arch: graph.name().into(),
        pruner: pruner.name(),
        kind: arguments.pruning.target,
        target: compression,
        seed: arguments.source.seed(),
        counts: Counts::new(graph, direct, effective, Mode::Exact),
        seconds: pruned.seconds,
        collapsed: *collapsed,
        kept_by_index: pruned.kept_by_index,
    }
}
