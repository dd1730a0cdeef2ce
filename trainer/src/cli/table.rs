//! Text tables: aligned columns, shapes and percentages.

use comfy_table::{CellAlignment, Table, presets};

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

/// Formats a fraction as a percentage: 96.88 %.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
