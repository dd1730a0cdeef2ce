//! Flash size of a network emitted as Rust code.
//!
//! The size is the difference between two linked programs: one with the network and one with an
//! empty network. A container with its engine is measured against the same empty network. Nothing
//! is run, so neither an emulator nor a debug probe is needed.

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, WriteError, container_checksum, write,
};

use super::boards::Board;
use super::error::DeviceError;
use super::footprint::Footprint;
use super::image::{Plan, Role};
use super::options::MeasureOptions;
use crate::deploy::emit;

/// Why the flash size of emitted code could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The empty network could not be emitted as code.
    #[error(transparent)]
    Emit(#[from] emit::EmitError),
    /// The empty network could not be written to a container.
    #[error("the empty network to compare with cannot be written: {0}")]
    Empty(WriteError),
    /// A program could not be built.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Flash that a network takes on a board, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeFlash {
    /// As Rust code.
    pub code: u64,
    /// As a container with its engine, if there is one.
    pub container: Option<u64>,
}

/// Returns the flash size on `board` of `code` (the network of the container `model`, emitted as
/// Rust) and, if given, of the container `instead` with its engine. `progress` receives a line per
/// step.
///
/// # Errors
///
/// Returns an error if a container is invalid or if a program cannot be built.
pub fn code_flash(
    board: &Board,
    (model, code): (&[u8], &str),
    instead: Option<&[u8]>,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<CodeFlash, CodeError> {
    let mut flash = |model: &[u8], code: Option<&str>, what: &str| -> Result<u64, DeviceError> {
        progress(&format!("{}: building {what}", board.name));
        let model = AlignedBytes::copy_from(model);
        let model = Model::parse(&model).map_err(DeviceError::Model)?;
        // The program must contain a sample; zeros will do, since it is not run.
        let image = options.builder().build(Plan {
            board,
            role: code.map_or(Role::Measure, |_| Role::Straight),
            content: Some((model, &vec![0; model.inputs()])),
            code,
        })?;
        let footprint = Footprint::read(&image.bytes, board)?;
        Ok(footprint.code + if code.is_none() { footprint.model } else { 0 })
    };
    let parsed = AlignedBytes::copy_from(model);
    let parsed = Model::parse(&parsed).map_err(DeviceError::Model)?;
    let empty = empty(&NetworkSpec::from_model(&parsed), parsed.outputs());
    let bytes = write(&empty).map_err(CodeError::Empty)?;
    let nothing = emit::rust(&empty, "no network", container_checksum(&bytes))?;
    let with = flash(model, Some(code), "the network as code")?;
    let without = flash(&bytes, Some(&nothing), "a program without a network")?;
    let container = instead.map(|instead| flash(instead, None, "the container with its engine"));
    Ok(CodeFlash {
        code: with.saturating_sub(without),
        container: container
            .transpose()?
            .map(|all| all.saturating_sub(without)),
    })
}

/// Returns a network without weights that has the input of `network` and `outputs` outputs.
fn empty(network: &NetworkSpec, outputs: usize) -> NetworkSpec {
    let layer = LayerSpec::dense(
        Encoding::Csr,
        0,
        vec![0; outputs],
        vec![Vec::new(); outputs],
    );
    NetworkSpec {
        input: network.input,
        layers: vec![layer],
    }
}
