//! The report of `rarefy export` on a network that was written as code: its size and its flash.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::console::Console;
use super::measured;
use super::table::{measure, quality};
use crate::deploy::emit::{self, Language};
use crate::deploy::export::{Code, ExportAccuracy, ExportErrors};
use crate::deploy::quantize::Fidelity;
use crate::device::{self, Board, CodeFlash};
use crate::numbers::thousands;

/// The report on an export as code.
#[derive(Debug, Serialize)]
pub(super) struct CodeReport {
    /// Path of the file.
    path: String,
    /// Size of the source in bytes.
    source_bytes: usize,
    /// Size in bytes of the container that the same options export, if it can be written.
    container_bytes: Option<usize>,
    /// The board that flash was measured for.
    board: String,
    /// Flash of the code in bytes, if it could be compiled.
    flash_bytes: Option<u64>,
    /// Flash in bytes of that container with the engine, if it could be compiled.
    container_flash_bytes: Option<u64>,
    /// Why the flash is unknown.
    flash_unknown: Option<String>,
    /// Type of the weights.
    weights: String,
    /// Number of weights in the code.
    nonzeros: usize,
    /// Accuracies on the test images.
    accuracy: ExportAccuracy,
    /// Mean squared errors on the test samples, if targets are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    mse: Option<ExportErrors>,
    /// Largest relative difference between the outputs of the trained and the stripped network.
    stripping_error: f64,
    /// Quantization error of each layer.
    fidelity: Vec<Fidelity>,
}

impl CodeReport {
    /// Reports on `code`, which was written to `out`, after measuring its flash on `board`.
    pub(super) fn new(
        code: &Code,
        (language, out): (Language, &Path),
        board: &Board,
        console: &Console,
    ) -> Self {
        let measured = match language {
            Language::Rust => flash(code, board, console),
            Language::C => c_flash(code, out, board, console),
        };
        let flash = measured.as_ref().ok();
        Self {
            path: out.display().to_string(),
            source_bytes: code.source.len(),
            container_bytes: code.instead.as_ref().map(|container| container.len()),
            board: board.name.clone(),
            flash_bytes: flash.map(|flash| flash.code),
            container_flash_bytes: flash.and_then(|flash| flash.container),
            flash_unknown: measured.as_ref().err().map(ToString::to_string),
            weights: code.report.weights.clone(),
            nonzeros: code.report.model.nonzeros + code.report.model.inserted_nonzeros,
            accuracy: code.report.accuracy,
            mse: code.report.mse,
            stripping_error: code.report.stripping_error,
            fidelity: code.report.fidelity.clone(),
        }
    }

    /// Returns the flash that the code takes on the board, in bytes, if it is known.
    pub(super) fn flash_bytes(&self) -> Option<u64> {
        self.flash_bytes
    }

    /// Formats the report as text.
    pub(super) fn text(&self) -> String {
        let board = &self.board;
        let flash = match (self.flash_bytes, &self.flash_unknown) {
            (Some(bytes), _) => format!(
                "It takes {} bytes of flash on {board}, including all code that it needs",
                thousands(bytes)
            ),
            (None, why) => format!(
                "Its flash usage on {board} is unknown: {}",
                why.as_deref().unwrap_or_default()
            ),
        };
        let instead = match (self.container_flash_bytes, self.container_bytes) {
            (Some(flash), Some(bytes)) => format!(
                "A container exported with the same options takes {} bytes there: {} bytes and the engine",
                thousands(flash),
                thousands(bytes)
            ),
            (None, Some(bytes)) => format!(
                "A container exported with the same options has {} bytes and needs the engine; `rarefy measure` reports the flash usage of both",
                thousands(bytes)
            ),
            _ => "A container cannot be written with the same options".into(),
        };
        format!(
            "{}: {} weights as code ({} bytes of source), {} {} ({} before quantization)\n{flash}\n{instead}\n",
            self.path,
            thousands(self.nonzeros),
            thousands(self.source_bytes),
            measure(self.mse.map(|mse| mse.deployed)),
            quality(self.accuracy.deployed, self.mse.map(|mse| mse.deployed)),
            quality(self.accuracy.pruned, self.mse.map(|mse| mse.pruned)),
        )
    }
}

/// Measures the flash that `code`, and the container that the same options export, take on
/// `board`, by compiling both.
fn flash(code: &Code, board: &Board, console: &Console) -> Result<CodeFlash> {
    let options = measured::network_only();
    let spinner = console.spinner();
    let progress = &mut |step: &str| spinner.message(step);
    Ok(device::code_flash(
        board,
        (&code.container, &code.source),
        code.instead.as_deref(),
        &options,
        progress,
    )?)
}

/// Measures the flash that `code`, the header `out`, takes on `board`, by compiling it with GCC.
fn c_flash(code: &Code, out: &Path, board: &Board, console: &Console) -> Result<CodeFlash> {
    let options = measured::network_only();
    let spinner = console.spinner();
    spinner.message(&format!("{}: compiling the network", board.name));
    let code = device::c_flash(board, &code.source, &emit::prefix(out), &options)?;
    Ok(CodeFlash {
        code,
        container: None,
    })
}
