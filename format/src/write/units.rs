//! Writing the units of a network's numbers.

use alloc::vec::Vec;

use crate::error::ParseError;
use crate::header::{CHECKSUM_OFFSET, UNITS_BIT, container_checksum};
use crate::model::Model;
use crate::units::{ByteMap, Units};

/// The offset of the number of layers.
const LAYERS_OFFSET: usize = 8;

/// The units of a network's numbers, to be written by [`with_units`].
#[derive(Clone, Debug, PartialEq)]
pub struct UnitsSpec {
    /// What a logit of 1 stands for; positive.
    pub output_step: f32,
    /// The maps from numbers to input bytes: one for all inputs, one per channel, or one per input.
    pub maps: Vec<ByteMap>,
}

impl UnitsSpec {
    /// Copies the units of a parsed model.
    #[must_use]
    pub fn from_units(units: &Units<'_>) -> UnitsSpec {
        UnitsSpec {
            output_step: units.output_step(),
            maps: units.maps().collect(),
        }
    }
}

/// Returns `container` with `units`, in the place of those that it states, if any. Nothing else
/// changes but the checksum.
///
/// ```
/// use rarefy_format::{ByteMap, Encoding, LayerSpec, Model, NetworkSpec, Shape, UnitsSpec};
/// use rarefy_format::{with_units, write};
///
/// let layer = LayerSpec::dense(Encoding::Csr, 0, vec![7], vec![vec![(1, 3)]]);
/// let container = write(&NetworkSpec { input: Shape::flat(2), layers: vec![layer] })?;
/// let units = UnitsSpec { output_step: 0.01, maps: vec![ByteMap::new(-1.0, 1.0)] };
/// let container = with_units(&container, &units)?;
/// let model = Model::parse(&container)?;
/// assert_eq!(model.units().unwrap().output_step(), 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if [`Model::parse`] rejects `container`, or would reject the result.
pub fn with_units(container: &[u8], units: &UnitsSpec) -> Result<Vec<u8>, ParseError> {
    let end = Model::parse(container)?.layers().stated_bytes();
    let mut bytes = container.to_vec();
    bytes.truncate(end);
    bytes.resize(end.next_multiple_of(4), 0);
    bytes[LAYERS_OFFSET] |= UNITS_BIT;
    bytes.extend(units.output_step.to_le_bytes());
    bytes.extend((units.maps.len() as u32).to_le_bytes());
    bytes.extend(units.maps.iter().flat_map(|map| map.to_bytes()));
    let checksum = container_checksum(&bytes);
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
    Model::parse(&bytes)?;
    Ok(bytes)
}
