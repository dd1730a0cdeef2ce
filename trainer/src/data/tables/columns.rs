//! Which columns of a table are labels, features, or left out.

use std::collections::HashSet;

use super::error::TableError;
use crate::data::dataset::Note;
use crate::data::reading::{NO_LABELS, Reading};
use crate::data::targets::TargetSource;

/// Names of the column of labels, if none is stated: the first of these that is there. A `y` beside
/// an `x` is a coordinate.
const LABELS: [&str; 4] = ["label", "class", "target", "y"];

/// The fewest rows of which it is said that a column counts them.
const FEW_ROWS: usize = 4;

/// Returns a name that two of the `columns` have. Columns without a name are not compared.
pub(super) fn repeated(columns: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    let mut named = columns.iter().filter(|name| !name.is_empty());
    named.find(|name| !seen.insert(*name))
}

/// Returns the column of labels, from 0: the stated one, the one with a usual name, or the last. If
/// targets are numbers, only a stated one is left out as a column of labels.
pub(super) fn label(
    file: &str,
    columns: &[String],
    is_header: bool,
    reading: &Reading,
) -> Result<Option<usize>, TableError> {
    if reading.targets.is_some() {
        let stated = reading.label.as_ref().filter(|label| *label != NO_LABELS);
        return stated.map(|label| find(file, columns, label)).transpose();
    }
    if columns.len() < 2 {
        let advice = "give features and a label, separated by commas, semicolons or tabs";
        return Err(TableError::new(file, "has one column", advice));
    }
    let Some(stated) = &reading.label else {
        let find = |name: &str| {
            let mut columns = columns.iter();
            columns.position(|column| column.eq_ignore_ascii_case(name))
        };
        let is_label = |name: &&&str| **name != "y" || find("x").is_none();
        let mut names = LABELS.iter().filter(is_label).filter(|_| is_header);
        let usual = names.find_map(|name| find(name));
        return Ok(Some(usual.unwrap_or(columns.len() - 1)));
    };
    find(file, columns, stated).map(Some)
}

/// Returns the columns of targets, from 0; none if targets are classes or the inputs.
pub(super) fn targets(
    file: &str,
    columns: &[String],
    reading: &Reading,
) -> Result<Vec<usize>, TableError> {
    let Some(TargetSource::Columns(names)) = &reading.targets else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in names {
        let at = find(file, columns, name)?;
        if found.contains(&at) {
            let problem = format!("has the target {name} once, but it is asked for twice");
            return Err(TableError::new(file, problem, "name each target once"));
        }
        found.push(at);
    }
    Ok(found)
}

/// Returns which of the `columns` are features: all but the `label`, the `targets`, and those that
/// `reading` leaves out.
pub(super) fn features(
    file: &str,
    columns: &[String],
    (label, targets): (Option<usize>, &[usize]),
    reading: &Reading,
) -> Result<Vec<bool>, TableError> {
    let mut is_feature = vec![true; columns.len()];
    if let Some(column) = label.filter(|label| targets.contains(label)) {
        let problem = format!(
            "has targets in column {}, the one of labels",
            columns[column]
        );
        let advice = "name another column of labels, or none";
        return Err(TableError::new(file, problem, advice));
    }
    for column in label.iter().chain(targets) {
        is_feature[*column] = false;
    }
    for name in &reading.drop {
        let column = find(file, columns, name)?;
        if Some(column) == label || targets.contains(&column) {
            let (what, advice) = match targets.contains(&column) {
                true => ("targets", "leave another column out, or name other targets"),
                false => (
                    "labels",
                    "leave another column out, or name another column of labels",
                ),
            };
            let problem = format!("has its {what} in column {name}, which is to be left out");
            return Err(TableError::new(file, problem, advice));
        }
        is_feature[column] = false;
    }
    match is_feature.contains(&true) {
        true => Ok(is_feature),
        false => {
            let problem = "has no features beside the columns that are left out";
            Err(TableError::new(file, problem, "leave fewer columns out"))
        }
    }
}

/// Returns the column that `stated` names, from 0: by its name, or by its number from 1.
fn find(file: &str, columns: &[String], stated: &str) -> Result<usize, TableError> {
    let named = columns.iter().position(|column| column == stated);
    let number = || stated.parse::<usize>().ok()?.checked_sub(1);
    let found = named
        .or_else(number)
        .filter(|&column| column < columns.len());
    found.ok_or_else(|| {
        let shown: Vec<&str> = columns.iter().take(8).map(String::as_str).collect();
        let more = if columns.len() > 8 { ", ..." } else { "" };
        let problem = format!("has no column {stated:?}, but {}{more}", shown.join(", "));
        TableError::new(
            file,
            problem,
            "name one of these, or give its number from 1",
        )
    })
}

/// Returns a note on a feature of the table `file` that may not be meant as one: if its `values`
/// count the rows, or if its name is one of labels. The column is given by its number, from 0, and
/// by its name, if it has one, which may be empty.
pub(super) fn note(
    file: &str,
    (column, name): (usize, Option<&str>),
    mut values: impl Iterator<Item = f64>,
) -> Option<Note> {
    let number = (column + 1).to_string();
    let first = values.next().filter(|first| [0.0, 1.0].contains(first));
    let counts = first.is_some_and(|first| {
        let mut rows = 1_usize;
        let is_next = |value: f64| {
            rows += 1;
            value == first + (rows - 1) as f64
        };
        values.all(is_next) && rows >= FEW_ROWS
    });
    let is_label =
        name.is_some_and(|name| LABELS[..3].iter().any(|it| it.eq_ignore_ascii_case(name)));
    let why = match (counts, is_label) {
        (true, _) => "counts the rows",
        (false, true) => "has the name of labels",
        (false, false) => return None,
    };
    let (shown, column) = match name {
        Some("") => (format!("column {number}, which has no name,"), number),
        Some(name) => (format!("column {name}"), name.to_owned()),
        None => (format!("column {number}"), number),
    };
    Some(Note {
        text: format!(
            "warning: {shown} of {file} {why}, but is read as a feature: leave it out if it is none"
        ),
        column: Some(column),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::tables::array::Values;
    use crate::data::tables::csv;

    #[test]
    fn columns_are_left_out_and_suspicious_ones_noted() {
        let text = ",a,class,label\n0,5,1,0\n1,6,1,1\n2,7,0,0\n3,9,1,1\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, text).unwrap();
        let parts = csv::read(&path, None, &Reading::default()).unwrap();
        let [index, class] = &parts.notes[..] else {
            panic!("{:?}", parts.notes)
        };
        for (note, words) in [
            (
                index,
                ["1", "column 1, which has no name,", "counts the rows"],
            ),
            (class, ["class", "column class of", "the name of labels"]),
        ] {
            assert_eq!(note.column.as_deref(), Some(words[0]));
            assert!(
                words.iter().all(|word| note.text.contains(word)),
                "{note:?}"
            );
        }
        // A column that is left out need not hold numbers.
        fs::write(&path, text.replace(",1,", ",x,").replace(",0,", ",,")).unwrap();
        let dropping = |names: &[&str]| Reading {
            drop: names.iter().map(|&name| name.to_owned()).collect(),
            ..Reading::default()
        };
        let parts = csv::read(&path, None, &dropping(&["1", "class"])).unwrap();
        assert_eq!(
            parts.train.values,
            Values::Doubles(vec![5.0, 6.0, 7.0, 9.0])
        );
        assert_eq!((parts.shape, parts.notes.len()), ([1, 1, 1], 0));
        for (names, words) in [
            (&["label"][..], "its labels in column label"),
            (&["b"], "has no column \"b\""),
            (&["1", "2", "3"], "has no features"),
        ] {
            let error = csv::read(&path, None, &dropping(names))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
