//! `rarefy effective`: the truth about a mask, or about a whole pruner.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::counts::Counts;
use super::next::{Line, Next, Why, free};
use super::{curve, output, source, usage};
use crate::graph;
use crate::pruning;
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Masks, Pruner};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The architecture the masks belong to: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    arch: String,
    /// A safetensors file with one tensor of 0 and 1 for each prunable tensor (a float tensor
    /// counts its nonzeros)
    #[arg(long, value_name = "FILE", required_unless_present = "curve")]
    masks: Option<PathBuf>,
    /// How connections are looked at
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Write the effective masks to this safetensors file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Instead of one mask, draw effective against direct compression of whole pruners into this
    /// SVG file, and write the numbers beside it as CSV; a file there that holds no such numbers is
    /// not replaced
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["masks", "out"], requires = "pruners")]
    curve: Option<PathBuf>,
    #[arg(long = "pruner", value_name = "PRUNER", requires = "curve", conflicts_with = "masks", help = format!("A pruner to draw (may be given again): {}", Pruner::names().join(", ")))]
    pruners: Vec<String>,
    /// How far to draw, a direct compression; synflow and snip/iterative are drawn through the
    /// masks of one run to there
    #[arg(
        long,
        default_value_t = 1e5,
        requires = "curve",
        conflicts_with = "masks"
    )]
    most: f64,
    #[command(flatten, next_help_heading = "What pruners look at, with --curve")]
    source: source::Options,
}

/// What is printed.
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
        let read = || (arguments.source.files()).chain(output::of_arch(&arguments.arch));
        output::check("--curve", picture, read())?;
        output::check_svg("--curve", picture)?;
        let numbers = picture.with_extension("csv");
        output::check("the numbers beside --curve,", &numbers, read())?;
        let advice = "move it, or give --curve another name";
        let is_ours = |bytes: &[u8]| bytes.starts_with(pruning::curve::HEADER.as_bytes());
        output::check_unnamed(&numbers, is_ours, advice)?;
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
            "{option} is for pruners, with --curve: a mask is looked at alone"
        )));
    }
    // The command line asks for one or the other.
    let masks = arguments.masks.as_deref().unwrap_or(Path::new(""));
    if let Some(out) = &arguments.out {
        let read = output::of_arch(&arguments.arch);
        output::check("--out", out, read.into_iter().chain([masks.into()]))?;
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
