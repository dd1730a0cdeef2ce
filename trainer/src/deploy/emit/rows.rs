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

/// Weights of one function.
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
        self.rows.len() <= FEW_ROWS && 2 * weights >= 3 * columns
    }

    /// The rows, each followed by the one that shares most columns with it, so that a compiler finds
    /// their inputs still in registers.
    fn order(&self) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.rows.len()).collect();
        let mut order: Vec<usize> = Vec::new();
        while !left.is_empty() {
            let shared = |row: usize| {
                let recent = order.iter().rev().take(2).enumerate();
                let of = recent
                    .map(|(age, &before)| common(&self.rows[row], &self.rows[before]) * (2 - age));
                of.sum::<usize>()
            };
            let next = (0..left.len())
                .rev()
                .max_by_key(|&index| shared(left[index]));
            order.push(left.remove(next.unwrap_or(0)));
        }
        order
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

/// The functions of a dense layer over `inputs` values; hidden when it has a shift.
pub(super) fn dense(part: &Rows<'_>, number: usize, inputs: usize, shift: Option<u8>) -> String {
    let outputs = part.rows.len();
    let weights: usize = part.rows.iter().map(Vec::len).sum();
    let kind = if shift.is_some() { "u8" } else { "i32" };
    if part.by_columns() {
        let sums = sums_by_columns(part, &format!("layer_{number}_sums"), inputs);
        let finish = match shift {
            Some(shift) => format!(".map(|sum| store(sum, {shift}))"),
            None => String::new(),
        };
        return format!(
            "{sums}
#[inline(always)]
fn layer_{number}(x: &[u8; {inputs}]) -> [{kind}; {outputs}] {{
    layer_{number}_sums(x){finish}
}}
"
        );
    }
    let value = |row: usize| {
        let sum = expression(part.bias[row], &part.rows[row]);
        match shift {
            Some(shift) => format!("store({sum}, {shift})"),
            None => sum,
        }
    };
    let head = |name: &str| format!("\n#[inline(never)]\nfn {name}(x: &[u8; {inputs}]");
    let closure = "    let x = |column: usize| x[column] as i32;\n";
    let mut code = String::new();
    if weights <= PART {
        let name = format!("layer_{number}");
        put(
            &mut code,
            format_args!(
                "{}) -> [{kind}; {outputs}] {{\n{closure}    let mut y = [0; {outputs}];\n",
                head(&name)
            ),
        );
        for row in part.order() {
            line(&mut code, 4, &format!("y[{row}] = {};", value(row)));
        }
        code += "    y\n}\n";
        return code;
    }
    let mut calls = String::new();
    let mut row = 0;
    let mut parts = 0;
    while row < outputs {
        parts += 1;
        let name = format!("layer_{number}_{parts}");
        put(&mut calls, format_args!("    {name}(x, &mut y);\n"));
        put(
            &mut code,
            format_args!(
                "{}, y: &mut [{kind}; {outputs}]) {{\n{closure}",
                head(&name)
            ),
        );
        let mut written = 0;
        while row < outputs && (written == 0 || written + part.rows[row].len() <= PART) {
            line(&mut code, 4, &format!("y[{row}] = {};", value(row)));
            written += part.rows[row].len().max(1);
            row += 1;
        }
        code += "}\n";
    }
    put(
        &mut code,
        format_args!(
            "
fn layer_{number}(x: &[u8; {inputs}]) -> [{kind}; {outputs}] {{
    let mut y = [0; {outputs}];
{calls}    y
}}
"
        ),
    );
    code
}

/// A function `name` that gives the sums of all rows over `inputs` values.
pub(super) fn sums(part: &Rows<'_>, name: &str, inputs: usize) -> String {
    if part.by_columns() {
        return sums_by_columns(part, name, inputs);
    }
    let mut code = format!(
        "\n#[inline(never)]\nfn {name}(x: &[u8; {inputs}]) -> [i32; {}] {{\n    let x = |column: usize| x[column] as i32;\n    [\n",
        part.rows.len()
    );
    for (&bias, row) in part.bias.iter().zip(part.rows) {
        line(&mut code, 8, &format!("{},", expression(bias, row)));
    }
    code += "    ]\n}\n";
    code
}

/// The same by columns.
fn sums_by_columns(part: &Rows<'_>, name: &str, inputs: usize) -> String {
    let outputs = part.rows.len();
    let list =
        |each: &dyn Fn(usize) -> String| (0..outputs).map(each).collect::<Vec<_>>().join(", ");
    let mut code = format!(
        "\n#[inline(never)]\nfn {name}(x: &[u8; {inputs}]) -> [i32; {outputs}] {{\n    let x = |column: usize| x[column] as i32;\n"
    );
    line(
        &mut code,
        4,
        &format!(
            "let ({},) = ({},);",
            list(&|row| format!("mut s{row}")),
            list(&|row| part.bias[row].to_string())
        ),
    );
    for (column, weights) in part.columns() {
        put(
            &mut code,
            format_args!("    let x{column} = x({column});\n"),
        );
        let terms = weights.iter().map(|&(row, weight)| {
            let (sign, factor) = factor(weight);
            format!("s{row} {sign}= {factor}x{column};")
        });
        let terms = terms.collect::<Vec<_>>().join(" ");
        if weights.len() == 1 {
            line(&mut code, 4, &terms);
        } else {
            put(&mut code, format_args!("    if x{column} != 0 {{\n"));
            line(&mut code, 8, &terms);
            code += "    }\n";
        }
    }
    line(
        &mut code,
        4,
        &format!("[{}]", list(&|row| format!("s{row}"))),
    );
    code += "}\n";
    code
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
