//! `rarefy effective`: the connected weights of a mask, or the effective compression of pruners.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use super::network::{self, MaskSource};
use super::next::{Line, Next, Why, free};
use super::overwrite::Kind;
use super::{curve, overwrite, source, usage};
use crate::graph::{self, Graph};
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Masks, Pruner, Weights};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Architecture of the masks: a name listed by `rarefy arch`, a TOML file, or a folder with an
    /// arch.toml
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    /// Safetensors file with a mask per prunable tensor: 0 and 1, or floats whose nonzeros are
    /// kept; or zeros for the zeros of --weights
    #[arg(long, value_name = "FILE|zeros", required_unless_present_any = ["curve", "pruners"])]
    masks: Option<MaskSource>,
    /// What counts as a connection
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Safetensors file to write the effective masks to; an existing file is overwritten only if
    /// it holds masks
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plot effective against direct compression of pruners to this SVG file, and write the
    /// numbers to a CSV file of the same name (unrelated files are not overwritten)
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["masks", "out"], requires = "pruners")]
    curve: Option<PathBuf>,
    #[arg(long = "pruner", value_name = "PRUNER", requires = "curve", conflicts_with = "masks", help = format!("Pruner to plot (repeatable): {}", Pruner::names().join(", ")))]
    pruners: Vec<String>,
    /// Highest direct compression to plot; synflow and snip/iterative are run once, to this
    /// compression
    #[arg(
        long,
        default_value_t = 1e5,
        requires = "curve",
        conflicts_with = "masks"
    )]
    most: f64,
    #[command(flatten, next_help_heading = "Input of the pruners (with --curve)")]
    source: source::Options,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    mode: Mode,
    #[serde(flatten)]
    counts: Counts,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let graph = graph::load(&network::arch(&arguments.arch))?;
    let mode = arguments.mode;
    if let Some(picture) = &arguments.curve {
        let read = || (arguments.source.files()).chain(overwrite::of_arch(&arguments.arch));
        overwrite::check("--curve", picture, Kind::Picture, read())?;
        overwrite::check_svg("--curve", picture)?;
        let numbers = picture.with_extension("csv");
        overwrite::check("the CSV file of --curve", &numbers, Kind::Numbers, read())?;
        let Arguments {
            pruners,
            source,
            most,
            ..
        } = arguments;
        return curve::draw(&graph, pruners, source, (mode, *most), picture, console);
    }
    let direct = masks(arguments, &graph)?;
    let connected = effective::masks(&graph, &direct, mode);
    if let Some(out) = &arguments.out {
        connected.save(out)?;
    }
    let report = Report {
        arch: graph.name().into(),
        mode,
        counts: Counts::new(&graph, &direct, &connected, mode),
    };
    report.counts.warn(console);
    let next = match arguments.out {
        Some(_) => Next::Nothing(Why::Masks),
        None => Line::again(&[])
            .option("--out", free("connected.safetensors"))
            .into(),
    };
    console.result(&report, || report.counts.text(), next)
}

/// Returns the masks of `graph` that are given: those in a file, or the zeros of weights.
///
/// # Errors
/// Returns an error if an option has no effect, if --out would overwrite another file, or if a file
/// does not fit `graph`.
fn masks(arguments: &Arguments, graph: &Graph) -> Result<Masks> {
    let is_zeros = arguments.masks == Some(MaskSource::Zeros);
    let mut given = arguments.source.given();
    if let Some(option) = given.find(|option| !is_zeros || *option != "--weights") {
        return Err(usage::wrong(format!(
            "{option} needs --curve: analysing a mask does not use it"
        )));
    }
    let read = match &arguments.masks {
        Some(MaskSource::File(path)) => path.clone(),
        // clap requires --masks or --curve.
        _ => {
            let beside = network::weights_beside(&arguments.arch);
            arguments.source.weights().or(beside).ok_or_else(|| {
                usage::wrong(
                    "--masks zeros takes the zeros of weights: add --weights, or write ./zeros for a file of that name",
                )
            })?
        }
    };
    if let Some(out) = &arguments.out {
        let arch = overwrite::of_arch(&arguments.arch).into_iter();
        overwrite::check("--out", out, Kind::Masks, arch.chain([read.clone()]))?;
    }
    match is_zeros {
        true => Ok(Weights::load(graph, &read)?.nonzero(graph)),
        false => Ok(Masks::load(graph, &read)?),
    }
}
