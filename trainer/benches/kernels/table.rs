//! The table of all figures: writes it as CSV and Markdown, reads it back, and compares two
//! tables.
//!
//! A line of the CSV has the kind of figure, its subject, the board (empty if the figure is the
//! same on all boards), the value and its limit. A figure may grow by [`GROWTH`]. Figures measured
//! on a board depend on the compiler, so if the compiler is a different one, their growth is only
//! reported.

use std::fmt::Write as _;

use super::Outcome;

/// Allowed growth over the committed figure.
const GROWTH: f64 = 0.02;

/// Board that represents the Cortex-M4.
const M4: &str = "mps2-an386";
/// Board that represents the Cortex-M0.
const M0: &str = "microbit";
/// Board that represents RISC-V.
pub(super) const RV32: &str = "qemu-virt-rv32";

// Kinds of figures.
pub(super) const COUNT: &str = "instructions";
/// Bounds of the estimate of cycles, as [`Estimate`](rarefy_trainer::device::Estimate) has them.
pub(super) const LEAST: &str = "fewest estimated cycles";
pub(super) const MOST: &str = "most estimated cycles";
pub(super) const LOAD: &str = "instructions to load";
pub(super) const EACH: &str = "instructions per nonzero and position";
pub(super) const CODE: &str = "instructions as code";
pub(super) const FLASH: &str = "flash bytes as code";
pub(super) const BYTES: &str = "container bytes";
pub(super) const FIXED: &str = "fixed bytes";
pub(super) const ARENA: &str = "arena bytes";
const STACK: &str = "stack bytes";
pub(super) const TEXT: &str = "text bytes";

/// Upper limits on figures, as (kind, subject, board, limit). Containers that were exported for
/// minimum size, or to be emitted as code, have no limit on their speed.
const LIMITS: &[(&str, &str, &str, f64)] = &[
    (COUNT, "lenet-300-100-10x-speed-m4", M4, 50_000.0),
    (COUNT, "lenet-300-100-100x-speed-m4", M4, 11_500.0),
    (COUNT, "lenet-300-100-300x-speed-m4", M4, 4_600.0),
    (COUNT, "lenet-300-100-1000x-speed-m4", M4, 1_900.0),
    (COUNT, "lenet-300-100-10x-speed-m0", M0, 170_000.0),
    (COUNT, "lenet-300-100-100x-speed-m0", M0, 24_000.0),
    (COUNT, "lenet-300-100-300x-speed-m0", M0, 9_500.0),
    (COUNT, "lenet-300-100-1000x-speed-m0", M0, 3_700.0),
    (COUNT, "lenet-300-100-100x-speed-rv32", RV32, 19_000.0),
    (COUNT, "lenet-300-100-300x-speed-rv32", RV32, 7_500.0),
    (COUNT, "lenet-300-100-1000x-speed-rv32", RV32, 3_000.0),
    (COUNT, "lenet-5-28-10x-speed-m4", M4, 190_000.0),
    (COUNT, "lenet-5-28-global-10x-speed-m4", M4, 190_000.0),
    (COUNT, "lenet-5-28-uniform-10x-speed-m4", M4, 190_000.0),
    // About the cost of four inferences.
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
    // A header of 16 bytes and three records of 8 bytes.
    (FIXED, "lenet-300-100-10x-size", "", 40.0),
    (FIXED, "lenet-300-100-100x-size", "", 40.0),
    (FIXED, "lenet-300-100-300x-size", "", 40.0),
    (FIXED, "lenet-300-100-1000x-size", "", 40.0),
    (TEXT, "packed words, checked", M4, 3_072.0),
    (TEXT, "packed words, verified", M4, 2_048.0),
];

/// Upper limit, in bytes, on the stack of an inference on [`M4`] for dense layers of one encoding.
const CHAIN_STACK: f64 = 256.0;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    /// The kind of figure.
    what: String,
    /// The subject of the figure.
    of: String,
    board: String,
    value: f64,
    /// Largest acceptable value.
    limit: Option<f64>,
}

impl Figure {
    /// Returns `true` if the value depends on the compiler.
    fn compiled(&self) -> bool {
        !self.board.is_empty()
    }

    /// Formats the value: counts as integers, ratios and means with two decimals.
    fn text(&self) -> String {
        if self.value.fract() == 0.0 {
            format!("{}", self.value)
        } else {
            format!("{:.2}", self.value)
        }
    }
}

/// All figures, with the revision and the compiler that they were measured with.
#[derive(Debug)]
pub(super) struct Table {
    revision: String,
    compiler: String,
    figures: Vec<Figure>,
}

impl Table {
    /// Creates an empty table.
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
            // Rounded as it is written, so that a table read back is equal.
            value: (100.0 * value).round() / 100.0,
            limit,
        });
    }

    /// Adds the stack use of an inference. `chain` tells whether the network consists of dense
    /// layers of one encoding.
    pub(super) fn put_stack(&mut self, of: &str, board: &str, bytes: u64, chain: bool) {
        self.put(STACK, of, board, bytes as f64);
        if let Some(figure) = self.figures.last_mut() {
            figure.limit = (chain && board == M4).then_some(CHAIN_STACK);
        }
    }

    /// Formats the table as CSV.
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

    /// Parses a table from CSV.
    pub(super) fn read(text: &str) -> Outcome<Self> {
        let mut table = Table::new(String::new(), String::new());
        for line in text.lines().skip(1) {
            let refuse = || format!("kernels.csv: the line `{line}` is not a figure");
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

    /// Formats the table as Markdown: one table per kind of figure.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "# What the kernels cost\n\n\
             Written by `cargo xtask bench kernels` at revision {}, firmware compiled by {}.\n\n\
             Instructions are executed instructions, counted exactly by the emulator from the input's bytes to the\n\
             class: the mean over the first 100 test digits of MNIST, with every logit equal to the workstation's.\n\
             `mps2-an386` is a Cortex-M4, `microbit` a Cortex-M0, `qemu-virt-rv32` an RV32IMAC. A network's name\n\
             ends with the objective of its export; `size` has weights of 4 bits, the others of 6 and more. Instructions per nonzero and position are\n\
             those of the network up to its last convolution, the engine's overhead included. \"As code\" means that\n\
             the network was emitted as Rust; its flash is what the program takes beyond one with an empty network.\n\
             Estimated cycles are the bounds that Arm's manuals leave for the executed instructions, at zero wait\n\
             states: their median over the same digits; no table of cycles is published for the RISC-V core.\n\
             Loading means parsing the container, once at startup. Stack is that of an inference. Fixed bytes are\n\
             header, records, geometries, links and padding. Text is the code size of parser and engine for dense\n\
             layers in packed words; a verified model was parsed by the compiler, so its program has no parser.\n",
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
                "\n## {}{}\n\n| subject | board | value | at most | |\n|---|---|---|---|---|\n",
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

    /// Drops the figures whose subject `kept` does not accept.
    pub(super) fn keep(&mut self, kept: impl Fn(&str) -> bool) {
        self.figures.retain(|figure| kept(&figure.of));
    }

    /// Compares the table with the committed one. Returns notes, or an error that lists figures
    /// that grew, are new, or are missing.
    pub(super) fn judge(&self, committed: &Table) -> Outcome<Vec<String>> {
        let same_compiler = self.compiler == committed.compiler;
        let (mut notes, mut grown) = (Vec::new(), Vec::new());
        let again = "run `cargo xtask bench kernels` and commit its tables";
        for old in &committed.figures {
            let same = |new: &&Figure| {
                (&new.what, &new.of, &new.board) == (&old.what, &old.of, &old.board)
            };
            let Some(new) = self.figures.iter().find(same) else {
                grown.push(format!(
                    "{} of {} is no longer measured: {again}",
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
                "the committed table was measured with {}, this one with {}: growth of figures measured on boards is only reported",
                committed.compiler, self.compiler
            ));
        } else if !notes.is_empty() {
            notes.push(format!(
                "the figures above are smaller than in the committed table: {again}"
            ));
        }
        match grown.is_empty() {
            true => Ok(notes),
            false => Err(format!(
                "figures grew by more than 2 % over the committed table, or are missing from one of the tables:\n{}",
                grown.join("\n")
            )),
        }
    }
}
