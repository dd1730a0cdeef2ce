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

/// Configures and builds the example in `work` and returns what it prints on `board`.
fn printed(board: Board, library: &Path, container: &str, work: &Path) -> String {
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
    configure.arg(define("RAREFY_LIBRARY", library));
    let model = root().join(format!("tests/networks/{container}.rfy"));
    configure.arg(define("MODEL", &model));
    configure.arg(define("INPUTS", &root().join(DIGITS.0)));
    configure.arg(format!("-DSKIP={}", DIGITS.1));
    run(&mut configure);
    run(Command::new("cmake").arg("--build").arg(work));
    emulate(board, &work.join("example"))
}

/// Checks that the example prints the workstation's classes and logits for these containers.
fn check(board: Board, containers: &[&str]) {
    if !ready(board) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let library = work.path().join("librarefy.a");
    let bytes = build(
        "rarefy-c",
        Some(board),
        ("release", FEATURES, "librarefy.a"),
    );
    fs::write(&library, bytes).unwrap();
    for name in containers {
        let found = printed(board, &library, name, &work.path().join("build"));
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
    let library = build("rarefy-c", Some(M4), ("release", "words", "librarefy.a"));
    fs::write(at("librarefy.a"), library).unwrap();
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
