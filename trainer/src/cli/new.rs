//! `rarefy new`: a Cargo project that runs a container in the user's own firmware.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use rarefy_runtime::{Engine, argmax};
use serde::Serialize;

use super::console::Console;
use super::model::ModelFile;
use super::next::{Line, Next};
use super::{chips, labels, usage};
use crate::data::Dataset;
use crate::deploy::companion;
use crate::device::{
    Board, Boards, Chip, Compiler, Machine, Project, Toolchain, check_runner, engine_features,
    firmware_folder,
};

/// What the command writes and does not.
const EXPLANATION: &str = "\
The project depends on copies of the container format and of the engine, in its folder rarefy, and \
enables the features of the engine that the model needs. The compiler checks the model: it does \
not build a program with a damaged one, or with one that needs more.

The input that the program classifies is a test image of the data that the model was made for, if \
they are at hand, and zeros otherwise.";

#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
pub(super) struct Arguments {
    /// Folder of the project, which must not exist; its name becomes the package's
    folder: PathBuf,
    /// Container (.rfy file)
    #[arg(long, value_name = "MODEL.rfy")]
    model: PathBuf,
    /// Board: a name listed by `rarefy boards`
    #[arg(long, required_unless_present = "chip", conflicts_with = "chip")]
    board: Option<String>,
    /// Chip, flashed through a debug probe: a name listed by `rarefy chips`, such as STM32F411CEUx
    #[arg(long)]
    chip: Option<String>,
    /// Names of the classes, separated by commas, or a file with a name per line [default: those
    /// given to `export`, or else those of the data, if they have names]
    #[arg(long, value_name = "NAMES|FILE")]
    labels: Option<String>,
    /// Dataset to take the input from: a name listed by `rarefy data list`, or a path as in
    /// `rarefy train --data` [default: the dataset recorded by `export` next to the container]
    #[arg(long)]
    data: Option<String>,
    /// Number of the test image that is the program's input, from 0
    #[arg(long, value_name = "NUMBER")]
    sample: Option<usize>,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    project: String,
    board: String,
    target: String,
    /// Features of the engine that the model needs.
    features: Vec<&'static str>,
    arena_bytes: usize,
    /// What the program's input is.
    input: String,
    /// Class that the engine computes for the input on the workstation, if outputs are scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Outputs that the engine computes for the input on the workstation, if they are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<f32>>,
}

/// The input that the program classifies.
struct Input {
    bytes: Vec<u8>,
    /// What it is: "test image 0 of digits".
    what: String,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let file = ModelFile::open(&arguments.model, console)?;
    let model = file.model()?;
    let board = board(arguments)?;
    let data = data(&file, arguments, console)?;
    let input = input(data.as_ref(), model.inputs(), arguments.sample)?;
    let numbers = computes_numbers(&file, data.as_ref());
    let companion = match file.companion() {
        Some(_) => Some(crate::atomic::read(&companion::path(file.path()))?),
        None => None,
    };
    let mut labels = class_names(&file, data, arguments.labels.as_deref())?;
    // Data with fewer classes than the network has outputs names only some of them.
    if labels.len() != model.outputs() || numbers {
        labels.clear();
    }
    let machine = Machine::default();
    let toolchain = Toolchain::find(&machine, &board.target);
    let rarefy = program(&machine)?;
    let project = Project {
        model,
        board: &board,
        input: &input.bytes,
        labels: &labels,
        numbers,
        companion: companion.as_deref(),
        toolchain: toolchain.as_ref().ok(),
        rarefy: &rarefy,
    };
    project.write(&arguments.folder)?;

    let mut arena = vec![0; model.arena_words()];
    let engine = Engine::new(model).map_err(|error| anyhow!("{error}"))?;
    let logits = engine.infer(&input.bytes, &mut arena);
    let logits = logits.map_err(|error| anyhow!("{error}"))?;
    let class = (!numbers).then(|| argmax(logits));
    let outputs = engine.dequantize(logits).filter(|_| numbers);
    let report = Report {
        project: arguments.folder.display().to_string(),
        board: board.name.clone(),
        target: board.target.clone(),
        features: engine_features(Some(model)),
        arena_bytes: model.arena_words() * 4,
        input: input.what,
        class,
        label: class.and_then(|class| labels.get(class).cloned()),
        outputs: outputs.map(Iterator::collect),
    };
    let next = next(arguments, &board, toolchain, &machine, console);
    console.result(&report, || describe(&report), next)
}

/// Checks whether the outputs of the container are numbers, not the scores of classes, according to
/// its companion or else to `data`.
fn computes_numbers(file: &ModelFile, data: Option<&Dataset>) -> bool {
    let recorded = file.companion().map(|companion| &companion.data.reading);
    let reading = recorded.or(data.map(|data| &data.reading));
    reading.is_some_and(|reading| !reading.has_classes())
}

/// Returns the names of the classes: those `given` with --labels, or else those that the companion
/// or `data` have; empty if there are none.
fn class_names(
    file: &ModelFile,
    data: Option<Dataset>,
    given: Option<&str>,
) -> Result<Vec<String>> {
    let recorded = file.companion().map_or(&[][..], |it| it.data.class_names());
    Ok(match given {
        Some(given) => labels::read(given, file.model()?.outputs())?,
        None if recorded.is_empty() => data.map_or_else(Vec::new, |data| data.class_names),
        None => recorded.to_vec(),
    })
}

/// Returns the board or the chip that the project is for.
fn board(arguments: &Arguments) -> Result<Board> {
    match (&arguments.chip, &arguments.board) {
        (Some(chip), _) => chips::board(chip, false),
        (None, board) => {
            let boards = Boards::discover(&firmware_folder()?)?;
            Ok(boards.get(board.as_deref().unwrap_or_default())?.clone())
        }
    }
}

/// Returns the data to take the input from, if they are at hand. If they were asked for, they must
/// be.
fn data(file: &ModelFile, arguments: &Arguments, console: &Console) -> Result<Option<Dataset>> {
    let asked = arguments.data.is_some() || arguments.sample.is_some();
    if file.companion().is_none() && !asked {
        return Ok(None);
    }
    match file.data(arguments.data.as_deref(), None, console) {
        Ok(chosen) => Ok(Some(chosen.data)),
        Err(error) if asked => Err(error),
        Err(error) => {
            console.note(&format!("the input is zeros: {error}"));
            Ok(None)
        }
    }
}

/// Returns the test image of `data` with this number, the first one by default, or `inputs` zeros
/// without data.
fn input(data: Option<&Dataset>, inputs: usize, number: Option<usize>) -> Result<Input> {
    let Some(data) = data else {
        return Ok(Input {
            bytes: vec![0; inputs],
            what: "bytes of 0, because the data are not at hand (--data)".to_owned(),
        });
    };
    let (number, images) = (number.unwrap_or(0), data.test.len());
    if number >= images {
        return Err(usage::wrong(format!(
            "--sample {number}: {} has {images} test images; give a number below that",
            data.name
        )));
    }
    Ok(Input {
        bytes: data.test.image(number).to_vec(),
        what: format!("test image {number} of {}", data.name),
    })
}

/// Returns how `cargo run` finds this program: by its name, if the PATH has it, or by its path.
fn program(machine: &Machine) -> Result<PathBuf> {
    let own = env::current_exe().map_err(|error| anyhow!("cannot find this program: {error}"))?;
    let same = |found: PathBuf| fs::canonicalize(found).ok() == fs::canonicalize(&own).ok();
    Ok(match machine.find("rarefy").is_some_and(same) {
        true => PathBuf::from("rarefy"),
        false => own,
    })
}

/// Returns the command that builds and runs the project, or the one that installs what is missing,
/// which is noted.
fn next(
    arguments: &Arguments,
    board: &Board,
    toolchain: Result<Toolchain, crate::device::ToolchainError>,
    machine: &Machine,
    console: &Console,
) -> Next {
    let toolchain = match toolchain {
        Ok(toolchain) => toolchain,
        Err(error) => {
            console.note(&error.to_string());
            return Line::new(&["setup"]).into();
        }
    };
    let mut runs = true;
    if let Err(error) = check_runner(board, machine) {
        console.note(&error.to_string());
        if board.emulated() {
            return Line::new(&["setup"]).into();
        }
        runs = false;
    }
    let chip = arguments.chip.as_ref().map(|name| Chip::find(name));
    if let Some(Err(error)) = chip.map(|chip| chip.and_then(|chip| chip.check_start())) {
        console.note(&error.to_string());
        runs = false;
    }
    let cargo: &[&str] = match (&toolchain.compiler, runs) {
        (Compiler::Installed, true) => &["cargo", "run"],
        (Compiler::Installed, false) => &["cargo", "build"],
        (Compiler::Debian { .. }, true) => &["RUSTC_BOOTSTRAP=1", "cargo", "run"],
        (Compiler::Debian { .. }, false) => &["RUSTC_BOOTSTRAP=1", "cargo", "build"],
    };
    Line::inside(&arguments.folder, cargo).into()
}

/// Formats the report as text.
fn describe(report: &Report) -> String {
    let Report {
        project,
        board,
        target,
        ..
    } = report;
    let name = report.label.as_ref();
    let name = name.map_or(String::new(), |label| format!(" ({label})"));
    let result = match (report.class, &report.outputs) {
        (Some(class), _) => format!("; the workstation computes class {class}{name}"),
        (None, Some(outputs)) => {
            let shown: Vec<String> = outputs.iter().take(8).map(f32::to_string).collect();
            let more = if outputs.len() > 8 { ", ..." } else { "" };
            format!("; the workstation computes {}{more}", shown.join(", "))
        }
        (None, None) => String::new(),
    };
    format!(
        "{project}: a program for {board} ({target})\n\
         engine features: {}; arena: {} bytes of RAM\n\
         input: {}{result}\n",
        report.features.join(", "),
        report.arena_bytes,
        report.input,
    )
}
