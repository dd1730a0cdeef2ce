//! Where the taps of a channel go: quads, pairs and single ones, as the convolution kernels make them.
//!
//! The kernel for cores with the DSP extension (`runtime/src/kernels/cortex_m/v7em/quads.rs`) makes
//! quads of three or four taps at neighbouring offsets; the others become pairs in the order in which
//! it leaves them. This repeats its decisions, so that a cost model counts what it does.

/// Where the source of a convolution lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// Height and width of the kernel.
    pub(super) size: usize,
    /// From one row of the source to the next.
    pub(super) row: usize,
    /// From one channel of the source to the next.
    pub(super) plane: usize,
}

/// The taps of a channel as they are multiplied, and the work of placing them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// The first offset of each quad.
    pub(super) quads: Vec<usize>,
    /// The offsets of the taps in no quad, in the order in which they become pairs.
    pub(super) singles: Vec<usize>,
    /// Rows of the kernel that the walk passed.
    pub(super) rows: usize,
    /// Groups of taps that it closed.
    pub(super) groups: usize,
}

impl Placed {
    /// Places the taps at `columns`, which rise, without looking for quads.
    pub(super) fn loose(columns: &[u16], source: Source) -> Self {
        let offset = |&column: &u16| {
            let (row, tap) = (
                usize::from(column) / source.size,
                usize::from(column) % source.size,
            );
            row / source.size * source.plane + row % source.size * source.row + tap
        };
        Self {
            singles: columns.iter().map(offset).collect(),
            rows: columns
                .last()
                .map_or(0, |&last| usize::from(last) / source.size),
            ..Self::default()
        }
    }

    /// Places the taps at `columns`, which rise, and makes quads of some.
    pub(super) fn grouped(columns: &[u16], source: Source) -> Self {
        let offsets = Self::loose(columns, source).singles;
        let mut placed = Self::default();
        // The first tap of the group, the column before which it ends, the kernel's row in which the
        // walk is.
        let (mut group, mut next, mut row) = (0, 0, 0);
        for (place, &column) in columns.iter().enumerate() {
            let column = usize::from(column);
            if column < next {
                continue;
            }
            let at = column / source.size;
            placed.rows += at - row;
            row = at;
            placed.close(&offsets[group..place], source, row);
            group = place;
            next = (column + 4).min((row + 1) * source.size);
        }
        placed.close(&offsets[group..], source, row);
        placed
    }

    /// Ends a group of taps at the walk's `row`: they become a quad, or stay as they are.
    fn close(&mut self, group: &[usize], source: Source, row: usize) {
        if group.is_empty() {
            return;
        }
        self.groups += 1;
        // The last offset of the row: a quad must not read beyond it.
        let last =
            row / source.size * source.plane + row % source.size * source.row + source.size - 1;
        let near = group[group.len() - 1] - group[0] < 4;
        if group.len() >= 3 && near && group[0] + 3 <= last {
            self.quads.push(group[0]);
            // The first three of the other taps make room.
            if self.singles.len() >= 3 {
                self.singles.rotate_left(3);
            }
        } else {
            self.singles.extend(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source {
        size: 3,
        row: 10,
        plane: 100,
    };

    #[test]
    fn offsets_are_those_of_the_window() {
        let placed = Placed::loose(&[0, 4, 8, 9, 17], SOURCE);
        assert_eq!(placed.singles, [0, 11, 22, 100, 122]);
        assert_eq!((placed.rows, placed.groups), (5, 0));
    }

    #[test]
    fn full_rows_become_quads_but_for_the_last() {
        let placed = Placed::grouped(&(0..18).collect::<Vec<u16>>(), SOURCE);
        // A quad of the last row would read beyond what the kernel may.
        assert_eq!(placed.quads, [0, 10, 20, 100, 110]);
        assert_eq!(placed.singles, [120, 121, 122]);
        assert_eq!((placed.rows, placed.groups), (5, 6));
    }

    #[test]
    fn rows_of_two_taps_become_pairs() {
        let placed = Placed::grouped(&[0, 2, 3, 4, 6, 7, 8, 9], SOURCE);
        assert_eq!(placed.quads, [20]);
        // Three of the four before it have gone behind the other one.
        assert_eq!(placed.singles, [11, 0, 2, 10, 100]);
    }
}
