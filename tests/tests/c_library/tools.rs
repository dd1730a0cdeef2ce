//! Finds and runs the tools: cargo, compilers of C, CMake and the emulator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rarefy_format::{AlignedBytes, Model};
use rarefy_runtime::{Arena, Engine, argmax};
use rarefy_trainer::device::{Machine, Toolchain};

/// A board of the C example.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    pub(crate) name: &'static str,
    /// The target of Rust.
    target: &'static str,
    /// The options of GCC.
    pub(crate) options: &'static [&'static str],
}

/// An emulated Cortex-M4F.
pub(crate) const M4: Board = Board {
    name: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    options: &[
        "-mcpu=cortex-m4",
        "-mfpu=fpv4-sp-d16",
        "-mfloat-abi=hard",
        "-mthumb",
    ],
};

/// An emulated Cortex-M0.
pub(crate) const M0: Board = Board {
    name: "microbit",
    target: "thumbv6m-none-eabi",
    options: &["-mcpu=cortex-m0", "-mthumb"],
};

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Returns the folder of the library for C.
pub(crate) fn folder() -> PathBuf {
    root().join("firmware/c")
}

/// Returns whether programs for `board` can be built and run; otherwise says what is missing.
pub(crate) fn ready(board: Board) -> bool {
    let machine = Machine::default();
    let tools = ["arm-none-eabi-gcc", "cmake", "make", "qemu-system-arm"];
    if let Some(missing) = tools.iter().find(|tool| machine.find(tool).is_none()) {
        eprintln!("SKIPPED: {missing} is not on the PATH");
        return false;
    }
    if let Err(error) = Toolchain::find(&machine, board.target) {
        eprintln!("SKIPPED: {error}");
        return false;
    }
    true
}

/// Runs `command` and returns what it prints, errors last. Panics if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Builds a package of the firmware's workspace with these features, for a board or else for the
/// workstation, and returns the file of this name. Features and file are separate for every test,
/// since tests run at the same time.
pub(crate) fn build(
    package: &str,
    board: Option<Board>,
    (profile, features, file): (&str, &str, &str),
) -> Vec<u8> {
    let machine = Machine::default();
    let (mut command, folder) = match board {
        Some(board) => {
            let toolchain = Toolchain::find(&machine, board.target).unwrap();
            (toolchain.build(&machine), board.target)
        }
        None => {
            let mut command = machine.command(machine.find("cargo").unwrap());
            command.arg("build");
            (command, "")
        }
    };
    let workspace = root().join("firmware");
    let target = workspace.join("target-c");
    command
        .current_dir(&workspace)
        .args(["--quiet", "--locked", "--package", package]);
    command.args([
        "--profile",
        profile,
        "--no-default-features",
        "--features",
        features,
    ]);
    command.arg("--target-dir").arg(&target);
    // Another test could replace the file before it is read.
    let _lock = lock(&target);
    run(&mut command);
    fs::read(target.join(folder).join(profile).join(file)).unwrap()
}

/// Waits until no other test builds in `target`.
fn lock(target: &Path) -> fs::File {
    fs::create_dir_all(target).unwrap();
    let lock = fs::File::create(target.join("tests.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Returns the command that compiles for `board` without a C library, in the manner of the example.
pub(crate) fn gcc(board: Board) -> Command {
    let example = folder().join("example");
    let mut command = Command::new("arm-none-eabi-gcc");
    command.args(board.options);
    command.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command.args(["-ffreestanding", "-ffunction-sections", "-fdata-sections"]);
    command.args(["-nostdlib", "-Wl,--gc-sections", "-Wl,--no-warn-execstack"]);
    command.arg(format!("-T{}", example.join("program.ld").display()));
    let memory = root().join("firmware/boards").join(board.name);
    command.arg(format!("-L{}", memory.display()));
    command
        .arg("-I")
        .arg(&example)
        .arg("-I")
        .arg(folder().join("include"));
    command
}

/// Runs `program` on `board` and returns what it prints.
pub(crate) fn emulate(board: Board, program: &Path) -> String {
    let mut qemu = Command::new("timeout");
    qemu.args([
        "300",
        "qemu-system-arm",
        "-machine",
        board.name,
        "-nographic",
    ]);
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    // An instruction takes 128 nanoseconds.
    qemu.args(["-icount", "shift=7,align=off,sleep=off"]);
    run(qemu.arg("-kernel").arg(program))
}

/// Returns a committed container.
pub(crate) fn container(name: &str) -> AlignedBytes {
    let path = root().join(format!("tests/networks/{name}.rfy"));
    AlignedBytes::copy_from(&fs::read(path).unwrap())
}

/// The file of the committed digits, and the bytes before the first of them.
pub(crate) const DIGITS: (&str, usize) = ("tests/networks/digits/t10k-images-idx3-ubyte", 16);

/// Returns the lines that a program prints for the digits: the class and the logits of each, as the
/// workstation computes them.
pub(crate) fn expected(container: &[u8]) -> Vec<String> {
    let engine = Engine::new(Model::parse(container).unwrap()).unwrap();
    let digits = fs::read(root().join(DIGITS.0)).unwrap();
    let digits = digits[DIGITS.1..].chunks_exact(engine.model().inputs());
    let mut arena = Arena::<20_000>::new();
    let lines: Vec<String> = digits
        .map(|digit| {
            let logits = engine.infer(digit, arena.as_mut_words()).unwrap();
            let words = logits.iter().map(|logit| format!(" {logit}"));
            format!("{}{}", argmax(logits), words.collect::<String>())
        })
        .collect();
    assert_eq!(lines.len(), 100);
    lines
}
