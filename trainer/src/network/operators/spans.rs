//! The positions that the taps of a window read in a channel, as evenly spaced spans per output
//! row. Padding is left out.

use crate::graph::Window;

/// The outputs of one row for which a tap reads positions that are not padding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Index, within its channel, of the first output of the span; the others follow
    /// consecutively.
    pub(super) output: usize,
    /// Index, within its channel, of the position that the first output reads; those of the
    /// others follow a stride of the width apart.
    pub(super) input: usize,
    /// Number of outputs.
    pub(super) length: usize,
}

/// Returns the spans of each tap, row by row of the window, over a channel of `input` (height,
/// width).
pub(super) fn of_taps(window: Window, input: [usize; 2]) -> Vec<Vec<Span>> {
    let [height, width] = window.outputs(input);
    let of_tap = |tap| {
        let [i, j] = window.place(tap);
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
    (0..window.taps()).map(of_tap).collect()
}
