//! `cargo xtask test`: everything that must hold.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, Outcome, cargo, root};
use crate::{bare, bench, fuzz, quickstart};

/// A board of each target, with the way its log leaves it.
const BOARDS: &[(&str, &str, &str)] = &[
    ("thumbv6m-none-eabi", "microbit", "semihosting"),
    ("thumbv7m-none-eabi", "mps2-an385", "semihosting"),
    ("thumbv7em-none-eabihf", "mps2-an386", "semihosting"),
    ("thumbv7em-none-eabihf", "nrf52840-dk", "rtt"),
];

/// Runs all checks; the first that fails ends it. Words on the line go to `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    for manifest in ["Cargo.toml", "firmware/Cargo.toml"] {
        let mut format = cargo();
        format.args(["fmt", "--all", "--check", "--manifest-path", manifest]);
        command::run(&format!("formatting of {manifest}"), &mut format)?;
    }
    quickstart::setup(&[])?;
    command::run("lints", cargo().args(LINTS).args(["--", "-D", "warnings"]))?;
    firmware_lints()?;
    let mut docs = cargo();
    docs.args(["doc", "--release", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    command::run("documentation", &mut docs)?;
    for features in [
        "csr",
        "dense",
        "words",
        "columns",
        "rice",
        "csr-f32",
        "csr,maps",
        "csr,residual",
    ] {
        let mut lean = cargo();
        lean.args([
            "check",
            "--release",
            "--package",
            "rarefy-runtime",
            "--no-default-features",
        ]);
        command::run(
            &format!("runtime with {features} alone"),
            lean.args(["--features", features]),
        )?;
    }
    let mut tests = cargo();
    tests
        .args(["test", "--release", "--workspace"])
        .args(arguments);
    // Without this, tests that need the emulator may skip where it is missing.
    command::run("tests", tests.env("RAREFY_REQUIRE_DEVICE", "1"))?;
    fuzz::run(&["containers", "--seconds", "30"].map(String::from))?;
    bare::run(&[])?;
    bench::run(&["kernels", "--check"].map(String::from))?;
    let mut rarefy = command::rarefy()?;
    let out = root().join("target").join("quickstart");
    command::run(
        "the quickstart, short",
        rarefy.args(["quickstart", "--epochs", "5", "-o"]).arg(out),
    )?;
    eprintln!("== everything holds");
    Ok(())
}

/// The lints of the host's workspace.
const LINTS: &[&str] = &["clippy", "--release", "--workspace", "--all-targets"];

/// Lints the firmware for the targets that rustup has here: Debian's compiler comes without lints.
fn firmware_lints() -> Outcome {
    for (target, board, transport) in BOARDS {
        if !installed(target) {
            eprintln!("== lints of the firmware for {board}: skipped, rustup lacks {target}");
            continue;
        }
        let mut lints = cargo();
        lints.args([
            "clippy",
            "--release",
            "--target",
            target,
            "--features",
            &format!("code,{transport}"),
        ]);
        lints.args(["--", "-D", "warnings"]);
        lints
            .current_dir(root().join("firmware"))
            .env("RAREFY_BOARD", board);
        command::run(&format!("lints of the firmware for {board}"), &mut lints)?;
    }
    Ok(())
}

/// Whether rustc has the core library of `target`: it prints the folder even where there is none.
pub(crate) fn installed(target: &str) -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    asked.is_ok_and(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
