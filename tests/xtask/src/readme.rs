//! `cargo xtask readme`: runs what README.md shows and writes its output there.
//!
//! A block stands between `<!-- NAME -->` and `<!-- /NAME -->`. Needs MNIST (`rarefy data fetch mnist`).

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, Outcome, root};
use crate::quickstart;

/// The runs on MNIST, as a person types them.
const MNIST: &[&str] = &[
    "rarefy train --arch lenet-300-100 --pruner magnitude/igq --compression 100 --data mnist --epochs 10 -o FOLDER",
    "rarefy export FOLDER -o FOLDER/model.rfy",
    "rarefy eval FOLDER/model.rfy --data mnist",
];

/// Runs everything and rewrites the blocks; the file is left alone when something fails.
pub(crate) fn run(_: &[String]) -> Outcome {
    quickstart::setup(&[])?;
    let path = root().join("README.md");
    let mut text = fs::read_to_string(&path).map_err(|e| format!("cannot read README.md: {e}"))?;

    let quickstart = output(command::rarefy()?.arg("quickstart"))?;
    text = replace(&text, "quickstart", quickstart.trim_matches('\n'))?;

    let folder = Path::new("runs").join("readme");
    fs::remove_dir_all(root().join(&folder)).ok();
    let mut block = String::new();
    for line in MNIST {
        let line = line.replace("FOLDER", &folder.to_string_lossy());
        let mut rarefy = command::rarefy()?;
        let printed = output(rarefy.args(line.split(' ').skip(1)))?;
        block += &format!("$ {line}\n{}\n\n", printed.trim_matches('\n'));
    }
    let mut bench = command::cargo();
    bench.args(["xtask", "bench", "training"]);
    block += &format!("$ cargo xtask bench training\n{}", output(&mut bench)?);
    text = replace(&text, "mnist", block.trim_matches('\n'))?;

    text = replace(&text, "kernels", &kernels()?)?;

    let mut bench = command::cargo();
    bench.args(["xtask", "bench", "pruning"]);
    text = replace(&text, "pruning", output(&mut bench)?.trim_matches('\n'))?;

    fs::write(&path, text).map_err(|e| format!("cannot write README.md: {e}"))
}

/// What LeNet-300-100 takes at each compression, from the table of `cargo xtask bench kernels`.
fn kernels() -> Result<String, String> {
    let path = root().join("tests/networks/kernels.csv");
    let table = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let value = |kind: &str, network: &str, board: &str| {
        let line = table.lines().find_map(|line| {
            let mut fields = line.split(',');
            let found = [kind, network, board].map(|field| fields.next() == Some(field));
            (found == [true; 3]).then(|| fields.next()).flatten()
        });
        line.and_then(|value| value.parse().ok())
            .map_or("-".into(), |value: f64| grouped(value.round() as u64))
    };
    let rows = [
        (
            "container, bytes, 4-bit weights",
            "container bytes",
            "size",
            "",
        ),
        (
            "instructions, Cortex-M4",
            "instructions",
            "speed-m4",
            "mps2-an386",
        ),
        (
            "instructions, Cortex-M0",
            "instructions",
            "speed-m0",
            "microbit",
        ),
        (
            "as straight-line code, Cortex-M4",
            "instructions as code",
            "code-m4",
            "mps2-an386",
        ),
    ];
    let compressions = ["10x", "100x", "300x", "1000x"];
    let mut block = format!("{:34}", "LeNet-300-100 on MNIST");
    block += &compressions
        .map(|compression| format!("{compression:>9}"))
        .concat();
    for (what, kind, goal, board) in rows {
        block += &format!("\n{what:34}");
        for compression in compressions {
            let network = format!("lenet-300-100-{compression}-{goal}");
            block += &format!("{:>9}", value(kind, &network, board));
        }
    }
    Ok(block)
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let head = (first > 0).then(|| head.into());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// What `command` prints on stdout; its stderr goes to ours.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed, see above"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `text` with `block` as the block called `name`.
fn replace(text: &str, name: &str, block: &str) -> Result<String, String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let missing = || format!("README.md has no block {name}");
    let (before, rest) = text.split_once(&open).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&close).ok_or_else(missing)?;
    Ok(format!(
        "{before}{open}```text\n{block}\n```\n{close}{after}"
    ))
}
