//! Turns rows of features into a dataset of bytes.

use super::array::Values;
use super::error::TableError;
use super::part::{Part, Parts, Rows};
use super::{classes, holdout};
use crate::data::dataset::{Dataset, Split};
use crate::data::input_map::{InputMap, InputRange};
use crate::data::normalisation::Normalisation;
use crate::data::reading::{Extent, Reading};
use crate::data::targets::{TargetSource, Targets};

/// Returns the dataset of `parts`, called `name`: some samples are held out for testing if there
/// is no test part, and features become bytes by the map of `reading` or one fitted to the
/// training part. The dataset's `reading` records what was done.
///
/// # Errors
/// Returns an error if there are no rows, if labels are not valid classes, if the shape or the map
/// that `reading` states does not fit, or if all training features are equal.
pub(super) fn dataset(
    name: String,
    mut parts: Parts,
    reading: &Reading,
) -> Result<Dataset, TableError> {
    let shape = shape(&name, &parts, reading)?;
    let classes = match reading.has_classes() {
        true => classes::count(&parts, !reading.class_names.is_empty())?,
        false => {
            parts.ignore_labels();
            1
        }
    };
    let all = |part: &Part| (0..part.labels.len()).collect::<Vec<usize>>();
    let share = reading.test_share.unwrap_or_default();
    let ([train, test], test_share) = match &parts.test {
        Some(test) => ([all(&parts.train), all(test)], None),
        None => (
            holdout::split(&parts.train, (classes, &parts.class_names), share)?,
            Some(share),
        ),
    };
    let tested = parts.test.as_ref().unwrap_or(&parts.train);
    let (input_range, map) = map(&name, (&parts, tested), &train, (reading, shape))?;
    let split = |part: &Part, rows: &[usize]| bytes(part, rows, map.as_ref(), shape);
    let (train, test) = (split(&parts.train, &train), split(tested, &test));
    let normalisation = Normalisation::per_channel(train.images(), shape);
    let normalisation = normalisation.ok_or_else(|| {
        let problem = format!(
            "has the same value everywhere for training ({} as a byte)",
            train.images()[0]
        );
        TableError::new(
            &name,
            problem,
            "give features that differ, or another range",
        )
    })?;
    let classes = train.targets().map_or(classes, Targets::width);
    let set = Dataset {
        name,
        train,
        test,
        normalisation,
        classes,
        reading: Reading {
            input_range,
            test_share,
            map,
            ..of_files(&parts, reading)
        },
        class_names: parts.class_names,
        notes: parts.notes,
    };
    let set = match set.reading.targets {
        Some(TargetSource::Inputs) => set.with_inputs_as_targets(),
        _ => set,
    };
    check_targets(set)
}

/// Returns `set` if its targets, if they are numbers, differ in both parts.
fn check_targets(set: Dataset) -> Result<Dataset, TableError> {
    for (split, purpose) in [(&set.train, "training"), (&set.test, "testing")] {
        if split.variance() == Some(0.0) && split.len() == 1 {
            let problem = format!("has one sample for {purpose}, whose targets do not vary");
            let advice = "give more samples, or hold out another share of them";
            return Err(TableError::new(&set.name, problem, advice));
        }
        if split.variance() == Some(0.0) {
            let problem = format!("has the same targets in all samples for {purpose}");
            let advice = "give samples whose targets differ";
            return Err(TableError::new(&set.name, problem, advice));
        }
    }
    Ok(set)
}

/// Returns what of `reading` had an effect on `parts`, with the classes and the column of labels
/// that these have.
fn of_files(parts: &Parts, reading: &Reading) -> Reading {
    let (is_table, is_pictures) = match parts.train.rows {
        Rows::Lines { .. } => (true, false),
        Rows::Folders(_) => (false, true),
        Rows::Array(_) => (false, false),
    };
    Reading {
        label: parts.label.clone(),
        resize: reading.resize.filter(|_| is_pictures),
        shape: reading.shape,
        drop: match is_table {
            true => reading.drop.clone(),
            false => Vec::new(),
        },
        class_names: parts.class_names.clone(),
        targets: reading.targets.clone(),
        ..Reading::default()
    }
}

/// Returns the shape of a sample: the one that `reading` states, or that of the files.
fn shape(name: &str, parts: &Parts, reading: &Reading) -> Result<[usize; 3], TableError> {
    let features: usize = parts.shape.iter().product();
    for part in parts.each() {
        if part.labels.is_empty() || features == 0 {
            let (rows, place) = (part.labels.len(), part.rows.name());
            let problem = format!("has {rows} rows of {features} features");
            return Err(TableError::new(place, problem, "give at least one of both"));
        }
    }
    match reading.shape {
        None => Ok(parts.shape),
        Some(Extent(shape)) if shape.iter().product::<usize>() == features => Ok(shape),
        Some(shape) => {
            let problem =
                format!("has rows of {features} features, which has not the shape {shape}");
            let advice = "give channels, height and width whose product that is";
            Err(TableError::new(name, problem, advice))
        }
    }
}

/// Returns the map by which the features become bytes and the range that it was fitted with; `None`
/// if they are bytes and remain as they are. `rows` are those for training.
fn map(
    name: &str,
    (parts, tested): (&Parts, &Part),
    rows: &[usize],
    (reading, shape): (&Reading, [usize; 3]),
) -> Result<(Option<InputRange>, Option<InputMap>), TableError> {
    let values = &parts.train.values;
    let features: usize = shape.iter().product();
    if std::mem::discriminant(values) != std::mem::discriminant(&tested.values) {
        let (train, test) = (values.kind(), tested.values.kind());
        let problem = format!("has features of {train} for training but {test} for testing");
        return Err(TableError::new(name, problem, "give both the same type"));
    }
    if let Some(map) = &reading.map {
        if !map.fits(shape) {
            let ranges = map.minimum().len();
            let problem = format!(
                "has samples of shape {shape:?}, but the recorded map to bytes has {ranges} ranges"
            );
            let advice = "give data of the shape that the map was fitted to";
            return Err(TableError::new(name, problem, advice));
        }
        return Ok((reading.input_range, Some(map.clone())));
    }
    let default = match values {
        Values::Bytes(_) => None,
        Values::SignedBytes(_) => Some(InputRange::Fixed(-128.0, 127.0)),
        _ if parts.is_flat && reading.shape.is_none() => Some(InputRange::Feature),
        _ => Some(InputRange::Channel),
    };
    let range = reading.input_range.or(default);
    let fit = |range| InputMap::fit(range, features_of(values, rows, features), shape);
    let map = range.map(fit);
    let coarse = |map: &InputMap| map.first_coarse(features_of(values, rows, features), features);
    if let Some(value) = map.as_ref().and_then(coarse) {
        let problem = format!(
            "has a feature of {value}, which f32, in which devices compute, rounds too much for its range"
        );
        let advice = "subtract a constant from such features first, or scale them";
        return Err(TableError::new(name, problem, advice));
    }
    Ok((range, map))
}

/// Returns the features of the given rows, one after another.
fn features_of<'a>(
    values: &'a Values,
    rows: &'a [usize],
    features: usize,
) -> impl Iterator<Item = f64> + 'a {
    let of = move |&row: &usize| (row * features..(row + 1) * features).map(|at| values.get(at));
    rows.iter().flat_map(of)
}

/// Returns the given rows of `part` as bytes.
fn bytes(part: &Part, rows: &[usize], map: Option<&InputMap>, shape: [usize; 3]) -> Split {
    let features = shape.iter().product();
    let values = features_of(&part.values, rows, features);
    let images = match map {
        Some(map) => map.bytes(values, features),
        // Bytes are kept.
        None => values.map(|value| value as u8).collect(),
    };
    let width = part.targets.len() / part.labels.len();
    if width > 0 {
        let row = |&row: &usize| part.targets[row * width..][..width].iter().copied();
        return Split::of_targets(images, rows.iter().flat_map(row).collect(), width, shape);
    }
    let labels = rows.iter().map(|&row| part.labels[row] as u8).collect();
    Split::new(images, labels, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(values: Values, labels: Vec<i64>, name: &str) -> Part {
        let rows = Rows::Array(name.into());
        Part {
            values,
            labels,
            targets: Vec::new(),
            rows,
        }
    }

    /// Returns parts of rows of two features.
    fn parts_of(train: Values, test: Option<Values>) -> Parts {
        let labels = |values: &Values| (0..values.len() as i64 / 2).map(|row| row % 2).collect();
        let named = |values: Values, name| {
            let labels = labels(&values);
            part(values, labels, name)
        };
        Parts {
            train: named(train, "y of a.npz"),
            test: test.map(|values| named(values, "y_test of a.npz")),
            shape: [1, 1, 2],
            is_flat: true,
            class_names: Vec::new(),
            label: None,
            notes: Vec::new(),
        }
    }

    fn assembled(parts: Parts, reading: &Reading) -> Result<Dataset, String> {
        dataset("a.npz".into(), parts, reading).map_err(|error| error.to_string())
    }

    #[test]
    fn the_map_is_fitted_to_the_training_part_alone_and_recorded() {
        let train = Values::Singles(vec![0.0, -1.0, 4.0, 1.0]);
        let test = Values::Singles(vec![8.0, 0.0, -8.0, 0.5]);
        let parts = parts_of(train, Some(test));
        let set = assembled(parts.clone(), &Reading::default()).unwrap();
        assert_eq!(set.train.images(), [0, 0, 255, 255]);
        assert_eq!(set.test.images(), [255, 128, 0, 191]);
        let map = InputMap::new(vec![0.0, -1.0], vec![4.0, 1.0]).unwrap();
        let recorded = Reading {
            input_range: Some(InputRange::Feature),
            map: Some(map),
            ..Reading::default()
        };
        assert_eq!(set.reading, recorded);
        // Other data are mapped in the same way.
        let other = parts_of(Values::Doubles(vec![2.0, 1.0, 2.0, 0.0]), None);
        let other = Parts {
            test: Some(other.train.clone()),
            ..other
        };
        let set = assembled(other, &recorded).unwrap();
        assert_eq!(set.train.images(), [128, 255, 128, 128]);
        let all = Reading {
            input_range: Some(InputRange::All),
            ..Reading::default()
        };
        let set = assembled(parts, &all).unwrap();
        assert_eq!(set.train.images(), [51, 0, 255, 102]);
    }

    #[test]
    fn bytes_are_kept_and_signed_ones_shifted_unless_a_range_is_asked_for() {
        let bytes = || {
            parts_of(
                Values::Bytes(vec![3, 4, 5, 6]),
                Some(Values::Bytes(vec![7, 8, 1, 2])),
            )
        };
        let set = assembled(bytes(), &Reading::default()).unwrap();
        assert_eq!(
            (set.train.images(), set.test.images()),
            (&[3, 4, 5, 6][..], &[7, 8, 1, 2][..])
        );
        assert!(set.reading.is_plain());
        let asked = Reading {
            input_range: Some(InputRange::Fixed(0.0, 10.0)),
            ..Reading::default()
        };
        let set = assembled(bytes(), &asked).unwrap();
        assert_eq!(set.train.images(), [77, 102, 128, 153]);
        let signed = Values::SignedBytes(vec![-128, -1, 0, 127]);
        let set = assembled(parts_of(signed.clone(), Some(signed)), &Reading::default()).unwrap();
        assert_eq!(set.train.images(), [0, 127, 128, 255]);
        assert_eq!(
            set.reading.input_range,
            Some(InputRange::Fixed(-128.0, 127.0))
        );
    }

    #[test]
    fn without_a_test_part_some_of_each_class_are_held_out() {
        let values = Values::Integers((0..48).collect());
        let set = assembled(parts_of(values, None), &Reading::default()).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (20, 4));
        assert_eq!(set.test.class_counts(2), [2, 2]);
        assert_eq!(f64::from(set.reading.test_share.unwrap()), 1.0 / 6.0);
        let third = Reading {
            test_share: Some("1/3".parse().unwrap()),
            ..Reading::default()
        };
        let values = Values::Integers((0..48).collect());
        let set = assembled(parts_of(values, None), &third).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (16, 8));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let bytes = |count: u8| Values::Bytes((0..count).collect());
        let shape = |text: &str| Reading {
            shape: Some(text.parse().unwrap()),
            ..Reading::default()
        };
        let map = Reading {
            map: Some(InputMap::new(vec![0.0; 3], vec![1.0; 3]).unwrap()),
            ..Reading::default()
        };
        let plain = Reading::default();
        let singles = |values: &[f32]| Values::Singles(values.to_vec());
        let equal = Values::Doubles(vec![0.5; 8]);
        for (parts, reading, words) in [
            (
                parts_of(bytes(8), None),
                &shape("1x2x2"),
                "has not the shape 1x2x2",
            ),
            (
                parts_of(bytes(8), None),
                &map,
                "the recorded map to bytes has 3 ranges",
            ),
            (parts_of(bytes(0), None), &plain, "y of a.npz has 0 rows"),
            (
                parts_of(bytes(8), Some(bytes(0))),
                &plain,
                "y_test of a.npz has 0 rows",
            ),
            (
                parts_of(bytes(4), Some(singles(&[0.0; 4]))),
                &plain,
                "uint8 for training but float32",
            ),
            (
                parts_of(equal, None),
                &plain,
                "has the same value everywhere",
            ),
        ] {
            let error = assembled(parts, reading).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
        let set = assembled(parts_of(bytes(8), None), &shape("2x1x1")).unwrap();
        assert_eq!(set.train.shape(), [2, 1, 1]);
    }
}
