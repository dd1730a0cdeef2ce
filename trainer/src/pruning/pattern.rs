//! N:M patterns: of every M consecutive inputs of each output, the N with the highest scores are
//! kept.
//!
//! The inputs of a dense layer are its columns. Those of a convolution are the input channels that
//! an output channel reads, divided separately for each output channel and tap, as NVIDIA's sparse
//! tensor cores expect. A depthwise convolution reads one channel, so no pattern divides it: keep
//! it dense.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::compression::Compression;
use super::ordering::Ordering;
use crate::graph::{Graph, Prunable};
use crate::masks::Masks;

/// A pattern such as 2:4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    kept: usize,
    of: usize,
}

/// A layer that is kept whole on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The first prunable layer
    First,
    /// The last prunable layer
    Last,
}

impl Place {
    /// Returns the indices of the prunable tensors of `graph` at `places`, in order.
    #[must_use]
    pub fn indices(places: &[Self], graph: &Graph) -> Vec<usize> {
        let last = graph.prunable().len().saturating_sub(1);
        let of = |place: &Self| match place {
            Self::First => 0,
            Self::Last => last,
        };
        let mut indices: Vec<usize> = places.iter().map(of).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }
}

impl Pattern {
    /// Returns the number of weights kept in each group.
    #[must_use]
    pub fn kept(self) -> usize {
        self.kept
    }

    /// Returns the size of a group.
    #[must_use]
    pub fn group(self) -> usize {
        self.of
    }

    /// Returns the compression of a layer with this pattern.
    #[must_use]
    pub fn compression(self) -> Compression {
        Compression::of(self.of, self.kept)
    }

    /// Returns the first of `tensors` whose inputs cannot be divided into whole groups. Tensors
    /// whose indices are in `dense` are ignored.
    #[must_use]
    pub fn misfit<'a>(self, tensors: &'a [Prunable], dense: &[usize]) -> Option<&'a Prunable> {
        let mut pruned = tensors.iter().enumerate();
        let misfit = pruned.find(|(index, tensor)| {
            !dense.contains(index) && !tensor.shape[1].is_multiple_of(self.of)
        });
        misfit.map(|(_, tensor)| tensor)
    }

    /// Returns the masks of the highest scores of `ordering` in each group; of equal scores, the
    /// lower input is kept. Tensors whose indices are in `dense` are kept whole. All others must
    /// [fit](Self::misfit).
    #[must_use]
    pub fn masks(self, ordering: &Ordering, dense: &[usize]) -> Masks {
        let tensors = ordering.tensors();
        let layers = tensors.iter().zip(ordering.scores()).enumerate();
        let elements = layers.map(|(index, (tensor, scores))| {
            if dense.contains(&index) {
                return (0..tensor.len()).collect();
            }
            let (outputs, inputs) = (tensor.shape[0], tensor.shape[1]);
            let taps = tensor.len() / (outputs * inputs).max(1);
            let mut kept = Vec::with_capacity(tensor.len() / self.of * self.kept);
            for output in 0..outputs {
                for tap in 0..taps {
                    for group in 0..inputs / self.of {
                        let first = group * self.of;
                        let at = |input: usize| (output * inputs + input) * taps + tap;
                        let mut group: Vec<usize> = (first..first + self.of).map(at).collect();
                        group.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                        kept.extend_from_slice(&group[..self.kept]);
                    }
                }
            }
            kept
        });
        Masks::of(tensors, elements)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kept, self.of)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        let numbers = parts.and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
        match numbers {
            Some((kept, of)) if 1 <= kept && kept < of => Ok(Self { kept, of }),
            _ => Err(format!(
                "{text:?} is not an N:M pattern: give N:M, such as 2:4, to keep N of every M inputs of each output, with 1 <= N < M"
            )),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize]) -> Prunable {
        Prunable {
            name: name.into(),
            shape: shape.to_vec(),
            node: 0,
        }
    }

    #[test]
    fn every_group_keeps_its_highest_scores() {
        // A dense layer of four inputs and two outputs, a convolution of four channels and two taps
        // with one output, and a layer of three inputs, which is kept whole.
        let tensors = [
            tensor("fc", &[2, 4]),
            tensor("conv", &[1, 4, 1, 2]),
            tensor("last", &[1, 3]),
        ];
        let scores = vec![
            vec![1.0, 4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 0.0],
            vec![1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0],
            vec![1.0, 2.0, 3.0],
        ];
        let ordering = Ordering::global(&tensors, scores).unwrap();
        let pattern: Pattern = "2:4".parse().unwrap();
        assert_eq!(pattern.misfit(&tensors, &[]).unwrap().name, "last");
        assert!(pattern.misfit(&tensors, &[2]).is_none());
        // Each channel of a depthwise convolution reads one channel.
        let depthwise = [tensor("conv", &[8, 1, 3, 3])];
        assert!(pattern.misfit(&depthwise, &[]).is_some());
        let masks = pattern.masks(&ordering, &[2]);
        let kept: Vec<Vec<u8>> = masks
            .iter()
            .map(|mask| mask.keep.iter().map(|&keep| u8::from(keep)).collect())
            .collect();
        assert_eq!(kept[0], [0, 1, 1, 0, 1, 1, 0, 0]);
        // Tap 0 scores its channels 1, 2, 3, 4, and tap 1 scores them 8, 7, 6, 5.
        assert_eq!(kept[1], [0, 1, 0, 1, 1, 0, 1, 0]);
        assert_eq!(kept[2], [1, 1, 1]);
    }

    #[test]
    fn a_text_that_is_no_pattern_is_refused() {
        for text in ["", "2", "2:2", "0:4", "4:2", "a:4", "2:4:8"] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert!(error.contains("N:M"), "{error}");
        }
        assert_eq!("1:4".parse::<Pattern>().unwrap().to_string(), "1:4");
    }
}
