//! The values of a batch as runs: for each sample, for each unit, as many values as its map has
//! positions; one for a unit of a dense layer.

use candle_core::Shape;

/// How the values of a batch lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitLayout {
    /// Units of a layer, channels of a map.
    pub(super) units: usize,
    /// Values of each, for one sample.
    pub(super) area: usize,
}

/// Partial sums of a run, so that the processor adds several values at once.
const LANES: usize = 16;

impl UnitLayout {
    /// Those of a batch of `shape`, (batch, units, …).
    pub(super) fn of(shape: &Shape) -> Self {
        let units = shape.dims()[1];
        let area = shape.dims()[2..].iter().product();
        Self { units, area }
    }

    /// The sum of `term(x, y, constant)` over the values of each unit, which has one constant.
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

    /// The sum of the values of each unit.
    pub(super) fn totals(self, x: &[f32]) -> Vec<f32> {
        self.sums(x, x, &vec![0.0; self.units], |x, _, _| x)
    }

    /// `term(x, y, constants)` of every value; each unit has one of each of three constants.
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

    /// The values of each unit in `x`.
    pub(super) fn count(self, x: &[f32]) -> f32 {
        (x.len() / self.units) as f32
    }
}
