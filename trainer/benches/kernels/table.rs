//! The figures as a table: written as CSV and Markdown, read again, and compared.
//!
//! In the CSV a line is a figure, what it is of, the board (none for what is the same on all), the value
//! and what it is to be at most. A count may grow by [`GROWTH`]; more is refused. Counts of programs
//! depend on the compiler: those of another are told, not judged.

use std::fmt::Write as _;

use super::Outcome;

/// By how much a figure may grow over the committed one.
const GROWTH: f64 = 0.02;

/// The board that stands for the Cortex-M4.
const M4: &str = "mps2-an386";
/// The board that stands for the Cortex-M0.
const M0: &str = "microbit";

// The kinds of figures.
pub(super) const COUNT: &str = "instructions";
pub(super) const LOAD: &str = "instructions to load";
pub(super) const EACH: &str = "instructions a nonzero and position";
pub(super) const CODE: &str = "instructions as code";
pub(super) const FLASH: &str = "flash bytes as code";
pub(super) const BYTES: &str = "container bytes";
pub(super) const FIXED: &str = "fixed bytes";
pub(super) const ARENA: &str = "arena bytes";
const STACK: &str = "stack bytes";
pub(super) const TEXT: &str = "text bytes";

/// What figures are to be at most, for the networks and boards that were asked for. Containers that are
/// there to be written as code, or for fewest bytes, have no aim for their speed as they are.
const LIMITS: &[(&str, &str, &str, f64)] = &[
    (COUNT, "lenet-300-100-10x-speed-m4", M4, 50_000.0),
    (COUNT, "lenet-300-100-100x-speed-m4", M4, 11_500.0),
    (COUNT, "lenet-300-100-300x-speed-m4", M4, 4_600.0),
    (COUNT, "lenet-300-100-1000x-speed-m4", M4, 1_900.0),
    (COUNT, "lenet-300-100-10x-speed-m0", M0, 170_000.0),
    (COUNT, "lenet-300-100-100x-speed-m0", M0, 24_000.0),
    (COUNT, "lenet-300-100-300x-speed-m0", M0, 9_500.0),
    (COUNT, "lenet-300-100-1000x-speed-m0", M0, 3_700.0),
    (COUNT, "lenet-5-28-10x-speed-m4", M4, 190_000.0),
    (COUNT, "lenet-5-28-global-10x-speed-m4", M4, 190_000.0),
    (COUNT, "lenet-5-28-uniform-10x-speed-m4", M4, 190_000.0),
    // Four inferences.
    (LOAD, "lenet-300-100-100x-speed-m4", M4, 45_000.0),
    (CODE, "lenet-300-100-100x-code-m4", M4, 9_500.0),
    (CODE, "lenet-300-100-300x-code-m4", M4, 3_300.0),
    (CODE, "lenet-300-100-1000x-code-m4", M4, 1_100.0),
    (EACH, "conv6-conv12-3x-size", M4, 4.0),
    (EACH, "conv6-conv12-3x-speed-m4", M4, 4.0),
    (BYTES, "lenet-300-100-10x-size", "", 28_000.0),
    (BYTES, "lenet-300-100-100x-size", "", 3_650.0),
    (BYTES, "lenet-300-100-300x-size", "", 1_330.0),
    (BYTES, "lenet-300-100-1000x-size", "", 500.0),
    (BYTES, "conv6-conv12-3x-size", "", 1_250.0),
    // 16 bytes and 8 for each of three layers.
    (FIXED, "lenet-300-100-10x-size", "", 40.0),
    (FIXED, "lenet-300-100-100x-size", "", 40.0),
    (FIXED, "lenet-300-100-300x-size", "", 40.0),
    (FIXED, "lenet-300-100-1000x-size", "", 40.0),
    (TEXT, "packed words, checked", M4, 3_072.0),
    (TEXT, "packed words, verified", M4, 2_048.0),
];

/// What an inference's stack is to be at most on [`M4`], for dense layers of one encoding.
const CHAIN_STACK: f64 = 256.0;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    what: String,
    of: String,
    board: String,
    value: f64,
    /// What that is to be at most.
    limit: Option<f64>,
}

impl Figure {
    /// Whether another compiler may give another value.
    fn compiled(&self) -> bool {
        !self.board.is_empty()
    }

    /// Its value for a reader: counts whole, ratios and means with the decimals they have.
    fn text(&self) -> String {
        if self.value.fract() == 0.0 {
            format!("{}", self.value)
        } else {
            format!("{:.2}", self.value)
        }
    }
}

/// All figures, and what they were measured with.
#[derive(Debug)]
pub(super) struct Table {
    revision: String,
    compiler: String,
    figures: Vec<Figure>,
}

impl Table {
    /// None yet.
    pub(super) fn new(revision: String, compiler: String) -> Self {
        Self {
            revision,
            compiler,
            figures: Vec::new(),
        }
    }

    /// Adds a figure.
    pub(super) fn put(&mut self, what: &str, of: &str, board: &str, value: f64) {
        let asked =
            |limit: &&(&str, &str, &str, f64)| (limit.0, limit.1, limit.2) == (what, of, board);
        let limit = LIMITS.iter().find(asked).map(|limit| limit.3);
        self.figures.push(Figure {
            what: what.into(),
            of: of.into(),
            board: board.into(),
            // As it is written, so that what is read again is equal.
            value: (100.0 * value).round() / 100.0,
            limit,
        });
    }

    /// Adds the stack of an inference; a `chain` is dense layers of one encoding.
    pub(super) fn put_stack(&mut self, of: &str, board: &str, bytes: u64, chain: bool) {
        self.put(STACK, of, board, bytes as f64);
        if let Some(figure) = self.figures.last_mut() {
            figure.limit = (chain && board == M4).then_some(CHAIN_STACK);
        }
    }

    /// As CSV.
    pub(super) fn csv(&self) -> String {
        let mut text = String::from("figure,of,board,value,at most\n");
        for (what, value) in [("revision", &self.revision), ("compiler", &self.compiler)] {
            let _ = writeln!(text, "{what},,,{value},");
        }
        for figure in &self.figures {
            let Figure {
                what, of, board, ..
            } = figure;
            let limit = figure
                .limit
                .map_or(String::new(), |limit| limit.to_string());
            let _ = writeln!(
                text,
                "{what},{},{board},{},{limit}",
                of.replace(", ", "; "),
                figure.text()
            );
        }
        text
    }

    /// From CSV.
    pub(super) fn read(text: &str) -> Outcome<Self> {
        let mut table = Table::new(String::new(), String::new());
        for line in text.lines().skip(1) {
            let refuse = || format!("kernels.csv: the line `{line}` is no figure");
            let [what, of, board, value, _] = line.split(',').collect::<Vec<_>>()[..] else {
                return Err(refuse());
            };
            match what {
                "revision" => table.revision = value.into(),
                "compiler" => table.compiler = value.into(),
                _ => {
                    let value = value.parse().map_err(|_| refuse())?;
                    table.put(what, &of.replace("; ", ", "), board, value);
                }
            }
        }
        Ok(table)
    }

    /// As Markdown: one table for each kind of figure.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "# What the kernels cost\n\n\
             Written by `cargo xtask bench kernels` at revision {}, firmware compiled by {}.\n\n\
             Instructions are executed ones, counted exactly by the emulator from the input's bytes to the class: mean\n\
             over the first 100 test digits of MNIST, every logit equal to the workstation's. `mps2-an386` is a\n\
             Cortex-M4, `microbit` a Cortex-M0. A network's name says what it was exported for; `size` has weights of\n\
             4 bits, the others of 6 and more. A convolution's instructions a nonzero and position are those of the\n\
             network up to its last convolution, engine and all. Code is the network written as Rust; its flash is\n\
             what the program takes beyond one with an empty network. To load is to parse the container, once at start.\n\
             Stack is that of an inference. Fixed bytes are header, records, geometries, links and padding. Text is\n\
             parser and engine for dense layers in packed words; verified is the model when the compiler has parsed it.\n",
            self.revision, self.compiler
        );
        let mut kinds: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if !kinds.contains(&figure.what.as_str()) {
                kinds.push(&figure.what);
            }
        }
        for kind in kinds {
            let _ = write!(
                text,
                "\n## {}{}\n\n| of | board | value | at most | |\n|---|---|---|---|---|\n",
                kind[..1].to_uppercase(),
                &kind[1..]
            );
            for figure in self.figures.iter().filter(|figure| figure.what == kind) {
                let (limit, met) = match figure.limit {
                    None => (String::new(), ""),
                    Some(limit) if figure.value <= limit => (limit.to_string(), "met"),
                    Some(limit) => (limit.to_string(), "**not met**"),
                };
                let (of, board, value) = (&figure.of, &figure.board, figure.text());
                let _ = writeln!(text, "| {of} | {board} | {value} | {limit} | {met} |");
            }
        }
        text
    }

    /// Compares with what is committed: notes for the reader, or why it is refused.
    pub(super) fn judge(&self, committed: &Table) -> Outcome<Vec<String>> {
        let same_compiler = self.compiler == committed.compiler;
        let (mut notes, mut grown) = (Vec::new(), Vec::new());
        let again = "commit what `cargo xtask bench kernels` writes";
        for old in &committed.figures {
            let same = |new: &&Figure| {
                (&new.what, &new.of, &new.board) == (&old.what, &old.of, &old.board)
            };
            let Some(new) = self.figures.iter().find(same) else {
                grown.push(format!(
                    "{} of {} is measured no more: {again}",
                    old.what, old.of
                ));
                continue;
            };
            let line = format!(
                "{} of {} {}: {}, was {}",
                new.what,
                new.of,
                new.board,
                new.text(),
                old.text()
            );
            if new.value > old.value * (1.0 + GROWTH) {
                let judged = same_compiler || !new.compiled();
                if judged { &mut grown } else { &mut notes }.push(line);
            } else if new.value < old.value {
                notes.push(line);
            }
        }
        for new in &self.figures {
            let same =
                |old: &Figure| (&new.what, &new.of, &new.board) == (&old.what, &old.of, &old.board);
            if !committed.figures.iter().any(same) {
                grown.push(format!(
                    "{} of {} is not in the committed table: {again}",
                    new.what, new.of
                ));
            }
        }
        if !same_compiler {
            notes.push(format!(
                "the committed table was measured with {}, this with {}: what programs cost was not judged",
                committed.compiler, self.compiler
            ));
        } else if !notes.is_empty() {
            notes.push(format!(
                "these are smaller than in the committed table: {again}"
            ));
        }
        match grown.is_empty() {
            true => Ok(notes),
            false => Err(format!(
                "the kernels cost more than the committed table allows (2 % more):\n{}",
                grown.join("\n")
            )),
        }
    }
}
