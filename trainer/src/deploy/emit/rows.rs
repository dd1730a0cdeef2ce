//! Weighted sums as expressions, and dense layers made of them.
//!
//! Two ways. **By rows**: one expression a row, its inputs loaded one after the other, its sum in one
//! register; inputs of equal magnitude of weight are added first and multiplied once. **By columns**:
//! where there are few rows, all sums stay in registers, each input is loaded once, and one that is 0
//! is skipped with all its weights.
//!
//! Functions are kept to so many weights each that a compiler's time stays linear.

use super::put;

/// Rows up to which all sums fit the registers of an ARMv7-M.
const FEW_ROWS: usize = 12;

/// Weights up to which that is one function.
const MOST_BY_COLUMNS: usize = 8_000;

/// Weights of one function by rows.
const PART: usize = 1_500;

/// Characters of a line.
const LINE: usize = 100;

/// Biases and rows of (column, weight).
pub(super) struct Rows<'a> {
    pub(super) bias: &'a [i32],
    pub(super) rows: &'a [Vec<(u16, i16)>],
}

impl Rows<'_> {
    /// Whether the sums are written by columns: few rows, and columns that several of them share.
    fn by_columns(&self) -> bool {
        let weights: usize = self.rows.iter().map(Vec::len).sum();
        let columns = self.columns().len();
        self.rows.len() <= FEW_ROWS && 2 * weights >= 3 * columns && weights <= MOST_BY_COLUMNS
    }

    /// The rows in an order in which each shares columns with the two before it, so that a compiler
    /// finds inputs in registers; cut where a function holds enough.
    fn parts(&self) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = (0..self.rows.len()).collect();
        let mut parts: Vec<Vec<usize>> = vec![Vec::new()];
        let mut room = PART;
        let (mut before, mut last): (&[_], &[_]) = (&[], &[]);
        while !left.is_empty() {
            let shared = |row: &[(u16, i16)]| 2 * common(row, last) + common(row, before);
            // The first of equal ones.
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

    /// The columns with a weight, rising, and each one's (row, weight).
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

/// A function `name(x)` that gives the sums of all rows over `inputs` values, or what hidden units
/// store for them when there is a shift; a long one in parts.
pub(super) fn function(part: &Rows<'_>, name: &str, inputs: usize, shift: Option<u8>) -> String {
    let outputs = part.rows.len();
    let kind = if shift.is_some() { "u8" } else { "i32" };
    let source = format!("x: &[u8; {inputs}]");
    let target = format!("[{kind}; {outputs}]");
    let closure = "    let x = |column: usize| x[column] as i32;\n";
    let store = |row: usize, sum: &str| match shift {
        Some(shift) => format!("y[{row}] = store({sum}, {shift});"),
        None => format!("y[{row}] = {sum};"),
    };
    let whole = |body: &str| {
        format!(
            "\n#[inline(never)]\nfn {name}({source}) -> {target} {{\n    let mut y = [0; {outputs}];\n{body}    y\n}}\n"
        )
    };
    let mut body = closure.to_owned();
    if part.by_columns() {
        by_columns(&mut body, part);
        for row in 0..outputs {
            line(&mut body, 4, &store(row, &format!("s{row}")));
        }
        return whole(&body);
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
        return whole(&body);
    }
    let (mut code, mut calls) = (String::new(), String::new());
    for (index, rows) in parts.iter().enumerate() {
        let number = index + 1;
        let mut body = closure.to_owned();
        write(&mut body, rows);
        put(
            &mut code,
            format_args!(
                "\n#[inline(never)]\nfn {name}_{number}({source}, y: &mut {target}) {{\n{body}}}\n"
            ),
        );
        put(
            &mut calls,
            format_args!("    {name}_{number}(x, &mut y);\n"),
        );
    }
    code + &whole(&calls)
}

/// Statements that leave the sums in `s0`, `s1`, ...
fn by_columns(code: &mut String, part: &Rows<'_>) {
    for (row, bias) in part.bias.iter().enumerate() {
        put(code, format_args!("    let mut s{row} = {bias};\n"));
    }
    for (column, weights) in part.columns() {
        let terms = weights.iter().map(|&(row, weight)| {
            let (sign, factor) = factor(weight);
            format!("s{row} {sign}= {factor}x{column};")
        });
        let terms = terms.collect::<Vec<_>>().join(" ");
        put(code, format_args!("    let x{column} = x({column});\n"));
        if weights.len() == 1 {
            line(code, 4, &terms);
        } else {
            put(code, format_args!("    if x{column} != 0 {{\n"));
            line(code, 8, &terms);
            *code += "    }\n";
        }
    }
}

/// The sign and the multiplication by the magnitude.
fn factor(weight: i16) -> (char, String) {
    let sign = if weight < 0 { '-' } else { '+' };
    match weight.unsigned_abs() {
        1 => (sign, String::new()),
        magnitude => (sign, format!("{magnitude} * ")),
    }
}

/// `bias + sum of weight * x(column)`, columns of one magnitude together.
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
        // Within parentheses the first one's sign is taken out.
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

/// Appends `text` in lines, broken at spaces.
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

/// Columns that two rows share.
fn common(one: &[(u16, i16)], other: &[(u16, i16)]) -> usize {
    let has = |column| {
        other
            .binary_search_by_key(&column, |weight| weight.0)
            .is_ok()
    };
    one.iter().filter(|weight| has(weight.0)).count()
}
