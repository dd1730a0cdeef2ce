//! Reading and writing `.rfy` containers.

use std::path::Path;

use rarefy_format::{AlignedBytes, Model, NetworkSpec, WriteError};

use super::{DeployError, Network};
use crate::artifact;

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
/// When it cannot be read.
pub fn read(path: &Path) -> Result<AlignedBytes, DeployError> {
    Ok(AlignedBytes::copy_from(&artifact::read(path)?))
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
