//! Measures a network on a board: links it into a program, runs the program and compares every
//! logit.
//!
//! A network that does not fit its board is not run; its report states the excess in bytes.

use rarefy_format::{AlignedBytes, Model};
use rarefy_runtime::Engine;

use super::boards::Board;
use super::cycles::Estimator;
use super::error::DeviceError;
use super::footprint::{Excess, Footprint, Memory, STACK_RESERVE};
use super::image::{Image, ImageError, Plan, Role};
use super::options::MeasureOptions;
use super::record::{Estimates, record};
use super::report::{BoardReport, NetworkReport};
use super::run;
use super::summary::summarize;
use super::twin::dense_twin;

/// Measures the container `model` on `board`.
///
/// The network is run on `inputs` (one byte per value), and every logit is compared with the
/// workstation's. `progress` receives a line per step.
///
/// # Errors
///
/// Returns an error if the container or an input is invalid, or if a program cannot be built or
/// run. A network that does not fit is not an error; the report says so.
pub fn measure(
    board: &Board,
    model: &[u8],
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, DeviceError> {
    run::runner(board, &options.machine)?;
    let pruned = Subject {
        container: model,
        code: None,
        label: "",
        profile: options.profile,
    };
    let network = pruned.measure(board, inputs, options, progress)?;
    let dense = if options.dense {
        let twin = dense_twin_of(model)?;
        let dense = Subject {
            container: &twin,
            code: None,
            label: "dense network, ",
            profile: false,
        };
        Some(if twin == model {
            network.clone()
        } else {
            dense.measure(board, inputs, options, progress)?
        })
    } else {
        None
    };
    Ok(BoardReport::new(board, inputs.len(), network, dense))
}

/// Measures `code`, the network of the container `model` emitted as Rust
/// ([`emit`](crate::deploy::emit)), on `board`. Every logit is compared with the container's on
/// the workstation.
///
/// # Errors
///
/// Returns an error in the same cases as [`measure`].
pub fn measure_code(
    board: &Board,
    model: &[u8],
    code: &str,
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<NetworkReport, DeviceError> {
    run::runner(board, &options.machine)?;
    let subject = Subject {
        container: model,
        code: Some(code),
        label: "network as code, ",
        profile: false,
    };
    subject.measure(board, inputs, options, progress)
}

/// Reports the flash and static RAM that `model` occupies on `board` from the linked program
/// alone.
///
/// Nothing is run, so neither an emulator nor a debug probe is needed, and all figures that
/// require a run are `None`. A network fits if it leaves [`STACK_RESERVE`] bytes of RAM for the
/// stack. `progress` receives a line per step.
///
/// # Errors
///
/// Returns an error if the container is invalid or the program cannot be built. A network that
/// does not fit is not an error; the report says so.
pub fn build(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, DeviceError> {
    build_for(board, model, STACK_RESERVE, options, progress)
}

/// Reports as [`build`] does, where `stack` bytes of RAM must remain for the stack of the network;
/// its dense twin must leave [`STACK_RESERVE`].
///
/// # Errors
///
/// Returns the errors of [`build`].
pub(super) fn build_for(
    board: &Board,
    model: &[u8],
    stack: u64,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, DeviceError> {
    let mut network = |container: &[u8], stack: u64, label: &str| {
        progress(&format!("{}: {label}building the program", board.name));
        let bytes = AlignedBytes::copy_from(container);
        let model = Model::parse(&bytes).map_err(DeviceError::Model)?;
        let samples = vec![0; model.inputs()];
        let linked = link(runnable(board, model, &samples), stack, options)?;
        Ok::<_, DeviceError>(match linked {
            Linked::Fits(_, footprint) => NetworkReport::built(board, footprint),
            Linked::TooLarge(excess, footprint) => {
                NetworkReport::too_large(board, excess, footprint)
            }
        })
    };
    let pruned = network(model, stack, "")?;
    let dense = match options.dense {
        true => {
            let twin = dense_twin_of(model)?;
            Some(network(&twin, STACK_RESERVE, "dense network, ")?)
        }
        false => None,
    };
    Ok(BoardReport::new(board, 0, pruned, dense))
}

/// Returns the footprint of `model` on `board` from the linked program, without running it.
///
/// # Errors
///
/// Returns an error if the container is invalid or the program cannot be built, and
/// [`ImageError::NoRoom`] if its static data exceeds the board's RAM. A program that links may
/// still not fit: check [`Footprint::excess`].
pub fn footprint(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
) -> Result<Footprint, DeviceError> {
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    let samples = vec![0; model.inputs()];
    let image = options.builder().build(runnable(board, model, &samples))?;
    Ok(Footprint::read(&image.bytes, board)?)
}

/// Returns the plan of the program that measures `model` on `samples`.
fn runnable<'a>(board: &'a Board, model: Model<'a>, samples: &'a [u8]) -> Plan<'a> {
    Plan {
        board,
        role: Role::Measure,
        content: Some((model, samples)),
        code: None,
    }
}

/// Returns the dense twin of the container `model`.
fn dense_twin_of(model: &[u8]) -> Result<Vec<u8>, DeviceError> {
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    dense_twin(&model).map_err(DeviceError::Dense)
}

/// Outcome of linking a program.
enum Linked {
    /// The program fits its board.
    Fits(Image, Footprint),
    /// The program does not fit. The footprint is `None` if the linker could not lay it out.
    TooLarge(Excess, Option<Footprint>),
}

/// Builds the program of `plan` and checks that it fits its board with `stack` bytes of stack.
fn link(plan: Plan<'_>, stack: u64, options: &MeasureOptions<'_>) -> Result<Linked, DeviceError> {
    let image = match options.builder().build(plan) {
        Ok(image) => image,
        Err(ImageError::NoRoom { over_by, .. }) => {
            // The linker does not account for the stack.
            let excess = Excess {
                memory: Memory::Ram,
                bytes: over_by + stack,
            };
            return Ok(Linked::TooLarge(excess, None));
        }
        Err(error) => return Err(error.into()),
    };
    let footprint = Footprint::read(&image.bytes, plan.board)?;
    Ok(match footprint.excess(plan.board, stack) {
        Some(excess) => Linked::TooLarge(excess, Some(footprint)),
        None => Linked::Fits(image, footprint),
    })
}

/// A network to measure.
struct Subject<'a> {
    container: &'a [u8],
    /// The same network emitted as Rust; if given, this is measured instead of the container.
    code: Option<&'a str>,
    /// Prefix of progress messages.
    label: &'a str,
    /// Whether to profile the network by layer and by function.
    profile: bool,
}

impl Subject<'_> {
    /// Measures the network on `board`.
    fn measure(
        &self,
        board: &Board,
        inputs: &[Vec<u8>],
        options: &MeasureOptions<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<NetworkReport, DeviceError> {
        let bytes = AlignedBytes::copy_from(self.container);
        let model = Model::parse(&bytes).map_err(DeviceError::Model)?;
        let expected = host_logits(model, inputs)?;
        let mut progress = |step: &str| progress(&format!("{}: {}{step}", board.name, self.label));
        let role = match self.code {
            None => Role::Measure,
            Some(_) => Role::Straight,
        };

        progress("building the program");
        let samples = inputs.concat();
        let plan = Plan {
            role,
            code: self.code,
            ..runnable(board, model, &samples)
        };
        let (image, footprint) = match link(plan, STACK_RESERVE, options)? {
            Linked::Fits(image, footprint) => (image, footprint),
            Linked::TooLarge(excess, footprint) => {
                return Ok(NetworkReport::too_large(board, excess, footprint));
            }
        };

        // Samples that do not fit in flash together are run in several batches.
        let room = footprint.room_for_samples(board, model.inputs());
        if room == 0 {
            return Err(DeviceError::NoRoomForSamples {
                board: board.name.clone(),
                bytes: model.inputs(),
            });
        }
        let mut estimates = self.estimates(board, &model, options, &mut progress);
        let mut recordings = Vec::new();
        let mut whole = Some(image);
        for batch in inputs.chunks(room) {
            let image = match whole.take() {
                Some(image) if batch.len() == inputs.len() => image,
                _ => {
                    progress("building the program");
                    let content = Some((model, &*batch.concat()));
                    options.builder().build(Plan { content, ..plan })?
                }
            };
            progress("running the program");
            recordings.push(record(&image, board, batch.len(), options, &mut estimates)?);
        }
        let mut report = summarize(board, footprint, &recordings, &expected);
        match estimates {
            Ok(estimator) => {
                report.estimate = estimator.estimate();
                check_clock(board, &report)?;
                report.profile = estimator.profile(&model, inputs);
            }
            Err(why) => report.no_estimate = options.cycles.then_some(why),
        }
        Ok(report)
    }

    /// Prepares the estimates of cycles that `options` ask for.
    fn estimates<'b>(
        &self,
        board: &'b Board,
        model: &Model<'_>,
        options: &MeasureOptions<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Estimates<'b> {
        if !options.cycles {
            return Err("it was not asked for".to_owned());
        }
        progress("building the emulator's plug-in");
        let layers = if self.profile {
            model.layers().len()
        } else {
            0
        };
        Estimator::prepare(board, layers, options)
    }
}

/// Checks a timer whose clock is taken from `board.toml`: it must have counted as many
/// instructions as the emulator's plug-in.
fn check_clock(board: &Board, report: &NetworkReport) -> Result<(), DeviceError> {
    let counted = report
        .estimate
        .as_ref()
        .map(|estimate| &estimate.instructions);
    match (report.cost.counts(), counted) {
        (Some(timer), Some(counted)) if board.trusts_clock() && timer != *counted => {
            Err(DeviceError::WrongClock {
                board: board.name.clone(),
                timer: timer.median,
                counted: counted.median,
            })
        }
        _ => Ok(()),
    }
}

/// Returns the logits that the portable kernels compute on the workstation.
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
