//! The `Next:` lines: each one works when pasted into a shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::boards::ready;
use crate::interrupts::{signal, start, wait_until};
use crate::program::{command, refused, says, texts};
use crate::runs;

/// A user's folder, a second one next to it as the current folder, and `rarefy` on the PATH.
struct Desk {
    root: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["tools", "here I stand", "läufe/it's mine"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_rarefy");
        symlink(program, root.path().join("tools/rarefy")).unwrap();
        Self { root }
    }

    /// Returns the folder the user works in.
    fn here(&self) -> PathBuf {
        self.root.path().join("here I stand")
    }

    /// Returns the command that a shell runs here for `line`.
    fn shell(&self, line: &str) -> Command {
        let environment = command(&self.here(), "");
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.here());
        for (name, value) in environment.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let path = std::env::var_os("PATH").unwrap();
        let tools = [self.root.path().join("tools")];
        let path = std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&path)));
        shell.env("PATH", path.unwrap());
        shell
    }

    /// Runs `line` here, which must succeed, and returns the next command.
    fn next(&self, line: &str) -> Option<String> {
        next(line, &self.shell(line).output().unwrap())
    }

    /// Starts `line`, which trains for minutes, and interrupts it once it has written `file`.
    fn begins(&self, line: &str, file: &str) {
        let mut child = start(self.shell(&format!("exec {line}")));
        let file = self.here().join(file);
        wait_until(&mut child, || file.exists());
        signal("INT", i64::from(child.id()));
        let (stdout, stderr) = texts(&child.wait_with_output().unwrap());
        assert_eq!(stdout, "", "{line}");
        says(&stderr, &["interrupted", "the same command resumes"]);
    }
}

/// Returns the next command that `output` names; `line` is the command that printed it.
fn next(line: &str, output: &Output) -> Option<String> {
    let (stdout, stderr) = texts(output);
    assert_eq!(output.status.code(), Some(0), "{line}: {stderr}");
    let lines: Vec<&str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("Next: "))
        .collect();
    assert!(lines.len() < 2, "{stdout}");
    let next = lines.first().map(|&next| next.to_owned());
    assert_eq!(
        stdout
            .lines()
            .last()
            .is_some_and(|last| last.starts_with("Next: ")),
        next.is_some(),
        "it is the last line of {stdout}"
    );
    next
}

#[test]
fn from_a_run_to_a_board_by_pasting_alone() {
    let desk = Desk::new();
    let run = desk.root.path().join("läufe/it's mine/a run");
    runs::pruned().lay_out(&run);
    // The run is finished, so this only prints its figures.
    let train = r#"rarefy train --epochs 2 -o "../läufe/it's mine/a run""#;
    let export = desk.next(train).unwrap();
    assert_eq!(
        export,
        r"rarefy export '../läufe/it'\''s mine/a run' -o model.rfy"
    );
    let measure = desk.next(&export).unwrap();
    assert_eq!(measure, "rarefy measure model.rfy --board mps2-an386");
    let made = fs::read(desk.here().join("model.rfy")).unwrap();
    assert_eq!(made, runs::pruned().container);
    // No command overwrites an existing file.
    assert!(desk.next(train).unwrap().ends_with("-o model-2.rfy"));

    // With --board, and with a file name that looks like an option.
    let export = format!(
        "{} --board microbit -o=-b.rfy",
        export.rsplit_once(" -o").unwrap().0
    );
    let measure = desk.next(&export).unwrap();
    assert_eq!(measure, "rarefy measure ./-b.rfy --board microbit");
    let eval = desk.next("rarefy inspect ./-b.rfy").unwrap();
    assert_eq!(eval, "rarefy eval ./-b.rfy");
    assert_eq!(desk.next(&eval).unwrap(), measure);
    assert_eq!(
        desk.next(&format!("{eval} --data digits")).unwrap(),
        format!("{measure} --data digits")
    );
    // Code goes into the user's own program.
    let code = format!(
        "{} --emit rust -o code.rs",
        export.rsplit_once(" -o").unwrap().0
    );
    assert_eq!(desk.next(&code), None);
    if ready("microbit") {
        let new = desk.next(&measure).unwrap();
        assert_eq!(new, "rarefy new my-app --model ./-b.rfy --board microbit");
        fs::create_dir(desk.here().join("my-app")).unwrap();
        let other = new.replace("my-app", "my-app-2");
        assert_eq!(desk.next(&measure).unwrap(), other);
        assert_eq!(desk.next(&other).unwrap(), "cd my-app-2 && cargo run");
    }
    // A container without a companion does not tell which data it was made for.
    fs::remove_file(desk.here().join("-b.rfy.json")).unwrap();
    assert_eq!(desk.next("rarefy inspect ./-b.rfy"), None);
}

#[test]
fn what_looks_around_leads_to_training_or_masks() {
    let desk = Desk::new();
    assert_eq!(
        desk.next("rarefy arch").unwrap(),
        "rarefy arch lenet-300-100"
    );
    let own = "name = \"own\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(desk.root.path().join("läufe/own net.toml"), own).unwrap();
    let beyond = "rarefy quotas --arch lenet-300-100 --quota igq --compression 266200";
    assert_eq!(desk.next(beyond), None);
    let quotas = desk.next("rarefy arch '../läufe/own net.toml'").unwrap();
    assert_eq!(quotas, "rarefy quotas --arch '../läufe/own net.toml'");
    let train = desk
        .next(&format!("{quotas} --quota erk --compression 12.5"))
        .unwrap();
    assert_eq!(
        train,
        "rarefy train --arch '../läufe/own net.toml' --pruner magnitude/erk --compression 12.5 --data digits"
    );
    desk.begins(
        &train,
        "runs/own_magnitude-erk_12.5_digits_0/checkpoint.safetensors",
    );

    // No named dataset has images of this shape.
    let prune = desk
        .next(&desk.next("rarefy arch lenet-5").unwrap())
        .unwrap();
    assert!(prune.starts_with("rarefy prune --arch lenet-5 "), "{prune}");
    let effective = desk.next(&prune).unwrap();
    assert_eq!(
        effective,
        "rarefy effective --arch lenet-5 --masks masks.safetensors"
    );
    let written = desk.next(&effective).unwrap();
    assert_eq!(written, format!("{effective} --out connected.safetensors"));
    assert_eq!(desk.next(&written), None);
    // Without -o: the same command with -o and an unused name.
    let again = desk
        .next("rarefy prune --pruner random/igq --seed 3")
        .unwrap();
    assert_eq!(
        again,
        "rarefy prune --pruner random/igq --seed 3 -o masks-2.safetensors"
    );
    desk.next(&again).unwrap();
    let curve = "rarefy effective --curve 'a curve.svg' --pruner random/uniform --most 50";
    assert_eq!(desk.next(curve), None);

    let train = desk.next("rarefy data list").unwrap();
    assert_eq!(train, "rarefy train --data digits");
    let run = "runs/lenet-300-100_magnitude-igq_100_digits_0";
    desk.begins(&train, &format!("{run}/checkpoint.safetensors"));
    let recipe = fs::read_to_string(desk.here().join(run).join("run.toml")).unwrap();
    says(&recipe, &["data = \"digits\""]);
}

#[test]
fn what_measuring_needs_leads_to_the_quickstart() {
    let desk = Desk::new();
    let setup = desk.next("rarefy boards").unwrap();
    assert_eq!(setup, "rarefy setup --dry-run");
    let next = desk.next(&setup).unwrap();
    if next == "rarefy setup" {
        eprintln!("SKIPPED: this machine lacks what measuring needs");
        return;
    }
    assert_eq!(next, "rarefy quickstart");
    desk.begins(&next, "runs/quickstart/checkpoint.safetensors");
    if ready("mps2-an386") {
        let quick = "rarefy quickstart --epochs 1 --pruner random/igq --board mps2-an386 -o '../läufe/it'\\''s mine'";
        let inspect = desk.next(quick).unwrap();
        assert_eq!(inspect, r"rarefy inspect '../läufe/it'\''s mine/model.rfy'");
        assert!(desk.next(&inspect).unwrap().starts_with("rarefy eval "));
    }
}

#[test]
fn json_has_no_next_line() {
    let desk = Desk::new();
    for line in [
        "rarefy arch --json",
        "rarefy data list --json",
        "rarefy boards --json",
    ] {
        let output = desk.shell(line).output().unwrap();
        let (stdout, _) = texts(&output);
        assert!(
            stdout.lines().count() == 1 && !stdout.contains("Next"),
            "{stdout}"
        );
    }
}

#[test]
fn what_is_known_of_a_container_never_replaces_another_file() {
    let folder = runs::folder();
    // The companion of `run/result` would be the run's own result.json.
    let words = [
        "run/result.json is not a report",
        "another output file (-o)",
    ];
    refused(folder.path(), "export run -o run/result", &words);
    fs::write(folder.path().join("m.rfy.json"), "[\"mine\"]").unwrap();
    let words = ["m.rfy.json is not a report"];
    refused(folder.path(), "export run -o m.rfy", &words);
    assert!(!Path::new(folder.path()).join("m.rfy").exists());
}
