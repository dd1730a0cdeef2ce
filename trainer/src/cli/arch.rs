//! `rarefy arch`: an architecture's prunable tensors.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::table::{table, text, thousands};
use crate::graph::{Prunable, architecture};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The architecture
    #[arg(value_name = "ARCH", help = format!("The architecture: {}", architecture::NAMES.join(", ")))]
    arch: String,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    input: Vec<usize>,
    classes: usize,
    total: usize,
    tensors: Vec<Prunable>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = architecture::by_name(&arguments.arch)?;
    let report = Report {
        arch: graph.name().into(),
        input: graph.input_shape().to_vec(),
        classes: graph.classes(),
        total: graph.total(),
        tensors: graph.prunable(),
    };
    console.result(&report, || {
        let mut rows = table(["tensor", "shape", "weights"]);
        for tensor in &report.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            rows.add_row([
                tensor.name.clone(),
                shape.join(" x "),
                thousands(tensor.len()),
            ]);
        }
        let [channels, height, width] = report.input.as_slice() else {
            return String::new();
        };
        format!(
            "{}: input {channels} x {height} x {width}, {} classes, {} prunable weights\n\n{}",
            report.arch,
            report.classes,
            thousands(report.total),
            text(&rows)
        )
    })
}
