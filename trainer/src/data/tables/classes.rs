//! Checks the labels of a dataset, and counts its classes.

use std::collections::{HashMap, HashSet};

use super::error::TableError;
use super::part::{Labels, Part, Parts, Written};

/// The most classes that a dataset can have.
const MOST_CLASSES: i64 = 256;

/// Checks the labels of `parts`, and returns the number of classes.
///
/// Unless their classes `are_known`, labels must start at 0 or 1 and have no gap, and the parts
/// must have the same classes, so that a damaged label is not taken for a class of its own.
///
/// # Errors
/// Returns an error that names the label at fault.
pub(super) fn count(parts: &Parts, are_known: bool) -> Result<usize, TableError> {
    for part in parts.each() {
        check_range(part)?;
    }
    if are_known && !parts.class_names.is_empty() {
        return Ok(parts.class_names.len());
    }
    let train = &parts.train;
    let present = of(train);
    let classes = present.iter().max().map_or(0, |highest| highest + 1);
    if classes < 2 {
        let name = named(&parts.class_names, 0);
        let problem = format!("has only the class {name}");
        return Err(TableError::new(
            train.rows.name(),
            problem,
            "give two classes or more",
        ));
    }
    if let Some(gap) = (1..classes).find(|label| !present.contains(label)) {
        let above = train.labels.iter().position(|&label| label > gap);
        let row = above.unwrap_or_default();
        let problem = format!(
            "is {}, but no row for training has class {gap}",
            train.labels[row]
        );
        let advice = "number the classes 0, 1, 2 and so on";
        return Err(TableError::new(train.rows.place(row), problem, advice));
    }
    if let Some(test) = &parts.test {
        check_same(parts, &present, test)?;
    }
    Ok(usize::try_from(classes).unwrap_or_default())
}

/// Returns the classes of a part.
fn of(part: &Part) -> HashSet<i64> {
    part.labels.iter().copied().collect()
}

/// Returns the name of the class `label`, or its number.
pub(super) fn named(names: &[String], label: i64) -> String {
    let name = usize::try_from(label)
        .ok()
        .and_then(|label| names.get(label));
    name.cloned().unwrap_or_else(|| label.to_string())
}

/// Checks that every label is a class that a network can have.
fn check_range(part: &Part) -> Result<(), TableError> {
    let is_wrong = |label: &i64| !(0..MOST_CLASSES).contains(label);
    let Some(row) = part.labels.iter().position(is_wrong) else {
        return Ok(());
    };
    let label = part.labels[row];
    let classes = of(part).len();
    let (problem, advice) = match classes > MOST_CLASSES as usize {
        true => (
            format!("is {label}, one of {classes} classes, but there can be {MOST_CLASSES}"),
            "give the column or key of labels, or fewer classes",
        ),
        false => (
            // Larger numbers of 64 bits without a sign were limited to this one.
            match label {
                i64::MAX => format!(
                    "is {label} or more, but must be at most {}",
                    MOST_CLASSES - 1
                ),
                _ => format!("is {label}, but must be from 0 to {}", MOST_CLASSES - 1),
            },
            "number the classes 0, 1, 2 and so on",
        ),
    };
    Err(TableError::new(part.rows.place(row), problem, advice))
}

/// Checks that `test` has the classes `present` in the training part.
fn check_same(parts: &Parts, present: &HashSet<i64>, test: &Part) -> Result<(), TableError> {
    let (train_name, test_name) = (parts.train.rows.name(), test.rows.name());
    let tested = of(test);
    let lacking = |name: &str, label: i64, other: &str| {
        let class = named(&parts.class_names, label);
        let problem = format!("has no sample of class {class}, which {other} has");
        TableError::new(name, problem, "give both parts the same classes")
    };
    if let Some(&label) = tested.difference(present).min() {
        return Err(lacking(train_name, label, test_name));
    }
    match present.difference(&tested).min() {
        Some(&label) => Err(lacking(test_name, label, train_name)),
        None => Ok(()),
    }
}

/// Returns the parts with numbers in place of the names of classes, and the names in the order of
/// their numbers: none if labels are numbers. Names are numbered as in `known`, unless that is
/// empty.
///
/// # Errors
/// Returns an error if only one part has names, or if a name is not `known`.
pub(super) fn named_alike(
    train: Written,
    test: Option<Written>,
    known: &[String],
) -> Result<(Part, Option<Part>, Vec<String>), TableError> {
    let part = |written: Written, labels: Vec<i64>| Part {
        values: written.values,
        labels,
        targets: written.targets,
        rows: written.rows,
    };
    let mut all = Vec::new();
    for written in [Some(&train), test.as_ref()].into_iter().flatten() {
        if let Labels::Names(names) = &written.labels {
            check_known(written, names, known)?;
            all.extend(names.iter().cloned());
        }
    }
    let (numbers, class_names) = match known {
        [] => numbered(all),
        known => (positions(&all, known), known.to_vec()),
    };
    let mut numbers = numbers.into_iter();
    let mut convert = |written: Written| match written.labels.clone() {
        Labels::Names(names) => part(written, numbers.by_ref().take(names.len()).collect()),
        Labels::Numbers(labels) => part(written, labels),
    };
    let is_named = |written: &Written| matches!(written.labels, Labels::Names(_));
    if let Some(test) = &test
        && is_named(test) != is_named(&train)
    {
        let [names, numbers] = match is_named(&train) {
            true => [&train, test],
            false => [test, &train],
        };
        let problem = format!("has names of classes, but {} numbers", numbers.rows.name());
        return Err(TableError::new(
            names.rows.name(),
            problem,
            "label both in the same way",
        ));
    }
    Ok((convert(train), test.map(convert), class_names))
}

/// Checks that each of `names`, the labels of `written`, is `known`, unless no names are.
fn check_known(written: &Written, names: &[String], known: &[String]) -> Result<(), TableError> {
    let known_names: HashSet<&String> = known.iter().collect();
    let unknown = names.iter().position(|name| !known_names.contains(name));
    let (Some(row), false) = (unknown, known.is_empty()) else {
        return Ok(());
    };
    let shown: Vec<&str> = known.iter().take(8).map(String::as_str).collect();
    let more = if known.len() > 8 { ", ..." } else { "" };
    let problem = format!(
        "is {:?}, but the classes are {}{more}",
        names[row],
        shown.join(", ")
    );
    let advice = "give data of these classes, or leave the samples of others out";
    Err(TableError::new(written.rows.place(row), problem, advice))
}

/// Returns the position in `known` of each of `names`.
fn positions(names: &[String], known: &[String]) -> Vec<i64> {
    let numbers: HashMap<&String, i64> = known.iter().zip(0..).collect();
    let number = |name| numbers.get(name).copied().unwrap_or_default();
    names.iter().map(number).collect()
}

/// Returns the number of the class of each of `names`, which is its position among the distinct
/// names in sorted order, and those sorted names.
fn numbered(names: Vec<String>) -> (Vec<i64>, Vec<String>) {
    let mut sorted: Vec<String> = names
        .iter()
        .cloned()
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    sorted.sort_unstable();
    let number = |name: String| sorted.binary_search(&name).map_or(0, |at| at as i64);
    (names.into_iter().map(number).collect(), sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tables::array::Values;
    use crate::data::tables::part::Rows;

    fn part(labels: &[i64], name: &str) -> Part {
        Part {
            values: Values::Bytes(vec![0; labels.len()]),
            labels: labels.to_vec(),
            targets: Vec::new(),
            rows: Rows::Array(name.into()),
        }
    }

    fn count_of(train: &[i64], test: Option<&[i64]>) -> Result<usize, String> {
        let parts = Parts {
            train: part(train, "y of a.npz"),
            test: test.map(|labels| part(labels, "y_test of a.npz")),
            shape: [1, 1, 1],
            is_flat: true,
            class_names: Vec::new(),
            label: None,
            notes: Vec::new(),
        };
        count(&parts, false).map_err(|error| error.to_string())
    }

    #[test]
    fn classes_start_at_0_or_1_and_have_no_gap() {
        assert_eq!(count_of(&[2, 0, 1], None), Ok(3));
        assert_eq!(count_of(&[2, 1, 1], None), Ok(3));
        assert_eq!(count_of(&[2, 0, 1], Some(&[0, 1, 2])), Ok(3));
        let all: Vec<i64> = (0..256).collect();
        assert_eq!(count_of(&all, None), Ok(256));
        let million: Vec<i64> = (0..1_000_000).collect();
        for (train, test, words) in [
            (
                &[0, 3, 1][..],
                None,
                "label 1 (from 0) in y of a.npz is 3, but no row for training has class 2",
            ),
            (
                &[0, 1, -1],
                None,
                "label 2 (from 0) in y of a.npz is -1, but must be from 0 to 255",
            ),
            (
                &[0, i64::MAX],
                None,
                "label 1 (from 0) in y of a.npz is 9223372036854775807 or more, but must be at most",
            ),
            (
                &million,
                None,
                "label 256 (from 0) in y of a.npz is 256, one of 1000000 classes, but there can be 256",
            ),
            (&[0, 0], None, "y of a.npz has only the class 0"),
            (
                &[0, 1],
                Some(&[0, 1, 2][..]),
                "y of a.npz has no sample of class 2, which y_test of a.npz has",
            ),
            (
                &[0, 1],
                Some(&[1]),
                "y_test of a.npz has no sample of class 0, which y of a.npz has",
            ),
        ] {
            let error = count_of(train, test).unwrap_err();
            assert!(error.starts_with(words), "{words}: {error}");
        }
    }

    #[test]
    fn names_are_numbered_in_their_order() {
        let names = ["b", "a", "c", "a"].map(String::from);
        let (labels, sorted) = numbered(names.to_vec());
        assert_eq!(
            (labels, sorted),
            (vec![1, 0, 2, 0], ["a", "b", "c"].map(String::from).to_vec())
        );
    }

    #[test]
    fn known_names_keep_their_numbers() {
        let written = |names: &[&str], name: &str| Written {
            values: Values::Bytes(vec![0; names.len()]),
            labels: Labels::Names(names.iter().map(|&name| name.to_owned()).collect()),
            targets: Vec::new(),
            rows: Rows::Array(name.into()),
        };
        let known = ["b", "c", "a"].map(String::from);
        let test = || Some(written(&["c"], "y_test"));
        let (train, found, names) =
            named_alike(written(&["a", "b", "a"], "y"), test(), &known).unwrap();
        assert_eq!((train.labels, names), (vec![2, 0, 2], known.to_vec()));
        assert_eq!(found.unwrap().labels, [1]);
        let error = named_alike(written(&["a", "d"], "y"), test(), &known).unwrap_err();
        let words = "label 1 (from 0) in y is \"d\", but the classes are b, c, a: give data";
        assert!(error.to_string().starts_with(words), "{error}");
    }
}
