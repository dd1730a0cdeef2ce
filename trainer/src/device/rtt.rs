//! Tests the program for real boards without one: it logs through RTT, runs in the emulator, and
//! its log is read through the emulator's GDB stub, as a debug probe would read it.

mod gdb;
mod reader;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rarefy_format::{AlignedBytes, Model};

use super::boards::{Board, Boards, Runner};
use super::firmware::firmware_folder;
use super::image::{Image, Plan, Role};
use super::log::Recording;
use super::options::MeasureOptions;
use super::setup::Setup;
use super::{footprint, run};
use gdb::Gdb;
use reader::Reader;

/// An emulator that is killed when this value is dropped.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the board called `name` if programs for it can be built and run here.
fn ready(name: &str) -> Option<Board> {
    let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
    let board = boards.get(name).unwrap().clone();
    let setup = Setup::plan(&MeasureOptions::default().machine, [&board]).unwrap();
    if setup.is_complete() {
        return Some(board);
    }
    let steps = setup.steps().join("; ");
    let required = std::env::var_os("RAREFY_REQUIRE_DEVICE").is_some();
    assert!(!required, "{name} needs: {steps}");
    eprintln!("SKIPPED: {name} needs: {steps}");
    None
}

/// Builds the program that measures the golden container `words` on three inputs.
fn build(board: &Board) -> Image {
    let golden = board.firmware.join("../format/tests/golden/words.rfy");
    let model = AlignedBytes::copy_from(&std::fs::read(golden).unwrap());
    let model = Model::parse(&model).unwrap();
    let samples: Vec<u8> = (0..3 * model.inputs())
        .map(|i| (i * 37 % 256) as u8)
        .collect();
    let plan = Plan {
        board,
        role: Role::Measure,
        content: Some((model, &samples)),
        code: None,
    };
    MeasureOptions::default().builder().build(plan).unwrap()
}

/// Starts the emulator with `image`, halted, and a GDB stub at `socket`.
fn start(board: &Board, image: &Path, socket: &Path) -> Emulator {
    let Runner::Emulator { machine } = &board.runner else {
        panic!("{} is not emulated", board.name);
    };
    let shift = board.icount_shift();
    let stub = format!("socket,path={},server=on,wait=off,id=gdb", socket.display());
    let child = Command::new(board.emulator())
        .args(["-M", machine, "-nographic", "-S"])
        .args(["-monitor", "none", "-serial", "none"])
        .args(["-icount", &format!("shift={shift},align=off,sleep=off")])
        .args(["-chardev", &stub, "-gdb", "chardev:gdb"])
        .arg("-kernel")
        .arg(image)
        .stdin(Stdio::null())
        .spawn();
    Emulator(child.unwrap())
}

#[test]
fn the_program_for_real_boards_logs_the_same_lines_as_the_one_for_the_emulator() {
    for name in ["mps2-an386", "microbit", "stm32vldiscovery", "mps2-an505"] {
        let Some(board) = ready(name) else { continue };
        let options = MeasureOptions::default();
        let image = build(&board);
        let expected =
            run::run(&image, &board, &options.machine, options.run_limits(), None).unwrap();

        // The transport follows from the runner.
        let chip = name.to_owned();
        let probed = Board {
            runner: Runner::Probe { chip },
            ..board.clone()
        };
        let image = build(&probed);
        assert!(footprint::Footprint::read(&image.bytes, &probed).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("gdb");
        let _emulator = start(&board, &image.path, &socket);
        let mut gdb = Gdb::connect(&socket);
        let found = Reader::new(&image.bytes).read_all(&mut gdb);

        let [expected, found] = [expected, found]
            .map(|lines| Recording::read(lines.iter().map(String::as_str)).unwrap());
        assert_eq!(found.inferences.len(), 3);
        assert_eq!(found, expected, "{name}");
    }
}
