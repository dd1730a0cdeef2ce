//! Builds the example with CMake, runs it on emulated boards, and compares the library's size.

use std::fs;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol};

use super::tools::{
    Board, DIGITS, M0, M4, build, container, emulate, expected, folder, gcc, ready, root, run,
};

/// What the library runs in these tests.
const FEATURES: &str = "dense,csr,words,columns,rice,csr-f32,maps,residual";

/// Returns the command that configures the example in `work` with the library in the folder
/// `rarefy`.
fn configure(board: Board, rarefy: &Path, model: &Path, work: &Path) -> Command {
    let example = folder().join("example");
    let define = |name: &str, value: &Path| format!("-D{name}={}", value.display());
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&example).arg("-B").arg(work);
    configure.args(["-G", "Unix Makefiles"]);
    configure.arg(define(
        "CMAKE_TOOLCHAIN_FILE",
        &example.join("arm-none-eabi.cmake"),
    ));
    configure.arg(format!("-DBOARD={}", board.name));
    configure.arg(define("RAREFY", rarefy));
    configure.arg(define("MODEL", model));
    configure.arg(define("INPUTS", &root().join(DIGITS.0)));
    configure.arg(format!("-DSKIP={}", DIGITS.1));
    configure
}

/// Puts the library of these features into `folder`, as `cargo xtask c-library` does.
fn lay_out(board: Board, features: &str, folder: &Path) {
    let library = build(
        "rarefy-c",
        Some(board),
        ("release", features, "librarefy.a"),
    );
    fs::write(folder.join("librarefy.a"), library).unwrap();
    for file in ["include/rarefy.h", "cmake/rarefy.cmake"] {
        let from = super::tools::folder().join(file);
        fs::copy(&from, folder.join(from.file_name().unwrap())).unwrap();
    }
}

/// Checks that the example prints the workstation's classes and logits for these containers.
fn check(board: Board, containers: &[&str]) {
    if !ready(board) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    lay_out(board, FEATURES, work.path());
    let built = work.path().join("build");
    for name in containers {
        let model = root().join(format!("tests/networks/{name}.rfy"));
        run(&mut configure(board, work.path(), &model, &built));
        run(Command::new("cmake").arg("--build").arg(&built));
        let found = emulate(board, &built.join("example"));
        let found: Vec<&str> = found.lines().collect();
        assert_eq!(found, expected(&container(name)), "{name} on {board:?}");
    }
}

#[test]
fn the_example_computes_the_workstations_logits_on_a_cortex_m4() {
    check(
        M4,
        &[
            "lenet-300-100-100x-size",
            "lenet-300-100-100x-speed-m4",
            "residual-5x-speed-m4",
        ],
    );
}

#[test]
fn the_example_computes_the_workstations_logits_on_a_cortex_m0() {
    check(
        M0,
        &["lenet-300-100-100x-size", "lenet-300-100-300x-speed-m0"],
    );
}

#[test]
fn a_file_that_is_no_container_is_not_embedded() {
    if !ready(M0) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    lay_out(M0, "words", work.path());
    let digits = root().join(DIGITS.0);
    for (model, words) in [
        (&*digits, "is not a .rfy container"),
        (Path::new("nowhere.rfy"), "there is no container"),
    ] {
        let mut configure = configure(M0, work.path(), model, &work.path().join("build"));
        let output = configure.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // CMake wraps messages.
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success());
        assert!(errors.contains(words), "{errors}");
    }
}

/// Returns the bytes of the sections of a linked program whose names begin with one of `names`.
fn sections(program: &[u8], names: &[&str]) -> u64 {
    let elf = object::File::parse(program).unwrap();
    let sections = elf.sections().filter(|section| {
        let name = section.name().unwrap_or_default();
        names.iter().any(|start| name.starts_with(start))
    });
    sections.map(|section| section.size()).sum()
}

#[test]
fn the_library_is_as_small_as_the_engine_in_rust() {
    if !ready(M4) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    lay_out(M4, "words", work.path());
    let mut compile = gcc(M4);
    compile
        .arg("-Os")
        .arg(folder().join("tests/size.c"))
        .arg(at("librarefy.a"));
    run(compile.args(["-lgcc", "-o"]).arg(at("size")));
    let program = fs::read(at("size")).unwrap();
    // The program's own function is not the library's.
    let elf = object::File::parse(&*program).unwrap();
    let reset = elf
        .symbols()
        .find(|symbol| symbol.name() == Ok("reset"))
        .unwrap();
    let c = sections(&program, &[".text", ".rodata"]) - reset.size();

    let rust = build("rarefy-bare", Some(M4), ("release", "words", "size"));
    let rust = sections(&rust, &[".text", ".rodata"]);
    eprintln!("parser and engine for packed words: {rust} bytes in Rust, {c} in C");
    assert!(20 * c <= 21 * rust, "{c} bytes are more than 1.05 x {rust}");
}
