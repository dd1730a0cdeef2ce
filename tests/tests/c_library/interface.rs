//! Runs a C program on the workstation that calls every function rightly and wrongly.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::header::errors_of_header;
use super::tools::{build, folder, root, run};

/// Returns a table of error codes and their messages in C, as the header states them.
fn table() -> String {
    let header = fs::read_to_string(folder().join("include/rarefy.h")).unwrap();
    let mut table =
        "static const struct { int32_t code; const char *text; } messages[] = {\n".to_owned();
    for (name, _, message) in errors_of_header(&header) {
        writeln!(table, "    {{{name}, \"{message}\"}},").unwrap();
    }
    table + "};\n"
}

/// Compiles `interface.c` with `library` as the given language, and runs it with these containers.
fn check(compiler: &[&str], library: &[u8], kind: &str, containers: [&Path; 2]) {
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    fs::write(at("messages.h"), table()).unwrap();
    fs::write(at("librarefy.a"), library).unwrap();
    let mut compile = Command::new(compiler[0]);
    compile.args(&compiler[1..]);
    compile
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(work.path());
    compile.arg("-I").arg(folder().join("include"));
    compile.arg(folder().join("tests/interface.c"));
    compile.args(["-x", "none"]).arg(at("librarefy.a"));
    compile
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(at("interface"));
    run(&mut compile);
    let printed = run(Command::new(at("interface")).arg(kind).args(containers));
    assert!(printed.starts_with("all "), "{printed}");
}

#[test]
fn every_misuse_has_its_error_code() {
    let golden = |name: &str| root().join("format/tests/golden").join(name);
    let (words, rice, units) = (golden("words.rfy"), golden("rice.rfy"), golden("units.rfy"));
    let c = ["cc", "-std=c99"];
    let cpp = ["c++", "-std=c++11", "-x", "c++"];
    // The library without the encoding of the second container must reject it.
    let release = build("rarefy-c", None, ("release", "words", "librarefy.a"));
    check(&c, &release, "release", [&words, &rice]);
    check(&cpp, &release, "release", [&words, &rice]);
    // Nor does it read units without their feature.
    check(&c, &release, "release", [&words, &units]);
    let with_units = build(
        "rarefy-c",
        None,
        ("release", "words,csr,dense,units", "librarefy.a"),
    );
    check(&c, &with_units, "units", [&units, &rice]);
    // With debug assertions the library checks pointers.
    let features = "words,csr,maps,residual";
    let checked = build("rarefy-c", None, ("checked", features, "librarefy.a"));
    check(&c, &checked, "checked", [&words, &rice]);
}

#[test]
fn the_code_of_the_page_compiles() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, code) = page.split_once("```c\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    fs::write(at("page.c"), code).unwrap();
    // What CMake writes for a container.
    let digits = "#include <stdint.h>
#define DIGITS_BYTES 4
#define DIGITS_ARENA_BYTES 400
extern const uint8_t digits[DIGITS_BYTES];
";
    fs::write(at("digits.h"), digits).unwrap();
    let mut compile = Command::new("cc");
    compile
        .current_dir(work.path())
        .arg("-I")
        .arg(folder().join("include"));
    run(compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-c", "page.c"]));
}
