//! `rarefy inspect`: what a container holds.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::table::{table, text, thousands};
use crate::deploy::container::{self, ModelReport};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The container
    model: PathBuf,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let bytes = container::read(&arguments.model)?;
    let model = container::parse(&bytes, &arguments.model)?;
    let report = container::report(&model, &arguments.model);
    console.result(&report, || {
        format!(
            "{}: format {}, {} bytes ({} of them header and layer records)\n\
             {} inputs of one byte, {} outputs, {} bytes of RAM for activations\n\
             {} of {} weights are not zero ({:.1}x)\n\n{}",
            report.path,
            report.format,
            thousands(report.bytes),
            report.overhead_bytes,
            report.inputs,
            report.outputs,
            thousands(report.arena_bytes),
            thousands(report.nonzeros),
            thousands(report.total),
            report.total as f64 / report.nonzeros.max(1) as f64,
            layers(&report)
        )
    })
}

/// The table of layers.
pub(super) fn layers(report: &ModelReport) -> String {
    let mut rows = table([
        "layer",
        "shape",
        "stripped to",
        "nonzeros",
        "density",
        "stored as",
        "positions",
        "values",
        "biases",
        "bytes",
    ]);
    for layer in &report.layers {
        let shape = |outputs: usize, inputs: usize| format!("{outputs} x {inputs}");
        rows.add_row([
            layer.layer.to_string(),
            shape(layer.original_outputs, layer.original_inputs),
            shape(layer.outputs, layer.inputs),
            thousands(layer.nonzeros),
            format!("{:.2} %", 100.0 * layer.density),
            layer.encoding.into(),
            thousands(layer.bytes.positions),
            thousands(layer.bytes.values),
            thousands(layer.bytes.biases),
            thousands(layer.bytes.total),
        ]);
    }
    text(&rows)
}
