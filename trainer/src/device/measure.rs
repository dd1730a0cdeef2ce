//! Measuring a model on a board: build it in, run it, compare every logit, add up the bytes.
//!
//! Assumes that an emulated board's ticks are exact (`-icount`). A network that does not fit
//! is reported with its excess in bytes and never run. Refuses a container that does not
//! parse, inputs of the wrong length, and no inputs at all.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rarefy_format::{AlignedBytes, Model, ParseError, WriteError};
use rarefy_runtime::Engine;

use super::boards::{Board, Counter};
use super::dense::dense;
use super::elf::{ElfError, Footprint, Memory};
use super::image::{Builder, ImageError, Plan, Role};
use super::lines::{Recording, Start};
use super::machine::Machine;
use super::process::Limits;
use super::report::{BoardReport, Cost, Counts, Flash, Mismatch, NetworkReport, Ram};
use super::run::{self, RunError};

/// Bytes of RAM that a program must leave for its stack to be run at all. The log alone takes
/// some hundreds; what the network really needs is measured.
pub const STACK_RESERVE: u64 = 1024;

/// How to measure.
#[derive(Clone, Debug)]
pub struct MeasureOptions<'a> {
    /// Whether to measure the same network dense as well.
    pub dense: bool,
    /// How long one run on the board may take.
    pub timeout: Duration,
    /// Becomes true when the user wants to stop.
    pub stop: Option<&'a AtomicBool>,
    /// Where the tools are.
    pub machine: Machine,
    /// Where to build, instead of a folder inside the firmware workspace.
    pub target_folder: Option<PathBuf>,
}

impl Default for MeasureOptions<'_> {
    /// With the dense network, five minutes a run, tools from the path.
    fn default() -> Self {
        Self {
            dense: true,
            timeout: Duration::from_secs(300),
            stop: None,
            machine: Machine::default(),
            target_folder: None,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The model is no container.
    #[error("the model cannot be read: {0}")]
    Model(ParseError),
    /// This program lacks a kernel that the model needs.
    #[error("the model cannot be run here: {0}")]
    Engine(String),
    /// Nothing to run.
    #[error("there are no inputs to measure with; give at least one sample")]
    NoInputs,
    /// An input that the network cannot take.
    #[error(
        "input {index} has {found} bytes, but the model takes {expected}; give data of the shape it was trained on"
    )]
    InputLength {
        /// The input, from 0.
        index: usize,
        /// Its bytes.
        found: usize,
        /// The model's inputs.
        expected: usize,
    },
    /// Flash holds the program but not one sample beside it.
    #[error(
        "the model fits {board}, but its flash has no room for a sample of {bytes} bytes beside it; measure it on a larger board"
    )]
    NoRoomForSamples {
        /// The board.
        board: String,
        /// Bytes of a sample.
        bytes: usize,
    },
    /// The dense twin cannot be made.
    #[error("the same network dense cannot be written: {0}; measure without it")]
    Dense(WriteError),
    /// The program cannot be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The program cannot be judged.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The program did not run to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The program's log is not complete.
    #[error("the log of {board} cannot be read: {why}")]
    Log {
        /// The board.
        board: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Measures the container `model` on `board`, running it on `inputs` (one byte an input), and
/// compares every logit with the workstation's own. `progress` is told what is going on.
///
/// # Errors
/// When the model or the inputs make no sense, or the program cannot be built or run. A network
/// that does not fit is no error: the report says so.
pub fn measure(
    board: &Board,
    model: &[u8],
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, DeviceError> {
    run::runner(board, &options.machine)?;
    let network = measure_network(board, (model, None), inputs, options, "", progress)?;
    let dense = if options.dense {
        let twin = dense_twin(model)?;
        Some(if twin == model {
            network.clone()
        } else {
            measure_network(
                board,
                (&twin, None),
                inputs,
                options,
                "dense network, ",
                progress,
            )?
        })
    } else {
        None
    };
    Ok(BoardReport::new(board, inputs.len(), network, dense))
}

/// Tells what `model` takes of `board` from the linked program alone: flash and static RAM, and whether they fit
/// beside [`STACK_RESERVE`] bytes of stack. Nothing is run, so neither an emulator nor a probe is needed,
/// and all that only a run can tell is `None`.
///
/// # Errors
/// When the model makes no sense or the program cannot be built. A network that does not fit is
/// no error: the report says so.
pub fn build(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, DeviceError> {
    let mut network = |model: &[u8], what: &str| {
        progress(&format!("{}: {what}building the program", board.name));
        match footprint(board, model, options) {
            Ok(footprint) => Ok(NetworkReport::built(board, footprint)),
            Err(DeviceError::Image(ImageError::NoRoom { over_by, .. })) => {
                let excess = (Memory::Ram, over_by + STACK_RESERVE);
                Ok(NetworkReport::too_large(board, excess, None))
            }
            Err(error) => Err(error),
        }
    };
    let pruned = network(model, "")?;
    let dense = match options.dense {
        true => Some(network(&dense_twin(model)?, "dense network, ")?),
        false => None,
    };
    Ok(BoardReport::new(board, 0, pruned, dense))
}

/// The same network with every weight stored.
fn dense_twin(model: &[u8]) -> Result<Vec<u8>, DeviceError> {
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    dense(&model).map_err(DeviceError::Dense)
}

/// What `model` would take of `board`, from the linked program alone: nothing is run, so
/// neither an emulator nor a probe is needed.
///
/// # Errors
/// When the model makes no sense or the program cannot be built; [`ImageError::NoRoom`] when
/// its static data exceeds the board's RAM. Compare [`Footprint::excess`].
pub fn footprint(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
) -> Result<Footprint, DeviceError> {
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    // With a sample, so that the program is the one that would be run.
    let content = Some((model, &*vec![0; model.inputs()]));
    let image = builder(options).build(Plan {
        board,
        role: Role::Measure,
        content,
        code: None,
    })?;
    Ok(Footprint::read(&image.bytes, board)?)
}

/// Builds as `options` say.
pub(crate) fn builder<'a>(options: &'a MeasureOptions<'a>) -> Builder<'a> {
    Builder {
        machine: &options.machine,
        target_folder: options.target_folder.as_deref(),
        limits: Limits {
            timeout: None,
            stop: options.stop,
        },
    }
}

/// Measures `code`, the network of the container `model` written as Rust ([`crate::deploy::emit`]),
/// on `board`; every logit is compared with the container's on the workstation.
///
/// # Errors
/// As [`measure`].
pub fn measure_code(
    board: &Board,
    model: &[u8],
    code: &str,
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<NetworkReport, DeviceError> {
    run::runner(board, &options.machine)?;
    let network = (model, Some(code));
    measure_network(
        board,
        network,
        inputs,
        options,
        "network as code, ",
        progress,
    )
}

/// Measures one container, or the code that stands for it.
fn measure_network(
    board: &Board,
    (bytes, code): (&[u8], Option<&str>),
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    what: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<NetworkReport, DeviceError> {
    let bytes = AlignedBytes::copy_from(bytes);
    let model = Model::parse(&bytes).map_err(DeviceError::Model)?;
    let expected = host_logits(model, inputs)?;
    let builder = builder(options);
    let limits = Limits {
        timeout: Some(options.timeout),
        stop: options.stop,
    };

    let mut progress = |action: &str| progress(&format!("{}: {what}{action}", board.name));
    let mut build = |inputs: &[Vec<u8>]| {
        progress("building the program");
        let content = Some((model, &*inputs.concat()));
        let image = builder.build(Plan {
            board,
            role: match code {
                None => Role::Measure,
                Some(_) => Role::Straight,
            },
            content,
            code,
        })?;
        let footprint = Footprint::read(&image.bytes, board)?;
        progress("running it");
        Ok((image, footprint))
    };
    let mut image = match build(inputs) {
        Ok(built) => Some(built),
        Err(DeviceError::Image(ImageError::NoRoom { over_by, .. })) => {
            // The linker knows of no stack; a program that links is judged with it.
            let excess = (Memory::Ram, over_by + STACK_RESERVE);
            return Ok(NetworkReport::too_large(board, excess, None));
        }
        Err(error) => return Err(error),
    };
    let footprint = image
        .as_ref()
        .map(|(_, footprint)| *footprint)
        .expect("just built");
    if let Some(excess) = footprint.excess(board, STACK_RESERVE) {
        return Ok(NetworkReport::too_large(board, excess, Some(footprint)));
    }

    // As many samples at a time as the board's flash can hold beside the program.
    let room = footprint.room_for_samples(board, model.inputs());
    if room == 0 {
        return Err(DeviceError::NoRoomForSamples {
            board: board.name.clone(),
            bytes: model.inputs(),
        });
    }
    let mut runs = Vec::new();
    for batch in inputs.chunks(room) {
        let (image, _) = match image.take() {
            Some(all) if batch.len() == inputs.len() => all,
            _ => build(batch)?,
        };
        let log = run::run(&image, board, &options.machine, limits)?;
        let recording =
            Recording::read(log.iter().map(String::as_str)).map_err(|why| DeviceError::Log {
                board: board.name.clone(),
                why,
            })?;
        if recording.inferences.len() != batch.len() {
            let why = format!(
                "it has {} samples of {}",
                recording.inferences.len(),
                batch.len()
            );
            return Err(DeviceError::Log {
                board: board.name.clone(),
                why,
            });
        }
        runs.push(recording);
    }
    Ok(summary(board, footprint, &runs, &expected))
}

/// The report of complete runs.
fn summary(
    board: &Board,
    footprint: Footprint,
    runs: &[Recording],
    expected: &[Vec<i32>],
) -> NetworkReport {
    let net = |start: &Start, ticks: u64| {
        units(board, ticks).saturating_sub(units(board, start.overhead))
    };
    let counts: Vec<u64> = runs
        .iter()
        .flat_map(|run| {
            run.inferences
                .iter()
                .map(|inference| net(&run.start, inference.ticks))
        })
        .collect();
    let inferences = || runs.iter().flat_map(|run| &run.inferences);
    let stack_peak = inferences()
        .map(|inference| inference.stack)
        .chain(runs.iter().map(|run| run.start.stack))
        .max();
    let stack_inference = runs
        .iter()
        .flat_map(|run| {
            let stacks = run.inferences.iter();
            stacks.map(|inference| inference.stack.saturating_sub(run.start.base))
        })
        .max();
    let mismatch =
        inferences()
            .zip(expected)
            .enumerate()
            .find_map(|(sample, (inference, host))| {
                let logit = inference
                    .logits
                    .iter()
                    .zip(host)
                    .position(|(device, host)| device != host)?;
                Some(Mismatch {
                    sample,
                    logit,
                    host: host[logit],
                    device: inference.logits[logit],
                })
            });
    let complete = inferences()
        .zip(expected)
        .all(|(found, host)| found.logits.len() == host.len());
    NetworkReport {
        fits: true,
        over_by: None,
        over_in: None,
        matches_host: Some(mismatch.is_none() && complete),
        mismatch,
        flash: Some(Flash::from(footprint)),
        ram: Some(Ram::new(footprint, stack_peak, stack_inference)),
        cost: Cost::new(board, Counts::over(&counts)),
        load: runs.first().map(|run| net(&run.start, run.start.load)),
    }
}

/// What `ticks` of the board's timer stand for: instructions, to the nearest, or cycles as they
/// are.
fn units(board: &Board, ticks: u64) -> u64 {
    match board.counter {
        Counter::Cycles => ticks,
        Counter::Instructions => {
            let nanoseconds = u128::from(ticks) * 1_000_000_000;
            let instruction = u128::from(board.clock_hz) << run::shift(board);
            u64::try_from((nanoseconds + instruction / 2) / instruction).unwrap_or(u64::MAX)
        }
    }
}

/// The workstation's logits, by the same kernels.
fn host_logits(model: Model<'_>, inputs: &[Vec<u8>]) -> Result<Vec<Vec<i32>>, DeviceError> {
    if inputs.is_empty() {
        return Err(DeviceError::NoInputs);
    }
    let engine = Engine::new(model).map_err(|e| DeviceError::Engine(e.to_string()))?;
    let mut arena = vec![0; model.arena_words()];
    inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let (found, expected) = (input.len(), model.inputs());
            if found != expected {
                return Err(DeviceError::InputLength {
                    index,
                    found,
                    expected,
                });
            }
            let logits = engine.infer(input, &mut arena);
            logits
                .map(<[i32]>::to_vec)
                .map_err(|e| DeviceError::Engine(e.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::boards::{Boards, firmware_folder};
    use super::super::lines::Inference;
    use super::*;

    fn board(name: &str) -> Board {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        boards.get(name).unwrap().clone()
    }

    #[test]
    fn ticks_tell_instructions_exactly_on_every_emulated_board() {
        for board in Boards::discover(&firmware_folder().unwrap())
            .unwrap()
            .iter()
        {
            if board.counter == Counter::Cycles {
                assert_eq!(units(board, 12_345), 12_345);
                continue;
            }
            for instructions in [1_u64, 2, 3, 1_000, 20_912, 33_333_333] {
                // Begin and end fall anywhere between two ticks: a reading is off by up to one.
                let picoseconds = (u128::from(instructions) * 1_000) << run::shift(board);
                let ticks = picoseconds * u128::from(board.clock_hz) / 1_000_000_000_000;
                let ticks = u64::try_from(ticks).unwrap();
                for reading in [ticks, ticks + 1] {
                    assert_eq!(units(board, reading), instructions, "{}", board.name);
                }
            }
        }
    }

    #[test]
    fn the_first_logit_that_differs_is_told() {
        let run = |index: i32| {
            let start = Start {
                samples: 2,
                outputs: 2,
                overhead: 32,
                load: 3_232,
                stack: 90,
                base: 24,
            };
            let inference = |extra: u64| Inference {
                ticks: 32 + 320 * extra,
                stack: 64,
                logits: vec![index, index + 10],
            };
            Recording {
                start,
                inferences: vec![inference(1), inference(2)],
            }
        };
        let footprint = Footprint {
            code: 9,
            model: 8,
            samples: 7,
            ram_static: 6,
            arena: 5,
            input: 4,
        };
        let runs = [run(0), run(1)];
        let mut expected = vec![vec![0, 10], vec![0, 10], vec![1, 11], vec![1, 11]];
        let report = summary(&board("mps2-an386"), footprint, &runs, &expected);
        assert_eq!((report.matches_host, report.mismatch), (Some(true), None));
        assert_eq!(report.load, Some(1_000));
        let counts = report.cost.counts().unwrap();
        assert_eq!((counts.min, counts.median, counts.max), (100, 100, 200));
        assert_eq!(report.ram.unwrap().total, Some(6 + 5 + 90));
        assert_eq!(report.ram.unwrap().stack_inference, Some(64 - 24));

        expected[2][1] = 12;
        expected[3][0] = 5;
        let report = summary(&board("mps2-an386"), footprint, &runs, &expected);
        assert_eq!(report.matches_host, Some(false));
        assert_eq!(
            report.mismatch,
            Some(Mismatch {
                sample: 2,
                logit: 1,
                host: 12,
                device: 11
            })
        );
        expected[0].push(0);
        let report = summary(&board("mps2-an386"), footprint, &runs, &expected[..1]);
        assert_eq!(report.matches_host, Some(false));
    }
}
