//! What encodings share: the dimensions of a layer, and reading weights row by row.

/// The dimensions of a layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimensions {
    /// The number of columns: the column of every weight is below it.
    pub(crate) inputs: usize,
    /// The number of rows.
    pub(crate) outputs: usize,
}

/// Weights that can be read row by row, whatever their encoding.
///
/// The engine's convolutions, and the writer when it copies a parsed model, read weights through
/// this trait.
pub trait Rows {
    /// Reads the next row: calls `visit` with the column and value of each weight, and returns the
    /// row's bias. Returns `None` after the last row.
    fn next_row(&mut self, visit: impl FnMut(u16, i16)) -> Option<i32>;
}

/// Counts the weights of the remaining rows that are not 0.
pub(crate) fn count_nonzeros(mut rows: impl Rows) -> usize {
    let mut count = 0;
    while rows
        .next_row(|_, weight| count += usize::from(weight != 0))
        .is_some()
    {}
    count
}
