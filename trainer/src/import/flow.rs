//! Values that depend on the input, and how operators that only rearrange them are followed.
//!
//! A [`Step`](super::step::Step) computes its output in Rarefy's order: channels, height, width. A
//! file may hold the same elements in any other order and shape, such as channel-last. A [`Flow`]
//! therefore records where each of its elements lies in the step's output, so that transpositions
//! and reshapes need no operator of their own: the columns of the dense layer that reads them are
//! reordered instead.

use std::rc::Rc;

use super::constant::Constant;
use super::shapes::{broadcasting, resolve, transposition};

/// The largest number of elements of the network's input and of a feature map: 2^24.
pub(super) const MOST_FEATURES: usize = 1 << 24;

/// The output of a step as the file sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flow {
    /// Index of the step that computes it.
    pub(super) step: usize,
    /// The shape in the file; the first axis is the batch.
    pub(super) dims: Vec<usize>,
    /// For each element of a sample, in the file's order, its place in the step's output.
    pub(super) places: Rc<[u32]>,
}

impl Flow {
    /// Creates the flow of `step`, whose output has this `shape` per sample, in the file's order.
    pub(super) fn of(step: usize, batch: usize, shape: &[usize]) -> Self {
        let length: usize = shape.iter().product();
        Self {
            step,
            dims: [&[batch], shape].concat(),
            places: (0..length as u32).collect(),
        }
    }

    /// Returns the same elements as the output of another step, which computes each of them from
    /// the element at the same place.
    pub(super) fn through(&self, step: usize) -> Self {
        Self {
            step,
            ..self.clone()
        }
    }

    /// Returns the shape per sample.
    pub(super) fn sample(&self) -> &[usize] {
        self.dims.get(1..).unwrap_or_default()
    }

    /// Returns whether the elements are in the step's own order.
    pub(super) fn in_order(&self) -> bool {
        self.places
            .iter()
            .enumerate()
            .all(|(at, &place)| at == place as usize)
    }

    /// Returns the flow with axes permuted: axis `i` of the result is axis `perm[i]` of this one.
    ///
    /// # Errors
    /// Returns the reason if `perm` is not a permutation, or moves the batch.
    pub(super) fn transposed(&self, perm: &[usize]) -> Result<Self, String> {
        if perm.first() != Some(&0) {
            return Err("it moves the axis of the batch: keep that axis first".into());
        }
        let (shape, from) = transposition(&self.dims, perm)?;
        // All samples are rearranged alike; the first one is enough.
        let places = from
            .take(self.places.len())
            .map(|at| self.places[at])
            .collect();
        Ok(Self {
            dims: shape,
            places,
            ..*self
        })
    }

    /// Returns the flow with another shape. A length of -1 is inferred; a length of 0 repeats that
    /// of the same axis, or is a length of 0 if `zeros` is set (ONNX' `allowzero`).
    ///
    /// # Errors
    /// Returns the reason if the number of elements differs, or if samples would be mixed.
    pub(super) fn reshaped(&self, target: &[i64], zeros: bool) -> Result<Self, String> {
        self.with_dims(resolve(&self.dims, target, zeros)?)
    }

    /// Returns the flow with another shape that has the same number of elements.
    ///
    /// # Errors
    /// Returns the reason if the first axis is no longer the batch.
    pub(super) fn with_dims(&self, dims: Vec<usize>) -> Result<Self, String> {
        if dims.first() != self.dims.first() {
            return Err(format!(
                "it turns an array of {:?} into one of {dims:?}, but the first axis must stay the batch",
                self.dims
            ));
        }
        Ok(Self {
            dims,
            ..self.clone()
        })
    }

    /// Returns the elements of `constant` as they combine with each sample in a sum or product, in
    /// the order of the step's output.
    ///
    /// # Errors
    /// Returns the reason if the constant would enlarge the flow.
    pub(super) fn broadcast(&self, constant: &Constant) -> Result<Vec<f64>, String> {
        let from = broadcasting(&constant.shape, &self.dims).ok_or_else(|| {
            format!(
                "it combines an array of {:?} with a constant of {:?}, which changes its shape",
                self.dims, constant.shape
            )
        })?;
        let values = constant.to_floats();
        let mut ordered = vec![0.0; self.places.len()];
        for (at, &place) in from.take(self.places.len()).zip(self.places.iter()) {
            ordered[place as usize] = values[at];
        }
        Ok(ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rearrangements_are_followed() {
        // Two channels of 2 x 3: channel-last, the elements are 0, 6, 1, 7, ...
        let flow = Flow::of(4, 1, &[2, 2, 3]);
        let last = flow.transposed(&[0, 2, 3, 1]).unwrap();
        assert_eq!(last.dims, [1, 2, 3, 2]);
        assert_eq!(last.places[..], [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
        assert!(!last.in_order());
        let flat = last.reshaped(&[0, -1], false).unwrap();
        assert_eq!((flat.step, &flat.dims[..]), (4, &[1, 12][..]));
        assert_eq!(flat.places, last.places);
        let back = last.transposed(&[0, 3, 1, 2]).unwrap();
        assert_eq!(back, flow);
        assert!(flow.transposed(&[1, 0, 2, 3]).is_err());
        assert!(flow.transposed(&[0, 1, 1, 2]).is_err());
        assert!(flow.reshaped(&[2, 6], false).is_err());
        assert!(flow.reshaped(&[1, 5], false).is_err());
        assert!(flow.reshaped(&[1, 0, -1], true).is_err());
        assert!(flow.reshaped(&[1, -2, -6], false).is_err());
    }

    #[test]
    fn constants_are_broadcast_in_the_order_of_the_step() {
        let flow = Flow::of(0, 1, &[2, 1, 2]);
        let constant = |shape: &[usize], values: &[i64]| Constant {
            shape: shape.to_vec(),
            ..Constant::integers(values.to_vec())
        };
        let channels = constant(&[1, 2, 1, 1], &[5, 7]);
        assert_eq!(flow.broadcast(&channels).unwrap(), [5.0, 5.0, 7.0, 7.0]);
        let last = flow.transposed(&[0, 2, 3, 1]).unwrap();
        assert_eq!(
            last.broadcast(&constant(&[2], &[5, 7])).unwrap(),
            [5.0, 5.0, 7.0, 7.0]
        );
        assert_eq!(last.broadcast(&constant(&[], &[3])).unwrap(), [3.0; 4]);
        assert!(flow.broadcast(&constant(&[3], &[1, 2, 3])).is_err());
        assert!(flow.broadcast(&constant(&[2, 1, 1, 1], &[1, 2])).is_err());
    }
}
