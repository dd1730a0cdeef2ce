//! Compares the containers that one network can be exported to, on one board.

use serde::Serialize;

use super::boards::Board;
use super::fits::{FitsError, build_with_stack};
use super::measure::measure;
use super::options::MeasureOptions;
use super::pareto::{self, Point};
use super::report::{BoardReport, BoardSummary, NetworkReport};
use crate::deploy::{Setting, Variant};

/// What the containers of a network take on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The board.
    #[serde(flatten)]
    pub board: BoardSummary,
    /// Number of samples that were run; 0 if the programs were only built.
    pub samples: usize,
    /// One row per container, in the order in which they were given.
    pub rows: Vec<Row>,
}

/// A container, and what it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The settings that give the container.
    pub settings: Vec<Setting>,
    /// The encoding of each layer.
    pub encodings: Vec<&'static str>,
    /// Accuracy on all test images with the device's arithmetic, 0 to 1; R² if targets are numbers.
    pub accuracy: f64,
    /// Mean squared error on all test images; `None` if targets are classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mse: Option<f64>,
    /// Whether an export rejects the container unless a loss of accuracy is allowed.
    pub lossy: bool,
    /// Size of the container in bytes.
    pub bytes: usize,
    /// Whether the container fits the board, and no other one that does is at least as good in
    /// accuracy, bytes and median cost, and better in one of them. Cost does not count if nothing
    /// was run.
    pub pareto: bool,
    /// What it takes on the board.
    #[serde(flatten)]
    pub network: NetworkReport,
}

/// Measures each of `variants` on `board`: runs it on `inputs` as [`measure`] does, or only builds
/// its program if there are none. The dense twin is left out. `progress` receives the number of
/// variants done before, and a line per step.
///
/// # Errors
/// Returns an error if an input is invalid, or if a program cannot be built or run. A container
/// that does not fit, or a logit that differs, is not an error; its row says so.
pub fn compare(
    board: &Board,
    variants: &[Variant],
    inputs: Option<&[Vec<u8>]>,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(usize, &str),
) -> Result<Comparison, FitsError> {
    let options = MeasureOptions {
        cycles: options.cycles,
        ..options.network_only()
    };
    let mut rows = Vec::new();
    for (index, variant) in variants.iter().enumerate() {
        let progress = &mut |step: &str| progress(index, step);
        let BoardReport { network, .. } = match inputs {
            Some(inputs) => measure(board, &variant.bytes, inputs, &options, progress)?,
            None => build_with_stack(board, &variant.bytes, &options, progress)?,
        };
        rows.push(Row {
            settings: variant.settings.clone(),
            encodings: variant.encodings(),
            accuracy: variant.report.accuracy.deployed,
            mse: variant.report.mse.map(|mse| mse.deployed),
            lossy: variant.report.accuracy.is_lossy(),
            bytes: variant.bytes.len(),
            pareto: false,
            network,
        });
    }
    mark(&mut rows);
    Ok(Comparison {
        board: BoardSummary::new(board),
        samples: inputs.map_or(0, <[_]>::len),
        rows,
    })
}

/// Marks the Pareto-optimal rows among those whose containers fit.
fn mark(rows: &mut [Row]) {
    let mut fitting: Vec<&mut Row> = rows.iter_mut().filter(|row| row.network.fits).collect();
    let points: Vec<Point> = fitting
        .iter()
        .map(|row| Point {
            accuracy: row.accuracy,
            bytes: row.bytes,
            cost: row.network.cost.counts().map_or(0, |counts| counts.median),
        })
        .collect();
    for (row, optimal) in fitting.iter_mut().zip(pareto::optimal(&points)) {
        row.pareto = optimal;
    }
}
