//! `cargo xtask test`: runs all checks.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::command::{self, CHECKS, Outcome, cargo, root};
use crate::device::installed;
use crate::{examples, house, quickstart, readme, suite};

/// Boards that cover every target and transport: target, board, transport of the log.
const BOARDS: &[(&str, &str, &str)] = &[
    ("thumbv6m-none-eabi", "microbit", "semihosting"),
    ("thumbv7m-none-eabi", "mps2-an385", "semihosting"),
    ("thumbv7em-none-eabihf", "mps2-an386", "semihosting"),
    ("thumbv8m.main-none-eabihf", "mps2-an505", "semihosting"),
    ("thumbv7em-none-eabihf", "nrf52840-dk", "rtt"),
    (
        "riscv32imac-unknown-none-elf",
        "qemu-virt-rv32",
        "semihosting",
    ),
];

/// Windows target that is checked, and the C compiler that its dependencies need.
const WINDOWS: (&str, &str) = ("x86_64-pc-windows-gnu", "x86_64-w64-mingw32-gcc");

/// Sets of features with which the runtime must build.
const FEATURES: &[&str] = &[
    "csr",
    "dense",
    "words",
    "columns",
    "rice",
    "csr-f32",
    "csr,maps",
    "csr,residual",
    "csr,units",
];

/// Oldest compiler that builds the format and the runtime: `rust-version` of their manifests.
const OLDEST: &str = "1.88.0";

/// Lints of the host's workspace.
const LINTS: &[&str] = &[
    "clippy",
    "--profile",
    CHECKS,
    "--workspace",
    "--all-targets",
];

/// How a step that did not fail ended.
enum Done {
    /// All of it was run.
    Run,
    /// Some of it was skipped, for this reason.
    Skipped(String),
}

/// A step: its name, and the function that runs it with the arguments of the command line.
type Step = (&'static str, fn(&[String]) -> Result<Done, String>);

/// All steps, in order.
const STEPS: &[Step] = &[
    ("format", |_| formatting()),
    ("comments", |_| all(house::run(&[]))),
    // Builds `rarefy` as well, and keeps both cores busy longer than `setup` does by itself.
    ("compiling tests", |_| all(suite::compile())),
    ("setup", |_| all(quickstart::setup(&[]))),
    ("C for Arm", |_| Ok(c_for_arm())),
    ("lints", |_| {
        let mut lints = cargo();
        lints.args(LINTS).args(["--", "-D", "warnings"]);
        all(command::run("lints", &mut lints))
    }),
    ("firmware lints", |_| firmware_lints()),
    ("plug-in", |_| plugin()),
    ("documentation", |_| documentation()),
    ("runtime features", |_| runtime_features()),
    ("oldest compiler", |_| oldest_compiler()),
    ("windows", |_| windows()),
    ("dependencies", |_| dependencies()),
    ("tests", tests),
    ("readme", |_| all(readme::check())),
];

/// Runs all steps until one fails, and prints a summary. `arguments` are passed to `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    command::build_for_checks();
    let mut summary = String::new();
    let mut outcome = Ok(());
    for (index, (name, step)) in STEPS.iter().enumerate() {
        eprintln!("== step {} of {}: {name}", index + 1, STEPS.len());
        let start = Instant::now();
        let done = step(arguments);
        let note = match &done {
            Ok(Done::Run) => String::new(),
            Ok(Done::Skipped(reason)) => format!("  skipped: {reason}"),
            Err(_) => "  FAILED".to_owned(),
        };
        summary += &line(name, start.elapsed(), &note);
        if let Err(message) = done {
            outcome = Err(format!("step {name}: {message}"));
            break;
        }
    }
    eprint!("== steps and seconds\n{summary}");
    outcome
}

/// Formats a line of the summary.
fn line(name: &str, time: Duration, note: &str) -> String {
    format!("  {name:18} {:6.1}{note}\n", time.as_secs_f64())
}

/// Converts the outcome of a step that skips nothing.
fn all(outcome: Outcome) -> Result<Done, String> {
    outcome.map(|()| Done::Run)
}

/// Installs the tools of the tests of C for emulated boards, on Debian as root. Without them these
/// tests are skipped.
fn c_for_arm() -> Done {
    const TOOLS: [(&str, &str); 3] = [
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("cmake", "cmake"),
        ("make", "make"),
    ];
    let missing = || {
        let is_missing = |tool: &str| !command::succeeds(Command::new(tool).arg("--version"));
        let missing = TOOLS.iter().filter(|(tool, _)| is_missing(tool));
        missing.map(|(_, package)| *package).collect::<Vec<_>>()
    };
    let packages = missing();
    if packages.is_empty() {
        return Done::Run;
    }
    let install = || {
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends"]);
        install
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command::run("installing a C compiler for Arm", &mut install).is_ok()
    };
    if !install() && command::succeeds(Command::new("apt-get").arg("update")) {
        install();
    }
    match missing()[..] {
        [] => Done::Run,
        _ => Done::Skipped(format!(
            "tests of C on boards, which need `apt-get install {}`",
            packages.join(" ")
        )),
    }
}

/// Checks the format of both workspaces.
fn formatting() -> Result<Done, String> {
    for manifest in [
        "Cargo.toml",
        "firmware/Cargo.toml",
        "firmware/examples/embassy/Cargo.toml",
        "firmware/plugin/Cargo.toml",
    ] {
        let mut format = cargo();
        format.args(["fmt", "--all", "--check", "--manifest-path", manifest]);
        command::run(&format!("format of {manifest}"), &mut format)?;
    }
    Ok(Done::Run)
}

/// Lints the firmware for the targets that rustup has installed: Debian's compiler has no clippy.
fn firmware_lints() -> Result<Done, String> {
    let mut skipped = Vec::new();
    for &(target, board, transport) in BOARDS {
        if !installed(target) {
            skipped.push(board);
            continue;
        }
        // The program `fuzz` sets up the MPU of ARMv6-M and ARMv7-M, which other cores lack.
        let programs = match ["thumbv8m", "riscv"]
            .iter()
            .any(|arch| target.starts_with(arch))
        {
            true => "code",
            false => "code,fuzz",
        };
        let mut lints = cargo();
        lints
            .args(["clippy", "--release", "--target", target])
            .args(["--features", &format!("{programs},{transport}")])
            .args(["--", "-D", "warnings"])
            .current_dir(root().join("firmware"))
            .env("RAREFY_BOARD", board);
        command::run(&format!("lints of the firmware for {board}"), &mut lints)?;
        let mut lints = cargo();
        lints
            .args(["clippy", "--release", "--target", target])
            .args(["--package", "rarefy-c", "--", "-D", "warnings"])
            .current_dir(root().join("firmware"));
        command::run(
            &format!("lints of the library for C for {target}"),
            &mut lints,
        )?;
    }
    if installed(examples::TARGET) {
        examples::classify()?;
    }
    Ok(match skipped.is_empty() {
        true => Done::Run,
        false => Done::Skipped(format!(
            "{}, because rustup lacks the target",
            skipped.join(", ")
        )),
    })
}

/// Lints and tests the emulator's plug-in.
fn plugin() -> Result<Done, String> {
    let run = |arguments: &[&str]| {
        let mut check = cargo();
        check
            .args(arguments)
            .current_dir(root().join("firmware/plugin"))
            .env("CARGO_TARGET_DIR", root().join("firmware/target-plugin"));
        command::run(&format!("{} of the plug-in", arguments[0]), &mut check)
    };
    run(&["clippy", "--release", "--locked", "--", "-D", "warnings"])?;
    all(run(&["test", "--release", "--locked"]))
}

/// Builds the documentation without warnings.
fn documentation() -> Result<Done, String> {
    let mut docs = cargo();
    docs.args(["doc", "--profile", CHECKS, "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    all(command::run("documentation", &mut docs))
}

/// Checks the runtime with each set of features.
fn runtime_features() -> Result<Done, String> {
    for features in FEATURES {
        let mut check = cargo();
        check
            .args(["check", "--profile", CHECKS])
            .args(["--package", "rarefy-runtime"])
            .args(["--no-default-features", "--features", features]);
        command::run(&format!("runtime with only {features}"), &mut check)?;
    }
    Ok(Done::Run)
}

/// Checks that the format and the runtime compile with their minimum supported Rust version.
fn oldest_compiler() -> Result<Done, String> {
    let rustup = || {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", OLDEST]).current_dir(root());
        rustup
    };
    if !command::succeeds(rustup().args(["rustc", "--version"])) {
        return Ok(Done::Skipped(format!(
            "Rust {OLDEST} is not installed; run `rustup toolchain install --profile minimal {OLDEST}`"
        )));
    }
    let mut check = rustup();
    check
        .args(["cargo", "check", "--lib"])
        .args(["--package", "rarefy-format", "--package", "rarefy-runtime"])
        .args(["--features", "rarefy-format/alloc"])
        .arg("--target-dir")
        .arg(root().join("target").join("oldest"));
    all(command::run(
        &format!("format and runtime with Rust {OLDEST}"),
        &mut check,
    ))
}

/// Checks that the trainer compiles for Windows.
fn windows() -> Result<Done, String> {
    let (target, compiler) = WINDOWS;
    if !installed(target) {
        return Ok(Done::Skipped(format!(
            "the target {target} is not installed; run `rustup target add {target}`"
        )));
    }
    if !command::succeeds(Command::new(compiler).arg("--version")) {
        return Ok(Done::Skipped(format!(
            "{compiler} is not on the PATH; on Debian, run `apt-get install gcc-mingw-w64-x86-64`"
        )));
    }
    let mut check = cargo();
    check
        .args(["check", "--package", "rarefy-trainer", "--target", target])
        .env("RUSTFLAGS", "-D warnings");
    all(command::run("the trainer for Windows", &mut check))
}

/// Checks licences, duplicates and sources of dependencies.
fn dependencies() -> Result<Done, String> {
    if !command::succeeds(cargo().args(["deny", "--version"])) {
        return Ok(Done::Skipped(
            "cargo-deny is not installed; run `cargo install --locked cargo-deny`".to_owned(),
        ));
    }
    for manifest in ["Cargo.toml", "firmware/Cargo.toml"] {
        let mut deny = cargo();
        deny.args(["deny", "--locked", "--config", "deny.toml"])
            .args(["--manifest-path", manifest, "check"])
            // Exceptions are for the host's workspace only.
            .args([
                "--hide-inclusion-graph",
                "-A",
                "license-exception-not-encountered",
            ])
            .args(["licenses", "bans", "sources"]);
        command::run(&format!("dependencies of {manifest}"), &mut deny)?;
    }
    Ok(Done::Run)
}

/// Runs all tests of the workspace, fuzzes the parser, proves that the engine cannot panic, and
/// compares instructions of kernels with the committed table.
fn tests(arguments: &[String]) -> Result<Done, String> {
    let ended = suite::run(arguments)?;
    for end in &ended {
        let note = if end.success { "" } else { "  FAILED" };
        eprint!("{}", line(&end.name, end.time, note));
    }
    let failed = ended.iter().filter(|end| !end.success);
    let failed: Vec<&str> = failed.map(|end| end.name.as_str()).collect();
    match failed.is_empty() {
        true => Ok(Done::Run),
        false => Err(format!("failed, see above: {}", failed.join(", "))),
    }
}
