//! Builds sparse matrices and selects parts of them.

use sprs::CsMat;

/// Returns a CSR matrix of `columns` columns. Each row is given as (column, value) pairs, sorted
/// by column.
pub(super) fn from_rows<T>(
    columns: usize,
    rows: impl Iterator<Item = Vec<(usize, T)>>,
) -> CsMat<T> {
    let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
    for row in rows {
        for (column, value) in row {
            indices.push(column);
            values.push(value);
        }
        starts.push(indices.len());
    }
    CsMat::new((starts.len() - 1, columns), starts, indices, values)
}

/// Returns `matrix` with only the elements for which `keep(row, column)` is true.
pub(super) fn retain(matrix: &CsMat<f32>, keep: impl Fn(usize, usize) -> bool) -> CsMat<f32> {
    let rows = matrix.outer_iterator().enumerate().map(|(row, values)| {
        let kept = values.iter().filter(|&(column, _)| keep(row, column));
        kept.map(|(column, &value)| (column, value)).collect()
    });
    from_rows(matrix.cols(), rows)
}

/// Returns the submatrix of the given `rows` and `columns`, in the order given.
pub(super) fn select(matrix: &CsMat<f32>, rows: &[usize], columns: &[usize]) -> CsMat<f32> {
    let mut places = vec![None; matrix.cols()];
    for (place, &column) in columns.iter().enumerate() {
        places[column] = Some(place);
    }
    let selected = rows.iter().map(|&row| {
        let values = matrix.outer_view(row).expect("a row of the matrix");
        let mut selected: Vec<(usize, f32)> = values
            .iter()
            .filter_map(|(column, &value)| Some((places[column]?, value)))
            .collect();
        selected.sort_unstable_by_key(|&(column, _)| column);
        selected
    });
    from_rows(columns.len(), selected)
}

/// Returns the element indices of the blocks `order`, each of `size` elements.
pub(super) fn blocks(order: &[usize], size: usize) -> Vec<usize> {
    let elements = |&block: &usize| block * size..(block + 1) * size;
    order.iter().flat_map(elements).collect()
}
