//! `rarefy inspect`: what a container holds, as a table and as a picture.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::model::ModelFile;
use super::next::{Line, Next, Why};
use super::output;
use super::table::{table, text, thousands};
use crate::atomic;
use crate::deploy::companion::{self, Companion};
use crate::deploy::costs::Core;
use crate::deploy::report::{self, LayerReport, ModelReport};
use crate::plot::bytes;

/// What the columns mean.
const EXPLANATION: &str = "\
Every byte of a layer is counted once: positions (where weights are: columns, row lengths, starts, \
runs), values (the weights; a packed word of 16 bits is partly one, partly the other), biases, \
parameters (geometry of a convolution, links to other layers, the head of the block, a codebook).

\"At least\" is the information limit. Which k of a layer's n stored weights are not zero takes \
log2 C(n, k) bits, and each of their values as many bits as the encoding gives a value. An encoding \
may go below it where weights cluster, where small ones are more frequent, and where the exporter \
chose the order of units to suit it.

Instructions are predicted for the core that the container was exported for, by what its layers \
read then, where `export` left its report beside it. Without that they are predicted for a \
Cortex-M4, and \"at most\" stands before those of layers that skip zeros (columns, and convolutions \
that look for them): they are predicted as if no input were zero. The last line adds what an \
inference takes besides its layers.

A layer that deployment inserted (a copy of what is added, a channel that is constant) is marked, \
where `export` left its report beside the container; its weights are counted apart.

Dimensions are outputs x inputs of a dense layer, and outputs x channels x window of a convolution, \
before and after what is detached was stripped.";

#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
pub(super) struct Arguments {
    /// The container
    model: PathBuf,
    /// Draw where the bytes go, layer by layer, into this SVG file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    model: ModelReport,
    /// The core that instructions are predicted for.
    core: Core,
    #[serde(skip_serializing_if = "Option::is_none")]
    svg: Option<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    if let Some(picture) = &arguments.svg {
        output::check(
            "--svg",
            picture,
            [&arguments.model, &companion::path(&arguments.model)],
        )?;
        output::check_svg("--svg", picture)?;
    }
    let file = ModelFile::open(&arguments.model, console)?;
    let companion = file.companion();
    let core = companion.map_or(Core::M4, |companion| companion.core);
    let mut model = report::report(&file.model()?, &arguments.model, core, None);
    if let Some((layers, all)) = companion.and_then(Companion::instructions) {
        model.predicted(&layers, all);
    }
    if let Some(origins) = companion.and_then(Companion::origins) {
        model.named(&origins);
    }
    if let Some(picture) = &arguments.svg {
        let svg = bytes::svg(&model).map_err(|reason| anyhow!(reason))?;
        atomic::write(picture, svg.as_bytes())?;
    }
    let svg = arguments
        .svg
        .as_ref()
        .map(|path| path.display().to_string());
    let report = Report { model, core, svg };
    let next = match companion {
        Some(_) => Line::new(&["eval"]).path(file.path()).into(),
        None => Next::Nothing(Why::Data),
    };
    let text = || {
        let picture = report.svg.as_ref();
        describe(&report) + &picture.map_or(String::new(), |path| format!("\n{path}\n"))
    };
    console.result(&report, text, next)
}

/// Everything, for people.
fn describe(report: &Report) -> String {
    let model = &report.model;
    format!(
        "{}: format {}, {} bytes ({} of them header and layer records, {} padding)\n\
         {} inputs of one byte, {} outputs, {} bytes of RAM for activations\n\
         {} of {} weights are not zero ({:.1}x){}; instructions predicted for a Cortex-{:?}\n\n{}",
        model.path,
        model.format,
        thousands(model.bytes),
        model.overhead_bytes - model.padding_bytes,
        model.padding_bytes,
        model.inputs,
        model.outputs,
        thousands(model.arena_bytes),
        thousands(model.nonzeros),
        thousands(model.total),
        model.total as f64 / model.nonzeros.max(1) as f64,
        inserted(model),
        report.core,
        layers(model)
    )
}

/// Returns how many weights deployment inserted, as the rest of a sentence; empty where none.
fn inserted(model: &ModelReport) -> String {
    match model.inserted_nonzeros {
        0 => String::new(),
        count => format!(", and {} were inserted by deployment", thousands(count)),
    }
}

/// The table of layers.
pub(super) fn layers(report: &ModelReport) -> String {
    // Instructions are there for all layers or none.
    let predicted = report
        .layers
        .iter()
        .any(|layer| layer.instructions.is_some());
    let mut rows = table([
        "layer",
        "shape",
        "stripped to",
        "nonzeros",
        "density",
        "stored as",
        "positions",
        "at least",
        "values",
        "at least",
        "biases",
        "parameters",
        "bytes",
        if predicted { "instructions" } else { "" },
    ]);
    let figures = |layers: &[&LayerReport]| {
        let sum = |figure: &dyn Fn(&LayerReport) -> usize| {
            thousands(layers.iter().map(|layer| figure(layer)).sum::<usize>())
        };
        let least = |figure: &dyn Fn(&LayerReport) -> f64| {
            let bytes: f64 = layers.iter().map(|layer| figure(layer)).sum();
            thousands(bytes.ceil() as u64)
        };
        [
            sum(&|l| l.bytes.positions),
            least(&|l| l.limit.positions),
            sum(&|l| l.bytes.values),
            least(&|l| l.limit.values),
            sum(&|l| l.bytes.biases),
            sum(&|l| l.bytes.parameters),
            sum(&|l| l.bytes.total),
        ]
    };
    let instructions = |predicted: Option<u64>, at_most: bool| {
        let bound = if at_most { "at most " } else { "" };
        predicted.map_or_else(String::new, |count| bound.to_owned() + &thousands(count))
    };
    for layer in &report.layers {
        let has_weights = layer.original_inputs > 0;
        let or_dash = |text: String| if has_weights { text } else { "-".into() };
        let names = [
            match layer.inserted {
                true => format!("{} {} (inserted)", layer.layer, layer.operation),
                false => format!("{} {}", layer.layer, layer.operation),
            },
            layer.original_shape(),
            layer.shape(),
            or_dash(thousands(layer.nonzeros)),
            or_dash(format!("{:.2} %", 100.0 * layer.density)),
            or_dash(layer.encoding.into()),
        ];
        let predicted = instructions(layer.instructions, layer.at_most);
        rows.add_row(
            names
                .into_iter()
                .chain(figures(&[layer]))
                .chain([predicted]),
        );
    }
    let stored = thousands(report.nonzeros + report.inserted_nonzeros);
    let names = ["all", "", "", &stored, "", ""].map(String::from);
    let all: Vec<&LayerReport> = report.layers.iter().collect();
    let predicted = instructions(report.instructions, report.at_most);
    rows.add_row(names.into_iter().chain(figures(&all)).chain([predicted]));
    text(&rows)
}
