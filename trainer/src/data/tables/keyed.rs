//! Datasets in named arrays: `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`; without
//! labels, those called `x` alone.

use super::array::Array;
use super::error::TableError;
use super::part::{Part, Parts, Rows};
use crate::data::reading::{Extent, NO_LABELS, Reading};
use crate::data::targets::{ARRAY, TargetSource};

/// A file or folder of named arrays.
pub(super) trait Source {
    /// Returns the path, for messages.
    fn name(&self) -> &str;

    /// Returns the names of all arrays.
    fn keys(&self) -> Vec<String>;

    /// Reads the array `key`, one of [`keys`](Self::keys).
    ///
    /// # Errors
    /// Returns an error if it cannot be read or is not an array of numbers.
    fn array(&mut self, key: &str) -> Result<Array, TableError>;
}

/// Reads the dataset in `source`.
///
/// # Errors
/// Returns an error if keys are missing, if features and labels do not match, or if a feature is
/// not finite.
pub(super) fn read(source: &mut dyn Source, reading: &Reading) -> Result<Parts, TableError> {
    check_name(source.name(), reading)?;
    let keys = source.keys();
    let find = |wanted: &str| keys.iter().find(|key| key.eq_ignore_ascii_case(wanted));
    let pairs = [["x_train", "y_train"], ["x_test", "y_test"], ["x", "y"]];
    let [train, test, whole] = pairs.map(|pair| pair.map(find));
    let (train, test) = match (train, test, whole) {
        ([Some(x), _], [a, _], _) | ([None, _], [a @ None, _], [Some(x), _])
            if !reading.reads_labels() =>
        {
            ([x, x], a.map(|a| [a, a]))
        }
        ([Some(x), Some(y)], [Some(a), Some(b)], _) => ([x, y], Some([a, b])),
        ([Some(x), Some(y)], [None, None], _) => ([x, y], None),
        ([None, None], [None, None], [Some(x), Some(y)]) => ([x, y], None),
        _ => {
            let problem = format!("holds {}", listed(&keys));
            let advice = match reading.reads_labels() {
                true => "name the arrays x and y, or x_train, y_train, x_test and y_test",
                false => "name the array x, or the arrays x_train and x_test",
            };
            return Err(TableError::new(source.name(), problem, advice));
        }
    };
    let (train, axes) = part(source, train, reading)?;
    let test = test.map(|keys| part(source, keys, reading)).transpose()?;
    if let Some((_, found)) = &test
        && *found != axes
    {
        let problem = format!("has rows of shape {axes:?} in x_train but {found:?} in x_test");
        return Err(TableError::new(
            source.name(),
            problem,
            "give both the same shape",
        ));
    }
    let (shape, _) = layout(&axes).unwrap_or(([1, 1, 1], false));
    Ok(Parts {
        train,
        test: test.map(|(part, _)| part),
        shape,
        is_flat: axes.len() < 2,
        class_names: Vec::new(),
        label: (!reading.has_labels()).then(|| NO_LABELS.into()),
        notes: Vec::new(),
    })
}

/// Checks that targets, if they are in an array, are those of `y`.
fn check_name(file: &str, reading: &Reading) -> Result<(), TableError> {
    match &reading.targets {
        Some(TargetSource::Columns(names)) if *names != [ARRAY] => {
            let problem = format!("has arrays, not columns called {}", names.join(", "));
            let advice = "name the array of targets y, one column per target, and give y";
            Err(TableError::new(file, problem, advice))
        }
        _ => Ok(()),
    }
}

/// Returns the keys in words.
fn listed(keys: &[String]) -> String {
    match keys {
        [] => "no arrays".into(),
        [key] => format!("only the array {key}"),
        keys => {
            let shown: Vec<&str> = keys.iter().take(8).map(String::as_str).collect();
            let more = if keys.len() > 8 { ", ..." } else { "" };
            format!("the arrays {}{more}", shown.join(", "))
        }
    }
}

/// Reads the features, and the labels or targets, under the two keys; samples without labels get
/// the label 0. Also returns the lengths of a row's axes.
fn part(
    source: &mut dyn Source,
    [x, y]: [&String; 2],
    reading: &Reading,
) -> Result<(Part, Vec<usize>), TableError> {
    let in_file = |key: &str, source: &dyn Source| format!("{key} of {}", source.name());
    let (x_name, y_name) = (in_file(x, source), in_file(y, source));
    let features = source.array(x)?;
    let Some((&rows, axes)) = features.shape.split_first() else {
        let advice = "give it a row per sample";
        return Err(TableError::new(x_name, "is a single number", advice));
    };
    let (labels, targets) = match (reading.reads_labels(), reading.has_classes()) {
        (true, true) => (labels(&y_name, &source.array(y)?)?, Vec::new()),
        (true, false) => {
            let (count, targets) = targets(&y_name, &source.array(y)?)?;
            (vec![0; count], targets)
        }
        (false, _) => (vec![0; rows], Vec::new()),
    };
    if rows != labels.len() {
        let problem = format!("has {rows} rows but {y} has {} labels", labels.len());
        return Err(TableError::new(x_name, problem, "give one label per row"));
    }
    if let Some(at) = features.values.first_not_finite() {
        let value = features.values.get(at);
        let problem = format!("is {value} at {:?}", position(at, &features.shape));
        return Err(TableError::new(
            x_name,
            problem,
            "replace it, or leave the row out",
        ));
    }
    let Some((_, is_channels_last)) = layout(axes) else {
        let problem = format!("has the shape {:?}", features.shape);
        let advice = "give it at most four axes: rows, channels, height, width";
        return Err(TableError::new(x_name, problem, advice));
    };
    let is_channels_last = match reading.shape {
        Some(stated) => is_transposed(&x_name, axes, stated)?,
        None => is_channels_last,
    };
    let values = match (is_channels_last, axes.len()) {
        (true, 3) => features.values.transposed(&features.shape, &[0, 3, 1, 2]),
        (true, _) => features.values.transposed(&features.shape, &[0, 2, 1]),
        (false, _) => features.values,
    };
    let rows = Rows::Array(y_name);
    let part = Part {
        values,
        labels,
        targets,
        rows,
    };
    Ok((part, axes.to_vec()))
}

/// Returns the number of rows of the array `name`, and its elements.
fn targets(name: &str, array: &Array) -> Result<(usize, Vec<f32>), TableError> {
    let width: usize = array.shape.iter().skip(1).product();
    let (Some(&rows), 1..) = (array.shape.first(), width) else {
        let problem = format!("has the shape {:?}", array.shape);
        let advice = "give it a row per sample, with a number per target";
        return Err(TableError::new(name, problem, advice));
    };
    if let Some(at) = array.values.first_not_finite() {
        let value = array.values.get(at);
        let problem = format!("is {value} at {:?}", position(at, &array.shape));
        let advice = "replace it, or leave the row out";
        return Err(TableError::new(name, problem, advice));
    }
    let values = (0..rows * width).map(|at| array.values.get(at) as f32);
    Ok((rows, values.collect()))
}

/// Returns the labels in the array `name`.
fn labels(name: &str, array: &Array) -> Result<Vec<i64>, TableError> {
    let one_each = matches!(array.shape[..], [_] | [_, 1]);
    if !one_each {
        let problem = format!("has the shape {:?}, not one label per row", array.shape);
        let advice = "for one-hot labels, save y.argmax(axis=1); for numbers, read them as targets";
        return Err(TableError::new(name, problem, advice));
    }
    array.values.integers().ok_or_else(|| {
        let kind = array.values.kind();
        let problem = format!("holds floats ({kind}), not labels");
        let advice =
            "give one whole number per row, such as y.astype('uint8'), or read them as targets";
        TableError::new(name, problem, advice)
    })
}

/// Returns the shape (channels, height, width) of rows with these `axes`, and whether channels come
/// last in the file; `None` if there are more than three axes.
///
/// Of three axes, the first is that of channels, unless only the last has a length of 1 to 4: Keras
/// puts channels last.
fn layout(axes: &[usize]) -> Option<([usize; 3], bool)> {
    Some(match *axes {
        [] => ([1, 1, 1], false),
        [features] => ([1, 1, features], false),
        [height, width] => ([1, height, width], false),
        [a, b, c] if a > 4 && c <= 4 => ([c, a, b], true),
        [a, b, c] => ([a, b, c], false),
        _ => return None,
    })
}

/// Checks whether channels come last in rows of the array `name` with these `axes`, and first in
/// the `stated` shape.
///
/// # Errors
/// Returns an error if the rows have several channels that the axes do not name. Whether the row
/// has as many elements as the shape is not checked.
fn is_transposed(name: &str, axes: &[usize], stated: Extent<3>) -> Result<bool, TableError> {
    let Extent([channels, height, width]) = stated;
    let plane = height * width;
    let elements: usize = axes.iter().product();
    let is_first = match *axes {
        [a, b, c] => [a, b, c] == stated.0,
        [a, b] => a == channels && b == plane,
        _ => true,
    };
    let is_last = match *axes {
        [a, b, c] => [a, b, c] == [height, width, channels],
        [a, b] => a == plane && b == channels,
        _ => false,
    };
    // One channel leaves only the order in which the elements are stored.
    if is_first || channels == 1 || elements != channels * plane {
        return Ok(false);
    }
    match is_last {
        true => Ok(true),
        false => {
            let problem = format!(
                "has samples of shape {axes:?}, which have not the channels of the shape {stated} first or last"
            );
            let advice = "give the shape as channels, height and width, or arrange the array";
            Err(TableError::new(name, problem, advice))
        }
    }
}

/// Returns the index along each axis of the element at `index` of an array of `shape`.
fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut position: Vec<usize> = Vec::new();
    for &length in shape.iter().rev() {
        position.push(index % length);
        index /= length;
    }
    position.reverse();
    position
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tables::array::Values;

    /// Arrays in memory.
    struct Arrays(Vec<(&'static str, Array)>);

    impl Source for Arrays {
        fn name(&self) -> &str {
            "a.npz"
        }

        fn keys(&self) -> Vec<String> {
            self.0.iter().map(|(key, _)| (*key).to_owned()).collect()
        }

        fn array(&mut self, key: &str) -> Result<Array, TableError> {
            let found = self.0.iter().find(|(name, _)| *name == key).unwrap();
            Ok(found.1.clone())
        }
    }

    fn array(shape: &[usize], values: Values) -> Array {
        let shape = shape.to_vec();
        Array { shape, values }
    }

    fn bytes(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>();
        array(shape, Values::Bytes((0..count).map(|i| i as u8).collect()))
    }

    fn read_all(arrays: &[(&'static str, Array)]) -> Result<Parts, String> {
        let read = read(&mut Arrays(arrays.to_vec()), &Reading::default());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn keys_and_axes_are_recognised() {
        for (axes, shape, is_flat) in [
            (&[2][..], [1, 1, 1], true),
            (&[2, 7], [1, 1, 7], true),
            (&[2, 5, 6], [1, 5, 6], false),
            (&[2, 3, 5, 6], [3, 5, 6], false),
            (&[2, 5, 6, 3], [3, 5, 6], false),
            (&[2, 1, 2, 3], [1, 2, 3], false),
        ] {
            let parts = read_all(&[("X", bytes(axes)), ("y", bytes(&[2]))]).unwrap();
            assert_eq!((parts.shape, parts.is_flat), (shape, is_flat), "{axes:?}");
            assert!(parts.test.is_none());
        }
        // Channels that come last: the first two values of channel 1 are those of places 0 and 1.
        let parts = read_all(&[("x", bytes(&[1, 5, 6, 3])), ("y", bytes(&[1, 1]))]).unwrap();
        assert_eq!([30, 31].map(|at| parts.train.values.get(at)), [1.0, 4.0]);
        let four = [
            ("x_train", bytes(&[3, 2])),
            ("y_train", bytes(&[3])),
            ("x_test", bytes(&[2, 2])),
            ("y_test", bytes(&[2])),
        ];
        let parts = read_all(&four).unwrap();
        assert_eq!(parts.test.unwrap().labels, [0, 1]);
        assert_eq!(parts.train.labels, [0, 1, 2]);
    }

    #[test]
    fn a_stated_shape_moves_channels_that_come_last() {
        let read_as = |axes: &[usize], shape: &str| {
            let reading = Reading {
                shape: Some(shape.parse().unwrap()),
                ..Reading::default()
            };
            let arrays = vec![("x", bytes(axes)), ("y", bytes(&axes[..1]))];
            let parts = read(&mut Arrays(arrays), &reading);
            parts.map(|parts| [1, 2, 3].map(|at| parts.train.values.get(at)))
        };
        // The stored order, or every third and every second element.
        for (axes, shape, values) in [
            (&[1, 3, 4, 5][..], "3x4x5", [1.0, 2.0, 3.0]),
            (&[1, 4, 5, 3], "3x4x5", [3.0, 6.0, 9.0]),
            (&[1, 64, 3], "3x1x64", [3.0, 6.0, 9.0]),
            (&[1, 64, 2], "2x8x8", [2.0, 4.0, 6.0]),
            (&[1, 2, 64], "2x8x8", [1.0, 2.0, 3.0]),
            (&[1, 6, 8], "1x4x12", [1.0, 2.0, 3.0]),
            (&[1, 60], "3x4x5", [1.0, 2.0, 3.0]),
        ] {
            assert_eq!(read_as(axes, shape).unwrap(), values, "{axes:?} {shape}");
        }
        for (axes, shape) in [(&[1, 4, 5, 3][..], "5x4x3"), (&[1, 64, 3], "2x8x12")] {
            let error = read_as(axes, shape).unwrap_err().to_string();
            assert!(error.contains("channels of the shape"), "{error}");
        }
    }

    #[test]
    fn targets_are_read_as_numbers_or_left_to_the_inputs() {
        let singles = Values::Singles(vec![0.5, -1.0, 2.0, 3.5]);
        let arrays = [("x", bytes(&[2, 3])), ("y", array(&[2, 2], singles))];
        let read_as = |targets: &str, arrays: &[(&'static str, Array)]| {
            let reading = Reading {
                targets: Some(targets.parse().unwrap()),
                ..Reading::default()
            };
            let read = read(&mut Arrays(arrays.to_vec()), &reading);
            read.map_err(|error| error.to_string())
        };
        let train = read_as("y", &arrays).unwrap().train;
        assert_eq!(
            (train.labels, train.targets),
            (vec![0; 2], vec![0.5, -1.0, 2.0, 3.5])
        );
        for arrays in [&arrays[..], &arrays[..1]] {
            assert!(read_as("inputs", arrays).unwrap().train.targets.is_empty());
        }
        let nan = array(&[2], Values::Doubles(vec![0.0, f64::NAN]));
        for (targets, y, words) in [
            ("a,b", bytes(&[2]), "not columns called a, b"),
            ("y", nan, "y of a.npz is NaN at [1]"),
            ("y", bytes(&[3]), "x of a.npz has 2 rows but y has 3"),
            ("y", bytes(&[2, 0]), "has the shape [2, 0]"),
        ] {
            let error = read_as(targets, &[("x", bytes(&[2, 3])), ("y", y)]).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn arrays_that_do_not_go_together_are_refused() {
        let x = || ("x", bytes(&[2, 3]));
        let y = || ("y", bytes(&[2]));
        let singles = |values: &[f32]| Values::Singles(values.to_vec());
        for (arrays, words) in [
            (vec![], "a.npz holds no arrays: name the arrays x and y"),
            (vec![x()], "only the array x"),
            (vec![x(), ("y_train", bytes(&[2]))], "the arrays x, y_train"),
            (
                vec![x(), ("y", bytes(&[3]))],
                "x of a.npz has 2 rows but y has 3 labels",
            ),
            (
                vec![x(), ("y", bytes(&[2, 10]))],
                "y of a.npz has the shape [2, 10]",
            ),
            (
                vec![x(), ("y", array(&[2], singles(&[0.0, 1.0])))],
                "y of a.npz holds floats (float32)",
            ),
            (
                vec![
                    ("x", array(&[2, 2], singles(&[0.0, 1.0, f32::NAN, 2.0]))),
                    y(),
                ],
                "x of a.npz is NaN at [1, 0]",
            ),
            (
                vec![("x", array(&[2, 1], singles(&[0.0, f32::INFINITY]))), y()],
                "x of a.npz is inf at [1, 0]",
            ),
            (
                vec![("x", bytes(&[2, 1, 1, 1, 1])), y()],
                "at most four axes",
            ),
            (vec![("x", bytes(&[])), y()], "a single number"),
            (
                vec![
                    ("x_train", bytes(&[2, 3])),
                    ("y_train", bytes(&[2])),
                    ("x_test", bytes(&[2, 4])),
                    ("y_test", bytes(&[2])),
                ],
                "[3] in x_train but [4] in x_test",
            ),
        ] {
            let error = read_all(&arrays).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
