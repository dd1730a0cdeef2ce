//! Measuring with tools that are missing or hang: a one-line error, and no process keeps running.
//!
//! The tools are shell scripts, and the firmware folder has the descriptions of all boards but no
//! sources, so neither a compiler nor an emulator is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rarefy_trainer::device::{Machine, Toolchain};

use crate::interrupts::{signal, start, wait_until, wait_until_dead};
use crate::program::{self, object, says, sentence, texts};
use crate::runs;

/// Writes a program called `name` into `folder` that runs the shell `script`.
pub(crate) fn fake(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Creates a folder with a model, the boards in `firmware` and an empty folder `tools`.
fn prepare(folder: &Path) -> PathBuf {
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware");
    fs::create_dir(folder.join("firmware")).unwrap();
    fs::copy(real.join("Cargo.toml"), folder.join("firmware/Cargo.toml")).unwrap();
    for board in fs::read_dir(real.join("boards")).unwrap() {
        let board = board.unwrap();
        let copy = folder.join("firmware/boards").join(board.file_name());
        fs::create_dir_all(&copy).unwrap();
        for file in ["board.toml", "memory.x"] {
            fs::copy(board.path().join(file), copy.join(file)).unwrap();
        }
    }
    fs::create_dir(folder.join("tools")).unwrap();
    folder.join("tools")
}

/// Returns the command `rarefy` with `arguments` and only `tools` on the PATH.
fn with_only_tools(folder: &Path, arguments: &str) -> Command {
    let mut command = program::command(folder, arguments);
    command
        .env("PATH", folder.join("tools"))
        .env("RAREFY_FIRMWARE", folder.join("firmware"));
    command
}

#[test]
fn a_missing_emulator_or_compiler_is_named_with_the_way_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tools = prepare(folder);
    let refused = |arguments: &str, words: &[&str]| {
        let output = with_only_tools(folder, &format!("{arguments} --quiet --json"))
            .output()
            .unwrap();
        assert!(output.stdout.is_empty());
        says(&sentence(&output), words);
    };
    fake(&tools, "cargo", "exit 9");
    fake(&tools, "rustc", "exit 9");
    for board in ["mps2-an386", "microbit"] {
        let measure = format!("measure model.rfy --data digits --board {board}");
        refused(&measure, &["qemu-system-arm", board, "rarefy setup"]);
    }
    refused(
        "measure model.rfy --data digits --board nrf52840-dk",
        &[
            "probe-rs",
            "nrf52840-dk",
            "https://probe.rs",
            "without running it",
        ],
    );
    refused(
        "measure model.rfy --data digits --board nrf52840-dk --calibrate",
        &[
            "probe-rs is not on the PATH",
            "nrf52840-dk",
            "https://probe.rs",
        ],
    );
    fake(&tools, "qemu-system-arm", "exit 9");
    let machine = Machine {
        path: tools.clone().into(),
        ..Machine::default()
    };
    if Toolchain::find(&machine, "thumbv6m-none-eabi").is_err() {
        refused(
            "measure model.rfy --data digits --board microbit",
            &[
                "no compiler for thumbv6m-none-eabi",
                "rarefy setup",
                "rustup target add",
            ],
        );
    } else {
        eprintln!("SKIPPED: Debian's compiler and its linker are found without the path");
    }
    fs::remove_file(tools.join("cargo")).unwrap();
    refused(
        "measure model.rfy --data digits --board microbit",
        &["cargo", "rustup.rs"],
    );
    refused("setup", &["cargo", "rustup.rs"]);
}

#[test]
fn what_boards_need_is_checked_before_the_quickstart_trains() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tools = prepare(folder);
    fake(&tools, "cargo", "exit 9");
    fake(&tools, "rustc", "exit 9");
    let refused = |boards: &str, words: &[&str]| {
        let output = with_only_tools(folder, &format!("quickstart {boards} --quiet --json"))
            .output()
            .unwrap();
        let sentence = sentence(&output);
        says(&sentence, words);
        assert!(!sentence.contains("--build-only"), "{sentence}");
        assert!(!folder.join("runs").exists(), "{sentence}");
    };
    refused("", &["qemu-system-arm", "rarefy setup"]);
    let words = [
        "nrf52840-dk is a real board",
        "probe-rs",
        "--board mps2-an386",
    ];
    refused("--board nrf52840-dk", &words);
    fake(&tools, "qemu-system-arm", "exit 9");
    let machine = Machine {
        path: tools.clone().into(),
        ..Machine::default()
    };
    if Toolchain::find(&machine, "thumbv6m-none-eabi").is_err() {
        refused("--board microbit", &["microbit", "rarefy setup"]);
    }
}

/// Checks that the next command for a board without a probe only builds.
#[test]
fn a_board_without_its_probe_is_measured_by_building() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tools = prepare(folder);
    runs::pruned().lay_out(&folder.join("run"));
    let next = |arguments: &str| {
        let output = with_only_tools(folder, arguments).output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stdout.lines().last().unwrap().to_owned()
    };
    let measure = "Next: rarefy measure m.rfy --board nrf52840-dk";
    let build = format!("{measure} --build-only");
    assert_eq!(next("export run -o m.rfy --board nrf52840-dk"), build);
    assert_eq!(next("eval m.rfy --data digits"), build);
    // Too large a number of images is noted before anything runs.
    let many = "measure m.rfy --board nrf52840-dk --samples 2001";
    let (_, stderr) = texts(&with_only_tools(folder, many).output().unwrap());
    says(
        &stderr,
        &[
            "--samples 2001 is more than the 2,000 test images of digits",
            "install it from https://probe.rs",
            "(--build-only)",
        ],
    );
    fake(&tools, "probe-rs", "exit 9");
    assert_eq!(next("eval m.rfy"), measure);
    let board = next("eval m.rfy --data digits");
    assert_eq!(board, format!("{measure} --data digits"));
}

#[test]
fn code_is_written_without_a_compiler_and_its_flash_said_to_be_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tools = prepare(folder);
    runs::pruned().lay_out(&folder.join("run"));
    fake(&tools, "cargo", "exit 9");
    fake(&tools, "rustc", "exit 9");
    let output = with_only_tools(folder, "export run --emit rust --quiet --json")
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report = object(&stdout);
    assert_eq!(report["board"], "mps2-an386");
    assert!(report["flash_bytes"].is_null(), "{report}");
    let why = report["flash_unknown"].as_str().unwrap();
    assert!(!why.is_empty() && !why.contains('\n'), "{why}");
    assert!(folder.join("model.rs").exists());
    let output = with_only_tools(folder, "export run --emit rust --quiet -o model.rs")
        .output()
        .unwrap();
    says(
        &texts(&output).0,
        &["flash usage on mps2-an386 is unknown", why],
    );
}

#[test]
fn c_is_written_without_a_compiler_and_its_flash_said_to_be_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    runs::pruned().lay_out(&folder.join("run"));
    let output = with_only_tools(folder, "export run --emit c --quiet --json -o My-Net.h")
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report = object(&stdout);
    assert!(report["flash_bytes"].is_null(), "{report}");
    let why = report["flash_unknown"].as_str().unwrap();
    says(
        why,
        &["arm-none-eabi-gcc is not on the PATH", "gcc-arm-none-eabi"],
    );
    let header = fs::read_to_string(folder.join("My-Net.h")).unwrap();
    says(
        &header,
        &[
            "`rarefy export --emit c`",
            "#define MY_NET_INPUTS 784",
            "my_net_classify(",
        ],
    );
    // Rust does not replace C.
    let rust = with_only_tools(folder, "export run --emit rust --quiet -o My-Net.h");
    let (_, stderr) = texts(&{ rust }.output().unwrap());
    says(&stderr, &["does not hold a network as Rust code"]);
}

#[test]
fn a_folder_that_is_no_firmware_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::command(folder.path(), "boards");
    let output = command
        .env("RAREFY_FIRMWARE", folder.path().join("elsewhere"))
        .output()
        .unwrap();
    says(&sentence(&output), &["elsewhere"]);
}

#[test]
fn a_broken_board_concerns_only_the_commands_that_need_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let file = folder.join("firmware/boards/microbit/board.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("Cortex-M0", "Cortex-M00")).unwrap();
    let run = |arguments: &str| with_only_tools(folder, arguments).output().unwrap();
    let fault = [
        "microbit",
        "board.toml",
        "line 2: there is no core \"Cortex-M00\"",
    ];

    let listed = run("boards");
    assert!(listed.status.success());
    let words = texts(&listed).0;
    says(&words, &fault);
    says(&words, &["mps2-an386", "sifive-e"]);
    let report = object(&texts(&run("boards --json")).0);
    assert_eq!(report["broken"][0]["board"], "microbit");

    let measure = |board: &str| format!("measure model.rfy --data digits --quiet --board {board}");
    says(&sentence(&run(&measure("microbit"))), &fault);
    let others = sentence(&run(&measure("mps2-an385")));
    says(&others, &["qemu-system-arm is not on the PATH"]);
}

#[test]
fn however_the_command_ends_while_the_firmware_is_being_built_nothing_keeps_running() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tools = prepare(folder);
    // A compiler with every target, and a build that never ends and has a child process.
    fs::create_dir(folder.join("lib")).unwrap();
    fs::write(folder.join("lib/libcore-0.rlib"), "").unwrap();
    fake(
        &tools,
        "rustc",
        &format!("echo {}", folder.join("lib").display()),
    );
    fake(&tools, "qemu-system-arm", "exit 9");
    let pids = folder.join("pids");
    let hang = format!(
        "/bin/sleep 600 & echo $$ $! > {0}.new; /bin/mv {0}.new {0}; wait",
        pids.display()
    );
    fake(&tools, "cargo", &hang);
    // A terminal's Ctrl-C signals the whole group, `kill` only rarefy, and a closed terminal sends
    // SIGHUP.
    for (name, whole_group) in [
        ("INT", false),
        ("INT", true),
        ("TERM", false),
        ("HUP", true),
        ("KILL", false),
    ] {
        let _ = fs::remove_file(&pids);
        let mut command = with_only_tools(
            folder,
            "measure model.rfy --data digits --board microbit --quiet --json",
        );
        command.process_group(0);
        let mut child = start(command);
        wait_until(&mut child, || pids.exists());
        let id = i64::from(child.id());
        signal(name, if whole_group { -id } else { id });
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout.is_empty());
        if name != "KILL" {
            says(&sentence(&output), &["stopped"]);
        }
        wait_until_dead(&fs::read_to_string(&pids).unwrap());
    }
}
