//! `cargo xtask bare`: proves that the engine alone cannot panic, and checks its code size.
//!
//! The programs of `firmware/bare` are linked and not run. The panic handler of `nopanic` does not
//! link, so the program links only if it contains no path to a panic. As a control, a program with
//! a deliberate panic must fail to link. The library for C has the same panic handler, which must
//! not be in the archive. The targets' `core` library is needed, from rustup or built with Debian's
//! compiler (`rarefy setup` installs either).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol};

use crate::command::{Outcome, root};
use crate::{c_library, device};

/// Targets of Cortex-M0, M3, M4 and M33, and of RISC-V.
const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// Name of the undefined symbol that the panic handler calls.
const PATH_LEFT: &str = "a_path_to_a_panic_is_left";

/// Upper limits, in bytes, on the `.text` sections of two programs that run dense layers in packed
/// words on the Cortex-M4: one with the parser, one with a model that the compiler has verified.
/// The kernel takes 1,144 bytes of each. The limits are the current sizes plus a tolerance for
/// other compilers.
const LIMITS: &[(&str, u64)] = &[("size", 2800), ("size-verified", 1750)];

/// Sets of features in the table of sizes, by the kind of layers that need them.
const SETS: &[&str] = &[
    "words",
    "columns",
    "rice",
    "csr",
    "dense",
    "words,dense",
    "words,maps",
    "words,residual",
    "all",
];

/// Targets in the table of sizes.
const SIZED: &[(&str, &str)] = &[
    ("thumbv6m-none-eabi", "Cortex-M0"),
    ("thumbv7em-none-eabihf", "Cortex-M4"),
    ("riscv32imac-unknown-none-elf", "RV32IMAC"),
];

/// Links all programs and checks the results. With `--sizes`, prints the size of the engine for
/// several sets of features instead.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [] => check(),
        [option] if option == "--sizes" => sizes(),
        _ => Err("`cargo xtask bare` has no option but --sizes".into()),
    }
}

/// Prints a table of the bytes of flash that parser and engine take with each set of features.
fn sizes() -> Outcome {
    let heads: Vec<&str> = SIZED.iter().map(|&(_, core)| core).collect();
    println!("| features | {} |", heads.join(" | "));
    println!("|---|{}", "---|".repeat(heads.len()));
    for set in SETS {
        let mut cells = Vec::new();
        for (target, _) in SIZED {
            let output = link(target, "size", set)?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
            let bytes = text(&target_folder().join(target).join("release").join("size"))?;
            cells.push(bytes.to_string());
        }
        println!("| {} | {} |", set.replace(',', ", "), cells.join(" | "));
    }
    Ok(())
}

/// Links all programs and checks the results.
fn check() -> Outcome {
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
        eprintln!("== a deliberate panic for {target}");
        let output = link(target, "nopanic", "all,can-panic")?;
        if output.status.success() {
            return Err(format!(
                "nopanic with a deliberate panic links for {target}, so it proves nothing"
            ));
        }
        if !said(&output, PATH_LEFT) {
            return Err(format!(
                "nopanic with a deliberate panic fails for another reason for {target}:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        if has_path(target, c_library::ALL)? {
            return Err(format!(
                "a path to a panic is left in the library for C for {target}"
            ));
        }
        if !has_path(target, "words,can-panic")? {
            return Err(format!(
                "the library for C for {target} hides a deliberate panic, so it proves nothing"
            ));
        }
    }
    for (program, limit) in LIMITS {
        let target = "thumbv7em-none-eabihf";
        let output = link(target, program, "words")?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = text(&target_folder().join(target).join("release").join(program))?;
        println!("{program:14} {text} bytes of text, at most {limit}");
        if text > *limit {
            return Err(format!(
                "{program} has {text} bytes of text, more than {limit}"
            ));
        }
    }
    Ok(())
}

/// Returns `true` if the error output contains `what`.
fn said(output: &Output, what: &str) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(what)
}

/// Returns the folder for the outputs of these builds.
fn target_folder() -> PathBuf {
    root().join("firmware/target-bare")
}

/// Builds `program` for `target`. The status of the output tells whether the program linked.
fn link(target: &str, program: &str, features: &str) -> Result<Output, String> {
    let mut build = device::build(target)?;
    build.args(["--release", "--package", "rarefy-bare", "--bin", program]);
    build.args(["--features", features]);
    build.arg("--target-dir").arg(target_folder());
    build.output().map_err(|e| format!("cannot run cargo: {e}"))
}

/// The number of functions of the library for C.
const FUNCTIONS: usize = 9;

/// Returns whether the library for C with `features` contains a path to a panic.
fn has_path(target: &str, features: &str) -> Result<bool, String> {
    let library = c_library::build(target, features, "release", &target_folder())?;
    let invalid = |e: &dyn std::fmt::Display| format!("{}: {e}", library.display());
    let bytes = fs::read(&library).map_err(|e| invalid(&e))?;
    let archive = ArchiveFile::parse(&*bytes).map_err(|e| invalid(&e))?;
    let (mut functions, mut is_left) = (0, false);
    for member in archive.members() {
        let member = member.map_err(|e| invalid(&e))?;
        let data = member.data(&*bytes).map_err(|e| invalid(&e))?;
        let Ok(object) = object::File::parse(data) else {
            continue;
        };
        for symbol in object.symbols() {
            let name = symbol.name().map_err(|e| invalid(&e))?;
            is_left |= name == PATH_LEFT;
            functions += usize::from(name.starts_with("rfy_") && symbol.is_definition());
        }
    }
    match functions {
        FUNCTIONS => Ok(is_left),
        count => Err(invalid(&format!(
            "{count} functions instead of {FUNCTIONS}"
        ))),
    }
}

/// Returns the size in bytes of the section `.text` of an ELF file.
fn text(path: &Path) -> Result<u64, String> {
    let invalid = |reason: String| format!("{}: {reason}", path.display());
    let bytes = fs::read(path).map_err(|e| invalid(e.to_string()))?;
    let elf = object::File::parse(&*bytes).map_err(|e| invalid(e.to_string()))?;
    let section = elf.section_by_name(".text");
    section
        .map(|section| section.size())
        .ok_or_else(|| invalid("no section .text".to_owned()))
}
