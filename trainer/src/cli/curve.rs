//! `rarefy effective --curve`: plots effective against direct compression of pruners.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::console::Console;
use super::next::{Next, Why};
use super::source;
use super::usage::each_once;
use crate::atomic;
use crate::graph::Graph;
use crate::plot::curves;
use crate::pruning::curve::{self, Curve, Point};
use crate::pruning::effective::Mode;
use crate::pruning::{Compression, Pruner};

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    mode: Mode,
    total: usize,
    curves: Vec<Line>,
    svg: String,
    csv: String,
}

/// One pruner's curve.
#[derive(Debug, Serialize)]
struct Line {
    pruner: String,
    points: Vec<Point>,
}

/// Plots the curves of the pruners called `names` up to the direct compression `most` into the SVG
/// file `picture`, and writes the numbers to a CSV file of the same name.
pub(super) fn draw(
    graph: &Graph,
    names: &[String],
    source: &source::Options,
    (mode, most): (Mode, f64),
    picture: &Path,
    console: &Console,
) -> Result<()> {
    let most = Compression::new(most)?;
    let numbers = picture.with_extension("csv");
    let mut pruners = names
        .iter()
        .map(|name| Pruner::by_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    each_once(&mut pruners, |a, b| a.name() == b.name());
    let lines = trace(graph, &pruners, source, (mode, most), console)?;
    let svg = curves::svg(graph.name(), &lines).map_err(|reason| anyhow!(reason))?;
    atomic::write(picture, svg.as_bytes())?;
    atomic::write(&numbers, curve::csv(&lines).as_bytes())?;
    let report = Report {
        arch: graph.name().into(),
        mode,
        total: graph.total(),
        curves: lines
            .into_iter()
            .map(|Curve { pruner, points, .. }| Line { pruner, points })
            .collect(),
        svg: picture.display().to_string(),
        csv: numbers.display().to_string(),
    };
    console.result(
        &report,
        || format!("{} and {}", report.svg, report.csv),
        Next::Nothing(Why::Picture),
    )
}

/// Returns the curves of `pruners` up to the direct compression `most`, with a progress bar.
fn trace(
    graph: &Graph,
    pruners: &[Pruner],
    source: &source::Options,
    (mode, most): (Mode, Compression),
    console: &Console,
) -> Result<Vec<Curve>> {
    let material = source.gather(graph, pruners, console)?;
    let bar = console.bar(0);
    let mut lines = Vec::new();
    for pruner in pruners {
        bar.name(pruner.name());
        bar.length(pruners.len() as u64);
        bar.at(lines.len() as u64);
        let ordering = pruner.order(&material.source(&source::follow(&bar)), most)?;
        let line = Curve::new(graph, &ordering, pruner.name(), mode, most);
        if line.points.is_empty() {
            return Err(anyhow!(
                "{} has no connected mask of {} up to direct compression {most}: raise --most, or leave this pruner out",
                pruner.name(),
                graph.name()
            ));
        }
        lines.push(line);
    }
    drop(bar);
    Ok(lines)
}
