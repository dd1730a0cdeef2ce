//! The seeded generator of all random numbers, such as initial weights, shuffles and random
//! scores.
//!
//! SplitMix64 (Steele, Lea & Flood 2014) is small, fast, and the same on every machine. Each use
//! draws from a stream of its own, named after its purpose ([`Random::stream`]), so an additional
//! draw in one place changes no other. Not for cryptography.

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Creates the stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Creates the stream of `seed` for `purpose`, independent of those for other purposes.
    pub fn stream(seed: u64, purpose: &str) -> Self {
        // One generator is seeded with `seed`, another with the FNV-1a hash of the purpose; their
        // first outputs are mixed.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in purpose.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self::new(Self::new(seed).next_u64() ^ Self::new(hash).next_u64())
    }

    /// Returns the next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a uniform number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Returns a uniform number in `0..bound`, without bias.
    ///
    /// # Panics
    /// Panics if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's method rejects the few draws that would favour small results.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Returns a standard normal number, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = u * u + v * v;
            if square > 0.0 && square < 1.0 {
                return u * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Returns a standard normal number truncated at two standard deviations (not rescaled), as
    /// Keras draws it.
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            let draw = self.normal();
            if draw.abs() <= 2.0 {
                return draw;
            }
        }
    }

    /// Shuffles `items` with the Fisher-Yates algorithm.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_the_published_stream() {
        let mut random = Random::new(0);
        let drawn = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(
            drawn,
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f
            ]
        );
    }

    #[test]
    fn truncated_normal_has_the_moments_of_its_density() {
        let mut random = Random::stream(7, "test");
        let draws: Vec<f64> = (0..100_000).map(|_| random.truncated_normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        // The standard deviation of a standard normal truncated at two is 0.87962566.
        assert!(
            (variance.sqrt() - 0.879_625_66).abs() < 0.005,
            "{}",
            variance.sqrt()
        );
    }

    #[test]
    fn shuffles_are_permutations_that_depend_on_seed_and_purpose() {
        let shuffled = |seed, purpose: &str| {
            let mut items: Vec<u32> = (0..1000).collect();
            Random::stream(seed, purpose).shuffle(&mut items);
            items
        };
        let mut sorted = shuffled(1, "a");
        assert_ne!(sorted, shuffled(2, "a"));
        assert_ne!(sorted, shuffled(1, "b"));
        assert_eq!(sorted, shuffled(1, "a"));
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
    }
}
