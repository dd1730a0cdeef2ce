//! The transforms of tiles and kernels, in vectors of channels.
//!
//! In one dimension, with the matrices of F(2, 3):
//!
//! ```text
//!      [1  0 -1  0]       [ 1    0    0 ]        [1  1  1  0]
//! Bᵀ = [0  1  1  0]   G = [1/2  1/2  1/2]   Aᵀ = [0  1 -1 -1]
//!      [0 -1  1  0]       [1/2 -1/2  1/2]
//!      [0  1  0 -1]       [ 0    0    1 ]
//! ```

use pulp::Simd;

use super::grid::Grid;
use super::panels::Vector;

/// A transform of a tile from a feature map to 16 positions.
pub(super) trait Gather {
    /// Rows and columns of the tile.
    const SIZE: usize;

    /// Returns the number of positions of the map.
    fn area(grid: &Grid) -> usize;

    /// Returns the size (height, width) of the map, and the row and column of its first position
    /// in the area that the tiles cover.
    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]);

    /// Transforms the tile whose elements are `read(row, column)`.
    fn apply<S: Simd, const N: usize>(
        simd: S,
        read: impl Fn(usize, usize) -> Vector<S, N>,
    ) -> [[Vector<S, N>; 4]; 4];
}

/// A transform of 16 positions to a tile of a feature map.
pub(super) trait Emit {
    /// Rows and columns of the tile.
    const SIZE: usize;

    /// Returns the number of positions of the map.
    fn area(grid: &Grid) -> usize;

    /// Returns the size (height, width) of the map, and the row and column of its first position
    /// in the area that the tiles cover.
    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]);

    /// Transforms `products` and calls `add` with the row, the column and the value of each
    /// element of the tile.
    fn apply<S: Simd, const N: usize>(
        simd: S,
        products: [[Vector<S, N>; 4]; 4],
        add: impl FnMut(usize, usize, Vector<S, N>),
    );
}

/// The transform Bᵀ d B of inputs d.
pub(super) struct Input;

/// The transform A dy Aᵀ of the gradients dy of outputs.
pub(super) struct Gradient;

/// The transform Aᵀ m A of products m to outputs.
pub(super) struct Output;

/// The transform B m Bᵀ of products m to the gradients of inputs.
pub(super) struct InputGradient;

/// Adds vectors.
#[inline(always)]
pub(super) fn add<S: Simd, const N: usize>(
    simd: S,
    a: Vector<S, N>,
    b: Vector<S, N>,
) -> Vector<S, N> {
    let mut sum = a;
    for i in 0..N {
        sum[i] = simd.add_f32s(a[i], b[i]);
    }
    sum
}

/// Subtracts vectors.
#[inline(always)]
fn sub<S: Simd, const N: usize>(simd: S, a: Vector<S, N>, b: Vector<S, N>) -> Vector<S, N> {
    let mut difference = a;
    for i in 0..N {
        difference[i] = simd.sub_f32s(a[i], b[i]);
    }
    difference
}

/// Halves vectors.
#[inline(always)]
fn half<S: Simd, const N: usize>(simd: S, mut a: Vector<S, N>) -> Vector<S, N> {
    let half = simd.splat_f32s(0.5);
    for a in &mut a {
        *a = simd.mul_f32s(*a, half);
    }
    a
}

/// Returns the square matrix whose elements are `read(row, column)`.
#[inline(always)]
fn square<T: Copy, const A: usize>(read: impl Fn(usize, usize) -> T) -> [[T; A]; A] {
    let mut matrix = [[read(0, 0); A]; A];
    for (i, row) in matrix.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = read(i, j);
        }
    }
    matrix
}

/// Applies `map` to the columns of a matrix, then to the rows.
#[inline(always)]
fn both<T: Copy, const A: usize, const B: usize>(
    matrix: [[T; A]; A],
    map: impl Fn([T; A]) -> [T; B],
) -> [[T; B]; B] {
    // Loops rather than closures, so that the vector instructions in them are certain to be
    // inlined.
    let mut rows = [[matrix[0][0]; A]; B];
    for j in 0..A {
        let mut column = matrix[0];
        for i in 0..A {
            column[i] = matrix[i][j];
        }
        let mapped = map(column);
        for i in 0..B {
            rows[i][j] = mapped[i];
        }
    }
    let mut mapped = [[matrix[0][0]; B]; B];
    for i in 0..B {
        mapped[i] = map(rows[i]);
    }
    mapped
}

impl Gather for Input {
    const SIZE: usize = 4;

    fn area(grid: &Grid) -> usize {
        grid.input_area()
    }

    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]) {
        (grid.input, grid.before)
    }

    #[inline(always)]
    fn apply<S: Simd, const N: usize>(
        simd: S,
        read: impl Fn(usize, usize) -> Vector<S, N>,
    ) -> [[Vector<S, N>; 4]; 4] {
        both(square(read), |[a, b, c, d]: [Vector<S, N>; 4]| {
            [
                sub(simd, a, c),
                add(simd, b, c),
                sub(simd, c, b),
                sub(simd, b, d),
            ]
        })
    }
}

impl Gather for Gradient {
    const SIZE: usize = 2;

    fn area(grid: &Grid) -> usize {
        grid.output_area()
    }

    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]) {
        (grid.output, [0; 2])
    }

    #[inline(always)]
    fn apply<S: Simd, const N: usize>(
        simd: S,
        read: impl Fn(usize, usize) -> Vector<S, N>,
    ) -> [[Vector<S, N>; 4]; 4] {
        let zero = [simd.splat_f32s(0.0); N];
        both(square(read), |[a, b]: [Vector<S, N>; 2]| {
            [a, add(simd, a, b), sub(simd, a, b), sub(simd, zero, b)]
        })
    }
}

impl Emit for Output {
    const SIZE: usize = 2;

    fn area(grid: &Grid) -> usize {
        grid.output_area()
    }

    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]) {
        (grid.output, [0; 2])
    }

    #[inline(always)]
    fn apply<S: Simd, const N: usize>(
        simd: S,
        products: [[Vector<S, N>; 4]; 4],
        mut add_to: impl FnMut(usize, usize, Vector<S, N>),
    ) {
        let tile = both(products, |[a, b, c, d]: [Vector<S, N>; 4]| {
            [add(simd, add(simd, a, b), c), sub(simd, sub(simd, b, c), d)]
        });
        for (i, row) in tile.into_iter().enumerate() {
            for (j, value) in row.into_iter().enumerate() {
                add_to(i, j, value);
            }
        }
    }
}

impl Emit for InputGradient {
    const SIZE: usize = 4;

    fn area(grid: &Grid) -> usize {
        grid.input_area()
    }

    fn place(grid: &Grid) -> ([usize; 2], [usize; 2]) {
        (grid.input, grid.before)
    }

    #[inline(always)]
    fn apply<S: Simd, const N: usize>(
        simd: S,
        products: [[Vector<S, N>; 4]; 4],
        mut add_to: impl FnMut(usize, usize, Vector<S, N>),
    ) {
        let zero = [simd.splat_f32s(0.0); N];
        let tile = both(products, |[a, b, c, d]: [Vector<S, N>; 4]| {
            [
                a,
                add(simd, sub(simd, b, c), d),
                sub(simd, add(simd, b, c), a),
                sub(simd, zero, d),
            ]
        });
        for (i, row) in tile.into_iter().enumerate() {
            for (j, value) in row.into_iter().enumerate() {
                add_to(i, j, value);
            }
        }
    }
}

/// Transforms kernels g to G g Gᵀ.
#[inline(always)]
pub(super) fn kernel<S: Simd, const N: usize>(
    simd: S,
    g: [[Vector<S, N>; 3]; 3],
) -> [[Vector<S, N>; 4]; 4] {
    both(g, |[a, b, c]: [Vector<S, N>; 3]| {
        let ends = add(simd, a, c);
        [
            a,
            half(simd, add(simd, ends, b)),
            half(simd, sub(simd, ends, b)),
            c,
        ]
    })
}

/// Transforms gradients u of transformed kernels to those of kernels, Gᵀ u G.
#[inline(always)]
pub(super) fn kernel_gradient<S: Simd, const N: usize>(
    simd: S,
    u: [[Vector<S, N>; 4]; 4],
) -> [[Vector<S, N>; 3]; 3] {
    both(u, |[a, b, c, d]: [Vector<S, N>; 4]| {
        let (sum, difference) = (half(simd, add(simd, b, c)), half(simd, sub(simd, b, c)));
        [add(simd, a, sum), difference, add(simd, sum, d)]
    })
}
