//! Sums and maps over the values of each unit of a batch.
//!
//! A batch stores, sample after sample and unit after unit, one value per position of the unit's
//! map; a unit of a dense layer has one position.

use candle_core::Shape;

/// The layout of the values of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitLayout {
    /// Units of a dense layer or channels of a feature map.
    pub(super) units: usize,
    /// Values per unit and sample.
    pub(super) area: usize,
}

/// Number of partial sums per unit, which let the compiler vectorise the addition.
const LANES: usize = 16;

impl UnitLayout {
    /// Returns the layout of a batch of `shape` (batch, units, …).
    pub(super) fn of(shape: &Shape) -> Self {
        let units = shape.dims()[1];
        let area = shape.dims()[2..].iter().product();
        Self { units, area }
    }

    /// Returns, per unit, the sum of `term(x, y, constant)` over its values, with one constant per
    /// unit.
    pub(super) fn sums(
        self,
        x: &[f32],
        y: &[f32],
        constants: &[f32],
        term: impl Fn(f32, f32, f32) -> f32,
    ) -> Vec<f32> {
        let Self { units, area } = self;
        let mut sums = vec![0.0_f32; units];
        for (x, y) in x
            .chunks_exact(units * area)
            .zip(y.chunks_exact(units * area))
        {
            let values = sums.iter_mut().zip(constants);
            if area == 1 {
                for (((sum, &constant), &x), &y) in values.zip(x).zip(y) {
                    *sum += term(x, y, constant);
                }
                continue;
            }
            let runs = x.chunks_exact(area).zip(y.chunks_exact(area));
            for ((sum, &constant), (x, y)) in values.zip(runs) {
                let mut lanes = [0.0_f32; LANES];
                let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
                for (&x, &y) in xs.remainder().iter().zip(ys.remainder()) {
                    *sum += term(x, y, constant);
                }
                for (x, y) in xs.zip(ys) {
                    for lane in 0..LANES {
                        lanes[lane] += term(x[lane], y[lane], constant);
                    }
                }
                *sum += lanes.iter().sum::<f32>();
            }
        }
        sums
    }

    /// Returns the sum of the values of each unit.
    pub(super) fn totals(self, x: &[f32]) -> Vec<f32> {
        self.sums(x, x, &vec![0.0; self.units], |x, _, _| x)
    }

    /// Returns `term(x, y, constants)` of every value, with three constants per unit.
    pub(super) fn map(
        self,
        x: &[f32],
        y: &[f32],
        [a, b, c]: [&[f32]; 3],
        term: impl Fn(f32, f32, [f32; 3]) -> f32,
    ) -> Vec<f32> {
        let sample = self.units * self.area;
        let mut values = Vec::with_capacity(x.len());
        for (x, y) in x.chunks_exact(sample).zip(y.chunks_exact(sample)) {
            let constants = a.iter().zip(b).zip(c).map(|((&a, &b), &c)| [a, b, c]);
            if self.area == 1 {
                let pairs = x.iter().zip(y).zip(constants);
                values.extend(pairs.map(|((&x, &y), constants)| term(x, y, constants)));
                continue;
            }
            let runs = x.chunks_exact(self.area).zip(y.chunks_exact(self.area));
            for ((x, y), constants) in runs.zip(constants) {
                let pairs = x.iter().zip(y);
                values.extend(pairs.map(|(&x, &y)| term(x, y, constants)));
            }
        }
        values
    }

    /// Returns the number of values per unit in `x`.
    pub(super) fn count(self, x: &[f32]) -> f32 {
        (x.len() / self.units) as f32
    }
}
