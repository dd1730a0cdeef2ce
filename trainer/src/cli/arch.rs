//! `rarefy arch`: the prunable tensors of an architecture, or a list of architectures.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::network;
use super::next::Line;
use super::table::{dimensions, table, text};
use crate::deploy::limits;
use crate::graph::{self, Graph, Operation, Prunable, architecture};
use crate::network::EPSILON;
use crate::numbers::thousands;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[arg(value_name = "ARCH", help = format!("Architecture: {}, a TOML file, or a folder with an arch.toml [default: list all]", architecture::NAMES.join(", ")))]
    arch: Option<String>,
}

/// The report on one architecture.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    summary: Summary,
    /// The epsilon that batch norms add to the variance; `None` if there are no batch norms.
    batch_norm_epsilon: Option<f64>,
    tensors: Vec<Prunable>,
}

/// The report that lists all architectures.
#[derive(Debug, Serialize)]
struct List {
    architectures: Vec<Summary>,
}

/// One architecture in the list.
#[derive(Debug, Serialize)]
struct Summary {
    arch: String,
    input: Vec<usize>,
    classes: usize,
    total: usize,
}

impl Summary {
    fn of(graph: &Graph) -> Self {
        Self {
            arch: graph.name().into(),
            input: graph.input_shape().to_vec(),
            classes: graph.classes(),
            total: graph.total(),
        }
    }
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    match &arguments.arch {
        Some(arch) => show(arch, console),
        None => list(console),
    }
}

/// Prints the prunable tensors of one architecture.
fn show(arch: &str, console: &Console) -> Result<()> {
    let graph = graph::load(&network::arch(arch))?;
    let mut operations = graph.nodes().iter().map(|node| node.operation);
    let normalised = operations.any(|operation| operation == Operation::BatchNorm);
    for reason in limits::before_training(&graph, &(0.0, 1.0).into()) {
        console.note(&format!("warning: as it stands, {reason}"));
    }
    let report = Report {
        summary: Summary::of(&graph),
        batch_norm_epsilon: normalised.then_some(EPSILON),
        tensors: graph.prunable(),
    };
    console.result(
        &report,
        || {
            let mut rows = table(["tensor", "shape", "weights"]);
            for tensor in &report.tensors {
                let weights = thousands(tensor.len());
                rows.add_row([tensor.name.clone(), dimensions(&tensor.shape), weights]);
            }
            let summary = &report.summary;
            let epsilon = report.batch_norm_epsilon.map(|epsilon| {
                format!(
                    "\nBatch norms add {epsilon} to the variance (eps; PyTorch's own default is 1e-5)\n"
                )
            });
            format!(
                "{}: input {}, {} classes, {} prunable weights\n\n{}{}",
                summary.arch,
                dimensions(&summary.input),
                summary.classes,
                thousands(summary.total),
                text(&rows),
                epsilon.unwrap_or_default()
            )
        },
        Line::new(&["quotas"]).option("--arch", arch),
    )
}

/// Prints all built-in architectures.
fn list(console: &Console) -> Result<()> {
    let mut architectures = Vec::new();
    for name in architecture::NAMES {
        architectures.push(Summary::of(&architecture::by_name(name)?));
    }
    let list = List { architectures };
    console.result(&list, || {
        let mut rows = table(["architecture", "input", "classes", "weights"]);
        for summary in &list.architectures {
            rows.add_row([
                summary.arch.clone(),
                dimensions(&summary.input),
                thousands(summary.classes),
                thousands(summary.total),
            ]);
        }
        format!(
            "{}\nA TOML file works too; trainer/architectures/README.md describes its format.\n",
            text(&rows)
        )
    }, Line::new(&["arch", architecture::NAMES[0]]))
}
