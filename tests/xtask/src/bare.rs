//! `cargo xtask bare`: the engine alone for the device's targets, proved free of panics and weighed.
//!
//! The programs of `firmware/bare` are only linked. `nopanic` has a panic handler that does not link, so it does
//! not either when a path to a panic is left; that it then really does not is tried with one put in on
//! purpose. Needs the targets' `core`: rustup's, or Debian's compiler, which builds it (`rarefy setup`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::command::{Outcome, cargo, root};

/// The targets: Cortex-M0, M3, M4.
const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
];

/// Debian's compiler.
const DEBIAN: &str = "/usr/bin/rustc";

/// What an undefined panic handler is called.
const PATH_LEFT: &str = "a_path_to_a_panic_is_left";

/// The most bytes of text of the engine for dense layers in packed words on the Cortex-M4, the parser
/// included; and on a model that the compiler has verified. Of both, 1,144 bytes are the kernel's. The aim is
/// at most 3,072 and 2,048; these are what it takes and a little for another compiler.
const MOST: &[(&str, u64)] = &[("size", 2800), ("size-verified", 1750)];

/// Proves and weighs.
pub(crate) fn run(_: &[String]) -> Outcome {
    let features = ["dense", "csr", "words", "columns", "rice", "csr-f32"];
    for target in TARGETS {
        for features in [&["all"][..], &features[..], &["words"]] {
            let features = features.join(",");
            eprintln!("== no panic for {target} with {features}");
            let output = link(target, "nopanic", &features)?;
            if !output.status.success() {
                return Err(format!(
                    "nopanic does not link for {target} with {features}{}:\n{}",
                    if said(&output, PATH_LEFT) {
                        ", so a path to a panic is left"
                    } else {
                        ""
                    },
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
        }
        eprintln!("== a panic on purpose for {target}");
        let output = link(target, "nopanic", "all,can-panic")?;
        if output.status.success() || !said(&output, PATH_LEFT) {
            return Err(format!(
                "nopanic with an index that can panic is not refused for {target}: it proves nothing"
            ));
        }
    }
    for (program, most) in MOST {
        let target = "thumbv7em-none-eabihf";
        let output = link(target, program, "words")?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = text(&target_folder().join(target).join("release").join(program))?;
        println!("{program:14} {text} bytes of text, at most {most}");
        if text > *most {
            return Err(format!(
                "{program} has {text} bytes of text, more than {most}"
            ));
        }
    }
    Ok(())
}

fn said(output: &Output, what: &str) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(what)
}

/// Where these programs are built.
fn target_folder() -> PathBuf {
    root().join("firmware/target-bare")
}

/// Builds `program` for `target`; whether it linked is in the status.
fn link(target: &str, program: &str, features: &str) -> Result<Output, String> {
    let mut build = cargo();
    build.current_dir(root().join("firmware"));
    build.args(["build", "--quiet", "--release", "--package", "rarefy-bare"]);
    build.args(["--target", target, "--bin", program, "--features", features]);
    build.arg("--target-dir").arg(target_folder());
    if !crate::test::installed(target) {
        let lld = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
        let linker = sysroot("rustc")?.join(lld.replace("x86_64-unknown-linux-gnu", &host()?));
        if !Path::new(DEBIAN).is_file() || !linker.is_file() {
            return Err(format!(
                "no compiler for {target}: run `rarefy setup`, or `rustup target add {target}`"
            ));
        }
        let triple = target.to_uppercase().replace('-', "_");
        build.env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
        build.env("RUSTC", DEBIAN).env("RUSTC_BOOTSTRAP", "1");
        build.arg("-Zbuild-std=core");
    }
    build.output().map_err(|e| format!("cannot run cargo: {e}"))
}

/// The folder of the compiler `rustc`.
fn sysroot(rustc: &str) -> Result<PathBuf, String> {
    Ok(asked(rustc, &["--print", "sysroot"])?.trim().into())
}

/// The triple of this machine.
fn host() -> Result<String, String> {
    let version = asked("rustc", &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or("rustc does not tell its host".into())
}

fn asked(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|e| format!("cannot run {program}: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Bytes of the section `.text` of an ELF file of 32 bits.
fn text(path: &Path) -> Result<u64, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let number = |at: usize, count: usize| -> usize {
        let bytes = bytes.get(at..at + count).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    let (sections, size, count, names) =
        (number(32, 4), number(46, 2), number(48, 2), number(50, 2));
    let names = number(sections + names * size + 16, 4);
    for section in (0..count).map(|index| sections + index * size) {
        let name = names + number(section, 4);
        if bytes.get(name..name + 6) == Some(b".text\0") {
            return Ok(number(section + 20, 4) as u64);
        }
    }
    Err(format!("{} has no section .text", path.display()))
}
