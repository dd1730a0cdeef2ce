//! `cargo xtask readme --check`: checks that the pages still show what the commands print.
//!
//! Figures of training, time and memory depend on the machine, so they are not compared. Compared
//! are:
//! - the block `kernels`, which follows exactly from a committed table, and the block `program`;
//! - the command lines of the block `mnist`;
//! - the words that commands print, against those of short runs on `digits`;
//! - the counts of weights in the block `pruning`, which are exact.
//!
//! This takes seconds once `rarefy` and the firmware are built.

use super::{MNIST, TRAINING, blocks, read, run_all, xtask};
use crate::command::{self, Outcome};

/// Run folders of the check.
const QUICKSTART: &str = "target/readme/quickstart";
const RUN: &str = "target/readme/run";

/// The column of the block `pruning` that shows times.
const SECONDS: usize = 3;

/// Checks all blocks.
///
/// # Errors
///
/// Returns the first difference between a page and what the commands print.
pub(crate) fn check() -> Outcome {
    let text = read()?;
    let shown = blocks::find(&text, "kernels")?;
    if shown != blocks::kernels()? {
        return Err(stale(
            "kernels",
            "its figures are not those of tests/networks/kernels.csv",
        ));
    }

    if blocks::with_program(&text)? != text {
        return Err(stale("program", "`rarefy new` writes another one"));
    }

    check_mnist(&text)?;

    let mut rarefy = command::rarefy()?;
    rarefy.args(["quickstart", "--epochs", "5", "-o", QUICKSTART]);
    let printed = command::output(&mut rarefy)?.replace(QUICKSTART, "runs/quickstart");
    let printed = blocks::first_board(&printed);
    compare("quickstart", blocks::find(&text, "quickstart")?, &printed)?;

    let answers = xtask("xtask bench pruning --answers")?;
    let shown = blocks::find(&text, "pruning")?.lines();
    let shown: Vec<String> = shown
        .filter(|line| line.starts_with('|'))
        .map(without_time)
        .collect();
    let found: Vec<String> = answers
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(without_time)
        .collect();
    if shown != found {
        return Err(stale("pruning", "the searches find other counts"));
    }
    Ok(())
}

/// Checks the command lines of the block `mnist`, and the words that they print for `digits`.
fn check_mnist(text: &str) -> Outcome {
    let shown = blocks::find(text, "mnist")?;
    let folder = super::FOLDER;
    let mut lines: Vec<String> = MNIST
        .iter()
        .map(|line| line.replace("FOLDER", folder))
        .collect();
    lines.push(TRAINING.to_owned());
    let commands: Vec<&str> = shown.lines().filter_map(|l| l.strip_prefix("$ ")).collect();
    if commands != lines {
        return Err(stale(
            "mnist",
            "its command lines are not those of the current chore",
        ));
    }
    let short: Vec<String> = MNIST
        .iter()
        .map(|line| {
            line.replace("mnist", "digits")
                .replace("--epochs 10", "--epochs 5")
        })
        .collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    let printed: String = run_all(&short, RUN)?
        .into_iter()
        .map(|(_, output)| output)
        .collect();
    let printed = printed.replace(RUN, folder).replace("digits", "mnist");
    let (before, _) = shown.split_once(TRAINING).unwrap_or((shown, ""));
    let outputs: Vec<&str> = before
        .lines()
        .filter(|line| !line.starts_with("$ "))
        .collect();
    compare("mnist", &outputs.join("\n"), &printed)
}

/// Returns the error for a block that is out of date.
fn stale(block: &str, why: &str) -> String {
    format!("the block {block} is out of date: {why}; run `cargo xtask readme`")
}

/// Compares the words of a block with those that commands print.
fn compare(block: &str, shown: &str, printed: &str) -> Outcome {
    let (shown, printed) = (words(shown), words(printed));
    for line in &shown {
        if !printed.contains(line) {
            return Err(stale(
                block,
                &format!("nothing prints a line like `{line}`"),
            ));
        }
    }
    for line in &printed {
        if !shown.contains(line) {
            return Err(stale(block, &format!("it lacks a line like `{line}`")));
        }
    }
    Ok(())
}

/// Returns the words of each line without figures. Lines that begin with a figure are rows of a
/// table whose words depend on the network; they are left out.
fn words(text: &str) -> Vec<String> {
    let is_figure = |word: &str| {
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit())
    };
    let is_row = |line: &&str| {
        let mut words = line.split_whitespace();
        let first = words.next();
        first.is_none_or(|word| word.chars().all(|c| c.is_ascii_digit()))
    };
    text.lines()
        .filter(|line| !is_row(line))
        .map(|line| {
            let words = line.split_whitespace().filter(|word| !is_figure(word));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// Returns a row of a Markdown table without its column of times.
fn without_time(row: &str) -> String {
    let cells = row.split('|').enumerate();
    let kept = cells.filter(|(column, _)| *column != SECONDS);
    kept.map(|(_, cell)| cell.trim())
        .collect::<Vec<_>>()
        .join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_do_not_matter_and_words_do() {
        let shown =
            "  dense, f32   96.50 %  266,200  1.0x\n  1 dense  300 x 784  words\n\nNext: a b";
        let printed = "  dense, f32   7.1 %  12  -\n  1 dense  9 x 9  csr\nNext: a b\n";
        assert_eq!(compare("x", shown, printed), Ok(()));
        let error = compare("x", shown, &printed.replace("a b", "a c")).unwrap_err();
        assert!(error.contains("`Next: a b`"), "{error}");
        let error = compare("x", shown, &format!("{printed}one more\n")).unwrap_err();
        assert!(error.contains("`one more`"), "{error}");
    }

    #[test]
    fn times_do_not_matter_and_counts_do() {
        let row = without_time("| vgg-19 | igq | 0.20 | 2 | 205 | 205 |");
        assert_eq!(row, without_time("| vgg-19 | igq | - | 2 | 205 | 205 |"));
        assert_ne!(row, without_time("| vgg-19 | igq | 0.20 | 2 | 206 | 205 |"));
    }
}
