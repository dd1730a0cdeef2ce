//! `rarefy new`: the projects that it writes build, run, and compute what the workstation computes.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
use rarefy_runtime::{Engine, argmax};
use rarefy_trainer::data::digits;
use rarefy_trainer::device::{Machine, Toolchain};
use serde_json::Value;

use crate::boards::ready;
use crate::program::{command, json, misused, object, refused, run, says, texts};
use crate::runs;
use crate::tools::fake;

/// Returns the PATH of this process with the program `rarefy` on it, linked into `tools`.
fn path(tools: &Path) -> OsString {
    fs::create_dir_all(tools).unwrap();
    let link = tools.join("rarefy");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rarefy"), link).unwrap();
    }
    let path = env::var_os("PATH").unwrap();
    env::join_paths(std::iter::once(tools.to_path_buf()).chain(env::split_paths(&path))).unwrap()
}

/// Runs `line`, which calls cargo in a project, in a shell in `folder`. Projects share their build
/// outputs.
pub(crate) fn shell(folder: &Path, line: &str) -> Output {
    let mut shell = Command::new("sh");
    for (name, _) in env::vars_os() {
        // Those of the outer build concern the workstation.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" || name.contains("RUSTFLAGS") {
            shell.env_remove(&*name);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects");
    shell
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path(&folder.join("tools")))
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RAREFY_FIRMWARE");
    shell.output().unwrap()
}

/// Writes the shared run and its container with its companion to `folder`.
fn export(folder: &Path) {
    runs::pruned().lay_out(&folder.join("run"));
    json(folder, "export run -o model.rfy");
}

/// Runs `rarefy new` with `arguments` in `folder`, which has [`path`] as its PATH. Returns the
/// report.
fn create(folder: &Path, arguments: &[&str]) -> Value {
    let mut new = command(folder, "new --model model.rfy --json --quiet");
    new.args(arguments).env("PATH", path(&folder.join("tools")));
    let output = new.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    object(&stdout)
}

/// Returns what the engine computes for `input` on the workstation.
fn infer(container: &[u8], input: &[u8]) -> Vec<i32> {
    let bytes = AlignedBytes::copy_from(container);
    let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
    let mut arena = vec![0; engine.model().arena_words()];
    engine.infer(input, &mut arena).unwrap().to_vec()
}

/// Reads a file of the checkout.
fn checkout(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn a_project_for_a_cortex_m0_runs_and_a_wrong_one_does_not_compile() {
    if !ready("microbit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    export(folder);
    let names = "zero,one,two,three,four,five,six,seven,eight,\"nine\"";
    let arguments = ["--board", "microbit", "--sample", "3", "--labels", names];
    let report = create(folder, &[&["my app"], &arguments[..]].concat());
    let image = digits::load().test.image(3).to_vec();
    let logits = infer(&runs::pruned().container, &image);
    let class = argmax(&logits);
    assert_eq!(report["class"], class);
    let label = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight",
    ];
    let label = label.get(class).copied().unwrap_or("\"nine\"");
    assert_eq!(report["label"], label);

    let project = folder.join("my app");
    // The versions are those of the firmware's own lock file.
    let ran = shell(folder, "cd 'my app' && cargo run --locked");
    let (stdout, stderr) = texts(&ran);
    assert!(ran.status.success(), "{stderr}");
    assert_eq!(stdout, format!("INFO  class {label}, logits {logits:?}\n"));
    assert!(!stderr.contains("warning:"), "{stderr}");

    // Every other project would be wrong, and the compiler says so.
    let rejected = |file: &str, contents: &[u8], words: &[&str]| {
        let path = project.join(file);
        let right = fs::read(&path).unwrap();
        fs::write(&path, contents).unwrap();
        let built = shell(folder, "cd 'my app' && cargo build");
        assert!(!built.status.success(), "{file}");
        says(&texts(&built).1, words);
        fs::write(&path, right).unwrap();
    };
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    let features: Vec<&str> = report["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let needed = format!("[\"defmt\", \"{}\"]", features.join("\", \""));
    let other = manifest.replace(&needed, "[\"defmt\", \"csr-f32\"]");
    assert_ne!(other, manifest);
    let words = ["needs a feature that Cargo.toml does not enable"];
    rejected("Cargo.toml", other.as_bytes(), &words);
    let mut damaged = runs::pruned().container.clone();
    *damaged.last_mut().unwrap() ^= 1;
    rejected("model.rfy", &damaged, &["model.rfy is damaged"]);
    rejected("input.bin", &[0; 783], &["with a size of 784"]);
    rejected(
        "src/labels.rs",
        b"pub const LABELS: [&str; crate::MODEL.outputs()] = [\"a\"];",
        &["with a size of 10"],
    );
}

#[test]
fn projects_for_other_cores_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let container = &runs::pruned().container;
    fs::write(folder.join("model.rfy"), container).unwrap();
    let logits = infer(container, &[0; 784]);
    let class = argmax(&logits);
    for board in ["mps2-an386", "mps2-an505", "qemu-virt-rv32"] {
        if !ready(board) {
            continue;
        }
        create(folder, &[board, "--board", board]);
        let ran = shell(folder, &format!("cd {board} && cargo run"));
        let (stdout, stderr) = texts(&ran);
        assert!(ran.status.success(), "{stderr}");
        assert_eq!(stdout, format!("INFO  class {class}, logits {logits:?}\n"));
    }
}

#[test]
fn the_program_is_the_example_in_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let example = |path: &str| checkout(&format!("firmware/examples/classify/{path}"));
    fs::write(folder.join("model.rfy"), example("model.rfy")).unwrap();
    let report = create(folder, &["app", "--board", "mps2-an386"]);
    assert!(report["input"].as_str().unwrap().starts_with("bytes of 0"));
    let project = folder.join("app");
    for path in [
        "src/main.rs",
        "src/board.rs",
        "build.rs",
        "memory.x",
        "model.rfy",
    ] {
        assert_eq!(
            fs::read(project.join(path)).unwrap(),
            example(path),
            "{path}"
        );
    }
    for path in [
        "format/src/lib.rs",
        "format/LICENSE-MIT",
        "runtime/build.rs",
        "runtime/LICENSE-APACHE",
    ] {
        let copy = fs::read(project.join("rarefy").join(path)).unwrap();
        assert_eq!(copy, checkout(path), "{path}");
    }
    let main = fs::read_to_string(project.join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 25 && !main.contains("unsafe"));
    // The example's input is a digit, and its class is right.
    let logits = infer(&example("model.rfy"), &example("input.bin"));
    let labels = checkout("tests/networks/digits/t10k-labels-idx1-ubyte");
    assert_eq!(argmax(&logits), usize::from(labels[8]));
}

#[test]
fn chips_get_their_memories_and_what_starts_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    create(folder, &["pico", "--chip", "RP2040"]);
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    says(
        &read("pico/memory.x"),
        &["BOOT2 : ORIGIN = 0x10000000, LENGTH = 256"],
    );
    says(
        &read("pico/Cargo.toml"),
        &["rp2040-boot2", "default = [\"probe\"]"],
    );
    says(&read("pico/src/board.rs"), &["mod boot2;"]);
    says(&read("pico/src/board/boot2.rs"), &[".boot2"]);
    says(
        &read("pico/.cargo/config.toml"),
        &["\"probe-rs\", \"run\", \"--chip\", \"RP2040\""],
    );
    let locked = shell(
        folder,
        "cd pico && cargo metadata --locked --format-version 1",
    );
    assert!(locked.status.success(), "{}", texts(&locked).1);
    let new = "new b --model model.rfy --chip STM32F411CEUx";
    let output = run(folder, new);
    says(
        &texts(&output).0,
        &["b: a program for STM32F411CE", "Next: cd b && cargo "],
    );
    assert!(!folder.join("b/src/board/boot2.rs").exists());
}

#[test]
fn what_is_missing_is_said_as_measuring_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let tools = folder.join("tools");
    fake(&tools, "cargo", "exit 9");
    fake(&tools, "rustc", "exit 9");
    let machine = Machine {
        path: tools.clone().into(),
        ..Machine::default()
    };
    if Toolchain::find(&machine, "thumbv6m-none-eabi").is_ok() {
        eprintln!("SKIPPED: Debian's compiler and its linker are found without the path");
        return;
    }
    let mut new = command(folder, "new app --model model.rfy --board microbit");
    let (stdout, stderr) = texts(&new.env("PATH", &tools).output().unwrap());
    let words = [
        "no compiler for thumbv6m-none-eabi",
        "rarefy setup",
        "rustup target add",
    ];
    says(&stderr, &words);
    assert!(stdout.ends_with("\nNext: rarefy setup\n"), "{stdout}");
}

#[test]
fn what_cannot_become_a_project_is_one_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    fs::create_dir(folder.join("mine")).unwrap();
    let wide = NetworkSpec {
        input: Shape {
            channels: 1,
            height: 28,
            width: 28,
        },
        layers: vec![LayerSpec::dense(
            Encoding::Dense,
            0,
            vec![0; 400],
            vec![vec![(0, 1), (783, 1)]; 400],
        )],
    };
    fs::write(folder.join("wide.rfy"), write(&wide).unwrap()).unwrap();
    fs::write(folder.join("torn.rfy"), &runs::pruned().container[..900]).unwrap();
    let new = "new app --board microbit --model";
    for (arguments, words) in [
        (
            "new mine --board microbit --model model.rfy",
            &["mine exists already", "another name"][..],
        ),
        (
            "new model.rfy --board microbit --model model.rfy",
            &["model.rfy exists already"],
        ),
        (
            "new .. --board microbit --model model.rfy",
            &["..", "name of a folder"],
        ),
        (
            &format!("{new} wide.rfy"),
            &["bytes of flash", "microbit has 262144", "larger board"],
        ),
        (&format!("{new} torn.rfy"), &["torn.rfy"]),
        (&format!("{new} missing.rfy"), &["missing.rfy"]),
    ] {
        refused(folder, arguments, words);
    }
    for (arguments, words) in [
        (
            "new app --board microbi --model model.rfy",
            &["did you mean microbit?"][..],
        ),
        ("new app --chip STM32F4 --model model.rfy", &["STM32F4"]),
        (
            &format!("{new} model.rfy --labels a,b"),
            &["--labels a,b has 2 names", "10 classes"],
        ),
        (
            &format!("{new} model.rfy --sample 1"),
            &["which data", "--data"],
        ),
        (
            &format!("{new} model.rfy --data digits --sample 2000"),
            &["--sample 2000", "2000 test images"],
        ),
    ] {
        misused(folder, arguments, words);
    }
}

#[test]
fn a_program_that_cannot_be_emulated_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("text"), "no program").unwrap();
    let words = [
        "nrf52840-dk is a real board",
        "probe-rs run --chip nRF52840_xxAA",
    ];
    refused(folder, "run text --board nrf52840-dk", &words);
    refused(
        folder,
        "run text --board mps2-an386",
        &["mps2-an386", "no defmt table"],
    );
    refused(
        folder,
        "run missing --board mps2-an386",
        &["missing", "check its path"],
    );
    misused(
        folder,
        "run text --board nothing",
        &["nothing", "rarefy boards"],
    );
}

/// Lists the files below `folder`, as paths relative to `root`.
fn files(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(root, &path, found),
            false => found.push(path.strip_prefix(root).unwrap().to_path_buf()),
        }
    }
}

/// Checks that a program away from its checkout has all sources, and that they are the checkout's.
#[test]
fn rarefy_installed_alone_measures_and_writes_projects() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let installed = folder.join("bin/rarefy");
    fs::create_dir(folder.join("bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_rarefy"), &installed).unwrap();
    let alone = |arguments: &str| {
        let output = Command::new(&installed)
            .args(arguments.split(' '))
            .current_dir(folder)
            .env("RAREFY_DATA", folder.join("no-data"))
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("RAREFY_FIRMWARE", "built-in")
            .output()
            .unwrap();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {stderr}");
        object(&stdout)
    };
    let boards = alone("boards --json --quiet");
    assert_eq!(boards, json(folder, "boards"));

    let sources = fs::read_dir(folder.join("cache/rarefy/sources")).unwrap();
    let unpacked: Vec<PathBuf> = sources.map(|entry| entry.unwrap().path()).collect();
    let [unpacked] = unpacked.as_slice() else {
        panic!("{unpacked:?}");
    };
    let mut found = Vec::new();
    files(unpacked, unpacked, &mut found);
    for path in &found {
        let packed = fs::read(unpacked.join(path)).unwrap();
        assert!(packed == checkout(path.to_str().unwrap()), "{path:?}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut expected = Vec::new();
    for part in [
        "format",
        "runtime",
        "firmware/src",
        "firmware/boards",
        "firmware/build",
        "firmware/code",
    ] {
        files(&root, &root.join(part), &mut expected);
    }
    let missing: Vec<_> = expected
        .iter()
        .filter(|path| !found.contains(path))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");

    alone("new app --model model.rfy --board mps2-an386 --json --quiet");
    assert!(folder.join("app/rarefy/runtime/src/lib.rs").exists());
    if ready("microbit") {
        let measure = "measure model.rfy --data digits --board microbit --samples 2 --no-dense --no-cycles --json --quiet";
        assert_eq!(alone(measure)["matches_host"], true);
    }
}
