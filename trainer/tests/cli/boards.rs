//! `rarefy measure` with real firmware: built, linked and run in the emulator.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rarefy_trainer::device::{Boards, Machine, Setup, firmware_folder};
use serde_json::Value;

use crate::interrupts::{signal, start, wait_until, wait_until_dead};
use crate::program::{self, json, object, says, texts};
use crate::runs;
use crate::tools::fake;

/// Returns whether programs for the board `name` can be built and run here; prints why not.
pub(crate) fn ready(name: &str) -> bool {
    let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
    let setup = Setup::plan(&Machine::default(), [boards.get(name).unwrap()]).unwrap();
    if setup.is_complete() {
        return true;
    }
    let steps = setup.steps().join("; ");
    assert!(
        env::var_os("RAREFY_REQUIRE_DEVICE").is_none(),
        "RAREFY_REQUIRE_DEVICE is set, but {name} needs: {steps}"
    );
    eprintln!("SKIPPED: {name} needs: {steps}");
    false
}

fn number(value: &Value, pointer: &str) -> u64 {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("{pointer} in {value}"))
}

/// Measures the shared container twice on `board` and checks what must hold on every board.
fn measured(folder: &Path, board: &str) -> Value {
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let measure = format!("measure model.rfy --board {board} --samples 10 --data digits");
    let report = json(folder, &measure);
    assert_eq!(report["board"], board);
    assert_eq!(report["emulated"], true);
    assert_eq!(report["fits"], true);
    assert_eq!(report["matches_host"], true, "{report}");
    assert_eq!(report["samples"], 10);
    assert_eq!(
        number(&report, "/flash/model"),
        runs::pruned().container.len().next_multiple_of(4) as u64
    );
    let code = number(&report, "/flash/code");
    assert_eq!(
        number(&report, "/flash/total"),
        code + number(&report, "/flash/model")
    );
    assert_eq!(
        report["ram"]["arena"],
        runs::pruned().exported["arena_bytes"]
    );
    let ram =
        ["static", "arena", "stack_peak"].map(|part| number(&report, &format!("/ram/{part}")));
    assert_eq!(number(&report, "/ram/total"), ram.iter().sum::<u64>());
    let [min, median, max] =
        ["min", "median", "max"].map(|k| number(&report, &format!("/instructions/{k}")));
    assert!(min <= median && median <= max && min > 2 * 2600, "{report}");
    let mean = report["instructions"]["mean"].as_f64().unwrap();
    assert!(mean >= min as f64 && mean <= max as f64, "{report}");

    let again = json(folder, &format!("{measure} --no-dense"));
    assert_eq!(
        again["instructions"], report["instructions"],
        "counts are exact"
    );
    assert_eq!(again["flash"], report["flash"]);
    assert!(again["dense"].is_null());
    report
}

#[test]
fn the_cortex_m4f_answers_as_the_host_does() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path(), "mps2-an386");
    assert!(number(&report, "/instructions/max") <= 25_000, "{report}");
    assert_eq!(report["dense"]["matches_host"], true);
    assert!(
        number(&report, "/dense/instructions/median")
            > 10 * number(&report, "/instructions/median")
    );
}

#[test]
fn the_cortex_m0_answers_as_the_host_does_and_half_of_it_stays_free() {
    if !ready("microbit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = measured(folder.path(), "microbit");
    assert!(
        2 * number(&report, "/flash/total") <= number(&report, "/flash_size"),
        "{report}"
    );
    assert!(
        2 * number(&report, "/ram/total") <= number(&report, "/ram_size"),
        "{report}"
    );
    assert_eq!(report["dense"]["fits"], false);
    assert!(number(&report, "/dense/over_by") > 0);
}

#[test]
fn a_program_too_large_for_its_board_fails_with_the_bytes() {
    if !ready("microbit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Half of all weights are kept, so that hardly any unit is stripped.
    json(
        folder,
        "train --pruner random/uniform --compression 2 --epochs 1 -o run",
    );
    let exported = json(folder, "export run --encoding dense -o large.rfy");
    assert_eq!(exported["layers"][0]["encoding"], "dense");
    let output = program::run(folder, "measure large.rfy --board microbit --json --quiet");
    let (stdout, stderr) = texts(&output);
    let report = object(&stdout);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(report["fits"], false);
    let over = number(&report, "/over_by");
    assert_eq!(over, number(&report, "/flash/total") - 262_144);
    says(
        &program::sentence(&output).replace(',', ""),
        &["large.rfy", "microbit", &over.to_string(), "flash"],
    );
    let output = program::run(folder, "measure large.rfy --board microbit --build-only");
    let last = "No next command: the network does not fit the board";
    says(&texts(&output).0, &[last]);
}

/// Writes an emulator to `tools` that runs `script`, and returns a PATH on which it comes first.
fn with_emulator(tools: &Path, script: &str) -> OsString {
    fake(tools, "qemu-system-arm", script);
    let path = env::var_os("PATH").unwrap();
    env::join_paths(
        [tools.to_path_buf()]
            .into_iter()
            .chain(env::split_paths(&path)),
    )
    .unwrap()
}

#[test]
fn a_profile_that_cannot_be_made_is_an_error() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let measure = |board: &str| {
        format!(
            "measure model.rfy --data digits --samples 1 --no-dense --profile --svg p.svg --board {board}"
        )
    };
    // Without a table of cycles, before anything is built.
    for (board, core) in [("mps2-an500", "Cortex-M7F"), ("sifive-e", "RV32IMAC")] {
        let error = program::misuse(folder, &measure(board));
        says(
            &error,
            &["--profile needs instruction timings", core, board],
        );
    }
    // Where the emulator does not take plug-ins, after the figures.
    let real = Machine::default().find("qemu-system-arm").unwrap();
    let script = format!(
        "case \"$*\" in *-plugin*) echo 'invalid option' >&2; exit 1;; esac\nexec '{}' \"$@\"",
        real.display()
    );
    let path = with_emulator(&folder.join("tools"), &script);
    let mut command = program::command(folder, &measure("mps2-an386"));
    let output = command.env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (stdout, stderr) = texts(&output);
    says(&stdout, &["instructions per inference"]);
    assert!(!stdout.contains("p.svg"), "{stdout}");
    says(
        &stderr,
        &[
            "there is no profile, and p.svg was not written",
            "invalid option",
        ],
    );
    assert!(!folder.join("p.svg").exists());
}

#[test]
fn where_the_stack_of_a_chip_comes_from_is_said() {
    if !ready("mps2-an385") || !ready("mps2-an505") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let fits = "fits model.rfy --chip STM32F103C8";
    let measured = texts(&program::run(folder, fits)).0;
    says(
        &measured,
        &["the stack is measured in the emulator, on mps2-an385"],
    );
    let path = with_emulator(&folder.join("tools"), "exit 9");
    let mut command = program::command(folder, fits);
    let reserved = texts(&command.env("PATH", &path).output().unwrap()).0;
    says(&reserved, &["1,024 bytes are reserved for the stack", "~"]);
    // The chip starts no program without a header, and the program is not kept.
    let build = "measure model.rfy --chip RP2350 --build-only --no-dense";
    let mut command = program::command(folder, build);
    let built = texts(&command.env("PATH", &path).output().unwrap()).0;
    says(
        &built,
        &[
            "it fits",
            "1,024 bytes of RAM",
            "this chip may not start it",
        ],
    );
    assert!(!built.contains("leave out --build-only"), "{built}");
}

#[test]
fn a_board_that_is_not_here_is_told_what_the_program_takes() {
    if !ready("mps2-an386") {
        return;
    }
    // The same core and compiler as the emulated board, so no further tools are needed.
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let measure = "measure model.rfy --board nrf52840-dk --build-only";
    let report = json(folder, measure);
    assert_eq!(
        (&report["fits"], &report["samples"]),
        (&true.into(), &0.into())
    );
    let container = runs::pruned().container.len().next_multiple_of(4) as u64;
    assert_eq!(number(&report, "/flash/model"), container);
    assert_eq!(
        number(&report, "/flash/total"),
        number(&report, "/flash/code") + container
    );
    assert!(number(&report, "/ram/static") >= 784, "{report}");
    for key in [
        "/load",
        "/matches_host",
        "/cycles",
        "/ram/stack_peak",
        "/ram/total",
    ] {
        assert_eq!(report.pointer(key), Some(&Value::Null), "{key}: {report}");
    }
    assert!(number(&report, "/dense/flash/total") > number(&report, "/flash/total"));
    let words = texts(&program::run(folder, &format!("{measure} --no-dense"))).0;
    says(&words, &["built, not run", "it fits", "1,024 bytes of RAM"]);

    // The emulated board, with the same sources, has the same code and model sizes.
    let measured = json(
        folder,
        "measure model.rfy --data digits --board mps2-an386 --samples 1",
    );
    let built = json(folder, "measure model.rfy --board mps2-an386 --build-only");
    assert_eq!(built["flash"], measured["flash"]);
    for part in ["static", "input", "arena"] {
        assert_eq!(built["ram"][part], measured["ram"][part], "{part}");
    }
    let words = texts(&program::run(
        folder,
        "measure model.rfy --data digits --board mps2-an386 --samples 1 --no-dense",
    ));
    says(
        &words.0,
        &["instructions to load (checked once)", "has no such cost"],
    );
}

#[test]
fn code_is_compiled_for_the_board_to_tell_its_flash() {
    if !ready("microbit") {
        return;
    }
    let folder = runs::folder();
    let folder = folder.path();
    let export = "export run --emit rust --board microbit -o code.rs";
    let report = json(folder, export);
    assert_eq!(report["board"], "microbit");
    let (flash, nonzeros) = (
        number(&report, "/flash_bytes"),
        number(&report, "/nonzeros"),
    );
    let container = number(&report, "/container_bytes");
    // A weight takes more than two instructions of two bytes, and fewer than twenty.
    assert!(flash > 4 * nonzeros && flash < 40 * nonzeros, "{report}");
    assert!(report["flash_unknown"].is_null());
    let words = texts(&program::run(folder, export)).0.replace(',', "");
    says(
        &words,
        &[
            &format!("takes {flash} bytes of flash on microbit"),
            &format!(
                "takes {} bytes there: {container} bytes and the engine",
                number(&report, "/container_flash_bytes")
            ),
        ],
    );
    // The container to compare with is what the same options export, and its flash is what
    // `measure` reports, except for the program around it.
    json(folder, "export run --board microbit -o model.rfy");
    assert_eq!(
        fs::read(folder.join("model.rfy")).unwrap().len() as u64,
        container
    );
    let built = json(
        folder,
        "measure model.rfy --board microbit --build-only --no-dense",
    );
    let whole = number(&built, "/flash/total");
    let engine = number(&report, "/container_flash_bytes");
    assert!(engine > container && engine < whole, "{report} {built}");
}

#[test]
fn cycles_and_a_profile_are_reported_and_drawn() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let measure = "measure model.rfy --data digits --board mps2-an386 --samples 3 --no-dense";
    let report = json(folder, &format!("{measure} --profile --svg profile.svg"));
    let instructions = number(&report, "/instructions/median");
    let (low, high) = (
        number(&report, "/estimated_cycles/median/low"),
        number(&report, "/estimated_cycles/median/high"),
    );
    assert!(instructions < low && low < high, "{report}");
    let layers = report["profile"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    assert!(
        layers
            .iter()
            .all(|layer| layer["predicted"].as_f64() > Some(0.0))
    );
    let svg = fs::read_to_string(folder.join("profile.svg")).unwrap();
    assert!(
        svg.contains("drawn by rarefy") && svg.contains("1 dense 784"),
        "{svg}"
    );
    let without = json(folder, &format!("{measure} --no-cycles"));
    assert!(without["estimated_cycles"].is_null(), "{without}");
    assert_eq!(number(&without, "/instructions/median"), instructions);
}

#[test]
fn however_the_command_ends_while_a_board_runs_nothing_keeps_running() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let (tools, pid) = (folder.join("tools"), folder.join("pid"));
    let hang = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
        pid.display()
    );
    let path = with_emulator(&tools, &hang);
    for (name, whole_group) in [("INT", false), ("INT", true), ("KILL", false)] {
        let _ = fs::remove_file(&pid);
        let mut command = program::command(
            folder,
            "measure model.rfy --data digits --board mps2-an386 --samples 1 --quiet --json",
        );
        command.env("PATH", &path).process_group(0);
        let mut child = start(command);
        wait_until(&mut child, || pid.exists());
        let id = i64::from(child.id());
        signal(name, if whole_group { -id } else { id });
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout.is_empty());
        if name != "KILL" {
            says(&program::sentence(&output), &["stopped", "mps2-an386"]);
        }
        wait_until_dead(&fs::read_to_string(&pid).unwrap());
    }
}

#[test]
fn the_quickstart_prints_one_object_and_keeps_it() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let report = json(folder, "quickstart --epochs 1 --board mps2-an386 -o quick");
    assert_eq!(report["dataset"], "digits");
    assert_eq!(report["arch"], "lenet-300-100");
    assert_eq!(report["pruner"], "magnitude/igq");
    assert_eq!(report["seed"], 0);
    assert_eq!(number(&report, "/weights/total"), 266_200);
    assert_eq!(number(&report, "/weights/effective"), 2662);
    assert_eq!(report["compression"]["target"], 100.0);
    for accuracy in ["dense", "pruned", "deployed"] {
        assert!(
            report["accuracy"][accuracy].as_f64().unwrap() > 0.5,
            "{report}"
        );
    }
    let container = fs::read(folder.join(report["container"]["path"].as_str().unwrap())).unwrap();
    assert_eq!(number(&report, "/container/bytes"), container.len() as u64);
    let boards = report["boards"].as_array().unwrap();
    assert_eq!(boards.len(), 1);
    assert_eq!(
        (&boards[0]["matches_host"], &boards[0]["samples"]),
        (&true.into(), &100.into())
    );
    assert_eq!(
        number(&boards[0], "/flash/model"),
        container.len().next_multiple_of(4) as u64
    );
    assert!(
        boards[0]["dense"]["instructions"]["median"].is_u64(),
        "{report}"
    );
    let kept: Value =
        serde_json::from_slice(&fs::read(folder.join("quick/quickstart.json")).unwrap()).unwrap();
    assert_eq!(kept, report);
}
