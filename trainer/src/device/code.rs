//! The flash of a network as code: what a program takes beyond one whose network is empty.
//!
//! Measured: the code is compiled and linked for the board, twice; nothing is run, so neither an
//! emulator nor a probe is needed. Refuses what is not written as code, and whatever keeps a program
//! from being built.

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, WriteError, container_checksum, write,
};

use super::boards::Board;
use super::elf::Footprint;
use super::image::{Plan, Role};
use super::measure::{DeviceError, MeasureOptions, builder};
use crate::deploy::emit;

/// Why the flash of a network as code is not known.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// A network without weights is not written as code.
    #[error(transparent)]
    Emit(#[from] emit::EmitError),
    /// The network fits in no container, which the program is compared with.
    #[error("a network without weights cannot be written: {0}")]
    Empty(WriteError),
    /// The program is not built.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Bytes of flash that `code` takes on `board`: the network of the container `model` written as Rust.
/// `progress` is told what is going on.
///
/// # Errors
/// When nothing compiles it for the board.
pub fn code_flash(
    board: &Board,
    model: &[u8],
    code: &str,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<u64, CodeError> {
    let mut flash = |model: &Model<'_>, code: &str, what: &str| -> Result<u64, DeviceError> {
        progress(&format!("{}: building {what}", board.name));
        // With a sample, so that the program is one that could be run.
        let image = builder(options).build(Plan {
            board,
            role: Role::Straight,
            content: Some((*model, &vec![0; model.inputs()])),
            code: Some(code),
        })?;
        Ok(Footprint::read(&image.bytes, board)?.code)
    };
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).map_err(DeviceError::Model)?;
    let all = flash(&model, code, "the network as code")?;
    let empty = empty(&NetworkSpec::from_model(&model), model.outputs());
    let bytes = write(&empty).map_err(CodeError::Empty)?;
    let code = emit::rust(&empty, "no network", container_checksum(&bytes))?;
    let bytes = AlignedBytes::copy_from(&bytes);
    let model = Model::parse(&bytes).map_err(DeviceError::Model)?;
    let without = flash(&model, &code, "a program without a network")?;
    Ok(all.saturating_sub(without))
}

/// A network of the same input and so many outputs, without a weight.
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
