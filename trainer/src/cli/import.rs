//! `rarefy import`: an architecture and its weights from an ONNX file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::Line;
use super::overwrite;
use super::table::{dimensions, table, text};
use crate::atomic;
use crate::deploy::limits;
use crate::graph::Prunable;
use crate::import;
use crate::numbers::thousands;
use crate::training::folder::{ARCHITECTURE, WEIGHTS};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// ONNX file of a network for inference, as PyTorch, Keras or tf2onnx write it
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Folder to write arch.toml and weights.safetensors to; files there are not overwritten
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    input: Vec<usize>,
    classes: usize,
    total: usize,
    tensors: Vec<Prunable>,
    /// What was left out or changed, one sentence each.
    notes: Vec<String>,
    files: [PathBuf; 2],
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let files = [ARCHITECTURE, WEIGHTS].map(|name| arguments.out.join(name));
    for file in &files {
        overwrite::check_free(file, "move it, or choose another folder (-o)")?;
    }
    let imported = import::read(&arguments.model)?;
    for note in &imported.notes {
        console.note(&format!("note: {note}"));
    }
    for reason in limits::before_training(&imported.graph, &(0.0, 1.0).into()) {
        console.note(&format!("warning: as it stands, {reason}"));
    }
    let [architecture, weights] = &files;
    // The architecture is written last, so that it never exists without its weights.
    imported.state.save(weights, &[])?;
    atomic::write(architecture, imported.toml.as_bytes())?;
    let next = Line::new(&["arch"]).path(architecture);
    let graph = &imported.graph;
    let report = Report {
        arch: graph.name().into(),
        input: graph.input_shape().to_vec(),
        classes: graph.classes(),
        total: graph.total(),
        tensors: graph.prunable(),
        notes: imported.notes,
        files,
    };
    console.result(&report, || report.text(), next)
}

impl Report {
    /// Returns the report for people.
    fn text(&self) -> String {
        let mut rows = table(["tensor", "shape", "weights"]);
        for tensor in &self.tensors {
            let weights = thousands(tensor.len());
            rows.add_row([tensor.name.clone(), dimensions(&tensor.shape), weights]);
        }
        let [architecture, weights] = &self.files;
        format!(
            "{}: input {} (channels, height, width), {} classes, {} prunable weights\n\n{}\nWritten: {} and {}\n",
            self.arch,
            dimensions(&self.input),
            thousands(self.classes),
            thousands(self.total),
            text(&rows),
            architecture.display(),
            weights.display()
        )
    }
}
