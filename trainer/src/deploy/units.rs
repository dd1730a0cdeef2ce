//! The units of an exported network: which numbers its input bytes and its logits stand for.
//!
//! A container states them if the features of the dataset were not bytes, if its targets are
//! numbers, or on request. Firmware then turns the readings of its sensor into input bytes by the
//! map that the run was trained with, and logits into outputs.

use rarefy_format::{ByteMap, Units, UnitsSpec};

use crate::data::{Dataset, InputMap};

/// When a container states its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatedUnits {
    /// If the dataset's features are not bytes, or its targets are numbers.
    #[default]
    Automatic,
    /// In any case. The features of images are their bytes.
    Always,
    /// Never, which saves their bytes.
    Never,
}

impl StatedUnits {
    /// Returns the units of a network for `data` with this output step; `None` if the container
    /// states none.
    #[must_use]
    pub fn of(self, data: &Dataset, output_step: f64) -> Option<UnitsSpec> {
        let maps = match (self, &data.reading.map) {
            (Self::Never, _) => return None,
            (Self::Automatic, None) if !data.has_targets() => return None,
            (Self::Automatic | Self::Always, None) => vec![ByteMap::IDENTITY],
            (_, Some(map)) => shared(map.byte_maps().collect()),
        };
        Some(UnitsSpec {
            output_step: output_step as f32,
            maps,
        })
    }
}

/// Returns whether a container with `units` states the maps of `map`.
pub(super) fn states(units: &Units<'_>, map: &InputMap) -> bool {
    shared(units.maps().collect()) == shared(map.byte_maps().collect())
}

/// Returns one of `maps` if all are equal, otherwise `maps`.
fn shared(mut maps: Vec<ByteMap>) -> Vec<ByteMap> {
    if maps.iter().all(|map| *map == maps[0]) {
        maps.truncate(1);
    }
    maps
}

#[cfg(test)]
mod tests {
    use rarefy_format::{
        AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, with_units, write,
    };
    use rarefy_runtime::Engine;

    use super::*;
    use crate::data::{InputRange, digits};
    use crate::random::Random;

    #[test]
    fn units_are_stated_for_features_that_are_not_bytes_or_on_request() {
        let mut data = digits::load();
        let step = |units: Option<UnitsSpec>| units.map(|units| (units.output_step, units.maps));
        let identity = vec![ByteMap::IDENTITY];
        assert_eq!(StatedUnits::Automatic.of(&data, 0.5), None);
        assert_eq!(StatedUnits::Never.of(&data, 0.5), None);
        let always = StatedUnits::Always.of(&data, 0.5);
        assert_eq!(step(always), Some((0.5, identity)));

        let maps = |low: Vec<f64>, high: Vec<f64>| Some(InputMap::new(low, high).unwrap());
        data.reading.map = maps(vec![-1.0, 0.0], vec![1.0, 510.0]);
        let two = vec![ByteMap::new(-1.0, 1.0), ByteMap::new(0.0, 510.0)];
        for stated in [StatedUnits::Automatic, StatedUnits::Always] {
            assert_eq!(step(stated.of(&data, 0.25)), Some((0.25, two.clone())));
        }
        assert_eq!(StatedUnits::Never.of(&data, 0.25), None);
        // Equal maps are stated once.
        data.reading.map = maps(vec![-1.0; 9], vec![1.0; 9]);
        let units = StatedUnits::Automatic.of(&data, 1.0).unwrap();
        assert_eq!(units.maps, [ByteMap::new(-1.0, 1.0)]);
    }

    /// Compares the workstation's bytes of numbers, in every form of the map, with those that an
    /// engine makes of the same numbers.
    #[test]
    fn a_device_makes_the_bytes_of_the_workstation() {
        let random = &mut Random::new(9);
        let shape = [3, 2, 2];
        let scales = [1e-6, 1.0, 4096.0];
        let values = (0..12_000).map(|index| {
            let scale = scales[index % 12 / 4];
            ((random.normal() + 0.5) * scale) as f32
        });
        let values: Vec<f32> = values.collect();
        let layer = LayerSpec::dense(Encoding::Csr, 0, vec![0], vec![vec![(11, 1)]]);
        let network = NetworkSpec {
            input: Shape {
                channels: 3,
                height: 2,
                width: 2,
            },
            layers: vec![layer],
        };
        let mut data = digits::load();
        for (range, maps) in [
            (InputRange::All, 1),
            (InputRange::Channel, 3),
            (InputRange::Feature, 12),
            (InputRange::Fixed(-0.3, 0.7), 1),
        ] {
            let numbers = || values.iter().map(|&value| f64::from(value));
            // Fitted to a quarter, so that others lie outside the ranges.
            let map = InputMap::fit(range, numbers().take(3_000), shape);
            data.reading.map = Some(map.clone());
            let units = StatedUnits::Automatic.of(&data, 0.5).unwrap();
            assert_eq!(units.maps.len(), maps);
            let bytes = with_units(&write(&network).unwrap(), &units).unwrap();
            let bytes = AlignedBytes::copy_from(&bytes);
            let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
            let expected = map.bytes(numbers(), 12);
            let mut seen = [0; 256];
            for (row, expected) in values.chunks(12).zip(expected.chunks(12)) {
                let mut input = [0; 12];
                engine.quantize(row, &mut input).unwrap();
                assert_eq!(input, expected, "{range}");
                expected
                    .iter()
                    .for_each(|&byte| seen[usize::from(byte)] += 1);
            }
            assert!(
                seen.iter().filter(|&&count| count > 0).count() > 200,
                "{range}"
            );
        }
    }
}
