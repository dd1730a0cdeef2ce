//! `rarefy export`: converts a trained network to a container or to code.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::boards::{self, DEFAULT_BOARD};
use super::code_report::CodeReport;
use super::console::Console;
use super::deployable::{Deployable, Given};
use super::network::MaskSource;
use super::next::{Line, Next, Why};
use super::overwrite::Kind;
use super::table::{self, measure, table, text};
use super::weights::{self, TypeOrFile, Weights, WeightsOption};
use super::{chips, fits, inspect, interrupt, network, overwrite, reading, scale, usage};
use crate::deploy::bits::Wider;
use crate::deploy::choose::{EncodingChoice, Goal};
use crate::deploy::costs::Core;
use crate::deploy::emit::Language;
use crate::deploy::quantize::{Fidelity, WeightType};
use crate::deploy::{ExportReport, Options, StatedUnits};
use crate::device::{Board, Boards, firmware_folder};
use crate::numbers::thousands;

/// Loss of accuracy by quantization above which a note is printed.
const NOTABLE_LOSS: f64 = 0.003;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Run folder written by `rarefy train`, or a folder with arch.toml and weights.safetensors as
    /// `rarefy import` writes it
    #[arg(required_unless_present = "arch", conflicts_with = "arch")]
    run: Option<PathBuf>,
    /// Architecture of a network without a run: a name listed by `rarefy arch`, a TOML file, or a
    /// folder with an arch.toml
    #[arg(long)]
    arch: Option<String>,
    /// Masks of a network without a run: a safetensors file as `rarefy prune --out` writes it, or
    /// zeros [default: zeros]
    #[arg(long, value_name = "FILE|zeros")]
    masks: Option<MaskSource>,
    /// Output file; an existing file is overwritten only if it is named here and holds the same
    /// kind of output [default: model.rfy, model.rs with --emit rust, model.h with --emit c]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Emit::Container)]
    emit: Emit,
    /// Objective to minimise when choosing the encodings
    #[arg(long, value_enum, default_value_t = Optimize::Balanced)]
    optimize: Optimize,
    /// Type of the stored weights [default: int6]; weights packed with an index in 16 bits use all
    /// bits that the index leaves. With --arch also the safetensors file of the weights, or a
    /// folder with one: give the option twice for both
    #[arg(long, value_parser = TypeOrFile, value_name = "TYPE|FILE")]
    weights: Vec<WeightsOption>,
    /// Board to predict instructions for, and to measure the flash of code on [default:
    /// mps2-an386, a Cortex-M4]
    #[arg(long)]
    board: Option<String>,
    /// Chip to predict instructions for: a name listed by `rarefy chips`; a container that does not
    /// fit the chip is not written
    #[arg(long, conflicts_with = "board")]
    chip: Option<String>,
    /// Encoding of the weights
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,
    /// New location of the run's dataset, if the dataset has moved, or dataset of a network without
    /// a run [default: the one given to `rarefy train`]
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
    #[command(flatten)]
    scale: scale::Options,
    /// Names of the classes, separated by commas, or a file with a name per line, for code and for
    /// `rarefy new` [default: those of the data, if they have names]
    #[arg(long, value_name = "NAMES|FILE")]
    labels: Option<String>,
    /// Show the quantization error of each layer
    #[arg(long)]
    report: bool,
    /// When to state, in the container or the code, which numbers input bytes and logits stand
    /// for
    #[arg(long, value_enum, default_value_t = Units::Auto)]
    units: Units,
    /// Write the network even if quantization costs more than 5 percentage points of accuracy
    #[arg(long)]
    allow_loss: bool,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// Container for `rarefy-runtime`
    Container,
    /// Rust module without dependencies that computes the same outputs, fastest for tiny networks;
    /// its flash usage is measured by compiling it for the board if a compiler is installed
    Rust,
    /// The same as a C99 header, which C++ reads, too; its functions are named after the file, and
    /// its flash usage is measured with arm-none-eabi-gcc if that is installed
    C,
}

impl Emit {
    /// Returns the language of code; `None` for a container.
    fn language(self) -> Option<Language> {
        match self {
            Self::Container => None,
            Self::Rust => Some(Language::Rust),
            Self::C => Some(Language::C),
        }
    }

    /// Returns the value of the option.
    fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Rust => "rust",
            Self::C => "c",
        }
    }
}

/// When units are stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Units {
    /// If the features of the dataset are not bytes, or its targets are numbers
    Auto,
    /// In any case
    Always,
    /// Never; saves 8 bytes, and 8 for each map
    Never,
}

/// Objectives to minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Optimize {
    /// Bytes
    Size,
    /// Instructions
    Speed,
    /// Bytes times instructions
    Balanced,
}

/// Encodings of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    /// The best encoding per layer for the objective of --optimize
    Auto,
    /// Compressed sparse rows
    Csr,
    /// Weight and column packed in 16 bits
    Words,
    /// Weight and row packed in 16 bits, by pairs of inputs; skips inputs that are zero
    Columns,
    /// Entropy-coded gaps and weights
    Rice,
    /// All weights, including zeros
    Dense,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let (stored, file) = weights::type_and_file(&arguments.weights)?;
    let options = options(arguments, stored)?;
    let language = arguments.emit.language();
    if language.is_some() && stored == Weights::F32 {
        return Err(usage::wrong(format!(
            "--emit {} supports integer weights only: give --weights int8 instead of f32",
            arguments.emit.name()
        )));
    }
    let given = Given {
        folder: arguments.run.as_deref(),
        arch: arguments.arch.as_deref(),
        weights: file,
        masks: arguments.masks.as_ref(),
        data: arguments.data.as_deref(),
        reading: &arguments.reading,
        scale: &arguments.scale,
        labels: arguments.labels.as_deref(),
    };
    let deployable = Deployable::open(given, console)?;
    let out = out(arguments)?;
    let kind = language.map_or(Kind::Container, Kind::Code);
    let name = deployable.data_name(given.data);
    overwrite::check("-o", &out, kind, overwrite::of_data(&name))?;
    if let Some(language) = language {
        return code(
            (&deployable, &given),
            &options,
            (language, &out),
            arguments,
            console,
        );
    }
    let chip = chip(arguments)?;
    let name = arguments.board.as_deref();
    let mut accept = |bytes: &[u8]| {
        chip.as_ref()
            .map_or(Ok(()), |chip| fits::check(chip, bytes, console))
    };
    let report = deployable.container((&given, name), &options, &out, &mut accept, console)?;
    notes(&report, &options, console);
    console.result(
        &report,
        || {
            format!(
                "{}{}\n{path}: {} bytes, about {} instructions, {}\n",
                inspect::layers(&report.model),
                shown(&report.fidelity, arguments),
                thousands(report.model.bytes),
                thousands(report.model.instructions.unwrap_or_default()),
                quality(&report),
                path = report.model.path,
            )
        },
        match &chip {
            Some(chip) => Line::new(&["measure"])
                .path(&out)
                .option("--chip", &chip.name)
                .word("--build-only"),
            None => boards::measure_line(&out, name.unwrap_or(DEFAULT_BOARD), None),
        },
    )
}

/// Describes how good the container is: its accuracy or, without labels, the error of its outputs.
fn quality(report: &ExportReport) -> String {
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    if !deployed.is_nan() {
        let mse = report.mse;
        return format!(
            "{} {} with the device's arithmetic ({} before quantization)",
            measure(mse.map(|mse| mse.deployed)),
            table::quality(deployed, mse.map(|mse| mse.deployed)),
            table::quality(pruned, mse.map(|mse| mse.pruned))
        );
    }
    match report.fidelity.last() {
        Some(Fidelity { signal, noise, .. }) if *signal > 0.0 => format!(
            "relative mean squared error of its outputs {:.3} % over the calibration samples",
            100.0 * (noise / signal).powi(2)
        ),
        _ => "outputs as before quantization".into(),
    }
}

/// Returns the chip to export for, if one is named.
fn chip(arguments: &Arguments) -> Result<Option<Board>> {
    let chip = arguments.chip.as_deref();
    chip.map(|chip| chips::board(chip, false)).transpose()
}

/// Returns the file to write. Rejects a default file that exists, because it may belong to another
/// run.
fn out(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(out) = &arguments.out {
        return Ok(out.clone());
    }
    let name = match arguments.emit {
        Emit::Container => "model.rfy",
        Emit::Rust => "model.rs",
        Emit::C => "model.h",
    };
    let advice = format!("name a file with -o (-o {name} overwrites this one)");
    overwrite::check_free(Path::new(name), &advice)?;
    Ok(name.into())
}

/// Notes a loss of accuracy by quantization above [`NOTABLE_LOSS`].
fn note_loss(report: &ExportReport, weights: WeightType, console: &Console) {
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    if pruned - deployed > NOTABLE_LOSS {
        console.note(&format!(
            "quantization to {} costs {:.2} {}: {}",
            report.weights,
            100.0 * (pruned - deployed),
            match report.mse {
                Some(_) => "% of the targets' variance in mean squared error",
                None => "percentage points of accuracy",
            },
            match weights {
                WeightType::Int(6..) | WeightType::F32 => "more than expected at this bit width",
                WeightType::Int(_) | WeightType::Ternary =>
                    "a wider type, such as --weights int6, loses less",
            }
        ));
    }
}

/// Prints the notes of an export: accuracy lost, nothing connected, and weights stored wider than
/// requested.
fn notes(report: &ExportReport, options: &Options, console: &Console) {
    note_loss(report, options.weights, console);
    if report.model.nonzeros == 0 {
        network::note_disconnected(&report.model.path, console);
    }
    // Only a type narrower than the default is a deliberate request for fewer bits.
    let asked = options.weights.bits() < Options::default().weights.bits();
    if asked && !report.wider.is_empty() {
        console.note(&more_bits(report, options));
    }
}

/// Describes which layers store more bits than requested, and why.
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
            "a weight shares 16 bits with an index and uses all bits that the index leaves",
        ),
        (
            of(&["csr", "dense"]),
            "a weight takes a whole byte at any bit width",
        ),
        (
            of(&["rice"]),
            "a channel of a residual addition keeps 8 bits",
        ),
    ];
    let reasons = reasons.iter().filter(|(layers, _)| !layers.is_empty());
    let reasons: Vec<String> = reasons
        .map(|(layers, why)| format!("{layers}: {why}"))
        .collect();
    let instead = match options.encoding {
        EncodingChoice::Only(rarefy_format::Encoding::Rice) => "",
        _ => "; --encoding rice stores only the requested bits",
    };
    format!(
        "some layers store more bits than --weights {}: {}{instead}",
        report.weights,
        reasons.join("; ")
    )
}

/// Formats the table of quantization errors; empty unless `--report` was given.
fn shown(fidelity: &[Fidelity], arguments: &Arguments) -> String {
    if !arguments.report || fidelity.is_empty() {
        return String::new();
    }
    let mut rows = table(["layer", "floats (RMS)", "error (RMS)", "signal to noise"]);
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

/// Writes the network as code in a language.
fn code(
    (network, given): (&Deployable, &Given<'_>),
    options: &Options,
    (language, out): (Language, &Path),
    arguments: &Arguments,
    console: &Console,
) -> Result<()> {
    let code = network.code(given, options, (language, out), console)?;
    note_loss(&code.report, options.weights, console);
    let board = match chip(arguments)? {
        Some(chip) => chip,
        None => {
            let boards = Boards::discover(&firmware_folder()?)?;
            let name = arguments.board.as_deref().unwrap_or(DEFAULT_BOARD);
            boards.get(name)?.clone()
        }
    };
    let report = CodeReport::new(&code, (language, out), &board, console);
    if interrupt::flag().load(Ordering::SeqCst) {
        return Err(interrupt::interrupted());
    }
    if let Some(bytes) = report
        .flash_bytes()
        .filter(|&bytes| bytes > board.flash.length)
    {
        console.note(&format!(
            "the code does not fit {}: it takes {} bytes of flash, of {}",
            board.name,
            thousands(bytes),
            thousands(board.flash.length)
        ));
    }
    let next = Next::Nothing(Why::Code);
    console.result(
        &report,
        || shown(&code.report.fidelity, arguments) + &report.text(),
        next,
    )
}

/// Converts the arguments to the library's options.
fn options(arguments: &Arguments, weights: Weights) -> Result<Options> {
    let only = |encoding| EncodingChoice::Only(encoding);
    Ok(Options {
        weights: weights.into(),
        goal: match arguments.optimize {
            Optimize::Size => Goal::Size,
            Optimize::Speed => Goal::Speed,
            Optimize::Balanced => Goal::Balanced,
        },
        core: match (chip(arguments)?, &arguments.board) {
            (Some(chip), _) => Core::of_target(&chip.target),
            (None, None) => Core::M4,
            (None, Some(board)) => {
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
        units: match arguments.units {
            Units::Auto => StatedUnits::Automatic,
            Units::Always => StatedUnits::Always,
            Units::Never => StatedUnits::Never,
        },
    })
}
