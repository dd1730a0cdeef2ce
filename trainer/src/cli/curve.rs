//! `rarefy effective --curve`: effective against direct compression, the whole curve of pruners.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::console::Console;
use super::next::{Next, Why};
use super::source;
use crate::atomic;
use crate::graph::Graph;
use crate::plot::curves;
use crate::pruning::curve::{self, Curve, Point};
use crate::pruning::effective::Mode;
use crate::pruning::{Pruner, search};

/// What is printed.
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

/// Draws the curves of the pruners called `names` up to the direct compression `most` into the SVG
/// file `picture`, and writes their numbers beside it as CSV.
pub(super) fn draw(
    graph: &Graph,
    names: &[String],
    source: &source::Options,
    (mode, most): (Mode, f64),
    picture: &Path,
    console: &Console,
) -> Result<()> {
    search::check_compression(most)?;
    let numbers = picture.with_extension("csv");
    let pruners = names
        .iter()
        .map(|name| Pruner::by_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    let material = source.gather(graph, &pruners, console)?;
    let bar = console.bar(0);
    let mut lines = Vec::new();
    for pruner in &pruners {
        bar.name(pruner.name());
        bar.length(pruners.len() as u64);
        bar.at(lines.len() as u64);
        let ordering = pruner.order(&material.source(&source::follow(&bar)), most)?;
        let line = Curve::new(graph, &ordering, pruner.name(), mode, most);
        if line.points.is_empty() {
            return Err(anyhow!(
                "{} has no connected mask of {} up to direct compression {most}: draw further with --most, or leave it out",
                pruner.name(),
                graph.name()
            ));
        }
        lines.push(line);
    }
    drop(bar);
    let svg = curves::svg(graph.name(), &lines).map_err(|reason| anyhow!(reason))?;
    // Both or neither.
    if let Some(folder) = [numbers.as_path(), picture]
        .into_iter()
        .find(|path| path.is_dir())
    {
        return Err(anyhow!(
            "cannot write {}: it is a folder; give --curve another name",
            folder.display()
        ));
    }
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
