//! `rarefy effective`: the connected weights of a mask, or the effective compression of pruners.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use super::next::{Line, Next, Why, free};
use super::overwrite::Kind;
use super::{curve, overwrite, source, usage};
use crate::graph;
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Masks, Pruner};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Architecture of the masks: a name listed by `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    /// Safetensors file with a mask per prunable tensor: 0 and 1, or floats whose nonzeros are
    /// kept
    #[arg(long, value_name = "FILE", required_unless_present_any = ["curve", "pruners"])]
    masks: Option<PathBuf>,
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
    let graph = graph::load(&arguments.arch)?;
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
    if let Some(option) = arguments.source.given() {
        return Err(usage::wrong(format!(
            "{option} needs --curve: analysing a mask does not use it"
        )));
    }
    // clap requires --masks or --curve.
    let masks = arguments.masks.as_deref().unwrap_or(Path::new(""));
    if let Some(out) = &arguments.out {
        let read = overwrite::of_arch(&arguments.arch);
        let read = read.into_iter().chain([masks.into()]);
        overwrite::check("--out", out, Kind::Masks, read)?;
    }
    let direct = Masks::load(&graph, masks)?;
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
