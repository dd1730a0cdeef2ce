//! Tables for people: aligned columns, thousands set apart.

use comfy_table::{CellAlignment, Table, presets};

/// A table with the given heads; the first column is of names, the others of numbers.
pub(super) fn table<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heads);
    for index in 0..N {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((if index == 0 { 2 } else { 1 }, 1));
            if index > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// The text of `table`, without spaces at the ends of lines.
pub(super) fn text(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_string() + "\n")
        .collect()
}

/// `number` with its thousands set apart: 266,200.
pub(super) fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(0_u64).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: 96.88 %.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0_u64, 999, 1000, 266_200, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "266,200", "1,234,567"]);
    }
}
