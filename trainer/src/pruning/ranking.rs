//! Selects the highest scores, with ties going to the lower index, without sorting the others.
//!
//! Pruned networks keep few weights, so the others should cost no more than a pass over them: a
//! histogram of the leading bits finds the bin in which the count is reached, and a selection
//! within that bin finds the threshold. If nearly all are selected, a guess from a sample takes the
//! place of the histogram. Scores must not be NaN.

/// The number of leading bits that select a bin: the sign, the exponent, and five bits of the
/// fraction.
const BITS: u32 = 17;

/// Maps scores to integers in the same order; -0 and 0 map to the same integer.
#[inline]
fn key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    // All bits of a negative score are flipped, and the sign of any other.
    let sign = (bits.cast_signed() >> 63).cast_unsigned();
    bits ^ (sign | 1 << 63)
}

/// The number of scores that are compared with a threshold together: most are above it.
pub(super) const TOGETHER: usize = 8;

/// Checks whether the keys of all `scores` are above `threshold`.
#[inline]
fn are_above(scores: &[f64; TOGETHER], threshold: u64) -> bool {
    let mut above = true;
    for &score in scores {
        above &= key(score) > threshold;
    }
    above
}

/// Returns the `count` highest scores of all `lists` together: for each list its elements among
/// them, ascending, with their ranks (0 for the highest score).
pub(super) fn highest(lists: &[&[f64]], count: usize) -> Vec<Vec<(u32, u32)>> {
    let chosen = above(lists, count);
    let mut order: Vec<(u64, u32)> = Vec::with_capacity(count);
    for (list, chosen) in lists.iter().zip(&chosen) {
        for &element in chosen {
            // Scores descend and places ascend, so ties go to the lower place.
            order.push((!key(list[element as usize]), order.len() as u32));
        }
    }
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, &(_, place)) in order.iter().enumerate() {
        ranks[place as usize] = rank as u32;
    }
    let mut ranks = ranks.into_iter();
    let mut ranked = |chosen: Vec<u32>| chosen.into_iter().zip(&mut ranks).collect();
    chosen.into_iter().map(&mut ranked).collect()
}

/// Returns the `count` highest scores of all `lists` together: for each list its elements among
/// them, ascending.
pub(super) fn above(lists: &[&[f64]], count: usize) -> Vec<Vec<u32>> {
    let mut selector = Selector::new(lists, count);
    let mut choose = |list: &&[f64]| {
        let places = (0..).zip(list.iter());
        places
            .filter(|&(_, &score)| selector.selects(score))
            .map(|(element, _)| element)
            .collect()
    };
    lists.iter().map(&mut choose).collect()
}

/// Selects the `count` highest of some scores in one pass over them; ties go to the first.
#[derive(Debug)]
pub(super) struct Selector {
    /// The lowest key to select.
    lowest: u64,
    /// How many scores with exactly this key are still to be selected.
    ties: usize,
}

impl Selector {
    /// Returns the selector of the `count` highest scores of all `lists` together.
    pub(super) fn new(lists: &[&[f64]], count: usize) -> Self {
        let total = lists.iter().map(|list| list.len()).sum();
        let (lowest, ties) = match count {
            0 => (u64::MAX, 0),
            _ if count >= total => (0, total),
            _ => near_lowest(lists, total, count).unwrap_or_else(|| threshold(lists, count)),
        };
        Self { lowest, ties }
    }

    /// Checks whether `score`, the next in order, is selected.
    #[inline]
    pub(super) fn selects(&mut self, score: f64) -> bool {
        let key = key(score);
        if key != self.lowest {
            return key > self.lowest;
        }
        let selected = self.ties > 0;
        self.ties -= usize::from(selected);
        selected
    }

    /// Checks whether all of `scores` are selected, whatever came before them.
    #[inline]
    pub(super) fn selects_all(&self, scores: &[f64; TOGETHER]) -> bool {
        are_above(scores, self.lowest)
    }
}

/// Returns the key of the `count`-th highest score of `lists` (1 for the highest), and the number
/// of scores with exactly this key among the `count` highest.
fn threshold(lists: &[&[f64]], count: usize) -> (u64, usize) {
    let scores = lists.iter().copied().flatten().copied();
    let shift = 64 - BITS;
    let mut histogram = vec![0_u32; 1 << BITS];
    scores
        .clone()
        .for_each(|score| histogram[(key(score) >> shift) as usize] += 1);
    let (mut bin, mut above) = (histogram.len() - 1, 0);
    while above + (histogram[bin] as usize) < count {
        above += histogram[bin] as usize;
        bin -= 1;
    }
    let mut inside: Vec<u64> = Vec::with_capacity(histogram[bin] as usize);
    scores.for_each(|score| {
        let key = key(score);
        if (key >> shift) as usize == bin {
            inside.push(key);
        }
    });
    let wanted = count - above;
    let place = inside.len() - wanted;
    let (_, &mut lowest, higher) = inside.select_nth_unstable(place);
    let ties = wanted - higher.iter().filter(|&&key| key > lowest).count();
    (lowest, ties)
}

/// The maximum number of scores that [`near_lowest`] samples to guess a threshold.
const SAMPLES: usize = 1 << 12;

/// Returns what [`threshold`] does for the `total` scores if nearly all of them are selected, as in
/// one of many pruning rounds: after a guess from a sample, one pass collects the scores that are
/// about as low as the threshold. Returns `None` if there are too few scores for a sample, if more
/// than a quarter of them are not selected, or if the guess was too low.
fn near_lowest(lists: &[&[f64]], total: usize, count: usize) -> Option<(u64, usize)> {
    let others = total - count;
    if total < 8 * SAMPLES || others > total / 4 {
        return None;
    }
    let stride = total.div_ceil(SAMPLES);
    let mut sample = Vec::with_capacity(SAMPLES);
    let mut next = 0;
    for list in lists {
        while next < list.len() {
            sample.push(key(list[next]));
            next += stride;
        }
        next -= list.len();
    }
    // The expected number of samples below the threshold, plus five standard deviations and a
    // margin.
    let expected = others / stride;
    let place = (expected + 5 * expected.isqrt() + 16).min(sample.len() - 1);
    let (_, &mut bound, _) = sample.select_nth_unstable(place);
    let mut low = Vec::with_capacity(2 * others);
    let mut collect = |scores: &[f64]| {
        let keys = scores.iter().map(|&score| key(score));
        low.extend(keys.filter(|&key| key <= bound));
    };
    for list in lists {
        let (groups, rest) = list.as_chunks::<TOGETHER>();
        for group in groups {
            if !are_above(group, bound) {
                collect(group);
            }
        }
        collect(rest);
    }
    if low.len() <= others {
        return None;
    }
    let (_, &mut lowest, _) = low.select_nth_unstable(others);
    let below = low.iter().filter(|&&key| key < lowest).count();
    let equal = low.iter().filter(|&&key| key == lowest).count();
    // Not selected are all scores below the threshold and `others - below` of those equal to it.
    Some((lowest, equal - (others - below)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn selects_and_ranks_like_a_stable_sort() {
        let mut random = Random::new(3);
        for round in 0..300 {
            let mut list = |size: u64| -> Vec<f64> {
                let of = |random: &mut Random| match round % 3 {
                    0 => random.normal(),
                    1 => random.below(5) as f64 - 2.0,
                    _ => -0.0 * random.below(2) as f64,
                };
                (0..random.below(size)).map(|_| of(&mut random)).collect()
            };
            let lists = [list(40), list(3), list(100)];
            let flat: Vec<f64> = lists.iter().flatten().copied().collect();
            let mut order: Vec<usize> = (0..flat.len()).collect();
            order.sort_by(|&a, &b| flat[b].partial_cmp(&flat[a]).unwrap());
            let count = random.below(flat.len() as u64 + 1) as usize;
            let found = highest(&lists.each_ref().map(Vec::as_slice), count);
            let starts = [0, lists[0].len(), lists[0].len() + lists[1].len()];
            let mut placed = vec![usize::MAX; count];
            for (found, start) in found.iter().zip(starts) {
                assert!(found.is_sorted());
                for &(element, rank) in found {
                    placed[rank as usize] = start + element as usize;
                }
            }
            assert_eq!(placed, order[..count]);
        }
    }

    /// Checks that one pass finds the threshold that two find, with ties and in any order.
    #[test]
    fn the_threshold_of_nearly_all_scores_is_that_of_two_passes() {
        let mut random = Random::new(8);
        let total = 10 * SAMPLES;
        let mut found = 0;
        for round in 0..12 {
            let mut scores: Vec<f64> = (0..total)
                .map(|_| match round % 3 {
                    0 => random.normal(),
                    1 => random.below(50) as f64 - 2.0,
                    _ => random.normal().powi(2) * 1e-200,
                })
                .collect();
            if round >= 6 {
                scores.sort_by(f64::total_cmp);
            }
            for others in [1, 7, total / 22, total / 4] {
                // Lists of any length, also of none.
                let (first, second) = scores.split_at(12_347);
                let (lists, count) = ([first, &[], second], total - others);
                if let Some(near) = near_lowest(&lists, total, count) {
                    assert_eq!(near, threshold(&lists, count), "{round} {others}");
                    found += 1;
                }
            }
        }
        assert!(found > 40, "only {found} of 48 guesses sufficed");
        let half: Vec<f64> = (0..total).map(|at| at as f64).collect();
        assert_eq!(near_lowest(&[&half], total, total / 2), None);
    }
}
