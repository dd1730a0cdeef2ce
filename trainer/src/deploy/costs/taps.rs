//! Groups the taps of an output channel into quads, pairs and single taps, as the convolution
//! kernels do.
//!
//! The kernel for cores with the DSP extension (`runtime/src/kernels/cortex_m/v7em/quads.rs`)
//! makes quads of three or four taps within four adjacent offsets. The other taps become pairs, in
//! the order in which quad formation leaves them. This module repeats the kernel's decisions, so
//! that the cost model counts exactly what the kernel executes.

/// The memory layout of a convolution's source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// The height and width of the window.
    pub(super) size: [usize; 2],
    /// Bytes from one row of the source to the next.
    pub(super) row: usize,
    /// Bytes from one channel of the source to the next.
    pub(super) plane: usize,
}

/// The taps of a channel, grouped as they are multiplied, and the steps that grouping them took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// The first offset of each quad.
    pub(super) quads: Vec<usize>,
    /// The offsets of the taps outside quads, in the order in which they become pairs.
    pub(super) singles: Vec<usize>,
    /// The number of times that the pass over the taps advanced to the next row of a window.
    pub(super) rows: usize,
    /// The number of groups of taps that the pass completed.
    pub(super) groups: usize,
}

impl Source {
    /// Returns the offset of the first tap of a row of the window, counted over all channels.
    fn start(&self, row: usize) -> usize {
        row / self.size[0] * self.plane + row % self.size[0] * self.row
    }
}

impl Placed {
    /// Places the taps at `columns` (ascending) without forming quads.
    pub(super) fn loose(columns: &[u16], source: Source) -> Self {
        let offset = |&column: &u16| {
            let column = usize::from(column);
            source.start(column / source.size[1]) + column % source.size[1]
        };
        Self {
            singles: columns.iter().map(offset).collect(),
            rows: columns
                .last()
                .map_or(0, |&last| usize::from(last) / source.size[1]),
            ..Self::default()
        }
    }

    /// Places the taps at `columns` (ascending), forming quads where possible.
    pub(super) fn grouped(columns: &[u16], source: Source) -> Self {
        let offsets = Self::loose(columns, source).singles;
        let mut placed = Self::default();
        // The first tap of the group, the first column beyond the group, and the current row of the
        // window.
        let (mut group, mut next, mut row) = (0, 0, 0);
        for (place, &column) in columns.iter().enumerate() {
            let column = usize::from(column);
            if column < next {
                continue;
            }
            let at = column / source.size[1];
            placed.rows += at - row;
            row = at;
            placed.close(&offsets[group..place], source, row);
            group = place;
            next = (column + 4).min((row + 1) * source.size[1]);
        }
        placed.close(&offsets[group..], source, row);
        placed
    }

    /// Completes a group of taps: they become a quad or remain single. `row` is the row of the
    /// window that the pass has reached: that of the next group, or that of the last group itself.
    fn close(&mut self, group: &[usize], source: Source, row: usize) {
        if group.is_empty() {
            return;
        }
        self.groups += 1;
        // The last offset of that row, beyond which a quad must not read.
        let last = source.start(row) + source.size[1] - 1;
        let near = group[group.len() - 1] - group[0] < 4;
        if group.len() >= 3 && near && group[0] + 3 <= last {
            self.quads.push(group[0]);
            // Making room for the quad moves the first three of the other taps to the end.
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
        size: [3; 2],
        row: 10,
        plane: 100,
    };

    #[test]
    fn offsets_follow_the_layout_of_the_source() {
        let placed = Placed::loose(&[0, 4, 8, 9, 17], SOURCE);
        assert_eq!(placed.singles, [0, 11, 22, 100, 122]);
        assert_eq!((placed.rows, placed.groups), (5, 0));
    }

    #[test]
    fn offsets_of_a_rectangular_window_follow_its_rows() {
        let source = |size| Source { size, ..SOURCE };
        // A row of one tap ends at each column, and a channel after three rows.
        let placed = Placed::loose(&[0, 1, 2, 3, 8], source([3, 1]));
        assert_eq!(placed.singles, [0, 10, 20, 100, 220]);
        assert_eq!(placed.rows, 8);
        // Only rows of three or more taps have quads.
        let placed = Placed::grouped(&(0..16).collect::<Vec<u16>>(), source([2, 4]));
        assert_eq!(placed.quads, [0, 10, 100, 110]);
        assert_eq!((placed.singles.len(), placed.rows), (0, 3));
        assert_eq!(Placed::grouped(&[0, 1, 2, 3], source([2, 2])).quads, [0; 0]);
    }

    #[test]
    fn full_rows_become_quads_except_the_last() {
        let placed = Placed::grouped(&(0..18).collect::<Vec<u16>>(), SOURCE);
        // A quad in the last row would read beyond the window.
        assert_eq!(placed.quads, [0, 10, 20, 100, 110]);
        assert_eq!(placed.singles, [120, 121, 122]);
        assert_eq!((placed.rows, placed.groups), (5, 6));
    }

    #[test]
    fn adjacent_taps_become_quads_and_others_pairs() {
        let placed = Placed::grouped(&[0, 2, 3, 4, 6, 7, 8, 9], SOURCE);
        assert_eq!(placed.quads, [20]);
        // Forming the quad moved three of the four single taps before it to the end.
        assert_eq!(placed.singles, [11, 0, 2, 10, 100]);
    }
}
