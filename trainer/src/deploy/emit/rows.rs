//! Writes weighted sums as expressions, and the functions that consist of them.
//!
//! There are two forms. **By rows**: one expression per row loads its inputs one after the other
//! and keeps the sum in a register; inputs with weights of equal magnitude are added first and
//! multiplied once. **By columns**, for few rows: all sums are kept in registers, each input is
//! loaded once, and an input that several rows read is skipped if it is 0.
//!
//! The number of weights per function is limited, so that compile time stays linear. Expressions
//! read the same in Rust and in C: `x(column)` is an input, and `y[row]` an output.

use super::put;
use super::syntax::{Function, Output, Syntax};

/// The maximum number of rows whose sums fit the registers of an ARMv7-M.
const FEW_ROWS: usize = 12;

/// The maximum number of weights in a function written by columns.
const MOST_BY_COLUMNS: usize = 8_000;

/// The maximum number of weights in a function written by rows, unless a single row has more.
const PART: usize = 1_500;

/// The maximum length of a line.
const LINE: usize = 100;

/// The biases and the rows of a layer, each row as (column, weight) pairs sorted by column.
pub(super) struct Rows<'a> {
    pub(super) bias: &'a [i32],
    pub(super) rows: &'a [Vec<(u16, i16)>],
}

impl Rows<'_> {
    /// Returns whether the sums are to be written by columns: if there are few rows, not too many
    /// weights, and at least 1.5 weights per column on average.
    fn by_columns(&self) -> bool {
        let weights: usize = self.rows.iter().map(Vec::len).sum();
        let columns = self.columns().len();
        self.rows.len() <= FEW_ROWS && 2 * weights >= 3 * columns && weights <= MOST_BY_COLUMNS
    }

    /// Returns the rows of each function. Rows are ordered to share columns with the two rows
    /// before them, so that the compiler finds their inputs in registers.
    fn parts(&self) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = (0..self.rows.len()).collect();
        let mut parts: Vec<Vec<usize>> = vec![Vec::new()];
        let mut room = PART;
        let (mut before, mut last): (&[_], &[_]) = (&[], &[]);
        while !left.is_empty() {
            let shared = |row: &[(u16, i16)]| 2 * common(row, last) + common(row, before);
            // Of two rows that tie, the first is next.
            let next = (0..left.len())
                .rev()
                .max_by_key(|&index| shared(&self.rows[left[index]]));
            let row = left.remove(next.expect("some are left"));
            (before, last) = (last, &self.rows[row]);
            if last.len() > room && room < PART {
                parts.push(Vec::new());
                room = PART;
            }
            room = room.saturating_sub(last.len().max(1));
            parts.last_mut().expect("there is one").push(row);
        }
        parts
    }

    /// Returns the columns that have weights, ascending, each with its (row, weight) pairs.
    fn columns(&self) -> Vec<(u16, Vec<(usize, i16)>)> {
        let mut columns = std::collections::BTreeMap::<u16, Vec<(usize, i16)>>::new();
        for (row, weights) in self.rows.iter().enumerate() {
            for &(column, weight) in weights {
                columns.entry(column).or_default().push((row, weight));
            }
        }
        columns.into_iter().collect()
    }
}

/// Returns a function `name(x)` that computes all rows over `inputs` values; a long function is
/// split into parts.
pub(super) fn function(
    part: &Rows<'_>,
    name: &str,
    inputs: usize,
    result: Output,
    syntax: &dyn Syntax,
) -> String {
    let outputs = part.rows.len();
    let function = Function {
        name,
        inputs,
        outputs,
        result,
    };
    let store = |row: usize, sum: &str| match result {
        Output::Sums => format!("y[{row}] = {sum};"),
        Output::Stored { shift } => format!("y[{row}] = {};", syntax.stored(sum, shift)),
    };
    let mut body = String::new();
    if part.by_columns() {
        by_columns(&mut body, part, syntax);
        for row in 0..outputs {
            line(&mut body, 4, &store(row, &format!("s{row}")));
        }
        return syntax.whole(&function, &body);
    }
    let parts = part.parts();
    let write = |body: &mut String, rows: &[usize]| {
        for &row in rows {
            let sum = expression(part.bias[row], &part.rows[row]);
            line(body, 4, &store(row, &sum));
        }
    };
    if let [rows] = &parts[..] {
        write(&mut body, rows);
        return syntax.whole(&function, &body);
    }
    let bodies = parts.iter().map(|rows| {
        let mut body = String::new();
        write(&mut body, rows);
        body
    });
    syntax.in_parts(&function, &bodies.collect::<Vec<_>>())
}

/// Appends statements that compute the sums `s0`, `s1`, ... by columns.
fn by_columns(code: &mut String, part: &Rows<'_>, syntax: &dyn Syntax) {
    for (row, bias) in part.bias.iter().enumerate() {
        put(code, format_args!("    {}\n", syntax.sum(row, *bias)));
    }
    for (column, weights) in part.columns() {
        let terms = weights.iter().map(|&(row, weight)| {
            let (sign, factor) = factor(weight);
            format!("s{row} {sign}= {factor}x{column};")
        });
        let terms = terms.collect::<Vec<_>>().join(" ");
        put(code, format_args!("    {}\n", syntax.column(column)));
        if weights.len() == 1 {
            line(code, 4, &terms);
        } else {
            put(code, format_args!("    {} {{\n", syntax.nonzero(column)));
            line(code, 8, &terms);
            *code += "    }\n";
        }
    }
}

/// Returns the sign of a weight, and its magnitude as a factor: "3 * ", or "" for 1.
fn factor(weight: i16) -> (char, String) {
    let sign = if weight < 0 { '-' } else { '+' };
    match weight.unsigned_abs() {
        1 => (sign, String::new()),
        magnitude => (sign, format!("{magnitude} * ")),
    }
}

/// Returns the expression `bias + sum of weight * x(column)`, with the columns grouped by the
/// magnitude of their weight.
fn expression(bias: i32, row: &[(u16, i16)]) -> String {
    let mut groups: Vec<(u16, Vec<(u16, i16)>)> = Vec::new();
    for &(column, weight) in row.iter().filter(|(_, weight)| *weight != 0) {
        let magnitude = weight.unsigned_abs();
        match groups.iter_mut().find(|group| group.0 == magnitude) {
            Some(group) => group.1.push((column, weight)),
            None => groups.push((magnitude, vec![(column, weight)])),
        }
    }
    let mut text = bias.to_string();
    for (_, group) in groups {
        // The sign of the first term is factored out of the parentheses.
        let first = group[0].1;
        let (sign, factor) = factor(first);
        let terms = group.iter().enumerate().map(|(index, &(column, weight))| {
            match (index, (weight < 0) == (first < 0)) {
                (0, _) => format!("x({column})"),
                (_, true) => format!(" + x({column})"),
                (_, false) => format!(" - x({column})"),
            }
        });
        let terms: String = terms.collect();
        if factor.is_empty() || group.len() == 1 {
            let terms = if sign == '-' && group.len() > 1 {
                format!("({terms})")
            } else {
                terms
            };
            put(&mut text, format_args!(" {sign} {factor}{terms}"));
        } else {
            put(&mut text, format_args!(" {sign} {factor}({terms})"));
        }
    }
    text
}

/// Appends `text`, broken into lines at spaces.
fn line(code: &mut String, indent: usize, text: &str) {
    let mut room = 0;
    for (index, word) in text.split(' ').enumerate() {
        if index == 0 || word.len() + 1 > room {
            let indent = if index == 0 { indent } else { indent + 4 };
            if index > 0 {
                code.push('\n');
            }
            code.extend(std::iter::repeat_n(' ', indent));
            room = LINE - indent;
        } else {
            code.push(' ');
            room -= 1;
        }
        code.push_str(word);
        room = room.saturating_sub(word.len());
    }
    code.push('\n');
}

/// Returns the number of columns that two rows share.
fn common(one: &[(u16, i16)], other: &[(u16, i16)]) -> usize {
    let has = |column| {
        other
            .binary_search_by_key(&column, |weight| weight.0)
            .is_ok()
    };
    one.iter().filter(|weight| has(weight.0)).count()
}
