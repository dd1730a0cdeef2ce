//! Reads tables of numbers with a column of labels, such as CSV.
//!
//! Columns are separated by commas, semicolons or tabs, whichever the first line has most of. The
//! first line is a header if it has a text where the second one has a number. Labels are whole
//! numbers or names; all other columns are features.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::array::Values;
use super::error::TableError;
use super::part::{Labels, Parts, Rows};
use super::{classes, columns, part};
use crate::data::content;
use crate::data::dataset::Note;
use crate::data::reading::Reading;

/// The rows of a table.
struct Table {
    file: String,
    /// The names of the columns, or their numbers from 1.
    columns: Vec<String>,
    /// The column of labels, from 0; `None` if all columns are features or targets.
    label: Option<usize>,
    /// The columns of targets, from 0; none if targets are classes.
    wanted: Vec<usize>,
    /// Whether each column is a feature.
    is_feature: Vec<bool>,
    /// Whether the first line has names.
    is_header: bool,
    /// The features of all rows.
    features: Vec<f64>,
    /// The labels as they are written.
    labels: Vec<String>,
    /// Whether the labels are classes; they are left out if targets are numbers.
    has_classes: bool,
    /// The targets of all rows.
    targets: Vec<f32>,
    /// The line of each row, from 1.
    lines: Vec<u64>,
}

/// Reads the table `train`, and the table `test` with the same columns if there is one.
///
/// # Errors
/// Returns an error that names the line and the column at fault.
pub(super) fn read(
    train: &Path,
    test: Option<&Path>,
    reading: &Reading,
) -> Result<Parts, TableError> {
    let train = Table::read(train, reading)?;
    let test = test.map(|test| Table::read(test, reading)).transpose()?;
    if let Some(test) = &test
        && (&test.columns, test.label, &test.wanted) != (&train.columns, train.label, &train.wanted)
    {
        let problem = format!("has other columns than {}", train.file);
        return Err(TableError::new(
            &test.file,
            problem,
            "give both the same, in the same order",
        ));
    }
    let label = train.label.map(|label| train.columns[label].clone());
    let features = train.features_per_row();
    let notes = train.notes();
    let known = &reading.class_names;
    let train = train.into_part(known)?;
    let test = test.map(|test| test.into_part(known)).transpose()?;
    let (train, test, class_names) = classes::named_alike(train, test, known)?;
    Ok(Parts {
        train,
        test,
        shape: [1, 1, features],
        is_flat: true,
        class_names,
        label,
        notes,
    })
}

/// Opens the table at `path`.
fn open(path: &Path) -> Result<Reader<BufReader<Box<dyn Read>>>, TableError> {
    let mut content = BufReader::new(content::open(path)?.reader);
    let start = content
        .fill_buf()
        .map_err(|error| TableError::read(path, error))?;
    let line = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |mark: u8| line.iter().filter(|&&byte| byte == mark).count();
    let delimiter = b"\t;,".iter().copied().max_by_key(|&mark| count(mark));
    Ok(ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter.unwrap_or(b','))
        .from_reader(content))
}

/// Returns `record` unless one of its texts goes over several lines, as it does after a quote that
/// is not closed.
fn check_quotes(record: StringRecord, file: &str) -> Result<StringRecord, TableError> {
    match record.iter().position(|text| text.contains('\n')) {
        None => Ok(record),
        Some(column) => {
            let line = record.position().map_or(0, csv::Position::line);
            let place = format!("line {line} of {file}");
            let problem = format!(
                "has a quote in column {} that it does not close",
                column + 1
            );
            Err(TableError::new(
                place,
                problem,
                "close the quote, or remove it",
            ))
        }
    }
}

/// Checks whether `text` is a number.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

impl Table {
    /// Reads the table at `path`.
    fn read(path: &Path, reading: &Reading) -> Result<Self, TableError> {
        let file = path.display().to_string();
        let mut records = open(path)?.into_records();
        let mut next = || {
            let record = records.next().transpose().map_err(|error| {
                let problem = format!("is no table of text ({error})");
                TableError::new(&file, problem, "save it as CSV in UTF-8")
            })?;
            record.map(|record| check_quotes(record, &file)).transpose()
        };
        let Some(first) = next()? else {
            return Err(TableError::new(&file, "is empty", "give a line per sample"));
        };
        let second = next()?;
        if second.is_none() && first.iter().all(|text| !is_number(text)) {
            let problem = "has a header, but no samples";
            return Err(TableError::new(&file, problem, "give a line per sample"));
        }
        let is_header = second.as_ref().is_some_and(|second| {
            let mut pairs = first.iter().zip(second);
            pairs.any(|(above, below)| !is_number(above) && is_number(below))
        });
        let columns: Vec<String> = match is_header {
            true => first.iter().map(str::to_owned).collect(),
            false => (1..=first.len()).map(|number| number.to_string()).collect(),
        };
        if let Some(name) = columns::repeated(&columns) {
            let problem = format!("has two columns called {name}");
            return Err(TableError::new(
                &file,
                problem,
                "name each of them differently",
            ));
        }
        let label = columns::label(&file, &columns, is_header, reading)?;
        let wanted = columns::targets(&file, &columns, reading)?;
        let is_feature = columns::features(&file, &columns, (label, &wanted), reading)?;
        let mut table = Self {
            file: file.clone(),
            columns,
            label,
            wanted,
            is_feature,
            is_header,
            features: Vec::new(),
            labels: Vec::new(),
            has_classes: reading.has_classes(),
            targets: Vec::new(),
            lines: Vec::new(),
        };
        if !is_header {
            table.add(&first)?;
        }
        if let Some(second) = second {
            table.add(&second)?;
        }
        while let Some(record) = next()? {
            table.add(&record)?;
        }
        Ok(table)
    }

    /// Adds a row.
    fn add(&mut self, record: &StringRecord) -> Result<(), TableError> {
        let line = record.position().map_or(0, csv::Position::line);
        let place = || format!("line {line} of {}", self.file);
        if record.len() != self.columns.len() {
            let (found, expected) = (record.len(), self.columns.len());
            let problem = format!("has {found} columns, but the first line has {expected}");
            return Err(TableError::new(
                place(),
                problem,
                "give each line the same columns",
            ));
        }
        let mut targets = vec![0.0; self.wanted.len()];
        for (column, text) in record.iter().enumerate() {
            let wrong = |problem: String| {
                let problem = format!("{problem} in column {}", self.columns[column]);
                TableError::new(place(), problem, "correct it, or leave the line out")
            };
            let is_read = self.is_feature[column] || self.wanted.contains(&column);
            if !is_read && self.label != Some(column) {
                continue;
            }
            if text.is_empty() {
                return Err(wrong("has nothing".into()));
            }
            if self.label == Some(column) {
                continue;
            }
            let value = match text.parse::<f64>() {
                Ok(value) if value.abs() <= f32::MAX.into() => value,
                Ok(value) if !value.is_finite() => return Err(wrong(format!("has {text}"))),
                Ok(_) => return Err(wrong(format!("has {text}, which f32 cannot hold,"))),
                Err(_) => return Err(wrong(format!("has {text:?}, not a number,"))),
            };
            match self.wanted.iter().position(|&target| target == column) {
                Some(place) => targets[place] = value as f32,
                None => self.features.push(value),
            }
        }
        self.targets.extend(targets);
        let label = self.label.map_or("0", |label| &record[label]);
        self.labels.push(label.to_owned());
        self.lines.push(line);
        Ok(())
    }

    /// Returns the number of features in a row.
    fn features_per_row(&self) -> usize {
        self.is_feature.iter().filter(|it| **it).count()
    }

    /// Returns what may not be meant as features.
    fn notes(&self) -> Vec<Note> {
        let count = self.features_per_row();
        let features = (0..self.columns.len()).filter(|&column| self.is_feature[column]);
        let note = |(at, column): (usize, usize)| {
            let values = self.features.iter().skip(at).step_by(count).copied();
            let name = Some(&*self.columns[column]).filter(|_| self.is_header);
            columns::note(&self.file, (column, name), values)
        };
        features.enumerate().filter_map(note).collect()
    }

    /// Returns the rows. Labels are class numbers if all of them are integers and no names are
    /// `known`, and names if some are not numbers; numbers that are not all integers are an error.
    fn into_part(mut self, known: &[String]) -> Result<part::Written, TableError> {
        if !self.has_classes {
            self.labels.fill("0".to_owned());
        }
        let whole: Option<Vec<i64>> = self.labels.iter().map(|it| it.parse().ok()).collect();
        let whole = whole.filter(|_| known.is_empty());
        if known.is_empty() && whole.is_none() && self.labels.iter().all(|label| is_number(label)) {
            let is_float = |label: &String| label.parse::<i64>().is_err();
            let row = self.labels.iter().position(is_float).unwrap_or_default();
            let place = format!("line {} of {}", self.lines[row], self.file);
            let label = &self.labels[row];
            let column = self.label.map_or("", |column| &self.columns[column]);
            let problem = format!("has the label {label} in column {column}, which is a float");
            let advice = "number the classes 0, 1, 2 and so on, give another column of labels, or read it as a target";
            return Err(TableError::new(place, problem, advice));
        }
        let rows = Rows::Lines {
            file: self.file,
            lines: self.lines,
        };
        let labels = match whole {
            Some(numbers) => Labels::Numbers(numbers),
            None => Labels::Names(self.labels),
        };
        Ok(part::Written {
            values: Values::Doubles(self.features),
            labels,
            targets: self.targets,
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Reads the table with the given text. Errors do not name the folder.
    fn table(text: &str, label: Option<&str>) -> Result<Parts, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, text).unwrap();
        let reading = Reading {
            label: label.map(str::to_owned),
            ..Reading::default()
        };
        let parts = read(&path, None, &reading);
        let folder = format!("{}/", folder.path().display());
        parts.map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn targets_are_columns_in_the_given_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "id,a,heat,b,force\nx,1,2.5,3,-4\ny,5,6,7,8e-1\n").unwrap();
        let read_as = |targets: &str, label: &str| {
            let reading = Reading {
                targets: Some(targets.parse().unwrap()),
                label: Some(label.into()),
                ..Reading::default()
            };
            read(&path, None, &reading).map_err(|error| error.to_string())
        };
        let parts = read_as("force,3", "id").unwrap();
        assert_eq!(parts.shape, [1, 1, 2]);
        let train = parts.train;
        assert_eq!(train.values, Values::Doubles(vec![1.0, 3.0, 5.0, 7.0]));
        assert_eq!(train.targets, [-4.0, 2.5, 0.8, 6.0]);
        assert_eq!(train.labels, [0, 0]);
        assert_eq!(read_as("inputs", "id").unwrap().shape, [1, 1, 4]);
        for (targets, label, words) in [
            ("force,5", "id", "has the target 5 once"),
            ("mass", "id", "has no column \"mass\""),
            ("force,heat", "heat", "has targets in column heat"),
            ("force", "none", "has \"x\", not a number, in column id"),
        ] {
            let error = read_as(targets, label).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn headers_labels_and_separators_are_recognised() {
        let doubles = Values::Doubles(vec![1.5, -2.0, 3.0, 4e-3]);
        for (text, label, column) in [
            ("a,b,c\n1.5,-2,0\n3,4e-3,1\n", None, "c"),
            ("a;Class;b\n1.5;0;-2\n3;1;4e-3", None, "Class"),
            ("1.5\t-2\t0\r\n3\t4e-3\t1\r\n", None, "3"),
            ("0, 1.5, -2\n\n1, 3, 4e-3\n", Some("1"), "1"),
            ("\"k, l\",y,b\n0,1.5,-2\n1,3,4e-3\n", Some("k, l"), "k, l"),
            ("k,y,b\n0,1.5,-2\n1,3,4e-3\n", Some("1"), "k"),
            ("k,Y,b\n1.5,0,-2\n3,1,4e-3\n", None, "Y"),
            ("x,y,label\n1.5,-2,0\n3,4e-3,1\n", None, "label"),
            ("x,y,kind\n1.5,-2,0\n3,4e-3,1\n", None, "kind"),
            ("y,b,class\n1.5,-2,0\n3,4e-3,1\n", None, "class"),
        ] {
            let parts = table(text, label).unwrap();
            assert_eq!(parts.train.values, doubles, "{text}");
            assert_eq!(parts.train.labels, [0, 1], "{text}");
            assert_eq!(parts.label.as_deref(), Some(column), "{text}");
            assert_eq!((parts.shape, parts.is_flat), ([1, 1, 2], true));
        }
        let parts = table("x,kind\n1,no\n2,yes\n3,no\n", None).unwrap();
        assert_eq!(parts.train.labels, [0, 1, 0]);
        assert_eq!(parts.class_names, ["no", "yes"]);
        assert_eq!(
            parts.train.rows.place(2),
            "the label in line 4 of a.csv".replace("a.csv", parts.train.rows.name())
        );
    }

    #[test]
    fn bad_tables_are_refused_by_line_and_column() {
        for (text, label, words) in [
            ("a,b,y\n", None, "a.csv has a header, but no samples"),
            ("y,a,a\n0,1,2\n", None, "a.csv has two columns called a"),
            (
                "a,y\n-1e308,0\n1e308,1\n",
                None,
                "line 2 of a.csv has -1e308, which f32 cannot hold, in column a",
            ),
            (
                "a,b,y\n1,2,0\n1,2\n",
                None,
                "line 3 of a.csv has 2 columns, but the first line has 3",
            ),
            (
                "a,b,y\n1,2,0\n1,2,0,9\n",
                None,
                "line 3 of a.csv has 4 columns",
            ),
            (
                "a,b,y\n1,2,0\n1,NaN,0\n",
                None,
                "line 3 of a.csv has NaN in column b",
            ),
            (
                "a,b,y\n1,-inf,0\n1,1,0\n",
                None,
                "line 2 of a.csv has -inf in column b",
            ),
            (
                "1,2,0\n1,x,0\n",
                None,
                "line 2 of a.csv has \"x\", not a number, in column 2",
            ),
            (
                "a,b,y\n1,2,0\n,2,0\n",
                None,
                "line 3 of a.csv has nothing in column a",
            ),
            (
                "a,b,y\n1,2,0\n1,2,0.5\n",
                None,
                "line 3 of a.csv has the label 0.5 in column y, which is a float",
            ),
            (
                "a,b,y\n1,2,0\n",
                Some("z"),
                "a.csv has no column \"z\", but a, b, y",
            ),
            ("a,b,y\n1,2,0\n", Some("4"), "a.csv has no column \"4\""),
            (
                "a,y\n1,\"no\n2,yes\n3,no\n",
                None,
                "line 2 of a.csv has a quote in column 2 that it does not close",
            ),
            (
                "\"a,y\n1,0\n2,1\n",
                None,
                "line 1 of a.csv has a quote in column 1 that it does not close",
            ),
            ("1\n2\n", None, "a.csv has one column"),
            ("", None, "a.csv is empty"),
        ] {
            let error = table(text, label).unwrap_err();
            assert!(error.starts_with(words), "{words}: {error}");
        }
    }

    #[test]
    fn two_tables_share_columns_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let [train, test] = ["train.csv", "test.csv"].map(|name| folder.path().join(name));
        fs::write(&train, "a,y\n1,cat\n2,dog\n").unwrap();
        fs::write(&test, "a,y\n1,dog\n2,cat\n").unwrap();
        let parts = read(&train, Some(&test), &Reading::default()).unwrap();
        assert_eq!(
            (parts.train.labels, parts.test.unwrap().labels),
            (vec![0, 1], vec![1, 0])
        );
        fs::write(&test, "b,y\n1,dog\n2,cat\n").unwrap();
        let error = read(&train, Some(&test), &Reading::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("test.csv has other columns than"), "{error}");
        // Known names keep their numbers, also in a table without one of them.
        fs::write(&test, "a,y\n1,dog\n2,dog\n").unwrap();
        let known = Reading {
            class_names: ["dog", "cow", "cat"].map(String::from).to_vec(),
            ..Reading::default()
        };
        let parts = read(&train, Some(&test), &known).unwrap();
        assert_eq!(
            (parts.train.labels, parts.test.unwrap().labels),
            (vec![2, 0], vec![0, 0])
        );
        fs::write(&test, "a,y\n1,dog\n2,1\n").unwrap();
        let error = read(&train, Some(&test), &known).unwrap_err().to_string();
        assert!(
            error.contains("test.csv is \"1\", but the classes are dog, cow, cat"),
            "{error}"
        );
        fs::write(&test, "a,y\n1,1\n2,0\n").unwrap();
        let error = read(&train, Some(&test), &Reading::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("has names of classes"), "{error}");
    }
}
