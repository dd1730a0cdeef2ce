//! Where the taps of a window read a plane, as runs: along each output row the positions read are
//! evenly spaced, and those that are padding are left out.

use crate::graph::Window;

/// The outputs of one row that a tap reads real positions for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The place of the first in the output plane; the others follow.
    pub(super) output: usize,
    /// The place it reads in the input plane; the others are a stride apart.
    pub(super) input: usize,
    /// How many they are.
    pub(super) length: usize,
}

/// For each tap, row by row of the window, its runs over a plane of `input` (height, width).
pub(super) fn of_taps(window: Window, input: [usize; 2]) -> Vec<Vec<Span>> {
    let [height, width] = window.outputs(input);
    let taps = (0..window.size).flat_map(|i| (0..window.size).map(move |j| (i, j)));
    let of_tap = |(i, j)| {
        let columns = window.reading(1, j, input[1], width);
        if columns.is_empty() {
            return Vec::new();
        }
        let rows = window.reading(0, i, input[0], height);
        rows.map(|y| Span {
            output: y * width + columns.start,
            input: window.position(0, i, y) * input[1] + window.position(1, j, columns.start),
            length: columns.len(),
        })
        .collect()
    };
    taps.map(of_tap).collect()
}
