//! Holds out a share of each class for testing.

use super::classes::named;
use super::error::TableError;
use super::part::Part;
use crate::data::reading::TestShare;
use crate::random::Random;

/// The seed of the choice. It is not that of a run, so that runs with other seeds are tested on the
/// same samples.
const SEED: u64 = 0;

/// Chooses `share` of the rows of each of the first `classes` classes of `part`, which may have
/// `names`, at random but with a fixed seed. Returns the rows that remain for training and those
/// held out, each in ascending order: all rows twice if the share is the whole.
///
/// # Errors
/// Returns an error if a class has one sample only, of which some are to be held out.
pub(super) fn split(
    part: &Part,
    (classes, names): (usize, &[String]),
    share: TestShare,
) -> Result<[Vec<usize>; 2], TableError> {
    if share.is_whole() {
        let all: Vec<usize> = (0..part.labels.len()).collect();
        return Ok([all.clone(), all]);
    }
    let mut is_held_out = vec![false; part.labels.len()];
    let mut random = Random::stream(SEED, "test share");
    for class in 0..classes {
        let is_of = |row: &usize| usize::try_from(part.labels[*row]) == Ok(class);
        let mut rows: Vec<usize> = (0..part.labels.len()).filter(is_of).collect();
        if let [row] = rows[..] {
            let name = named(names, class as i64);
            let problem =
                format!("is the only one of class {name}, of which some are held out for testing");
            let advice = "give the class two samples or more, or the data a test part";
            return Err(TableError::new(part.rows.place(row), problem, advice));
        }
        random.shuffle(&mut rows);
        for row in rows.iter().take(share.of(rows.len()).unwrap_or(0)) {
            is_held_out[*row] = true;
        }
    }
    let rows = |held_out: bool| {
        let all = is_held_out.iter().enumerate();
        all.filter(move |(_, it)| **it == held_out)
            .map(|(row, _)| row)
            .collect()
    };
    Ok([rows(false), rows(true)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tables::array::Values;
    use crate::data::tables::part::Rows;

    fn part(labels: Vec<i64>) -> Part {
        Part {
            values: Values::Bytes(vec![0; labels.len()]),
            labels,
            targets: Vec::new(),
            rows: Rows::Array("y of a.npz".into()),
        }
    }

    #[test]
    fn every_class_gives_its_share_and_the_choice_is_repeatable() {
        // 60 of class 0, 30 of class 1, 2 of class 2.
        let labels = (0..92).map(|row| i64::from(row >= 60) + i64::from(row >= 90));
        let part = part(labels.collect());
        let [train, test] = split(&part, (3, &[]), TestShare::default()).unwrap();
        let counts = [0, 1, 2].map(|class| {
            test.iter()
                .filter(|&&row| part.labels[row] == class)
                .count()
        });
        assert_eq!(counts, [10, 5, 1]);
        let mut all = [train.clone(), test.clone()].concat();
        assert!(train.is_sorted() && test.is_sorted());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..92));
        assert_eq!(
            split(&part, (3, &[]), TestShare::default()).unwrap(),
            [train, test.clone()]
        );
        // The choice is one at random, not the first or the last rows.
        let spread = test.iter().filter(|&&row| row < 30).count();
        assert!((1..10).contains(&spread), "{test:?}");
    }

    #[test]
    fn the_whole_is_for_training_and_for_testing() {
        let whole: TestShare = "1".parse().unwrap();
        let parts = split(&part(vec![0, 1, 0]), (2, &[]), whole).unwrap();
        assert_eq!(parts, [vec![0, 1, 2], vec![0, 1, 2]]);
    }

    #[test]
    fn a_class_of_one_sample_is_refused() {
        let names = ["cat", "dog"].map(String::from);
        for (names, name) in [(&[][..], "1"), (&names[..], "dog")] {
            let part = part(vec![0, 0, 1, 0]);
            let error = split(&part, (2, names), TestShare::default()).unwrap_err();
            let error = error.to_string();
            let words = format!("label 2 (from 0) in y of a.npz is the only one of class {name},");
            assert!(error.starts_with(&words), "{error}");
        }
    }
}
