//! Text tables: aligned columns, shapes and percentages.

use comfy_table::{CellAlignment, Table, presets};

use crate::numbers::significant;

/// Returns an empty table with these headings: a left-aligned first column of names, then
/// right-aligned columns of numbers.
pub(super) fn table<const N: usize>(heads: [&str; N]) -> Table {
    columns(&heads)
}

/// Returns an empty table as [`table`] does, with as many columns as there are headings.
pub(super) fn columns(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heads);
    for index in 0..heads.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((if index == 0 { 2 } else { 1 }, 1));
            if index > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Renders `table` without trailing spaces.
pub(super) fn text(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_string() + "\n")
        .collect()
}

/// Formats a shape: "6 x 14 x 14".
pub(super) fn dimensions(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    lengths.join(" x ")
}

/// Formats the quality of a network: its accuracy or, if targets are numbers, its mean squared
/// error `mse` and its R², in place of the accuracy.
pub(super) fn quality(accuracy: f64, mse: Option<f64>) -> String {
    match mse {
        Some(mse) => format!("{} (R² {accuracy:.4})", significant(mse)),
        None => percent(accuracy),
    }
}

/// Describes the mean squared error `mse` of outputs, and R².
pub(super) fn error(mse: f64, r2: f64) -> String {
    format!(
        "mean squared error {}, {:.2} % of the targets' variance (R² {r2:.4})",
        significant(mse),
        100.0 * (1.0 - r2)
    )
}

/// Returns the name of what [`quality`] formats.
pub(super) fn measure(mse: Option<f64>) -> &'static str {
    match mse {
        Some(_) => "mean squared error",
        None => "accuracy",
    }
}

/// Formats a fraction as a percentage: 96.88 %.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
