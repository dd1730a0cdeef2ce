//! `rarefy inspect`: what a container holds, as a table and as a picture.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use rarefy_format::Layer;
use serde::Serialize;

use super::console::Console;
use super::model::ModelFile;
use super::next::{Line, Next, Why};
use super::output;
use super::table::{table, text, thousands};
use crate::artifact;
use crate::deploy::activity::Activity;
use crate::deploy::costs::{self, Core};
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
Cortex-M4, and at most: layers that skip zeros take fewer.

Dimensions are outputs x inputs of a dense layer, and outputs x channels x window of a convolution, \
before and after what is detached was stripped.";

#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
pub(super) struct Arguments {
    /// The container
    model: PathBuf,
    /// Draw where the bytes go, layer by layer, into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    model: ModelReport,
    /// The core that instructions are predicted for.
    core: Core,
    /// Whether they are the most, because what layers read is not known.
    at_most: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    svg: Option<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    if let Some(picture) = &arguments.svg {
        output::check("--svg", picture, [&arguments.model])?;
    }
    let file = ModelFile::open(&arguments.model, console)?;
    let companion = file.companion();
    let core = companion.map_or(Core::M4, |companion| companion.core);
    let model = file.model()?;
    let activity = companion.and_then(|companion| companion.activity(&model));
    let at_most = activity.is_none() && model.layers().any(|layer| skips_zeros(&layer));
    let model = report::report(&model, &arguments.model, |layer| {
        let activity = activity.as_ref().map(|layers| &layers[layer.index()]);
        Some(costs::instructions(layer, core, activity).round() as u64)
    });
    if let Some(picture) = &arguments.svg {
        let svg = bytes::svg(&model).map_err(|reason| anyhow!(reason))?;
        artifact::write(picture, svg.as_bytes())?;
    }
    let svg = arguments
        .svg
        .as_ref()
        .map(|path| path.display().to_string());
    let report = Report {
        model,
        core,
        at_most,
        svg,
    };
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

/// Whether zeros among what `layer` reads save instructions.
fn skips_zeros(layer: &Layer<'_>) -> bool {
    let columns = layer.columns();
    let zeros = Activity {
        values: vec![0.0; columns],
        pairs: vec![0.0; columns.div_ceil(2)],
    };
    costs::units(layer, None) != costs::units(layer, Some(&zeros))
}

/// Everything, for people.
fn describe(report: &Report) -> String {
    let model = &report.model;
    let instructions = match report.at_most {
        true => "instructions, at most",
        false => "instructions",
    };
    format!(
        "{}: format {}, {} bytes ({} of them header and layer records, {} padding)\n\
         {} inputs of one byte, {} outputs, {} bytes of RAM for activations\n\
         {} of {} weights are not zero ({:.1}x); instructions predicted for a Cortex-{:?}\n\n{}",
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
        report.core,
        layers(model, instructions)
    )
}

/// The table of layers, `instructions` heading its last column.
pub(super) fn layers(report: &ModelReport, instructions: &str) -> String {
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
        if predicted { instructions } else { "" },
    ]);
    let figures = |layers: &[&LayerReport]| {
        let sum = |figure: &dyn Fn(&LayerReport) -> usize| {
            thousands(layers.iter().map(|layer| figure(layer)).sum::<usize>())
        };
        let least = |figure: &dyn Fn(&LayerReport) -> f64| {
            let bytes: f64 = layers.iter().map(|layer| figure(layer)).sum();
            thousands(bytes.ceil() as u64)
        };
        let instructions = layers.iter().map(|layer| layer.instructions).sum();
        [
            sum(&|l| l.bytes.positions),
            least(&|l| l.limit.positions),
            sum(&|l| l.bytes.values),
            least(&|l| l.limit.values),
            sum(&|l| l.bytes.biases),
            sum(&|l| l.bytes.parameters),
            sum(&|l| l.bytes.total),
            Option::<u64>::map_or(instructions, String::new(), thousands),
        ]
    };
    for layer in &report.layers {
        let has_weights = layer.original_inputs > 0;
        let or_dash = |text: String| if has_weights { text } else { "-".into() };
        let names = [
            format!("{} {}", layer.layer, layer.operation),
            layer.original_shape(),
            layer.shape(),
            or_dash(thousands(layer.nonzeros)),
            or_dash(format!("{:.2} %", 100.0 * layer.density)),
            or_dash(layer.encoding.into()),
        ];
        rows.add_row(names.into_iter().chain(figures(&[layer])));
    }
    let names = ["all", "", "", &thousands(report.nonzeros), "", ""].map(String::from);
    let all: Vec<&LayerReport> = report.layers.iter().collect();
    rows.add_row(names.into_iter().chain(figures(&all)));
    text(&rows)
}
