//! `rarefy export`: a finished run as a container.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Error, Result, anyhow};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::boards::{self, DEFAULT_BOARD};
use super::console::Console;
use super::next::{Next, Why};
use super::table::{percent, table, text, thousands};
use super::{data, inspect, interrupt, measure, output, usage};
use crate::data::Dataset;
use crate::deploy::bits::Wider;
use crate::deploy::choose::{EncodingChoice, Goal};
use crate::deploy::costs::Core;
use crate::deploy::export::{Code, ExportAccuracy};
use crate::deploy::quantize::{Fidelity, WeightType};
use crate::deploy::{DeployError, ExportReport, FinishedRun, Options};
use crate::device::{self, Boards, firmware_folder};

/// Points of accuracy lost in quantization that a person should hear of.
const NOTABLE_LOSS: f64 = 0.003;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder, made by `rarefy train`
    run: PathBuf,
    /// The file to write; it is replaced if it exists [default: model.rfy, or model.rs for Rust code,
    /// which are not]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = Emit::Container)]
    emit: Emit,
    /// What the encodings are chosen for, layer by layer
    #[arg(long, value_enum, default_value_t = Optimize::Balanced)]
    optimize: Optimize,
    /// The type of the stored weights; those that share 16 bits with an index keep more where there is
    /// room
    #[arg(long, value_enum, default_value_t = Weights::Int6)]
    weights: Weights,
    /// The board that instructions are counted for, and the flash of Rust code measured [default:
    /// mps2-an386, a Cortex-M4]
    #[arg(long)]
    board: Option<String>,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,
    /// Where the run's dataset is now [default: as the run was given it]
    #[arg(long)]
    data: Option<String>,
    /// Show for each layer how near its integers are to the floats
    #[arg(long)]
    report: bool,
    /// Write the network even if it has more than 5 points fewer of the test images right than trained
    #[arg(long)]
    allow_loss: bool,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// A container, for `rarefy-runtime`
    Container,
    /// Rust code: a module without dependencies that computes the same, fastest for tiny networks; its
    /// flash is measured by compiling it for the board, where a compiler for that is installed
    Rust,
}

/// The objective to minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Optimize {
    /// Bytes
    Size,
    /// Instructions
    Speed,
    /// Bytes times instructions
    Balanced,
}

/// Types of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// 32-bit floats, for reference: chains of dense layers alone
    F32,
    /// 8-bit integers
    Int8,
    /// 6-bit integers
    Int6,
    /// 4-bit integers
    Int4,
    /// 3-bit integers
    Int3,
    /// 2-bit integers
    Int2,
    /// A sign and one size a layer
    Ternary,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// Layer by layer what --optimize asks for
    Auto,
    /// Compressed sparse rows
    Csr,
    /// Weight and column packed in 16 bits
    Words,
    /// Weight and row packed in 16 bits, by pairs of inputs: skips those that are zero
    Columns,
    /// Entropy-coded gaps and weights
    Rice,
    /// Every weight, zeros included
    Dense,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let options = options(arguments)?;
    if (arguments.emit, arguments.weights) == (Emit::Rust, Weights::F32) {
        return Err(usage::wrong(
            "--emit rust writes integers alone: leave out --weights f32, or give --weights int8",
        ));
    }
    let run = FinishedRun::open(&arguments.run)?;
    let out = out(arguments)?;
    let given = arguments.data.as_deref();
    let name = given.unwrap_or(&run.recipe.data);
    output::check("-o", &out, output::of_data(name))?;
    let data = data::load(name, console).map_err(|error| match given {
        Some(_) => error,
        None => anyhow!("{error}; if the run's data is elsewhere now, give it with --data"),
    })?;
    if arguments.emit == Emit::Rust {
        let board = arguments.board.as_deref().unwrap_or(DEFAULT_BOARD);
        return code(&run, &data, &options, (&out, board), arguments, console);
    }
    let report = run
        .export_for(arguments.board.as_deref(), &data, &options, &out)
        .map_err(|error| with_option(error, &options))?;
    notes(&report, &options, console);
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    console.result(&report, || {
        format!(
            "{}{}\n{path}: {} bytes, about {} instructions, {} of test images right with the device's arithmetic ({} trained)\n",
            inspect::layers(&report.model),
            shown(&report.fidelity, arguments),
            thousands(report.model.bytes),
            thousands(report.model.instructions.unwrap_or_default()),
            percent(deployed),
            percent(pruned),
            path = report.model.path,
        )
    }, boards::measure_line(&out, arguments.board.as_deref().unwrap_or(DEFAULT_BOARD), None))
}

/// Returns the file to write. One that the user did not name is not replaced: it may be another run's.
fn out(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(out) = &arguments.out {
        return Ok(out.clone());
    }
    let name = match arguments.emit {
        Emit::Container => "model.rfy",
        Emit::Rust => "model.rs",
    };
    let advice = format!("name the file with -o, which may be -o {name}");
    output::check_unnamed(Path::new(name), |_| false, &advice)?;
    Ok(name.into())
}

/// Says when quantization cost more than it should.
fn note_loss(report: &ExportReport, weights: WeightType, console: &Console) {
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    if pruned - deployed > NOTABLE_LOSS {
        console.note(&format!(
            "quantization to {} cost {:.2} points of accuracy: {}",
            report.weights,
            100.0 * (pruned - deployed),
            match weights {
                WeightType::Int(6..) | WeightType::F32 => "more than expected of so many bits",
                WeightType::Int(_) | WeightType::Ternary =>
                    "more bits lose less, such as --weights int6",
            }
        ));
    }
}

/// What a person should hear of an export.
fn notes(report: &ExportReport, options: &Options, console: &Console) {
    note_loss(report, options.weights, console);
    // What is asked for by default is no less than what most layers store.
    let asked = options.weights.bits() < Options::default().weights.bits();
    if asked && !report.wider.is_empty() {
        console.note(&more_bits(report, options));
    }
}

/// Which layers store more bits than asked for, and why.
fn more_bits(report: &ExportReport, options: &Options) -> String {
    let of = |kinds: &[&str]| {
        let layers = report.wider.iter();
        let layers = layers.filter(|layer| kinds.contains(&layer.encoding));
        let named = |layer: &Wider| {
            format!(
                "{} ({}, {} bits)",
                layer.layer, layer.encoding, layer.stored_bits
            )
        };
        layers.map(named).collect::<Vec<_>>().join(", ")
    };
    let reasons = [
        (
            of(&["words", "columns"]),
            "a weight shares 16 bits with an index and has all that it leaves",
        ),
        (
            of(&["csr", "dense"]),
            "a weight takes a byte, however few bits of it are used",
        ),
        (
            of(&["rice"]),
            "a channel that is passed on and added to keeps 8 bits",
        ),
    ];
    let reasons = reasons.iter().filter(|(layers, _)| !layers.is_empty());
    let reasons: Vec<String> = reasons
        .map(|(layers, why)| format!("{layers}: {why}"))
        .collect();
    let instead = match options.encoding {
        EncodingChoice::Only(rarefy_format::Encoding::Rice) => "",
        _ => "; --encoding rice stores no more bits than asked for",
    };
    format!(
        "--weights {} is less than some layers store: {}{instead}",
        report.weights,
        reasons.join("; ")
    )
}

/// The table of how near integers are to floats, if it was asked for.
fn shown(fidelity: &[Fidelity], arguments: &Arguments) -> String {
    if !arguments.report || fidelity.is_empty() {
        return String::new();
    }
    let mut rows = table(["layer", "floats, rms", "error, rms", "signal to noise"]);
    for layer in fidelity {
        let ratio = match layer.snr_db {
            Some(ratio) => format!("{ratio:.1} dB"),
            None if layer.noise == 0.0 => "exact".into(),
            None => "no signal".into(),
        };
        let [signal, noise] = [layer.signal, layer.noise].map(|size| format!("{size:.4}"));
        rows.add_row([layer.layer.clone(), signal, noise, ratio]);
    }
    format!("\n{}", text(&rows))
}

/// Returns `error` with the option that its remedy refers to.
fn with_option(error: DeployError, options: &Options) -> Error {
    let option = match error {
        DeployError::Encoding { .. } | DeployError::Overflow { .. } => "--encoding auto",
        DeployError::Loss { .. } => "--allow-loss",
        DeployError::InTheWay { .. } => "-o",
        DeployError::Quantize { .. } if options.weights == WeightType::F32 => "--weights int8",
        error => return error.into(),
    };
    anyhow!("{error} ({option})")
}

/// Writes the network as code.
fn code(
    run: &FinishedRun,
    data: &Dataset,
    options: &Options,
    (out, board): (&Path, &str),
    arguments: &Arguments,
    console: &Console,
) -> Result<()> {
    let code = run
        .export_code(data, options, out)
        .map_err(|error| with_option(error, options))?;
    note_loss(&code.report, options.weights, console);
    let (flash_bytes, flash_unknown) = match flash(&code, board, console) {
        Ok(bytes) => (Some(bytes), None),
        Err(why) => (None, Some(why.to_string())),
    };
    if interrupt::flag().load(Ordering::SeqCst) {
        return Err(interrupt::interrupted());
    }
    let report = CodeReport {
        path: out.display().to_string(),
        source_bytes: code.source.len(),
        container_bytes: code.container.len(),
        board: board.into(),
        flash_bytes,
        flash_unknown,
        weights: code.report.weights.clone(),
        nonzeros: code.report.model.nonzeros + code.report.model.inserted_nonzeros,
        accuracy: code.report.accuracy,
        stripping_error: code.report.stripping_error,
        fidelity: code.report.fidelity.clone(),
    };
    console.result(&report, || {
        format!(
            "{}{}: {} weights as code ({} bytes of source), {} of test images right ({} trained)\n{}\nA container of the same integers takes {} bytes without the engine, which all containers share; `rarefy measure` tells the flash of both\n",
            shown(&report.fidelity, arguments),
            report.path,
            thousands(report.nonzeros),
            thousands(report.source_bytes),
            percent(report.accuracy.deployed),
            percent(report.accuracy.pruned),
            match (report.flash_bytes, &report.flash_unknown) {
                (Some(bytes), _) => format!(
                    "Its flash on {board} is {} bytes, with everything that computes it",
                    thousands(bytes)
                ),
                (None, why) => format!(
                    "Its flash on {board} is not known: {}",
                    why.as_deref().unwrap_or_default()
                ),
            },
            thousands(report.container_bytes),
        )
    }, Next::Nothing(Why::Code))
}

/// The flash that `code` takes on the board of this name, measured by compiling it.
fn flash(code: &Code, board: &str, console: &Console) -> Result<u64> {
    let boards = Boards::discover(&firmware_folder()?)?;
    let options = measure::options(false, 0);
    let spinner = console.spinner();
    let progress = &mut |step: &str| spinner.message(step);
    let board = boards.get(board)?;
    Ok(device::code_flash(
        board,
        &code.container,
        &code.source,
        &options,
        progress,
    )?)
}

/// What an export as code made.
#[derive(Debug, Serialize)]
struct CodeReport {
    /// The file.
    path: String,
    /// Bytes of it, as text.
    source_bytes: usize,
    /// Bytes of a container that holds the same integers.
    container_bytes: usize,
    /// The board that flash is told for.
    board: String,
    /// Bytes of flash that the code takes there, if it could be compiled.
    flash_bytes: Option<u64>,
    /// Why it could not.
    flash_unknown: Option<String>,
    /// The type of the weights.
    weights: String,
    /// Weights in the code.
    nonzeros: usize,
    /// Shares of test images right.
    accuracy: ExportAccuracy,
    /// The largest relative difference between the trained and the stripped network.
    stripping_error: f64,
    /// For each layer how near its integers are to the floats.
    fidelity: Vec<Fidelity>,
}

/// The options of the library.
fn options(arguments: &Arguments) -> Result<Options> {
    let only = |encoding| EncodingChoice::Only(encoding);
    Ok(Options {
        weights: match arguments.weights {
            Weights::F32 => WeightType::F32,
            Weights::Int8 => WeightType::Int(8),
            Weights::Int6 => WeightType::Int(6),
            Weights::Int4 => WeightType::Int(4),
            Weights::Int3 => WeightType::Int(3),
            Weights::Int2 => WeightType::Int(2),
            Weights::Ternary => WeightType::Ternary,
        },
        goal: match arguments.optimize {
            Optimize::Size => Goal::Size,
            Optimize::Speed => Goal::Speed,
            Optimize::Balanced => Goal::Balanced,
        },
        core: match &arguments.board {
            None => Core::M4,
            Some(board) => {
                let boards = Boards::discover(&firmware_folder()?)?;
                Core::of_target(&boards.get(board)?.target)
            }
        },
        encoding: match arguments.encoding {
            Encoding::Auto => EncodingChoice::Auto,
            Encoding::Csr => only(rarefy_format::Encoding::Csr),
            Encoding::Words => only(rarefy_format::Encoding::Words),
            Encoding::Columns => only(rarefy_format::Encoding::Columns),
            Encoding::Rice => only(rarefy_format::Encoding::Rice),
            Encoding::Dense => only(rarefy_format::Encoding::Dense),
        },
        allow_loss: arguments.allow_loss,
    })
}
