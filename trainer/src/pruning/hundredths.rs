//! Compression ratios rounded to two decimals, as messages state them.
//!
//! A limit that a message states can be requested, and the next larger number cannot.

/// Returns the largest ratio for which `holds` is true, searching from `low` to `high`, both in
/// hundredths. `holds` must be true at `low`, false at `high`, and change once.
pub(super) fn last(mut low: u64, mut high: u64, holds: impl Fn(f64) -> bool) -> f64 {
    while high > low + 1 {
        let middle = low.midpoint(high);
        *(if holds(middle as f64 / 100.0) {
            &mut low
        } else {
            &mut high
        }) = middle;
    }
    low as f64 / 100.0
}

/// Returns `compression` with at most two decimals, or in scientific notation from 1e15.
pub fn shown(compression: f64) -> String {
    match compression {
        large if large >= 1e15 => format!("{large:e}"),
        _ => ((compression * 100.0).round() / 100.0).to_string(),
    }
}

/// Rounds a ratio down to two decimals: the limit of direct compression.
pub(super) fn down(compression: f64) -> f64 {
    rounded(compression, f64::floor)
}

/// Rounds a ratio up to two decimals: the limit of effective compression, which keeps at least a
/// given number of weights.
pub(super) fn up(compression: f64) -> f64 {
    rounded(compression, f64::ceil)
}

/// Rounds to two decimals by `round`, unless only the rounding error of a division keeps
/// `compression` from having two.
fn rounded(compression: f64, round: fn(f64) -> f64) -> f64 {
    let hundredths = compression * 100.0;
    let nearest = hundredths.round();
    let is_near = (hundredths - nearest).abs() < 1e-13 * hundredths;
    (if is_near { nearest } else { round(hundredths) }) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::compression::Compression;

    #[test]
    fn what_is_printed_can_be_asked_for_and_the_next_number_cannot() {
        for (total, counts) in [(266_200, 1..3000), (20_070_080, 1..300)] {
            for count in counts {
                let text = shown(up(total as f64 / count as f64));
                let is_beyond = |ratio: f64| {
                    let compression = Compression::new(ratio).unwrap();
                    compression.is_beyond(total, count)
                };
                let printed: f64 = text.parse().unwrap();
                assert!(!is_beyond(printed), "{text} of {count}");
                let next = format!("{:.2}", printed + 0.01).parse().unwrap();
                assert!(is_beyond(next), "{text} of {count}");
            }
        }
        assert_eq!(up(266_200.0 / 3.0), 88_733.34);
        assert_eq!(down(266_200.0 / 3.0), 88_733.33);
        let texts = [100.0, 43.984, 1e9, 1e15, 1e308].map(shown);
        assert_eq!(texts, ["100", "43.98", "1000000000", "1e15", "1e308"]);
    }
}
