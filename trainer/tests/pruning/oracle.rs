//! The definitions, written naively: what the sweeps of the trainer must reproduce.
//!
//! Nothing here calls the trainer's pruning. Masks are plain `bool`s per layer, in (out, in).
//! Counts are exact: wherever a quota comes so close to a half that floating point could fall on
//! either side, whole numbers decide, so that tests need no tolerance.

/// One mask or one score per layer, each in (out, in).
pub(crate) type PerLayer<T> = Vec<Vec<T>>;

/// The weights of the layers of a network with units `widths`, the input first.
pub(crate) fn sizes(widths: &[usize]) -> Vec<usize> {
    widths.windows(2).map(|pair| pair[0] * pair[1]).collect()
}

pub(crate) fn count(masks: &[Vec<bool>]) -> usize {
    masks.iter().flatten().filter(|&&keep| keep).count()
}

/// The active weights: unmasked, reached from an input, and reaching an output.
pub(crate) fn effective(widths: &[usize], masks: &[Vec<bool>]) -> PerLayer<bool> {
    let layers = masks.len();
    let mut reached = vec![vec![true; widths[0]]];
    for layer in 0..layers {
        let (inputs, outputs) = (widths[layer], widths[layer + 1]);
        let live = (0..outputs)
            .map(|o| (0..inputs).any(|i| masks[layer][o * inputs + i] && reached[layer][i]))
            .collect();
        reached.push(live);
    }
    let mut reaching = vec![vec![true; widths[layers]]];
    for layer in (0..layers).rev() {
        let (inputs, outputs) = (widths[layer], widths[layer + 1]);
        let after = &reaching[0];
        let live = (0..inputs)
            .map(|i| (0..outputs).any(|o| masks[layer][o * inputs + i] && after[o]))
            .collect();
        reaching.insert(0, live);
    }
    (0..layers)
        .map(|layer| {
            let inputs = widths[layer];
            let active = |(at, &keep): (usize, &bool)| {
                keep && reached[layer][at % inputs] && reaching[layer + 1][at / inputs]
            };
            masks[layer].iter().enumerate().map(active).collect()
        })
        .collect()
}

/// How the layers share what is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Global,
    Uniform,
    Igq,
}

/// The family of masks of one pruner, by the number `k` of weights to remove.
pub(crate) struct Family {
    widths: Vec<usize>,
    sharing: Sharing,
    /// (layer, element) in the order of removal: the lowest score first and, at equal scores, the
    /// highest flat index first.
    removal: Vec<(usize, usize)>,
}

impl Family {
    pub(crate) fn new(widths: &[usize], sharing: Sharing, scores: &[Vec<f64>]) -> Self {
        let mut removal: Vec<(usize, usize)> = scores
            .iter()
            .enumerate()
            .flat_map(|(layer, scores)| (0..scores.len()).map(move |element| (layer, element)))
            .collect();
        removal.reverse();
        // A stable sort keeps the reversed flat order among equals.
        removal.sort_by(|a, b| scores[a.0][a.1].partial_cmp(&scores[b.0][b.1]).unwrap());
        Self {
            widths: widths.to_vec(),
            sharing,
            removal,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.removal.len()
    }

    /// How many weights each layer loses when `k` of all are to go.
    pub(crate) fn removed(&self, k: usize) -> Vec<usize> {
        let sizes = sizes(&self.widths);
        match self.sharing {
            Sharing::Global => (0..sizes.len())
                .map(|layer| self.removal[..k].iter().filter(|at| at.0 == layer).count())
                .collect(),
            Sharing::Uniform => sizes
                .iter()
                .map(|&size| half_to_even(k * size, self.total()))
                .collect(),
            Sharing::Igq => igq_removed(&sizes, k),
        }
    }

    /// The mask without `k` weights.
    pub(crate) fn mask(&self, k: usize) -> PerLayer<bool> {
        let mut left = self.removed(k);
        let mut mask: PerLayer<bool> = sizes(&self.widths).iter().map(|&n| vec![true; n]).collect();
        for &(layer, element) in &self.removal {
            if left[layer] > 0 {
                left[layer] -= 1;
                mask[layer][element] = false;
            }
        }
        mask
    }

    /// The largest `k` whose mask has effective sparsity at most `1 - 1 / compression`.
    pub(crate) fn search(&self, compression: f64) -> usize {
        let total = self.total() as f64;
        let wanted = (total / compression - 1e-9 * total).ceil() as usize;
        let (mut low, mut high) = (0, self.total());
        while high - low > 1 {
            let middle = (low + high) / 2;
            if count(&effective(&self.widths, &self.mask(middle))) >= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// `numerator / denominator`, rounded half to even, in whole numbers.
fn half_to_even(numerator: usize, denominator: usize) -> usize {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

/// Ideal gas: a layer of n weights keeps n / (F n + 1), where F makes the layers keep N - k in all.
fn igq_removed(sizes: &[usize], k: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    if k == 0 {
        return vec![0; sizes.len()];
    }
    if k == total {
        return sizes.to_vec();
    }
    let kept = |force: f64, size: usize| size as f64 / (force * size as f64 + 1.0);
    let (mut low, mut high) = (-100.0_f64, 100.0_f64);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        let sum: f64 = sizes.iter().map(|&n| kept(middle.exp(), n)).sum();
        if sum > (total - k) as f64 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let force = low.exp();
    sizes
        .iter()
        .map(|&size| {
            let removed = size as f64 - kept(force, size);
            let floor = removed.floor();
            if (removed - floor - 0.5).abs() > 1e-6 {
                return removed.round() as usize;
            }
            // At the force where this layer loses exactly a half more than `floor`, do all layers
            // together keep more than N - k? Then F is higher still, and the layer loses more.
            let floor = floor as usize;
            match igq_kept_at_half(sizes, size, floor).cmp(&(total - k)) {
                std::cmp::Ordering::Greater => floor + 1,
                std::cmp::Ordering::Less => floor,
                std::cmp::Ordering::Equal => floor + floor % 2,
            }
        })
        .collect()
}

/// A sum of fractions, as a whole part and a proper fraction.
struct Exact {
    whole: u128,
    rest: (u128, u128),
}

impl Exact {
    fn cmp(&self, whole: &usize) -> std::cmp::Ordering {
        match self.whole.cmp(&(*whole as u128)) {
            std::cmp::Ordering::Equal if self.rest.0 > 0 => std::cmp::Ordering::Greater,
            order => order,
        }
    }
}

/// What all layers keep at the force that takes `removed + 1/2` from a layer of `size`. With h the
/// doubled number that layer keeps, F = 2/h - 1/n, and a layer of m keeps
/// m / (F m + 1) = h n m / (2 n m + h n - h m).
fn igq_kept_at_half(sizes: &[usize], size: usize, removed: usize) -> Exact {
    let (n, h) = (size as u128, (2 * (size - removed) - 1) as u128);
    let mut sum = Exact {
        whole: 0,
        rest: (0, 1),
    };
    for &other in sizes {
        let m = other as u128;
        let (top, bottom) = (h * n * m, 2 * n * m + h * n - h * m);
        sum.whole += top / bottom;
        let (a, b) = reduced(top % bottom, bottom);
        let (c, d) = sum.rest;
        let (top, bottom) = (a * d + c * b, b * d);
        sum.whole += top / bottom;
        sum.rest = reduced(top % bottom, bottom);
    }
    sum
}

fn reduced(top: u128, bottom: u128) -> (u128, u128) {
    let (mut a, mut b) = (bottom, top);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (top / a, bottom / a)
}

#[test]
fn the_oracle_knows_hand_made_cases() {
    // 2 inputs, 2 hidden, 1 output: hidden 1 has no input, hidden 0 reaches the output.
    let masks = [vec![true, false, false, false], vec![true, true]];
    let active = effective(&[2, 2, 1], &masks);
    assert_eq!(active, [vec![true, false, false, false], vec![true, false]]);
    assert_eq!([5, 7, 6].map(|n| half_to_even(n, 2)), [2, 4, 3]);
    // Equal layers share equally, so that every odd budget is an exact tie.
    assert_eq!(igq_removed(&[4, 4], 1), [0, 0]);
    assert_eq!(igq_removed(&[4, 4], 3), [2, 2]);
    // A layer of 4 keeps 5/2 at F = 3/20, where one of 8 keeps 40/11: in all 135/22 = 6 + 3/22.
    let kept = igq_kept_at_half(&[8, 4], 4, 1);
    assert_eq!((kept.whole, kept.rest), (6, (3, 22)));
}
