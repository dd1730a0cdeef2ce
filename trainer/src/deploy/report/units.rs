//! Describes what the input bytes and the logits of a container stand for.

use rarefy_format::Units;
use serde::Serialize;

/// The number of maps up to which the description lists all.
const LISTED: usize = 8;

/// The units of a network's numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitsReport {
    /// The size of the section in the container.
    pub bytes: usize,
    /// What a logit of 1 stands for.
    pub output_step: f32,
    /// The number of consecutive inputs that each map applies to.
    pub inputs_per_map: usize,
    /// The maps from numbers to input bytes.
    pub maps: Vec<MapReport>,
}

/// A map from numbers to bytes: the byte of `x` is `(x - minimum) * factor + 0.5`, truncated and
/// limited to 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MapReport {
    /// The number that becomes 0.
    pub minimum: f32,
    /// Bytes per unit; 0 if all numbers become 0.
    pub factor: f32,
}

impl UnitsReport {
    /// Describes `units`.
    pub(super) fn new(units: &Units<'_>) -> Self {
        let maps = units.maps().map(|map| MapReport {
            minimum: map.minimum,
            factor: map.factor,
        });
        let maps: Vec<MapReport> = maps.collect();
        Self {
            bytes: 8 + 8 * maps.len(),
            output_step: units.output_step(),
            inputs_per_map: units.share(),
            maps,
        }
    }
}

impl std::fmt::Display for UnitsReport {
    /// Writes what an input byte and an output are, in one line, or in one per map if there are
    /// several. Of many maps, only the first are written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "an output is its logit * {}; an input byte is ",
            self.output_step
        )?;
        if let [map] = self.maps[..] {
            return write!(f, "{map}");
        }
        let (count, share) = (self.maps.len(), self.inputs_per_map);
        match share {
            1 => write!(f, "that of x by a map per input:")?,
            _ => write!(f, "that of x by a map per {share} inputs:")?,
        }
        let shown = if count > LISTED { LISTED - 1 } else { count };
        for (index, map) in self.maps.iter().enumerate().take(shown) {
            let first = index * share;
            match share {
                1 => write!(f, "\n  input {first}: {map}")?,
                _ => write!(f, "\n  inputs {first} to {}: {map}", first + share - 1)?,
            }
        }
        match count - shown {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more (--json lists all)"),
        }
    }
}

impl std::fmt::Display for MapReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { minimum, factor } = self;
        match (*factor, *minimum) {
            (0.0, _) => f.write_str("0"),
            (1.0, 0.0) => f.write_str("x itself"),
            (1.0, ..0.0) => write!(f, "x + {}", -minimum),
            (1.0, _) => write!(f, "x - {minimum}"),
            (_, ..0.0) => write!(f, "(x + {}) * {factor}", -minimum),
            _ => write!(f, "(x - {minimum}) * {factor}"),
        }
    }
}
