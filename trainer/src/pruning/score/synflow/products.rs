//! The innermost loops of SynFlow: products of connections and columns of values.
//!
//! Sums of places are computed side by side, in arrays that the compiler turns into vectors. Every
//! sum adds the same terms in the same order whatever the processor, so scores have the same bits
//! everywhere.

#![expect(
    clippy::needless_range_loop,
    reason = "the functions of iterators are not always inlined into vectorised loops"
)]

use std::ops::Range;

use crate::pruning::score::rounds::Remaining;

/// The columns of some input channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<'a> {
    /// One column after another, each of `width` values.
    pub(super) columns: &'a [f64],
    /// Length of a column: 1, 4 or a multiple of 8.
    pub(super) width: usize,
    /// The flat index of the first weight from the first of these channels to the first output of
    /// the group.
    pub(super) first: u32,
    /// The number of columns.
    pub(super) count: u32,
    /// The number of columns of all input channels of the group.
    pub(super) all: u32,
}

impl Tile<'_> {
    /// Takes the connections of this tile to `output` from `elements`, in which they start at
    /// `cursor`, and moves `cursor` past them. Returns their range, and the flat index of the
    /// weight of the first column.
    #[inline(always)]
    fn take(&self, output: usize, cursor: &mut usize, elements: &[u32]) -> (Range<usize>, u32) {
        let first = output as u32 * self.all + self.first;
        let end = first + self.count;
        let start = *cursor;
        let most = elements.len().min(start + self.count as usize);
        let mut at = start;
        // Whole runs first, of which only the last element is read.
        for run in [256, 32] {
            while at + run <= most && elements[at + run - 1] < end {
                at += run;
            }
        }
        while at < most && elements[at] < end {
            at += 1;
        }
        *cursor = at;
        (start..at, first)
    }
}

/// The forward products of one tile.
pub(super) struct Forward<'a> {
    pub(super) tile: Tile<'a>,
    pub(super) connections: &'a Remaining,
    /// Per output, the first connection that is still to come.
    pub(super) cursors: &'a mut [usize],
    /// The sums at the outputs, which the products are added to.
    pub(super) sums: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.tile.width {
            1 => self.run::<1>(),
            4 => self.run::<4>(),
            width if width.is_multiple_of(32) => self.run::<32>(),
            width if width.is_multiple_of(16) => self.run::<16>(),
            _ => self.run::<8>(),
        }
    }
}

impl Forward<'_> {
    /// Adds the products for blocks of `N` places, whose sums stay in registers.
    #[inline(always)]
    fn run<const N: usize>(self) {
        let Tile { columns, width, .. } = self.tile;
        for output in 0..self.cursors.len() {
            let cursor = &mut self.cursors[output];
            let (part, first) = self.tile.take(output, cursor, &self.connections.elements);
            let elements = &self.connections.elements[part.clone()];
            let magnitudes = &self.connections.magnitudes[part];
            let sums = &mut self.sums[output * width..(output + 1) * width];
            let (blocks, _) = sums.as_chunks_mut::<N>();
            for block in 0..blocks.len() {
                let mut total = blocks[block];
                for at in 0..elements.len().min(magnitudes.len()) {
                    let start = (elements[at] - first) as usize * width + block * N;
                    let column = &columns[start..start + N];
                    for lane in 0..N {
                        total[lane] += magnitudes[at] * column[lane];
                    }
                }
                blocks[block] = total;
            }
        }
    }
}

/// The backward products of one tile.
pub(super) struct Backward<'a> {
    pub(super) tile: Tile<'a>,
    /// The connections, whose scores are set.
    pub(super) connections: &'a mut Remaining,
    /// Per output, the first connection that is still to come.
    pub(super) cursors: &'a mut [usize],
    /// The sums at the outputs.
    pub(super) sums: &'a [f64],
    /// The gradients of the columns, which the products are added to.
    pub(super) gradients: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.tile.width {
            1 => self.run::<1>(),
            4 => self.run::<4>(),
            _ => self.run::<8>(),
        }
    }
}

/// The number of connections whose scores are added up together.
const TOGETHER: usize = 4;

impl Backward<'_> {
    /// Adds the products, for blocks of `N` places, and sets the scores of the connections.
    #[inline(always)]
    fn run<const N: usize>(self) {
        let Tile { columns, width, .. } = self.tile;
        let Remaining {
            elements,
            magnitudes,
            scores,
            ..
        } = self.connections;
        for output in 0..self.cursors.len() {
            let cursor = &mut self.cursors[output];
            let (part, first) = self.tile.take(output, cursor, elements);
            let (elements, magnitudes) = (&elements[part.clone()], &magnitudes[part.clone()]);
            let scores = &mut scores[part];
            let mut row = Row {
                first,
                columns,
                gradients: &mut *self.gradients,
                sums: &self.sums[output * width..(output + 1) * width],
            };
            // An assignment, because the function that copies slices is not inlined here.
            let (together, _) = scores.as_chunks_mut::<TOGETHER>();
            for group in 0..together.len() {
                let mut through = [[0.0; N]; TOGETHER];
                for k in 0..TOGETHER {
                    let at = group * TOGETHER + k;
                    through[k] = row.extend(elements[at], magnitudes[at]);
                }
                let mut totals = [0.0; TOGETHER];
                for lane in 0..N {
                    for k in 0..TOGETHER {
                        totals[k] += through[k][lane];
                    }
                }
                together[group] = totals;
            }
            for at in scores.len() / TOGETHER * TOGETHER..scores.len() {
                let through: [f64; N] = row.extend(elements[at], magnitudes[at]);
                let mut total = 0.0;
                for lane in 0..N {
                    total += through[lane];
                }
                scores[at] = total;
            }
        }
    }
}

/// The connections of a tile to one output.
struct Row<'a> {
    /// The flat index of the weight of the first column.
    first: u32,
    columns: &'a [f64],
    /// The gradients of the columns.
    gradients: &'a mut [f64],
    /// The sums at the output.
    sums: &'a [f64],
}

impl Row<'_> {
    /// Adds the paths through the connection `element`, of the given `magnitude`, to the gradients
    /// of its column. Returns the sums over the paths through it, added up over blocks of `N`
    /// places.
    #[inline(always)]
    fn extend<const N: usize>(&mut self, element: u32, magnitude: f64) -> [f64; N] {
        let width = self.sums.len();
        let start = (element - self.first) as usize * width;
        let (columns, _) = self.columns[start..start + width].as_chunks::<N>();
        let (gradients, _) = self.gradients[start..start + width].as_chunks_mut::<N>();
        let (sums, _) = self.sums.as_chunks::<N>();
        let mut through = [0.0; N];
        for block in 0..columns.len().min(gradients.len()).min(sums.len()) {
            let mut gradient = gradients[block];
            for lane in 0..N {
                let onward = magnitude * sums[block][lane];
                gradient[lane] += onward;
                through[lane] += columns[block][lane] * onward;
            }
            gradients[block] = gradient;
        }
        through
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The number of columns and of outputs.
    const SHAPE: [usize; 2] = [301, 5];

    /// Returns connections of random magnitudes: all of output 0, none of output 1, some of the
    /// others.
    fn connections(random: &mut Random) -> Remaining {
        let [inputs, outputs] = SHAPE;
        let (mut elements, mut ends) = (Vec::new(), Vec::new());
        for output in 0..outputs {
            let share = [1.0, 0.0, 0.5, 0.9, 0.03][output];
            let row = output * inputs..(output + 1) * inputs;
            elements.extend(row.filter(|_| random.unit() < share).map(|at| at as u32));
            ends.push(elements.len());
        }
        Remaining {
            magnitudes: elements.iter().map(|_| random.unit()).collect(),
            scores: vec![f64::NAN; elements.len()],
            elements,
            ends,
        }
    }

    /// Returns the sum of `terms` over places that the module documents: those of every `lanes`-th
    /// place first.
    fn in_lanes(terms: &[f64], lanes: usize) -> f64 {
        let lane = |lane: usize| {
            let terms = terms.iter().skip(lane).step_by(lanes);
            terms.fold(0.0, |sum, term| sum + term)
        };
        (0..lanes).map(lane).fold(0.0, |sum, lane| sum + lane)
    }

    #[test]
    fn sums_have_the_bits_of_plain_loops() {
        let mut random = Random::new(4);
        let [inputs, outputs] = SHAPE;
        for width in [1, 4, 8, 16, 24, 32, 56, 64] {
            let mut found = connections(&mut random);
            let mut draw =
                |length: usize| -> Vec<f64> { (0..length).map(|_| random.unit()).collect() };
            let columns = draw(inputs * width);
            let (mut after, back) = (draw(outputs * width), draw(outputs * width));
            let mut before = draw(inputs * width);
            let (mut expected, mut expected_before) = (after.clone(), before.clone());
            let mut scores = Vec::new();
            for (&element, magnitude) in found.elements.iter().zip(&found.magnitudes) {
                let (output, input) = (element as usize / inputs, element as usize % inputs);
                let (to, from) = (output * width, input * width);
                let mut through = Vec::new();
                for place in 0..width {
                    expected[to + place] += magnitude * columns[from + place];
                    let onward = magnitude * back[to + place];
                    expected_before[from + place] += onward;
                    through.push(columns[from + place] * onward);
                }
                scores.push(in_lanes(&through, width.min(8)));
            }
            let starts: Vec<usize> = [0].iter().chain(&found.ends).copied().collect();
            let mut cursors = [starts[..outputs].to_vec(), starts[..outputs].to_vec()];
            // Tiles of unequal sizes.
            for tile in [0..120, 120..121, 121..inputs] {
                let values = tile.start * width..tile.end * width;
                let part = Tile {
                    columns: &columns[values.clone()],
                    width,
                    first: tile.start as u32,
                    count: tile.len() as u32,
                    all: inputs as u32,
                };
                pulp::Arch::new().dispatch(Forward {
                    tile: part,
                    connections: &found,
                    cursors: &mut cursors[0],
                    sums: &mut after,
                });
                pulp::Arch::new().dispatch(Backward {
                    tile: part,
                    connections: &mut found,
                    cursors: &mut cursors[1],
                    sums: &back,
                    gradients: &mut before[values],
                });
            }
            assert_eq!(after, expected, "{width}");
            assert_eq!(before, expected_before, "{width}");
            assert_eq!(found.scores, scores, "{width}");
            assert_eq!(cursors, [found.ends.clone(), found.ends.clone()]);
        }
    }
}
