//! Ideal gas quotas by bisection on the logarithm of the force, with ties decided in integers.
//!
//! When k of all N weights are removed, a layer of n weights keeps n / (F n + 1) of them, where
//! the force F is such that all layers together keep N - k (paper, section 4). Fractions have 128
//! bits, which suffice for the tested networks; an overflow panics.

/// Returns how many weights each layer loses when `k` are removed.
pub fn removed(sizes: &[usize], k: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    if k == 0 {
        return vec![0; sizes.len()];
    }
    if k == total {
        return sizes.to_vec();
    }
    let force = force(sizes, (total - k) as f64);
    sizes
        .iter()
        .map(|&size| {
            let removed = size as f64 - kept(force, size);
            let floor = removed.floor();
            if (removed - floor - 0.5).abs() > 1e-6 {
                return removed.round() as usize;
            }
            // If all layers together keep more than N - k at the force where this layer loses
            // exactly `floor + 1/2`, the actual force is higher, and the layer loses more.
            let floor = floor as usize;
            match kept_at_half(sizes, size, floor).cmp(&(total - k)) {
                std::cmp::Ordering::Greater => floor + 1,
                std::cmp::Ordering::Less => floor,
                std::cmp::Ordering::Equal => floor + floor % 2,
            }
        })
        .collect()
}

/// Returns how many weights a layer of `size` keeps under `force`.
pub fn kept(force: f64, size: usize) -> f64 {
    size as f64 / (force * size as f64 + 1.0)
}

/// Returns the force at which layers of `sizes` together keep `budget` weights.
pub fn force(sizes: &[usize], budget: f64) -> f64 {
    let (mut low, mut high) = (-100.0_f64, 100.0_f64);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        let sum: f64 = sizes.iter().map(|&n| kept(middle.exp(), n)).sum();
        if sum > budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.exp()
}

/// An exact sum of fractions: an integer and a proper fraction.
struct Exact {
    whole: u128,
    rest: (u128, u128),
}

impl Exact {
    /// Adds `top / bottom`.
    fn add(&mut self, top: u128, bottom: u128) {
        self.whole += top / bottom;
        let (a, b) = reduced(top % bottom, bottom);
        let (c, d) = self.rest;
        let times = |x: u128, y: u128| x.checked_mul(y).expect("128 bits hold the fractions");
        let (top, bottom) = (times(a, d) + times(c, b), times(b, d));
        self.whole += top / bottom;
        self.rest = reduced(top % bottom, bottom);
    }

    /// Compares the sum with `whole`.
    fn cmp(&self, whole: &usize) -> std::cmp::Ordering {
        match self.whole.cmp(&(*whole as u128)) {
            std::cmp::Ordering::Equal if self.rest.0 > 0 => std::cmp::Ordering::Greater,
            order => order,
        }
    }
}

/// Returns how many weights all layers together keep at the force that removes `removed + 1/2`
/// weights from a layer of `size`.
///
/// If h is twice the number of weights that this layer of n weights keeps, then F = 2/h - 1/n, and
/// a layer of m weights keeps m / (F m + 1) = h n m / (2 n m + h n - h m).
fn kept_at_half(sizes: &[usize], size: usize, removed: usize) -> Exact {
    let (n, h) = (size as u128, (2 * (size - removed) - 1) as u128);
    let mut sum = Exact {
        whole: 0,
        rest: (0, 1),
    };
    for &other in sizes {
        let m = other as u128;
        sum.add(h * n * m, 2 * n * m + h * n - h * m);
    }
    sum
}

/// Reduces `top / bottom` to lowest terms.
fn reduced(top: u128, bottom: u128) -> (u128, u128) {
    let (mut a, mut b) = (bottom, top);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (top / a, bottom / a)
}

#[test]
fn ideal_gas_quotas_match_hand_computed_cases() {
    // Equal layers lose equally many weights, so every odd number is an exact tie.
    assert_eq!(removed(&[4, 4], 1), [0, 0]);
    assert_eq!(removed(&[4, 4], 3), [2, 2]);
    // At F = 3/20, a layer of 4 keeps 5/2 and one of 8 keeps 40/11, in total 135/22 = 6 + 3/22.
    let kept = kept_at_half(&[8, 4], 4, 1);
    assert_eq!((kept.whole, kept.rest), (6, (3, 22)));
}
