//! Reads and writes `.rfy` containers.

use std::path::Path;

use rarefy_format::{
    AlignedBytes, HEADER_BYTES, MAX_BLOCK_BYTES, MAX_LAYERS, MAX_SOURCE_BYTES, Model, NetworkSpec,
    RECORD_BYTES, UnitsSpec, WriteError, with_units,
};

use super::quantize::Quantized;
use super::{DeployError, Network};
use crate::atomic;

/// The maximum size of a container: full blocks, each preceded by its padding, and units with two
/// numbers per input.
const MOST_BYTES: usize =
    HEADER_BYTES + MAX_LAYERS * (RECORD_BYTES + 3 + MAX_BLOCK_BYTES) + 8 * (MAX_SOURCE_BYTES + 2);

/// A quantized network and its container.
#[derive(Debug, Clone)]
pub struct Written {
    /// The network.
    pub quantized: Quantized,
    /// The container.
    pub bytes: AlignedBytes,
}

impl Written {
    /// Writes the container of `quantized`, which was quantized from `network`.
    ///
    /// # Errors
    /// Returns an error that names the layer if the format cannot represent it.
    pub fn new(quantized: Quantized, network: &Network) -> Result<Self, DeployError> {
        let bytes = write(&quantized.spec, network)?;
        Ok(Self { quantized, bytes })
    }

    /// Adds `units` to the container, if there are any.
    ///
    /// # Errors
    /// Returns an error if a number of the units is too large or too small for the format.
    pub fn with_units(self, units: Option<&UnitsSpec>) -> Result<Self, DeployError> {
        let Some(units) = units else {
            return Ok(self);
        };
        let bytes = with_units(&self.bytes, units);
        let bytes = bytes.map_err(|error| DeployError::Write(WriteError::Refused(error)))?;
        Ok(Self {
            bytes: AlignedBytes::copy_from(&bytes),
            ..self
        })
    }
}

/// Returns the container that holds `spec`, which was quantized from `network`.
///
/// # Errors
/// Returns an error that names the layer if the format cannot represent it.
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

/// Reads the container file `path`, to be passed to [`parse`].
///
/// # Errors
/// Returns an error if the file cannot be read or is longer than any container.
pub fn read(path: &Path) -> Result<AlignedBytes, DeployError> {
    let bytes = atomic::read_at_most(path, MOST_BYTES as u64, "a container")?;
    Ok(AlignedBytes::copy_from(&bytes))
}

/// Returns the model in `bytes`, which were read from `path`.
///
/// # Errors
/// Returns an error if the bytes are not a complete, valid container.
pub fn parse<'a>(bytes: &'a AlignedBytes, path: &Path) -> Result<Model<'a>, DeployError> {
    Model::parse(bytes).map_err(|reason| DeployError::Container {
        path: path.display().to_string(),
        reason,
    })
}
