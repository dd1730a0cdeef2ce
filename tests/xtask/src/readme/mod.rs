//! `cargo xtask readme`: runs the commands that the [`PAGES`] show, and writes their output into
//! the pages.
//!
//! A generated block stands between `<!-- NAME -->` and `<!-- /NAME -->`. MNIST is needed (`rarefy
//! data fetch mnist`). With `--check` nothing is written: see [`check()`].

mod blocks;
mod check;

pub(crate) use check::check;

use std::fs;
use std::path::Path;

use crate::command::{self, Outcome, root};
use crate::quickstart;

/// The pages with generated blocks.
const PAGES: [&str; 2] = ["README.md", "trainer/README.md"];

/// The separator of pages that are joined in memory: a form feed.
const PAGE_BREAK: &str = "\u{c}";

/// The commands of the block `mnist`; FOLDER stands for the run folder.
const MNIST: &[&str] = &[
    "rarefy train --arch lenet-300-100 --pruner magnitude/igq --compression 100 --data mnist --epochs 10 -o FOLDER",
    "rarefy export FOLDER -o FOLDER/model.rfy",
    "rarefy eval FOLDER/model.rfy --data mnist",
];

/// The last command of the block `mnist`.
const TRAINING: &str = "cargo xtask bench training";

/// Run folder of the block `mnist`.
const FOLDER: &str = "runs/readme";

/// Runs all commands and rewrites the blocks. The pages are left unchanged if a command fails.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if arguments == ["--check"] {
        return check();
    }
    if let Some(option) = arguments.first() {
        return Err(format!("readme has no option {option}; use --check"));
    }
    quickstart::setup(&[])?;
    let mut text = read()?;

    let quickstart = command::output(command::rarefy()?.arg("quickstart"))?;
    text = blocks::replace(&text, "quickstart", &blocks::first_board(&quickstart))?;
    text = blocks::with_program(&text)?;

    let mut mnist = String::new();
    for (line, output) in run_all(MNIST, FOLDER)? {
        mnist += &format!("$ {line}\n{}\n\n", output.trim_matches('\n'));
    }
    let training = xtask(&TRAINING["cargo ".len()..])?;
    mnist += &format!("$ {TRAINING}\n{training}");
    text = blocks::replace(&text, "mnist", &mnist)?;

    text = blocks::replace(&text, "kernels", &blocks::kernels()?)?;
    text = blocks::replace(&text, "pruning", &xtask("xtask bench pruning")?)?;

    for (page, text) in PAGES.iter().zip(text.split(PAGE_BREAK)) {
        fs::write(root().join(page), text).map_err(|e| format!("cannot write {page}: {e}"))?;
    }
    Ok(())
}

/// Reads all pages, with a [`PAGE_BREAK`] between them.
fn read() -> Result<String, String> {
    let page = |page: &&str| {
        fs::read_to_string(root().join(page)).map_err(|e| format!("cannot read {page}: {e}"))
    };
    let pages: Vec<String> = PAGES.iter().map(page).collect::<Result<_, _>>()?;
    Ok(pages.join(PAGE_BREAK))
}

/// Deletes `folder` and runs the `rarefy` commands of `lines`, in which FOLDER stands for `folder`.
/// Returns each command line and its output.
fn run_all(lines: &[&str], folder: &str) -> Result<Vec<(String, String)>, String> {
    fs::remove_dir_all(root().join(Path::new(folder))).ok();
    let run = |line: &&str| {
        let line = line.replace("FOLDER", folder);
        let mut rarefy = command::rarefy()?;
        let output = command::output(rarefy.args(line.split(' ').skip(1)))?;
        Ok((line, output))
    };
    lines.iter().map(run).collect()
}

/// Runs `cargo` with the words of `line`, and returns the output.
fn xtask(line: &str) -> Result<String, String> {
    command::output(command::cargo().args(line.split(' ')))
}
