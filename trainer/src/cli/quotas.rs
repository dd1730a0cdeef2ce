//! `rarefy quotas`: what a quota leaves each layer.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::{Line, Next, Why, free};
use super::table::{table, text, thousands};
use crate::data::digits;
use crate::graph::{self, Prunable};
use crate::pruning::hundredths::shown;
use crate::pruning::quota::{Quota, igq};
use crate::pruning::{Compression, Pruner, Target};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The architecture: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    #[arg(long, default_value = "igq", help = format!("The quota: {}", Quota::ALL.map(Quota::name).join(", ")))]
    quota: String,
    /// The compression ratio: total weights / remaining weights
    #[arg(long, default_value_t = Compression::default().get())]
    compression: f64,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    quota: &'static str,
    compression: Compression,
    /// The pruner whose direct pruning keeps as many; others may round otherwise.
    kept_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    force: Option<f64>,
    layers: Vec<Layer>,
}

/// One layer's share.
#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    total: usize,
    kept: usize,
    density: f64,
    sparsity: f64,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&arguments.arch)?;
    let quota = Quota::by_name(&arguments.quota)?;
    let compression = Compression::new(arguments.compression)?;
    let tensors = graph.prunable();
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let densities = quota.densities(&tensors, compression.density())?;
    let name = format!("magnitude/{}", quota.name());
    let pruner = Pruner::by_name(&name)?;
    // What direct pruning keeps, by the same function.
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
    // The sets that have names are of these images and classes.
    let fits = graph.input_shape() == [1, 28, 28] && graph.classes() >= 10;
    let line = Line::new(if fits { &["train"] } else { &["prune"] })
        .option("--arch", &arguments.arch)
        .option("--pruner", &name)
        .option("--compression", compression.to_string());
    let path = pruner.check_path(&graph, Target::Effective, compression);
    let next: Next = match (path, fits) {
        (Err(error), _) => {
            console.note(&format!("warning: {error}"));
            Next::Nothing(Why::NoPath)
        }
        (Ok(()), true) => line.option("--data", digits::NAME).into(),
        (Ok(()), false) => line.option("-o", free("masks.safetensors")).into(),
    };
    console.result(
        &report,
        || {
            let mut rows = table(["tensor", "weights", "stay", "density"]);
            for Layer {
                name,
                total,
                kept,
                density,
                ..
            } in &report.layers
            {
                let density = format!("{density:.6}");
                rows.add_row([name.clone(), thousands(*total), thousands(*kept), density]);
            }
            format!(
                "{} by {} at {}x\n\n{}\nAs {} keeps them with --type direct; random/{} rounds up, to one weight more of a tensor\n",
                report.arch,
                report.quota,
                shown(compression.get()),
                text(&rows),
                report.kept_by,
                report.quota
            )
        },
        next,
    )
}
