//! Flash size of a network emitted as Rust code.
//!
//! The size is the difference between two linked programs: one with the network and one with an
//! empty network. Nothing is run, so neither an emulator nor a debug probe is needed.

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

/// Returns the flash size in bytes on `board` of `code`, the network of the container `model`
/// emitted as Rust. `progress` receives a line per step.
///
/// # Errors
///
/// Returns an error if `model` is not a valid container or if a program cannot be built.
pub fn code_flash(
    board: &Board,
    model: &[u8],
    code: &str,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<u64, CodeError> {
    let mut flash = |model: &Model<'_>, code: &str, what: &str| -> Result<u64, DeviceError> {
        progress(&format!("{}: building {what}", board.name));
        // A sample of zeros makes the program the same as a runnable one.
        let image = options.builder().build(Plan {
            board,
            role: Role::Straight,
            content: Some((*model, &vec![0; model.inputs()])),
            code: Some(code),
        })?;
        Ok(Footprint::read(&image.bytes, board)?.code)
    };
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    let with = flash(&model, code, "the network as code")?;
    let empty = empty(&NetworkSpec::from_model(&model), model.outputs());
    let bytes = write(&empty).map_err(CodeError::Empty)?;
    let code = emit::rust(&empty, "no network", container_checksum(&bytes))?;
    let bytes = AlignedBytes::copy_from(&bytes);
    let model = Model::parse(&bytes).map_err(DeviceError::Model)?;
    let without = flash(&model, &code, "a program without a network")?;
    Ok(with.saturating_sub(without))
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
