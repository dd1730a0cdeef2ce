//! `rarefy inspect`: shows the contents of a container as a table and as a picture.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::model::ModelFile;
use super::next::{Line, Next, Why};
use super::overwrite;
use super::table::{percent, table, text};
use crate::atomic;
use crate::deploy::companion::{self, Companion};
use crate::deploy::costs::Core;
use crate::deploy::report::{self, LayerReport, ModelReport};
use crate::device::engine_features;
use crate::numbers::thousands;
use crate::plot::bytes;

/// The meaning of the columns.
const EXPLANATION: &str = "\
Every byte of a layer is counted once: positions (where the weights are: columns, row lengths, \
starts, runs), values (the weights; of a packed 16-bit word, the bits of the weight), biases, and \
parameters (convolution geometry, links to other layers, the block header, a codebook).

\"At least\" is the information limit. Choosing which k of n weights are nonzero takes \
log2 C(n, k) bits, and each value takes as many bits as its encoding stores per value. An encoding \
can go below the limit if weights cluster, if small values are more frequent, or if the exporter \
reordered units to suit it.

Instructions are predicted for the core that the container was exported for, from the layer inputs \
observed at export, if `export` left its report next to the container. Otherwise they are \
predicted for a Cortex-M4, and \"at most\" marks layers that skip zero inputs (columns, and \
convolutions that test for zeros): the prediction then assumes that no input is zero. The last row \
includes the instructions that an inference executes outside its layers.

Layers that `export` inserted (a copy of a map for an addition, or a constant channel) are marked if \
`export` left its report next to the container; their weights are counted separately.

Units say which numbers input bytes and logits stand for: the byte of a number x is the stated \
value, rounded to the nearest and limited to 0 to 255.

A shape is outputs x inputs for a dense layer, and outputs x channels x window for a convolution, \
before and after detached units were stripped.";

#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
pub(super) struct Arguments {
    /// Container (.rfy file)
    model: PathBuf,
    /// Draw the bytes of each layer to this SVG file (an unrelated file is not overwritten)
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

/// The report.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    model: ModelReport,
    /// The core for which instructions are predicted.
    core: Core,
    /// Features of the engine that the model needs.
    features: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    svg: Option<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    if let Some(picture) = &arguments.svg {
        let read = [&arguments.model, &companion::path(&arguments.model)];
        overwrite::check("--svg", picture, overwrite::Kind::Picture, read)?;
        overwrite::check_svg("--svg", picture)?;
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
    let report = Report {
        model,
        core,
        features: engine_features(Some(file.model()?)),
        svg,
    };
    let next = match companion {
        // Without labels there is no accuracy.
        Some(companion) if !companion.data.reading.has_labels() => file.measure_line(None).into(),
        Some(_) => Line::new(&["eval"]).path(file.path()).into(),
        None => Next::Nothing(Why::Data),
    };
    let text = || {
        let picture = report.svg.as_ref();
        describe(&report) + &picture.map_or(String::new(), |path| format!("\n{path}\n"))
    };
    console.result(&report, text, next)
}

/// Formats the report as text.
fn describe(report: &Report) -> String {
    let model = &report.model;
    format!(
        "{}: format {}, {} bytes ({} for header and layer records, {} padding)\n\
         {} inputs of one byte, {} outputs, {} bytes of RAM for activations\n{}\
         {} of {} weights are nonzero ({:.1}x){}; instructions are predicted for a Cortex-{:?}\n\
         Cargo.toml: {}\n\n{}",
        model.path,
        model.format,
        thousands(model.bytes),
        model.overhead_bytes - model.padding_bytes - model.units_bytes(),
        model.padding_bytes,
        model.inputs,
        model.outputs,
        thousands(model.arena_bytes),
        units(model),
        thousands(model.nonzeros),
        thousands(model.total),
        model.total as f64 / model.nonzeros.max(1) as f64,
        inserted(model),
        report.core,
        dependency(&report.features),
        layers(model)
    )
}

/// Formats what input bytes and logits stand for, and the bytes that this takes; empty if the
/// container does not state it.
fn units(model: &ModelReport) -> String {
    model.units.as_ref().map_or_else(String::new, |units| {
        format!(
            "units ({} bytes): {units}\n",
            thousands(model.units_bytes())
        )
    })
}

/// Formats the line of a manifest that enables these `features` of the engine alone.
fn dependency(features: &[&str]) -> String {
    let features: Vec<String> = features.iter().map(|name| format!("{name:?}")).collect();
    format!(
        "rarefy-runtime = {{ path = \"rarefy/runtime\", default-features = false, features = [{}] }}",
        features.join(", ")
    )
}

/// Formats the number of weights that deployment inserted: ", plus 3 inserted by deployment".
/// Empty if there are none.
fn inserted(model: &ModelReport) -> String {
    match model.inserted_nonzeros {
        0 => String::new(),
        count => format!(", plus {} inserted by deployment", thousands(count)),
    }
}

/// Formats the table of layers.
pub(super) fn layers(report: &ModelReport) -> String {
    // Instructions are predicted for all layers or for none.
    let mut layers = report.layers.iter();
    let predicted = layers.any(|layer| layer.instructions.is_some());
    let mut rows = table([
        "layer",
        "shape",
        "stripped to",
        "nonzeros",
        "density",
        "encoding",
        "positions",
        "at least",
        "values",
        "at least",
        "biases",
        "parameters",
        "bytes",
        if predicted { "instructions" } else { "" },
    ]);
    for layer in &report.layers {
        let predicted = instructions(layer.instructions, layer.at_most);
        let figures = names(layer).into_iter().chain(bytes_of(&[layer]));
        rows.add_row(figures.chain([predicted]));
    }
    let stored = thousands(report.nonzeros + report.inserted_nonzeros);
    let names = ["total", "", "", &stored, "", ""].map(String::from);
    let all: Vec<&LayerReport> = report.layers.iter().collect();
    let predicted = instructions(report.instructions, report.at_most);
    rows.add_row(names.into_iter().chain(bytes_of(&all)).chain([predicted]));
    text(&rows)
}

/// Formats the columns that describe a layer: its name, shapes, nonzeros, density and encoding.
fn names(layer: &LayerReport) -> [String; 6] {
    let has_weights = layer.original_inputs > 0;
    let or_dash = |text: String| if has_weights { text } else { "-".into() };
    let inserted = if layer.inserted { " (inserted)" } else { "" };
    [
        format!("{} {}{inserted}", layer.layer, layer.operation),
        layer.original_shape(),
        layer.shape(),
        or_dash(thousands(layer.nonzeros)),
        or_dash(percent(layer.density)),
        or_dash(layer.encoding.into()),
    ]
}

/// Formats the sums of bytes and information limits over `layers`.
fn bytes_of(layers: &[&LayerReport]) -> [String; 7] {
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
}

/// Formats predicted instructions, an upper bound if `at_most`; empty if there is no prediction.
fn instructions(predicted: Option<u64>, at_most: bool) -> String {
    let bound = if at_most { "at most " } else { "" };
    predicted.map_or_else(String::new, |count| bound.to_owned() + &thousands(count))
}
