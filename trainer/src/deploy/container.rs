//! Reading and writing `.rfy` containers.

use std::path::Path;

use rarefy_format::{
    AlignedBytes, HEADER_BYTES, MAX_BLOCK_BYTES, MAX_LAYERS, Model, NetworkSpec, RECORD_BYTES,
    WriteError,
};

use super::{DeployError, Network};
use crate::artifact;

/// The most bytes a container can have: full blocks, each with the padding before it.
const MOST_BYTES: usize = HEADER_BYTES + MAX_LAYERS * (RECORD_BYTES + 3 + MAX_BLOCK_BYTES);

/// The container of `spec`, made from `network`.
///
/// # Errors
/// When the format cannot hold it.
pub fn write(spec: &NetworkSpec, network: &Network) -> Result<AlignedBytes, DeployError> {
    match rarefy_format::write(spec) {
        Ok(bytes) => Ok(AlignedBytes::copy_from(&bytes)),
        Err(WriteError::Layer { layer, error }) => Err(DeployError::Layer {
            layer: network.layers[layer].name.clone(),
            reason: error,
        }),
        Err(error) => Err(DeployError::Write(error)),
    }
}

/// Reads the file `path` for [`parse`].
///
/// # Errors
/// When it cannot be read or is longer than any container.
pub fn read(path: &Path) -> Result<AlignedBytes, DeployError> {
    let bytes = artifact::read_at_most(path, MOST_BYTES as u64, "a container")?;
    Ok(AlignedBytes::copy_from(&bytes))
}

/// The model in `bytes`, which came from `path`.
///
/// # Errors
/// When it is no whole and valid container.
pub fn parse<'a>(bytes: &'a AlignedBytes, path: &Path) -> Result<Model<'a>, DeployError> {
    Model::parse(bytes).map_err(|reason| DeployError::Container {
        path: path.display().to_string(),
        reason,
    })
}
