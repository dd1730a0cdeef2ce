//! `rarefy quotas`: shows how many weights of each layer a quota keeps.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::network;
use super::next::{Line, Next, Why, free};
use super::table::{table, text};
use crate::data::digits;
use crate::graph::{self, Graph, Prunable};
use crate::numbers::thousands;
use crate::pruning::hundredths::shown;
use crate::pruning::quota::{Quota, igq};
use crate::pruning::{Compression, Pruner, Target};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Architecture: a name listed by `rarefy arch`, a TOML file, or a folder with an arch.toml
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    #[arg(long, default_value = "igq", help = format!("Quota: {}", Quota::ALL.map(Quota::name).join(", ")))]
    quota: String,
    /// Compression ratio: total weights / remaining weights
    #[arg(long, default_value_t = Compression::default().get())]
    compression: f64,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    quota: &'static str,
    compression: Compression,
    /// The pruner whose direct pruning keeps these numbers; others may round differently.
    kept_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    force: Option<f64>,
    layers: Vec<Layer>,
}

/// The quota of one layer.
#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    total: usize,
    kept: usize,
    density: f64,
    sparsity: f64,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&network::arch(&arguments.arch))?;
    let quota = Quota::by_name(&arguments.quota)?;
    let compression = Compression::new(arguments.compression)?;
    let tensors = graph.prunable();
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let densities = quota.densities(&tensors, compression.density())?;
    let name = format!("magnitude/{}", quota.name());
    let pruner = Pruner::by_name(&name)?;
    let kept = pruner.shares(&graph, compression)?.unwrap_or_default();
    let layers = tensors.iter().zip(densities.into_iter().zip(kept));
    let report = Report {
        arch: graph.name().into(),
        quota: quota.name(),
        compression,
        kept_by: pruner.name(),
        force: (quota == Quota::Igq)
            .then(|| igq::force(&sizes, compression.share_of(graph.total()))),
        layers: layers
            .map(|(tensor, (density, kept))| Layer {
                name: tensor.name.clone(),
                total: tensor.len(),
                kept,
                density,
                sparsity: 1.0 - density,
            })
            .collect(),
    };
    let next = next(arguments, &graph, pruner, compression, console);
    console.result(&report, || describe(&report), next)
}

/// Returns the command that prunes with the quota; prints a warning if no path is left.
fn next(
    arguments: &Arguments,
    graph: &Graph,
    pruner: Pruner,
    compression: Compression,
    console: &Console,
) -> Next {
    // The datasets that can be given by name have images of 1 x 28 x 28 and 10 classes.
    let fits = graph.input_shape() == [1, 28, 28] && graph.classes() >= 10;
    let line = Line::new(if fits { &["train"] } else { &["prune"] })
        .option("--arch", &arguments.arch)
        .option("--pruner", pruner.name())
        .option("--compression", compression.to_string());
    let path = pruner.check_path(graph, Target::Effective, compression);
    match (path, fits) {
        (Err(error), _) => {
            console.note(&format!("warning: {error}"));
            Next::Nothing(Why::NoPath)
        }
        (Ok(()), true) => line.option("--data", digits::NAME).into(),
        (Ok(()), false) => {
            // Those of an imported network.
            let line = match network::weights_beside(&arguments.arch) {
                Some(_) => line.option("--weights", &arguments.arch),
                None => line,
            };
            line.option("-o", free("masks.safetensors")).into()
        }
    }
}

/// Formats the report as text.
fn describe(report: &Report) -> String {
    let mut rows = table(["tensor", "weights", "kept", "density"]);
    for layer in &report.layers {
        rows.add_row([
            layer.name.clone(),
            thousands(layer.total),
            thousands(layer.kept),
            format!("{:.6}", layer.density),
        ]);
    }
    format!(
        "{} with quota {} at {}x\n\n{}\nThese are the counts of {} with --type direct; random/{} rounds up, keeping at most one more weight per tensor\n",
        report.arch,
        report.quota,
        shown(report.compression.get()),
        text(&rows),
        report.kept_by,
        report.quota
    )
}
