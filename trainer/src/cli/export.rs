//! `rarefy export`: a finished run as a container.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::console::Console;
use super::table::{percent, thousands};
use super::{data, inspect};
use crate::deploy::container::EncodingChoice;
use crate::deploy::export::FinishedRun;

/// Points of accuracy lost in quantization that a person should hear of.
const NOTABLE_LOSS: f64 = 0.003;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder, made by `rarefy train`
    run: PathBuf,
    /// The container to write
    #[arg(long, short, value_name = "FILE", default_value = "model.rfy")]
    out: PathBuf,
    /// The type of the stored weights
    #[arg(long, value_enum, default_value_t = WeightType::Int8)]
    weights: WeightType,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,
    /// Where the run's dataset is now [default: as the run was given it]
    #[arg(long)]
    data: Option<String>,
}

/// Types of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightType {
    /// 8-bit integers
    Int8,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// Whichever takes fewer bytes, layer by layer
    Auto,
    /// Compressed sparse rows
    Csr,
    /// Every weight, zeros included
    Dense,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let WeightType::Int8 = arguments.weights;
    let run = FinishedRun::open(&arguments.run)?;
    let data = data::load(
        arguments.data.as_deref().unwrap_or(&run.recipe.data),
        console,
    )?;
    let encoding = match arguments.encoding {
        Encoding::Auto => EncodingChoice::Auto,
        Encoding::Csr => EncodingChoice::Csr,
        Encoding::Dense => EncodingChoice::Dense,
    };
    let report = run.export(&data, encoding, &arguments.out)?;
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    if pruned - deployed > NOTABLE_LOSS {
        console.note(&format!(
            "quantization cost {:.2} points of accuracy: more than expected of 8 bits",
            100.0 * (pruned - deployed)
        ));
    }
    console.result(&report, || {
        format!(
            "{}\n{path}: {} bytes, {} of test images right with the device's arithmetic ({} trained)\nNext: rarefy measure {path} --board mps2-an386\n",
            inspect::layers(&report.model),
            thousands(report.model.bytes),
            percent(deployed),
            percent(pruned),
            path = report.model.path,
        )
    })
}
