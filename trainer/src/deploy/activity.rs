//! Measures how often activations are nonzero, which determines the cost of encodings that skip
//! zeros.
//!
//! Values are the inputs that a layer reads, in order. Values 2k and 2k + 1 form a pair; if the
//! number of values is odd, the last one forms a pair by itself.

/// The maximum number of images whose individual values are recorded.
const SAMPLES: usize = 32;

/// How often each value is nonzero, as a fraction of the images.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Per value, the fraction of images in which it is nonzero.
    pub values: Vec<f64>,
    /// Per pair, the fraction of images in which at least one of its values is nonzero.
    pub pairs: Vec<f64>,
    /// For some evenly spaced images, whether each value is nonzero. A kernel that tests several
    /// neighbouring values at once skips them only if all are 0.
    pub samples: Vec<Vec<bool>>,
}

impl Activity {
    /// Measures the activity of `values` values over `images` images; `active(image, value)` tells
    /// whether a value is nonzero.
    pub fn measure(values: usize, images: usize, active: impl Fn(usize, usize) -> bool) -> Self {
        let share = |active: &dyn Fn(usize) -> bool| {
            let count = (0..images).filter(|&image| active(image)).count();
            count as f64 / images.max(1) as f64
        };
        let of_value = |value| share(&|image| active(image, value));
        let of_pair = |first| {
            let partner = |image| first + 1 < values && active(image, first + 1);
            share(&|image| active(image, first) || partner(image))
        };
        Self {
            values: (0..values).map(of_value).collect(),
            pairs: (0..values).step_by(2).map(of_pair).collect(),
            samples: spaced(images, SAMPLES)
                .map(|image| (0..values).map(|value| active(image, value)).collect())
                .collect(),
        }
    }

    /// Returns the activity of `values` values that are never 0.
    #[must_use]
    pub fn full(values: usize) -> Self {
        Self {
            values: vec![1.0; values],
            pairs: vec![1.0; values.div_ceil(2)],
            samples: vec![vec![true; values]],
        }
    }

    /// Returns the mean fraction of values that are nonzero.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }

    /// Returns at most `count` of the recorded images, evenly spaced.
    #[must_use]
    pub fn samples(&self, count: usize) -> Vec<&[bool]> {
        spaced(self.samples.len(), count)
            .map(|sample| &self.samples[sample][..])
            .collect()
    }
}

/// Returns at most `count` of the numbers below `all`, evenly spaced.
fn spaced(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = all.min(count);
    (0..count).map(move |place| place * all / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_active_where_one_of_them_is() {
        let images = [[1, 0, 0, 0, 7], [0, 2, 0, 0, 0], [3, 4, 0, 0, 0], [0; 5]];
        let found = Activity::measure(5, 4, |image, value| images[image][value] != 0);
        assert_eq!(found.values, [0.5, 0.5, 0.0, 0.0, 0.25]);
        assert_eq!(found.pairs, [0.75, 0.0, 0.25]);
        let all = Activity::measure(5, 4, |_, _| true);
        assert_eq!(all.samples.len(), 4);
        let all = Activity {
            samples: all.samples(1).into_iter().map(<[bool]>::to_vec).collect(),
            ..all
        };
        assert_eq!(all, Activity::full(5));
        assert_eq!(found.samples[2], [true, true, false, false, false]);
    }
}
